"""Clusters of nodes of ours and of redis-server: they form, gossip, move slots and fail over in both directions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster_load import Load
from tests.clusters import (
    SECONDS,
    Cluster,
    call,
    fields,
    key_of,
    myself,
    node_id,
    start_cluster,
    table,
    wait_until,
)
from tests.servers import HAVE_ORACLE, Server
from tests.wire import OK, Wire

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="the other half of the cluster is a redis-server")


@pytest.fixture(scope="module")
def _shared() -> Iterator[list[Cluster]]:
    clusters: list[Cluster] = []
    yield clusters
    for cluster in clusters:
        cluster.close()


@pytest.fixture
def cluster(_shared: list[Cluster]) -> Cluster:
    """Masters o, r, o, with a replica of the other kind each; a new one if the last test left it in a bad state."""
    if _shared:
        try:
            _shared[0].wait_ok(5)
            if len(_shared[0].living) == 6 and len(_shared[0].masters()) == 3:
                for server in _shared[0].masters():
                    call(server, "FLUSHALL")
                return _shared[0]
        except (OSError, EOFError, AssertionError):
            pass
        _shared.pop().close()
    _shared.append(start_cluster("ororor"))
    return _shared[0]


def master_of_kind(cluster: Cluster, is_oracle: bool) -> Server:
    """A master of a kind that has a replica of the other kind."""
    return next(
        server
        for server in cluster.masters()
        if server.is_oracle == is_oracle and any(one.is_oracle != is_oracle for one in cluster.replicas(server))
    )


def becomes(cluster: Cluster, server: Server, role: str) -> None:
    """Waits until a node is a `master`, or a `slave`, in its own eyes."""
    wait_until(lambda: role in myself(server).flags, cluster.picture)


def test_all_see_the_same(cluster: Cluster) -> None:
    def seen(server: Server) -> list[tuple[object, ...]]:
        lines = table(server).values()
        return sorted((line.id, line.port, line.cport, line.master, line.epoch, line.ranges) for line in lines)

    for server in cluster.nodes[1:]:
        assert seen(server) == seen(cluster.nodes[0])
    assert {server.is_oracle for server in cluster.masters()} == {True, False}
    assert {server.is_oracle for server in cluster.replicas()} == {True, False}
    for server in cluster.nodes:
        info = fields(server, "CLUSTER", "INFO")
        assert (info["cluster_state"], info["cluster_known_nodes"], info["cluster_size"]) == ("ok", "6", "3")
        assert fields(server, "INFO", "server")["redis_mode"] == "cluster"
        for name in ("ping", "pong"):
            assert int(info[f"cluster_stats_messages_{name}_sent"]) > 0
            assert int(info[f"cluster_stats_messages_{name}_received"]) > 0


def test_slots_and_shards_agree(cluster: Cluster) -> None:
    def slots(server: Server) -> list[tuple[int, int, bytes]]:
        return sorted((start, end, nodes[0][2]) for start, end, *nodes in call(server, "CLUSTER", "SLOTS"))

    def shards(server: Server) -> set[tuple[tuple[int, ...], frozenset[tuple[bytes, bytes]]]]:
        found = set()
        for _, bounds, _, members in call(server, "CLUSTER", "SHARDS"):
            told = [dict(zip(member[::2], member[1::2], strict=True)) for member in members]
            found.add((tuple(bounds), frozenset((each[b"id"], each[b"role"]) for each in told)))
        return found

    for server in cluster.nodes[1:]:
        assert slots(server) == slots(cluster.nodes[0])
        assert shards(server) == shards(cluster.nodes[0])


def test_everybody_redirects_to_the_owner(cluster: Cluster) -> None:
    owner = cluster.node_of(3300)
    for server in cluster.nodes:
        with Wire(server.port) as c:
            reply = c("SET", "b", "1")
            assert reply == OK if server is owner else reply.text == f"MOVED 3300 127.0.0.1:{owner.port}"


def test_messages_reach_all(cluster: Cluster) -> None:
    listeners = [Wire(server.port) for server in cluster.nodes]
    try:
        for listener in listeners:
            assert listener("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        for number, server in enumerate(cluster.nodes):
            call(server, "PUBLISH", "news", f"{number}")
            for listener in listeners:
                assert listener.read() == [b"message", b"news", f"{number}".encode()]
    finally:
        for listener in listeners:
            listener.close()


def test_shard_messages_reach_the_shard(cluster: Cluster) -> None:
    channel = key_of(0)
    master = cluster.node_of(0)
    replica = cluster.replicas(master)[0]
    with Wire(replica.port) as listener:
        assert listener("SSUBSCRIBE", channel) == [b"ssubscribe", channel.encode(), 1]
        assert call(master, "SPUBLISH", channel, "hi") == 0
        assert listener.read() == [b"smessage", channel.encode(), b"hi"]


@pytest.mark.parametrize("ours_first", [True, False])
def test_reshard_under_load(cluster: Cluster, ours_first: bool) -> None:
    """Slots go from a node of one kind to one of the other, and back."""
    ours = next(server for server in cluster.masters() if not server.is_oracle)
    theirs = next(server for server in cluster.masters() if server.is_oracle)
    pair = (ours, theirs) if ours_first else (theirs, ours)
    with Load(cluster) as load:
        wait_until(lambda: load.done > 300, seconds=SECONDS)
        for source, target in (pair, pair[::-1]):
            ends = ("--cluster-from", node_id(source), "--cluster-to", node_id(target))
            cluster.cli("reshard", cluster.entry, *ends, "--cluster-slots", 100, "--cluster-yes")
            cluster.wait_ok()
    load.check()
    cluster.wait_synced()
    for replica in cluster.replicas():
        assert call(replica, "DBSIZE") == call(cluster.master_of(replica), "DBSIZE")


@pytest.mark.parametrize("from_ours", [True, False])
def test_manual_failover_under_load(cluster: Cluster, from_ours: bool) -> None:
    """The replica of the other kind takes over, and nothing is lost; then the old master takes over again."""
    old = master_of_kind(cluster, is_oracle=not from_ours)
    new = next(server for server in cluster.replicas(old) if server.is_oracle == from_ours)
    with Load(cluster) as load:
        wait_until(lambda: load.done > 300, seconds=SECONDS)
        for winner, loser in ((new, old), (old, new)):
            assert call(winner, "CLUSTER", "FAILOVER") == OK
            becomes(cluster, winner, "master")
            becomes(cluster, loser, "slave")
            cluster.wait_ok()
            assert myself(loser).master == node_id(winner)
            assert myself(winner).epoch == max(line.epoch for line in table(winner).values())
    load.check()


@pytest.mark.parametrize("kill_ours", [True, False])
def test_failover(cluster: Cluster, kill_ours: bool) -> None:
    """A master is killed under load; its replica, of the other kind, takes over; the old one returns as a replica."""
    old = master_of_kind(cluster, is_oracle=not kill_ours)
    new = next(server for server in cluster.replicas(old) if server.is_oracle == kill_ours)
    id, slots = node_id(old), myself(old).ranges
    with Load(cluster, lossy=True) as load:
        wait_until(lambda: load.done > 300, seconds=SECONDS)
        cluster.kill(old)
        becomes(cluster, new, "master")
        assert myself(new).ranges == slots
        wait_until(lambda: "fail" in table(new)[id].flags, cluster.picture)
        cluster.wait_ok()
        done = load.done
        wait_until(lambda: load.done > done + 300, seconds=SECONDS)
        old.start()
        becomes(cluster, old, "slave")
        cluster.wait_ok()
        assert myself(old).master == node_id(new)
    load.check(errors=True)
    cluster.wait_synced()
    # As it was, for the next test.
    assert call(old, "CLUSTER", "FAILOVER") == OK
    becomes(cluster, old, "master")
    cluster.wait_ok()


@pytest.mark.parametrize("kind", ["o", "r"])
def test_joining_by_a_node_of_either_kind(kind: str) -> None:
    """A node of one kind meets one of the other; hostnames are told; a node is forgotten and met again."""
    options = ("--cluster-announce-hostname", "host.example")
    with start_cluster("orr" if kind == "o" else "roo", 0, options) as cluster:
        first, second, _ = cluster.nodes
        for server in cluster.nodes:
            assert {line.hostname for line in table(server).values()} == {"host.example"}
        fresh = cluster.add(kind)
        cluster.meet(second, fresh)
        cluster.wait_ok()
        id = node_id(fresh)
        for server in cluster.nodes[:3]:
            assert call(server, "CLUSTER", "FORGET", id) == OK
        assert call(fresh, "CLUSTER", "RESET", "HARD") == OK
        wait_until(lambda: len(table(fresh)) == 1, cluster.picture)
        cluster.meet(fresh, first)
        cluster.wait_ok()
        assert len(table(first)) == 4
