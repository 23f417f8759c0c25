"""Failover in real clusters of both kinds of nodes: by election, by hand, under load, and when it must not happen.

A layout has three masters and then their replicas, o for ours, r for redis-server.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster_load import Load
from tests.clusters import (
    Cluster,
    call,
    fields,
    myself,
    node_id,
    slot_of,
    start_cluster,
    table,
    wait_until,
)
from tests.servers import HAVE_ORACLE, Server
from tests.wire import OK, Error, Null, Wire

MIXED = pytest.mark.skipif(not HAVE_ORACLE, reason="needs a redis-server")
LAYOUTS = ["oooooo", *(pytest.param(kinds, marks=[MIXED, pytest.mark.long]) for kinds in ("ooorrr", "rrrooo"))]
"""Those of both kinds together have `test_cluster_mixed.py` besides."""
NODE_TIMEOUT = 1000
SERVES_AFTER = NODE_TIMEOUT / 1000 + 2
"""Seconds after which a replica has taken the place of a dead master."""
OPTIONS = ("--cluster-node-timeout", NODE_TIMEOUT, "--repl-diskless-sync-delay", 0, "--repl-timeout", 10)
KEY = "{user1}:x"


@pytest.fixture(scope="module", params=LAYOUTS)
def shared(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster for several tests; each leaves it whole."""
    with start_cluster(request.param, options=OPTIONS) as cluster:
        yield cluster


@pytest.fixture
def layout(shared: Cluster) -> Cluster:
    """The same, without data, and with masters that may be voted about."""
    time.sleep(2 * NODE_TIMEOUT / 1000)
    for server in shared.masters():
        call(server, "FLUSHALL")
    return shared


def pair(cluster: Cluster, key: str = KEY) -> tuple[Server, Server]:
    """The master of a key's slot, and its replica."""
    master = cluster.node_of(slot_of(key))
    [replica] = cluster.replicas(master)
    return master, replica


def serves(server: Server, key: str = KEY) -> bool:
    """Whether a node takes a write of a key."""
    try:
        with Wire(server.port, timeout=1) as c:
            return bool(c("SET", key, "written") == OK)
    except (OSError, EOFError):
        return False


def is_replica_of(server: Server, master: Server) -> bool:
    """Whether a node replicates another one, as it says itself."""
    line = myself(server)
    return "slave" in line.flags and line.master == node_id(master)


def refuses(server: Server, key: str = KEY) -> bool:
    """Whether a node takes no write of a key."""
    with Wire(server.port) as c:
        return isinstance(c("SET", key, "1"), Error)


# Election


def test_kill_under_load(layout: Cluster) -> None:
    master, replica = pair(layout)
    with Load(layout, lossy=True) as load:
        time.sleep(1)
        begun = time.monotonic()
        layout.kill(master)
        wait_until(lambda: serves(replica))
        took = time.monotonic() - begun
        time.sleep(0.5)
        master.start()
        wait_until(lambda: is_replica_of(master, replica))
        layout.wait_ok()
        time.sleep(0.5)
    assert took <= SERVES_AFTER, f"{took:.2f} s"
    layout.wait_synced()
    load.check(errors=True)
    assert serves(replica) and refuses(master)


def test_a_master_that_stops_for_a_while_comes_back_as_a_replica(layout: Cluster) -> None:
    master, replica = pair(layout)
    layout.pause(master)
    try:
        wait_until(lambda: serves(replica))
    finally:
        layout.resume(master)
    wait_until(lambda: is_replica_of(master, replica))
    assert refuses(master)
    layout.wait_ok()
    layout.wait_synced()


@pytest.mark.long
def test_a_replica_that_stops_for_a_while_is_missed_and_comes_back(layout: Cluster) -> None:
    master, replica = pair(layout)
    id = node_id(replica)
    layout.pause(replica)
    try:
        wait_until(lambda: "fail" in table(master)[id].flags)
        assert serves(master)
        epoch = myself(master).epoch
    finally:
        layout.resume(replica)
    layout.wait_ok()
    layout.wait_synced()
    assert is_replica_of(replica, master)
    assert myself(master).epoch == epoch


# By hand


def test_a_manual_failover_under_load_loses_nothing(layout: Cluster) -> None:
    master, replica = pair(layout)
    with Load(layout, writers=3) as load:
        for _ in range(2):  # there and back
            time.sleep(1)
            fulls = [int(fields(each, "INFO", "stats")["sync_full"]) for each in (master, replica)]
            begun = time.monotonic()
            assert call(replica, "CLUSTER", "FAILOVER") == OK
            wait_until(lambda: serves(replica))  # noqa: B023
            assert time.monotonic() - begun < 2
            wait_until(lambda: is_replica_of(master, replica))  # noqa: B023
            layout.wait_ok()
            after = [int(fields(each, "INFO", "stats")["sync_full"]) for each in (master, replica)]
            assert after == fulls  # the old master went on where it was
            master, replica = replica, master
            time.sleep(2 * NODE_TIMEOUT / 1000)  # a second vote about the same master must wait so long
    assert load.longest < 2
    layout.wait_synced()
    load.check()


@pytest.mark.long
@pytest.mark.parametrize("way", ["FORCE", "TAKEOVER"])
def test_without_the_masters_help(layout: Cluster, way: str) -> None:
    master, replica = pair(layout)
    before = int(fields(replica, "CLUSTER", "INFO")["cluster_current_epoch"])
    with Load(layout, lossy=True) as load:
        time.sleep(0.5)
        assert call(replica, "CLUSTER", "FAILOVER", way) == OK
        wait_until(lambda: serves(replica))
        wait_until(lambda: is_replica_of(master, replica))
        layout.wait_ok()
    layout.wait_synced()
    load.check(errors=True)
    assert myself(replica).epoch == before + 1


@pytest.mark.parametrize("way", [pytest.param("FORCE", marks=pytest.mark.long), "TAKEOVER"])
def test_of_a_dead_master(layout: Cluster, way: str) -> None:
    master, replica = pair(layout)
    layout.kill(master)
    begun = time.monotonic()
    assert call(replica, "CLUSTER", "FAILOVER", way) == OK
    wait_until(lambda: serves(replica))
    assert time.monotonic() - begun < NODE_TIMEOUT / 1000  # before anybody knew that it has failed
    master.start()
    layout.wait_ok()
    assert is_replica_of(master, replica)


def test_only_replicas_fail_over(layout: Cluster) -> None:
    master, _ = pair(layout)
    with Wire(master.port) as c:
        reply = c("CLUSTER", "FAILOVER")
        assert isinstance(reply, Error) and reply.text == "ERR You should send CLUSTER FAILOVER to a replica"


# One replica of several


def _with_two_replicas(*options: str | int, kind: str = "o") -> Cluster:
    """Three masters, of which the one of KEY has two replicas and the others none."""
    cluster = start_cluster("ooo", replicas=0, options=(*OPTIONS, *options))
    try:
        master = cluster.node_of(slot_of(KEY))
        for each in ("o", kind):
            replica = cluster.add(each)
            cluster.meet(replica, master)
            cluster.wait_acquainted()
            call(replica, "CLUSTER", "REPLICATE", node_id(master))
            cluster.wait_ok()
    except BaseException:
        cluster.close()
        raise
    return cluster


@pytest.mark.parametrize("kind", ["o", pytest.param("r", marks=[MIXED, pytest.mark.long])])
def test_of_two_replicas_the_one_with_more_data_is_promoted(kind: str) -> None:
    with _with_two_replicas("--repl-backlog-size", "100mb", kind=kind) as cluster:
        master = cluster.node_of(slot_of(KEY))
        behind, ahead = cluster.replicas(master)
        cluster.pause(behind)
        with Wire(master.port) as c:  # more than what waits in sockets for the one that stands still
            assert c.pipeline(("SET", KEY, f"{number}".zfill(100_000)) for number in range(300)) == [OK] * 300
        wait_until(lambda: fields(ahead, "INFO", "replication")["slave_repl_offset"] == _offset(master))
        cluster.kill(master)
        cluster.resume(behind)
        wait_until(lambda: serves(ahead, "{user1}:y") or serves(behind, "{user1}:y"))
        assert "master" in myself(ahead).flags
        assert call(ahead, "GETRANGE", KEY, -3, -1) == b"299"
        wait_until(lambda: is_replica_of(behind, ahead))
        cluster.wait_ok()
        cluster.wait_synced()
        stats = fields(ahead, "INFO", "stats")
        assert (stats["sync_full"], stats["sync_partial_ok"]) == ("0", "1")  # it continued


def _offset(server: Server) -> str:
    return fields(server, "INFO", "replication")["master_repl_offset"]


@pytest.mark.parametrize("kinds", ["oo", pytest.param("ro", marks=MIXED)])
def test_a_replica_that_was_restarted_goes_on_where_it_was(kinds: str) -> None:
    with start_cluster(kinds, options=OPTIONS) as cluster:
        master, replica = cluster.nodes
        for number in range(100):
            call(master, "SET", f"k{number}", number, *(("PX", 200) if number % 2 else ()))
        cluster.wait_synced()
        with Wire(replica.port) as c:
            c.send("SHUTDOWN", "SAVE")
            replica.wait()
        time.sleep(0.3)
        call(master, "SET", KEY, "meanwhile")
        replica.start()
        cluster.wait_ok()
        cluster.wait_synced()
        stats = fields(master, "INFO", "stats")
        assert (stats["sync_full"], stats["sync_partial_ok"]) == ("1", "1")
        with Wire(replica.port) as c:
            assert c("READONLY") == OK
            assert (c("GET", KEY), c("GET", "k1"), c("GET", "k2")) == (b"meanwhile", Null.BULK, b"2")
            wait_until(lambda: c("DBSIZE") == 51)


# Not


@pytest.mark.long
def test_a_replica_with_old_data_is_not_promoted() -> None:
    options = ("--cluster-replica-validity-factor", 1, "--repl-ping-replica-period", 1)
    with start_cluster("oooooo", options=(*OPTIONS, *options)) as cluster:
        master, replica = pair(cluster)
        call(replica, "CONFIG", "SET", "masterauth", "wrong")
        call(master, "CONFIG", "SET", "requirepass", "secret")
        with Wire(master.port) as c:
            assert c("AUTH", "secret") == OK
            c("CLIENT", "KILL", "TYPE", "replica")
        wait_until(lambda: fields(replica, "INFO", "replication")["master_link_status"] == "down")
        time.sleep((1000 + 2 * NODE_TIMEOUT) / 1000 + 1)
        cluster.kill(master)
        time.sleep(SERVES_AFTER + 1)
        assert "slave" in myself(replica).flags
        replica.wait_log("Disconnected from master for longer than allowed.", 10)
        call(replica, "CONFIG", "SET", "cluster-replica-validity-factor", 0)
        wait_until(lambda: serves(replica))


@pytest.mark.long
def test_a_replica_that_may_not_be_promoted() -> None:
    with start_cluster("oooooo", options=OPTIONS) as cluster:
        master, replica = pair(cluster)
        call(replica, "CONFIG", "SET", "cluster-replica-no-failover", "yes")
        others = [server for server in cluster.nodes if server not in (master, replica)]
        wait_until(lambda: all("nofailover" in table(other)[node_id(replica)].flags for other in others))
        cluster.kill(master)
        time.sleep(SERVES_AFTER + 1)
        assert "slave" in myself(replica).flags
        assert call(replica, "CLUSTER", "FAILOVER", "FORCE") == OK  # by hand it may
        wait_until(lambda: serves(replica))


# Migration


@pytest.mark.long
@pytest.mark.parametrize("kind", ["o", pytest.param("r", marks=MIXED)])
def test_an_orphaned_master_is_given_a_replica(kind: str) -> None:
    """The master of KEY has two replicas, others one; when that of another master dies, one of the two moves."""
    with start_cluster("oooo" + 2 * kind, replicas=1, options=OPTIONS) as cluster:
        rich, _ = pair(cluster)
        poor = next(server for server in cluster.masters() if server is not rich)
        spare = cluster.add(kind)
        cluster.meet(spare, rich)
        cluster.wait_acquainted()
        call(spare, "CLUSTER", "REPLICATE", node_id(rich))
        cluster.wait_ok()
        [only] = cluster.replicas(poor)
        mover = min(cluster.replicas(rich), key=node_id)
        begun = time.monotonic()
        cluster.kill(only)
        wait_until(lambda: is_replica_of(mover, poor))
        assert time.monotonic() - begun > 5
        cluster.wait_ok()
        call(rich, "SET", KEY, "still")
        cluster.wait_synced()
        cluster.kill(poor)  # and it is good for something
        wait_until(lambda: "master" in myself(mover).flags and myself(mover).slots)
        only.start()
        poor.start()
        cluster.wait_ok()
