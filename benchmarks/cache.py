"""A cache under pressure, beside redis-server: `python -m benchmarks.cache`.

A read-through cache: GET, and on a miss SET, of keys drawn by Zipf's law with exponent 1, in pipelines. The limit holds
a part of the keys, a tenth by default: for each server and policy it is what the server says it uses once that many
keys were set. Then a fresh server gets that limit and the load, half of it to warm up, the rest or a part of that
(`--measured`) to measure: the part of GETs that hit, commands per second, CPU time for each command, and the peak of
resident memory over the limit.

A run without a limit shows what evicting costs. There every key misses once, and all fit. Linux only.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from random import Random
from time import perf_counter

from benchmarks.generator import LoadError, cpu_seconds, encode, exchange
from benchmarks.load import NAMES, Server, cores, environment, installed, pinned, table, unwind_on_sigterm
from benchmarks.memory import key, value

POLICIES = ("allkeys-lru", "allkeys-lfu")
RECEIVE = 1 << 16
WARM_UP_PIPELINE = 64
SETTLE_SECONDS = 0.5  # in which a server's cron takes its turns
_HIT = len(b"$10\r\n") + len(value(0)) + 2
_MISS = len(b"$-1\r\n")


@dataclass(frozen=True, slots=True)
class Result:
    """What a run showed; the figures are those of its measured part, but for the peak."""

    hits: float
    rate: float
    """Commands per second, SETs included."""
    cpu_us: float
    peak: float
    """Bytes of resident memory at most."""
    limit: int


def zipf(keys: int, count: int, seed: int = 7) -> list[int]:
    """So many numbers below `keys`, each with a probability in inverse proportion to its rank."""
    weights = list(accumulate(1 / rank for rank in range(1, keys + 1)))
    return Random(seed).choices(range(keys), cum_weights=weights, k=count)


def read_through(connection: socket.socket, numbers: Sequence[int], pipeline: int) -> tuple[int, int]:
    """GETs keys, and SETs those that are missing. Returns the hits and the number of commands."""
    hits = 0
    for first in range(0, len(numbers), pipeline):
        batch = numbers[first : first + pipeline]
        connection.sendall(b"".join([b"*2\r\n$3\r\nGET\r\n$16\r\n%b\r\n" % key(number) for number in batch]))
        missing = [number for number, hit in zip(batch, _replies(connection, len(batch)), strict=True) if not hit]
        hits += len(batch) - len(missing)
        if missing:
            sets = [b"*3\r\n$3\r\nSET\r\n$16\r\n%b\r\n$10\r\n%b\r\n" % (key(n), value(n)) for n in set(missing)]
            exchange(connection, b"".join(sets), len(sets))
    return hits, 2 * len(numbers) - hits


def _replies(connection: socket.socket, count: int) -> Iterator[bool]:
    """Whether each of so many GETs hit."""
    data = b""
    while count:
        data += connection.recv(RECEIVE)
        at = 0
        while count and len(data) - at >= _MISS:
            hit = data[at + 1] != 45
            if hit and len(data) - at < _HIT:
                break
            if data[at] != 36:
                raise LoadError(f"unexpected reply: {data[at : at + 80]!r}")
            at += _HIT if hit else _MISS
            count -= 1
            yield hit
        data = data[at:]


def configure(connection: socket.socket, policy: str, limit: int) -> None:
    """Sets the limit and the policy."""
    for name, setting in (("maxmemory-policy", policy), ("maxmemory", str(limit))):
        exchange(connection, encode(b"CONFIG", b"SET", name.encode(), setting.encode()), 1)


def used_memory(connection: socket.socket) -> int:
    """What INFO says."""
    connection.sendall(encode(b"INFO", b"memory"))
    data = b""
    while b"lazyfreed_objects" not in data:
        data += connection.recv(RECEIVE)
    found = re.search(rb"used_memory:(\d+)", data)
    if found is None:
        raise LoadError("INFO tells no used_memory")
    while not data.endswith(b"\r\n"):
        data += connection.recv(RECEIVE)
    return int(found[1])


def peak_bytes(pid: int) -> int:
    """The most resident memory that a process ever had."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) * 1024 if found else 0


def limit_for(name: str, policy: str, keys: int, options: argparse.Namespace, core: int) -> int:
    """Bytes that a server uses with so many keys."""
    with Server(name, python=options.python, core=core) as server, server.connect() as connection:
        configure(connection, policy, 1 << 40)
        for first in range(0, keys, 500):
            batch = [encode(b"SET", key(n), value(n)) for n in range(first, min(first + 500, keys))]
            exchange(connection, b"".join(batch), len(batch))
        time.sleep(SETTLE_SECONDS)
        return used_memory(connection)


def measure(
    name: str, policy: str, limit: int, numbers: Sequence[int], options: argparse.Namespace, core: int
) -> Result:
    """Runs the load on a fresh server. Raises LoadError if it takes longer than it may."""
    deadline = perf_counter() + options.seconds
    with Server(name, python=options.python, core=core) as server, server.connect() as connection:
        configure(connection, policy, limit)
        half = len(numbers) // 2
        measured = numbers[half : half + (options.measured or half)]
        _run(connection, numbers[:half], WARM_UP_PIPELINE, deadline)
        cpu, since = cpu_seconds(server.pid), perf_counter()
        hits, commands = _run(connection, measured, options.pipeline, deadline)
        cpu, took = cpu_seconds(server.pid) - cpu, perf_counter() - since
        peak = peak_bytes(server.pid)
    return Result(hits / len(measured), commands / took, cpu / commands * 1e6, peak, limit)


def _run(connection: socket.socket, numbers: Sequence[int], pipeline: int, deadline: float) -> tuple[int, int]:
    hits = commands = 0
    for first in range(0, len(numbers), 10_000):
        if perf_counter() > deadline:
            raise LoadError("the load did not end in time")
        hit, ran = read_through(connection, numbers[first : first + 10_000], pipeline)
        hits += hit
        commands += ran
    return hits, commands


def row(name: str, policy: str, result: Result, free: Result | None) -> list[str]:
    """A line of the table."""
    over = f"{result.peak / result.limit:.3f}" if result.limit else "-"
    part = f"{result.rate / free.rate:.2f} / {free.cpu_us / result.cpu_us:.2f}" if free is not None else "-"
    limit = f"{result.limit / 2**20:.0f}" if result.limit else "none"
    shown = [name, policy, limit, f"{result.hits:.4f}", f"{result.peak / 2**20:.0f}", over]
    return [*shown, f"{result.rate:,.0f}", f"{result.cpu_us:.2f}", part]


HEADER = [
    *("server", "policy", "limit MiB", "hits", "peak MiB", "peak / limit", "commands/s", "us CPU per command"),
    "of that without a limit (rate / CPU)",
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one server after the other and print the table."""
    parser = argparse.ArgumentParser(prog="cache", description="Hit ratio and throughput of a cache under pressure.")
    parser.add_argument("--keys", type=int, default=2_000_000)
    parser.add_argument("--part", type=float, default=0.1, help="of the keys that the limit holds")
    parser.add_argument("--requests", type=int, default=3_000_000, help="GETs, half of them to warm up")
    parser.add_argument("--measured", type=int, help="GETs that are measured, at most half of them")
    parser.add_argument("--pipeline", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=120.0, help="deadline of each run")
    parser.add_argument("--policy", choices=POLICIES, action="append", help="only this one")
    parser.add_argument("--server", choices=NAMES, help="only this one")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs respcache")
    options = parser.parse_args(arguments)
    unwind_on_sigterm()
    rows = []
    try:
        server_core, load_core = cores()
        numbers = zipf(options.keys, options.requests)
        held = int(options.keys * options.part)
        with pinned(load_core):
            for name in installed(options.server):
                free = measure(name, "noeviction", 0, numbers, options, server_core)
                rows.append(row(name, "-", free, None))
                for policy in options.policy or POLICIES:
                    limit = limit_for(name, policy, held, options, server_core)
                    result = measure(name, policy, limit, numbers, options, server_core)
                    rows.append(row(name, policy, result, free))
        print(table(HEADER, rows))
        print(f"\n{environment(options.python)}")
    except (LoadError, OSError) as error:
        sys.exit(f"cache: {error}")


if __name__ == "__main__":
    main()
