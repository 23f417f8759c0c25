"""Cluster nodes under load: `python -m benchmarks.cluster [--markdown FILE]`.

Two questions, each asked of respcache and of redis-server.

What being a node costs: a server by itself beside a cluster of one node that has all slots. Servers on one core, a
generator that polls on another, rounds alternate, medians of the CPU time per command.

What more nodes give: one node and its load on one core, then n nodes and n loads, each pair on a core of its own.
Each node so has the same share of its core in both cases, and the work per second of the n nodes is compared with
that of the one. The generators sleep while nothing comes, since they share the core with the node that they wait
for; they ask each node only for keys of its own slots, as a client does that knows the slots.

Linux only, two cores at least.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.generator import (
    ALL_SLOTS,
    RAND,
    TESTS,
    Figures,
    LoadError,
    Slots,
    encode,
    exchange,
    prepare,
)
from benchmarks.load import (
    ROOT,
    ROUND_DEADLINE,
    Server,
    environment,
    free_port,
    installed,
    pinned,
    table,
    unwind_on_sigterm,
)
from respcache.store.slot import SLOTS

SPREAD = [
    name for name, test in TESTS.items() if any(RAND in word for word in test.argv[1:2]) and name != "mset"
]
"""Tests whose keys are of all slots, and one in each request."""
READY_SECONDS = 20.0
NODE_TIMEOUT = 2000
"""Milliseconds."""


def node_settings() -> list[str]:
    """Directives that make a server a node of a cluster."""
    return [
        *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
        *("--cluster-node-timeout", str(NODE_TIMEOUT)),
    ]


def ask(server: Server, *words: str | int) -> bytes:
    """The reply to a command, of which the first line is whole."""
    with server.connect() as connection:
        return exchange(connection, encode(*(str(word).encode() for word in words)), 1)


def bus_port(server: Server) -> int:
    """Where the bus of a node listens."""
    with server.connect() as connection:
        reply = exchange(connection, encode(b"CONFIG", b"GET", b"cluster-port"), 5)
    return int(reply.split(b"\r\n")[-2])


def shares(count: int) -> list[Slots]:
    """All slots in as many equal ranges."""
    return [(SLOTS * i // count, SLOTS * (i + 1) // count - 1) for i in range(count)]


def join(nodes: Sequence[Server]) -> list[Slots]:
    """Makes a cluster of empty nodes; returns who has which slots. Raises LoadError if that takes too long."""
    ranges = shares(len(nodes))
    for node, (first, last) in zip(nodes, ranges, strict=True):
        ask(node, "CLUSTER", "ADDSLOTSRANGE", first, last)
    for node in nodes[1:]:
        ask(node, "CLUSTER", "MEET", "127.0.0.1", nodes[0].port, bus_port(nodes[0]))
    deadline = time.monotonic() + READY_SECONDS
    for node in nodes:
        while not is_ready(node, len(nodes)):
            if time.monotonic() > deadline:
                raise LoadError(f"{node.name} does not get ready: {info(node)!r}")
            time.sleep(0.05)
    return ranges


def info(node: Server) -> bytes:
    """CLUSTER INFO, its first lines at least."""
    with node.connect() as connection:
        return exchange(connection, encode(b"CLUSTER", b"INFO"), 10)


def is_ready(node: Server, count: int) -> bool:
    """Whether a node is content and knows all the others."""
    told = info(node)
    return b"cluster_state:ok" in told and b"cluster_known_nodes:%d\r" % count in told


@contextlib.contextmanager
def cluster(name: str, cores: Sequence[int], python: str) -> Iterator[tuple[list[Server], list[Slots]]]:
    """A cluster with a node on each of these cores, and the slots of each."""
    with contextlib.ExitStack() as stack:
        nodes = [
            stack.enter_context(Server(name, python=python, core=core, settings=node_settings()))
            for core in cores
        ]
        yield nodes, join(nodes)


@dataclass(frozen=True, slots=True)
class Load:
    """What a generator is to do."""

    test: str
    pipeline: int
    clients: int
    keys: int
    size: int


def start(
    node: Server, load: Load, slots: Slots, core: int, count: int, sleeps: bool
) -> subprocess.Popen[str]:
    """A generator on a core, at work."""
    given = {
        "port": node.port,
        "pid": node.pid,
        "test": load.test,
        "pipeline": load.pipeline,
        "requests": count,
        "clients": load.clients,
        "keys": load.keys,
        "size": load.size,
        "seconds": ROUND_DEADLINE,
        "slots": f"{slots[0]}-{slots[1]}",
    }
    command = [sys.executable, "-m", "benchmarks.generator", *(f"--{k}={v}" for k, v in given.items())]
    with pinned(core):
        return subprocess.Popen(
            [*command, "--sleeps"] if sleeps else command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def finish(generator: subprocess.Popen[str]) -> Figures:
    """What a generator measured. Raises LoadError with its complaint."""
    try:
        printed, complaint = generator.communicate(timeout=ROUND_DEADLINE + 10)
    except subprocess.TimeoutExpired:
        generator.kill()
        raise LoadError("a generator does not end") from None
    if generator.returncode:
        raise LoadError(complaint.strip()[-2000:])
    return Figures(**json.loads(printed))


def fill(node: Server, load: Load, slots: Slots) -> None:
    """Brings a node's data to where rounds begin."""
    prepare(node.port, TESTS[load.test], keys=load.keys, size=load.size, count=0, slots=slots)


def compare(
    alone: Server, node: Server, load: Load, core: int, rounds: int, count: int
) -> tuple[float, float]:
    """Microseconds of CPU per command, of a server by itself and of a node."""
    figures: dict[str, list[float]] = {"alone": [], "node": []}
    both = [("alone", alone), ("node", node)]
    for _, server in both:
        fill(server, load, ALL_SLOTS)
        finish(start(server, load, ALL_SLOTS, core, count // 4, sleeps=False))
    for number in range(rounds):
        for name, server in both if number % 2 == 0 else both[::-1]:
            done = finish(start(server, load, ALL_SLOTS, core, count, sleeps=False))
            figures[name].append(done.cpu_us)
    return median(figures["alone"]), median(figures["node"])


def together(
    nodes: Sequence[Server], slots: Sequence[Slots], cores: Sequence[int], load: Load, count: int
) -> float:
    """Requests per second of all nodes at once, each with its load on its own core."""
    for node, own in zip(nodes, slots, strict=True):
        fill(node, load, own)
    generators = [
        start(node, load, own, core, count, sleeps=True)
        for node, own, core in zip(nodes, slots, cores, strict=True)
    ]
    return sum(figures.rps for figures in map(finish, generators))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints as it goes, writes what was asked for."""
    parser = argparse.ArgumentParser(prog="cluster", description="What being a cluster node costs and gives.")
    parser.add_argument("--tests", default="get,set", help="some of " + ", ".join(SPREAD))
    parser.add_argument("--pipeline", default="1,16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--requests", type=int, default=100_000, help="in a round, at pipeline 16; a quarter at 1"
    )
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--keys", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=10, help="bytes of a value")
    parser.add_argument("--server", choices=("respcache", "redis"), help="only this one")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs respcache")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    unwind_on_sigterm()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("cluster: two cores are needed")
    if unknown := set(options.tests.split(",")) - set(SPREAD):
        sys.exit(f"cluster: {', '.join(unknown)}: there are {', '.join(SPREAD)}")
    loads = [
        Load(test, int(pipeline), options.clients, options.keys, options.size)
        for test in options.tests.split(",")
        for pipeline in options.pipeline.split(",")
    ]
    costs: list[list[str]] = []
    gains: list[list[str]] = []
    try:
        for name in installed(options.server):
            costs += cost_rows(name, loads, cores, options)
            gains += gain_rows(name, loads, cores, options)
    except (LoadError, OSError) as error:
        sys.exit(f"cluster: {error}")
    count = len(cores)
    text = "\n\n".join(
        [
            table(["CPU us per command", "pipeline", "by itself", "cluster node", "ratio"], costs),
            table(
                [
                    "requests per second",
                    "pipeline",
                    "1 node, 1 core",
                    f"{count} nodes, {count} cores",
                    "ratio",
                ],
                gains,
            ),
            f"{environment(options.python)} Medians of {options.rounds} rounds, {options.clients} clients a node.",
        ]
    )
    print(f"\n{text}")
    if options.markdown:
        options.markdown.write_text(f"{text}\n")


def cost_rows(
    name: str, loads: Sequence[Load], cores: Sequence[int], options: argparse.Namespace
) -> Iterator[list[str]]:
    """Rows of the first table, printed as they come."""
    with (
        Server(name, python=options.python, core=cores[0]) as alone,
        cluster(name, cores[:1], options.python) as ((node,), _),
    ):
        for load in loads:
            count = options.requests if load.pipeline > 1 else options.requests // 4
            by_itself, as_node = compare(alone, node, load, cores[1], options.rounds, count)
            row = [f"{name} {load.test}", str(load.pipeline), f"{by_itself:.2f}", f"{as_node:.2f}"]
            row.append(f"{as_node / by_itself:.2f}")
            print(" ".join(row), flush=True)
            yield row


def gain_rows(
    name: str, loads: Sequence[Load], cores: Sequence[int], options: argparse.Namespace
) -> Iterator[list[str]]:
    """Rows of the second table, printed as they come."""
    with (
        cluster(name, cores[:1], options.python) as (single, all_slots),
        cluster(name, cores, options.python) as (nodes, slots),
    ):
        for load in loads:
            count = options.requests if load.pipeline > 1 else options.requests // 4
            ones, alls = [], []
            for _ in range(options.rounds):
                ones.append(together(single, all_slots, cores[:1], load, count))
                alls.append(together(nodes, slots, cores, load, count))
            one, every = median(ones), median(alls)
            row = [
                f"{name} {load.test}",
                str(load.pipeline),
                f"{one:,.0f}",
                f"{every:,.0f}",
                f"{every / one:.2f}",
            ]
            print(" ".join(row), flush=True)
            yield row


if __name__ == "__main__":
    main()
