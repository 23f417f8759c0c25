"""Connections without sockets: bytes in, bytes out, however they are cut."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from respcache.connection import PIECE, Connection
from respcache.registry import REGISTRY
from respcache.server import Server
from respcache.state import BIG
from tests.wire import encode

PONG = b"+PONG\r\n"


class Socket:
    """A transport that remembers what is written."""

    def __init__(self, peer: str = "127.0.0.1") -> None:
        self.peer = (peer, 1234)
        self.writes: list[bytes] = []
        self.waiting = 0  # bytes that the peer is said not to have taken
        self.closed = self.aborted = False

    def get_extra_info(self, name: str) -> object:
        return {"peername": self.peer, "sockname": ("127.0.0.1", 6379)}.get(name)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def set_write_buffer_limits(self, high: int) -> None:
        assert high == 0

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    @property
    def told(self) -> bytes:
        """All that was written since the last time."""
        told = b"".join(self.writes)
        self.writes.clear()
        return told


class Peers:
    """A server that listens to nobody, and connections to it."""

    def __init__(self, **directives: Any) -> None:
        self.server = Server(port=0, **directives)
        self.state = self.server.state
        self.state.loop = asyncio.new_event_loop()

    def connect(self, peer: str = "127.0.0.1") -> tuple[Connection, Socket]:
        connection = self.server._connection(unix=False)
        sock = Socket(peer)
        connection.connection_made(sock)  # type: ignore[arg-type]
        return connection, sock

    def turn(self) -> None:
        """One turn of the loop."""
        self.state.loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers()
    yield made
    made.state.loop.close()


@pytest.fixture
def one(peers: Peers) -> tuple[Connection, Socket]:
    return peers.connect()


# However the input is cut

TALK = (
    encode("SET", "k", "a\r\n*1\r\n+b=c")
    + encode("get", "k")
    + encode("Get", "k")
    + b"ECHO 'in line'\r\n\r\n*0\r\n*-1\r\n"
    + encode("ECHO", "")
    + encode("NOSUCH", "a")
    + encode("GET")
    + encode("CLIENT", "GETNAME")
    + encode("ECHO", "x")
    + b"*1\r\n$4\r\nPINGxx"
    + encode("ECHO", "\n=txt")
    + encode("PING")
)
ANSWER = (
    b"+OK\r\n"
    + b"$11\r\na\r\n*1\r\n+b=c\r\n" * 2
    + b"$7\r\nin line\r\n$0\r\n\r\n-ERR unknown command 'NOSUCH', with args beginning with: 'a' \r\n"
    b"-ERR wrong number of arguments for 'get' command\r\n$-1\r\n$1\r\nx\r\n+PONG\r\n$5\r\n\n=txt\r\n"
    b"+PONG\r\n"
)


def test_whole(one: tuple[Connection, Socket]) -> None:
    connection, sock = one
    connection.data_received(TALK)
    assert sock.told == ANSWER
    assert connection.input_pending == 0


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16])
def test_in_small_pieces(one: tuple[Connection, Socket], size: int) -> None:
    connection, sock = one
    for start in range(0, len(TALK), size):
        connection.data_received(TALK[start : start + size])
    assert sock.told == ANSWER


def test_cut_anywhere(one: tuple[Connection, Socket]) -> None:
    connection, sock = one
    for cut in range(1, len(TALK)):
        connection.data_received(TALK[:cut])
        connection.data_received(TALK[cut:])
        assert sock.told == ANSWER, cut
    stats = connection.server.stats.commands
    assert stats["set"].calls == len(TALK) - 1
    assert stats["ping"].calls == 2 * (len(TALK) - 1)
    assert stats["get"].rejected == len(TALK) - 1


def test_long_input_is_cut_into_pieces(one: tuple[Connection, Socket]) -> None:
    connection, sock = one
    value = b"x\r\n*1\r\n$4\r\nPING\r\n" * 100
    many = (encode("ECHO", value) + encode("PING")) * (4 * PIECE // len(value))
    connection.data_received(many)
    answer = (b"$%d\r\n%b\r\n" % (len(value), value) + PONG) * (4 * PIECE // len(value))
    assert sock.told == answer
    connection.data_received(many[:-3])
    connection.data_received(many[-3:])
    assert sock.told == answer


# What requests may not contain

UNKNOWN = b"-ERR unknown command '%b', with args beginning with: \r\n"


@pytest.mark.parametrize(
    ("garbage", "answer"),
    [
        (b"*1\r\n:5\r\n", b"-ERR Protocol error: expected '$', got ':'\r\n"),
        (b"*2\r\n$4\r\nPING\r\n*1\r\n$1\r\na\r\n", b"-ERR Protocol error: expected '$', got '*'\r\n"),
        (b"*2\r\n$4\r\nPING\r\n+a\r\n", b"-ERR Protocol error: expected '$', got '+'\r\n"),
        (b"*2\r\n$4\r\nPING\r\n=5\r\ntxt:a\r\n", b"-ERR Protocol error: expected '$', got '='\r\n"),
        (b"*2\r\n$4\r\nPING\r\n_\r\n", b"-ERR Protocol error: expected '$', got '_'\r\n"),
        (b"*2\r\n$4\r\nPING\r\n-a\r\n", b"-ERR Protocol error: expected '$', got '-'\r\n"),
        (b"*x\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*9999999999\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1\r\n$-1\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$9999999999\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b'a "b\r\n', b"-ERR Protocol error: unbalanced quotes in request\r\n"),
        (b"%1\r\n+a\r\n", UNKNOWN % b"%1" + UNKNOWN % b"+a"),
        (b"%1\r\n$1\r\na\r\n$1\r\nb\r\n", b"".join(UNKNOWN % w for w in (b"%1", b"$1", b"a", b"$1", b"b"))),
        (b"_\r\n:1\r\n#t\r\n", b"".join(UNKNOWN % w for w in (b"_", b":1", b"#t"))),
    ],
)
@pytest.mark.parametrize("before", [b"", encode("PING"), encode("nosuch")])
def test_malformed(one: tuple[Connection, Socket], before: bytes, garbage: bytes, answer: bytes) -> None:
    connection, sock = one
    connection.data_received(before + garbage)
    expected = {b"": b"", encode("PING"): PONG}.get(before, UNKNOWN % b"nosuch")
    assert sock.told == expected + answer
    assert sock.closed is (b"Protocol error" in answer)


def test_what_a_header_promises_is_not_kept(one: tuple[Connection, Socket]) -> None:
    connection, sock = one
    connection.data_received(b"*2\r\n$4\r\nECHO\r\n$400000000\r\n")
    connection.data_received(b"x")
    assert connection.input_pending < 100
    assert sock.told == b""


# Limits and the end


def test_replies_to_one_piece_are_written_at_once(one: tuple[Connection, Socket]) -> None:
    connection, sock = one
    connection.data_received(encode("PING") * 100)
    assert sock.writes == [PONG * 100]


@pytest.mark.parametrize("name", ["GET", "Get"])
def test_big_replies_are_not_gathered(one: tuple[Connection, Socket], name: str) -> None:
    connection, sock = one
    connection.data_received(encode("SET", "k", b"x" * BIG) + encode("PING"))
    sock.writes.clear()
    reply = b"$%d\r\n%b\r\n" % (BIG, b"x" * BIG)
    connection.data_received((encode("PING") + encode(name, "k")) * 3)
    assert len(sock.writes) >= 3
    assert sock.told == (PONG + reply) * 3
    assert connection.client.net_output == 10 + 3 * len(PONG + reply) + 2


def test_over_its_limit_a_pipeline_ends(peers: Peers) -> None:
    connection, sock = peers.connect()
    connection.output_limit = (5 * BIG, 0, 0)
    connection.data_received(encode("SET", "k", b"x" * BIG))
    sock.writes.clear()
    connection.pause_writing()
    sock.waiting = 6 * BIG
    connection.data_received(encode("GET", "k") * 100 + encode("SET", "k", "reached"))
    assert sock.aborted
    assert len(sock.writes) == 1
    assert peers.state.stats.output_limit_disconnections == 1
    assert peers.state.stats.commands["get"].calls == 2
    assert peers.state.clients == {}
    assert peers.state.keyspace.databases[0].get(b"k") == b"x" * BIG


@pytest.mark.parametrize("name", ["QUIT", "quit", "qUIT"])
def test_after_quit_nothing_runs(one: tuple[Connection, Socket], name: str) -> None:
    connection, sock = one
    connection.data_received(encode("PING") + encode(name) + encode("SET", "k", "v"))
    connection.data_received(encode("SET", "k", "v"))
    assert sock.told == PONG + b"+OK\r\n"
    assert sock.closed
    stats = connection.server.stats.commands
    assert (stats["ping"].calls, stats["quit"].calls, stats["set"].calls) == (1, 1, 0)


def test_a_lost_connection_is_deaf(peers: Peers) -> None:
    connection, sock = peers.connect()
    connection.connection_lost(None)
    connection.send(PONG)
    connection.release()
    connection.close()
    assert sock.told == b""
    assert peers.state.clients == {}


def test_a_bug_is_an_error_reply(
    one: tuple[Connection, Socket], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_client: object, *_arguments: bytes) -> bytes:
        raise TypeError("broken")

    connection, sock = one
    monkeypatch.setattr(connection.client.table[b"PING"], "run", broken)
    connection.data_received(encode("PING") + encode("ECHO", "a"))
    assert sock.told == b"-ERR internal error, see the log of the server\r\n$1\r\na\r\n"
    assert "broken" in caplog.text


# Who may come in


def test_protected_mode() -> None:
    peers = Peers()
    for peer in ("127.0.0.1", "127.9.9.9", "::1"):
        assert peers.connect(peer)[1].told == b""
    for peer in ("192.0.2.1", "2001:db8::1"):
        _, sock = peers.connect(peer)
        assert sock.told.startswith(b"-DENIED Redis is running in protected mode")
        assert sock.closed
    assert len(peers.state.clients) == 3
    assert peers.state.stats.rejected_connections == 2
    peers.state.loop.close()


@pytest.mark.parametrize("directives", [{"requirepass": "secret"}, {"protected_mode": False}])
def test_no_protected_mode(directives: dict[str, object]) -> None:
    peers = Peers(**directives)
    assert peers.connect("192.0.2.1")[1].told == b""
    assert len(peers.state.clients) == 1
    peers.state.loop.close()


def test_who_is_not_in_goes_the_careful_way() -> None:
    peers = Peers(requirepass="secret")
    connection, sock = peers.connect()
    connection.data_received(encode("PING") + encode("AUTH", "secret") + encode("PING"))
    assert sock.told == b"-NOAUTH Authentication required.\r\n+OK\r\n+PONG\r\n"
    connection.data_received(encode("PING") + encode("RESET") + encode("PING") + b"*11\r\n")
    assert sock.told == (
        b"+PONG\r\n+RESET\r\n-NOAUTH Authentication required.\r\n"
        b"-ERR Protocol error: unauthenticated multibulk length\r\n"
    )
    assert sock.closed
    peers.state.loop.close()


# Waiting


def test_a_pause(peers: Peers) -> None:
    (one, told), (two, _) = peers.connect(), peers.connect()
    two.data_received(encode("CLIENT", "PAUSE", 10000, "WRITE"))
    one.data_received(encode("PING") + encode("SET", "k", "v") + encode("GET", "k") + b"*2\r\n$3\r\nGE")
    one.data_received(b"T\r\n$1\r\nk\r\n")
    assert told.told == PONG
    assert one.client.paused
    two.data_received(encode("CLIENT", "UNPAUSE"))
    assert told.told == b""
    peers.turn()
    assert told.told == b"+OK\r\n$1\r\nv\r\n$1\r\nv\r\n"
    assert not one.client.paused
    assert peers.state.stats.commands["set"].calls == 1


def test_what_waits_is_limited(peers: Peers) -> None:
    (one, told), (two, _) = peers.connect(), peers.connect()
    peers.state.max_pending_input = 1000
    two.data_received(encode("CLIENT", "PAUSE", 10000, "ALL"))
    one.data_received(encode("SET", "k", "v"))
    one.data_received(b"x" * 900)
    assert not told.aborted
    one.data_received(b"x" * 200)
    assert told.aborted
    peers.state.unpause()
    peers.turn()
    assert told.told == b""


def test_a_release_with_a_reply(peers: Peers) -> None:
    (one, told), (two, _) = peers.connect(), peers.connect()
    two.data_received(encode("CLIENT", "PAUSE", 10000, "WRITE"))
    for muted in (False, True):
        if muted:
            one.data_received(encode("CLIENT", "REPLY", "SKIP"))
        one.data_received(encode("SET", "k", "v") + encode("PING"))
        one.release(b"-UNBLOCKED\r\n")
        peers.turn()
        assert told.told == (b"" if muted else b"-UNBLOCKED\r\n") + PONG


def test_the_last_command_is_known(one: tuple[Connection, Socket]) -> None:
    connection, _ = one
    for request, name in (
        (encode("PING"), "ping"),
        (encode("CLIENT", "ID"), "client|id"),
        (encode("GET", "k") + encode("client", "id"), "client|id"),
        (encode("CLIENT", "ID") + encode("GET", "k"), "get"),
        (b"*1\r\n$4", "get"),
        (b"\r\nPiNg\r\n", "ping"),
        (encode("GET"), "get"),
        (encode("Echo"), "echo"),
        (encode("CLIENT"), "client"),
    ):
        connection.data_received(request)
        assert connection.client.last is not None
        assert connection.client.last.command is REGISTRY.find(name)
    connection.data_received(encode("nosuch"))
    assert connection.client.last is None
