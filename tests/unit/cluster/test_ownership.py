"""Who may have which slot."""

from __future__ import annotations

import pytest

from respcache.cluster import frames
from respcache.cluster.slots import bitmap, members
from tests.unit.cluster.simulator import Network, SimNode


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def trio(network: Network) -> list[SimNode]:
    nodes = network.add_all(3)
    network.form(nodes)  # epochs 1, 2, 3
    return nodes


def claim(node: SimNode, by: SimNode, epoch: int, slots: range) -> None:
    """Has a node hear that another one claims these slots besides its own."""
    own = members(by.me.slots)
    node.sees(by).config_epoch = max(epoch, node.sees(by).config_epoch)
    node.member.ownership.claim(node.sees(by), epoch, bytes(bitmap([*own, *slots])))
    node.turn()


def test_the_slots_of_all_get_around(trio: list[SimNode]) -> None:
    for node in trio:
        assert [node.view.owners[slot].id for slot in (0, 6000, 16383)] == [other.id for other in trio]  # type: ignore[union-attr]
        assert node.view.assigned == 16384


def test_the_greater_epoch_wins(trio: list[SimNode]) -> None:
    a, b, _ = trio
    claim(a, b, 2, range(10))
    assert a.view.owners[0] is a.sees(b)
    assert not a.view.plain[0]
    assert a.view.plain[10]
    assert a.me.slot_count == 5462 - 10


def test_the_same_epoch_or_a_smaller_one_does_not(trio: list[SimNode]) -> None:
    a, b, c = trio
    claim(b, a, 1, range(6000, 6010))
    claim(b, c, 2, range(6000, 6010))
    assert b.view.owners[6000] is b.me


def test_what_nobody_has_goes_to_the_first(network: Network) -> None:
    a, b, c = network.add_all(3)
    network.join(a, b)
    network.join(c, b)
    claim(a, b, 0, range(10))
    claim(a, c, 0, range(5, 15))
    assert [a.view.owners[slot] for slot in (0, 5, 10)] == [a.sees(b), a.sees(b), a.sees(c)]


def test_a_slot_that_is_on_its_way_here_waits_for_setslot(trio: list[SimNode]) -> None:
    a, b, c = trio
    a.view.mark_importing(6000, a.sees(b))
    claim(a, c, 9, range(6000, 6002))
    assert a.view.owners[6000] is a.sees(b)
    assert a.view.owners[6001] is a.sees(c)


def test_keys_of_lost_slots_are_deleted_and_marks_too(trio: list[SimNode]) -> None:
    a, b, _ = trio
    a.keys = {3: 5, 20: 7}
    a.view.mark_migrating(3, a.sees(b))
    claim(a, b, 9, range(10))
    assert a.keys == {20: 7}
    assert not a.view.migrating


def test_what_is_claimed_no_longer_stays_until_somebody_wants_it(trio: list[SimNode]) -> None:
    a, b, c = trio
    node = a.sees(c)
    less = bytes(bitmap(members(c.me.slots)[100:]))
    a.member.ownership.claim(node, 3, less)
    slot = members(c.me.slots)[0]
    assert a.view.owners[slot] is node
    assert a.view.ok
    # nobody is told that it is still c's
    assert a.member.ownership.better_owner(a.sees(b), 2, bytes(bitmap([*members(b.me.slots), slot]))) is None
    claim(a, b, 2, range(slot, slot + 1))  # of a smaller epoch
    assert a.view.owners[slot] is a.sees(b)
    a.member.ownership.claim(node, 3, bytes(c.me.slots))
    claim(a, b, 2, range(slot + 1, slot + 2))
    assert a.view.owners[slot + 1] is node


def test_a_claim_that_is_outdated_is_answered_by_update(network: Network, trio: list[SimNode]) -> None:
    a, b, c = trio
    # c was away when its first slots went to a
    network.cut(c)
    taken = members(c.me.slots)[:10]
    for node in (a, b):
        node.member.take_all(taken, node.view.nodes[a.id])
    a.me.config_epoch = a.view.current_epoch = 9
    b.sees(a).config_epoch = 9
    network.run(500)
    network.heal()
    network.until(lambda: c.view.owners[taken[0]] is c.sees(a))
    assert c.me.slot_count == len(members(c.me.slots)) == 5460 - 10
    sent = sum(node.member.sender.sent[frames.UPDATE] for node in (a, b))
    assert sent == c.member.gossip.received[frames.UPDATE]


def test_the_update_about_a_stale_master_that_nobody_else_can_tell(network: Network, trio: list[SimNode]) -> None:
    a, b, c = trio
    slot = members(b.me.slots)[0]
    better = a.member.ownership.better_owner(a.sees(c), 1, bytes(bitmap([slot])))
    assert better is a.sees(b)
    assert a.member.ownership.better_owner(a.sees(c), 3, bytes(bitmap([slot]))) is None
    assert a.member.ownership.better_owner(a.sees(c), 1, bytes(c.me.slots)) is None


def test_who_has_lost_everything_follows_the_winner(trio: list[SimNode]) -> None:
    a, b, _ = trio
    a.keys = {3: 5}
    claim(a, b, 9, range(5462))
    assert a.me.is_replica
    assert a.me.master is a.sees(b)
    assert a.following == b.id
    assert a.me.slot_count == 0
    assert a.keys == {3: 5}  # they are given up when the new master's data comes
    assert "slave" in a.saved


def test_or_not_if_that_is_not_wanted_and_the_winner_had_slots_before(network: Network) -> None:
    nodes = network.add_all(3, cluster_allow_replica_migration="no")
    network.form(nodes)
    a, b, c = nodes
    a.keys = {3: 5}
    claim(a, b, 9, range(5462))
    assert a.me.is_master
    assert a.me.slot_count == 0
    assert a.keys == {}
    c.member.ownership.claim(c.sees(b), 9, bytes(c.me.slots))  # all that it claims were ours
    assert c.me.is_replica


def test_replicas_follow_the_winner_too(network: Network, trio: list[SimNode]) -> None:
    a, b, _ = trio
    replica = network.add_replica(a)
    claim(replica, b, 9, range(5462))
    assert replica.me.master is replica.sees(b)
    assert replica.following == b.id


def test_a_slot_of_ours_that_went_before_the_last_does_not_make_a_replica(trio: list[SimNode]) -> None:
    a, b, _ = trio
    claim(a, b, 9, range(5461))
    assert a.me.is_master
    claim(a, b, 9, range(5462))
    assert a.me.is_replica
