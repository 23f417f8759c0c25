"""What handlers see: the client and the server, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from respcache.clock import Clock
from respcache.config import Config
from respcache.directives import DIRECTIVES
from respcache.server import Server
from respcache.state import BIG, Client, ServerState


class FakeLink:
    """A connection that only counts."""

    fd = -1
    input_pending = output_pending = 0
    congested = closing = False
    output_limit = (0, 0, 0)

    def __init__(self) -> None:
        self.relieved = self.distrusted = 0
        self.released: list[bytes | None] = []

    def relieve(self) -> None:
        self.relieved += 1

    def distrust(self) -> None:
        self.distrusted += 1

    def release(self, reply: bytes | None = None) -> None:
        self.released.append(reply)

    def check_output(self, now: float) -> None:
        raise AssertionError

    def send(self, data: bytes) -> None:
        raise AssertionError

    def close(self, flush: bool = True) -> None:
        raise AssertionError


@pytest.fixture
def now() -> list[int]:
    return [1_700_000_000_000]


@pytest.fixture
def state(now: list[int]) -> Iterator[ServerState]:
    state = Server(port=0, clock=Clock(lambda: now[0])).state
    state.loop = asyncio.new_event_loop()
    yield state
    state.loop.close()


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
def client(state: ServerState, link: FakeLink) -> Client:
    return Client(state, link, b"127.0.0.1:5", b"127.0.0.1:6379", False)


# Clients


def test_ids_are_never_used_twice(state: ServerState, link: FakeLink) -> None:
    ids = [Client(state, link, b"", b"", False).id for _ in range(3)]
    assert ids == [1, 2, 3]
    assert state.next_client_id() == 4


def test_a_new_client(client: Client, state: ServerState) -> None:
    assert client.resp.version == 2
    assert client.db is state.keyspace.databases[0]
    assert client.mode is client.base is state.modes.normal
    assert client.table is client.mode.table
    assert (client.user, client.name, client.authenticated) == (b"default", b"", True)
    assert not hasattr(client, "__dict__")


def test_a_muted_client(client: Client) -> None:
    assert not client.swallow()
    client.mute(True)
    assert client.mode is not client.base
    assert client.table is client.mode.table
    assert client.swallow()
    assert client.swallow()
    client.mute(False)
    assert client.mode is client.base
    assert not client.swallow()


def test_one_reply_is_skipped(client: Client) -> None:
    client.mute(True, once=True)
    assert client.skips == 1
    assert client.swallow()
    assert not client.muted
    assert not client.swallow()


def test_a_muted_client_that_skips_is_heard_again(client: Client) -> None:
    client.mute(True)
    client.mute(True, once=True)
    assert [client.swallow() for _ in range(3)] == [True, True, False]


def test_a_muted_client_stays_so_in_another_mode(client: Client, state: ServerState) -> None:
    client.mute(True)
    client.enter(state.modes.unauthenticated)
    assert client.base is state.modes.unauthenticated
    assert client.mode is state.modes.mute(state.modes.unauthenticated)
    client.mute(False)
    assert client.mode is state.modes.unauthenticated


def test_logging_in_and_out(client: Client, state: ServerState, link: FakeLink) -> None:
    client.log_out()
    assert not client.authenticated
    assert client.base is state.modes.unauthenticated
    assert link.distrusted == 1
    client.log_in(b"default")
    assert client.authenticated
    assert client.base is state.modes.normal


@pytest.mark.parametrize(("size", "relieved"), [(0, 0), (1023, 0), (1024, 0), (BIG - 1, 0), (BIG, 1)])
def test_big_values_are_not_gathered(client: Client, link: FakeLink, size: int, relieved: int) -> None:
    assert client.bulk(b"x" * size) == b"$%d\r\n%b\r\n" % (size, b"x" * size)
    assert link.relieved == relieved


# The server


def test_a_new_server() -> None:
    config = Config(DIRECTIVES)
    config.load({"databases": 3})
    state = ServerState(config, Clock(), "f" * 40)
    assert len(state.keyspace.databases) == 3
    assert state.run_id == "f" * 40
    assert len(state.history.id) == 40
    assert state.history.id != ServerState(config, Clock(), "").history.id


def test_slow_commands(client: Client, state: ServerState, now: list[int]) -> None:
    state.config.set_many([("slowlog-log-slower-than", "1000"), ("latency-monitor-threshold", "5")])
    get = state.modes.normal.table[b"get"]
    state.exceeded(client, get, [b"get", b"k"], 0.0005)
    assert len(state.slowlog.entries) == 0
    state.exceeded(client, get, [b"get", b"k"], 0.002)
    assert len(state.slowlog.entries) == 1
    assert state.latency.events == {}
    state.exceeded(client, get, [b"get", b"k"], 0.02)
    assert list(state.latency.events) == ["fast-command"]
    state.exceeded(client, state.modes.normal.table[b"keys"], [b"keys", b"*"], 0.02)
    assert list(state.latency.events) == ["fast-command", "command"]
    state.config.set_many([("slowlog-log-slower-than", "-1"), ("latency-monitor-threshold", "0")])
    state.exceeded(client, get, [b"get", b"k"], 9.0)
    assert len(state.slowlog.entries) == 3


def test_a_pause_ends_by_itself(state: ServerState, link: FakeLink, now: list[int]) -> None:
    state.start_pause(now[0] + 10, True)
    state.pause.wait(1, link.release)
    state.loop.run_until_complete(asyncio.sleep(0.03))
    assert state.pause.active  # the clock stands still, and it is the clock that counts
    now[0] += 10
    state.loop.run_until_complete(asyncio.sleep(0.03))
    assert not state.pause.active
    assert link.released == [None]


def test_a_pause_that_is_ended(state: ServerState, link: FakeLink, now: list[int]) -> None:
    state.start_pause(now[0] + 100_000, False)
    state.pause.wait(1, link.release)
    state.unpause()
    assert not state.pause.active
    assert link.released == []  # not at once
    state.loop.run_until_complete(asyncio.sleep(0))
    assert link.released == [None]
    state.unpause()


def test_a_long_pause(state: ServerState, now: list[int]) -> None:
    state.start_pause(2**62, True)
    assert state.pause.active
    state.unpause()


def test_nothing_expires_during_a_pause(client: Client, state: ServerState, now: list[int]) -> None:
    db = state.keyspace.databases[0]
    db.set(b"k", b"v")
    db.expire_at(b"k", now[0] + 10)
    state.start_pause(now[0] + 1000, False, "failover")
    state.start_pause(now[0] + 500, True)
    now[0] += 20
    assert client.db.get(b"k") is None
    assert state.keyspace.expired_keys == 0 and db.size == 1  # it is hidden, not gone
    state.unpause("client")
    assert state.pause.active and db.size == 1
    state.unpause("failover")
    assert client.db.get(b"k") is None and db.size == 0


def test_of_two_pauses_each_ends_at_its_time(state: ServerState, link: FakeLink, now: list[int]) -> None:
    state.start_pause(now[0] + 10, True)
    state.start_pause(now[0] + 20, False, "failover")
    state.pause.wait(1, link.release)
    now[0] += 10
    state.time_pause()
    assert state.pause.active and not state.pause.all_commands
    state.loop.run_until_complete(asyncio.sleep(0))
    assert link.released == [None]  # it may read, if that is what it wants
    now[0] += 10
    state.time_pause()
    assert not state.pause.active
