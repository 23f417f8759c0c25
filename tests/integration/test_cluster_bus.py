"""The bus between processes, ours and redis-server's: what they say of each other, and what each makes of nonsense."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters import Cluster, call, fields, myself, node_id, start_cluster, table, wait_until
from tests.servers import HAVE_ORACLE, Server, free_port, start_redis, start_respcache
from tests.wire import OK

needs_oracle = pytest.mark.skipif(not HAVE_ORACLE, reason="the other half of the cluster is a redis-server")

TIMEOUT = 1500
EXPECTED = re.compile(
    r"oO0OoO0OoO0Oo|just started|Configuration loaded|Server initialized|overcommit|WARNING: The TCP backlog"
    r"|IP address for this node updated|Cluster state changed: |configEpoch (set|collision)"
)
"""Warnings of redis-server (it logs much at that level) that have nothing to do with us."""


def log_of(server: Server) -> str:
    return (server.directory / "server.log").read_text(errors="replace")


def flags(server: Server, about: str) -> frozenset[str]:
    return frozenset(table(server)[about].flags)


@pytest.fixture(scope="module")
def mixed() -> Iterator[Cluster]:
    with start_cluster("oror" if HAVE_ORACLE else "oooo", replicas=0, node_timeout=TIMEOUT) as cluster:
        yield cluster


# Talk


def test_all_are_connected_with_all_and_nobody_complains(mixed: Cluster) -> None:
    mixed.wait_ok()
    time.sleep(2)
    for server in mixed.nodes:
        lines = table(server)
        assert len(lines) == 4
        assert all(line.linked for line in lines.values())
        assert len(call(server, "CLUSTER", "LINKS")) == 6
    for server in mixed.nodes:
        if server.is_oracle:
            warnings = [line for line in log_of(server).splitlines() if " # " in line and not EXPECTED.search(line)]
            assert warnings == []


def test_a_node_that_talks_nonsense_harms_nobody(mixed: Cluster) -> None:
    mixed.wait_ok()
    ours = next(server for server in mixed.nodes if not server.is_oracle)
    frame = b"RCmb" + (2256).to_bytes(4, "big") + b"\0\1" + os.urandom(2246)
    endless = b"RCmb\xff\xff\xff\xff" + bytes(3000)
    for data in (b"GET / HTTP/1.0\r\n\r\n", os.urandom(10_000), endless, frame * 50, b"R"):
        with socket.create_connection(("127.0.0.1", ours.port + 10_000), timeout=5) as wire:
            wire.sendall(data)
            wire.shutdown(socket.SHUT_WR)
            wire.settimeout(5)
            try:
                assert wire.recv(100) == b""
            except ConnectionResetError:
                pass
    assert fields(ours, "CLUSTER", "INFO")["cluster_state"] == "ok"
    assert len(table(ours)) == 4
    assert "did harm" not in log_of(ours)


def test_an_idle_node_takes_next_to_nothing(mixed: Cluster) -> None:
    """With these short timeouts there are far more pings than usual; 0.5 % of a core is asked for."""
    mixed.wait_ok()
    ours = next(server for server in mixed.nodes if not server.is_oracle)
    pid = int(fields(ours, "INFO", "server")["process_id"])

    def cpu() -> float:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    if not Path(f"/proc/{pid}/stat").exists():
        pytest.skip("no /proc")
    before = cpu()
    time.sleep(5)
    assert (cpu() - before) / 5 < 0.02


# Failure and return


@pytest.mark.parametrize("victim", [0, 1])
def test_who_dies_is_missed_in_time_and_welcome_back(mixed: Cluster, victim: int) -> None:
    mixed.wait_ok()
    dead = mixed.nodes[victim]
    id = node_id(dead)
    others = [server for server in mixed.nodes if server is not dead]
    mixed.kill(dead)
    killed = time.monotonic()
    wait_until(lambda: all("fail" in flags(server, id) for server in others), seconds=10)
    took = (time.monotonic() - killed) * 1000
    assert 0.9 * TIMEOUT < took < 3 * TIMEOUT + 1000
    wait_until(lambda: all(fields(server, "CLUSTER", "INFO")["cluster_state"] == "fail" for server in others))
    dead.start()
    mixed.wait_ok()
    assert not any(flags(server, id) & {"fail", "fail?"} for server in others)


# Slots and epochs


def test_epochs_that_collide_come_apart() -> None:
    with start_cluster("or" if HAVE_ORACLE else "oo", joined=False, node_timeout=TIMEOUT) as cluster:
        one, other = cluster.nodes
        for server, slots in ((one, (0, 8000)), (other, (8001, 16383))):
            assert call(server, "CLUSTER", "ADDSLOTSRANGE", *slots) == OK
            assert call(server, "CLUSTER", "SET-CONFIG-EPOCH", 5) == OK
        cluster.meet(one, other)
        wait_until(lambda: {line.epoch for line in table(one).values()} == {5, 6})
        wait_until(lambda: {line.epoch for line in table(other).values()} == {5, 6})
        smaller = min(cluster.nodes, key=node_id)
        assert myself(smaller).epoch == 6
        cluster.wait_ok()


@pytest.mark.parametrize("stale", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_node_with_an_old_file_is_told_what_it_lost(stale: int) -> None:
    with start_cluster("oror" if HAVE_ORACLE else "oooo", replicas=0, node_timeout=TIMEOUT) as cluster:
        old, heir = cluster.nodes[stale], cluster.nodes[stale ^ 1]
        slot = min(myself(old).slots)
        path = old.directory / "nodes.conf"
        text = path.read_text()
        for server in (heir, old):
            assert call(server, "CLUSTER", "SETSLOT", slot, "NODE", node_id(heir)) == OK
        call(heir, "CLUSTER", "BUMPEPOCH")
        wait_until(lambda: all(slot in table(server)[node_id(heir)].slots for server in cluster.nodes))
        cluster.wait_ok()
        cluster.kill(old)
        path.write_text(text)
        old.start()
        wait_until(lambda: slot not in myself(old).slots)
        cluster.wait_ok()
        assert cluster.node_of(slot) is heir


@pytest.mark.parametrize("kind", ["o", "r"] if HAVE_ORACLE else ["o"])
def test_a_node_that_moves_to_another_port_is_found(kind: str) -> None:
    with start_cluster("oo" + kind, replicas=0, node_timeout=TIMEOUT) as cluster:
        moved = cluster.nodes[2]
        id = node_id(moved)
        cluster.kill(moved)
        old, moved.port = moved.port, free_port()
        moved.command = [str(moved.port) if word == str(old) else word for word in moved.command]
        moved.start()
        wait_until(lambda: {table(server)[id].port for server in cluster.nodes} == {moved.port})
        cluster.wait_ok()


# The start


def test_one_node_for_one_file(tmp_path: Path) -> None:
    starts = [start_respcache, start_redis] if HAVE_ORACLE else [start_respcache]
    for start in starts:
        with start("--cluster-enabled", "yes", "--dir", str(tmp_path)):
            for other in starts:
                with pytest.raises(RuntimeError) as caught, other("--cluster-enabled", "yes", "--dir", str(tmp_path)):
                    pass
                assert "is already used by a different" in str(caught.value)
