"""Nothing that a client sends harms the server: seeded random frames and random arguments against a live one.

Throughout, another connection gets its PONG within a second, no reply and no line of the log tells of an internal
error, and once the data is flushed the memory is given back. Frames may be refused in any way; whatever answers
well-formed requests must be well-formed itself.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import Server, start_respcache
from tests.wire import OK, PONG, Error, Reply, Wire, encode

MB = 1 << 20
CONNECTIONS = 8
BATCH = 50
"""Requests sent at once; the server answers all of them before the other connection's PING."""

REQUESTS = [
    encode("PING"),
    encode("SET", "k1", "value", "EX", 100),
    encode("GET", "k1"),
    encode("MSET", "k1", "a", "k2", b"\r\n$3\r\n*"),
    encode("INCRBYFLOAT", "k3", "1.5"),
    encode("SCAN", 0, "COUNT", 10),
    encode("HELLO", 3),
    encode("CONFIG", "GET", "max*"),
    encode(b"\xff\0", b"", b"x" * 300),
    b"PING\r\n",
    b'SET k1 "\\x41 quoted" EX 10\r\n',
    b"*3\r\n$3\r\nGET\r\n+k1\r\n",
]

HEADERS = [
    *(b"*1000000000\r\n", b"*1048577\r\n", b"*-1\r\n", b"*-2147483649\r\n", b"*99999999999999999999\r\n"),
    *(b"*1\r\n$536870912\r\n", b"*1\r\n$536870913\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$9223372036854775807\r\n"),
    *(b"*2\r\n$3\r\nGET\r\n:1\r\n", b"*1\r\n*1\r\n$4\r\nPING\r\n", b"*0\r\n", b"$5\r\nhello\r\n", b"*\r\n"),
    *(b"%1\r\n+a\r\n+b\r\n", b"~1\r\n+a\r\n", b">1\r\n+a\r\n", b"#t\r\n", b",1.5\r\n", b"(1\r\n", b"_\r\n"),
    *(b"*1\r\n=8\r\ntxt:PING\r\n", b"*1\r\n%1\r\n+a\r\n+b\r\n", b"*1\r\n_\r\n", b"*1\r\n!4\r\nPING\r\n"),
    *(b"\r\n", b"\n", b"\0", b'"', b"'", b'SET "k', b"*1\n$4\nPING\n", b"* 1\r\n", b"*+1\r\n", b"*01\r\n"),
    *(b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"x" * 70_000, b"*1\r\n$4\r\nPINGxx", b"*1\r\n" * 2000),
    # What once took the two ways of reading in turns for ever, and what hiredis alone takes for a request.
    *(b"*1\0\r\n*2\r\n" + b"x" * 33_000, b"*2\r\n$3\r\nGETxx+k1\r\n*1\r\n"),
]

INTEGERS = [0, 1, -1, 2, 9, 10, 100, 127, 128, 255, 256, 1000]
INTEGERS += [
    sign * (2**bits + add) for bits in (31, 32, 53, 63, 64) for add in (-1, 0, 1) for sign in (1, -1)
]
"""No sizes from a few thousand to what `--proto-max-bulk-len 1mb` refuses: those are work, not mistakes."""

NUMBERS = [
    b"1.5",
    b"-0",
    b"1e308",
    b"-1e309",
    b"inf",
    b"-inf",
    b"nan",
    b"+5",
    b" 5",
    b"5 ",
    b"0x10",
    b"007",
    b"1_0",
]
WORDS = b"""NX XX GT LT CH EX PX EXAT PXAT KEEPTTL PERSIST GET SET COUNT MATCH TYPE COPY REPLACE DB LIMIT WITHSCORES
    WITHVALUES STORE BY ASC DESC LEN IDX MINMATCHLEN WITHMATCHLEN BEFORE AFTER LEFT RIGHT FREQ IDLETIME ENCODING
    ABSTTL ASYNC SYNC ON OFF YES NO ALL default string list ID ADDR USER HELP VERSION SAMPLES FILTERBY
    set-active-expire object error log protocol change-repl-id""".split()
BINARY = [
    b"",
    b"\0",
    b"\r\n",
    b"\xff\xfe",
    b"*1\r\n$4\r\nPING\r\n",
    b"*",
    b"[a-",
    b"\\",
    b"a" * 300,
    b"{k1}",
    b"%s%n",
]
KEYS = [b"k%d" % number for number in range(6)]

LEFT_OUT = frozenset(
    # They end or hold the server or the connection, or change what the other connection sees.
    b"shutdown debug|sleep debug|populate client|pause client|reply client|kill config|set quit multi monitor"
    b" sync psync replicaof slaveof failover migrate cluster acl auth subscribe psubscribe ssubscribe".split()
)


@dataclass
class Watched:
    """A server, and the connection that is to get its PONG at any time."""

    server: Server
    other: Wire
    memory: int

    def check(self) -> None:
        assert self.other("PING") == PONG


@contextlib.contextmanager
def watched(*options: str | int) -> Iterator[Watched]:
    """A fresh server that is watched; at the end it must be as well as it was."""
    with start_respcache("--enable-debug-command", "yes", *options) as server:
        with Wire(server.port, timeout=1) as other:
            watch = Watched(server, other, resident(server))
            yield watch
            assert other("FLUSHALL", "SYNC") == OK
            watch.check()
            grown = resident(server) - watch.memory
            assert grown < 50 * MB, f"{grown / MB:.0f} MB more than at first"
        assert server.alive
        assert "Traceback" not in server.log
        assert "internal error" not in server.log


def resident(server: Server) -> int:
    """Bytes of memory of a server; 0 where the system does not tell."""
    status = Path(f"/proc/{server.pid}/status")
    return int(status.read_text().partition("VmRSS:")[2].split()[0]) * 1024 if status.exists() else 0


@pytest.fixture(scope="module")
def live() -> Iterator[Watched]:
    """One server for the tests that send one thing each."""
    with watched() as watch:
        yield watch


def mutate(rng: random.Random) -> bytes:
    """A request with something wrong about it, or a few."""
    data = bytearray(rng.choice(REQUESTS if rng.random() < 0.7 else HEADERS))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(8):
            case 0:
                data[at:at] = rng.randbytes(rng.randrange(1, 20))
            case 1:
                del data[at : at + rng.randrange(1, 8)]
            case 2 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 3:
                del data[at:]
            case 4:
                data[at:at] = rng.choice(HEADERS)
            case 5:
                data[at:at] = rng.choice(REQUESTS)
            case 6:
                data[at:at] = b"%d" % rng.choice(INTEGERS)
            case 7:
                data[at:at] = rng.choice(b"*$:+-_#,(!=%~>|\r\n").to_bytes()
    return bytes(data)


def drain(wire: Wire) -> bool:
    """Throws away what has arrived; whether the connection is still good for something."""
    with contextlib.suppress(BlockingIOError):
        wire._socket.setblocking(False)
        try:
            while received := wire._socket.recv(1 << 16):
                assert b"internal error" not in received, received[-500:]
        except ConnectionError:
            return False
        return bool(received)
    return True


def send_frames(watch: Watched, count: int, seed: int) -> None:
    """Sends malformed frames over several connections, each of which lasts until the server has had enough."""
    rng = random.Random(seed)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(watch.server.port)) for _ in range(CONNECTIONS)]
        for number in range(count):
            at = rng.randrange(CONNECTIONS)
            try:
                wires[at].raw(mutate(rng))
                fine = drain(wires[at])
            except OSError:
                fine = False
            if not fine or rng.random() < 0.05:
                wires[at].close()
                wires[at] = stack.enter_context(Wire(watch.server.port))
            if number % BATCH == 0:
                watch.check()


def argument(rng: random.Random) -> bytes:
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(KEYS)
    if kind < 0.6:
        return b"%d" % rng.choice(INTEGERS)
    if kind < 0.68:
        return rng.choice(NUMBERS)
    if kind < 0.88:
        return rng.choice(WORDS)
    return rng.choice(BINARY) if kind < 0.96 else rng.randbytes(rng.randrange(40))


def declared(wire: Wire) -> list[tuple[list[bytes], int]]:
    """Each command that may be tried: the words of its name, and its arity."""
    found: list[tuple[list[bytes], int]] = []
    for row in wire("COMMAND"):
        name = row[0]
        for called, arity, flags, *_ in (row, *row[9]):
            blocks = any(flag.text == "blocking" for flag in flags)
            if not (LEFT_OUT & {name, called} or blocks or (called == name and row[9])):
                found.append((called.split(b"|"), arity))
    return found


def request(rng: random.Random, commands: list[tuple[list[bytes], int]]) -> list[bytes]:
    words, arity = rng.choice(commands)
    fitting = max(abs(arity) - len(words), 0)
    count = fitting if arity > 0 else fitting + rng.choice((0, 0, 1, 1, 2, 3, 4, 6))
    if rng.random() < 0.05:
        count = rng.randrange(12)
    made = [*words, *(argument(rng) for _ in range(count))]
    name = b"|".join(made[:2]).lower()
    return [b"PING"] if name in LEFT_OUT else made


def unblocked(watch: Watched, wire: Wire) -> Reply:
    """The next reply of a connection, which may have been sent a command that blocks."""
    while not wire.readable:
        for line in watch.other("CLIENT", "LIST").splitlines():
            fields = dict(field.split(b"=", 1) for field in line.split())
            if b"b" in fields[b"flags"]:
                watch.other("CLIENT", "UNBLOCK", fields[b"id"])
    return wire.read()


def send_arguments(watch: Watched, count: int, seed: int) -> None:
    """Sends well-formed requests with arguments of all kinds and reads each reply."""
    rng = random.Random(seed)
    commands = declared(watch.other)
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(watch.server.port)) for _ in range(CONNECTIONS)]
        for number in range(count // BATCH):
            at = rng.randrange(CONNECTIONS)
            batch = [request(rng, commands) for _ in range(BATCH)]
            marker = b"end of batch %d" % number
            try:
                wires[at].raw(b"".join(encode(*one) for one in [*batch, [b"PING", marker]]))
                replies = []
                while (reply := unblocked(watch, wires[at])) != marker:
                    replies.append(reply)
            except TimeoutError:
                pytest.fail(f"no reply to request {len(replies)} of {batch}")
            for one, reply in zip(batch, replies, strict=False):
                assert not (isinstance(reply, Error) and "internal error" in reply.text), one
            watch.check()
            if number % 20 == 0:
                wires[at].close()
                wires[at] = stack.enter_context(Wire(watch.server.port))
                assert watch.other("FLUSHALL") == OK


Attack = Callable[[Watched, int, int], None]
ATTACKS = pytest.mark.parametrize(
    ("attack", "options"), [(send_frames, ()), (send_arguments, ("--proto-max-bulk-len", "1mb"))]
)


@ATTACKS
def test_random(attack: Attack, options: tuple[str, ...]) -> None:
    with watched(*options) as watch:
        attack(watch, 10_000, 1)


@pytest.mark.long
@ATTACKS
def test_random_for_long(attack: Attack, options: tuple[str, ...]) -> None:
    with watched(*options) as watch:
        attack(watch, 500_000, 2)


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: repr(header[:24]))
def test_one_by_one(live: Watched, header: bytes) -> None:
    """Each of the frames torn at each byte, whole, behind a good request, and before others."""
    for frame in [header[:end] for end in range(1, min(len(header), 40))] + [header, REQUESTS[1] + header]:
        with Wire(live.server.port) as wire:
            wire.raw(frame)
            wire.raw(encode("PING") * 3)
            live.check()


@pytest.mark.parametrize(
    "command",
    [
        ("SETRANGE", "k", 4294967296, "x"),
        ("SETRANGE", "k", 2**63 - 1, "x"),
        ("GETRANGE", "k", -(2**63), 2**63 - 1),
        ("SET", "k", "v", "EX", 2**63 - 1),
        ("SET", "k", "v", "PXAT", -(2**63)),
        ("EXPIRE", "k", -(2**63)),
        ("SCAN", 2**64 - 1, "COUNT", 2**63 - 1),
        ("SCAN", 0, "MATCH", "*a" * 200 + "b"),
        ("KEYS", "[" * 1000),
        ("LCS", "k", "k", "IDX", "MINMATCHLEN", -(2**63)),
        ("SELECT", 2**31),
        ("OBJECT", "ENCODING"),
        ("\0",),
        ("",),
    ],
    ids=lambda command: b" ".join(str(word).encode()[:20] for word in command).decode(),
)
def test_arguments_at_the_edge(live: Watched, command: tuple[str | int, ...]) -> None:
    with Wire(live.server.port, timeout=1) as wire:
        assert wire("SET", "k", "a" * 50) == OK
        reply = wire(*command)
        assert not (isinstance(reply, Error) and "internal error" in reply.text)
        assert wire("PING") == PONG
