"""Memory for each key, and how long filling and expiring hold the loop: `python -m benchmarks.memory`.

Three measurements on each server, printed as a Markdown table:

1. Keys of 16 bytes with values of 10 are set in pipelines; the growth of resident memory is divided by their
   number.
2. Meanwhile a second connection sends one SET behind every batch, so it waits out whatever a batch makes the
   server do at once, such as growing a table. One batch in twenty goes without a pipeline, each SET timed by
   itself.
3. All keys get the same moment to expire. From just before it a connection sends PING about every millisecond
   until DBSIZE is 0: the longest wait is how long active expiry held the loop.

Servers and prober run on different cores. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import perf_counter

from benchmarks.generator import LoadError, encode, exchange, quantile, send_all
from benchmarks.load import NAMES, Server, cores, environment, installed, pinned, table, unwind_on_sigterm

BATCH = 100
SINGLE_EVERY = 20
PROBE_KEY = b"probe"
PING_PAUSE = 0.001
DBSIZE_PAUSE = 0.1
SETTLE_SECONDS = 5.0  # an allocator gives a grown table's former memory back within seconds
LEAD_SECONDS = 0.5  # PING starts so long before the keys expire


def key(number: int) -> bytes:
    """A key of 16 bytes."""
    return b"key:%012d" % number


def value(number: int) -> bytes:
    """A value of 10 bytes, different for each key and no integer, which a server might store more tightly."""
    return b"v%09d" % number


def resident_bytes(pid: int) -> int:
    """Resident memory of a process: exact from smaps_rollup, else VmRSS."""
    for source, field in (("smaps_rollup", "Rss"), ("status", "VmRSS")):
        with contextlib.suppress(OSError):
            if found := re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/{source}").read_text(), re.M):
                return int(found[1]) * 1024
    raise LoadError(f"no resident size of process {pid}")


def timed(connection: socket.socket, request: bytes) -> float:
    """Seconds until the one-line reply to a request has come."""
    started = perf_counter()
    exchange(connection, request, 1)
    return perf_counter() - started


def fill(server: Server, keys: int, deadline: float) -> tuple[list[float], list[float]]:
    """Set all the keys; the latencies in seconds of the probe's SETs and of the SETs sent one at a time."""
    probes: list[float] = []
    singles: list[float] = []
    probe = encode(b"SET", PROBE_KEY, value(0))
    with server.connect() as filling, server.connect() as probing:
        for turn, first in enumerate(range(0, keys, BATCH)):
            check(deadline, "filling")
            commands = [encode(b"SET", key(i), value(i)) for i in range(first, min(first + BATCH, keys))]
            if turn % SINGLE_EVERY == 0:
                singles += (timed(filling, command) for command in commands)
                continue
            filling.sendall(b"".join(commands))
            probes.append(timed(probing, probe))
            exchange(filling, b"", len(commands))
        exchange(probing, encode(b"DEL", PROBE_KEY), 1)
    return probes, singles


def expire(server: Server, keys: int, lead: float, deadline: float) -> tuple[list[float], float]:
    """Let all keys expire at one moment, `lead` seconds from now: the PINGs' latencies and the time to empty.

    Raises LoadError if setting the expiry took longer than the lead or the keys are not gone by the deadline.
    """
    moment = time.time() + lead
    at = b"%d" % int(moment * 1000)
    with server.connect() as asking, server.connect() as probing:
        send_all(asking, (encode(b"PEXPIREAT", key(i), at) for i in range(keys)))
        if size(asking) != keys:
            raise LoadError("keys expired before all had their moment")
        time.sleep(max(0.0, moment - LEAD_SECONDS - time.time()))
        gaps: list[float] = []
        asked = 0.0
        while True:
            check(deadline, "expiring")
            gaps.append(timed(probing, encode(b"PING")))
            if perf_counter() - asked > DBSIZE_PAUSE:
                asked = perf_counter()
                if size(asking) == 0:
                    return gaps, time.time() - moment
            time.sleep(PING_PAUSE)


def size(connection: socket.socket) -> int:
    """DBSIZE."""
    return int(exchange(connection, encode(b"DBSIZE"), 1)[1:])


def check(deadline: float, what: str) -> None:
    """Raise LoadError once the deadline (of perf_counter) has passed."""
    if perf_counter() > deadline:
        raise LoadError(f"{what} did not end in time")


def measure(server: Server, keys: int, seconds: float) -> list[str]:
    """One column of the table, in the order of `labels`. LoadError if a part takes longer than `seconds`."""
    before = resident_bytes(server.pid)
    started = perf_counter()
    probes, singles = fill(server, keys, started + seconds)
    took = perf_counter() - started
    time.sleep(SETTLE_SECONDS)
    grown = resident_bytes(server.pid) - before
    lead = 2 * took + 1
    gaps, emptied = expire(server, keys, lead, perf_counter() + lead + seconds)
    return [
        f"{grown / keys:.0f}",
        f"{grown / 2**20:.0f}",
        *milliseconds(probes),
        *milliseconds(singles),
        *milliseconds(gaps),
        f"{emptied:.1f}",
    ]


def milliseconds(latencies: Iterable[float]) -> list[str]:
    """Median, 99th percentile and maximum."""
    ordered = sorted(latencies)
    return [f"{quantile(ordered, fraction) * 1e3:.2f}" for fraction in (0.5, 0.99, 1.0)]


def labels(keys: int) -> list[str]:
    """The first column of the table."""
    return [
        "resident bytes per key",
        f"resident MiB for {keys:,} keys",
        *(f"SET beside a pipelined fill, {which} (ms)" for which in ("median", "p99", "slowest")),
        *(f"SET by itself while filling, {which} (ms)" for which in ("median", "p99", "slowest")),
        *(f"PING while {keys:,} keys expire, {which} (ms)" for which in ("median", "p99", "longest")),
        "all keys gone after (s)",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one server after the other and print the table."""
    parser = argparse.ArgumentParser(
        prog="memory", description="Memory per key; stalls while filling and expiring."
    )
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=120.0, help="deadline of filling and of expiring")
    parser.add_argument("--server", choices=NAMES, help="only this one")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs respcache")
    options = parser.parse_args(arguments)
    unwind_on_sigterm()
    names = installed(options.server)
    columns = [labels(options.keys)]
    try:
        server_core, load_core = cores()
        with pinned(load_core):
            for name in names:
                with Server(name, python=options.python, core=server_core) as server:
                    columns.append(measure(server, options.keys, options.seconds))
        print(table(["", *names], list(zip(*columns, strict=True))))
        print(f"\n{environment(options.python)}")
    except (LoadError, OSError) as error:
        sys.exit(f"memory: {error}")


if __name__ == "__main__":
    main()
