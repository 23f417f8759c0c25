"""Whole clusters that lose nodes, on simulated wires: what elections, manual failovers and migration come to."""

from __future__ import annotations

import random

import pytest

from respcache.cluster.nodes import FAIL
from tests.unit.cluster.simulator import Network, SimNode

TIMEOUT = 1000


class Cluster:
    """Three masters with replicas, all ok."""

    def __init__(self, replicas: int = 1, seed: int = 1, **directives: object) -> None:
        self.network = network = Network(seed)
        self.masters = network.add_all(3, **directives)
        network.form(self.masters)
        self.replicas = [
            [network.add_replica(master, **directives) for _ in range(replicas)] for master in self.masters
        ]
        network.until(lambda: all(node.view.ok for node in network.nodes))
        network.run(1000)

    def agree(self) -> bool:
        """Whether all that live see the same owner of each slot, who lives, and the cluster is ok."""
        living = self.network.living()
        first = [owner.id if owner else b"" for owner in living[0].view.owners]
        alive = {node.id for node in living if node.me.is_master}
        return all(
            node.view.ok and [owner.id if owner else b"" for owner in node.view.owners] == first for node in living
        ) and alive.issuperset(first)

    def is_replica(self, node: SimNode, master: SimNode) -> bool:
        """Whether it replicates that master, and everybody sees that."""
        return node.following == master.id and all(
            other.sees(node).master is other.sees(master) for other in self.network.living()
        )

    def assert_no_claim_twice(self) -> None:
        """Two masters may own the same slot for a while, but never in the same epoch."""
        seen: dict[tuple[int, int], SimNode] = {}
        for node in self.network.nodes:
            if node.me.is_master and node.me.slot_count:
                slot = next(slot for slot, owner in enumerate(node.view.owners) if owner is node.me)
                other = seen.setdefault((slot, node.me.config_epoch), node)
                assert other is node, f"{node} and {other}, slot {slot}, epoch {node.me.config_epoch}"


def test_a_replica_takes_the_place_of_a_dead_master_which_becomes_its_replica() -> None:
    cluster = Cluster()
    network, master, [replica] = cluster.network, cluster.masters[0], cluster.replicas[0]
    slots = bytes(master.me.slots)
    master.offset = 1000
    network.run(200)
    network.kill(master)
    took = network.until(lambda: replica.me.is_master and replica.view.ok)
    assert took <= TIMEOUT + 2000
    assert replica.me.slots == slots and replica.following is None
    network.until(cluster.agree)
    assert replica.offset == 1000
    assert replica.me.config_epoch > max(node.me.config_epoch for node in cluster.masters[1:])
    network.revive(master)
    network.until(lambda: cluster.is_replica(master, replica))
    assert master.me.slot_count == 0
    network.until(cluster.agree)


def test_nobody_is_elected_by_a_minority() -> None:
    cluster = Cluster()
    network, [replica] = cluster.network, cluster.replicas[0]
    network.cut(replica, cluster.masters[1])  # a replica and a master on their own
    network.run(20_000)
    assert replica.me.is_replica
    assert not replica.view.ok and not cluster.masters[1].view.ok
    winner = cluster.replicas[1][0]
    assert winner.me.is_master and winner.view.ok
    network.heal()
    network.until(lambda: cluster.is_replica(cluster.masters[1], winner))
    network.until(cluster.agree)


def test_of_two_replicas_the_one_with_more_data_is_elected() -> None:
    for seed in range(5):
        cluster = Cluster(replicas=2, seed=seed)
        network, master = cluster.network, cluster.masters[0]
        behind, ahead = cluster.replicas[0] if seed % 2 else reversed(cluster.replicas[0])
        behind.following, behind.lost_at = None, network.now
        behind.member.tick = lambda: None  # type: ignore[method-assign]
        master.offset = 500
        network.run(TIMEOUT // 4)
        del behind.member.tick
        network.kill(master)
        network.until(lambda: ahead.me.is_master or behind.me.is_master)  # noqa: B023
        assert ahead.me.is_master
        network.until(lambda: cluster.is_replica(behind, ahead))  # noqa: B023


def test_a_replica_that_may_not() -> None:
    cluster = Cluster()
    network, master, [replica] = cluster.network, cluster.masters[0], cluster.replicas[0]
    replica.config.put("cluster-replica-no-failover", True)
    network.kill(master)
    network.run(20_000)
    assert replica.me.is_replica and not replica.view.ok
    network.revive(master)
    network.until(cluster.agree)


def test_old_data_is_not_promoted() -> None:
    cluster = Cluster()
    network, master, [replica] = cluster.network, cluster.masters[0], cluster.replicas[0]
    replica.config.put("cluster-replica-validity-factor", 1)
    replica.config.put("repl-ping-replica-period", 1)
    replica.following = None
    replica.follow = lambda master: None  # type: ignore[method-assign]
    network.run(4000)
    network.kill(master)
    network.run(10_000)
    assert replica.me.is_replica
    replica.config.put("cluster-replica-validity-factor", 0)
    network.until(lambda: replica.me.is_master)


@pytest.mark.parametrize("way", ["", "force", "takeover"])
def test_by_hand(way: str) -> None:
    cluster = Cluster()
    network, master, [replica] = cluster.network, cluster.masters[0], cluster.replicas[0]
    master.offset = 777
    network.run(200 if way else 0)  # what is not replicated yet is lost by the others
    replica.member.manual.begin(way)  # type: ignore[arg-type]
    replica.turn()
    took = network.until(lambda: cluster.is_replica(master, replica))
    assert took < 3000
    network.until(cluster.agree)
    if not way:
        assert replica.offset == 777
    assert master.paused_until == 0 and not master.view.paused
    network.run(12_000)
    master.member.manual.begin("")  # and back
    master.turn()
    network.until(lambda: cluster.is_replica(replica, master))


def test_force_while_the_master_is_cut_off() -> None:
    cluster = Cluster()
    network, master, [replica] = cluster.network, cluster.masters[0], cluster.replicas[0]
    network.cut(master)
    replica.member.manual.begin("force")
    replica.turn()
    assert network.until(lambda: replica.me.is_master) < 100
    network.run(5000)
    assert not master.view.ok
    network.heal()
    network.until(lambda: cluster.is_replica(master, replica))


def test_a_manual_failover_that_fails_hurts_nobody() -> None:
    cluster = Cluster()
    network, master, [replica] = cluster.network, cluster.masters[0], cluster.replicas[0]
    replica.replicate = lambda: None  # type: ignore[method-assign]
    master.offset = 5
    replica.member.manual.begin("")
    replica.turn()
    network.run(500)
    assert master.view.paused and master.paused_until > network.now
    network.run(6500)
    assert not master.view.paused and master.paused_until == 0
    assert replica.me.is_replica and cluster.agree()


def test_an_orphan_is_given_a_replica() -> None:
    cluster = Cluster(replicas=1)
    network = cluster.network
    extra = network.add_replica(cluster.masters[1])
    spare = min((extra, cluster.replicas[1][0]), key=lambda node: node.id)
    network.kill(cluster.replicas[0][0])
    took = network.until(lambda: cluster.is_replica(spare, cluster.masters[0]))
    assert took > 5000
    network.run(20_000)  # and there it stays, and the other one too
    assert cluster.is_replica(spare, cluster.masters[0])
    assert sum(len(node.me.replicas) for node in cluster.masters) == 4


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_there_is_one_owner_of_each_slot_in_the_end(seed: int) -> None:
    dice = random.Random(seed)
    cluster = Cluster(replicas=2 if seed % 3 else 1, seed=seed)
    network, nodes = cluster.network, [*cluster.network.nodes]
    for _ in range(6):
        victim = dice.choice(nodes)
        what = dice.randrange(4)
        if what == 0 and victim.alive:
            network.kill(victim)
        elif what == 1:
            network.cut(*dice.sample(nodes, dice.randrange(1, 4)))
        elif what == 2 and victim.me.is_replica and victim.me.master:
            victim.member.manual.begin(dice.choice(["", "force", "takeover"]))
            victim.turn()
        elif what == 3:
            network.heal()
        for _ in range(dice.randrange(1, 30)):
            network.run(200)
            cluster.assert_no_claim_twice()
        for node in nodes:
            if not node.alive and dice.random() < 0.5:
                network.revive(node)
    network.heal()
    for node in nodes:
        if not node.alive:
            network.revive(node)
    network.until(cluster.agree, limit=60_000)
    network.run(15_000)
    assert cluster.agree()
    cluster.assert_no_claim_twice()
    assert not any(known.flags & FAIL for node in nodes for known in node.view.nodes.values())
    for node in nodes:
        if node.me.is_replica:
            assert node.me.master is not None and node.following == node.me.master.id
