"""Who is asked for a key, while nodes fail and come back."""

from __future__ import annotations

import logging
from time import monotonic
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


def asked(fleet: Fleet, name: str, ago: float = 0.0) -> Request:
    """A request that the node had so many seconds ago."""
    request = Request(next(node for node in fleet.nodes if node.name == name), [(b"PING",)])
    request.asked = monotonic() - ago
    return request


def tell(fleet: Fleet, name: str, error: BaseException | None, ago: float = 0.0) -> None:
    request = asked(fleet, name, ago)
    if error is not None:
        request.fail(error)
    fleet.account([request])


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


def test_a_deadline_counts_if_the_node_had_its_time() -> None:
    fleet = make(patience=0.5)
    for _ in range(5):
        tell(fleet, "b:1", TimeoutError(), ago=0.1)
    assert fleet.health()["b:1"].failures == 0
    tell(fleet, "b:1", TimeoutError(), ago=0.5)
    assert fleet.health()["b:1"].failures == 1
    tell(fleet, "b:1", OSError("refused"))
    assert fleet.health()["b:1"].failures == 2


def test_a_node_that_answers_others_meanwhile_is_well() -> None:
    fleet = make()
    late = [asked(fleet, "b:1", ago=1.0) for _ in range(5)]
    tell(fleet, "b:1", None, ago=0.5)
    for request in late:
        request.fail(TimeoutError())
    fleet.account(late)
    assert fleet.health()["b:1"].failures == 0


def test_an_answer_from_before_its_death_does_not_bring_a_node_back(caplog: pytest.LogCaptureFixture) -> None:
    fleet = make()
    before = asked(fleet, "b:1")
    eject(fleet, "b:1")
    with caplog.at_level(logging.INFO, "respcache.client"):
        fleet.account([before])
        assert not fleet.health()["b:1"].up
        assert "answers" not in caplog.text
        assert str(fleet) == "a:1, b:1 (ejected), c:1"
        tell(fleet, "b:1", None)
        assert fleet.health()["b:1"].up


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
