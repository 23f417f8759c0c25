"""Databases as a whole: SELECT, SWAPDB, MOVE, DBSIZE, FLUSHDB, FLUSHALL."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.commands.conftest import Connect
from tests.commands.test_keys import DB_RANGE, INT_RANGE, SAME_OBJECT, expired
from tests.servers import Server
from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, Error, Wire, arity_error

INVALID_FIRST = Error("ERR invalid first DB index")
INVALID_SECOND = Error("ERR invalid second DB index")


def test_select(c: Wire, connect: Connect) -> None:
    c("SET", "k", 0)
    assert c("SELECT", 15) == OK
    assert c("GET", "k") == c.null
    c("SET", "k", 15)
    assert connect()("GET", "k") == b"0"
    assert c("SELECT", 0) == OK
    assert c("GET", "k") == b"0"


def test_select_errors(c: Wire) -> None:
    assert c("SELECT", 16) == c("SELECT", -1) == DB_RANGE
    assert c("SELECT", "x") == c("SELECT", "01") == c("SELECT", "") == c("SELECT", 1 << 64) == NOT_AN_INTEGER
    assert c("SELECT", 1 << 31) == c("SELECT", -(1 << 31) - 1) == INT_RANGE
    assert c("SELECT") == c("SELECT", 1, 2) == arity_error("select")


def test_swapdb(c: Wire, connect: Connect) -> None:
    other = connect()
    other("SELECT", 1)
    c("SET", "a", "zero", "EX", 100)
    assert c("SWAPDB", 0, 1) == OK
    assert (other("GET", "a"), other("TTL", "a"), other("DBSIZE")) == (b"zero", 100, 1)
    assert (c("GET", "a"), c("DBSIZE")) == (c.null, 0)
    assert c("SWAPDB", 1, 1) == OK
    assert other("DBSIZE") == 1
    assert c("SWAPDB", 1, 0) == OK
    assert c("GET", "a") == b"zero"


def test_swapdb_errors(c: Wire) -> None:
    assert c("SWAPDB", "x", "x") == c("SWAPDB", 1 << 31, 99) == INVALID_FIRST
    assert c("SWAPDB", 0, "x") == c("SWAPDB", 99, "x") == INVALID_SECOND
    assert c("SWAPDB", 0, 16) == c("SWAPDB", 16, 0) == c("SWAPDB", -1, 0) == DB_RANGE
    assert c("SWAPDB", 0) == arity_error("swapdb")


def test_move(c: Wire) -> None:
    assert c("MOVE", "a", 1) == 0
    c("SET", "a", 1, "EX", 100)
    assert c("MOVE", "a", 1) == 1
    assert c("EXISTS", "a") == 0
    c("SET", "a", 2)
    assert c("MOVE", "a", 1) == 0
    c("SELECT", 1)
    assert (c("GET", "a"), c("TTL", "a")) == (b"1", 100)


def test_move_of_and_onto_an_expired_key(c: Wire) -> None:
    expired(c, "k")
    assert c("MOVE", "k", 1) == 0
    c("SELECT", 1)
    expired(c, "k")
    c("SELECT", 0)
    c("SET", "k", "v")
    assert c("MOVE", "k", 1) == 1


def test_move_errors(c: Wire) -> None:
    assert c("MOVE", "nothing", 0) == SAME_OBJECT
    assert c("MOVE", "a", 16) == c("MOVE", "a", -1) == DB_RANGE
    assert c("MOVE", "a", "x") == NOT_AN_INTEGER
    assert c("MOVE", "a", 1 << 31) == INT_RANGE
    assert c("MOVE", "a") == arity_error("move")


def test_dbsize(c: Wire) -> None:
    assert c("DBSIZE") == 0
    c("MSET", "a", 1, "b", 2)
    assert c("DBSIZE") == 2
    expired(c, "k")
    assert c("DBSIZE") == 3, "a key that is due counts until it is deleted"
    assert c("GET", "k") == c.null
    assert c("DBSIZE") == 2
    assert c("DBSIZE", "x") == arity_error("dbsize")


@pytest.mark.parametrize("mode", [[], ["ASYNC"], ["sync"]])
def test_flushdb_and_flushall(c: Wire, mode: list[str]) -> None:
    c("MSET", "a", 1, "b", 2)
    c("SELECT", 1)
    c("SET", "c", 3, "EX", 100)
    assert c("FLUSHDB", *mode) == OK
    assert c("DBSIZE") == 0
    c("SET", "c", 3)
    assert c("TTL", "c") == -1
    c("SELECT", 0)
    assert c("DBSIZE") == 2
    assert c("FLUSHALL", *mode) == OK
    assert c("DBSIZE") == 0
    c("SELECT", 1)
    assert c("DBSIZE") == 0
    assert c("FLUSHALL", *mode) == c("FLUSHDB", *mode) == OK


@pytest.mark.parametrize("name", ["FLUSHDB", "FLUSHALL"])
def test_flush_errors(c: Wire, name: str) -> None:
    c("SET", "a", 1)
    assert c(name, "FOO") == c(name, "ASYNC", "SYNC") == c(name, "") == SYNTAX_ERROR
    assert c("DBSIZE") == 1


def test_flushall_holds_nobody_up(c: Wire, connect: Connect) -> None:
    for start in range(0, 200_000, 10_000):
        c("MSET", *[part for number in range(start, start + 10_000) for part in (f"k:{number}", "v")])
    other = connect()
    since = time.monotonic()
    c.send("FLUSHALL")
    assert other("DBSIZE") in (0, 200_000)
    assert c.read() == OK
    assert time.monotonic() - since < 1


@pytest.mark.parametrize("name", ["FLUSHDB", "FLUSHALL"])
def test_flushing_again_and_again_costs_little(c: Wire, name: str) -> None:
    since = time.monotonic()
    for _ in range(3):
        replies = c.pipeline([command for _ in range(1000) for command in ([name], ["SET", "a", "b"])])
        assert replies == [OK] * 2000
    assert time.monotonic() - since < 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("keys", [1, 2000])
def test_flushing_again_and_again_takes_no_memory(c: Wire, server: Server, keys: int) -> None:
    filling = ["MSET", *[part for number in range(keys) for part in (f"k:{number}", "v")]]

    def run() -> int:
        """Fills and empties a hundred times; replies the pages of memory that the server has then."""
        c.pipeline([filling, ["FLUSHALL"]] * 100)
        return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])

    run()
    before = run()
    assert run() - before < 30_000_000 // 4096


def test_randomkey_after_swapdb(c: Wire) -> None:
    for number in range(8):
        c("SET", f"{{x}}{number}", "v")
    assert c("SWAPDB", 0, 7) == OK
    assert c("RANDOMKEY") == c.null
    c("SELECT", 7)
    assert len({c("RANDOMKEY") for _ in range(200)}) == 8
