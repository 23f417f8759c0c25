"""Replica migration: which replica goes to an orphan, and when."""

from __future__ import annotations

from respcache.cluster.migration import DELAY, ReplicaMigration
from respcache.cluster.nodes import FAIL, MIGRATE_TO, NOADDR, PFAIL, Node
from tests.unit.cluster.fakes import Shards


class Spare(Shards):
    """Masters 0 1 2 with two replicas each: 3 4, 5 6, 7 8. The replicas of 1 have failed."""

    def __init__(self, me: int = 3) -> None:
        super().__init__(me, replicas=2)
        self.followed: list[Node] = []
        self.migration = ReplicaMigration(self.view, self.services, self.followed.append)
        for number in (5, 6):
            self.nodes[number].flags |= FAIL

    def moves(self, milliseconds: int = DELAY + 200) -> Node | None:
        for _ in range(0, milliseconds, 100):
            self.migration.cron()
            if self.followed:
                return self.followed.pop()
            self.services.time += 100
        return None


def test_the_replica_with_the_smallest_id_moves() -> None:
    shards = Spare(3)
    assert shards.moves() is shards.nodes[1]
    for other in (4, 7, 8):
        assert Spare(other).moves() is None


def test_not_before_its_time() -> None:
    shards = Spare()
    assert shards.moves(DELAY) is None
    shards.nodes[5].flags &= ~FAIL  # back, for a moment
    assert shards.moves(100) is None
    shards.nodes[5].flags |= FAIL
    assert shards.moves(DELAY) is None
    assert shards.moves(200) is shards.nodes[1]


def test_not_from_a_master_that_keeps_too_few() -> None:
    shards = Spare()
    shards.services.config.put("cluster-migration-barrier", 2)
    assert shards.moves() is None
    shards.services.config.put("cluster-migration-barrier", 1)
    shards.nodes[4].flags |= PFAIL
    assert shards.moves() is None
    shards.nodes[4].flags &= ~PFAIL
    assert shards.moves() is shards.nodes[1]


def test_only_from_a_master_that_has_the_most() -> None:
    shards = Spare(3)
    extra = Node(b"f" * 40, 0, 0)
    shards.view.add(extra)
    shards.view.make_replica(extra, shards.nodes[2])
    assert shards.moves() is None
    first = Spare(7)
    more = Node(b"f" * 40, 0, 0)
    first.view.add(more)
    first.view.make_replica(more, first.nodes[2])
    assert first.moves() is first.nodes[1]


def test_a_failed_replica_is_no_candidate() -> None:
    shards = Spare(7)
    shards.nodes[3].flags |= FAIL
    assert shards.moves() is shards.nodes[1]


def test_masters_that_are_given_nobody() -> None:
    for change in (FAIL, NOADDR):
        shards = Spare()
        shards.nodes[1].flags |= change
        assert shards.moves() is None
    shards = Spare()
    shards.nodes[1].flags &= ~MIGRATE_TO  # it never had any
    assert shards.moves() is None
    shards = Spare()
    shards.view.release_all(shards.nodes[1])
    assert shards.moves() is None


def test_when_nobody_moves() -> None:
    shards = Spare()
    shards.view.become(False)
    assert shards.moves() is None
    shards.view.become(True)
    shards.services.config.put("cluster-allow-replica-migration", False)
    assert shards.moves() is None
    shards.services.config.put("cluster-allow-replica-migration", True)
    assert shards.moves() is shards.nodes[1]
    assert Spare(0).moves() is None  # a master
