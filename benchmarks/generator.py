"""A load generator which polls and never sleeps: `python -m benchmarks.generator --port N --pid PID`.

A generator that sleeps in epoll, as redis-benchmark does, sleeps whenever the server is the slower side.
Every reply then wakes it, and the kernel charges the waking (in a virtual machine an inter-processor
interrupt) to the server: a quarter of its CPU at pipeline 16. This one owns a core and polls, so no server
pays for waking anybody.

Requests are encoded beforehand. Each connection has one batch of `pipeline` requests under way; its replies
are counted by their newlines, which is exact because every test's reply has a known number of lines and no
value holds a newline. An error reply, a closed connection or a missed deadline ends the run with
`LoadError`. Linux only.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import random
import select
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal

from respcache.store.slot import SLOTS, hash_slot

RAND = "__rand_int__"  # twelve random digits below `keys`: redis-benchmark's own placeholder
INDEX = "__index__"  # twelve digits of a running number; in `fill` only
VALUE = "__value__"  # `size` bytes of x
KEY = f"key:{RAND}"

POOL_REQUESTS = 60_000
POOL_BYTES = 8 << 20
FILL_CHUNK = 500
RECEIVE = 1 << 16


class LoadError(Exception):
    """The run cannot be trusted: an error reply, a lost connection, a surplus reply or a missed deadline."""


@dataclass(frozen=True, slots=True)
class Test:
    """One kind of request and the data it needs.

    `lines` is the number of newlines in one reply. `fill` is a command run `count` times before a round:
    once for each key, once for each request of the round, or a fixed number of times. A `container` is
    deleted before each round, so that all rounds start alike; without one the fill holds for all rounds.
    """

    argv: tuple[str, ...]
    lines: int
    fill: tuple[str, ...] = ()
    count: Literal["keys", "requests"] | int = 0
    container: str = ""
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run measured. Latency is a whole batch's; `cpu_us` is the server's CPU time per request."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


_STRINGS = ("SET", f"key:{INDEX}", VALUE)
_LIST = ("RPUSH", "mylist", VALUE)


def _lrange(length: int) -> Test:
    return Test(("LRANGE", "mylist", "0", str(length - 1)), 1 + 2 * length, _LIST, 600, "mylist")


# Names, keys and commands are those of redis-benchmark, but no read or pop ever misses.
TESTS = {
    "ping_inline": Test(("PING",), 1, inline=True),
    "ping": Test(("PING",), 1),
    "set": Test(("SET", KEY, VALUE), 1, _STRINGS, "keys"),
    "get": Test(("GET", KEY), 2, _STRINGS, "keys"),
    "incr": Test(("INCR", f"counter:{RAND}"), 1, ("SET", f"counter:{INDEX}", "0"), "keys"),
    "mset": Test(("MSET", *(KEY, VALUE) * 10), 1, _STRINGS, "keys"),
    "lpush": Test(("LPUSH", "mylist", VALUE), 1, container="mylist"),
    "rpush": Test(("RPUSH", "mylist", VALUE), 1, container="mylist"),
    "lpop": Test(("LPOP", "mylist"), 2, _LIST, "requests", "mylist"),
    "rpop": Test(("RPOP", "mylist"), 2, _LIST, "requests", "mylist"),
    "lrange_100": _lrange(100),
    "lrange_300": _lrange(300),
    "lrange_500": _lrange(500),
    "lrange_600": _lrange(600),
    "sadd": Test(("SADD", "myset", f"element:{RAND}"), 1, container="myset"),
    "spop": Test(("SPOP", "myset"), 2, ("SADD", "myset", f"element:{INDEX}"), "requests", "myset"),
    "hset": Test(("HSET", "myhash", f"element:{RAND}", VALUE), 1, container="myhash"),
    "zadd": Test(("ZADD", "myzset", RAND, f"element:{RAND}"), 1, container="myzset"),
    "zpopmin": Test(
        ("ZPOPMIN", "myzset"), 5, ("ZADD", "myzset", INDEX, f"element:{INDEX}"), "requests", "myzset"
    ),
}


def encode(*argv: bytes) -> bytes:
    """One request as a RESP array of bulk strings."""
    parts = [b"*%d\r\n" % len(argv)]
    parts += (b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in argv)
    return b"".join(parts)


def template(argv: Sequence[str], size: int) -> list[bytes]:
    """Arguments as bytes, with the value of `size` bytes in its place."""
    return [argument.replace(VALUE, "x" * size).encode() for argument in argv]


Slots = tuple[int, int]
"""The first and the last hash slot of a node."""

ALL_SLOTS: Slots = (0, SLOTS - 1)


def numbers(test: Test, keys: int, slots: Slots) -> list[int]:
    """The numbers below `keys` of which the test's keys belong to these slots; of a test with one key for all
    requests, all numbers."""
    patterns = [word for word in test.argv[1:2] if RAND in word]
    if slots == ALL_SLOTS or not patterns:
        return list(range(keys))
    first, last = slots
    pattern = patterns[0].replace(RAND, "%012d")
    return [number for number in range(keys) if first <= hash_slot((pattern % number).encode()) <= last]


def requests(test: Test, keys: int, size: int, seed: int = 7, slots: Slots = ALL_SLOTS) -> Iterator[bytes]:
    """Endless encoded requests of a test to a node with these slots; the same seed gives the same requests."""
    if test.inline:
        yield from itertools.repeat(b" ".join(template(test.argv, size)) + b"\r\n")
    arguments = template(test.argv, size)
    placeholder = RAND.encode()
    draw, drawn = random.Random(seed).choice, numbers(test, keys, slots)
    while True:
        yield encode(*(a.replace(placeholder, b"%012d" % draw(drawn)) for a in arguments))


def batches(test: Test, keys: int, size: int, pipeline: int, slots: Slots = ALL_SLOTS) -> list[bytes]:
    """A pool of encoded batches of `pipeline` requests each, to be sent in turn."""
    stream = requests(test, keys, size, slots=slots)
    one = len(next(stream))
    count = max(64, min(POOL_REQUESTS, POOL_BYTES // one) // pipeline)
    return [b"".join(itertools.islice(stream, pipeline)) for _ in range(count)]


def count_lines(data: bytes) -> int:
    """Newlines in received bytes.

    Raises LoadError at an error reply: `-` at the start of a line or of the bytes. A chunk may start amid a
    line, but no reply to these tests holds a minus sign except the null `$-1`, which no test expects either.
    """
    if data[0] == 45 or b"\n-" in data:
        line = next(line for line in data.split(b"\r\n") if line.startswith(b"-"))
        raise LoadError(f"error reply: {line.decode(errors='replace')}")
    return data.count(b"\n")


def cpu_seconds(pid: int) -> float:
    """CPU time a process has used, all its threads together, in seconds.

    schedstat counts nanoseconds; a kernel without it leaves /proc/PID/stat, which counts ticks of 10 ms.
    """
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        spent = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
    except FileNotFoundError:
        spent = 0
    if spent:
        return spent / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Connection:
    """A non-blocking client with at most one batch under way."""

    __slots__ = ("_poller", "_socket", "_unsent", "due", "receive", "sent_at")

    def __init__(self, port: int, poller: select.epoll) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._poller = poller
        self._unsent = memoryview(b"")
        self.receive = self._socket.recv
        self.due = 0  # lines of the batch under way still to come
        self.sent_at = 0.0
        poller.register(self._socket.fileno(), select.EPOLLIN)

    def fileno(self) -> int:
        """The socket's descriptor, by which the poller names this connection."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket; the poller forgets it by itself."""
        self._socket.close()

    def start(self, batch: bytes, lines: int) -> None:
        """Send a batch whose replies have `lines` lines in all."""
        self.due = lines
        self.sent_at = perf_counter()
        sent = self._socket.send(batch)
        if sent < len(batch):
            self._unsent = memoryview(batch)[sent:]
            self._poller.modify(self.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def flush(self) -> None:
        """Send more of a batch that the socket did not take at once."""
        self._unsent = self._unsent[self._socket.send(self._unsent) :]
        if not self._unsent:
            self._poller.modify(self.fileno(), select.EPOLLIN)


def run(
    port: int,
    pid: int,
    test: Test,
    *,
    pipeline: int = 1,
    count: int = 100_000,
    clients: int = 50,
    keys: int = 100_000,
    size: int = 10,
    seconds: float = 30.0,
    slots: Slots = ALL_SLOTS,
    sleeps: bool = False,
) -> Figures:
    """Send at least `count` requests, rounded up to whole batches, and measure the server process `pid`.

    With `sleeps` it sleeps while there is nothing to do, for who shares a core with the server. Raises LoadError if
    not all replies came within `seconds` or any was an error.
    """
    pool = batches(test, keys, size, pipeline, slots)
    total = -(-count // pipeline)
    with select.epoll() as poller:
        connections = {c.fileno(): c for c in (Connection(port, poller) for _ in range(min(clients, total)))}
        gc.disable()
        try:
            cpu = cpu_seconds(pid)
            started = perf_counter()
            latencies = _drive(
                poller,
                connections,
                itertools.islice(itertools.cycle(pool), total),
                pipeline * test.lines,
                seconds,
                nap=1.0 if sleeps else 0.0,
            )
            elapsed = perf_counter() - started
            cpu = cpu_seconds(pid) - cpu
        finally:
            gc.enable()
            for connection in connections.values():
                connection.close()
    latencies.sort()
    done = total * pipeline
    return Figures(
        requests=done,
        rps=done / elapsed,
        p50_ms=quantile(latencies, 0.5) * 1e3,
        p99_ms=quantile(latencies, 0.99) * 1e3,
        cpu_us=cpu / done * 1e6,
    )


def _drive(
    poller: select.epoll,
    connections: dict[int, Connection],
    work: Iterator[bytes],
    lines: int,
    seconds: float,
    nap: float = 0.0,
) -> list[float]:
    """Send all the work, each batch answered by `lines` lines; the batches' latencies in seconds.

    `nap` is how long it may sleep, in seconds, while nothing comes."""
    latencies: list[float] = []
    deadline = perf_counter() + seconds
    busy = 0
    data = b""
    for connection, batch in zip(connections.values(), work, strict=False):
        connection.start(batch, lines)
        busy += 1
    poll = poller.poll
    while busy:
        for fd, event in poll(nap):
            connection = connections[fd]
            if event & select.EPOLLOUT:
                connection.flush()
            if not event & ~select.EPOLLOUT:
                continue
            data = connection.receive(RECEIVE)
            if not data:
                raise LoadError("the server closed a connection")
            connection.due -= count_lines(data)
            if connection.due > 0:
                continue
            if connection.due < 0:
                raise LoadError(f"more replies than requests: {data[-80:]!r}")
            latencies.append(perf_counter() - connection.sent_at)
            if batch := next(work, b""):
                connection.start(batch, lines)
            else:
                busy -= 1
        if perf_counter() > deadline:
            raise LoadError(f"no end within {seconds:g} s; last bytes received: {data[-80:]!r}")
    return latencies


def quantile(ordered: Sequence[float], fraction: float) -> float:
    """The value below which `fraction` of an ordered, non-empty sequence lies (nearest rank)."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def exchange(connection: socket.socket, request: bytes, lines: int) -> bytes:
    """Send encoded requests on a blocking socket and return their replies, `lines` lines in all.

    Raises LoadError at an error reply or if the server closes the connection.
    """
    connection.sendall(request)
    received = []
    while lines > 0:
        data = connection.recv(RECEIVE)
        if not data:
            raise LoadError("the server closed a connection")
        lines -= count_lines(data)
        received.append(data)
    return b"".join(received)


def send_all(connection: socket.socket, commands: Iterable[bytes]) -> None:
    """Send encoded commands with one-line replies, in pipelines; raise LoadError at an error reply."""
    stream = iter(commands)
    while chunk := list(itertools.islice(stream, FILL_CHUNK)):
        exchange(connection, b"".join(chunk), len(chunk))


def prepare(port: int, test: Test, *, keys: int, size: int, count: int, slots: Slots = ALL_SLOTS) -> None:
    """Bring a server's data to where a round of `count` requests of a test starts."""
    times = {"keys": keys, "requests": count}.get(str(test.count), 0) or int(test.count)
    filled = numbers(test, times, slots) if test.count == "keys" else range(times)
    arguments = template(test.fill, size)
    placeholder = INDEX.encode()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        if test.container:
            exchange(connection, encode(b"DEL", test.container.encode()), 1)
        send_all(
            connection,
            (encode(*(a.replace(placeholder, b"%012d" % i) for a in arguments)) for i in filled),
        )


def slot_range(text: str) -> Slots:
    """`0-8191` as (0, 8191)."""
    first, _, last = text.partition("-")
    return int(first), int(last)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one test on data already prepared and print its Figures as JSON."""
    parser = argparse.ArgumentParser(prog="generator", description="Poll one server with one test.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's process, whose CPU time is read")
    parser.add_argument("--test", choices=TESTS, default="ping")
    parser.add_argument("--pipeline", type=int, default=1)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=10, help="bytes of a value")
    parser.add_argument("--seconds", type=float, default=30.0, help="fail after so long")
    parser.add_argument(
        "--slots", type=slot_range, default=ALL_SLOTS, metavar="FIRST-LAST", help="only keys of these slots"
    )
    parser.add_argument(
        "--sleeps", action="store_true", help="sleep while nothing comes, to share a core with the server"
    )
    options = parser.parse_args(arguments)
    try:
        figures = run(
            options.port,
            options.pid,
            TESTS[options.test],
            pipeline=options.pipeline,
            count=options.requests,
            clients=options.clients,
            keys=options.keys,
            size=options.size,
            seconds=options.seconds,
            slots=options.slots,
            sleeps=options.sleeps,
        )
    except (LoadError, OSError) as error:
        sys.exit(f"generator: {options.test}: {error}")
    json.dump(asdict(figures), sys.stdout)
    print()


if __name__ == "__main__":
    main()
