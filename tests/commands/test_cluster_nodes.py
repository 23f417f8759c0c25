"""CLUSTER: who belongs to the cluster. Here of a node that knows nobody; of several in
`tests.integration.test_cluster_roles`."""

from __future__ import annotations

import pytest

from tests.commands.one_node import (
    cluster_info,
    my_id,
    own_all,
    shared_oracle,  # noqa: F401
    shared_respcache,  # noqa: F401
    text,
)
from tests.servers import Server, free_port
from tests.wire import OK, Error, Wire

NOBODY = "0" * 40


def too_many(name: str) -> Error:
    """The error of too many arguments."""
    return Error(f"ERR unknown subcommand or wrong number of arguments for '{name}'. Try CLUSTER HELP.")


@pytest.mark.parametrize(
    "words",
    [
        ["127.0.0.1", 0],
        ["127.0.0.1", -1],
        ["127.0.0.1", 65536],
        ["127.0.0.1", 60000],  # its bus port would be out of range
        ["127.0.0.1", 1, 0],
        ["127.0.0.1", 1, 65536],
        ["1.2.3", 1],
        ["localhost", 1],
        ["", 1],
        ["::g", 1],
    ],
)
def test_meet_nowhere(c: Wire, words: list[str | int]) -> None:
    assert c("CLUSTER", "MEET", *words) == Error(f"ERR Invalid node address specified: {words[0]}:{words[1]}")
    assert cluster_info(c)["cluster_known_nodes"] == "1"


def test_meet_too_much(c: Wire) -> None:
    assert c("CLUSTER", "MEET", "127.0.0.1", 1, 2, 3) == too_many("MEET")


def test_meet_bad_ports(c: Wire, server: Server) -> None:
    kinds = ("TCP base", "TCP bus") if server.is_oracle and server.version < (7, 2) else ("base", "bus")
    assert c("CLUSTER", "MEET", "127.0.0.1", "a") == Error(f"ERR Invalid {kinds[0]} port specified: a")
    assert c("CLUSTER", "MEET", "127.0.0.1", 1, "a") == Error(f"ERR Invalid {kinds[1]} port specified: a")


def test_meet(c: Wire) -> None:
    port = free_port()
    assert c("CLUSTER", "MEET", "127.0.0.1", port) == OK
    assert c("CLUSTER", "MEET", "127.0.0.1", port) == OK  # is under way
    lines = text(c, "CLUSTER", "NODES").splitlines()
    other = next(line for line in lines if "myself" not in line).split()
    assert other[1:4] == [f"127.0.0.1:{port}@{port + 10000}", "handshake", "-"]
    assert cluster_info(c)["cluster_known_nodes"] == "2"
    assert c("CLUSTER", "MEET", "127.0.0.1", free_port(), free_port()) == OK
    assert cluster_info(c)["cluster_known_nodes"] == "3"
    assert c("CLUSTER", "RESET") == OK
    assert cluster_info(c)["cluster_known_nodes"] == "1"


def test_forget(c: Wire) -> None:
    assert c("CLUSTER", "FORGET", "x") == Error("ERR Unknown node x")
    assert c("CLUSTER", "FORGET", NOBODY) == Error(f"ERR Unknown node {NOBODY}")
    assert c("CLUSTER", "FORGET", my_id(c)) == Error("ERR I tried hard but I can't forget myself...")


def test_replicate(c: Wire) -> None:
    assert c("CLUSTER", "REPLICATE", "x") == Error("ERR Unknown node x")
    assert c("CLUSTER", "REPLICATE", my_id(c)) == Error("ERR Can't replicate myself")


def test_failover_of_a_master(c: Wire) -> None:
    error = Error("ERR You should send CLUSTER FAILOVER to a replica")
    assert c("CLUSTER", "FAILOVER") == error
    assert c("CLUSTER", "FAILOVER", "force") == error
    assert c("CLUSTER", "FAILOVER", "TAKEOVER") == error
    assert c("CLUSTER", "FAILOVER", "x") == Error("ERR syntax error")
    assert c("CLUSTER", "FAILOVER", "FORCE", "x") == too_many("FAILOVER")


def test_reset(c: Wire) -> None:
    id = my_id(c)
    own_all(c)
    assert c("CLUSTER", "BUMPEPOCH").text == "BUMPED 1"
    assert c("CLUSTER", "RESET") == OK
    assert my_id(c) == id
    info = cluster_info(c)
    assert (info["cluster_state"], info["cluster_slots_assigned"]) == ("fail", "0")
    assert (info["cluster_current_epoch"], info["cluster_my_epoch"]) == ("1", "1")
    assert c("CLUSTER", "RESET", "hard") == OK
    assert my_id(c) != id
    info = cluster_info(c)
    assert (info["cluster_current_epoch"], info["cluster_my_epoch"]) == ("0", "0")


def test_reset_of_a_node_with_keys(c: Wire) -> None:
    own_all(c)
    assert c("SET", "foo", "bar") == OK
    error = Error("ERR CLUSTER RESET can't be called with master nodes containing keys")
    for words in ([], ["SOFT"], ["HARD"]):
        assert c("CLUSTER", "RESET", *words) == error
    assert c("GET", "foo") == b"bar"


def test_reset_that_is_wrong(c: Wire) -> None:
    assert c("CLUSTER", "RESET", "x") == Error("ERR syntax error")
    assert c("CLUSTER", "RESET", "SOFT", "HARD") == too_many("RESET")
