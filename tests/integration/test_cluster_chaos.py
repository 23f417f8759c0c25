"""Rounds of random trouble for a cluster under load: kill -9, pause, cut, heal, restart. What counts is not lost.

Nodes keep an append-only file, with an fsync before each reply: a master that came back empty would have its replica
forget everything too. With that, no fault of these may lose a write that a replica has acknowledged: master and
replica hold it, and whichever of the two leads the shard, has it. The same is asked of redis-server nodes.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.agreement import owners, wait_agreed
from tests.clusters import Cluster, key_of, myself, start_cluster, table
from tests.ledger import repeated
from tests.namespaces import MAY_DIVIDE, Network
from tests.replicated_load import Book, ReplicatedLoad
from tests.router import Refused, Router, Unknown
from tests.servers import HAVE_ORACLE, Server, oracle_line
from tests.wire import OK

TIMEOUT = 1.0
"""Seconds: cluster-node-timeout."""

TROUBLE_SECONDS = 6.0
"""How long the faults of a round last, from the first to the end of the last."""

SETTLE_SECONDS = 20.0
"""How long after that all may take to be well. It takes 1 to 3 s; a cut connection may be silent for another 5."""

MARGIN = 0.5
"""A busy machine is late."""

OPTIONS: tuple[str | int, ...] = (
    *("--enable-debug-command", "yes", "--repl-diskless-sync-delay", 0),
    *("--appendonly", "yes", "--appendfsync", "always"),
    *("--repl-ping-replica-period", 1, "--repl-timeout", 5),
)
with_oracle = [pytest.mark.long, pytest.mark.skipif(not HAVE_ORACLE, reason=oracle_line())]
KINDS = [
    "oooooo",
    *(pytest.param(kinds, marks=with_oracle) for kinds in ("rrrrrr", "ooorrr", "rrrooo", "ororor")),
]


@dataclass
class World:
    """A cluster, and the network that can be cut if there is one."""

    cluster: Cluster
    network: Network | None = None
    _cut: set[Server] = field(default_factory=set)

    def cut(self, server: Server) -> None:
        """Brings a node to an island; those that are there see each other."""
        assert self.network is not None
        self._cut.add(server)
        self.network.cut(server)

    def heal(self, server: Server) -> None:
        """Brings it back."""
        assert self.network is not None
        self._cut.discard(server)
        self.network.heal(server)

    def kill(self, server: Server) -> None:
        """kill -9, if it lives."""
        if server.alive:
            self.cluster.kill(server)

    def restart(self, server: Server) -> None:
        """Starts it again, with what it has on disk."""
        server.start()

    def pause(self, server: Server) -> None:
        """Stops it where it stands, if it lives."""
        if server.alive:
            self.cluster.pause(server)

    def heal_all(self) -> None:
        """Ends all faults."""
        for server in self.cluster.nodes:
            self.cluster.resume(server)
            if server in self._cut:
                self.heal(server)
            server.start()


@contextmanager
def made(directory: Path, kinds: str) -> Iterator[World]:
    """A cluster of 3 masters and 3 replicas, on hosts of their own where that is allowed."""
    timeout = round(TIMEOUT * 1000)
    if MAY_DIVIDE:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", timeout, *OPTIONS)
        with Network(directory, kinds, options) as network:
            cluster = Cluster([*network.hosts])
            cluster.join(replicas=1)
            wait_agreed(cluster, 20)
            yield World(cluster, network)
    else:
        with start_cluster(kinds, options=OPTIONS, node_timeout=timeout) as cluster:
            wait_agreed(cluster, 20)
            yield World(cluster)


Step = tuple[float, str, Callable[[], None]]
"""When it happens, in seconds since the round began, what it is called, and it."""


def plan(world: World, dice: random.Random) -> list[Step]:
    """The faults of a round: one to three, that may overlap; each hits one or two nodes, masters more often."""
    faults = {"kill": (world.kill, world.restart), "pause": (world.pause, world.cluster.resume)}
    if world.network is not None:
        faults["cut"] = (world.cut, world.heal)
    masters = world.cluster.masters()
    steps: list[Step] = []
    for _ in range(dice.choice((1, 2, 2, 3))):
        name = dice.choice([*faults])
        begin, end = faults[name]
        first = dice.uniform(0, 2)
        last = first + dice.choice(
            (dice.uniform(0.2, TIMEOUT), dice.uniform(2 * TIMEOUT, TROUBLE_SECONDS - 2))
        )
        for server in {dice.choice([*masters, *world.cluster.nodes]) for _ in range(dice.choice((1, 1, 2)))}:
            number = world.cluster.nodes.index(server)
            steps.append((first, f"{first:.2f} {name} {number}", partial(begin, server)))
            steps.append((last, f"{last:.2f} end of {name} {number}", partial(end, server)))
    return sorted(steps, key=lambda step: step[0])


def check_well(world: World, load: ReplicatedLoad) -> None:
    """Waits until the cluster is well again, and compares what it holds with the books."""
    began = time.monotonic()
    world.cluster.wait_ok(SETTLE_SECONDS)
    print(f"  well {time.monotonic() - began:.1f} s after the last fault")
    time.sleep(0.5)  # something is written to the cluster as it is now
    with load.rest():
        wait_agreed(world.cluster, SETTLE_SECONDS)
        load.check()


def test_the_books() -> None:
    """What they find wrong, and what may be."""
    book = Book()
    book.possible, book.counting, book.unknown = {1, 2, 3, 4, 6}, {1, 3}, {4}
    assert [book.check_list(found) for found in ([1, 3], [1, 2, 3, 6], [1, 3, 6, 4])] == ["", "", ""]
    assert book.check_list([1, 2]) == "lacks [3]"
    assert book.check_list([1, 3, 3]) == "doubled"
    assert book.check_list([1, 3, 2]) == "in another order than written"
    assert book.check_list([1, 3, 5]) == "holds [5], which were refused or never sent"
    assert [bool(book.check_string(found)) for found in range(7)] == [
        True,
        True,
        True,
        False,
        False,
        True,
        False,
    ]
    assert [bool(book.check_counter(found)) for found in (1, 2, 5, 6)] == [True, False, False, True]
    book.settle_list([1, 2, 3])
    assert book.check_list([1, 3]) == "lacks [2]"


@pytest.mark.parametrize("kinds", KINDS)
@repeated(2, 10)
def test_rounds_of_trouble(tmp_path: Path, seed: int, rounds: int, kinds: str) -> None:
    print(f"seed {seed}, {kinds}, {'with' if MAY_DIVIDE else 'without'} cuts")
    dice = random.Random(seed)
    with made(tmp_path, kinds) as world, ReplicatedLoad(world.cluster.nodes, seed) as load:
        first = world.cluster.nodes[0]
        for number in range(rounds):
            before, counted = owners(table(first)), load.counted
            steps = plan(world, dice)
            print(f"round {number}: {', '.join(name for _, name, _ in steps)}")
            began = time.monotonic()
            for when, _, do in steps:
                time.sleep(max(0.0, began + when - time.monotonic()))
                do()
            world.heal_all()
            check_well(world, load)
            assert load.counted > counted + 20, "hardly anything was written"
            changed = len(owners(table(first)).keys() - before.keys())
            print(f"  {time.monotonic() - began:.1f} s, {changed} elected, {load}")


@pytest.mark.parametrize("kinds", KINDS)
@repeated(1, 5)
def test_a_killed_master_is_replaced(tmp_path: Path, seed: int, rounds: int, kinds: str) -> None:
    """Its replica serves within the timeout and 2 s. Who was killed comes back as a replica, and has its turn again."""
    took = []
    with made(tmp_path, kinds) as world, ReplicatedLoad(world.cluster.nodes, seed) as load:
        router = Router(world.cluster.nodes, seed)
        for number in range(rounds):
            master = world.cluster.masters()[number % 3]
            key = key_of(min(myself(master).slots))
            assert router.write(key, "SET", key, number, seconds=5)[0] == OK
            world.kill(master)
            took.append(until_written(router, key, number))
            world.restart(master)
            check_well(world, load)
        router.close()
    print(f"{kinds}: written {', '.join(f'{each:.2f}' for each in took)} s after a kill; {load}")
    print(f"{kinds}: median {statistics.median(took):.2f} s")
    assert max(took) < TIMEOUT + 2 + MARGIN


def until_written(router: Router, key: str, value: int) -> float:
    """Seconds until a write is acknowledged."""
    began = time.monotonic()
    while True:
        try:
            reply, _ = router.write(key, "SET", key, value, seconds=0.1)
        except (Refused, Unknown):
            assert time.monotonic() < began + 10
        else:
            assert reply == OK
            return time.monotonic() - began
