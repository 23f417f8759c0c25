"""LCS."""

from __future__ import annotations

import pytest

from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, Error, Reply, Wire, arity_error

NOT_STRINGS = Error("ERR The specified keys must contain string values")
TOO_LARGE = Error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")


def idx(c: Wire, matches: list[Reply], length: int) -> Reply:
    return c.as_map([(b"matches", matches), (b"len", length)])


@pytest.fixture(autouse=True)
def texts(c: Wire) -> None:
    c("MSET", "a", "ohmytext", "b", "mynewtext", "n", "12345")


def test_the_subsequence(c: Wire) -> None:
    assert c("LCS", "a", "b") == b"mytext"
    assert c("LCS", "b", "a") == b"mytext"
    assert c("LCS", "a", "a") == b"ohmytext"
    assert c("LCS", "a", "nothing") == b""
    assert c("LCS", "nothing", "other") == b""
    assert c("LCS", "a", "n") == b""
    c("INCR", "n")
    c("APPEND", "m", "1")
    c("APPEND", "m", "46")
    assert c("LCS", "n", "m") == b"146"


def test_which_one_of_several(c: Wire) -> None:
    c("MSET", "x", "abcbdab", "y", "bdcaba")
    assert c("LCS", "x", "y") == b"bdab"
    assert c("LCS", "y", "x") == b"bcba"
    assert c("LCS", "x", "y", "IDX") == idx(c, [[[5, 6], [3, 4]], [[3, 4], [0, 1]]], 4)


def test_len(c: Wire) -> None:
    assert c("LCS", "a", "b", "LEN") == 6
    assert c("LCS", "a", "b", "len", "LEN", "WITHMATCHLEN", "MINMATCHLEN", 4) == 6
    assert c("LCS", "nothing", "b", "LEN") == 0


def test_idx(c: Wire) -> None:
    first, last = [[2, 3], [0, 1]], [[4, 7], [5, 8]]
    assert c("LCS", "a", "b", "IDX") == idx(c, [last, first], 6)
    assert c("LCS", "a", "b", "idx", "MINMATCHLEN", 4) == idx(c, [last], 6)
    assert c("LCS", "a", "b", "IDX", "MINMATCHLEN", 5) == idx(c, [], 6)
    assert c("LCS", "a", "b", "IDX", "MINMATCHLEN", -5) == idx(c, [last, first], 6)
    assert c("LCS", "a", "b", "IDX", "WITHMATCHLEN") == idx(c, [[*last, 4], [*first, 2]], 6)
    both = ("WITHMATCHLEN", "MINMATCHLEN", 1, "MINMATCHLEN", 3)
    assert c("LCS", "a", "b", "IDX", *both) == idx(c, [[*last, 4]], 6)
    assert c("LCS", "a", "nothing", "IDX") == idx(c, [], 0)


def test_options_that_change_nothing_alone(c: Wire) -> None:
    assert c("LCS", "a", "b", "WITHMATCHLEN", "MINMATCHLEN", 100) == b"mytext"


def test_long_strings(c: Wire) -> None:
    c("SET", "x", b"".join(b"%d," % number for number in range(1000)))
    c("SET", "y", b"".join(b"%d," % number for number in range(0, 2000, 2)))
    common = c("LCS", "x", "y")
    assert c("LCS", "x", "y", "LEN") == len(common) == 2280
    assert c("LCS", "y", "x", "LEN") == 2280


def test_errors(c: Wire) -> None:
    for words in (("FOO",), ("MINMATCHLEN",), ("LEN", "MINMATCHLEN"), ("",)):
        assert c("LCS", "a", "b", *words) == SYNTAX_ERROR
    assert c("LCS", "a", "b", "MINMATCHLEN", "x") == NOT_AN_INTEGER
    assert c("LCS", "a", "b", "LEN", "IDX") == Error(
        "ERR If you want both the length and indexes, please just use IDX."
    )
    assert c("LCS", "a") == arity_error("lcs")


@pytest.mark.needs("rpush")
def test_other_types(c: Wire) -> None:
    c("RPUSH", "list", "a")
    for words in (("a", "list"), ("list", "a"), ("list", "nothing"), ("list", "a", "FOO")):
        assert c("LCS", *words) == NOT_STRINGS


def test_memory_is_limited(c: Wire) -> None:
    assert c("CONFIG", "SET", "proto-max-bulk-len", "1mb") == OK
    c("MSET", "x", "x" * 511, "y", "y" * 511, "z", "z" * 512)
    assert c("LCS", "x", "y") == b""
    for words in ((), ("LEN",), ("IDX",)):
        assert c("LCS", "x", "z", *words) == TOO_LARGE
