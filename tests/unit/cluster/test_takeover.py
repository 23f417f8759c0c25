"""Taking a master's place."""

from __future__ import annotations

from respcache.cluster import frames
from respcache.cluster.services import Todo
from respcache.cluster.takeover import take_over
from tests.unit.cluster.fakes import Shards


def test_all_slots_of_the_master() -> None:
    shards = Shards(me=3, replicas=2)
    shards.me.config_epoch = 4
    take_over(shards.view, shards.services, shards.sender)
    assert shards.me.is_master and shards.me.master is None
    assert shards.view.owners.count(shards.me) == shards.me.slot_count == 5462
    assert shards.nodes[0].slot_count == 0 and shards.nodes[0].replicas == [shards.nodes[4]]
    assert shards.view.plain[0] == 1 and shards.view.plain[5462] == 0
    assert shards.services.calls == ["lead", "save"]
    assert Todo.STATE in shards.services.todo
    for node, link in shards.links.items():
        [pong] = link.take(frames.PONG)
        assert (pong.header.config_epoch, pong.header.slots) == (4, bytes(shards.me.slots)), node


def test_not_without_a_master() -> None:
    shards = Shards(me=0)
    take_over(shards.view, shards.services, shards.sender)
    assert shards.services.calls == [] and shards.me.slot_count == 5462
