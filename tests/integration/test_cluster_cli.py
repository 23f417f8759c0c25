"""`redis-cli --cluster` against nodes of ours: all that operators do with a cluster, under a load with a checker."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster_load import Load, where_keys_are
from tests.clusters import (
    SECONDS,
    Cluster,
    address,
    call,
    fields,
    key_of,
    myself,
    node_id,
    slot_of,
    start_cluster,
    table,
    wait_until,
)
from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import OK, Wire

pytestmark = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is what this is about")

OURS = "o"


def create(cluster: Cluster, replicas: int, *options: str | int) -> str:
    """Has redis-cli make a cluster of the nodes."""
    nodes = [address(server) for server in cluster.nodes]
    return cluster.cli("create", *nodes, "--cluster-replicas", replicas, "--cluster-yes", *options)


@pytest.fixture(scope="module")
def _shared() -> Iterator[list[Cluster]]:
    clusters: list[Cluster] = []
    yield clusters
    for cluster in clusters:
        cluster.close()


@pytest.fixture
def cluster(_shared: list[Cluster]) -> Cluster:
    """Three masters with a replica each, made by redis-cli; a new one if the last test left it in a bad state."""
    if _shared:
        try:
            _shared[0].wait_ok(5)
            for server in _shared[0].masters():
                call(server, "FLUSHALL")
            _shared[0].cli("check", _shared[0].entry)
            if len(_shared[0].nodes) == len(_shared[0].living) == len(table(_shared[0].nodes[0])) == 6:
                return _shared[0]
        except (OSError, EOFError, AssertionError):
            pass
        _shared.pop().close()
    made = start_cluster(OURS * 6, joined=False)
    _shared.append(made)
    _delay_synchronizations(made, 5)  # as by default: redis-cli looks at the new replicas before they load their data
    told = create(made, 1)
    _delay_synchronizations(made, 0)
    assert "[OK] All nodes agree about slots configuration." in told
    assert "[OK] All 16384 slots covered." in told
    made.wait_ok()
    return made


def _delay_synchronizations(cluster: Cluster, seconds: int) -> None:
    for server in cluster.nodes:
        call(server, "CONFIG", "SET", "repl-diskless-sync-delay", seconds)


@pytest.fixture
def three() -> Iterator[Cluster]:
    """Three masters, for tests that leave them in a state of their own."""
    with start_cluster(OURS * 3, 0) as made:
        yield made


def is_sound(cluster: Cluster) -> None:
    """Whether redis-cli finds nothing to complain of."""
    cluster.wait_ok()
    told = cluster.cli("check", cluster.entry)
    assert "[OK] All nodes agree about slots configuration." in told
    assert "[OK] All 16384 slots covered." in told
    assert "[ERR]" not in told and "[WARNING]" not in told, told


def fill(cluster: Cluster, count: int, prefix: str = "key") -> None:
    """Puts keys into the cluster, each with its name for a value."""
    homes = {slot: server for server in cluster.masters() for slot in myself(server).slots}
    keys = [f"{prefix}:{number}" for number in range(count)]
    for server in {*homes.values()}:
        with Wire(server.port) as c:
            replies = c.pipeline([("SET", key, key) for key in keys if homes[slot_of(key)] is server])
            assert {*replies} <= {OK}


def is_filled(cluster: Cluster, count: int, prefix: str = "key") -> None:
    """Whether they are all there, each once and where it belongs."""
    homes = where_keys_are(cluster)
    assert {key for key in homes if key.startswith(f"{prefix}:")} == {f"{prefix}:{at}" for at in range(count)}


def reshard(cluster: Cluster, source: Server, target: Server, slots: int, *options: str | int) -> str:
    """Moves slots from a master to another one."""
    cluster.wait_ok()
    ends = ("--cluster-from", node_id(source), "--cluster-to", node_id(target))
    return cluster.cli("reshard", cluster.entry, *ends, "--cluster-slots", slots, "--cluster-yes", *options)


# To make a cluster, and to look at it


def test_create(cluster: Cluster) -> None:
    lines = table(cluster.nodes[0])
    masters = [line for line in lines.values() if "master" in line.flags]
    assert len(lines) == 6
    assert sorted(line.ranges for line in masters) == [((0, 5460),), ((5461, 10922),), ((10923, 16383),)]
    assert {line.master for line in lines.values() if "slave" in line.flags} == {line.id for line in masters}
    assert len({line.epoch for line in masters}) == 3
    for server in cluster.replicas():
        assert fields(server, "INFO", "replication")["role"] == "slave"
    is_sound(cluster)


def test_create_refuses_nodes_in_use(cluster: Cluster) -> None:
    nodes = [address(server) for server in cluster.nodes]
    told = cluster.cli("create", *nodes, "--cluster-yes", succeeds=False)
    assert "is not empty" in told


def test_info(cluster: Cluster) -> None:
    fill(cluster, 30)
    told = cluster.cli("info", cluster.entry)
    assert "[OK] 30 keys in 3 masters." in told
    assert len(re.findall(r"\| 546[12] slots \| 1 slaves\.", told)) == 3


def test_call(cluster: Cluster) -> None:
    assert cluster.cli("call", cluster.entry, "PING").count(": PONG") == 6
    told = cluster.cli("call", cluster.entry, "CLUSTER", "MYID", "--cluster-only-masters")
    assert [id for server in cluster.nodes if (id := node_id(server)) in told] == [
        node_id(server) for server in cluster.masters()
    ]
    told = cluster.cli("call", cluster.entry, "CLUSTER", "MYID", "--cluster-only-replicas")
    assert sum(node_id(server) in told for server in cluster.replicas()) == 3


def test_set_timeout(tmp_path: Path) -> None:
    with Cluster() as cluster:
        for number in range(3):
            path = tmp_path / f"{number}.conf"
            path.write_text("cluster-enabled yes\ncluster-node-timeout 1500\n")
            start = start_respcache if OURS == "o" else start_redis
            cluster.nodes.append(start(str(path)))
        cluster.join()
        told = cluster.cli("set-timeout", cluster.entry, 2000)
        assert "3 OK, 0 ERR." in told
        for number, server in enumerate(cluster.nodes):
            assert call(server, "CONFIG", "GET", "cluster-node-timeout")[1] == b"2000"
            assert "cluster-node-timeout 2000" in (tmp_path / f"{number}.conf").read_text()


def test_backup(cluster: Cluster, tmp_path: Path) -> None:
    fill(cluster, 60)
    told = cluster.cli("backup", cluster.entry, str(tmp_path))
    assert "[OK] Backup created into" in told
    nodes = json.loads((tmp_path / "nodes.json").read_text())
    assert {node["name"] for node in nodes} == {node_id(server) for server in cluster.nodes}
    dumps = sorted(tmp_path.glob("*.rdb"))
    assert len(dumps) == 3
    keys = 0
    for dump in dumps:
        with start_respcache("--dbfilename", dump.name, "--dir", str(dump.parent)) as server:
            keys += call(server, "DBSIZE")
    assert keys == 60


# To move slots


def test_reshard(three: Cluster) -> None:
    a, b, _ = three.nodes
    fill(three, 300)
    reshard(three, a, b, 40)
    assert myself(a).ranges == ((40, 5460),)
    assert myself(b).ranges == ((0, 39), (5461, 10921))
    assert myself(b).epoch == max(line.epoch for line in table(a).values())
    is_sound(three)
    is_filled(three, 300)


def test_reshard_under_load(cluster: Cluster) -> None:
    a, b, _ = cluster.masters()
    with Load(cluster) as load:
        wait_until(lambda: load.done > 300, seconds=SECONDS)
        reshard(cluster, a, b, 150)
        reshard(cluster, b, a, 150, "--cluster-pipeline", 3)
    load.check()
    is_sound(cluster)
    cluster.wait_synced()
    for replica in cluster.replicas():
        assert call(replica, "DBSIZE") == call(cluster.master_of(replica), "DBSIZE")


@pytest.mark.long
def test_reshard_of_1000_slots_under_load(cluster: Cluster) -> None:
    a, b, c = cluster.masters()
    with Load(cluster, writers=3) as load:
        wait_until(lambda: load.done > 300, seconds=SECONDS)
        for source, target in ((a, b), (b, c), (c, a)):
            reshard(cluster, source, target, 1000)
            is_sound(cluster)
    load.check()
    cluster.wait_synced()


def test_all_slots_of_a_node() -> None:
    """With its last slot a master becomes a replica of the one who has it now."""
    with start_cluster(OURS * 3, 0, parts=((0, 29), (30, 8000), (8001, 16383))) as cluster:
        a, b, _ = cluster.nodes
        keys = [key_of(slot) for slot in range(0, 30, 3)]
        for key in keys:
            assert call(a, "SET", key, key) == OK
        reshard(cluster, a, b, 30)
        wait_until(lambda: "slave" in myself(a).flags, cluster.picture)
        assert myself(a).master == node_id(b)
        is_sound(cluster)
        cluster.wait_synced()
        assert call(a, "DBSIZE") == call(b, "DBSIZE") == len(keys)


def test_rebalance_with_weights(three: Cluster) -> None:
    a, b, c = three.nodes
    weights = (f"{node_id(a)}=1.03", f"{node_id(b)}=1", f"{node_id(c)}=1")
    with Load(three) as load:
        wait_until(lambda: load.done > 300, seconds=SECONDS)
        three.cli("rebalance", three.entry, "--cluster-threshold", 1, "--cluster-weight", *weights)
    load.check()
    is_sound(three)
    sizes = [len(myself(server).slots) for server in (a, b, c)]
    assert sum(sizes) == 16384
    assert abs(sizes[0] - 16384 * 1.03 / 3.03) < 3
    assert abs(sizes[1] - sizes[2]) < 3


# To grow and to shrink


def test_nodes_come_and_go(cluster: Cluster) -> None:
    """A master that is empty, then has slots, and then none; replicas of a master that is named, and of any."""
    with Load(cluster) as load:
        fresh = cluster.add(OURS)
        told = cluster.cli("add-node", address(fresh), cluster.entry)
        assert "[OK] New node added correctly." in told
        cluster.wait_ok()
        assert "master" in myself(fresh).flags and not myself(fresh).ranges
        others = [server for server in cluster.masters() if server is not fresh]
        weights = [f"{node_id(server)}=1" for server in others]
        options = ("--cluster-use-empty-masters", "--cluster-threshold", 1)
        cluster.cli("rebalance", cluster.entry, *options, "--cluster-weight", f"{node_id(fresh)}=0.02", *weights)
        assert abs(len(myself(fresh).slots) - 16384 * 0.02 / 3.02) < 4
        is_sound(cluster)
        replica = cluster.add(OURS)
        ends = ("--cluster-slave", "--cluster-master-id", node_id(fresh))
        cluster.cli("add-node", address(replica), cluster.entry, *ends)
        cluster.wait_ok()
        assert myself(replica).master == node_id(fresh)
        assert "is not empty" in cluster.cli("del-node", cluster.entry, node_id(fresh), succeeds=False)
        # Its last slot makes the master a replica.
        reshard(cluster, fresh, others[0], len(myself(fresh).slots))
        wait_until(lambda: "slave" in myself(fresh).flags, cluster.picture)
        cluster.wait_ok()
    load.check()
    for server in cluster.masters():
        call(server, "FLUSHALL")
    with Load(cluster) as load:  # clients of before may still ask the old master for slots that they did not use since
        for server in (replica, fresh):
            cluster.cli("del-node", cluster.entry, node_id(server))
            assert len(table(server)) == 1
            cluster.nodes.remove(server)
            server.close()
        cluster.wait_ok()
        assert len(table(cluster.nodes[0])) == 6
    load.check()
    is_sound(cluster)


# To mend


def interrupted_reshard(cluster: Cluster, source: Server, target: Server) -> None:
    """Begins to move slots, and is killed when some have been."""
    ends = ("--cluster-from", node_id(source), "--cluster-to", node_id(target))
    command = ["redis-cli", "--cluster", "reshard", cluster.entry, *ends, "--cluster-slots", "3000", "--cluster-yes"]
    enough = len(myself(target).slots) + 5
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: len(myself(target).slots) >= enough, cluster.picture)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_fix_after_an_interrupted_reshard(three: Cluster) -> None:
    """redis-cli is killed while it moves slots, and that under load."""
    a, b, _ = three.nodes
    fill(three, 3000)
    with Load(three) as load:
        wait_until(lambda: load.done > 300, seconds=SECONDS)
        for _ in range(3):
            interrupted_reshard(three, a, b)
            three.wait_ok()
            three.cli("fix", three.entry)
            is_sound(three)
    load.check()
    is_filled(three, 3000)


def half_moved(source: Server, target: Server, slot: int, keys: list[str]) -> None:
    """Puts keys into a slot and moves half of them, as far as an interrupted migration went."""
    assert call(source, "MSET", *[word for key in keys for word in (key, key)]) == OK
    assert call(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source)) == OK
    assert call(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(target)) == OK
    half = keys[: len(keys) // 2]
    assert call(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *half) == OK
    assert call(source, "CLUSTER", "COUNTKEYSINSLOT", slot) == len(keys) - len(half)
    assert call(target, "CLUSTER", "COUNTKEYSINSLOT", slot) == len(half)


KEYS = [f"{{b}}:{number}" for number in range(20)]  # of slot 3300, of the first node
SLOT = 3300


def owner_of_keys(cluster: Cluster) -> Server:
    """The one node that has all the keys of the slot."""
    homes = where_keys_are(cluster)
    owners = {homes[key] for key in KEYS}
    assert len(owners) == 1
    return owners.pop()


def test_fix_of_open_slots(three: Cluster) -> None:
    a, b, c = three.nodes
    # Both marks and keys on both sides: all go to where most of them are.
    half_moved(a, b, SLOT, KEYS)
    assert "in migrating state" in three.cli("check", three.entry, succeeds=False)
    three.cli("fix", three.entry)
    is_sound(three)
    owner = owner_of_keys(three)
    other = a if owner is b else b
    # Only the target's mark, keys on both sides: they return to the owner.
    assert call(other, "CLUSTER", "SETSLOT", SLOT, "IMPORTING", node_id(owner)) == OK
    assert call(owner, "CLUSTER", "SETSLOT", SLOT, "MIGRATING", node_id(other)) == OK
    assert call(owner, "MIGRATE", "127.0.0.1", other.port, "", 0, 5000, "KEYS", *KEYS[:5]) == OK
    assert call(owner, "CLUSTER", "SETSLOT", SLOT, "STABLE") == OK
    three.cli("fix", three.entry)
    is_sound(three)
    assert owner_of_keys(three) is owner
    # Only the source's mark.
    assert call(owner, "CLUSTER", "SETSLOT", SLOT, "MIGRATING", node_id(c)) == OK
    three.cli("fix", three.entry)
    is_sound(three)
    # Two importers without keys.
    for server in (other, c):
        assert call(server, "CLUSTER", "SETSLOT", SLOT, "IMPORTING", node_id(owner)) == OK
    three.cli("fix", three.entry)
    is_sound(three)
    assert owner_of_keys(three) is owner


def test_fix_of_busy_keys(three: Cluster) -> None:
    """A key on both sides, as after a connection that was lost in the middle: equal ones are replaced."""
    a, b, _ = three.nodes
    half_moved(a, b, SLOT, KEYS)
    dump = call(a, "DUMP", KEYS[15])
    with Wire(b.port) as c:
        assert c.pipeline([("ASKING",), ("RESTORE", KEYS[15], 0, dump)]) == [OK, OK]
    three.cli("fix", three.entry)
    is_sound(three)
    owner_of_keys(three)


def test_fix_of_slots_without_an_owner(three: Cluster) -> None:
    a, b, c = three.nodes
    assert call(a, "MSET", *[word for key in KEYS for word in (key, key)]) == OK
    for server in (a, b, c):
        assert call(server, "CLUSTER", "DELSLOTS", SLOT, 3301) == OK
    assert "Not all 16384 slots are covered" in three.cli("check", three.entry, succeeds=False)
    three.cli("fix", three.entry, answer="yes\n" * 5)
    is_sound(three)
    assert SLOT in myself(a).slots
    assert owner_of_keys(three) is a


# Data from elsewhere


@pytest.mark.parametrize("kind", ["respcache", "oracle"] if HAVE_ORACLE else ["respcache"])
def test_import(cluster: Cluster, kind: str) -> None:
    with (start_redis if kind == "oracle" else start_respcache)() as source:
        with Wire(source.port) as c:
            c.pipeline([("SET", f"key:{number}", number) for number in range(200)])
            c.pipeline([("RPUSH", "list", *range(500)), ("HSET", "hash", "f", "v"), ("SET", "mortal", 1, "EX", 1000)])
        options = ("--cluster-from", address(source))
        cluster.cli("import", cluster.entry, *options, "--cluster-copy")
        assert call(source, "DBSIZE") == 203
        assert len(where_keys_are(cluster)) == 203
        # Once more, now without a copy.
        cluster.cli("import", cluster.entry, *options, "--cluster-replace")
        assert call(source, "DBSIZE") == 0
    homes = where_keys_are(cluster)
    assert len(homes) == 203
    assert call(homes["list"], "LLEN", "list") == 500
    assert 0 < call(homes["mortal"], "TTL", "mortal") <= 1000


# With a password


def test_password() -> None:
    options = ("--requirepass", "secret", "--masterauth", "secret")
    with start_cluster(OURS * 4, joined=False, options=options) as cluster:
        told = create(cluster, 0, "-a", "secret")
        assert "[OK] All 16384 slots covered." in told
        id = re.findall(r"M: ([0-9a-f]{40})", told)
        cluster.cli("call", cluster.entry, "SET", "{b}", "1", "-a", "secret")  # one of them has the slot
        ends = ("--cluster-from", id[0], "--cluster-to", id[1], "--cluster-slots", 10, "--cluster-yes")
        cluster.cli("reshard", cluster.entry, *ends, "-a", "secret")
        deadline = time.monotonic() + SECONDS
        while "[OK] All nodes agree" not in cluster.cli("check", cluster.entry, "-a", "secret"):
            assert time.monotonic() < deadline
