"""Keys of lost slots go in slices, and at once where somebody could see them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import redis.asyncio

from respcache.cluster.nodes import MASTER, Node
from respcache.lost_slots import LostSlots
from respcache.server import Server
from respcache.store.slot import hash_slot
from tests.unit.test_clustering import alone, cluster_of, node, run, until

A, B = hash_slot(b"a"), hash_slot(b"b")


def fill(server: Server, tag: str, count: int) -> None:
    db = server.state.keyspace.databases[0]
    for number in range(count):
        db.set(b"{%b}%d" % (tag.encode(), number), b"v")


def size(server: Server) -> int:
    return server.state.keyspace.databases[0].size


def test_the_loop_turns_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respcache.lost_slots.SLICE", 0.0001)

    async def go() -> None:
        async with Server(port=0) as server:
            lost = LostSlots(server.state)
            fill(server, "a", 3000)
            fill(server, "b", 10)
            fill(server, "c", 5)
            assert lost.give_up(A) == 3000
            assert lost.give_up(B) == 10
            assert size(server) == 3015
            sizes = []
            while size(server) > 5:
                sizes.append(size(server))
                await asyncio.sleep(0.001)
            assert len({*sizes}) > 3
            await asyncio.sleep(0.02)
            assert size(server) == 5 and lost._next is None

    run(go)


def test_nothing_is_left_in_a_slot_that_comes_back_or_when_another_is_followed() -> None:
    async def go() -> None:
        async with node() as server:
            await alone(server)
            cluster = cluster_of(server)
            view, other = cluster.view, Node(b"a" * 40, MASTER, 0)
            view.add(other)
            ways: list[Callable[[], object]] = [
                lambda: view.mark_importing(A, other),
                lambda: view.assign(A, view.myself),
                lambda: cluster.follow(other),
            ]
            for come in ways:
                fill(server, "a", 500)
                view.assign(A, other)
                cluster.delete_keys(A)
                assert cluster.count_keys(A) == 500
                come()
                assert cluster.count_keys(A) == 0

    run(go)


def test_the_stream_tells_also_of_what_a_server_that_stops_has_left(tmp_path: Path) -> None:
    async def go() -> None:
        async with node(tmp_path, appendonly=True, save="") as server:
            await alone(server)
            async with redis.asyncio.Redis(port=server.port) as c:
                for tag in "abc":
                    await c.mset({f"{{{tag}}}{number}": "v" for number in range(1000)})
            cluster_of(server).delete_keys(A)
            await until(lambda: size(server) == 2000)
            cluster_of(server).delete_keys(B)
        async with node(tmp_path, appendonly=True, save="") as server:
            assert size(server) == cluster_of(server).count_keys(hash_slot(b"c")) == 1000

    run(go)
