"""A cluster whose network is cut in two: the smaller part stops, the greater one goes on, and then they are one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.agreement import owners, wait_agreed
from tests.clusters import Cluster, call, key_of, myself, node_id, table
from tests.namespaces import Host, Network, needs_namespaces
from tests.router import Router
from tests.servers import HAVE_ORACLE, oracle_line
from tests.wire import OK, Error, Reply

pytestmark = needs_namespaces

TIMEOUT = 1.0
"""Seconds: cluster-node-timeout."""

UNTIL_SUSPECTED = 1.5 * TIMEOUT
"""Silence is measured from the first ping without an answer, and pings may be half a timeout apart."""

MARGIN = 0.5
"""A busy machine is late."""

DOWN = Error("CLUSTERDOWN The cluster is down")
MIXED = [
    pytest.param(kinds, marks=[pytest.mark.long, pytest.mark.skipif(not HAVE_ORACLE, reason=oracle_line())])
    for kinds in ("rrrrrr", "ooorrr", "rrrooo", "orrroo")
]
"""Masters come first; the first and the fourth node are the master and the replica that are looked at."""


def formed(network: Network) -> Cluster:
    cluster = Cluster([*network.hosts])
    cluster.join(replicas=1)
    return cluster


def options() -> list[str | int]:
    return [
        *("--cluster-enabled", "yes", "--cluster-node-timeout", round(TIMEOUT * 1000)),
        *("--enable-debug-command", "yes", "--repl-diskless-sync-delay", 0, "--appendonly", "yes"),
        *("--repl-ping-replica-period", 1, "--repl-timeout", 5),
    ]


def write(host: Host, key: str, value: str) -> Reply:
    with host.connect(1) as c:
        return c("SET", key, value)


def refuses_all(hosts: Sequence[Host], key: str) -> None:
    """Checks that hosts neither write nor read anything, and that they stay so."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        for host in hosts:
            with host.connect(1) as c:
                for words in (("SET", key, "late"), ("INCR", key), ("GET", key), ("DEL", key)):
                    assert c(*words) == DOWN, (host, words)
                assert b"cluster_state:fail" in call(host, "CLUSTER", "INFO")
        time.sleep(0.1)


@pytest.mark.parametrize("kinds", ["oooooo", *MIXED])
@pytest.mark.parametrize(
    "minority",
    [pytest.param((0,), marks=pytest.mark.long, id="alone"), pytest.param((0, 4), id="with-a-stranger")],
)
def test_a_master_in_the_minority(tmp_path: Path, kinds: str, minority: tuple[int, ...]) -> None:
    """It refuses writes within the timeout; its replica is elected by the others; later it follows that one."""
    with Network(tmp_path, kinds, options()) as network:
        cluster = formed(network)
        old, new, witness = network.hosts[0], network.hosts[3], network.hosts[2]
        key = key_of(0)
        router = Router(network.hosts)
        for number in range(200):
            assert router.write(f"key:{number}", "SET", f"key:{number}", number, seconds=5) == (OK, 1)
        assert router.write(key, "SET", key, "before", seconds=5) == (OK, 1)
        before = owners(table(witness))
        greatest = max(epoch for epoch, _ in before.values())

        network.cut(*(network.hosts[number] for number in minority))
        began = time.monotonic()
        refused = served = 0.0
        while not (refused and served):
            passed = time.monotonic() - began
            assert passed < TIMEOUT + 6, cluster.picture()
            if not refused and (reply := write(old, key, "lonely")) != OK:
                assert reply == DOWN
                refused = passed
            if not served and write(new, key, "elected") == OK:
                served = passed
            time.sleep(0.01)
        print(f"{kinds}: refused after {refused:.2f} s, served after {served:.2f} s")
        assert refused < UNTIL_SUSPECTED + MARGIN
        assert served < TIMEOUT + 2 + MARGIN
        refuses_all([network.hosts[number] for number in minority], key)
        assert router.read(key, "GET", key, seconds=1) == b"elected"

        network.heal()
        began = time.monotonic()
        wait_agreed(cluster, 15)
        print(f"one again after {time.monotonic() - began:.2f} s")
        after = owners(table(witness))
        assert after.keys() == before.keys() - {node_id(old)} | {node_id(new)}
        epoch, slots = after[node_id(new)]
        assert slots == before[node_id(old)][1]
        assert epoch > greatest
        assert epoch == max(epoch for epoch, _ in after.values())
        assert myself(old).master == node_id(new)
        assert write(old, key, "late") == Error(f"MOVED 0 {new.host}:{new.port}")
        assert router.read(key, "GET", key, seconds=5) == b"elected"
        for number in range(200):
            name = f"key:{number}"
            assert router.read(name, "GET", name, seconds=5) == b"%d" % number
            assert router.write(name, "INCR", name, seconds=5) == (number + 1, 1)
        router.close()


@pytest.mark.parametrize("kinds", ["oooooo", *MIXED])
def test_a_shard_in_the_minority(tmp_path: Path, kinds: str) -> None:
    """Nobody can take its place: all stop, and go on as before."""
    with Network(tmp_path, kinds, options()) as network:
        cluster = formed(network)
        lost, *others = network.hosts[0], *network.hosts[1:3]
        key = key_of(0)
        before = owners(table(lost))
        network.cut(lost, network.hosts[3])
        end = time.monotonic() + TIMEOUT + 6
        waiting: list[tuple[Host, str]] = [(lost, key), *((host, key_of(8000)) for host in others[:1])]
        written = 0
        while waiting:
            assert time.monotonic() < end, cluster.picture()
            for host, name in [*waiting]:
                with host.connect(1) as c:
                    reply = c("RPUSH", name, "x")
                if isinstance(reply, Error):
                    assert reply == DOWN
                    waiting.remove((host, name))
                elif host is lost:
                    written += 1
            time.sleep(0.01)
        refuses_all([lost, others[0]], key)
        network.heal()
        wait_agreed(cluster, 15)
        assert owners(table(lost)) == before
        assert call(lost, "LLEN", key) == written
