"""What a server costs while nobody asks it anything: `python -m benchmarks.idle`.

Prints a Markdown table: CPU used with no client and with many idle ones, in percent of a core; the time from
starting the process to its first PONG; and how long importing respcache takes, by `-X importtime`. Linux
only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from benchmarks.generator import LoadError, cpu_seconds, encode, exchange
from benchmarks.load import NAMES, ROOT, Server, environment, installed, table, unwind_on_sigterm

MODULES = ("respcache.server", "respcache.cli")
SETTLE_SECONDS = 1.0


def idle_percent(server: Server, clients: int, seconds: float) -> float:
    """CPU the server uses with `clients` connections which have all sent one PING, in percent of a core."""
    with contextlib.ExitStack() as stack:
        for _ in range(clients):
            exchange(stack.enter_context(server.connect()), encode(b"PING"), 1)
        time.sleep(SETTLE_SECONDS)
        cpu = cpu_seconds(server.pid)
        started = time.perf_counter()
        time.sleep(seconds)
        return (cpu_seconds(server.pid) - cpu) / (time.perf_counter() - started) * 100


def startup_ms(name: str, python: str, times: int) -> float:
    """The median time from the start of the process to its first PONG."""

    def once() -> float:
        with Server(name, python=python) as server:
            return server.startup * 1e3

    return median(once() for _ in range(times))


def import_ms(module: str, python: str, times: int) -> float:
    """The median time to import a module and all it needs; LoadError if it cannot be imported."""

    def once() -> float:
        done = subprocess.run(
            [python, "-X", "importtime", "-c", f"import {module}"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        if done.returncode:
            raise LoadError(done.stderr.strip().rpartition("\n")[2])
        return cumulative_ms(done.stderr, module)

    return median(once() for _ in range(times))


def cumulative_ms(report: str, module: str) -> float:
    """A module's cumulative time in an `-X importtime` report (`import time: self | cumulative | name`)."""
    for line in report.splitlines():
        columns = line.removeprefix("import time:").split("|")
        if len(columns) == 3 and columns[2].strip() == module:
            return int(columns[1]) / 1e3
    raise LoadError(f"no {module} in the report")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one server after the other and print the table."""
    parser = argparse.ArgumentParser(
        prog="idle", description="CPU of an idle server, startup and import times."
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each idle measurement")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument(
        "--times", type=int, default=5, help="starts and imports, of which the median is printed"
    )
    parser.add_argument("--server", choices=NAMES, help="only this one")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs respcache")
    options = parser.parse_args(arguments)
    unwind_on_sigterm()
    names = installed(options.server)
    rows = [
        ["CPU, no client (% of a core)"],
        [f"CPU, {options.clients} idle clients (%)"],
        ["start to first PONG (ms)"],
    ]
    try:
        for name in names:
            with Server(name, python=options.python) as server:
                rows[0].append(f"{idle_percent(server, 0, options.seconds):.2f}")
                rows[1].append(f"{idle_percent(server, options.clients, options.seconds):.2f}")
            rows[2].append(f"{startup_ms(name, options.python, options.times):.0f}")
        if "respcache" in names:
            for module in MODULES:
                taken = f"{import_ms(module, options.python, options.times):.0f}"
                rows.append(
                    [f"import {module} (ms)", *(taken if name == "respcache" else "" for name in names)]
                )
        print(table(["", *names], rows))
        print(f"\n{environment(options.python)}")
    except (LoadError, OSError, subprocess.TimeoutExpired) as error:
        sys.exit(f"idle: {error}")


if __name__ == "__main__":
    main()
