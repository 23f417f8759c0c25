"""Periodic work, with a clock that the test turns."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator

import pytest

from respcache import cron
from respcache.clock import Clock
from respcache.cron import Cron
from respcache.server import Server
from respcache.state import Client, ServerState


class Link:
    """A connection that remembers what was asked of it."""

    fd = -1
    input_pending = output_pending = 0

    def __init__(self) -> None:
        self.congested = self.closing = False
        self.output_limit = (0, 0, 0)
        self.asked: list[str] = []

    def check_output(self, now: float) -> None:
        self.asked.append("check_output")

    def close(self, flush: bool = True) -> None:
        self.asked.append(f"close {flush}")

    def send(self, data: bytes) -> None:
        raise AssertionError

    def release(self, reply: bytes | None = None) -> None:
        self.asked.append("release")

    def relieve(self) -> None:
        raise AssertionError

    def distrust(self) -> None:
        raise AssertionError


class Rig:
    """A server with nothing but its cron, run by hand or for a while."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000
        self.state: ServerState = Server(port=0, hz=500, clock=Clock(lambda: self.ms)).state
        self.state.loop = asyncio.new_event_loop()
        self.cron = Cron(self.state, False)

    def connect(self) -> tuple[Client, Link]:
        link = Link()
        client = Client(self.state, link, b"127.0.0.1:5", b"", False)
        self.state.clients[client.id] = client
        return client, link

    def run_until(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        async def wait() -> bool:
            deadline = self.state.loop.time() + seconds
            while not condition() and self.state.loop.time() < deadline:
                await asyncio.sleep(0.001)
            return condition()

        return self.state.loop.run_until_complete(wait())


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.cron.stop()
    made.state.loop.close()


def test_keys_that_are_due_go(rig: Rig) -> None:
    db = rig.state.keyspace.databases[0]
    for number in range(100):
        db.set(b"k%d" % number, b"v")
        db.expire_at(b"k%d" % number, rig.ms + 1000)
    db.set(b"stays", b"v")
    rig.cron.start()
    assert not rig.run_until(lambda: db.size < 101, 0.02)
    rig.ms += 1001
    assert rig.run_until(lambda: db.size == 1)
    assert rig.state.keyspace.expired_keys == 100


def test_none_go_while_expiry_is_off(rig: Rig) -> None:
    db = rig.state.keyspace.databases[0]
    db.set(b"k", b"v")
    db.expire_at(b"k", rig.ms + 1)
    rig.state.active_expire = False
    rig.ms += 2
    rig.cron.start()
    assert not rig.run_until(lambda: db.size == 0, 0.02)
    rig.state.active_expire = True
    assert rig.run_until(lambda: db.size == 0)


def test_many_keys_go_in_slices(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cron, "EXPIRE_SLICE", 1e-6)
    monkeypatch.setattr(cron, "EXPIRE_PAUSE", 0)
    db = rig.state.keyspace.databases[0]
    for number in range(300):
        db.set(b"k%d" % number, b"v")
        db.expire_at(b"k%d" % number, rig.ms + 1)
    rig.ms += 2
    rig.cron._expire()
    assert 0 < db.size < 300
    assert rig.cron._expiry is not None
    assert rig.run_until(lambda: db.size == 0)


def test_what_was_deleted_is_freed(rig: Rig) -> None:
    db = rig.state.keyspace.databases[0]
    for number in range(1000):
        db.set(b"k%d" % number, b"v")
    db.clear()
    assert len(rig.state.keyspace.graveyard) > 0
    rig.cron.start()
    assert rig.run_until(lambda: len(rig.state.keyspace.graveyard) == 0)


def test_idle_clients_are_closed(rig: Rig) -> None:
    rig.state.config.set_many([("timeout", "10")])
    idle, idle_link = rig.connect()
    waiting, waiting_link = rig.connect()
    _, busy_link = rig.connect()
    waiting.paused = True
    idle.seen -= 11
    waiting.seen -= 11
    rig.cron._second()
    assert (idle_link.asked, waiting_link.asked, busy_link.asked) == (["close False"], [], [])


def test_clients_may_be_idle_if_there_is_no_timeout(rig: Rig) -> None:
    idle, link = rig.connect()
    idle.seen -= 1e9
    rig.cron._second()
    assert link.asked == []


def test_slow_clients_are_looked_at(rig: Rig) -> None:
    _, link = rig.connect()
    link.congested = True
    rig.cron._second()
    assert link.asked == ["check_output"]


def test_rates(rig: Rig) -> None:
    client, _ = rig.connect()
    rig.cron._second()
    client.net_input += 1_000_000
    rig.cron._second()
    assert rig.state.stats.input_rate.value > 0
    assert rig.state.stats.output_rate.value == 0


def test_a_pause_is_ended_when_its_time_has_come(rig: Rig) -> None:
    _, link = rig.connect()
    rig.state.start_pause(rig.ms + 100_000, True)
    rig.state.pause.wait(1, link.release)
    rig.cron.start()
    assert not rig.run_until(lambda: not rig.state.pause.active, 0.02)
    rig.ms += 100_000
    assert rig.run_until(lambda: link.asked == ["release"])


def test_hz_may_change(rig: Rig) -> None:
    rig.cron.start()
    rig.state.config.set_many([("hz", "1")])
    assert rig.run_until(lambda: rig.cron._ticks == 1)
    assert rig.cron._tick is not None
    assert rig.cron._tick.when() - rig.state.loop.time() > 0.9


def test_nothing_runs_after_the_end(rig: Rig) -> None:
    rig.cron.start()
    assert rig.run_until(lambda: rig.cron._ticks >= 2)
    rig.cron.stop()
    ticks = rig.cron._ticks
    assert not rig.run_until(lambda: rig.cron._ticks > ticks, 0.02)


@pytest.fixture
def collector() -> Iterator[None]:
    enabled = gc.isenabled()
    yield
    gc.unfreeze()
    (gc.enable if enabled else gc.disable)()


@pytest.mark.usefixtures("collector")
def test_the_collector_in_a_process_of_its_own(rig: Rig) -> None:
    rig.cron.own_process = True
    rig.cron.start()
    assert not gc.isenabled()
    assert gc.get_freeze_count() > 0

    class Cycle:
        alive = 0

        def __init__(self) -> None:
            self.me = self
            Cycle.alive += 1

        def __del__(self) -> None:
            Cycle.alive -= 1

    for _ in range(cron.YOUNG):
        Cycle()
    assert Cycle.alive == cron.YOUNG
    assert rig.run_until(lambda: Cycle.alive < cron.YOUNG)


def test_the_collector_of_another_program_is_let_alone(rig: Rig) -> None:
    before = gc.isenabled(), gc.get_freeze_count()
    rig.cron.start()
    assert rig.run_until(lambda: rig.cron._ticks >= 2)
    assert (gc.isenabled(), gc.get_freeze_count()) == before
