"""What could hold everybody up: `python -m benchmarks.worst [--size 1000000] [--clients 10000]`.

Prints a Markdown table, one row for each operation, with respcache and redis-server side by side:

1. Something big is deleted, overwritten, flushed or expires. From then on until the server has come to rest a second
   connection sends PING about every millisecond: its longest wait is how long the loop was held. The best of
   several tries is taken, since whatever else the machine does only adds to it.
2. HSCAN, SSCAN and ZSCAN walk a collection, and one a hundredth as big.
3. Very many clients block on a key, or are subscribed to a channel.

Each server runs on one core, the prober on another. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter

from benchmarks.generator import LoadError, cpu_seconds, encode, exchange
from benchmarks.load import NAMES, Server, cores, environment, installed, pinned, table, unwind_on_sigterm

BATCH = 500
PING = encode(b"PING")
PING_PAUSE = 0.001
LOOK_SECONDS = 0.25
AT_REST = 0.2
"""Share of a core below which a server that answers PINGs does nothing else."""
LIMIT_SECONDS = 60.0
LEAD_MS = 400
"""From the command that makes a key mortal to its end."""
IDLE_SECONDS = 3.0
SCAN_COUNT = 100
KEY = b"big"

Fill = Callable[[int], Iterator[bytes]]
"""Makes the encoded commands that fill a server with so many elements."""


def member(number: int) -> bytes:
    """A member of 14 bytes."""
    return b"member%08d" % number


def _packed(name: bytes, element: Callable[[int], tuple[bytes, ...]]) -> Fill:
    """One command for each `BATCH` elements."""

    def fill(size: int) -> Iterator[bytes]:
        for first in range(0, size, BATCH):
            some = range(first, min(first + BATCH, size))
            yield encode(name, KEY, *(word for number in some for word in element(number)))

    return fill


def _keys(size: int) -> Iterator[bytes]:
    return (encode(b"SET", b"key:%012d" % number, b"v%09d" % number) for number in range(size))


def _stream(size: int) -> Iterator[bytes]:
    return (encode(b"XADD", KEY, b"%d-1" % (n + 1), b"field", b"value%08d" % n) for n in range(size))


FILLS: dict[str, Fill] = {
    "set": _packed(b"SADD", lambda n: (member(n),)),
    "hash": _packed(b"HSET", lambda n: (member(n), b"value%08d" % n)),
    "sorted set": _packed(b"ZADD", lambda n: (b"%d" % (n * 7919 % 1_000_003), member(n))),
    "list": _packed(b"RPUSH", lambda n: (member(n),)),
    "stream": _stream,
    "keys": _keys,
}
LINES = {"stream": 2}
"""Of the reply to one command of a fill, where that is not 1."""


@dataclass(frozen=True, slots=True)
class Case:
    """Something that takes long if it is done in one go."""

    label: str
    fill: str
    act: bytes
    """Encoded commands, `lines` lines of reply in all."""
    lines: int = 1
    share: float = 1.0
    """Of `--size`."""
    lead_ms: int = 0
    """When it begins after the command."""
    new: bool = False
    """A command that redis-server knows from 7.4 on only."""


DEL = encode(b"DEL", KEY)
PEXPIRE = encode(b"PEXPIRE", KEY, b"%d" % LEAD_MS)
CASES = (
    Case("DEL of a set", "set", DEL),
    Case("DEL of a hash", "hash", DEL),
    Case("DEL of a sorted set", "sorted set", DEL),
    Case("DEL of a list", "list", DEL),
    Case("DEL of a stream", "stream", DEL, share=0.3),
    Case("UNLINK of a set", "set", encode(b"UNLINK", KEY)),
    Case("SET over a set", "set", encode(b"SET", KEY, b"")),
    Case("FLUSHALL ASYNC of keys", "keys", encode(b"FLUSHALL", b"ASYNC")),
    Case("FLUSHALL of keys", "keys", encode(b"FLUSHALL")),
    Case("a list expires", "list", PEXPIRE, lead_ms=LEAD_MS),
    Case("a hash expires", "hash", PEXPIRE, lead_ms=LEAD_MS),
    Case("all fields of a hash expire", "hash", b"", lead_ms=LEAD_MS, new=True),
)


# What is freed


def fill(server: Server, kind: str, size: int) -> None:
    """Fills an empty server."""
    with server.connect() as connection:
        exchange(connection, encode(b"FLUSHALL", b"SYNC"), 1)
        commands = FILLS[kind](size)
        lines = LINES.get(kind, 1)
        while chunk := list(islice(commands, BATCH)):
            exchange(connection, b"".join(chunk), lines * len(chunk))


def timed(connection: socket.socket, request: bytes, lines: int = 1) -> float:
    """Seconds until the reply has come."""
    started = perf_counter()
    exchange(connection, request, lines)
    return perf_counter() - started


def rest(server: Server, probing: socket.socket, least: float) -> list[float]:
    """Sends PINGs for `least` seconds, and on until the server is at rest; how long each waited."""
    gaps: list[float] = []
    began = looked = perf_counter()
    spent = cpu_seconds(server.pid)
    while True:
        gaps.append(timed(probing, PING))
        now = perf_counter()
        if now - looked > LOOK_SECONDS:
            before, spent = spent, cpu_seconds(server.pid)
            if now - began > least and (spent - before) / (now - looked) < AT_REST:
                return gaps
            looked = now
        if now - began > LIMIT_SECONDS:
            raise LoadError("the server does not come to rest")
        time.sleep(PING_PAUSE)


def hold(server: Server, case: Case, size: int) -> float:
    """One try: the longest wait of a PING, in ms."""
    count = int(size * case.share)
    fill(server, case.fill, count)
    with server.connect() as acting, server.connect() as probing:
        rest(server, probing, 0)
        if case.act:
            acting.sendall(case.act)
        else:
            mortal(acting, count)
        gaps = rest(server, probing, case.lead_ms / 1e3 + 2 * LOOK_SECONDS)
        if case.act:
            exchange(acting, b"", case.lines)
    return max(gaps) * 1e3


def mortal(connection: socket.socket, count: int) -> None:
    """Gives all fields of the hash the same last moment."""
    moment = time.time() + 4.0 * count / 1e6 + LEAD_MS / 1e3
    for first in range(0, count, BATCH):
        some = range(first, min(first + BATCH, count))
        words = [b"%d" % (moment * 1e3), b"FIELDS", b"%d" % len(some), *map(member, some)]
        exchange(connection, encode(b"HPEXPIREAT", KEY, *words), 1 + len(some))
    time.sleep(max(0.0, moment - LEAD_MS / 1e3 - time.time()))


# Scans


def walk(server: Server, command: bytes, kind: str, size: int) -> float:
    """A full walk: the server's CPU for each call in us."""
    fill(server, kind, size)
    cursor, calls = b"0", 0
    with server.connect() as connection, connection.makefile("rb") as replies:
        rest(server, connection, 2 * LOOK_SECONDS)  # what was there before is freed
        spent = cpu_seconds(server.pid)
        while not calls or cursor != b"0":
            connection.sendall(encode(command, KEY, cursor, b"COUNT", b"%d" % SCAN_COUNT))
            head = [replies.readline() for _ in range(4)]  # *2, the cursor's length, the cursor, the elements
            if not head[0].startswith(b"*2"):
                raise LoadError(f"{command.decode()}: {head[0].decode()}")
            for _ in range(2 * int(head[3][1:])):
                replies.readline()
            calls += 1
            cursor = head[2].rstrip()
        return (cpu_seconds(server.pid) - spent) / calls * 1e6


# Crowds


@contextlib.contextmanager
def crowd(server: Server, clients: int, greet: Callable[[int], bytes]) -> Iterator[list[socket.socket]]:
    """So many connections; each has sent what `greet` tells."""
    with contextlib.ExitStack() as stack:
        with server.connect() as asking:
            exchange(asking, encode(b"CONFIG", b"SET", b"maxclients", b"%d" % (clients + 100)), 1)
        made = []
        for number in range(clients):
            connection = stack.enter_context(server.connect())
            connection.sendall(greet(number))
            made.append(connection)
        yield made


def load(server: Server, seconds: float) -> float:
    """What a server that is left alone takes, in percent of a core."""
    spent = cpu_seconds(server.pid)
    time.sleep(seconds)
    return (cpu_seconds(server.pid) - spent) / seconds * 100


def blocked(server: Server, clients: int) -> tuple[float, float, float]:
    """Clients block on a key, every other one with a timeout far away.

    The server's CPU in percent of a core, how many ms a push takes to serve the first of them, and how long a PING
    waits at most while all go.
    """

    def greet(number: int) -> bytes:
        return encode(b"BLPOP", b"queue", b"1000" if number & 1 else b"0")

    with server.connect() as probing:
        exchange(probing, encode(b"FLUSHALL"), 1)
        with crowd(server, clients, greet) as waiting:
            time.sleep(1)
            idle = load(server, IDLE_SECONDS)
            served = []
            for first in waiting[:5]:
                started = perf_counter()
                exchange(probing, encode(b"RPUSH", b"queue", b"x"), 1)
                exchange(first, b"", 5)
                served.append(perf_counter() - started)
        return idle, min(served) * 1e3, max(rest(server, probing, LOOK_SECONDS)) * 1e3


def published(server: Server, clients: int) -> tuple[float, float]:
    """Clients subscribe to a channel: the ms until PUBLISH is answered, and until the last one has the message."""
    with server.connect() as talking:
        with crowd(server, clients, lambda _: encode(b"SUBSCRIBE", b"news")) as listening:
            for each in listening:
                exchange(each, b"", 6)
            answered, arrived = [], []
            for _ in range(5):
                started = perf_counter()
                exchange(talking, encode(b"PUBLISH", b"news", b"x" * 100), 1)
                answered.append(perf_counter() - started)
                for each in listening:
                    exchange(each, b"", 7)
                arrived.append(perf_counter() - started)
        rest(server, talking, 0)
    return min(answered) * 1e3, min(arrived) * 1e3


# The table


def version(server: Server) -> tuple[int, ...]:
    """Of the Redis that a server is or speaks like."""
    with server.connect() as connection:
        told = exchange(connection, encode(b"INFO", b"server"), 4).partition(b"redis_version:")[2]
    return tuple(int(number) for number in told.split(b"\r\n")[0].split(b"."))


def measure(server: Server, options: argparse.Namespace) -> Iterator[tuple[str, int, str]]:
    """One server's rows: what was done, with how many, and the figure."""
    for case in CASES:
        count = int(options.size * case.share)
        if options.only not in case.label:
            continue
        if case.new and version(server) < (7, 4):
            yield case.label, count, "-"
            continue
        best = min(hold(server, case, options.size) for _ in range(options.tries))
        yield case.label, count, f"{best:.1f}"
    for command, kind in ((b"HSCAN", "hash"), (b"SSCAN", "set"), (b"ZSCAN", "sorted set")):
        label = f"{command.decode()} COUNT {SCAN_COUNT}, CPU of a call in us"
        for count in (options.size // 100, options.size):
            if options.only in label:
                cpu = min(walk(server, command, kind, count) for _ in range(options.tries))
                yield label, count, f"{cpu:.0f}"
    if options.only:
        return
    idle, served, gone = blocked(server, options.clients)
    yield "clients blocked: CPU in % of a core", options.clients, f"{idle:.2f}"
    yield "clients blocked: a push serves the first", options.clients, f"{served:.2f}"
    yield "clients blocked: all of them hang up", options.clients, f"{gone:.1f}"
    answered, arrived = published(server, options.clients)
    yield "PUBLISH to subscribers, until the reply", options.clients, f"{answered:.1f}"
    yield "PUBLISH to subscribers, until the last one has it", options.clients, f"{arrived:.1f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one server after the other and print the table."""
    parser = argparse.ArgumentParser(prog="worst", description="The longest that anything holds the loop.")
    parser.add_argument("--size", type=int, default=1_000_000, help="elements, or keys")
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--tries", type=int, default=3, help="of each operation, of which the best counts")
    parser.add_argument("--only", default="", help="operations with this text in their label")
    parser.add_argument("--server", choices=NAMES, help="only this one")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs respcache")
    options = parser.parse_args(arguments)
    unwind_on_sigterm()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()  # it would make itself felt as a wait
    names = installed(options.server)
    rows: dict[tuple[str, int], list[str]] = {}
    try:
        server_core, load_core = cores()
        with pinned(load_core):
            for name in names:
                with Server(name, python=options.python, core=server_core) as server:
                    for label, size, figure in measure(server, options):
                        print(f"{name}: {label}, {size:,}: {figure}", file=sys.stderr, flush=True)
                        rows.setdefault((label, size), []).append(figure)
        lines = [[label, f"{size:,}", *figures] for (label, size), figures in rows.items()]
        print(table(["ms, unless told otherwise", "size", *names], lines))
        print(f"\n{environment(options.python)} The best of {options.tries}.")
    except (LoadError, OSError) as error:
        sys.exit(f"worst: {error}")


if __name__ == "__main__":
    main()
