"""Full synchronization: who is served together, how the data is framed, and what is in the way."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Callable, Iterator

import pytest

from respcache import full_sync as module
from tests.unit.test_mastering import SELECT, Rig
from tests.wire import encode


class Full(Rig):
    """A master and replicas that need all data."""

    def joining(self, *capabilities: str, delay: str = "0") -> int:
        self.set("repl-diskless-sync-delay", delay)
        who = self.new()
        for name in capabilities:
            self.ask("REPLCONF", "capa", name, who=who)
        self.clients[who][1].writes.clear()
        self.clients[who][0].data_received(encode("PSYNC", "?", "-1"))
        return who

    def until(self, condition: Callable[[], object]) -> None:
        async def wait() -> None:
            for _ in range(2000):
                if condition():
                    return
                await asyncio.sleep(0.001)
            raise AssertionError("it did not happen")

        self.state.loop.run_until_complete(wait())

    def state_of(self, who: int) -> str:
        replica = self.clients[who][0].client.replica
        assert replica is not None
        return replica.state

    def online(self, who: int) -> None:
        self.until(lambda: self.state_of(who) == "online")


@pytest.fixture
def full() -> Iterator[Full]:
    made = Full()
    yield made
    made.it.stop()
    made.peers.turn()
    made.state.loop.close()


def test_without_a_disk(full: Full) -> None:
    full.ask("SET", "before", 1)
    who = full.joining("eof", "psync2")
    assert full.state.snapshot is not None
    full.ask("SET", "meanwhile", 1)
    full.online(who)
    assert full.state.snapshot is None
    data = full.got(who)
    found = re.fullmatch(rb"\+FULLRESYNC (\w{40}) 0\r\n\$EOF:(\w{40})\r\n(REDIS.*)\2", data, re.DOTALL)
    assert found is not None
    assert b"before" in found[3] and b"meanwhile" not in found[3]
    full.ask("REPLCONF", "ACK", 0, who=who)
    full.ask("SET", "after", 1)
    full.it.flush()
    sock = full.clients[who][1]
    assert b"".join(sock.writes) == SELECT + encode("SET", "meanwhile", 1) + encode("SET", "after", 1)


def test_of_known_size(full: Full) -> None:
    full.ask("SET", "before", 1)
    who = full.joining("psync2")
    full.ask("SET", "meanwhile", 1)
    full.online(who)
    found = re.match(rb"\+FULLRESYNC \w{40} 0\r\n\$(\d+)\r\n", data := full.got(who))
    assert found is not None
    rest = data[found.end() :]
    assert rest[:5] == b"REDIS"
    assert rest[int(found[1]) :] == SELECT + encode("SET", "meanwhile", 1)


def test_those_who_wait_are_served_together(full: Full) -> None:
    full.set("repl-diskless-sync-max-replicas", "2")
    first = full.joining("eof", delay="1000")
    full.peers.turn()
    assert full.state_of(first) == "wait_bgsave"
    assert full.state.snapshot is None
    second = full.joining("eof", delay="1000")
    full.online(first)
    assert full.state_of(second) == "online"
    assert full.got(first) == full.got(second) != b""


def test_one_that_does_not_know_the_end_decides_for_all(full: Full) -> None:
    full.joining("eof", delay="1000")
    who = full.joining(delay="1000")
    full.online(who)
    assert b"$EOF" not in full.got(who)


def test_another_snapshot_comes_first(full: Full) -> None:
    full.state.snapshot = other = object()  # type: ignore[assignment]
    who = full.joining("eof")
    full.peers.turn()
    assert full.state_of(who) == "wait_bgsave"
    assert full.state.snapshot is other
    full.state.snapshot = None
    full.it.cron()
    full.online(who)


def test_a_replica_that_goes_is_forgotten(full: Full) -> None:
    who = full.joining("eof")
    full.clients[who][0].close(flush=False)
    full.until(lambda: full.state.snapshot is None)
    assert full.it.replicas == {}
    full.online(full.joining("eof"))


def test_one_that_takes_nothing_is_dropped(full: Full, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 0)
    who = full.joining("eof")
    full.clients[who][1].waiting = 1
    full.set("repl-timeout", "1")
    full.until(lambda: not full.it.replicas)
    assert full.clients[who][1].aborted


def test_a_disk_that_fails(full: Full, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    full.joining()
    full.until(lambda: not full.it.replicas)
    assert full.state.snapshot is None


def test_the_limit_is_no_less_than_the_backlog(full: Full) -> None:
    full.set("client-output-buffer-limit", "replica 1 2 3")
    assert module.limit(full.state) == (1 << 20, 1 << 20, 3)
    full.set("client-output-buffer-limit", "replica 0 0 0")
    assert module.limit(full.state) == (0, 0, 0)
    full.set("client-output-buffer-limit", "replica 3mb 2mb 1", "repl-backlog-size", "16kb")
    assert module.limit(full.state) == (3 << 20, 2 << 20, 1)


def test_the_end_may_come_before_the_beginning(full: Full) -> None:
    full.joining("eof")
    assert full.state.snapshot is not None
    full.it.stop()
    assert full.state.snapshot is None
