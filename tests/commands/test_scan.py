"""SCAN."""

from __future__ import annotations

import pytest

from tests.commands.test_keys import expired
from tests.wire import NOT_AN_INTEGER, SYNTAX_ERROR, Argument, Error, Wire, arity_error

INVALID_CURSOR = Error("ERR invalid cursor")


def scan(c: Wire, *options: Argument) -> list[bytes]:
    """A whole walk."""
    found: list[bytes] = []
    cursor = b"0"
    while True:
        cursor, keys = c("SCAN", cursor, *options)
        found += keys
        if cursor == b"0":
            return found


def test_an_empty_database(c: Wire) -> None:
    assert c("SCAN", 0) == [b"0", []]


@pytest.mark.parametrize("count", [1, 10, 100, 10**6, (1 << 63) - 1])
def test_a_walk_finds_all_keys(c: Wire, count: int) -> None:
    names = {b"key:%d" % number for number in range(300)}
    c.pipeline([("SET", name, "v") for name in names])
    found = scan(c, "COUNT", count)
    assert set(found) == names
    assert len(found) == len(names)


def test_keys_may_come_and_go_on_the_way(c: Wire) -> None:
    names = {b"key:%d" % number for number in range(300)}
    c.pipeline([("SET", name, "v") for name in names])
    cursor, found = c("SCAN", 0)
    seen = set(found)
    turn = 0
    while cursor != b"0":
        turn += 1
        c("SET", f"new:{turn}", "v")
        c("DEL", f"new:{turn - 5}")
        cursor, found = c("SCAN", cursor)
        seen |= set(found)
    assert names <= seen


def test_match(c: Wire) -> None:
    c("MSET", "a1", 1, "a2", 2, "b1", 3)
    assert sorted(scan(c, "MATCH", "a*")) == [b"a1", b"a2"]
    assert sorted(scan(c, "match", "*", "MATCH", "*1")) == [b"a1", b"b1"]
    assert scan(c, "MATCH", "") == []
    assert len(scan(c, "MATCH", "*")) == 3


def test_type(c: Wire) -> None:
    c("MSET", "a", 1, "b", "x")
    c("INCR", "n")
    assert len(scan(c, "TYPE", "string")) == 3
    assert len(scan(c, "type", "STRING", "COUNT", 1)) == 3
    assert scan(c, "TYPE", "list") == scan(c, "TYPE", "nosuch") == scan(c, "TYPE", "none") == []
    assert scan(c, "TYPE", "string", "MATCH", "a") == [b"a"]


def test_expired_keys_are_left_out(c: Wire) -> None:
    c("SET", "a", 1)
    expired(c, "k")
    assert scan(c) == [b"a"]


@pytest.mark.parametrize(
    "cursor", ["x", " 1", "1 ", "1x", "0x10", "-", "+", "18446744073709551616", "-18446744073709551616"]
)
def test_bad_cursors(c: Wire, cursor: str) -> None:
    assert c("SCAN", cursor) == INVALID_CURSOR
    assert c("SCAN", cursor, "FOO") == INVALID_CURSOR


@pytest.mark.parametrize("cursor", ["18446744073709551615", "-1", "+3", "007", "-18446744073709551615"])
def test_strange_cursors(c: Wire, cursor: str) -> None:
    assert c("SCAN", cursor) == [b"0", []]


@pytest.mark.since("7.4")
def test_novalues_is_for_hashes(c: Wire) -> None:
    error = Error("ERR NOVALUES option can only be used in HSCAN")
    c.pipeline([("SADD", "s", "a"), ("ZADD", "z", "1", "a")])
    assert [c("SCAN", 0, "NOVALUES"), c("SSCAN", "s", 0, "NOVALUES"), c("ZSCAN", "z", 0, "NOVALUES")] == [error] * 3


def test_errors(c: Wire) -> None:
    assert c("SCAN") == arity_error("scan")
    for options in (["FOO"], ["FOO", "x"], ["COUNT"], ["MATCH"], ["TYPE"], ["COUNT", 0], ["COUNT", -1]):
        assert c("SCAN", 0, *options) == SYNTAX_ERROR
    assert c("SCAN", 0, "COUNT", 5, "COUNT", 0) == SYNTAX_ERROR
    assert c("SCAN", 0, "COUNT", "x", "FOO") == NOT_AN_INTEGER
    assert c("SCAN", 0, "COUNT", 1 << 63) == NOT_AN_INTEGER


def test_a_walk_over_one_slot(c: Wire) -> None:
    names = {b"{tag}%d" % number for number in range(5000)}
    c("MSET", *[part for name in names for part in (name, "v")])
    found: list[bytes] = []
    cursor = b"0"
    while not found or cursor != b"0":
        cursor, keys = c("SCAN", cursor, "COUNT", 20)
        assert len(keys) < 200
        found += keys
    assert set(found) == names


def test_what_matches_and_is_due_is_deleted(c: Wire) -> None:
    expired(c, "k1")
    expired(c, "k2")
    assert scan(c, "MATCH", "x*") == []
    assert c("DBSIZE") == 2
    assert scan(c, "MATCH", "*2") == []
    assert c("DBSIZE") == 1
    assert scan(c, "TYPE", "list") == []
    assert c("DBSIZE") == 0


def test_a_cursor_of_any_size_ends(c: Wire) -> None:
    c("MSET", *[part for number in range(200) for part in (b"{tag}%d" % number, "v")])
    for power in range(64):
        cursor, turns = b"%d" % (1 << power | 5), 0
        while cursor != b"0" and turns < 300:
            cursor, _ = c("SCAN", cursor)
            turns += 1
        assert cursor == b"0"


def test_a_giant_pattern(c: Wire) -> None:
    c("MSET", *[part for number in range(1000) for part in (f"a{number}", "v")])
    assert scan(c, "COUNT", 1000, "MATCH", b"a?" * 10_000) == []
    assert len(scan(c, "COUNT", 1000, "MATCH", b"a" + b"*" * 2000 + b"[0-9]")) == 1000
