"""What a master keeps, whom it sends it, and that it costs nothing without replicas."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from respcache.connection import Connection
from respcache.mastering import GETACK, PING, Mastering
from tests.unit.test_connection import Peers, Socket
from tests.wire import encode

SELECT = encode("SELECT", 0)


class Rig:
    """A master that listens to nobody, and its clients."""

    def __init__(self) -> None:
        self.peers = Peers(save="", repl_diskless_sync_delay=1000)
        self.state = self.peers.state
        assert isinstance(self.state.mastering, Mastering)
        self.it = self.state.mastering
        self.clients: list[tuple[Connection, Socket]] = []
        self.client = self.new()

    def new(self) -> int:
        self.clients.append(self.peers.connect())
        return len(self.clients) - 1

    def ask(self, *words: str | int, who: int = 0) -> bytes:
        connection, sock = self.clients[who]
        sock.writes.clear()
        connection.data_received(encode(*words))
        return b"".join(sock.writes)

    def got(self, who: int) -> bytes:
        """What a client was sent since the last time."""
        for _ in range(3):
            self.peers.turn()
        sock = self.clients[who][1]
        found = b"".join(sock.writes)
        sock.writes.clear()
        return found

    def continuing(self) -> int:
        """A replica that has everything."""
        history = self.state.history
        if history.backlog is None:
            history.create_backlog(1 << 20)
            self.it.turn()
        who = self.new()
        reply = self.ask("PSYNC", history.id, history.offset + 1, who=who)
        assert reply == b"+CONTINUE\r\n"
        self.clients[who][1].writes.clear()
        return who

    def set(self, *words: str) -> None:
        """CONFIG SET."""
        self.state.config.set_many(zip(words[::2], words[1::2], strict=True))


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.it.stop()
    made.peers.turn()
    made.state.loop.close()


def test_without_replicas_nothing_is_in_the_way(rig: Rig) -> None:
    rig.ask("SET", "a", 1)
    rig.it.cron()
    assert not rig.state.propagator.on
    assert rig.state.history.offset == 0
    assert rig.it.selected == 0


def test_replicas_get_what_changes_at_the_end_of_the_turn(rig: Rig) -> None:
    first, second = rig.continuing(), rig.continuing()
    rig.ask("SET", "a", 1)
    rig.ask("INCR", "a")
    stream = SELECT + encode("SET", "a", 1) + encode("INCR", "a")
    assert rig.got(first) == stream
    assert rig.got(second) == stream
    assert rig.state.history.offset == len(stream) == rig.it.written
    assert rig.state.history.since(1) == stream
    assert rig.it.sent == 2 * len(stream)


def test_messages_come_behind_what_was_changed(rig: Rig) -> None:
    replica = rig.continuing()
    rig.ask("MULTI")
    rig.ask("PUBLISH", "channel", "text")
    rig.ask("SET", "a", 1)
    rig.ask("EXEC")
    assert rig.got(replica) == SELECT + encode("SET", "a", 1) + encode("PUBLISH", "channel", "text")


def test_under_load_what_is_small_goes_together(rig: Rig) -> None:
    replica = rig.continuing()
    rig.ask("SET", "a", 1)
    assert rig.got(replica)
    rig.it._flushed += 1000
    rig.ask("SET", "a", 2)
    assert rig.got(replica) == b""
    rig.it.flush()
    assert rig.got(replica) == encode("SET", "a", 2)


def test_a_replica_does_not_tell_of_its_clients(rig: Rig) -> None:
    replica = rig.continuing()
    rig.ask("SET", "a", 1)
    rig.got(replica)
    rig.state.following.on = True
    rig.it.turn()
    rig.ask("SET", "a", 2)
    assert rig.got(replica) == b""
    rig.it.forward(b"bytes")
    assert rig.got(replica) == b"bytes"
    rig.state.following.on = False
    rig.it.turn()
    rig.ask("SET", "a", 3)
    assert rig.got(replica) == SELECT + encode("SET", "a", 3)


def test_what_is_held_is_bounded(rig: Rig) -> None:
    rig.set("client-output-buffer-limit", "replica 1mb 0 0", "repl-backlog-size", "16kb")
    who = rig.new()
    rig.ask("PSYNC", "?", -1, who=who)
    (replica,) = rig.it.replicas.values()
    replica.held = []
    rig.ask("SET", "a", "x" * 600_000)
    rig.it.flush()
    assert replica.held_size > 600_000
    rig.ask("SET", "a", "x" * 600_000)
    rig.it.flush()
    assert rig.it.replicas == {}
    assert rig.state.stats.output_limit_disconnections == 1


def test_what_replicas_have(rig: Rig) -> None:
    first, second = rig.continuing(), rig.continuing()
    rig.ask("SET", "a", 1)
    offset = rig.it.written
    assert rig.it.acked(offset) == 0
    rig.ask("REPLCONF", "ACK", offset, who=first)
    rig.ask("REPLCONF", "ACK", offset - 1, "FACK", offset, who=second)
    rig.ask("REPLCONF", "ACK", 1, who=first)
    assert (rig.it.acked(offset), rig.it.synced(offset), rig.it.acked(0)) == (1, 1, 2)


def test_wait_asks_once_and_counts(rig: Rig) -> None:
    replica = rig.continuing()
    other = rig.new()
    rig.ask("SET", "a", 1)
    offset = rig.it.written
    assert rig.ask("WAIT", 1, 0) == rig.ask("WAIT", 2, 0, who=other) == b""
    assert rig.got(replica).endswith(encode("SET", "a", 1) + GETACK)
    assert rig.it.written == offset < rig.state.history.offset
    rig.ask("REPLCONF", "ACK", offset, who=replica)
    assert rig.got(0) == b":1\r\n"
    waiter = rig.clients[other][0].client.waiter
    assert waiter is not None and waiter.nothing == b":1\r\n"


def test_pings(rig: Rig) -> None:
    replica = rig.continuing()
    rig.set("repl-ping-replica-period", "2")
    for _ in range(4):
        rig.it.cron()
    assert rig.got(replica) == 2 * PING
    assert rig.state.history.offset == 28
    rig.state.following.on = True
    for _ in range(4):
        rig.it.cron()
    assert rig.got(replica) == b""


def test_while_somebody_takes_over_nothing_is_added(rig: Rig) -> None:
    replica = rig.continuing()
    cluster = SimpleNamespace(view=SimpleNamespace(paused=True))
    rig.state.cluster = cluster
    rig.set("repl-ping-replica-period", "1")
    rig.it.cron()
    rig.ask("WAIT", 1, 0)
    assert rig.got(replica) == b""
    cluster.view.paused = False
    rig.it.cron()
    assert rig.got(replica) == PING


def test_the_gate_is_there_where_it_was_asked_for(rig: Rig) -> None:
    rig.set("min-replicas-to-write", "1")
    assert rig.ask("SET", "a", 1).startswith(b"-NOREPLICAS")
    replica = rig.continuing()
    assert rig.ask("SET", "a", 1) == b"+OK\r\n"
    (found,) = rig.it.replicas.values()
    found.acked_at -= 60
    rig.clients[replica][0].client.seen -= 60
    rig.set("repl-timeout", "1000")
    rig.it.cron()
    assert rig.ask("SET", "a", 1).startswith(b"-NOREPLICAS")
    rig.state.following.on = True
    rig.it.turn()
    assert rig.ask("SET", "a", 1) == b"+OK\r\n"


def test_a_silent_replica_and_an_idle_backlog_go(rig: Rig) -> None:
    replica = rig.continuing()
    (found,) = rig.it.replicas.values()
    found.acked_at -= 61
    rig.clients[replica][0].client.seen -= 61
    rig.it.cron()
    assert rig.it.replicas == {}
    assert rig.clients[replica][1].closed
    before = rig.state.history.id
    assert rig.it.memory()["mem_replication_backlog"] == 0
    rig.it._alone_since -= 3601
    rig.it.cron()
    assert rig.state.history.backlog is None
    assert rig.state.history.id != before
    assert not rig.state.propagator.on


def test_who_waits_for_data_is_told_that_we_are_there(rig: Rig) -> None:
    who = rig.new()
    rig.ask("REPLCONF", "capa", "eof", who=who)
    rig.ask("PSYNC", "?", -1, who=who)
    rig.it.cron()
    assert rig.got(who) == b"\n"
    assert rig.it.acked(0) == 0
    rig.it.drop_replicas()
    assert rig.it.replicas == {}
