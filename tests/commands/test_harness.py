"""The harness itself: exact decoding, clean servers, no process left behind."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.conftest import Connect
from tests.conftest import SharedServer
from tests.servers import HAVE_ORACLE, ROOT, Server, start_redis
from tests.wire import (
    NULL,
    NULL_ARRAY,
    NULL_BULK,
    OK,
    Attributed,
    BigNumber,
    Bool,
    Double,
    Error,
    Map,
    Pair,
    ProtocolError,
    Push,
    Reply,
    Set,
    Status,
    Verbatim,
    Wire,
    encode,
    members,
    pairs,
)

needs_oracle = pytest.mark.skipif(not HAVE_ORACLE, reason="starts a redis-server")

# Decoding.


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket]]:
    """A wire and the server's end of its connection."""
    near, far = socket.socketpair()
    with far, Wire(0, sock=near, timeout=0.2) as wire:
        yield wire, far


REPLIES: list[tuple[bytes, Reply]] = [
    (b"+OK\r\n", Status("OK")),
    (b"-ERR no\r\n", Error("ERR no")),
    (b":-7\r\n", -7),
    (b"$2\r\nOK\r\n", b"OK"),
    (b"$4\r\na\r\nb\r\n", b"a\r\nb"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", NULL_BULK),
    (b"*-1\r\n", NULL_ARRAY),
    (b"_\r\n", NULL),
    (b"*0\r\n", []),
    (b"*2\r\n:1\r\n*1\r\n$-1\r\n", [1, [NULL_BULK]]),
    (b",1.10\r\n", Double("1.10")),
    (b"#t\r\n", Bool(True)),
    (b"(123\r\n", BigNumber("123")),
    (b"=7\r\ntxt:a\r\n\r\n", Verbatim("txt", b"a\r\n")),
    (b"%1\r\n+a\r\n:1\r\n", Map(((Status("a"), 1),))),
    (b"~2\r\n:1\r\n:2\r\n", Set((1, 2))),
    (b">1\r\n+m\r\n", Push((Status("m"),))),
    (b"|1\r\n+a\r\n:1\r\n:2\r\n", Attributed(Map(((Status("a"), 1),)), 2)),
]


@pytest.mark.parametrize(("data", "reply"), REPLIES, ids=[repr(data) for data, _ in REPLIES])
def test_every_type_decodes_to_its_own(ends: tuple[Wire, socket.socket], data: bytes, reply: Reply) -> None:
    wire, far = ends
    far.sendall(data * 2)
    assert wire.read() == reply
    assert wire.read() == reply
    assert wire.quiet(0.001)


def test_no_two_types_are_equal() -> None:
    alike = [Status("1"), Error("1"), b"1", 1, Double("1"), BigNumber("1"), Bool(True), Verbatim("txt", b"1")]
    alike += [[1], Set((1,)), Push((1,)), NULL, NULL_BULK, NULL_ARRAY]
    for i, one in enumerate(alike):
        assert [j for j, other in enumerate(alike) if one == other] == [i]


@pytest.mark.parametrize(
    "data",
    [b":01\r\n", b":+1\r\n", b"$-2\r\n", b"$1\r\nabc", b"?\r\n", b"\r\n", b"#1\r\n", b"%-1\r\n"],
)
def test_what_is_not_canonical_is_refused(ends: tuple[Wire, socket.socket], data: bytes) -> None:
    wire, far = ends
    far.sendall(data)
    with pytest.raises(ProtocolError):
        wire.read()


def test_waits_end(ends: tuple[Wire, socket.socket]) -> None:
    wire, far = ends
    assert wire.quiet(0.001)
    assert not wire.closed()
    with pytest.raises(TimeoutError):
        wire.read(0.001)
    far.sendall(b"+")
    assert not wire.quiet()
    assert not wire.closed()
    far.close()
    with pytest.raises(EOFError):
        wire.read()


def test_closed(ends: tuple[Wire, socket.socket]) -> None:
    wire, far = ends
    far.close()
    assert wire.closed()


def test_encode() -> None:
    assert encode("SET", b"\xff", "é") == b"*3\r\n$3\r\nSET\r\n$1\r\n\xff\r\n$2\r\n\xc3\xa9\r\n"
    assert encode(12, 1.5) == b"*2\r\n$2\r\n12\r\n$3\r\n1.5\r\n"


def test_order_can_be_set_aside() -> None:
    assert members([b"b", b"a"]) == members(Set((b"a", b"b"))) == [b"a", b"b"]
    assert pairs([b"a", 1, b"b", 2]) == pairs(Map(((b"b", 2), (b"a", 1)))) == {b"a": 1, b"b": 2}


# Fixtures.


def test_a_connection_speaks_its_protocol(c: Wire, connect: Connect, server: Server) -> None:
    assert c("SET", "k", "v") == OK
    assert connect()("GET", "k") == b"v"
    assert c("GET", "nothing") == c.null
    assert c("CONFIG", "GET", "port") == c.as_map({b"port": b"%d" % server.port})
    assert connect(protocol=2)("GET", "nothing") == NULL_BULK
    assert connect(protocol=3)("GET", "nothing") == NULL


def test_pipeline(c: Wire) -> None:
    assert c.pipeline([("SET", "n", 1), ("INCR", "n"), ("GET", "n")]) == [OK, 2, b"2"]


@pytest.mark.needs("subscribe")
def test_messages(c: Wire, connect: Connect) -> None:
    assert c("SUBSCRIBE", "news") == c.as_push([b"subscribe", b"news", 1])
    assert c.quiet()
    assert connect()("PUBLISH", "news", "x") == 1
    assert c.read_push() == [b"message", b"news", b"x"]


def test_the_server_closes(c: Wire) -> None:
    assert c("QUIT") == OK
    assert c.closed()


@pytest.mark.needs("acl", "blpop")
def test_a_reset_leaves_nothing(c: Wire, connect: Connect, target: tuple[SharedServer, int]) -> None:
    shared, _ = target
    pid = shared.server.pid
    c("SELECT", 3)
    c("SET", "k", "v")
    c("CONFIG", "SET", "maxmemory", "1gb")
    c("CONFIG", "SET", "requirepass", "secret")
    other = connect(protocol=2)
    assert other("PING") == Error("NOAUTH Authentication required.")
    assert c("CONFIG", "SET", "requirepass", "") == OK
    c("ACL", "SETUSER", "bob", "on", "nopass")
    connect().send("BLPOP", "list", 0)
    for wire in connect.opened:
        wire.close()
    shared.reset()
    assert shared.server.pid == pid
    c = connect(protocol=2)
    assert c("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"0"]
    assert c("INFO", "keyspace") == b"# Keyspace\r\n"
    assert c("ACL", "USERS") == [b"default"]
    assert c("CLIENT", "LIST").count(b"\n") == 1


def test_a_server_that_cannot_be_reset_starts_anew(
    c: Wire, connect: Connect, target: tuple[SharedServer, int]
) -> None:
    shared, _ = target
    pid = shared.server.pid
    assert c("CONFIG", "SET", "requirepass", "secret") == OK
    c.close()
    shared.reset()
    assert shared.server.pid != pid
    assert connect()("PING") == Status("PONG")


@pytest.mark.since("7.4")
def test_since_leaves_older_servers_out(server: Server) -> None:
    assert server.version >= (7, 4)


@pytest.mark.protocol(3)
def test_protocol_leaves_the_other_out(c: Wire) -> None:
    assert c("GET", "nothing") == NULL


def test_a_pair_is_told_the_same(pair: Pair) -> None:
    ours, oracle = pair
    assert pair.both("SET", "k", "v") == OK
    assert ours.protocol == oracle.protocol == pair.protocol
    oracle("SET", "k", "w")
    with pytest.raises(AssertionError, match="differ"):
        pair.both("GET", "k")


# Processes.


def _gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether the process ends in time. One that nobody waited for yet, state Z, has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


@needs_oracle
def test_a_server_ends_with_its_block() -> None:
    with start_redis() as server:
        directory = server.directory
        assert directory.is_dir()
        assert "Ready to accept connections" in server.log
    assert not server.alive
    assert not directory.exists()


@needs_oracle
def test_a_killed_server_starts_again_where_it_was() -> None:
    with start_redis("--appendonly", "yes", "--appendfsync", "always") as server:
        with Wire(server.port) as c:
            c("SET", "k", "v")
        assert server.kill() == -signal.SIGKILL
        server.start()
        with Wire(server.port) as c:
            assert c("GET", "k") == b"v"


@needs_oracle
def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(RuntimeError, match="no-such-option"):
        start_redis("--no-such-option", "1")


@needs_oracle
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_no_server_outlives_the_tests(number: signal.Signals) -> None:
    program = (
        "import time; from tests.servers import start_redis\n"
        "server = start_redis(); print(server.pid, server.directory, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as tests:
        assert tests.stdout is not None
        pid, directory = tests.stdout.readline().split()
        tests.send_signal(number)
        tests.wait(10)
    assert _gone(int(pid))
    if number == signal.SIGINT:
        assert not Path(directory).exists()
    else:
        shutil.rmtree(directory)
