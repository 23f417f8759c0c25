"""Limits on clients: how many, how idle, how much they may send, and how much may wait for them."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import Server, start_respcache
from tests.wire import OK, PONG, Error, Wire, encode

MAX_CLIENTS = Error("ERR max number of clients reached")
MB = 1 << 20


def peak_memory(server: Server) -> int:
    """The most memory that a server ever had, in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def stat(wire: Wire, name: str) -> int:
    """A number of INFO stats."""
    return int(wire("INFO", "stats").decode().partition(f"\n{name}:")[2].split()[0])


def closes(wire: Wire, seconds: float) -> bool:
    """Whether the server closes a connection in time, whatever it has sent before."""
    wire._socket.settimeout(seconds)
    try:
        while wire._socket.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


@contextmanager
def deaf(server: Server) -> Iterator[Wire]:
    """A client with small buffers, for one that never reads."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(5)
    raw.connect(("127.0.0.1", server.port))
    with Wire(0, sock=raw) as wire:
        yield wire


def flood(wire: Wire, request: bytes, most: int = 20 * MB) -> None:
    """Sends a request again and again until the server closes the connection or takes no more."""
    many = request * (16384 // len(request))
    with contextlib.suppress(ConnectionError, TimeoutError):
        for _ in range(most // len(many)):
            wire.raw(many)


def test_maxclients() -> None:
    with start_respcache("--maxclients", 3) as server, Wire(server.port) as one, Wire(server.port) as two:
        assert one("PING") == two("PING") == PONG
        with Wire(server.port) as three:
            assert three("PING") == PONG
            with Wire(server.port) as four:
                assert four.read() == MAX_CLIENTS
                assert four.closed()
            assert three("PING") == PONG
            assert stat(one, "rejected_connections") == 1
        assert eventually(lambda: one("CLIENT", "LIST").count(b"\n") == 2)
        with Wire(server.port) as five:
            assert five("PING") == PONG


def test_two_thousand_clients() -> None:
    count = min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    with start_respcache() as server, contextlib.ExitStack() as stack:
        before = peak_memory(server)
        wires = [stack.enter_context(Wire(server.port)) for _ in range(count)]
        for wire in wires:
            wire.send("PING")
        assert all(wire.read() == PONG for wire in wires)
        assert wires[0]("CLIENT", "LIST").count(b"\n") == count
        each = (peak_memory(server) - before) / count
        assert each < 20_000, f"{each:.0f} bytes for each client"
        for wire in wires[1:]:
            wire.close()
        assert eventually(lambda: wires[0]("CLIENT", "LIST").count(b"\n") == 1)


def test_timeout() -> None:
    with start_respcache("--timeout", 1) as server, Wire(server.port) as idle, Wire(server.port) as busy:
        half = Wire(server.port)
        half.raw(b"*2\r\n$4\r\nECHO\r\n$100\r\n")
        since = time.monotonic()
        while time.monotonic() - since < 3.2:
            assert busy("PING") == PONG
            time.sleep(0.05)
        assert closes(idle, 0.1)
        assert closes(half, 0.1)
        assert busy("PING") == PONG
        half.close()


def test_timeout_of_a_client_that_never_reads() -> None:
    with start_respcache("--timeout", 1) as server, deaf(server) as wire, Wire(server.port) as busy:
        busy("SET", "k", "x" * MB)
        wire.raw(encode("GET", "k") * 20)
        since = time.monotonic()
        assert eventually(lambda: busy("CLIENT", "LIST").count(b"\n") == 1)
        assert time.monotonic() - since < 4
        assert busy("PING") == PONG


def test_who_waits_in_a_pause_is_not_idle() -> None:
    with start_respcache("--timeout", 1) as server, Wire(server.port) as wire, Wire(server.port) as busy:
        busy("CLIENT", "PAUSE", 10000, "WRITE")
        wire.send("SET", "k", "v")
        for _ in range(50):
            busy("PING")
            time.sleep(0.05)
        busy("CLIENT", "UNPAUSE")
        assert wire.read() == OK


@pytest.mark.parametrize("size", [100, 10_000, 100_000, MB])
def test_a_client_that_never_reads_is_closed_at_its_hard_limit(size: int) -> None:
    limit = ("--client-output-buffer-limit", "normal", "8mb", "0", "0")
    with start_respcache(*limit) as server, Wire(server.port) as other, deaf(server) as wire:
        other("SET", "k", "x" * size)
        before = peak_memory(server)
        flood(wire, encode("GET", "k") if size > 100 else encode("MGET", *["k"] * 10))
        assert eventually(lambda: other("CLIENT", "LIST").count(b"\n") == 1)
        assert stat(other, "client_output_buffer_limit_disconnections") == 1
        assert "overcoming of output buffer limits" in server.log
        assert peak_memory(server) - before < 8 * MB + 24 * MB


@pytest.mark.parametrize(
    ("fill", "ask"),
    [
        pytest.param(
            [("RPUSH", "k", *["x" * 1000] * 1000)],
            encode("LRANGE", "k", 0, -1),
            marks=pytest.mark.needs("rpush", "lrange"),
        ),
        ([("SET", "k", "x" * MB)], b"get k\r\n"),
        ([("SET", "k", "x" * MB)], encode("MGET", "k", "k")),
        ([("SET", "k", "x" * MB)], encode("GETRANGE", "k", 0, -1)),
        ([("SET", "k", "x" * MB)], encode("Get", "k")),
    ],
)
def test_no_pipeline_gathers_big_replies(fill: list[tuple[str, ...]], ask: bytes) -> None:
    limit = ("--client-output-buffer-limit", "normal", "8mb", "0", "0")
    with start_respcache(*limit) as server, Wire(server.port) as other, deaf(server) as wire:
        assert not any(isinstance(reply, Error) for reply in other.pipeline(fill))
        before = peak_memory(server)
        flood(wire, ask)
        assert eventually(lambda: other("CLIENT", "LIST").count(b"\n") == 1)
        assert peak_memory(server) - before < 8 * MB + 24 * MB


def test_others_are_served_promptly_meanwhile() -> None:
    limit = ("--client-output-buffer-limit", "normal", "64mb", "0", "0")
    with start_respcache(*limit) as server, Wire(server.port) as other, deaf(server) as wire:
        other("SET", "k", "x" * MB)
        wire.raw(encode("GET", "k") * 50)
        waits = []
        for _ in range(200):
            since = time.monotonic()
            assert other("PING") == PONG
            waits.append(time.monotonic() - since)
        assert sorted(waits)[190] < 0.02
        line = other("CLIENT", "LIST", "ID", other("CLIENT", "ID") + 1)
        assert int(line.partition(b" omem=")[2].split()[0]) > MB


def test_the_soft_limit_gives_time() -> None:
    limit = ("--client-output-buffer-limit", "normal", "0", "1mb", "1")
    with start_respcache(*limit) as server, Wire(server.port) as other:
        other("SET", "k", "x" * MB)
        with deaf(server) as slow, deaf(server) as never:
            for wire in (slow, never):
                wire.raw(encode("GET", "k") * 8)
            time.sleep(0.3)
            for _ in range(8):
                assert slow.read() == b"x" * MB
            assert eventually(lambda: other("CLIENT", "LIST").count(b"\n") == 2)
            assert slow("PING") == PONG
            assert stat(other, "client_output_buffer_limit_disconnections") == 1


def test_the_query_buffer_limit() -> None:
    with start_respcache("--client-query-buffer-limit", "1mb") as server, Wire(server.port) as other:
        with Wire(server.port) as wire:
            assert wire("ECHO", "x" * 900_000) == b"x" * 900_000
            with contextlib.suppress(ConnectionError):
                wire.raw(b"*2\r\n$4\r\nECHO\r\n$10000000\r\n" + b"x" * 2 * MB)
            assert closes(wire, 5)
        assert "max query buffer length" in server.log
        assert stat(other, "client_query_buffer_limit_disconnections") == 1
        other("CLIENT", "PAUSE", 10000, "WRITE")
        with Wire(server.port) as wire:
            wire.send("SET", "k", "v")
            with contextlib.suppress(ConnectionError):
                wire.raw(encode("PING") * 100_000)
            assert closes(wire, 5)
        assert other("CLIENT", "UNPAUSE") == OK
        assert other("PING") == PONG


def test_promises_allocate_nothing() -> None:
    with start_respcache() as server, Wire(server.port) as other:
        before = peak_memory(server)
        with contextlib.ExitStack() as stack:
            for request in (
                b"*1000000\r\n",
                b"*2\r\n$4\r\nECHO\r\n$500000000\r\n",
                b"*1000000\r\n$1\r\nx\r\n",
            ):
                for _ in range(20):
                    stack.enter_context(Wire(server.port)).raw(request)
            assert eventually(lambda: other("CLIENT", "LIST").count(b"\n") == 61)
            assert other("PING") == PONG
            assert peak_memory(server) - before < 10 * MB


def test_half_a_request_waits_for_the_other_half() -> None:
    with start_respcache() as server, Wire(server.port) as wire, Wire(server.port) as other:
        request = encode("SET", "k", "a value")
        for cut in range(1, len(request)):
            wire.raw(request[:cut])
            assert other("PING") == PONG
            wire.raw(request[cut:])
            assert wire.read() == OK
        assert other("GET", "k") == b"a value"


def test_a_client_that_resets_its_connection_while_it_waits() -> None:
    with start_respcache() as server, Wire(server.port) as other:
        other("CLIENT", "PAUSE", 10000, "WRITE")
        with Wire(server.port) as wire:
            wire.send("SET", "k", "v")
            assert eventually(lambda: b" flags=b " in other("CLIENT", "LIST"))
            wire._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert eventually(lambda: other("CLIENT", "LIST").count(b"\n") == 1)
        assert other("CLIENT", "UNPAUSE") == OK
        assert other("GET", "k") == other.null
        assert "Traceback" not in server.log
