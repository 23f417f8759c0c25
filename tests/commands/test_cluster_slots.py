"""CLUSTER: owners of slots and epochs, on a cluster of one node."""

from __future__ import annotations

import time

import pytest

from tests.clusters import parse_nodes
from tests.commands.one_node import (
    cluster_info,
    my_id,
    own_all,
    shared_oracle,  # noqa: F401
    shared_respcache,  # noqa: F401
    text,
)
from tests.servers import Server
from tests.wire import OK, Error, Status, Wire, arity_error

BAD_SLOT = Error("ERR Invalid or out of range slot")
BAD_SETSLOT = Error("ERR Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")
TWICE = "ERR Slot {} specified multiple times"


def ranges(c: Wire) -> tuple[tuple[int, int], ...]:
    """The slots of the node."""
    return parse_nodes(text(c, "CLUSTER", "NODES"))[my_id(c)].ranges


def marks(c: Wire) -> tuple[str, ...]:
    """The slots of the node that are on their way."""
    return parse_nodes(text(c, "CLUSTER", "NODES"))[my_id(c)].marks


def test_addslots_and_delslots(c: Wire) -> None:
    assert c("CLUSTER", "ADDSLOTS", 1, 2, 3, 16383) == OK
    assert ranges(c) == ((1, 3), (16383, 16383))
    assert c("CLUSTER", "DELSLOTS", 2, 16383) == OK
    assert ranges(c) == ((1, 1), (3, 3))
    assert cluster_info(c)["cluster_slots_assigned"] == "2"


def test_ranges(c: Wire) -> None:
    assert c("CLUSTER", "ADDSLOTSRANGE", 10, 20, 30, 30) == OK
    assert ranges(c) == ((10, 20), (30, 30))
    assert c("CLUSTER", "DELSLOTSRANGE", 12, 18, 20, 20) == OK
    assert ranges(c) == ((10, 11), (19, 19), (30, 30))


@pytest.mark.parametrize("name", ["ADDSLOTS", "DELSLOTS"])
@pytest.mark.parametrize("slot", ["16384", "-1", "a", "01", "", "1.0", "99999999999999999999"])
def test_what_is_no_slot(c: Wire, name: str, slot: str) -> None:
    assert c("CLUSTER", "ADDSLOTS", 7) == OK
    assert c("CLUSTER", name, slot) == BAD_SLOT
    assert c("CLUSTER", name, 7, slot) == BAD_SLOT
    assert c("CLUSTER", f"{name}RANGE", 7, slot) == BAD_SLOT
    assert c("CLUSTER", f"{name}RANGE", slot, 7) == BAD_SLOT
    assert ranges(c) == ((7, 7),)


def test_nothing_is_done_by_half(c: Wire) -> None:
    assert c("CLUSTER", "ADDSLOTS", 1, 2, 3) == OK
    assert c("CLUSTER", "ADDSLOTS", 4, 1) == Error("ERR Slot 1 is already busy")
    assert c("CLUSTER", "ADDSLOTS", 1, 1) == Error("ERR Slot 1 is already busy")
    assert c("CLUSTER", "ADDSLOTS", 4, 4) == Error(TWICE.format(4))
    assert c("CLUSTER", "DELSLOTS", 1, 5) == Error("ERR Slot 5 is already unassigned")
    assert c("CLUSTER", "DELSLOTS", 1, 1) == Error(TWICE.format(1))
    assert c("CLUSTER", "ADDSLOTSRANGE", 4, 9, 0, 2) == Error("ERR Slot 1 is already busy")
    assert c("CLUSTER", "ADDSLOTSRANGE", 4, 9, 8, 10) == Error(TWICE.format(8))
    assert c("CLUSTER", "DELSLOTSRANGE", 1, 4) == Error("ERR Slot 4 is already unassigned")
    assert c("CLUSTER", "DELSLOTSRANGE", 1, 2, 2, 3) == Error(TWICE.format(2))
    assert ranges(c) == ((1, 3),)


@pytest.mark.parametrize("name", ["ADDSLOTSRANGE", "DELSLOTSRANGE"])
def test_what_is_no_range(c: Wire, name: str) -> None:
    assert c("CLUSTER", name, 1) == arity_error(f"cluster|{name.lower()}")
    assert c("CLUSTER", name, 1, 2, 3) == arity_error(f"cluster|{name.lower()}")
    assert c("CLUSTER", name, 5, 1) == Error("ERR start slot number 5 is greater than end slot number 1")
    assert ranges(c) == ()


def test_what_is_found_first(c: Wire) -> None:
    assert c("CLUSTER", "ADDSLOTS", 1) == OK
    assert c("CLUSTER", "ADDSLOTS", 1, "a") == BAD_SLOT
    assert c("CLUSTER", "ADDSLOTSRANGE", 0, 2, 9, 8) == Error("ERR Slot 1 is already busy")
    assert c("CLUSTER", "ADDSLOTSRANGE", 2, 3, 9, 8) == Error(
        "ERR start slot number 9 is greater than end slot number 8"
    )
    assert c("CLUSTER", "DELSLOTS", 2, "a") == BAD_SLOT
    assert c("CLUSTER", "DELSLOTSRANGE", 1, 1, 2, 2, "a", 4) == Error("ERR Slot 2 is already unassigned")
    assert ranges(c) == ((1, 1),)


def test_all_slots_at_once(c: Wire) -> None:
    begin = time.monotonic()
    assert c("CLUSTER", "ADDSLOTS", *range(16384)) == OK
    assert time.monotonic() - begin < 1
    assert ranges(c) == ((0, 16383),)
    assert c("CLUSTER", "DELSLOTS", *range(16383, -1, -1)) == OK
    assert ranges(c) == ()


def test_the_cluster_is_ok_when_all_slots_have_owners(c: Wire) -> None:
    own_all(c)
    assert c("SET", "foo", "bar") == OK
    assert c("CLUSTER", "DELSLOTS", 3300) == OK
    assert c("GET", "b") == Error("CLUSTERDOWN Hash slot not served")
    assert c("GET", "foo") == Error("CLUSTERDOWN The cluster is down")
    assert cluster_info(c)["cluster_state"] == "fail"
    assert c("CLUSTER", "ADDSLOTS", 3300) == OK
    assert c("GET", "foo") == b"bar"


def test_flushslots(c: Wire) -> None:
    own_all(c)
    assert c("SET", "foo", "bar") == OK
    assert c("CLUSTER", "FLUSHSLOTS") == Error("ERR DB must be empty to perform CLUSTER FLUSHSLOTS.")
    assert ranges(c) == ((0, 16383),)
    assert c("FLUSHALL") == OK
    assert c("CLUSTER", "FLUSHSLOTS") == OK
    assert ranges(c) == ()
    assert c("CLUSTER", "FLUSHSLOTS") == OK


# Marks


def test_setslot_marks(c: Wire) -> None:
    id = my_id(c)
    assert c("CLUSTER", "ADDSLOTS", 1) == OK
    assert c("CLUSTER", "SETSLOT", 1, "migrating", id) == OK
    assert c("CLUSTER", "SETSLOT", 2, "IMPORTING", id) == OK
    assert marks(c) == (f"1->-{id}", f"2-<-{id}")
    assert c("CLUSTER", "SETSLOT", 1, "STABLE") == OK
    assert c("CLUSTER", "SETSLOT", 2, "Stable") == OK
    assert c("CLUSTER", "SETSLOT", 3, "STABLE") == OK
    assert marks(c) == ()


def test_setslot_of_others(c: Wire) -> None:
    id = my_id(c)
    assert c("CLUSTER", "ADDSLOTS", 1) == OK
    assert c("CLUSTER", "SETSLOT", 2, "MIGRATING", id) == Error("ERR I'm not the owner of hash slot 2")
    assert c("CLUSTER", "SETSLOT", 2, "MIGRATING", "x") == Error("ERR I'm not the owner of hash slot 2")
    assert c("CLUSTER", "SETSLOT", 1, "MIGRATING", "x") == Error("ERR I don't know about node x")
    assert c("CLUSTER", "SETSLOT", 1, "IMPORTING", "x") == Error("ERR I'm already the owner of hash slot 1")
    assert c("CLUSTER", "SETSLOT", 2, "IMPORTING", "x") == Error("ERR I don't know about node x")
    assert c("CLUSTER", "SETSLOT", 2, "NODE", "x") == Error("ERR Unknown node x")
    assert marks(c) == ()


def test_setslot_that_is_wrong(c: Wire) -> None:
    id = my_id(c)
    assert c("CLUSTER", "SETSLOT", 1) == arity_error("cluster|setslot")
    for slot in ("a", "16384", "-1"):
        assert c("CLUSTER", "SETSLOT", slot, "STABLE") == BAD_SLOT
        assert c("CLUSTER", "SETSLOT", slot, "FOO") == BAD_SLOT
    for words in (["FOO"], ["FOO", id], ["STABLE", id], ["NODE"], ["MIGRATING"], ["NODE", id, id], ["IMPORTING"]):
        assert c("CLUSTER", "SETSLOT", 1, *words) == BAD_SETSLOT


def test_setslot_node(c: Wire) -> None:
    id = my_id(c)
    assert c("CLUSTER", "SETSLOT", 1, "NODE", id) == OK
    assert ranges(c) == ((1, 1),)
    assert cluster_info(c)["cluster_my_epoch"] == "0"
    assert c("CLUSTER", "SETSLOT", 1, "NODE", id) == OK
    assert ranges(c) == ((1, 1),)


def test_the_end_of_an_import_takes_an_epoch(c: Wire) -> None:
    id = my_id(c)
    assert c("CLUSTER", "SETSLOT", 1, "IMPORTING", id) == OK
    assert c("CLUSTER", "SETSLOT", 1, "NODE", id) == OK
    assert marks(c) == ()
    assert ranges(c) == ((1, 1),)
    assert cluster_info(c)["cluster_my_epoch"] == "1"
    # The next one finds it the greatest already.
    c.pipeline([("CLUSTER", "SETSLOT", 2, "IMPORTING", id), ("CLUSTER", "SETSLOT", 2, "NODE", id)])
    assert cluster_info(c)["cluster_my_epoch"] == "1"


def test_setslot_node_clears_the_mark_of_an_empty_slot(c: Wire) -> None:
    own_all(c)
    id = my_id(c)
    assert c("SET", "b", 1) == OK
    c.pipeline([("CLUSTER", "SETSLOT", slot, "MIGRATING", id) for slot in (1, 3300)])
    c.pipeline([("CLUSTER", "SETSLOT", slot, "NODE", id) for slot in (1, 3300)])
    assert marks(c) == (f"3300->-{id}",)


def test_addslots_ends_an_import(c: Wire) -> None:
    assert c("CLUSTER", "SETSLOT", 5, "IMPORTING", my_id(c)) == OK
    assert c("CLUSTER", "ADDSLOTS", 5) == OK
    assert marks(c) == ()


# Epochs


def test_bumpepoch(c: Wire) -> None:
    assert c("CLUSTER", "BUMPEPOCH") == Status("BUMPED 1")
    assert c("CLUSTER", "BUMPEPOCH") == Status("STILL 1")
    info = cluster_info(c)
    assert info["cluster_current_epoch"] == info["cluster_my_epoch"] == "1"


def test_set_config_epoch(c: Wire, server: Server) -> None:
    assert c("CLUSTER", "SET-CONFIG-EPOCH", -1) == Error("ERR Invalid config epoch specified: -1")
    assert c("CLUSTER", "SET-CONFIG-EPOCH", "a") == Error("ERR value is not an integer or out of range")
    assert c("CLUSTER", "SET-CONFIG-EPOCH", 0) == OK
    assert c("CLUSTER", "SET-CONFIG-EPOCH", 5) == OK
    assert c("CLUSTER", "SET-CONFIG-EPOCH", 6) == Error("ERR Node config epoch is already non-zero")
    info = cluster_info(c)
    assert info["cluster_current_epoch"] == info["cluster_my_epoch"] == "5"
    saved = (server.directory / "nodes.conf").read_text()
    assert " 5 connected" in saved
    assert saved.endswith("vars currentEpoch 5 lastVoteEpoch 0\n")
