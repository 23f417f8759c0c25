"""Lines of CLUSTER NODES, and plans of new clusters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.tools.members import SLOTS, Place, count, default_replicas, plan, read_members, shown

A, B = "a" * 40, "b" * 40


def test_lines() -> None:
    text = (
        f"{A} 127.0.0.1:7000@17000,host,shard-id=x myself,master - 0 0 1 connected 0-5460 7 [9->-{B}]\n"
        f"{B} ::1:7001@17001 slave,fail? {A} 1 2 1 disconnected\n"
        f"{B} :0@0 master,noaddr - 0 0 0 disconnected\n"
    )
    me, other, lost = read_members(text)
    assert (me.id, me.ip, me.port, me.bus_port, me.master) == (A, "127.0.0.1", 7000, 17000, "")
    assert me.slots == ((0, 5460), (7, 7))
    assert not me.is_replica
    assert (other.ip, other.port, other.master, *sorted(other.flags)) == ("::1", 7001, A, "fail?", "slave")
    assert other.is_replica
    assert (lost.ip, lost.port) == ("", 0)
    assert [(member.linked, member.is_gone) for member in (me, other, lost)] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert other.shape == (B, A, ())
    assert (count(me.slots), shown(me.slots)) == (5462, "0-5460 7")


def test_many_ranges() -> None:
    ranges = tuple((first, first + 1) for first in range(0, 40, 10))
    assert shown(ranges[:3]) == "0-1 10-11 20-21"
    assert shown(ranges) == "0-1 10-11 20-21 ... (8 slots)"


@pytest.mark.parametrize("text", ["x\n", f"{A} 127.0.0.1 myself - 0 0 1 connected\n", f"{A} h:x@1 m - 0 0 1 c\n"])
def test_what_is_no_line(text: str) -> None:
    with pytest.raises(ValueError):
        read_members(text)


def test_six_on_one_host() -> None:
    """The same slots as redis-cli gives out."""
    assert plan(["h"] * 6, 1) == [
        Place(((0, 5460),)),
        Place(((5461, 10922),)),
        Place(((10923, 16383),)),
        Place(master=0),
        Place(master=1),
        Place(master=2),
    ]


def test_replicas_stand_on_other_hosts() -> None:
    hosts = ["a", "a", "b", "b", "c", "c"]
    places = plan(hosts, 1)
    assert {hosts[index] for index, place in enumerate(places) if place.slots} == {"a", "b", "c"}
    assert all(hosts[place.master] != hosts[i] for i, place in enumerate(places) if place.master is not None)


def test_one_node() -> None:
    assert plan(["h"], 0) == [Place(((0, SLOTS - 1),))]


@pytest.mark.parametrize(("nodes", "replicas", "told"), [(1, 1, "1 replica for"), (2, 2, "2 replicas for")])
def test_too_few(nodes: int, replicas: int, told: str) -> None:
    with pytest.raises(ValueError, match=f"^{told} each master need at least {replicas + 1} nodes, not {nodes}$"):
        plan(["h"] * nodes, replicas)


def test_replicas_where_nobody_says() -> None:
    assert [default_replicas(nodes) for nodes in (1, 3, 5, 6, 9)] == [0, 0, 0, 1, 1]


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=30), st.integers(0, 3))
def test_any_plan(hosts: list[str], replicas: int) -> None:
    if len(hosts) <= replicas:
        return
    places = plan(hosts, replicas)
    masters = [index for index, place in enumerate(places) if place.slots]
    assert len(masters) == len(hosts) // (replicas + 1)
    given_out = [slot for index in masters for a, b in places[index].slots for slot in range(a, b + 1)]
    assert sorted(given_out) == list(range(SLOTS))
    sizes = [count(places[index].slots) for index in masters]
    assert max(sizes) - min(sizes) <= 1
    followers = [place.master for place in places if not place.slots]
    assert set(followers) <= set(masters)
    assert all(followers.count(index) >= replicas for index in masters)
    assert len({len(hosts) // len(masters) - 1, *map(followers.count, masters)}) <= 2
    assert plan(hosts, replicas) == places
