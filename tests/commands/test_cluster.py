"""CLUSTER: what a node tells, and what it cannot do as it is in a cluster or in none."""

from __future__ import annotations

import re

import pytest

from tests.commands.conftest import Connect
from tests.commands.one_node import (
    cluster_info,
    my_id,
    own_all,
    shared_oracle,  # noqa: F401
    shared_respcache,  # noqa: F401
    text,
)
from tests.servers import Server, start_redis, start_respcache
from tests.wire import OK, Error, Status, Wire, arity_error, pairs

NOBODY = "0" * 40
BAD_NODE = Error(f"ERR Unknown node {NOBODY}")
DISABLED = Error("ERR This instance has cluster support disabled")


# This node


def test_myid(c: Wire) -> None:
    assert re.fullmatch(r"[0-9a-f]{40}", my_id(c))


@pytest.mark.since("7.2")
def test_myshardid(c: Wire) -> None:
    assert re.fullmatch(rb"[0-9a-f]{40}", c("CLUSTER", "MYSHARDID"))
    assert c("CLUSTER", "MYSHARDID") == c("CLUSTER", "MYSHARDID")


def test_info_of_a_new_node(c: Wire) -> None:
    info = cluster_info(c)
    info.pop("cluster_size")  # Redis counts late
    assert info == {
        "cluster_state": "fail",
        "cluster_slots_assigned": "0",
        "cluster_slots_ok": "0",
        "cluster_slots_pfail": "0",
        "cluster_slots_fail": "0",
        "cluster_known_nodes": "1",
        "cluster_current_epoch": "0",
        "cluster_my_epoch": "0",
        "cluster_stats_messages_sent": "0",
        "cluster_stats_messages_received": "0",
        "total_cluster_links_buffer_limit_exceeded": "0",
    }


def test_info_of_a_cluster(c: Wire) -> None:
    own_all(c)
    assert c("CLUSTER", "SET-CONFIG-EPOCH", 7) == OK
    info = cluster_info(c)
    assert info["cluster_slots_assigned"] == info["cluster_slots_ok"] == "16384"
    assert info["cluster_size"] == "1"
    assert info["cluster_current_epoch"] == info["cluster_my_epoch"] == "7"


def test_nodes(c: Wire, server: Server) -> None:
    address = f":{server.port}@{server.port + 10000}"
    assert text(c, "CLUSTER", "NODES") == f"{my_id(c)} {address} myself,master - 0 0 0 connected\n"
    assert c("CLUSTER", "ADDSLOTS", 9, 8, 7, 16383, 0) == OK
    assert text(c, "CLUSTER", "NODES") == f"{my_id(c)} {address} myself,master - 0 0 0 connected 0 7-9 16383\n"


def test_replicas(c: Wire) -> None:
    for name in ("REPLICAS", "SLAVES"):
        assert c("CLUSTER", name, my_id(c)) == []
        assert c("CLUSTER", name, NOBODY) == BAD_NODE
        assert c("CLUSTER", name, "x") == Error("ERR Unknown node x")
        assert c("CLUSTER", name) == arity_error(f"cluster|{name.lower()}")


def test_failure_reports(c: Wire) -> None:
    assert c("CLUSTER", "COUNT-FAILURE-REPORTS", my_id(c)) == 0
    assert c("CLUSTER", "COUNT-FAILURE-REPORTS", NOBODY) == BAD_NODE


def test_links(c: Wire) -> None:
    assert c("CLUSTER", "LINKS") == []


def test_saveconfig(c: Wire, server: Server) -> None:
    assert c("CLUSTER", "SAVECONFIG") == OK
    saved = (server.directory / "nodes.conf").read_text()
    assert saved.startswith(my_id(c))
    assert saved.endswith("vars currentEpoch 0 lastVoteEpoch 0\n")


def test_names_are_in_any_case(c: Wire) -> None:
    assert c("cluster", "myid") == c("Cluster", "MyId")


def test_unknown_subcommands_and_arity(c: Wire) -> None:
    assert c("CLUSTER") == arity_error("cluster")
    assert c("CLUSTER", "FOO") == Error("ERR unknown subcommand 'FOO'. Try CLUSTER HELP.")
    for name in ("MYID", "NODES", "INFO", "SLOTS", "SHARDS", "LINKS", "BUMPEPOCH", "FLUSHSLOTS", "SAVECONFIG"):
        assert c("CLUSTER", name, "x") == arity_error(f"cluster|{name.lower()}")
    for name in ("KEYSLOT", "COUNTKEYSINSLOT", "FORGET", "REPLICATE", "ADDSLOTS", "DELSLOTS", "SET-CONFIG-EPOCH"):
        assert c("CLUSTER", name) == arity_error(f"cluster|{name.lower()}")
    for name in ("GETKEYSINSLOT", "MEET", "SETSLOT", "ADDSLOTSRANGE", "DELSLOTSRANGE"):
        assert c("CLUSTER", name, 1) == arity_error(f"cluster|{name.lower()}")


def test_help(c: Wire) -> None:
    lines = c("CLUSTER", "HELP")
    assert lines[0] == Status("CLUSTER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
    assert all(isinstance(line, Status) for line in lines)
    assert any(line.text.startswith("SETSLOT ") for line in lines)


def test_inside_of_a_transaction(c: Wire) -> None:
    assert c("MULTI") == OK
    c.pipeline([("CLUSTER", "ADDSLOTS", 5), ("CLUSTER", "BUMPEPOCH"), ("CLUSTER", "KEYSLOT", "foo")])
    assert c("EXEC") == [OK, Status("BUMPED 1"), 12182]


# Keys


@pytest.mark.parametrize(
    ("key", "slot"),
    [("foo", 12182), ("b", 3300), ("", 0), ("123456789", 0x31C3), ("a{b}{c}", 3300), ("{}x", None), ("{{b}}", None)],
)
def test_keyslot(c: Wire, key: str, slot: int | None) -> None:
    found = c("CLUSTER", "KEYSLOT", key)
    assert found == slot if slot is not None else 0 <= found < 16384


def test_keys_in_a_slot(c: Wire) -> None:
    own_all(c)
    assert c("CLUSTER", "COUNTKEYSINSLOT", 3300) == 0
    assert c("CLUSTER", "GETKEYSINSLOT", 3300, 10) == []
    keys = [b"b", b"{b}1", b"{b}2", b"{b}3"]
    for key in keys:
        assert c("SET", key, 1) == OK
    assert c("SET", "foo", 1) == OK
    assert c("CLUSTER", "COUNTKEYSINSLOT", 3300) == 4
    assert sorted(c("CLUSTER", "GETKEYSINSLOT", 3300, 10)) == keys
    assert sorted(c("CLUSTER", "GETKEYSINSLOT", 3300, 1 << 40)) == keys
    assert len({*c("CLUSTER", "GETKEYSINSLOT", 3300, 3)} & {*keys}) == 3
    assert c("CLUSTER", "GETKEYSINSLOT", 3300, 0) == []
    assert c("DEL", *keys) == 4
    assert c("CLUSTER", "COUNTKEYSINSLOT", 3300) == 0


def test_keys_in_no_slot(c: Wire) -> None:
    integer = Error("ERR value is not an integer or out of range")
    for slot in (-1, 16384):
        assert c("CLUSTER", "COUNTKEYSINSLOT", slot) == Error("ERR Invalid slot")
        assert c("CLUSTER", "GETKEYSINSLOT", slot, 1) == Error("ERR Invalid slot or number of keys")
    assert c("CLUSTER", "GETKEYSINSLOT", 0, -1) == Error("ERR Invalid slot or number of keys")
    assert c("CLUSTER", "COUNTKEYSINSLOT", "a") == integer
    assert c("CLUSTER", "GETKEYSINSLOT", "a", 1) == integer
    assert c("CLUSTER", "GETKEYSINSLOT", 1, "a") == integer


# What is different in a cluster


def test_modes(c: Wire) -> None:
    assert text(c, "INFO", "cluster") == "# Cluster\r\ncluster_enabled:1\r\n"
    assert "\r\nredis_mode:cluster\r\n" in text(c, "INFO", "server")
    assert pairs(c("HELLO", c.protocol))[b"mode"] == b"cluster"


def test_replication_is_the_business_of_the_cluster(c: Wire) -> None:
    error = Error("ERR REPLICAOF not allowed in cluster mode.")
    assert c("REPLICAOF", "127.0.0.1", 1) == error
    assert c("REPLICAOF", "NO", "ONE") == error
    assert c("SLAVEOF", "a", "b") == error
    error = Error("ERR FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead.")
    assert c("FAILOVER") == error
    assert c("FAILOVER", "FOO") == error


def test_one_database(c: Wire) -> None:
    own_all(c)
    assert c("SELECT", 0) == OK
    assert c("SELECT", 1) == Error("ERR SELECT is not allowed in cluster mode")
    assert c("MOVE", "a", 1) == Error("ERR MOVE is not allowed in cluster mode")
    assert c("SWAPDB", 0, 1) == Error("ERR SWAPDB is not allowed in cluster mode")


@pytest.mark.since("7.4")
def test_copy_to_another_database(c: Wire) -> None:
    own_all(c)
    assert c("SET", "{a}", 1) == OK
    assert c("COPY", "{a}", "{a}b", "DB", 1) == Error("ERR DB index is out of range")


def test_sort_by_nothing(c: Wire) -> None:
    own_all(c)
    assert c("RPUSH", "list", 3, 1, 2) == 3
    assert c("SORT", "list", "BY", "nosort") == [b"3", b"1", b"2"]
    assert c("SORT", "list") == [b"1", b"2", b"3"]


def _denied(option: str) -> Error:
    return Error(
        f"ERR {option} option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots."
    )


@pytest.mark.since("7.4")
@pytest.mark.parametrize("name", ["SORT", "SORT_RO"])
def test_sort_by_other_keys(c: Wire, name: str) -> None:
    own_all(c)
    assert c("RPUSH", "{t}list", 3, 1, 2) == 3
    for number, weight in ((1, 30), (2, 20), (3, 10)):
        assert c("SET", f"{{t}}weight:{number}", weight) == OK
    assert c(name, "{t}list", "BY", "{t}weight:*") == [b"3", b"2", b"1"]
    assert c(name, "{t}list", "BY", "nosort", "GET", "{t}weight:*") == [b"10", b"30", b"20"]
    for pattern in ("weight:*", "*", "{u}weight:*", "*{t}", "{*}", "{t*}", "{}t*", "[{t}*", "?{t}*"):
        assert c(name, "{t}list", "BY", pattern) == _denied("BY") or "*" not in pattern
        assert c(name, "{t}list", "GET", pattern) == _denied("GET")
    assert c(name, "{t}list", "GET", "#") == _denied("GET")
    assert c(name, "{t}list", "BY", "weight:*", "NONSENSE") == _denied("BY")
    assert c(name, "{t}list", "GET", "{t}") == [c.null] * 3


def test_without_a_cluster(connect: Connect) -> None:
    start = start_redis if connect.server.is_oracle else start_respcache
    with start() as server, Wire(server.port, protocol=connect.protocol) as c:
        for words in (["HELP"], ["MYID"], ["KEYSLOT", "a"], ["SETSLOT", "x", "y"], ["MEET", "a", "b"], ["INFO"]):
            assert c("CLUSTER", *words) == DISABLED
        assert c("CLUSTER") == arity_error("cluster")
        assert c("CLUSTER", "KEYSLOT") == arity_error("cluster|keyslot")
        assert c("CLUSTER", "FOO") == Error("ERR unknown subcommand 'FOO'. Try CLUSTER HELP.")
        assert text(c, "INFO", "cluster") == "# Cluster\r\ncluster_enabled:0\r\n"
        assert pairs(c("HELLO", c.protocol))[b"mode"] == b"standalone"
