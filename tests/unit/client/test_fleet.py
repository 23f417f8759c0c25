"""Who is asked for a key, while nodes fail and come back."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from respcache.client import HashRing, NodeError
from respcache.client.fleet import Fleet
from respcache.client.node import read_nodes
from respcache.client.request import Request

NAMES = ["a:1", "b:1", "c:1"]
KEYS = [b"key:%d" % number for number in range(500)]


def make(**options: Any) -> Fleet:
    return Fleet(read_nodes(NAMES, {}), **options)


def tell(fleet: Fleet, name: str, error: BaseException | None, **options: Any) -> None:
    request = Request(next(node for node in fleet.nodes if node.name == name), [(b"PING",)])
    if error is not None:
        request.fail(error)
    fleet.account([request], **options)


def eject(fleet: Fleet, name: str) -> None:
    tell(fleet, name, OSError("gone"))
    tell(fleet, name, OSError("gone"))


def held(fleet: Fleet) -> dict[bytes, str]:
    return {key: node.name for key in KEYS if (node := fleet.holder(key)) is not None}


def test_all_well() -> None:
    fleet = make()
    assert held(fleet) == {key: HashRing(NAMES).node(key) for key in KEYS}
    assert fleet.up() == list(fleet.nodes)
    assert [request.node for request in fleet.checks()] == list(fleet.nodes)
    groups = fleet.group(KEYS)
    assert {node.name: set(keys) for node, keys in groups.items()} == {
        name: {key for key in KEYS if fleet.ring.node(key) == name} for name in NAMES
    }


def test_keys_of_an_ejected_node_are_misses(caplog: pytest.LogCaptureFixture) -> None:
    fleet = make()
    before = held(fleet)
    with caplog.at_level(logging.INFO, "respcache.client"):
        tell(fleet, "b:1", OSError("gone"))
        assert held(fleet) == before
        tell(fleet, "b:1", OSError("gone"))
        assert held(fleet) == {key: name for key, name in before.items() if name != "b:1"}
        assert [node.name for node in fleet.up()] == ["a:1", "c:1"]
        health = fleet.health()["b:1"]
        assert (health.up, health.failures, health.error) == (False, 2, "gone")
        tell(fleet, "b:1", OSError("gone"))  # told once
        tell(fleet, "b:1", None)
        assert held(fleet) == before
    assert caplog.messages == ["node b:1 is ejected: gone", "node b:1 answers again"]


def test_failures_are_counted_in_a_row() -> None:
    fleet = make()
    for _ in range(5):
        tell(fleet, "b:1", OSError("gone"))
        tell(fleet, "b:1", None)
    assert fleet.health()["b:1"].up


def test_an_unfair_deadline_does_not_count() -> None:
    fleet = make()
    for _ in range(5):
        tell(fleet, "b:1", TimeoutError(), fair=False)
    assert fleet.health()["b:1"].failures == 0
    tell(fleet, "b:1", OSError("refused"), fair=False)
    assert fleet.health()["b:1"].failures == 1


def test_rehash_gives_its_keys_to_the_others() -> None:
    fleet = make(rehash=True)
    before = held(fleet)
    eject(fleet, "b:1")
    after = held(fleet)
    assert after == {key: HashRing(["a:1", "c:1"]).node(key) for key in KEYS}
    assert {key for key in KEYS if before[key] != after[key]} == {key for key in KEYS if before[key] == "b:1"}
    eject(fleet, "a:1")
    assert set(held(fleet).values()) == {"c:1"}
    eject(fleet, "c:1")
    assert held(fleet) == {}
    tell(fleet, "a:1", None)
    assert set(held(fleet).values()) == {"a:1"}
    tell(fleet, "b:1", None)
    tell(fleet, "c:1", None)
    assert held(fleet) == before


def test_strict() -> None:
    fleet = make(strict=True)
    eject(fleet, "b:1")
    with pytest.raises(NodeError, match="ejected: gone"):
        fleet.group(KEYS)
    with pytest.raises(NodeError, match="b:1"):
        fleet.up()
