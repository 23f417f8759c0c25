"""A server as a node of a cluster, embedded: its file, its ports, its data."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from respcache.cluster import nodes_conf
from respcache.cluster.nodes import NOFAILOVER
from respcache.clustering import Clustering
from respcache.loading import LoadError
from respcache.persistence import disk
from respcache.server import Server
from respcache.store.slot import SLOTS, hash_slot


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def node(path: Path | None = None, **directives: Any) -> Server:
    kept: dict[str, Any] = {"dir": str(path)} if path is not None else {}
    return Server(port=0, cluster_enabled=True, cluster_node_timeout=1000, **kept, **directives)


def cluster_of(server: Server) -> Clustering:
    cluster = server.state.cluster
    assert isinstance(cluster, Clustering)
    return cluster


async def until(what: Callable[[], object], seconds: float = 10.0) -> None:
    for _ in range(int(seconds * 100)):
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not in {seconds} seconds")


async def alone(server: Server) -> None:
    """Gives all slots to a node, and waits until it serves them."""
    cluster = cluster_of(server)
    cluster.take_all(range(SLOTS), cluster.view.myself)
    await until(lambda: cluster.view.ok)


def test_without_cluster_enabled_there_is_none() -> None:
    assert Server(port=0).state.cluster is None


def test_a_node_of_its_own_serves_and_leaves_nothing_behind() -> None:
    async def go() -> None:
        async with node() as server:
            cluster = cluster_of(server)
            me = cluster.view.myself
            assert me.port == server.port
            assert me.cport == server.port + 10_000
            path = os.path.join(server.config.dir, server.config.cluster_config_file)
            assert os.path.exists(path)
            await alone(server)
            async with redis.asyncio.Redis(port=server.port) as c:
                assert await c.set("a", "b")
                assert (await c.info("server"))["redis_mode"] == "cluster"
                hello = await c.execute_command("HELLO", "2")  # type: ignore[no-untyped-call]
                assert hello[hello.index(b"mode") + 1] == b"cluster"
            id = me.id
        assert not os.path.exists(path)
        await server.start()  # it still knows who it is, and has its data
        assert cluster.view.myself.id == id
        assert cluster.view.myself.slot_count == SLOTS
        assert cluster.view.myself.port == server.port
        await until(lambda: cluster.view.ok)
        await server.stop()

    run(go)


def test_the_file_is_kept_where_the_data_is(tmp_path: Path) -> None:
    async def go() -> None:
        async with node(tmp_path) as server:
            id = cluster_of(server).view.myself.id
            await alone(server)
        text = (tmp_path / "nodes.conf").read_text()
        assert text.startswith(id.decode())
        assert text.endswith("vars currentEpoch 0 lastVoteEpoch 0\n")
        async with node(tmp_path) as server:
            assert cluster_of(server).view.myself.id == id
            assert cluster_of(server).view.myself.slot_count == SLOTS

    run(go)


def test_one_server_has_the_file(tmp_path: Path) -> None:
    async def go() -> None:
        async with node(tmp_path):
            with pytest.raises(OSError, match="already used by a different node of a cluster"):
                await node(tmp_path).start()

    run(go)


@pytest.mark.parametrize(
    ("text", "message"),
    [("nonsense\n", "corrupted cluster config file .*line 1"), ("vars currentEpoch 1 lastVoteEpoch 0\n", "myself")],
)
def test_a_file_that_cannot_be_understood_stops_the_start(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "nodes.conf").write_text(text)

    async def go() -> None:
        with pytest.raises(OSError, match=message):
            await node(tmp_path).start()

    run(go)
    assert (tmp_path / "nodes.conf").read_text() == text


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "sync", fail)

    async def go() -> None:
        with pytest.raises(OSError, match="can't update cluster config file"):
            await node(tmp_path).start()

    run(go)


def test_later_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def go() -> None:
        async with node(tmp_path) as server:
            cluster = cluster_of(server)
            await asyncio.sleep(0.05)
            with monkeypatch.context() as patched:
                patched.setattr(disk, "sync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
                cluster.view.current_epoch = 5
                with pytest.raises(OSError):
                    cluster.save()
                await alone(server)  # the node lives on
            await until(lambda: "currentEpoch 5" in (tmp_path / "nodes.conf").read_text())

    run(go)
    assert caplog.text.count("error saving the cluster node config: [Errno 28] No space left on device") == 1


def test_nothing_is_taken_over_in_an_epoch_that_is_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    async def go() -> None:
        async with node(repl_diskless_sync_delay=0) as master, node() as replica:
            await alone(master)
            cluster = cluster_of(replica)
            cluster.meet("127.0.0.1", master.port, master.port + 10_000)
            await until(lambda: len(cluster.links) == 2)
            cluster.replicate(next(cluster.view.others))
            await until(lambda: cluster.view.ok)
            async with redis.asyncio.Redis(port=replica.port) as c:
                with monkeypatch.context() as patched:
                    patched.setattr(disk, "sync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
                    with pytest.raises(redis.ResponseError, match="error saving the cluster node config"):
                        await c.execute_command("CLUSTER FAILOVER TAKEOVER")  # type: ignore[no-untyped-call]
                    assert cluster.view.myself.is_replica
                await c.execute_command("CLUSTER FAILOVER TAKEOVER")  # type: ignore[no-untyped-call]
            await until(lambda: cluster_of(master).view.myself.is_replica)

    run(go)


def test_all_nodes_start_again_and_find_each_other() -> None:
    async def go() -> None:
        async with node() as one, node() as other:
            a, b = cluster_of(one), cluster_of(other)
            a.meet("127.0.0.1", other.port, other.port + 10_000)
            await until(lambda: len(a.links) == len(b.links) == 2)
            ports = one.port, other.port
        await one.start()
        await other.start()
        assert (one.port, other.port) == ports
        await until(lambda: len(a.links) == len(b.links) == 2)
        await one.stop()
        await other.stop()

    run(go)


def test_what_would_spoil_the_file_is_not_announced() -> None:
    async def go() -> None:
        async with node() as server, redis.asyncio.Redis(port=server.port) as c:
            for name in ("cluster-announce-ip", "cluster-announce-human-nodename"):
                for text in ("a b", "a,b", "a=b", "a\nb"):
                    with pytest.raises(redis.ResponseError):
                        await c.config_set(name, text)
            for ip in ("10.0.0.1", "fe80::1%eth0", "node-1.example"):
                await c.config_set("cluster-announce-ip", ip)
            await c.config_set("cluster-announce-human-nodename", "bee#1@here")
            await asyncio.sleep(0.05)
            cluster = cluster_of(server)
            loaded = nodes_conf.load(nodes_conf.render(cluster.view), 1).myself
            assert (loaded.ip, loaded.nodename) == ("node-1.example", "bee#1@here")

    run(go)


def test_who_may_not_have_the_file_does_not_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "nodes.conf"

    async def go() -> None:
        first = node(tmp_path)
        await first.start()
        with monkeypatch.context() as patched:
            patched.setattr(disk, "sync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
            with pytest.raises(OSError):
                cluster_of(first).save()
            await first.stop()  # and it still has something to save
        path.unlink()
        async with node(tmp_path) as second:
            await asyncio.sleep(0.05)
            text = path.read_text()
            with pytest.raises(OSError, match="already used by a different node of a cluster"):
                await first.start()
            assert path.read_text() == text
            assert text.startswith(cluster_of(second).view.myself.id.decode())
        path.write_text("nonsense\n")
        cluster_of(first)._unsaved = True
        with pytest.raises(OSError, match="corrupted"):
            await first.start()
        assert path.read_text() == "nonsense\n"

    run(go)


def test_nobody_is_followed_before_the_data_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica starts again: its file takes longer to load than a tick of the cluster."""

    async def go() -> None:
        async with node(repl_diskless_sync_delay=0) as master:
            await alone(master)
            async with node(tmp_path, appendonly=True) as replica:
                cluster = cluster_of(replica)
                cluster.meet("127.0.0.1", master.port, master.port + 10_000)
                await until(lambda: len(cluster.links) == 2)
                cluster.replicate(next(cluster.view.others))
                await until(lambda: replica.state.following.link_up)
            load = Server._load
            seen: list[tuple[bool, bool]] = []

            async def slow(server: Server) -> None:
                await asyncio.sleep(0.3)
                seen.append((cluster_of(server).ready, server.state.following.on))
                await load(server)

            monkeypatch.setattr(Server, "_load", slow)
            async with node(tmp_path, appendonly=True) as replica:
                assert cluster_of(replica).view.myself.is_replica
                assert seen == [(False, False)]
                await until(lambda: replica.state.following.link_up)

    run(go)


def test_a_port_without_room_for_the_bus() -> None:
    async def go() -> None:
        with pytest.raises(OSError, match="Your Redis port number must be 55535 or less"):
            await Server(port=60_000, cluster_enabled=True).start()

    run(go)


def test_two_nodes_meet() -> None:
    async def go() -> None:
        async with node() as one, node() as other:
            a, b = cluster_of(one), cluster_of(other)
            assert a.meet("127.0.0.1", other.port, other.port + 10_000)
            await until(lambda: len(a.links) == len(b.links) == 2)
            assert a.sent[2] == b.received[2] == 1
            assert a.view.myself.ip == b.view.myself.ip == "127.0.0.1"
            (known,) = a.view.others
            assert known.id == b.view.myself.id
            b.forget(next(b.view.others))
            assert len(b.view.nodes) == 1

    run(go)


def test_publish_reaches_the_subscribers_of_all() -> None:
    async def go() -> None:
        async with node() as one, node() as other:
            assert cluster_of(one).meet("127.0.0.1", other.port, other.port + 10_000)
            await until(lambda: len(cluster_of(one).links) == len(cluster_of(other).links) == 2)
            async with redis.asyncio.Redis(port=one.port) as c, redis.asyncio.Redis(port=other.port) as d:
                pubsub = d.pubsub()
                await pubsub.subscribe("ch")
                await pubsub.get_message(timeout=5)
                assert await c.publish("ch", "hello") == 0  # of this node's own
                message = await pubsub.get_message(timeout=5)
                assert message is not None
                assert message["data"] == b"hello"
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    run(go)


def test_what_is_announced_follows_the_configuration() -> None:
    async def go() -> None:
        async with node() as server:
            me = cluster_of(server).view.myself
            for name, value in (
                ("cluster-announce-ip", "10.1.2.3"),
                ("cluster-announce-port", "7001"),
                ("cluster-announce-bus-port", "7002"),
                ("cluster-announce-hostname", "a.example"),
                ("cluster-announce-human-nodename", "one"),
                ("cluster-replica-no-failover", "yes"),
            ):
                server.config.set_many([(name, value)])
            assert (me.ip, me.port, me.cport, me.hostname, me.nodename) == ("10.1.2.3", 7001, 7002, "a.example", "one")
            assert me.flags & NOFAILOVER
            server.config.set_many([("cluster-announce-ip", ""), ("cluster-announce-port", "0")])
            assert (me.ip, me.port) == ("", server.port)

    run(go)


def test_another_port_for_clients() -> None:
    async def go() -> None:
        async with node() as server, node() as other:
            port = other.port
            await other.stop()
            me = cluster_of(server).view.myself
            bus = me.cport
            server.config.set_many([("port", str(port))])
            await until(lambda: me.port == port)
            assert me.cport == bus  # the bus stays where it is

    run(go)


# Data


def test_keys_of_slots_without_owner_make_them_ours(tmp_path: Path) -> None:
    async def go() -> None:
        async with Server(port=0, dir=str(tmp_path)) as server, redis.asyncio.Redis(port=server.port) as c:
            await c.set("foo", "1")
            await c.save()
        async with node(tmp_path, dbfilename="dump.rdb") as server:
            view = cluster_of(server).view
            assert view.owners[hash_slot(b"foo")] is view.myself
            assert view.assigned == 1

    run(go)


def test_keys_of_others_slots_are_kept_until_it_is_seen_what_to_do(tmp_path: Path) -> None:
    async def go() -> None:
        async with node(tmp_path, save="") as server:
            cluster = cluster_of(server)
            await alone(server)
            async with redis.asyncio.Redis(port=server.port) as c:
                await c.set("foo", "1")
                await c.save()
        text = (tmp_path / "nodes.conf").read_text()
        other = "b" * 40
        line = f"{other} 127.0.0.1:1@2,,tls-port=0,shard-id={other} master - 0 0 1 connected 0-16383"
        text = re.sub(" 0-16383\n", f"\n{line}\n", text)
        (tmp_path / "nodes.conf").write_text(text)
        async with node(tmp_path, save="") as server:
            cluster = cluster_of(server)
            slot = hash_slot(b"foo")
            assert cluster.view.importing[slot].id == other.encode()
            assert cluster.count_keys(slot) == 1

    run(go)


def test_other_databases_are_no_part_of_a_cluster(tmp_path: Path) -> None:
    async def go() -> None:
        server = Server(port=0, dir=str(tmp_path))
        async with server, redis.asyncio.Redis(port=server.port, db=1) as c:
            await c.set("foo", "1")
            await c.save()
        with pytest.raises(LoadError, match="You can't have keys in a DB different than DB 0 when in Cluster mode"):
            await node(tmp_path).start()

    run(go)


def test_keys_of_a_lost_slot_are_deleted_and_replicas_are_told(tmp_path: Path) -> None:
    async def go() -> None:
        async with node(tmp_path, save="", appendonly=True) as server:
            await alone(server)
            cluster = cluster_of(server)
            async with redis.asyncio.Redis(port=server.port) as c:
                await c.mset({"{a}1": "1", "{a}2": "2"})
                await c.set("{b}1", "3")
                assert cluster.delete_keys(hash_slot(b"a")) == 2
                await until(lambda: not cluster.count_keys(hash_slot(b"a")))
                assert await c.dbsize() == 1
        async with node(tmp_path, save="", appendonly=True) as server:
            assert server.state.keyspace.databases[0].size == 1

    run(go)


def test_a_replica_that_is_reset_is_empty() -> None:
    async def go() -> None:
        async with node() as server:
            await alone(server)
            async with redis.asyncio.Redis(port=server.port) as c:
                await c.set("a", "1")
            cluster_of(server).empty()
            assert server.state.keyspace.databases[0].size == 0

    run(go)


def test_a_node_replicates_another_one_and_does_so_again_after_a_restart(tmp_path: Path) -> None:
    async def go() -> None:
        async with node() as master:
            await alone(master)
            async with redis.asyncio.Redis(port=master.port) as c:
                await c.set("a", "1")
                await c.config_set("repl-diskless-sync-delay", 0)
            for _ in range(2):
                await check_replica(node(tmp_path), master.port)

    async def check_replica(server: Server, port: int) -> None:
        async with server:
            cluster = cluster_of(server)
            if len(cluster.view.nodes) == 1:
                cluster.meet("127.0.0.1", port, port + 10_000)
                await until(lambda: any(other.slot_count for other in cluster.view.others))
                cluster.replicate(next(cluster.view.others))
            await until(lambda: server.state.following.link_up)
            assert server.state.keyspace.databases[0].get(b"a") == b"1"
            assert cluster.data_age < 1000
            assert cluster.view.myself.is_replica

    run(go)


def test_a_replicas_subscribers_get_a_message_once() -> None:
    """The bus brings it; the stream of changes does not."""

    async def go() -> None:
        async with node() as master, node() as replica:
            await alone(master)
            cluster = cluster_of(replica)
            cluster.meet("127.0.0.1", master.port, master.port + 10_000)
            await until(lambda: any(other.slot_count for other in cluster.view.others))
            master.config.set_many([("repl-diskless-sync-delay", "0")])
            cluster.replicate(next(cluster.view.others))
            await until(lambda: replica.state.following.link_up)
            await until(lambda: cluster_of(master).view.myself.replicas)
            async with redis.asyncio.Redis(port=replica.port) as c, redis.asyncio.Redis(port=master.port) as d:
                hello = await c.execute_command("HELLO", "2")  # type: ignore[no-untyped-call]
                assert hello[hello.index(b"role") + 1] == b"replica"
                pubsub = c.pubsub(ignore_subscribe_messages=True)
                await pubsub.subscribe("ch")
                await pubsub.get_message(timeout=5)
                for number in range(3):
                    await d.publish("ch", str(number))
                got = [await pubsub.get_message(timeout=2) for _ in range(3)]
                assert [message and message["data"] for message in got] == [b"0", b"1", b"2"]
                assert await pubsub.get_message(timeout=0.2) is None
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    run(go)
