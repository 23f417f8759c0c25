"""What people can have a node do; and clusters as a whole, played through."""

from __future__ import annotations

import pytest

from respcache.cluster.member import newcomer
from respcache.cluster.nodes import FAIL, HANDSHAKE, MASTER, MYSELF, PFAIL
from tests.unit.cluster.simulator import START, Network


@pytest.fixture
def network() -> Network:
    return Network()


def test_a_newcomer_is_a_master_with_an_id_of_its_own() -> None:
    one, other = newcomer(START).myself, newcomer(START).myself
    assert one.flags == MASTER | MYSELF
    assert len({one.id, other.id, one.shard_id, other.shard_id}) == 4
    assert all(len(bytes.fromhex(id.decode())) == 20 for id in (one.id, one.shard_id))


@pytest.mark.parametrize(
    "address",
    [("no.address", 1, 2), ("1.2.3", 1, 2), ("", 1, 2), ("10.0.0.1", 0, 2), ("10.0.0.1", 65536, 2), ("::1", 1, 65536)],
)
def test_meet_needs_an_address(network: Network, address: tuple[str, int, int]) -> None:
    a = network.add()
    assert not a.member.meet(*address)
    assert len(a.view.nodes) == 1


def test_meet_once_at_a_time(network: Network) -> None:
    a = network.add()
    assert a.member.meet("10.0.0.9", 7000, 17000)
    assert a.member.meet("10.0.0.9", 7000, 17000)
    assert a.member.meet("2001:0DB8::0001", 7000, 17000)
    assert [(node.ip, node.flags & HANDSHAKE) for node in a.view.others] == [
        ("10.0.0.9", HANDSHAKE),
        ("2001:db8::1", HANDSHAKE),
    ]


def test_replicate_is_told_at_once(network: Network) -> None:
    a, b, c = network.add_all(3, cluster_node_timeout=30_000)
    network.form([a, b])
    network.join(c, a)
    network.until(lambda: c.id in b.view.nodes and b.sees(c).link is not None)
    c.member.replicate(c.sees(a))
    c.turn()
    network.run(10)
    assert b.sees(c).master is b.sees(a)
    assert a.me.replicas == [a.sees(c)]
    assert c.following == a.id
    assert f"slave {a.id.decode()}" in c.saved


def test_slots_that_become_ours_are_no_longer_on_their_way(network: Network) -> None:
    a, b = network.add_all(2)
    network.form([a, b])
    a.view.mark_importing(16000, a.sees(b))
    a.member.take_all([16000], a.me)
    assert not a.view.importing
    a.member.take_all([1, 2], a.sees(b))
    a.turn()
    assert a.view.owners[1] is a.sees(b)
    assert "16000" in a.saved


@pytest.mark.parametrize("hard", [False, True])
def test_reset(network: Network, hard: bool) -> None:
    a, b = network.add_all(2)
    network.form([a, b])
    id, epoch = a.id, a.view.current_epoch
    a.view.mark_importing(16000, a.sees(b))
    a.member.reset(hard)
    a.turn()
    assert [*a.view.nodes.values()] == [a.me]
    assert a.view.assigned == a.me.slot_count == 0
    assert not a.view.importing
    assert (a.id != id) == hard
    assert a.view.nodes[a.id] is a.me
    assert (a.view.current_epoch, a.me.config_epoch) == ((0, 0) if hard else (epoch, 1))
    assert a.saved.startswith(a.id.decode())
    assert not a.view.ok


def test_a_replica_that_is_reset_is_an_empty_master(network: Network) -> None:
    a, b = network.add_all(2)
    network.form([a])
    network.join(b, a)
    b.member.replicate(b.sees(a))
    b.keys = {1: 1}
    b.member.reset(hard=False)
    assert b.me.is_master
    assert b.following is None
    assert b.keys == {}
    assert b.me.shard_id != a.me.shard_id


def test_whoever_was_forgotten_may_be_met_again_at_once(network: Network) -> None:
    a, b = network.add_all(2)
    network.form([a, b])
    network.kill(b)
    a.member.forget(a.sees(b))
    network.run(3000)
    assert b.id not in a.view.nodes
    network.revive(b)
    a.member.meet(b.ip, 7000, 17000)
    network.until(network.all_linked)


def test_what_is_saved_is_what_is_known(network: Network) -> None:
    nodes = network.add_all(3)
    network.form(nodes)
    a, b, c = nodes
    network.kill(a)
    network.revive(a)
    assert a.me.slot_count == 5462
    assert [a.view.owners[slot].id for slot in (0, 6000, 16000)] == [node.id for node in nodes]  # type: ignore[union-attr]
    network.until(lambda: a.view.ok and b.view.ok and c.view.ok)


@pytest.mark.parametrize("seed", range(4))
def test_kill_and_return_over_and_over(seed: int) -> None:
    """Three masters with a replica each; whoever dies is replaced and comes back, and no slot gets lost."""
    network = Network(seed)
    masters = network.add_all(3)
    network.form(masters)
    nodes = [*masters, *(network.add_replica(master) for master in masters)]
    for _ in range(6):
        victim = network.dice.choice(nodes)
        network.kill(victim)
        living = [node for node in nodes if node is not victim]
        network.until(lambda living=living, victim=victim: all(n.sees(victim).flags & FAIL for n in living))  # type: ignore[misc]
        network.until(lambda living=living: all(node.view.ok for node in living))  # type: ignore[misc]
        network.revive(victim)
        network.until(lambda: all(node.view.ok for node in nodes))
        network.until(
            lambda: not any(other.flags & (FAIL | PFAIL) for node in nodes for other in node.view.others)
        )
        network.run(1500)
        owners = {tuple(owner.id for owner in node.view.owners if owner) for node in nodes}
        assert len(owners) == 1
        assert len(owners.pop()) == 16384
        assert len([node for node in nodes if node.me.is_master and node.me.slot_count]) == 3


@pytest.mark.parametrize("seed", range(3))
def test_the_side_with_the_majority_goes_on_and_the_other_joins_it(seed: int) -> None:
    network = Network(seed)
    masters = network.add_all(3)
    network.form(masters)
    replicas = [network.add_replica(master) for master in masters]
    network.cut(masters[0], replicas[1])
    network.until(lambda: not masters[0].view.ok)
    network.until(lambda: replicas[0].me.is_master and replicas[0].view.ok)
    network.run(3000)
    assert not replicas[1].me.is_master
    network.heal()
    network.until(lambda: masters[0].me.is_replica and masters[0].following == replicas[0].id)
    network.until(lambda: all(node.view.ok for node in network.nodes))
