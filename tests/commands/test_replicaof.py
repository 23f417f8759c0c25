"""REPLICAOF and SLAVEOF: the words. What they do is in `tests/integration/test_replica.py`."""

from __future__ import annotations

import pytest

from tests.servers import free_port
from tests.wire import Error, Status, Wire

NAMES = pytest.mark.parametrize("name", ["REPLICAOF", "SLAVEOF"])


@NAMES
def test_a_master_remains_one(c: Wire, name: str) -> None:
    assert c(name, "no", "ONE") == Status("OK")
    assert c("ROLE")[0] == b"master"


@NAMES
@pytest.mark.parametrize("port", ["x", "", "-1", "65536", "1.5", "one"])
def test_a_wrong_port(c: Wire, name: str, port: str) -> None:
    assert c(name, "127.0.0.1", port) == Error("ERR Invalid master port")
    assert c("ROLE")[0] == b"master"


@NAMES
def test_the_number_of_arguments(c: Wire, name: str) -> None:
    for words in ((), ("a",), ("a", 1, 2)):
        assert c(name, *words) == Error(f"ERR wrong number of arguments for '{name.lower()}' command")


@NAMES
def test_the_same_master_again(c: Wire, name: str) -> None:
    port = free_port()
    try:
        assert c(name, "127.0.0.1", port) == Status("OK")
        assert c(name, "127.0.0.1", port) == Status("OK Already connected to specified master")
        assert c("ROLE")[:3] == [b"slave", b"127.0.0.1", port]
        assert c("CONFIG", "GET", "replicaof") == c.as_map({b"replicaof": b"127.0.0.1 %d" % port})
        assert c("SET", "a", 1) == Error("READONLY You can't write against a read only replica.")
    finally:
        assert c(name, "NO", "ONE") == Status("OK")
    assert c("CONFIG", "GET", "replicaof") == c.as_map({b"replicaof": b""})
    assert c("SET", "a", 1) == Status("OK")
