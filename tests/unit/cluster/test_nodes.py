"""The view of a cluster: its parts agree with each other whatever is done to it."""

from __future__ import annotations

import itertools
import random

import pytest

from respcache.cluster.nodes import (
    FAIL,
    HANDSHAKE,
    MASTER,
    MIGRATE_TO,
    MYSELF,
    REPLICA,
    Node,
    View,
    set_flags,
)
from respcache.store.slot import SLOTS


class Wire:
    """A link that only notes that it was closed."""

    created = 0
    pending = 0

    def __init__(self) -> None:
        self.closed = False

    def send(self, frame: bytes) -> None:
        raise AssertionError("nothing is sent")

    def close(self) -> None:
        self.closed = True


def made(number: int, flags: int = MASTER) -> Node:
    return Node(b"%040x" % number, flags, now=1)


@pytest.fixture
def view() -> View:
    """This node and two other masters."""
    view = View(made(0))
    view.add(made(1))
    view.add(made(2))
    return view


def node(view: View, number: int) -> Node:
    found = view.find(b"%040x" % number)
    assert found is not None
    return found


def check(view: View) -> None:
    """Everything that must hold of a view."""
    for slot, owner in enumerate(view.owners):
        for each in view.nodes.values():
            assert each.owns(slot) == (each is owner)
        mine = owner is view.myself and view.myself.is_master and view.ok
        assert view.plain[slot] == (mine and slot not in view.migrating and slot not in view.importing)
    assert view.assigned == sum(owner is not None for owner in view.owners)
    for each in view.nodes.values():
        assert each.slot_count == sum(owner is each for owner in view.owners)
        assert all(replica.master is each for replica in each.replicas)
        if each.master is not None:
            assert each in each.master.replicas and each.is_replica and not each.is_master


def test_a_new_view_knows_only_itself() -> None:
    view = View(made(0))
    assert list(view.nodes.values()) == [view.myself]
    assert list(view.others) == []
    assert view.myself.flags == MASTER | MYSELF
    assert (view.size, view.assigned, view.ok) == (0, 0, False)
    check(view)


def test_slots_change_hands(view: View) -> None:
    me, other = view.myself, node(view, 1)
    told: list[int] = []
    view.released = told.append
    view.become(True)
    for slot in range(100):
        view.assign(slot, me)
    view.assign(50, other)
    view.release(51)
    view.release(51)
    check(view)
    assert (me.slot_count, other.slot_count, view.assigned) == (98, 1, 99)
    assert told == [50, 51]
    assert view.release_all(me) == 98
    assert view.release_all(me) == 0
    check(view)


def test_only_what_needs_no_thought_is_plain(view: View) -> None:
    me, other = view.myself, node(view, 1)
    for slot in (1, 2, 3):
        view.assign(slot, me)
    assert sum(view.plain) == 0
    view.become(True)
    assert [slot for slot in range(SLOTS) if view.plain[slot]] == [1, 2, 3]
    view.mark_migrating(2, other)
    view.mark_importing(7, other)
    assert [slot for slot in range(SLOTS) if view.plain[slot]] == [1, 3]
    view.clear_marks()
    assert sum(view.plain) == 3
    view.make_replica(me, other)
    assert sum(view.plain) == 0
    view.make_master(me)
    view.become(False)
    assert sum(view.plain) == 0
    plain = view.plain
    view.become(True)
    assert view.plain is plain  # who looks there holds on to it


def test_roles(view: View) -> None:
    one, two = node(view, 1), node(view, 2)
    view.make_replica(two, one)
    assert two.flags == REPLICA
    assert (two.master, one.replicas, two.shard_id) == (one, [two], one.shard_id)
    assert one.flags & MIGRATE_TO
    two.config_epoch, one.config_epoch = 3, 5
    assert two.epoch == 5
    view.make_master(two)
    assert two.flags == MASTER | MIGRATE_TO
    assert (two.epoch, one.replicas) == (3, [])
    assert not one.flags & MIGRATE_TO
    view.make_replica(two, None)
    assert (two.master, two.is_replica) == (None, True)
    check(view)


def test_a_replica_changes_its_master(view: View) -> None:
    one, two, replica = node(view, 1), node(view, 2), made(3)
    view.add(replica)
    view.make_replica(replica, one)
    view.make_replica(replica, two)
    assert (one.replicas, two.replicas) == ([], [replica])
    assert {each.id for each in view.shard(two)} == {two.id, replica.id}
    check(view)


def test_replicas_that_failed_do_not_work(view: View) -> None:
    one, two = node(view, 1), node(view, 2)
    view.make_replica(two, one)
    assert one.working_replicas == 1
    two.flags |= FAIL
    assert one.working_replicas == 0


def test_voters_are_masters_with_slots(view: View) -> None:
    one, two = node(view, 1), node(view, 2)
    assert (view.size, view.quorum) == (0, 1)
    for slot, each in enumerate((view.myself, one, two)):
        view.assign(slot, each)
    assert (view.size, view.quorum) == (3, 2)
    view.make_replica(two, one)
    assert {each.id for each in view.voters} == {view.myself.id, one.id}


def test_who_gets_its_first_slot_while_others_have_replicas_may_get_one(view: View) -> None:
    one, two, replica = node(view, 1), node(view, 2), made(3)
    view.assign(0, one)
    assert not one.flags & MIGRATE_TO
    view.add(replica)
    view.make_replica(replica, one)
    view.assign(1, two)
    assert two.flags & MIGRATE_TO


def test_a_node_is_dropped_with_all_that_belongs_to_it(view: View) -> None:
    one, two, replica = node(view, 1), node(view, 2), made(3)
    view.add(replica)
    view.make_replica(replica, one)
    view.become(True)
    view.assign(0, view.myself)
    view.assign(1, one)
    view.mark_migrating(0, one)
    view.mark_importing(5, one)
    two.reports[one] = 1
    link, inbound = Wire(), Wire()
    one.link, one.inbound = link, inbound
    view.drop(one)
    assert link.closed and inbound.closed
    assert view.find(one.id) is None
    assert (view.owners[1], replica.master, two.reports) == (None, None, {})
    assert (view.migrating, view.importing) == ({}, {})
    assert view.plain[0]
    check(view)


def test_a_handshake_ends_with_a_name(view: View) -> None:
    newcomer = made(7, HANDSHAKE)
    view.add(newcomer)
    assert view.find(newcomer.id) is None
    view.rename(newcomer, b"f" * 40)
    newcomer.flags = MASTER
    assert view.find(b"f" * 40) is newcomer
    assert newcomer.shard_id == b"f" * 40
    assert len(view.nodes) == 4


def test_epochs_are_bumped_only_where_that_changes_something(view: View) -> None:
    one = node(view, 1)
    assert view.bump_epoch()
    assert (view.current_epoch, view.myself.config_epoch) == (1, 1)
    assert not view.bump_epoch()
    one.config_epoch = 9
    assert view.max_epoch == 9
    assert view.bump_epoch()
    assert (view.current_epoch, view.myself.config_epoch) == (10, 10)


def test_what_was_forgotten_is_taken_in_again_in_time(view: View) -> None:
    view.forgotten = {b"a": 100, b"b": 200}
    view.forget_expired(100)
    assert view.forgotten == {b"b": 200}


def test_set_flags() -> None:
    one = made(1)
    assert set_flags(one, FAIL)
    assert not set_flags(one, FAIL)
    assert set_flags(one, FAIL, on=False)
    assert one.flags == MASTER


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_done_the_parts_agree(seed: int) -> None:
    dice = random.Random(seed)
    view = View(made(0))
    numbers = itertools.count(1)
    for _ in range(150):
        nodes = [*view.nodes.values()]
        one, two = dice.choice(nodes), dice.choice(nodes)
        slot = dice.randrange(60)
        match dice.randrange(9):
            case 0 if len(nodes) < 8:
                view.add(made(next(numbers)))
            case 1 if one is not view.myself:
                view.drop(one)
            case 2:
                view.make_master(one)
            case 3 if one is not two:
                view.release_all(one)
                view.make_replica(one, two)
            case 4:
                view.release(slot)
            case 5:
                view.mark_migrating(slot, dice.choice([one, None]))
            case 6:
                view.mark_importing(slot, dice.choice([one, None]))
            case 7:
                view.become(dice.random() < 0.7)
            case _:
                view.assign(slot, one)
    check(view)
