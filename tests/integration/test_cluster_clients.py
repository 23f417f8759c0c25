"""Clients that know clusters, unchanged and without a warning: redis-py, blocking and asyncio, in RESP2 and RESP3."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from redis.asyncio.cluster import RedisCluster as AsyncRedisCluster
from redis.cluster import LoadBalancingStrategy, RedisCluster
from redis.crc import key_slot
from redis.exceptions import ExecAbortError, RedisClusterException, RedisError, ResponseError, WatchError

from tests.clusters import Cluster, call, node_id, slot_of, start_cluster, wait_until
from tests.servers import Server

KEYS = [f"key:{number}" for number in range(60)]
"""In slots of all nodes."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three masters and their replicas, which are known to have data: without any they are not shown to clients."""
    with start_cluster("oooooo", replicas=1) as cluster:
        for server in cluster.masters():
            call(server, "FLUSHALL")
        wait_until(lambda: all(_shown(server) == 6 for server in cluster.nodes))
        yield cluster


def _shown(server: Server) -> int:
    """How many nodes one shows in CLUSTER SLOTS."""
    return sum(len(part) - 2 for part in call(server, "CLUSTER", "SLOTS"))


@pytest.fixture(params=[2, 3, None], ids=["resp2", "resp3", "default"])
def options(request: pytest.FixtureRequest, cluster: Cluster) -> dict[str, Any]:
    """Options of a client: where the cluster is, and the protocol, or nothing."""
    protocol = {} if request.param is None else {"protocol": request.param}
    return {"host": "127.0.0.1", "port": cluster.nodes[3].port, **protocol}


@pytest.fixture
def client(cluster: Cluster, options: dict[str, Any]) -> Iterator[Any]:
    client = RedisCluster(**options)
    yield client
    client.flushall(target_nodes=RedisCluster.PRIMARIES)
    client.close()


def run(test: Callable[[Any], Coroutine[Any, Any, None]], options: dict[str, Any], **more: Any) -> None:
    """Runs a test with an asyncio client, after which the cluster is empty."""

    async def with_client() -> None:
        async with AsyncRedisCluster(**options, **more) as client:
            await test(client)
            await client.flushall(target_nodes=AsyncRedisCluster.PRIMARIES)

    asyncio.run(asyncio.wait_for(with_client(), 60))


def test_keys_of_all_nodes(client: Any) -> None:
    for key in KEYS:
        assert client.set(key, f"value of {key}") is True
    assert [client.get(key) for key in KEYS] == [f"value of {key}".encode() for key in KEYS]
    assert {client.get_node_from_key(key).name for key in KEYS} == {node.name for node in client.get_primaries()}
    assert sum(client.dbsize(target_nodes=[node]) for node in client.get_primaries()) == len(KEYS)
    assert client.mget_nonatomic(KEYS[:9]) == [f"value of {key}".encode() for key in KEYS[:9]]
    assert all(client.mset_nonatomic(dict.fromkeys(KEYS, "new")))
    assert sorted(client.keys("*", target_nodes=RedisCluster.PRIMARIES)) == sorted(key.encode() for key in KEYS)
    assert sorted(client.scan_iter("*", count=5)) == sorted(key.encode() for key in KEYS)
    assert client.exists(*KEYS, "nothing") == len(KEYS)
    assert client.touch(*KEYS) == len(KEYS)
    assert client.delete(*KEYS, "nothing") == len(KEYS)
    assert client.get("nothing") is None


def test_types(client: Any) -> None:
    assert client.hset("{t}h", mapping={"a": 1, "b": 2}) == 2
    assert client.hgetall("{t}h") == {b"a": b"1", b"b": b"2"}
    assert client.rpush("{t}l", "a", "b", "c") == 3
    assert client.lmove("{t}l", "{t}m", "LEFT", "RIGHT") == b"a"
    assert client.blpop(["{t}none", "{t}m"], timeout=1) in ((b"{t}m", b"a"), [b"{t}m", b"a"])
    assert client.sadd("{t}s", "x", "y") == 2
    assert client.sinterstore("{t}i", "{t}s", "{t}s") == 2
    assert client.zadd("{t}z", {"one": 1, "two": 2}) == 2
    assert client.zrange("{t}z", 0, -1) == [b"one", b"two"]
    assert client.xadd("{t}x", {"f": "v"}, id="1-1") == b"1-1"
    assert client.xlen("{t}x") == 1
    assert client.pfadd("{t}p", "a", "b") == 1
    assert client.pfcount("{t}p") == 2
    assert client.rename("{t}h", "{t}hh") is True
    assert client.sort("{t}l", alpha=True, store="{t}sorted") == 2
    with pytest.raises((RedisClusterException, ResponseError)):
        client.mget("a", "b", "c")


def test_what_it_tells_of_itself(cluster: Cluster, client: Any) -> None:
    info = client.cluster_info(target_nodes=RedisCluster.RANDOM)
    assert (info["cluster_state"], info["cluster_known_nodes"], info["cluster_size"]) == ("ok", "6", "3")
    nodes = client.cluster_nodes()
    assert {node.rpartition(":")[2] for node in nodes} == {str(server.port) for server in cluster.nodes}
    slots = client.cluster_slots()
    assert len(slots) == 3
    assert client.cluster_keyslot("foo") == 12182
    client.set("foo", "1")
    node = client.get_node_from_key("foo")
    assert client.cluster_countkeysinslot(12182) == 1
    assert client.cluster_get_keys_in_slot(12182, 10) in (["foo"], [b"foo"])
    assert len(client.cluster_shards(target_nodes=RedisCluster.RANDOM)) == 3
    assert len(client.cluster_links(node)) >= 5
    assert len(client.cluster_myid(node)) == 40
    assert client.ping(target_nodes=RedisCluster.ALL_NODES) is True
    assert len(client.client_list(target_nodes=[node])) >= 1
    assert client.info("server", target_nodes=node)["redis_mode"] == "cluster"


def test_pipeline(client: Any) -> None:
    with client.pipeline() as pipe:
        for number, key in enumerate(KEYS):
            pipe.set(key, number)
        for key in KEYS:
            pipe.incr(key)
        pipe.hset("h", "f", "v")
        pipe.lpush("h", "x")
        told = pipe.execute(raise_on_error=False)
    assert told[:-1] == [True] * 60 + [*range(1, 61)] + [1]
    assert isinstance(told[-1], ResponseError)
    assert "WRONGTYPE" in str(told[-1])


def test_transaction_on_one_slot(client: Any) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.set("{t}a", 1)
        pipe.incr("{t}a")
        pipe.hset("{t}h", "f", "v")
        assert pipe.execute() in ([True, 2, 1], [b"OK", 2, 1])
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("{t}a")
        value = int(pipe.get("{t}a"))
        pipe.multi()
        pipe.set("{t}a", value + 5)
        assert pipe.execute() in ([True], [b"OK"])
    assert client.get("{t}a") == b"7"
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("{t}a")
        client.incr("{t}a")
        pipe.multi()
        pipe.set("{t}a", 0)
        with pytest.raises(WatchError):
            pipe.execute()
    with client.pipeline(transaction=True) as pipe:
        pipe.set("a", 1)
        with pytest.raises((RedisClusterException, ExecAbortError)):
            pipe.set("b", 1)
            pipe.execute()


def test_pubsub(client: Any) -> None:
    with client.pubsub() as pubsub:
        pubsub.subscribe("news")
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
        silent = {node.name: node for node in client.get_nodes()}
        assert len(silent) == 6
        for node in client.get_nodes():
            client.publish("news", node.name, target_nodes=node)
        while silent:
            message = pubsub.get_message(timeout=5)
            assert message is not None, f"what was said to {[*silent]} did not come"
            del silent[message["data"].decode()]


def test_sharded_pubsub(client: Any) -> None:
    channels = KEYS[:6]
    with client.pubsub() as pubsub:
        for channel in channels:
            pubsub.ssubscribe(channel)
        assert {_sharded(pubsub, "ssubscribe")["channel"].decode() for _ in channels} == set(channels)
        for channel in channels:
            assert client.spublish(channel, f"to {channel}") == 1
        told = [_sharded(pubsub, "smessage") for _ in channels]
        assert {one["data"] for one in told} == {f"to {channel}".encode() for channel in channels}
        assert client.pubsub_shardnumsub(channels[0], target_nodes=client.get_node_from_key(channels[0])) == [
            (channels[0].encode(), 1)
        ]
        for channel in channels:
            pubsub.sunsubscribe(channel)
        assert {_sharded(pubsub, "sunsubscribe")["channel"].decode() for _ in channels} == set(channels)


def _sharded(pubsub: Any, kind: str) -> Any:
    """The next message of a kind, from whichever node."""
    return wait_until(
        lambda: (found := pubsub.get_sharded_message(timeout=0.1)) and found["type"] == kind and found, kind, 10
    )


@pytest.mark.parametrize("strategy", [*LoadBalancingStrategy])
def test_reading_from_replicas(
    cluster: Cluster, options: dict[str, Any], strategy: LoadBalancingStrategy
) -> None:
    with RedisCluster(**options, load_balancing_strategy=strategy) as client:
        for key in KEYS:
            client.set(key, key)
        cluster.wait_synced()
        before = _reads(cluster)
        for _ in range(4):
            assert [client.get(key) for key in KEYS] == [key.encode() for key in KEYS]
        served = {server: _reads(cluster)[server] - before[server] for server in cluster.nodes}
        assert sum(served[server] for server in cluster.replicas()) >= 4 * len(KEYS) // 3
        client.flushall(target_nodes=RedisCluster.PRIMARIES)


def _reads(cluster: Cluster) -> dict[Server, int]:
    found = {}
    for server in cluster.nodes:
        stats = call(server, "INFO", "commandstats").decode().splitlines()
        found[server] = next((int(line.split("calls=")[1].split(",")[0]) for line in stats if "_get:" in line), 0)
    return found


def test_a_slot_on_its_way(cluster: Cluster, client: Any) -> None:
    """Half of the keys have moved: the client finds all of them, and then learns the new owner."""
    slot = slot_of("{way}")
    source = cluster.node_of(slot)
    target = next(server for server in cluster.masters() if server is not source)
    keys = [f"{{way}}{number}" for number in range(20)]
    for key in keys:
        client.set(key, key)
    for server, action, other in ((target, "IMPORTING", source), (source, "MIGRATING", target)):
        call(server, "CLUSTER", "SETSLOT", slot, action, node_id(other))
    call(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys[:10])
    assert [client.get(key) for key in keys] == [key.encode() for key in keys]
    assert client.set("{way}new", "1") is True
    with client.pipeline() as pipe:
        for key in keys:
            pipe.get(key)
        assert pipe.execute() == [key.encode() for key in keys]
    call(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys[10:])
    for server in (target, source):
        call(server, "CLUSTER", "SETSLOT", slot, "NODE", node_id(target))
    assert client.mget(keys) == [key.encode() for key in keys]
    assert client.get("{way}new") == b"1"
    assert call(target, "CLUSTER", "COUNTKEYSINSLOT", slot) == 21
    client.flushall(target_nodes=RedisCluster.PRIMARIES)
    for server in (source, target):
        call(server, "CLUSTER", "SETSLOT", slot, "NODE", node_id(source))
    cluster.wait_ok()


def test_many_threads(client: Any) -> None:
    def work(number: int) -> None:
        try:
            for key in KEYS:
                client.incr(key)
        except RedisError as error:
            failed.append(f"{number}: {error!r}")

    failed: list[str] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failed
    assert [client.get(key) for key in KEYS] == [b"8"] * len(KEYS)


# asyncio


def test_asyncio(options: dict[str, Any]) -> None:
    async def test(client: Any) -> None:
        assert all(await asyncio.gather(*[client.set(key, f"value of {key}") for key in KEYS]))
        values = await asyncio.gather(*[client.get(key) for key in KEYS])
        assert values == [f"value of {key}".encode() for key in KEYS]
        assert await client.mget_nonatomic(KEYS[:5]) == values[:5]
        assert await client.exists(*KEYS) == len(KEYS)
        assert len([key async for key in client.scan_iter("*")]) == len(KEYS)
        async with client.pipeline() as pipe:
            for key in KEYS:
                pipe.strlen(key)
            assert await pipe.execute() == [len(value) for value in values]
        async with client.pipeline(transaction=True) as pipe:
            pipe.set("{t}a", 1)
            pipe.incr("{t}a")
            assert await pipe.execute() == [True, 2]
        info = await client.cluster_info(target_nodes=AsyncRedisCluster.RANDOM)
        assert info["cluster_state"] == "ok"
        assert len(await client.cluster_nodes()) == 6
        assert await client.ping(target_nodes=AsyncRedisCluster.ALL_NODES) is True

    run(test, options)


def test_asyncio_reading_from_replicas(cluster: Cluster, options: dict[str, Any]) -> None:
    async def test(client: Any) -> None:
        for key in KEYS:
            await client.set(key, key)
        await asyncio.to_thread(cluster.wait_synced)
        for _ in range(3):
            assert [await client.get(key) for key in KEYS] == [key.encode() for key in KEYS]

    run(test, options, load_balancing_strategy=LoadBalancingStrategy.ROUND_ROBIN_REPLICAS)


def test_asyncio_many_tasks(options: dict[str, Any]) -> None:
    async def test(client: Any) -> None:
        async def work() -> None:
            for key in KEYS:
                await client.incr(key)

        await asyncio.gather(*[work() for _ in range(20)])
        assert [await client.get(key) for key in KEYS] == [b"20"] * len(KEYS)

    run(test, options)


# The failure of a master. These come last: they change who is who.


def test_a_manual_failover(cluster: Cluster, options: dict[str, Any], client: Any) -> None:
    for key in KEYS:
        client.set(key, "before")
    # Each time another shard's turn: masters vote for replicas of the same one only every 2 node timeouts.
    replica = cluster.nodes[3:][[2, 3, None].index(options.get("protocol"))]
    cluster.wait_synced()
    call(replica, "CLUSTER", "FAILOVER")
    wait_until(lambda: replica in cluster.masters())
    for key in KEYS:
        assert client.get(key) == b"before"
        assert client.set(key, "after") is True
    cluster.wait_ok()
    assert [client.get(key) for key in KEYS] == [b"after"] * len(KEYS)


@pytest.mark.parametrize("options", [2, 3], indirect=True, ids=["resp2", "resp3"])
def test_a_master_dies(cluster: Cluster, options: dict[str, Any]) -> None:
    """A client that works all the time comes through; one that only begins afterwards finds its way, too."""
    dead = cluster.masters()[0]
    entry = next(server for server in cluster.replicas() if cluster.master_of(server) is not dead)
    options["port"] = entry.port
    with RedisCluster(**options, socket_timeout=3) as client:
        for key in KEYS:
            client.set(key, "before")
        cluster.wait_synced()
        try:
            cluster.kill(dead)
            deadline = time.monotonic() + 30
            pending = dict.fromkeys(KEYS)
            while pending:
                assert time.monotonic() < deadline, f"{len(pending)} keys are still out of reach"
                for key in [*pending]:
                    try:
                        assert client.get(key) == b"before"
                        client.set(key, "after")
                        del pending[key]
                    except (RedisError, OSError):
                        time.sleep(0.1)
            with RedisCluster(**options) as late:
                assert [late.get(key) for key in KEYS] == [b"after"] * len(KEYS)
        finally:
            dead.start()
        cluster.wait_ok()
        client.flushall(target_nodes=RedisCluster.PRIMARIES)


@pytest.mark.parametrize("options", [3], indirect=True, ids=["resp3"])
def test_a_master_dies_asyncio(cluster: Cluster, options: dict[str, Any]) -> None:
    dead = cluster.masters()[0]
    options["port"] = next(server for server in cluster.masters() if server is not dead).port

    async def test(client: Any) -> None:
        async def change(key: str) -> None:
            while True:
                try:
                    assert await client.get(key) == b"before"
                    await client.set(key, "after")
                    return
                except (RedisError, OSError):
                    await asyncio.sleep(0.1)

        await asyncio.gather(*[client.set(key, "before") for key in KEYS])
        await asyncio.to_thread(cluster.wait_synced)
        cluster.kill(dead)
        await asyncio.gather(*[change(key) for key in KEYS])
        dead.start()
        await asyncio.to_thread(cluster.wait_ok)
        assert await asyncio.gather(*[client.get(key) for key in KEYS]) == [b"after"] * len(KEYS)

    run(test, options, socket_timeout=3)


def test_redis_py_hashes_as_we_do() -> None:
    assert [key_slot(key.encode()) for key in KEYS] == [slot_of(key) for key in KEYS]
