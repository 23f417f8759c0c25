"""Who has failed, who decides that, and when the cluster is served."""

from __future__ import annotations

import pytest

from respcache.cluster import frames
from respcache.cluster.nodes import FAIL, PFAIL
from tests.unit.cluster.simulator import Network, SimLink, SimNode

T = 1000


@pytest.fixture
def network() -> Network:
    return Network()


def trio(network: Network, **directives: object) -> list[SimNode]:
    nodes = network.add_all(3, **directives)
    network.form(nodes)
    return nodes


def flags(node: SimNode, other: SimNode) -> int:
    return node.sees(other).flags & (PFAIL | FAIL)


def test_a_node_that_dies_is_suspected_after_the_timeout_and_has_failed_soon_after(network: Network) -> None:
    a, b, c = trio(network)
    network.kill(c)
    suspected = network.until(lambda: bool(flags(a, c) | flags(b, c)))
    assert T <= suspected <= 2 * T
    failed = suspected + network.until(lambda: flags(a, c) == flags(b, c) == FAIL)
    assert failed <= 3 * T
    assert not a.view.ok
    assert not b.view.ok
    assert a.sees(c).fail_time


@pytest.mark.parametrize("seed", range(5))
def test_a_silent_one_fails_as_a_dead_one_does(seed: int) -> None:
    network = Network(seed)
    a, b, c = trio(network)
    network.cut(c)
    took = network.until(lambda: flags(a, c) == flags(b, c) == FAIL)
    assert T <= took <= 3.5 * T


def test_nobody_fails_in_peace(network: Network) -> None:
    nodes = trio(network)
    for _ in range(200):
        network.run(100)
        assert not any(flags(one, other) for one in nodes for other in nodes if one is not other)
    assert all(node.view.ok for node in nodes)


def test_what_one_master_thinks_is_no_failure(network: Network) -> None:
    a, b, c = trio(network)
    network.cut(a, others=[c])
    network.run(10 * T)
    assert flags(a, c) == flags(c, a) == PFAIL
    assert flags(b, c) == flags(b, a) == 0
    assert a.view.ok
    assert a.member.detection.reports(a.sees(c)) == 0
    assert b.member.detection.reports(b.sees(c)) == 1


def test_reports_of_the_past_do_not_count(network: Network) -> None:
    a, b, c = trio(network)
    b.member.detection.heard(b.sees(c), b.sees(a), True)
    assert b.member.detection.reports(b.sees(c)) == 1
    network.now += 2 * T + 1
    assert b.member.detection.reports(b.sees(c)) == 0


def test_a_report_is_taken_back(network: Network) -> None:
    a, b, c = trio(network)
    b.member.detection.heard(b.sees(c), b.sees(a), True)
    b.member.detection.heard(b.sees(c), b.sees(a), False)
    assert b.member.detection.reports(b.sees(c)) == 0


def test_masters_without_slots_have_no_say(network: Network) -> None:
    a, _b, c = trio(network)
    idle = [network.add() for _ in range(3)]
    for node in idle:
        network.join(node, a)
    network.run(3 * T)
    network.cut(c, others=idle)
    network.run(8 * T)
    assert [flags(node, c) for node in idle] == [PFAIL] * 3
    assert a.member.detection.reports(a.sees(c)) == 3  # as CLUSTER COUNT-FAILURE-REPORTS counts them
    assert flags(a, c) == 0
    a.sees(c).flags |= PFAIL
    for node in idle:
        a.member.detection.heard(a.sees(c), a.sees(node), True)
    assert flags(a, c) == PFAIL


def test_a_replica_sees_that_masters_agree(network: Network) -> None:
    a, b, c = trio(network)
    replica = network.add_replica(c)
    replica.sees(c).flags |= PFAIL
    for node in (a, b):
        replica.member.detection.heard(replica.sees(c), replica.sees(node), True)
    assert flags(replica, c) == FAIL


def test_where_there_is_one_master_it_decides_alone(network: Network) -> None:
    a, b = network.add_all(2)
    network.form([a])
    network.join(b, a)
    network.kill(b)
    network.until(lambda: flags(a, b) == FAIL)


def test_fail_is_believed_but_not_of_myself(network: Network) -> None:
    a, b, c = trio(network)
    for about in (c, a):
        frame = frames.encode_fail(b.member.sender.header(frames.FAIL), about.id)
        a.member.received(SimLink(a, b, None), frames.decode(frame))
    assert flags(a, c) == FAIL
    assert not a.me.flags & FAIL


def test_a_suspect_that_answers_is_well(network: Network) -> None:
    a, _b, c = trio(network)
    network.cut(a, others=[c])
    network.until(lambda: flags(a, c) == PFAIL)
    network.heal()
    network.until(lambda: not flags(a, c) and not flags(c, a), limit=3 * T)


def test_a_master_that_comes_back_gets_its_slots_if_nobody_took_them(network: Network) -> None:
    a, b, c = trio(network)
    network.kill(c)
    network.until(lambda: flags(a, c) == flags(b, c) == FAIL)
    failed = network.now
    network.revive(c)
    network.until(lambda: not flags(a, c) and not flags(b, c))
    assert network.now - failed >= 2 * T
    network.until(lambda: a.view.ok and b.view.ok and c.view.ok)


def test_a_replica_that_comes_back_is_well_at_once(network: Network) -> None:
    a, _b, c = trio(network)
    replica = network.add_replica(c)
    network.kill(replica)
    network.until(lambda: flags(a, replica) == FAIL)
    assert a.view.ok
    network.revive(replica)
    assert network.until(lambda: not flags(a, replica)) < T


def test_who_was_restarted_is_missed_for_as_long_as_it_was_away(network: Network) -> None:
    a, _b, c = trio(network)
    network.kill(c)
    network.run(T // 2)
    network.revive(c)
    network.run(5 * T)
    assert not flags(a, c)


# The state of the cluster


def test_a_new_master_serves_at_once_and_one_that_was_restarted_waits_a_little() -> None:
    network = Network()
    a = network.add()
    a.member.take_all(range(16384), a.me)
    a.turn()
    assert network.until(lambda: a.view.ok) <= 200
    network.kill(a)
    network.revive(a)
    assert not a.view.ok
    took = network.until(lambda: a.view.ok)
    assert 1900 <= took <= 2300


def test_without_all_slots_it_is_down_unless_that_is_allowed() -> None:
    network = Network()
    a = network.add()
    b = network.add(cluster_require_full_coverage="no")
    for node in (a, b):
        node.member.take_all(range(100), node.me)
    network.run(5 * T)
    assert not a.view.ok
    assert b.view.ok
    assert b.view.plain[99]
    assert not b.view.plain[100]


@pytest.mark.parametrize("seed", range(3))
def test_a_minority_is_down_within_the_timeout_and_comes_back_late(seed: int) -> None:
    network = Network(seed)
    a, b, c = network.add_all(3, cluster_require_full_coverage="no")
    network.form([a, b, c])
    network.cut(c)
    down = network.until(lambda: not c.view.ok)
    assert down <= 2.5 * T
    assert not any(c.view.plain)
    assert a.view.ok
    assert b.view.ok
    network.run(3 * T)
    network.heal()
    network.until(lambda: not flags(c, a) or not flags(c, b))
    assert not c.view.ok
    took = network.until(lambda: c.view.ok)
    assert T - 100 <= took <= T + 200


def test_the_wait_of_who_was_in_a_minority_has_limits() -> None:
    network = Network()
    nodes = network.add_all(3, cluster_node_timeout=20_000, cluster_require_full_coverage="no")
    network.form(nodes)
    network.cut(nodes[0])
    network.until(lambda: not nodes[0].view.ok, limit=60_000)
    network.heal()
    network.until(lambda: not flags(nodes[0], nodes[1]), limit=60_000)
    took = network.until(lambda: nodes[0].view.ok, limit=60_000)
    assert took <= 5200


def test_a_replica_does_not_wait(network: Network) -> None:
    a, _, _ = trio(network)
    replica = network.add_replica(a)
    assert replica.view.ok
    network.kill(replica)
    network.revive(replica)
    network.run(400)
    assert replica.view.ok
