"""A node of a cluster and its clients' states: ASKING, transactions, and who is here when a slot goes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from respcache.routing import redirect_waiting
from respcache.store.slot import hash_slot
from tests.unit.test_routing import (
    BROKEN,
    CROSSSLOT,
    DOWN,
    FOO,
    MOVED_FOO,
    NIL,
    OK,
    QUEUED,
    TRYAGAIN,
    UNBOUND,
    Asking,
    B,
)
from tests.wire import encode


@pytest.fixture
def ask() -> Iterator[Asking]:
    made = Asking()
    yield made
    made.state.loop.close()


# ASKING


def test_asking_holds_for_whatever_comes_next(ask: Asking) -> None:
    ask.view.mark_importing(FOO, ask.other)
    for words in (["PING"], ["NOSUCH"], ["GET"], ["GET", "b"], ["OBJECT", "NOSUCH"], ["client", "id"]):
        ask("ASKING")
        ask(*words)
        assert ask("GET", "foo") == MOVED_FOO, words
    ask("ASKING")
    ask("ASKING")
    assert ask("get", "foo") == NIL


def test_asking_holds_for_a_transaction(ask: Asking) -> None:
    ask.view.mark_importing(FOO, ask.other)
    ask("ASKING")
    assert ask("MULTI") == OK
    assert ask("SET", "foo", "1") == ask("GET", "foo") == QUEUED
    assert ask("EXEC") == b"*2\r\n+OK\r\n$1\r\n1\r\n"
    assert ask("GET", "foo") == MOVED_FOO
    ask("ASKING")
    ask("MULTI")
    assert ask("DISCARD") == OK
    assert ask("GET", "foo") == MOVED_FOO
    ask("MULTI")
    assert ask("ASKING") == QUEUED
    assert ask("GET", "foo") == MOVED_FOO
    assert ask("EXEC") == BROKEN


def test_asking_of_a_client_that_is_made_to_wait(ask: Asking) -> None:
    ask.view.mark_importing(FOO, ask.other)
    ask("ASKING")
    ask.state.start_pause(ask.state.clock.ms() + 60_000, True)
    assert ask("SET", "foo", "1") == b""
    ask.state.unpause()
    ask.peers.turn()
    assert ask.socket.told == OK
    assert ask("GET", "foo") == MOVED_FOO


def test_asking_in_a_pipeline(ask: Asking) -> None:
    ask.view.mark_importing(FOO, ask.other)
    ask.connection.data_received(
        b"".join([encode("ASKING"), encode("SET", "foo", "1"), encode("GET", "foo"), encode("GET", "b")])
    )
    assert ask.socket.told == OK + OK + MOVED_FOO + NIL


def test_asking_of_a_muted_client(ask: Asking) -> None:
    ask.view.mark_importing(FOO, ask.other)
    ask("CLIENT", "REPLY", "OFF")
    ask("ASKING")
    assert ask("SET", "foo", "1") == b""
    assert ask("SET", "foo", "2") == b""
    assert ask("CLIENT", "REPLY", "ON") == OK
    assert ask("GET", "foo") == MOVED_FOO
    ask("ASKING")
    assert ask("GET", "foo") == b"$1\r\n1\r\n"


# Transactions


def test_queued_commands(ask: Asking) -> None:
    ask("MULTI")
    assert ask("SET", "b", "1") == QUEUED
    assert ask("GET", "foo") == MOVED_FOO
    assert ask("EXEC") == BROKEN
    assert ask("GET", "b") == NIL
    ask("MULTI")
    assert ask("WATCH", "foo") == MOVED_FOO
    assert ask("EXEC") == BROKEN


def test_exec_of_several_slots(ask: Asking) -> None:
    ask("MULTI")
    assert ask("SET", "b", "1") == ask("PING") == ask("SET", "c", "1") == QUEUED
    assert ask("EXEC") == CROSSSLOT
    assert ask("EXEC") == b"-ERR EXEC without MULTI\r\n"
    assert ask("MGET", "b", "b") == b"*2\r\n$-1\r\n$-1\r\n"


def test_exec_after_the_slot_has_moved(ask: Asking) -> None:
    ask("WATCH", "b")
    ask("MULTI")
    ask("SET", "b", "1")
    ask.view.assign(B, ask.other)
    assert ask("EXEC") == b"-MOVED 3300 127.0.0.1:7002\r\n"
    assert ask("EXEC") == b"-ERR EXEC without MULTI\r\n"
    assert not ask.state.keyspace.databases[0].size
    assert ask("PING") == b"+PONG\r\n"


def test_exec_while_the_slot_moves(ask: Asking) -> None:
    ask("MSET", "b", "1", "{b}x", "1")
    ask("MULTI")
    ask("GET", "b")
    ask("GET", "{b}x")
    ask.view.mark_migrating(B, ask.other)
    ask.state.keyspace.databases[0].delete(b"b")
    assert ask("EXEC") == TRYAGAIN
    ask("MULTI")
    assert ask("GET", "{b}x") == QUEUED
    assert ask("EXEC") == b"*1\r\n$1\r\n1\r\n"


def test_exec_while_down(ask: Asking) -> None:
    ask("MULTI")
    ask("SET", "b", "1")
    ask.view.become(False)
    assert ask("EXEC") == DOWN
    assert ask("PING") == b"+PONG\r\n"


def test_what_exec_runs_is_not_looked_at_again(ask: Asking) -> None:
    ask("MULTI")
    ask("SET", "b", "1")
    ask("CLIENT", "ID")
    ask.view.owners[B] = ask.me
    ask.view.plain[B] = 0  # as of a slot on its way
    assert ask("EXEC").startswith(b"*2\r\n+OK\r\n")


# Who is here when a slot goes


def test_who_waits_is_redirected(ask: Asking) -> None:
    assert ask("BLPOP", "b", "{b}x", "0") == b""
    other = ask.connect()
    assert ask.on(other, "BLPOP", "c", "0") == b""
    redirect_waiting(ask.state)
    assert ask.socket.told == b""
    ask.view.assign(B, ask.other)
    ask.peers.turn()
    assert ask.socket.told == b"-MOVED 3300 127.0.0.1:7002\r\n"
    assert other[1].told == b""
    assert ask.state.stats.errors["MOVED"] == 1
    ask.view.release(hash_slot(b"c"))
    ask.peers.turn()
    assert other[1].told == UNBOUND
    assert ask.state.waiting.count == 0
    assert ask("PING") == b"+PONG\r\n"


def test_who_waits_while_the_cluster_goes_down(ask: Asking) -> None:
    ask("BLPOP", "b", "0")
    ask.view.become(False)
    redirect_waiting(ask.state)
    assert ask.socket.told == DOWN


def test_who_waits_for_what_is_on_its_way_here(ask: Asking) -> None:
    ask.view.mark_importing(FOO, ask.other)
    ask("ASKING")
    assert ask("BLPOP", "foo", "0") == b""
    redirect_waiting(ask.state)
    assert ask.socket.told == b""
    assert ask.connection.client.asking is False


def test_who_reads_a_replica_waits_on(ask: Asking) -> None:
    ask.follow()
    ask("READONLY")
    assert ask("XREAD", "BLOCK", "0", "STREAMS", "foo", "$") == b""
    redirect_waiting(ask.state)
    assert ask.socket.told == b""
    ask.connection.client.readonly = False
    redirect_waiting(ask.state)
    assert ask.socket.told == MOVED_FOO


def test_who_waits_for_no_keys_waits_on(ask: Asking) -> None:
    assert ask("WAIT", "1", "0") == b""
    ask.view.become(False)
    redirect_waiting(ask.state)
    assert ask.socket.told == b""


@pytest.mark.parametrize("resp", ["2", "3"])
def test_shard_subscriptions_end(ask: Asking, resp: str) -> None:
    mark = b">" if resp == "3" else b"*"
    ask("HELLO", resp)
    ask("SSUBSCRIBE", "b", "{b}x")
    ask("SSUBSCRIBE", "c")
    ask.view.assign(B, ask.other)
    ask.peers.turn()
    told = ask.socket.told
    ask.peers.turn()
    told += ask.socket.told
    assert told == (
        mark + b"3\r\n$12\r\nsunsubscribe\r\n$1\r\nb\r\n:2\r\n"
        + mark + b"3\r\n$12\r\nsunsubscribe\r\n$4\r\n{b}x\r\n:1\r\n"
    )  # fmt: skip
    ask.view.assign(hash_slot(b"c"), ask.other)
    ask.peers.turn()
    ask.peers.turn()
    assert ask.socket.told == mark + b"3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n"
    assert ask("GET", "foo") == MOVED_FOO  # it listens no longer, so it may ask for more
    assert ask.connection.client.subscriber is None


def test_the_end_of_subscriptions_in_a_transaction(ask: Asking) -> None:
    ask("HELLO", "3")
    ask("SSUBSCRIBE", "b")
    ask("MULTI")
    ask.view.assign(B, ask.other)
    ask.peers.turn()
    assert ask("PING") == QUEUED
    assert ask("EXEC") == b"*1\r\n+PONG\r\n"
