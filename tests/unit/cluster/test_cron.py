"""What nodes do of themselves."""

from __future__ import annotations

import pytest

from respcache.cluster import frames
from respcache.cluster.nodes import FAIL, MEET, PFAIL
from tests.unit.cluster.simulator import Network, SimNode


def types(node: SimNode) -> list[int]:
    return [frames.decode(frame).header.type for frame in node.frames]


def test_one_ping_a_second_if_the_timeout_is_long() -> None:
    network = Network()
    nodes = network.add_all(3, cluster_node_timeout=60_000)
    network.form(nodes)
    before = nodes[0].member.sender.sent[frames.PING]
    network.run(20_000)
    assert 18 <= nodes[0].member.sender.sent[frames.PING] - before <= 22


def test_everybody_is_pinged_in_half_of_the_timeout() -> None:
    network = Network()
    nodes = network.add_all(8)
    network.form(nodes)
    for _ in range(50):
        network.run(100)
        for node in nodes:
            assert all(network.now - other.pong_received <= 700 for other in node.view.others)


def test_the_pings_of_a_hundred_nodes_are_few() -> None:
    network = Network()
    nodes = network.add_all(30, cluster_node_timeout=15_000)
    network.form(nodes)
    before = sum(sum(node.member.sender.sent) for node in nodes)
    network.run(10_000)
    per_second = (sum(sum(node.member.sender.sent) for node in nodes) - before) / 10 / 30
    assert per_second < 10


def test_a_lost_connection_is_made_again_and_the_ping_still_counts() -> None:
    network = Network()
    a, b = network.add_all(2)
    network.form([a, b])
    node = a.sees(b)
    node.ping_sent = since = network.now - 300
    assert node.link is not None
    node.link.close()
    assert node.link is None
    network.run(110)
    assert node.link is not None
    network.until(lambda: node.ping_sent != since)
    assert node.ping_sent == 0


def test_who_cannot_be_connected_is_silent_from_then_on() -> None:
    network = Network()
    a, b, c = network.add_all(3)
    network.form([a, b, c])
    network.kill(b)
    network.run(150)
    assert a.sees(b).link is None
    assert network.now - 200 <= a.sees(b).ping_sent <= network.now


def test_a_connection_that_is_dead_is_made_anew() -> None:
    network = Network()
    a, b, c = network.add_all(3, cluster_node_timeout=2000)
    network.form([a, b, c])
    network.run(3000)
    link = a.sees(b).link
    network.cut(a, others=[b])
    network.until(lambda: a.sees(b).link is not link)
    assert not a.sees(b).flags & (PFAIL | FAIL)
    network.heal()
    network.run(6000)
    assert a.sees(b).ping_sent == 0 or network.now - a.sees(b).ping_sent < 1000


def test_meet_is_said_until_there_is_a_connection_and_never_again() -> None:
    network = Network()
    a, b = network.add_all(2)
    network.cut(a)
    a.member.meet(b.ip, 7000, 17000)
    network.run(500)
    (node,) = a.view.others
    assert node.flags & MEET
    assert types(b) == []
    network.heal()
    a.member.meet(b.ip, 7000, 17000)
    network.run(700)
    a.member.meet(b.ip, 7000, 17000)
    network.until(network.all_linked)
    assert types(b).count(frames.MEET) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_cluster_that_was_apart_comes_together(seed: int) -> None:
    network = Network(seed)
    nodes = network.add_all(5)
    network.form(nodes)
    network.cut(*nodes[:2])
    network.run(5000)
    assert not any(node.view.ok for node in nodes)  # no side has all slots
    network.heal()
    network.until(lambda: all(node.view.ok for node in nodes))
    network.run(1000)
    assert network.all_linked()
    assert not any(other.flags & (PFAIL | FAIL) for node in nodes for other in node.view.others)
