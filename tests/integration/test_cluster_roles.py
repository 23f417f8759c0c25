"""CLUSTER on nodes that know each other: two masters and a replica, of ours and of redis-server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.clusters import Cluster, call, fields, key_of, myself, node_id, start_cluster, table, wait_until
from tests.servers import HAVE_ORACLE, Server
from tests.wire import OK, Error, Wire, pairs

NO_MASTER = Error("ERR Target node is not a master")


@pytest.fixture(scope="module", params=["respcache", "oracle"] if HAVE_ORACLE else ["respcache"])
def kind(request: pytest.FixtureRequest) -> str:
    """The letter of the kind of nodes."""
    return "o" if request.param == "respcache" else "r"


@pytest.fixture(scope="module")
def _shared(kind: str) -> Iterator[Cluster]:
    with start_cluster(kind * 3, 0, joined=False) as cluster:
        a, b, replica = cluster.nodes
        for number, server in enumerate(cluster.nodes, 1):
            assert call(server, "CLUSTER", "SET-CONFIG-EPOCH", number) == OK
        assert call(a, "CLUSTER", "ADDSLOTSRANGE", 0, 8000, 8002, 8002) == OK
        assert call(b, "CLUSTER", "ADDSLOTSRANGE", 8001, 8001, 8003, 16383) == OK
        for server in (b, replica):
            cluster.meet(server, a)
        cluster.wait_acquainted()
        assert call(replica, "CLUSTER", "REPLICATE", node_id(a)) == OK
        cluster.wait_ok()
        call(a, "SET", "b", 1)
        # A replica counts when it has something, which the others hear with its next ping.
        wait_until(lambda: all(offsets_are_known(server) for server in cluster.nodes), cluster.picture)
        yield cluster


def offsets_are_known(server: Server) -> bool:
    """Whether a node knows that the replica has something."""
    shards = [shard[3] for shard in call(server, "CLUSTER", "SHARDS")]
    return all(pairs(node)[b"replication-offset"] > 0 for nodes in shards if len(nodes) == 2 for node in nodes)


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def wires(_shared: Cluster, request: pytest.FixtureRequest) -> Iterator[list[Wire]]:
    """A connection to each node: two masters and the replica of the first; one key is in the first."""
    _shared.wait_ok()
    opened = [Wire(server.port, protocol=request.param) for server in _shared.nodes]
    yield opened
    for wire in opened:
        wire.close()


def ids(wires: list[Wire]) -> list[str]:
    """Theirs."""
    return [wire("CLUSTER", "MYID").decode() for wire in wires]


def test_slots(wires: list[Wire]) -> None:
    nodes = [
        [b"127.0.0.1", wire.port, id.encode(), wire.as_map({})] for wire, id in zip(wires, ids(wires), strict=True)
    ]
    a, b, replica = nodes
    expected = [[0, 8000, a, replica], [8001, 8001, b], [8002, 8002, a, replica], [8003, 16383, b]]
    for wire in wires:
        assert wire("CLUSTER", "SLOTS") == expected


def test_shards(wires: list[Wire]) -> None:
    names = [id.encode() for id in ids(wires)]
    for wire in wires:
        shards = [pairs(shard) for shard in wire("CLUSTER", "SHARDS")]
        assert all([*shard] == [b"slots", b"nodes"] for shard in shards)
        owned = {tuple(shard[b"slots"]): [pairs(node) for node in shard[b"nodes"]] for shard in shards}
        first, second = owned[0, 8000, 8002, 8002], owned[8001, 8001, 8003, 16383]
        assert {(node[b"id"], node[b"role"]) for node in first} == {(names[0], b"master"), (names[2], b"replica")}
        assert [(node[b"id"], node[b"role"]) for node in second] == [(names[1], b"master")]
        for node in first + second:
            assert [*node] == [b"id", b"port", b"ip", b"endpoint", b"role", b"replication-offset", b"health"]
            assert node[b"port"] == wires[names.index(node[b"id"])].port
            assert node[b"ip"] == node[b"endpoint"] == b"127.0.0.1"
            assert node[b"health"] == b"online"
        assert all(node[b"replication-offset"] > 0 for node in first)


@pytest.mark.since("7.2")
def test_shard_ids(wires: list[Wire]) -> None:
    if wires[0]("CLUSTER", "MYSHARDID") == Error("ERR unknown subcommand 'MYSHARDID'. Try CLUSTER HELP."):
        return  # an oracle of 7.0
    a, b, replica = [wire("CLUSTER", "MYSHARDID") for wire in wires]
    assert a == replica != b


def test_replicas(wires: list[Wire]) -> None:
    a, b, replica = ids(wires)
    for wire in wires:
        (line,) = wire("CLUSTER", "REPLICAS", a)
        words = line.decode().split(" ")
        assert words[0] == replica
        flags = "myself,slave" if wire is wires[2] else "slave"
        assert (words[1], words[2], words[3]) == (
            f"127.0.0.1:{wires[2].port}@{wires[2].port + 10000}",
            flags,
            a,
        )
        assert words[6:] == ["1", "connected"]
        assert wire("CLUSTER", "SLAVES", b) == []
        assert wire("CLUSTER", "REPLICAS", replica) == Error("ERR The specified node is not a master")


def test_links(wires: list[Wire]) -> None:
    names = ids(wires)
    for wire, own in zip(wires, names, strict=True):
        links = [pairs(link) for link in wire("CLUSTER", "LINKS")]
        expected = {(way, name.encode()) for way in (b"to", b"from") for name in names if name != own}
        assert {(link[b"direction"], link[b"node"]) for link in links} == expected
        for link in links:
            assert [*link] == [
                *(b"direction", b"node", b"create-time", b"events"),
                *(b"send-buffer-allocated", b"send-buffer-used"),
            ]
            assert link[b"events"] in (b"r", b"rw")
            assert abs(link[b"create-time"] - time.time() * 1000) < 600_000


def test_info(_shared: Cluster) -> None:
    a, b, replica = [fields(server, "CLUSTER", "INFO") for server in _shared.nodes]
    for info in (a, b, replica):
        assert info["cluster_known_nodes"] == "3"
        assert info["cluster_size"] == "2"
        assert info["cluster_current_epoch"] == "3"
        assert info["cluster_slots_ok"] == "16384"
        for way in ("sent", "received"):
            counts = [int(info[name]) for name in info if name.endswith(f"_{way}") and name.count("_") == 4]
            assert 0 <= int(info[f"cluster_stats_messages_{way}"]) - sum(counts) < 3
    assert [info["cluster_my_epoch"] for info in (a, b, replica)] == ["1", "2", "1"]


def test_what_a_replica_does_not_do(wires: list[Wire]) -> None:
    a, _, replica = ids(wires)
    c = wires[2]
    masters_only = Error("ERR Please use SETSLOT only with masters.")
    assert c("CLUSTER", "SETSLOT", 1, "STABLE") == masters_only
    assert c("CLUSTER", "SETSLOT", "x", "NODE", "x") == masters_only
    assert c("CLUSTER", "FORGET", a) == Error("ERR Can't forget my master!")
    assert c("CLUSTER", "ADDSLOTS", 1) == Error("ERR Slot 1 is already busy")
    assert c("CLUSTER", "FAILOVER", "x") == Error("ERR syntax error")
    assert c("CLUSTER", "REPLICATE", replica) == Error("ERR Can't replicate myself")
    assert c("CLUSTER", "REPLICATE", a) == OK  # it does already
    assert c("CLUSTER", "FORGET", replica) == Error("ERR I tried hard but I can't forget myself...")
    assert c("CLUSTER", "SET-CONFIG-EPOCH", 9) == Error(
        "ERR The user can assign a config epoch only when the node does not know any other node."
    )


def test_what_a_master_does_not_do(wires: list[Wire]) -> None:
    _, b, replica = ids(wires)
    c = wires[0]
    assert c("CLUSTER", "REPLICATE", b) == Error(
        "ERR To set a master the node must be empty and without assigned slots."
    )
    assert c("CLUSTER", "REPLICATE", replica) == Error("ERR I can only replicate a master, not a replica.")
    assert c("CLUSTER", "FAILOVER", "FORCE") == Error("ERR You should send CLUSTER FAILOVER to a replica")
    assert c("CLUSTER", "SETSLOT", 3300, "NODE", b) == Error(
        "ERR Can't assign hashslot 3300 to a different node while I still hold keys for this hash slot."
    )
    assert c("CLUSTER", "SETSLOT", 3300, "NODE", replica) == NO_MASTER
    assert c("CLUSTER", "SETSLOT", 1, "MIGRATING", replica) == NO_MASTER
    assert c("CLUSTER", "SETSLOT", 8001, "IMPORTING", replica) == NO_MASTER
    assert c("CLUSTER", "ADDSLOTS", 8001) == Error("ERR Slot 8001 is already busy")
    assert c("CLUSTER", "RESET") == Error("ERR CLUSTER RESET can't be called with master nodes containing keys")
    assert c("GET", "b") == b"1"


def test_a_slot_moves(_shared: Cluster, wires: list[Wire]) -> None:
    """There and back; the importer's epoch is the greatest afterwards, and everybody hears of it."""
    names = ids(wires)
    for source, target in ((0, 1), (1, 0)):
        assert wires[target]("CLUSTER", "SETSLOT", 8002, "IMPORTING", names[source]) == OK
        assert wires[source]("CLUSTER", "SETSLOT", 8002, "MIGRATING", names[target]) == OK
        assert myself(_shared.nodes[target]).marks == (f"8002-<-{names[source]}",)
        assert myself(_shared.nodes[source]).marks == (f"8002->-{names[target]}",)
        assert wires[target]("CLUSTER", "SETSLOT", 8002, "NODE", names[target]) == OK
        assert wires[source]("CLUSTER", "SETSLOT", 8002, "NODE", names[target]) == OK
        for wire in wires[:2]:
            assert b"8002-<-" not in (found := wire("CLUSTER", "NODES")) if wire.protocol == 2 else True
            assert wire.protocol == 3 or b"8002->-" not in found
        _shared.wait_ok()
        lines = table(_shared.nodes[2])
        assert 8002 in lines[names[target]].slots
        assert lines[names[target]].epoch == max(line.epoch for line in lines.values())
    # As it was.
    assert table(_shared.nodes[1])[names[0]].ranges == ((0, 8000), (8002, 8002))


def test_forgotten_nodes_stay_forgotten(kind: str) -> None:
    with start_cluster(kind * 3, 0) as cluster:
        a, b, c = cluster.nodes
        id = node_id(c)
        for server in (a, b):
            assert call(server, "CLUSTER", "FORGET", id) == OK
        # The other ones do not gossip it in again; it itself knocks, and nobody takes it in.
        time.sleep(1)
        for server in (a, b):
            assert id not in table(server)
            assert fields(server, "CLUSTER", "INFO")["cluster_state"] == "fail"


def test_reset_of_a_replica(kind: str) -> None:
    """It becomes an empty master that knows nobody, and may be taken in again."""
    with start_cluster(kind * 4, 1) as cluster:
        a, b, *replicas = cluster.nodes
        for server in (a, b):
            slot = myself(server).ranges[0][0]
            assert call(server, "SET", key_of(slot), 1) == OK
        cluster.wait_synced()
        replica = next(server for server in replicas if myself(server).master == node_id(a))
        assert call(replica, "DBSIZE") == 1
        id = node_id(replica)
        assert call(replica, "CLUSTER", "RESET", "SOFT") == OK
        assert call(replica, "DBSIZE") == 0
        assert fields(replica, "INFO", "replication")["role"] == "master"
        assert node_id(replica) == id
        # The others know it still, and take it in again by themselves; now it is anybody's.
        cluster.meet(replica, a)
        cluster.wait_acquainted()
        assert call(replica, "CLUSTER", "REPLICATE", node_id(b)) == OK
        cluster.wait_ok()
        cluster.wait_synced()
        assert call(replica, "DBSIZE") == 1
        # A replica may change its master at any time.
        assert call(replica, "CLUSTER", "REPLICATE", node_id(a)) == OK
        cluster.wait_ok()
        assert len(cluster.replicas(a)) == 1
