"""Load on respcache beside redis-server: `python -m benchmarks.load [--markdown FILE] [--chart FILE.svg]`.

Both servers run with the same settings on one core, the load on another; rounds alternate between them, so
that noise hits both, and medians are compared. The figure to trust is CPU time per command: throughput also
depends on how the generator and the machine get along. The generator matters: redis-benchmark sleeps
whenever the server is the slower side, and the server is charged for waking it. The default,
`benchmarks/generator.py`, polls and never sleeps; `--generator redis-benchmark` shows the difference. Linux
only, two cores at least.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import TracebackType

from benchmarks.generator import TESTS, Figures, LoadError, cpu_seconds, encode, exchange, prepare, template

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("respcache", "redis")
SETTINGS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
START_SECONDS = 15.0
ROUND_SECONDS = 0.7
ROUND_DEADLINE = 60.0
MOST_REQUESTS = 1_000_000


class Server:
    """A running server, respcache or redis-server, in a temporary directory; persistence is off unless `settings`
    say otherwise.

    `with Server("respcache", core=0) as server:`; terminated on leaving. `startup` is the time in seconds
    from the start of the process to its first PONG. Raises LoadError if that takes too long or the process
    ends first.
    """

    def __init__(
        self,
        name: str,
        *,
        python: str = sys.executable,
        core: int | None = None,
        settings: Sequence[str] = (),
    ) -> None:
        command = {"respcache": [python, "-m", "respcache"], "redis": ["redis-server"]}[name]
        self.name = name
        self.port = free_port()
        self._directory = tempfile.TemporaryDirectory(prefix="respcache-bench-", ignore_cleanup_errors=True)
        self.directory = Path(self._directory.name)
        """Where it works; it is gone when the server is."""
        self._command = [*command, "--port", str(self.port), *SETTINGS, *settings]
        self._core = core
        self._start()

    def _start(self) -> None:
        self._log = self.directory / "log"
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with self._log.open("wb") as log, pinned(self._core):
            started = time.perf_counter()
            self._process = subprocess.Popen(
                self._command,
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.pid = self._process.pid
        try:
            self._wait(started + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.startup = time.perf_counter() - started

    def _wait(self, deadline: float) -> None:
        while time.perf_counter() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError, LoadError), self.connect() as connection:
                exchange(connection, encode(b"PING"), 1)
                return
            time.sleep(0.001)
        tail = self._log.read_text(errors="replace")[-2000:]
        raise LoadError(f"{self.name} did not start:\n{tail}")

    def connect(self) -> socket.socket:
        """A new blocking connection without Nagle's delay."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def restart(self) -> str:
        """Kill the process and start another one in the same directory; returns what that has logged."""
        self._process.kill()
        self._process.wait()
        self._start()
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """Terminate the process, kill it if it lingers, and remove its directory."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class Row:
    """The rounds of one test at one pipeline: for each server's name its Figures."""

    test: str
    pipeline: int
    rounds: dict[str, list[Figures]]

    def median(self, server: str, field: str) -> float:
        """The median of a field of Figures over a server's rounds."""
        return float(median(getattr(figures, field) for figures in self.rounds[server]))

    def ratio(self) -> float | None:
        """CPU per command, respcache over redis-server; None unless both ran."""
        if not set(NAMES) <= self.rounds.keys():
            return None
        return self.median("respcache", "cpu_us") / self.median("redis", "cpu_us")


Generate = Callable[[Server, str, int, int, argparse.Namespace], Figures]


def poll(server: Server, test: str, pipeline: int, count: int, options: argparse.Namespace) -> Figures:
    """One round by our own generator, in a process of its own."""
    given = {
        "port": server.port,
        "pid": server.pid,
        "test": test,
        "pipeline": pipeline,
        "requests": count,
        "clients": options.clients,
        "keys": options.keys,
        "size": options.size,
        "seconds": ROUND_DEADLINE,
    }
    command = [sys.executable, "-m", "benchmarks.generator", *(f"--{k}={v}" for k, v in given.items())]
    return Figures(**json.loads(output(command)))


def redis_benchmark(
    server: Server, test: str, pipeline: int, count: int, options: argparse.Namespace
) -> Figures:
    """One round by redis-benchmark; the CPU time includes accepting its connections."""
    command = ["redis-benchmark", "--csv", "--precision", "3", "-h", "127.0.0.1"]
    given = {"-p": server.port, "-P": pipeline, "-n": count, "-c": options.clients, "-r": options.keys}
    for flag, value in given.items():
        command += [flag, str(value)]
    argv = [argument.decode() for argument in template(TESTS[test].argv, options.size)]
    cpu = cpu_seconds(server.pid)
    text = output([*command, *(["-t", test] if TESTS[test].inline else argv)])
    return parse_csv(text, count, cpu_seconds(server.pid) - cpu)


def parse_csv(text: str, count: int, cpu: float) -> Figures:
    """Figures from what `redis-benchmark --csv` (6.2 or later) prints for one test of `count` requests."""
    row = next(csv.DictReader(text[text.index('"test"') :].splitlines()))
    return Figures(
        requests=count,
        rps=float(row["rps"]),
        p50_ms=float(row["p50_latency_ms"]),
        p99_ms=float(row["p99_latency_ms"]),
        cpu_us=cpu / count * 1e6,
    )


GENERATORS: dict[str, Generate] = {"poll": poll, "redis-benchmark": redis_benchmark}


def output(command: list[str]) -> str:
    """What a command prints; LoadError with its complaint if it fails or does not end."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=ROUND_DEADLINE + 10)
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"{command[0]} did not end within {error.timeout:g} s") from None
    if done.returncode:
        raise LoadError(done.stderr.strip()[-2000:])
    return done.stdout


def measure(
    servers: Sequence[Server], test: str, pipeline: int, generate: Generate, options: argparse.Namespace
) -> Row:
    """All rounds of one test. A short one first warms each server and sets how many requests a round has."""

    def one(server: Server, count: int) -> Figures:
        if TESTS[test].container:
            prepare(server.port, TESTS[test], keys=options.keys, size=options.size, count=count)
        return generate(server, test, pipeline, count, options)

    if not TESTS[test].container:
        for server in servers:
            prepare(server.port, TESTS[test], keys=options.keys, size=options.size, count=0)
    pilot = pipeline * max(5 * options.clients, 2000 // pipeline)
    slowest = min(one(server, pilot).rps for server in servers)
    count = options.requests or min(MOST_REQUESTS, max(pilot, int(slowest * ROUND_SECONDS)))
    count = -(-count // pipeline) * pipeline
    row = Row(test, pipeline, {server.name: [] for server in servers})
    for number in range(options.rounds):
        for server in servers if number % 2 == 0 else servers[::-1]:
            row.rounds[server.name].append(one(server, count))
    return row


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned Markdown table: the first column to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(header))]

    def join(cells: Sequence[str]) -> str:
        padded = [c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([join(header), join(rule), *map(join, rows)])


def headings(names: Sequence[str]) -> list[str]:
    """The header of the results' table for these servers."""
    heads = ["test", "pipeline"]
    for name in names:
        heads += [f"{name} req/s", "p50 ms", "p99 ms", "CPU us"]
    return [*heads, "CPU ratio"] if len(names) == len(NAMES) else heads


def cells(row: Row, names: Sequence[str]) -> list[str]:
    """One row of the results' table: medians, and the ratio of the medians of CPU time."""
    texts = [row.test, str(row.pipeline)]
    for name in names:
        texts.append(f"{row.median(name, 'rps'):,.0f}")
        texts += (f"{row.median(name, field):.2f}" for field in ("p50_ms", "p99_ms", "cpu_us"))
    ratio = row.ratio()
    return texts if ratio is None else [*texts, f"{ratio:.2f}"]


def overview(rows: Sequence[Row]) -> str:
    """A line for each test: CPU microseconds of both servers and their ratio, side by side for each pipeline."""
    pipelines = sorted({row.pipeline for row in rows})
    header = ["CPU us per command", *(f"pipeline {pipeline}" for pipeline in pipelines)]
    lines: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row.pipeline):
        ours, redis = (row.median(name, "cpu_us") for name in NAMES)
        lines.setdefault(row.test, [row.test]).append(f"{ours:.2f} / {redis:.2f} = {ours / redis:.2f}")
    return table(header, [lines[test] for test in dict.fromkeys(row.test for row in rows)])


def environment(python: str) -> str:
    """One line that names the machine and the versions the figures belong to."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    versions = [output([python, "-V"]).strip()]
    if shutil.which("redis-server"):
        words = output(["redis-server", "--version"]).split()
        versions.append("redis-server " + next(word[2:] for word in words if word.startswith("v=")))
    return f"{next(models, os.uname().machine)}, {os.cpu_count()} cores; {'; '.join(versions)}."


def installed(only: str | None) -> list[str]:
    """The servers to run: the one asked for, or respcache and, where it is installed, redis-server."""
    if only:
        return [only]
    return [name for name in NAMES if name != "redis" or shutil.which("redis-server")]


def cores() -> tuple[int, int]:
    """The core for the servers and the core for the load; LoadError if there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise LoadError("two cores are needed: a polling generator would starve a server on the same core")
    return usable[0], usable[1]


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Run on one core, as do the processes started here; None changes nothing."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def unwind_on_sigterm() -> None:
    """Let SIGTERM, which `timeout` sends, unwind the stack, so that the servers end too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def free_port() -> int:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="load", description="respcache beside redis-server under the same load."
    )

    def names(text: str) -> list[str]:
        if unknown := set(text.split(",")) - TESTS.keys():
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(TESTS)}")
        return text.split(",")

    def numbers(text: str) -> list[int]:
        return [int(number) for number in text.split(",")]

    parser.add_argument("--tests", type=names, default=",".join(TESTS), help=", ".join(TESTS))
    parser.add_argument("--pipeline", type=numbers, default="1,16,64", help="requests in a batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--requests", type=int, default=0, help=f"in a round; default: about {ROUND_SECONDS} s"
    )
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=10, help="bytes of a value")
    parser.add_argument("--server", choices=NAMES, help="only this one")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs respcache")
    parser.add_argument("--generator", choices=GENERATORS, default="poll")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    parser.add_argument("--chart", type=Path, metavar="FILE", help=".svg or .png; needs matplotlib")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print as it goes, write what was asked for."""
    options = parse(arguments)
    unwind_on_sigterm()
    if options.chart:
        if len(installed(options.server)) < len(NAMES):
            sys.exit("load: the chart needs both servers")
        from benchmarks.chart import draw  # before the runs: without matplotlib they would be lost
    results: list[Row] = []
    try:
        server_core, load_core = cores()
        with contextlib.ExitStack() as stack:
            servers = [
                stack.enter_context(Server(name, python=options.python, core=server_core))
                for name in installed(options.server)
            ]
            stack.enter_context(pinned(load_core))
            for test in options.tests:
                for pipeline in options.pipeline:
                    row = measure(servers, test, pipeline, GENERATORS[options.generator], options)
                    results.append(row)
                    print(f"{test} x {pipeline}: {summary(row)}", flush=True)
    except (LoadError, OSError) as error:
        sys.exit(f"load: {error}")
    present = [server.name for server in servers]
    text = table(headings(present), [cells(row, present) for row in results])
    about = f"{environment(options.python)} Medians of {options.rounds} rounds, {options.clients} clients."
    print(f"\n{text}\n\n{about}")
    if options.markdown:
        whole = f"{overview(results)}\n\n{text}" if len(present) == len(NAMES) else text
        options.markdown.write_text(f"{whole}\n\n{about}\n")
    if options.chart:
        draw([(row.test, row.pipeline, ratio) for row in results if (ratio := row.ratio())], options.chart)


def summary(row: Row) -> str:
    """CPU per command of each server and their ratio, for the eye of who waits."""
    texts = [f"{name} {row.median(name, 'cpu_us'):.2f} us" for name in row.rounds]
    ratio = row.ratio()
    return ", ".join(texts if ratio is None else [*texts, f"ratio {ratio:.2f}"])


if __name__ == "__main__":
    main()
