"""The gate of held keys: who waits at it, and who does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from respcache.connection import Connection
from tests.unit.test_connection import Peers, Socket
from tests.wire import encode


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers(save="")
    made.state.modes.switch("held", True)
    yield made
    made.state.loop.close()


def ask(peers: Peers, *requests: str) -> tuple[Connection, Socket]:
    """A new connection on which these were said."""
    connection, sock = peers.connect()
    for words in requests:
        connection.data_received(encode(*words.split()))
    return connection, sock


def said(sock: Socket) -> bytes:
    return b"".join(sock.writes)


def let_go(peers: Peers, *keys: bytes) -> None:
    waiting, _ = peers.state.held.let_go(keys)
    for release in waiting:
        release()


def test_without_keys_nobody_waits(peers: Peers) -> None:
    assert said(ask(peers, "SET a 1", "FLUSHALL", "MULTI", "GET a", "EXEC")[1]).endswith(b"*1\r\n$-1\r\n")


@pytest.mark.parametrize(
    "words", ["GET b", "PING", "ECHO a", "DBSIZE", "CONFIG GET a", "SUBSCRIBE a", "UNWATCH"]
)
def test_who_does_not_wait(peers: Peers, words: str) -> None:
    peers.state.held.hold([b"a"])
    connection, sock = ask(peers, words)
    assert said(sock)
    assert not connection.client.paused


@pytest.mark.parametrize(
    "words", ["SET a 1", "get a", "MGET b a", "FLUSHDB", "OBJECT ENCODING a", "SWAPDB 0 1"]
)
def test_who_waits(peers: Peers, words: str) -> None:
    peers.state.held.hold([b"a", b"c"])
    connection, sock = ask(peers, words, "ECHO behind")
    assert (said(sock), connection.client.paused) == (b"", True)
    let_go(peers, b"c")  # it tries again, and waits again
    assert (said(sock), connection.client.paused) == (b"", True)
    let_go(peers, b"a")
    assert said(sock).endswith(b"behind\r\n")
    assert not connection.client.paused


def test_a_transaction(peers: Peers) -> None:
    peers.state.held.hold([b"a"])
    _, free = ask(peers, "MULTI", "SET b 1", "EXEC")
    assert said(free).endswith(b"*1\r\n+OK\r\n")
    for words in ("SET a 1", "FLUSHALL"):
        _, waits = ask(peers, "MULTI", "SET b 2", words, "EXEC")
        assert said(waits) == b"+OK\r\n" + b"+QUEUED\r\n" * 2
        assert peers.state.keyspace.databases[0].get(b"b") == b"1"
    _, alone = ask(peers, "EXEC")
    assert said(alone) == b"-ERR EXEC without MULTI\r\n"
    let_go(peers, b"a")
    assert said(waits).endswith(b"*2\r\n+OK\r\n+OK\r\n")


def test_who_has_gone_meanwhile(peers: Peers) -> None:
    peers.state.held.hold([b"a"])
    connection, sock = ask(peers, "SET a 1")
    connection.connection_lost(None)
    let_go(peers, b"a")
    assert said(sock) == b""
    assert peers.state.keyspace.databases[0].get(b"a") is None
