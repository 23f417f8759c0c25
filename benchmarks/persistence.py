"""What durability costs, beside redis-server: `python -m benchmarks.persistence [--keys N] [--only NAME]`.

Keys of 16 bytes with values of 10. For each server, printed as a Markdown table:

1. SAVE of all keys, and loading them after a kill: seconds.
2. 50 clients that each send one SET at a time, without and during BGSAVE and BGREWRITEAOF: requests per second, the
   99th percentile of the latency, and the highest resident memory over that before.
3. CPU per SET without an append-only file and with `appendfsync everysec`, at pipelines 1 and 16; requests per second
   with `always`.

The load polls on a core of its own, see `benchmarks/generator.py`. Linux only.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import re
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.generator import (
    TESTS,
    Connection,
    LoadError,
    _drive,
    batches,
    encode,
    exchange,
    quantile,
    run,
    send_all,
)
from benchmarks.load import NAMES, Server, cores, environment, installed, pinned, table, unwind_on_sigterm
from benchmarks.memory import key, resident_bytes, value

CLIENTS = 50
DEADLINE = 120.0
LEAD = 0.3
"""Seconds of load before anything is measured."""
CHECK = 64
"""Requests between two looks at whether the work in the background is done."""


def fill(server: Server, keys: int) -> None:
    """Sets so many keys."""
    with server.connect() as connection:
        connection.settimeout(DEADLINE)
        send_all(connection, (encode(b"SET", key(number), value(number)) for number in range(keys)))


def ask(server: Server, *words: bytes) -> float:
    """Seconds until the one-line reply to a request has come."""
    with server.connect() as connection:
        connection.settimeout(DEADLINE)
        since = perf_counter()
        exchange(connection, encode(*words), 1)
        return perf_counter() - since


def resident_now(pid: int) -> int:
    """Resident memory in bytes, read fast."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


class Load:
    """SETs of `CLIENTS` clients, one at a time: for two seconds, or while `command` works in the background.

    That is sent when the load has been on for a moment, and ends when `ended` says so; the figures are of that time.
    """

    def __init__(
        self, server: Server, keys: int, command: bytes = b"", ended: Callable[[], bool] = lambda: False
    ) -> None:
        self._pid = server.pid
        self._command = command
        self._ended = ended
        self._first = self._number = 0
        self._since = self._until = 0.0
        self.peak = 0
        """The highest resident memory seen."""
        pool = batches(TESTS["set"], keys, 10, 1)
        with select.epoll() as poller, server.connect() as self._control:
            connections = {c.fileno(): c for c in (Connection(server.port, poller) for _ in range(CLIENTS))}
            gc.disable()
            try:
                latencies = _drive(poller, connections, self._work(pool), 1, DEADLINE)
            finally:
                gc.enable()
                for connection in connections.values():
                    connection.close()
        self.seconds = self._until - self._since
        found = latencies[self._first :]
        self.rps = len(found) / self.seconds
        self.p99 = quantile(sorted(found), 0.99)
        """Seconds."""

    def _work(self, pool: Sequence[bytes]) -> Iterator[bytes]:
        started = perf_counter()
        for number, batch in enumerate(itertools.cycle(pool)):
            if number % CHECK == 0:
                self._until = perf_counter()
                self.peak = max(self.peak, resident_now(self._pid))
                if not self._since and self._until - started > LEAD:
                    self._since, self._first = self._until, number
                    if self._command:
                        self._control.send(encode(self._command))
                elif self._since and (self._ended() if self._command else self._until - self._since > 2):
                    return
            yield batch


def appears(pattern: str, directory: Path) -> Callable[[], bool]:
    """Whether a file has come, or been replaced, since this was called."""
    before = {path: path.stat().st_ino for path in directory.glob(pattern)}

    def enough() -> bool:
        return any(path.stat().st_ino != before.get(path) for path in directory.glob(pattern))

    return enough


def background(server: Server, keys: int, command: bytes, pattern: str, rounds: int) -> list[str]:
    """The load by itself and beside a command that works in the background until a file appears."""
    rates, waits, peaks = [], [], []
    for _ in range(rounds):
        alone = Load(server, keys)
        before = resident_bytes(server.pid)
        beside = Load(server, keys, command, appears(pattern, server.directory))
        time.sleep(0.5)
        rates.append(beside.rps / alone.rps)
        waits.append((beside.p99 / alone.p99, alone.p99, beside.p99, beside.seconds))
        peaks.append(beside.peak / before)
    ratio, idle, busy, seconds = sorted(waits)[len(waits) // 2]
    return [
        f"{median(rates):.2f}",
        f"{ratio:.2f} ({idle * 1e3:.2f} to {busy * 1e3:.2f} ms)",
        f"{median(peaks):.2f}",
        f"{seconds:.2f} s",
    ]


def files(name: str, options: argparse.Namespace) -> dict[str, str]:
    """SAVE, loading, BGSAVE under load."""
    with Server(name, python=options.python, core=options.cores[0]) as server, pinned(options.cores[1]):
        fill(server, options.keys)
        save = median(ask(server, b"SAVE") for _ in range(3))
        rows = dict(zip(BESIDE, background(server, options.keys, b"BGSAVE", "dump.rdb", options.rounds), strict=True))
        loads = []
        for _ in range(3):
            found = re.search(r"DB loaded from disk: ([\d.]+) seconds", server.restart())
            if found is None:
                raise LoadError("the log says nothing about a load")
            loads.append(float(found[1]))
    beside = {f"BGSAVE: {title}": cell for title, cell in rows.items()}
    return {"SAVE, s": f"{save:.3f}", "load, s": f"{median(loads):.3f}"} | beside


BESIDE = ("rate beside it / alone", "p99 beside it / alone", "peak memory / before", "time")
_AOF = ("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")


def rewriting(name: str, options: argparse.Namespace) -> dict[str, str]:
    """BGREWRITEAOF under load."""
    with (
        Server(name, python=options.python, core=options.cores[0], settings=_AOF) as server,
        pinned(options.cores[1]),
    ):
        fill(server, options.keys)
        cells = background(server, options.keys, b"BGREWRITEAOF", "appendonlydir/*.base.rdb", options.rounds)
    return {f"BGREWRITEAOF: {title}": cell for title, cell in zip(BESIDE, cells, strict=True)}


def appending(name: str, options: argparse.Namespace) -> dict[str, str]:
    """CPU per SET with and without an append-only file, and the rate with `always`."""
    cpu: dict[tuple[str, int], list[float]] = {}
    always: list[float] = []
    settings = {"no": (), "everysec": _AOF, "always": (*_AOF, "--appendfsync", "always")}
    servers: dict[str, Server] = {}
    try:
        for policy, words in settings.items():
            servers[policy] = Server(name, python=options.python, core=options.cores[0], settings=words)
        with pinned(options.cores[1]):
            for _ in range(options.rounds + 2):
                for policy in ("no", "everysec"):
                    server = servers[policy]
                    for pipeline in (1, 16):
                        count = 40_000 * (4 if pipeline > 1 else 1)
                        figures = run(server.port, server.pid, TESTS["set"], pipeline=pipeline, count=count)
                        cpu.setdefault((policy, pipeline), []).append(figures.cpu_us)
                server = servers["always"]
                always.append(run(server.port, server.pid, TESTS["set"], count=20_000).rps)
    finally:
        for server in servers.values():
            server.stop()
    rows = {}
    for pipeline in (1, 16):
        off, on = (median(cpu[policy, pipeline]) for policy in ("no", "everysec"))
        rows[f"SET with everysec / without, CPU, pipeline {pipeline}"] = f"{on / off:.2f} ({off:.2f} to {on:.2f} us)"
    return rows | {"SET with always, 50 clients, per second": f"{median(always):.0f}"}


PARTS = {"files": files, "rewriting": rewriting, "appending": appending}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="persistence", description="What durability costs.")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args(arguments)
    unwind_on_sigterm()
    options.cores = cores()
    names = installed(options.only)
    print(environment(options.python))
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for part in options.parts.split(","):
        for name in names:
            found[name] |= PARTS[part](name, options)
            print(f"{part} of {name} measured", file=sys.stderr)
    print(table(["", *names], [[row, *(found[name][row] for name in names)] for row in found[names[0]]]))


if __name__ == "__main__":
    main()
