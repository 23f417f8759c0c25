"""Sorted sets: ranges by rank, by score and by member; read, counted, stored and removed."""

from __future__ import annotations

import pytest

from tests.wire import NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, Error, Reply, Wire, arity_error

NOT_SCORE = Error("ERR min or max is not a float")
NOT_LEX = Error("ERR min or max not valid string range item")
LIMIT = Error("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
WITHSCORES = Error("ERR syntax error, WITHSCORES not supported in combination with BYLEX")


def fill(c: Wire) -> None:
    c("ZADD", "z", "1", "a", "2", "b", "2", "c", "3.5", "d", "inf", "e", "-inf", "f")


def letters(reply: Reply) -> str:
    return b"".join(reply).decode()


RANKS = [
    (0, -1, "fabcde"),
    (0, 0, "f"),
    (1, 2, "ab"),
    (-2, -1, "de"),
    (-100, 1, "fa"),
    (4, 100, "de"),
    (6, 7, ""),
    (3, 2, ""),
    (-1, -3, ""),
    (-100, -100, ""),
    (-(1 << 63), (1 << 63) - 1, "fabcde"),
]


def test_by_rank(c: Wire) -> None:
    fill(c)
    for start, stop, found in RANKS:
        assert letters(c("ZRANGE", "z", start, stop)) == found
    assert letters(c("ZREVRANGE", "z", 0, 1)) == letters(c("ZRANGE", "z", 0, 1, "REV")) == "ed"
    assert letters(c("ZREVRANGE", "z", -2, -1)) == "af"
    assert letters(c("ZREVRANGE", "z", 5, 100)) == "f"
    assert c("ZREVRANGE", "z", 6, 100) == c("ZREVRANGE", "z", 3, 1) == c("ZREVRANGE", "z", 0, -7) == []
    assert letters(c("ZRANGE", "z", 0, -1, "LIMIT", 3, -1)) == "fabcde"  # as if it were not there


def test_with_scores(c: Wire) -> None:
    c("ZADD", "z", "1", "a", "2.5", "b")
    if c.protocol == 3:
        expected: Reply = [[b"a", c.as_double("1")], [b"b", c.as_double("2.5")]]
        backwards: Reply = expected[::-1]
    else:
        expected, backwards = [b"a", b"1", b"b", b"2.5"], [b"b", b"2.5", b"a", b"1"]
    assert c("ZRANGE", "z", 0, -1, "WITHSCORES") == expected
    assert c("ZRANGE", "z", 0, -1, "withscores", "REV", "WITHSCORES") == backwards
    assert c("ZREVRANGE", "z", 0, -1, "WITHSCORES") == backwards
    assert c("ZRANGE", "z", 0, 9, "BYSCORE", "WITHSCORES") == expected
    assert c("ZRANGEBYSCORE", "z", 0, 9, "WITHSCORES", "LIMIT", 0, 9) == expected
    assert c("ZREVRANGEBYSCORE", "z", 9, 0, "LIMIT", 0, 9, "WITHSCORES") == backwards
    assert c("ZRANGE", "nothing", 0, 9, "WITHSCORES") == []


SCORES = [
    ("-inf", "+inf", "fabcde"),
    ("1", "2", "abc"),
    ("(1", "2", "bc"),
    ("1", "(2", "a"),
    ("(1", "(2", ""),
    ("2", "2", "bc"),
    ("(2", "2", ""),
    ("3", "1", ""),
    ("(-inf", "(inf", "abcd"),
    ("1e400", "inf", "e"),
    ("-1e400", "0x2", "fabc"),
    ("", "(", ""),
    (" 1", "\t2", "abc"),
    ("( 1", "2", "bc"),
    ("1e-400", "INFINITY", "abcde"),
]


def test_by_score(c: Wire) -> None:
    fill(c)
    for low, high, found in SCORES:
        assert letters(c("ZRANGEBYSCORE", "z", low, high)) == found
        assert letters(c("ZRANGE", "z", low, high, "BYSCORE")) == found
        assert letters(c("ZREVRANGEBYSCORE", "z", high, low)) == found[::-1]
        assert letters(c("ZRANGE", "z", high, low, "REV", "BYSCORE")) == found[::-1]
        assert c("ZCOUNT", "z", low, high) == len(found)


LIMITS = [
    (0, 2, "ab"),
    (1, 2, "bc"),
    (0, -1, "abcd"),
    (2, -5, "cd"),
    (3, 9, "d"),
    (4, 9, ""),
    (0, 0, ""),
    (-1, 9, ""),
]


def test_limit(c: Wire) -> None:
    fill(c)
    for offset, count, found in LIMITS:
        assert letters(c("ZRANGEBYSCORE", "z", 1, 4, "LIMIT", offset, count)) == found
        assert letters(c("ZRANGE", "z", 1, 4, "limit", offset, count, "byscore")) == found
    assert letters(c("ZREVRANGEBYSCORE", "z", 4, 1, "LIMIT", 1, 2)) == "cb"
    assert letters(c("ZRANGE", "z", 4, 1, "BYSCORE", "REV", "LIMIT", 3, 9)) == "a"
    assert letters(c("ZREVRANGEBYSCORE", "z", 4, 1, "LIMIT", 0, -1)) == "dcba"


@pytest.mark.parametrize("bound", ["x", "(x", "nan", "((1", "1 ", "1_0", "1x", " ", "+", "(nan"])
def test_bounds_that_are_no_scores(c: Wire, bound: str, wrong: str) -> None:
    for key in ("nothing", wrong):
        for low, high in ((bound, "1"), ("1", bound)):
            assert c("ZRANGE", key, low, high, "BYSCORE") == NOT_SCORE
            assert c("ZRANGEBYSCORE", key, low, high) == c("ZREVRANGEBYSCORE", key, low, high) == NOT_SCORE
            assert c("ZCOUNT", key, low, high) == c("ZREMRANGEBYSCORE", key, low, high) == NOT_SCORE
            assert c("ZRANGESTORE", "to", key, low, high, "BYSCORE") == NOT_SCORE


LEX = [
    ("-", "+", "abcde"),
    ("[b", "[d", "bcd"),
    ("(b", "[d", "cd"),
    ("[b", "(d", "bc"),
    ("(b", "(c", ""),
    ("[aa", "+", "bcde"),
    ("-", "[b", "ab"),
    ("+", "-", ""),
    ("+", "+", ""),
    ("-", "-", ""),
    ("[", "[b", "ab"),
    ("(", "(", ""),
    ("[d", "[b", ""),
]


def test_by_lex(c: Wire) -> None:
    c("ZADD", "z", *(word for letter in "abcde" for word in ("0", letter)))
    for low, high, found in LEX:
        assert (
            letters(c("ZRANGEBYLEX", "z", low, high))
            == letters(c("ZRANGE", "z", low, high, "BYLEX"))
            == found
        )
        assert letters(c("ZREVRANGEBYLEX", "z", high, low)) == found[::-1]
        assert letters(c("ZRANGE", "z", high, low, "BYLEX", "REV")) == found[::-1]
        assert c("ZLEXCOUNT", "z", low, high) == len(found)
    assert letters(c("ZRANGEBYLEX", "z", "-", "+", "LIMIT", 1, 2)) == "bc"
    assert letters(c("ZREVRANGEBYLEX", "z", "+", "-", "LIMIT", 1, 2)) == "dc"


@pytest.mark.parametrize("bound", ["", "a", "-a", "+a", "--"])
def test_bounds_that_are_no_members(c: Wire, bound: str, wrong: str) -> None:
    for key in ("nothing", wrong):
        for low, high in ((bound, "+"), ("-", bound)):
            assert c("ZRANGE", key, low, high, "BYLEX") == NOT_LEX
            assert c("ZRANGEBYLEX", key, low, high) == c("ZREVRANGEBYLEX", key, low, high) == NOT_LEX
            assert c("ZLEXCOUNT", key, low, high) == c("ZREMRANGEBYLEX", key, low, high) == NOT_LEX


def test_syntax(c: Wire, wrong: str) -> None:
    fill(c)
    for options in (
        "FOO",
        "BYSCORE BYLEX",
        "BYLEX BYSCORE",
        "REV REV",
        "LIMIT",
        "LIMIT 0",
        "BYSCORE LIMIT 1",
    ):
        assert c("ZRANGE", "z", "0", "1", *options.split()) == SYNTAX_ERROR
    assert c("ZRANGE", "z", 0, 1, "LIMIT", 0, 1) == LIMIT
    assert c("ZREVRANGE", "z", 0, 1, "LIMIT", 0, 1) == LIMIT
    assert c("ZRANGESTORE", "y", "z", 0, 1, "LIMIT", 0, 1) == LIMIT
    assert (
        c("ZRANGE", "z", 0, 1, "BYLEX", "WITHSCORES")
        == c("ZRANGEBYLEX", "z", 0, 1, "WITHSCORES")
        == WITHSCORES
    )
    assert c("ZRANGE", "z", "x", 1) == c("ZRANGE", "z", 1, "(1") == NOT_AN_INTEGER
    assert c("ZRANGEBYSCORE", "z", 0, 1, "LIMIT", "x", 1) == NOT_AN_INTEGER
    assert c("ZRANGEBYSCORE", "z", 0, 1, "LIMIT", 1, "x") == NOT_AN_INTEGER
    for name in ("ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZRANGEBYLEX", "ZREVRANGEBYLEX"):
        for option in ("REV", "BYSCORE", "BYLEX"):
            assert c(name, "z", "-", "+", option) == SYNTAX_ERROR
    for name in ("ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZCOUNT", "ZREMRANGEBYRANK"):
        assert c(name, wrong, 0, 1) == WRONGTYPE
        assert c(name, "z", 0) == arity_error(name.lower())
    for name in ("ZRANGEBYLEX", "ZREVRANGEBYLEX", "ZLEXCOUNT", "ZREMRANGEBYLEX"):
        assert c(name, wrong, "-", "+") == WRONGTYPE
        assert c(name, "z", "-") == arity_error(name.lower())
    assert c("ZREMRANGEBYSCORE", wrong, 0, 1) == WRONGTYPE
    assert c("ZREMRANGEBYSCORE", "z", 0) == arity_error("zremrangebyscore")
    assert c("ZCOUNT", "nothing", 0, 1) == c("ZLEXCOUNT", "nothing", "-", "+") == 0


def test_store(c: Wire, wrong: str) -> None:
    fill(c)
    c("SET", "to", "x", "EX", 1000)
    assert c("ZRANGESTORE", "to", "z", 1, 2) == 2
    assert c("ZRANGE", "to", 0, -1) == [b"a", b"b"]
    assert c("TTL", "to") == -1
    assert c("ZRANGESTORE", "to", "z", "(4", "1", "BYSCORE", "REV", "LIMIT", 0, 2) == 2
    assert c("ZRANGE", "to", 0, -1) == [b"c", b"d"]
    assert c("ZRANGESTORE", "z", "z", "[b", "[d", "BYLEX") in (3, 0)
    fill(c)
    assert c("ZRANGESTORE", "to", "z", 10, 20) == 0
    assert c("EXISTS", "to") == 0
    c("SET", "to", "x")
    assert c("ZRANGESTORE", "to", "nothing", 0, -1) == 0
    assert c("EXISTS", "to") == 0
    assert c("ZRANGESTORE", "to", "z", 0, -1, "WITHSCORES") == SYNTAX_ERROR
    assert c("ZRANGESTORE", "to", wrong, 0, -1) == WRONGTYPE
    assert c("ZRANGESTORE", wrong, "z", 0, 0) == 1
    assert c("TYPE", wrong) == c("TYPE", "z")
    assert c("ZRANGESTORE", "to", "z", 0) == arity_error("zrangestore")


def test_remove(c: Wire) -> None:
    fill(c)
    c("EXPIRE", "z", 1000)
    assert c("ZREMRANGEBYRANK", "z", 0, 0) == 1
    assert c("ZREMRANGEBYSCORE", "z", "(2", "+inf") == 2
    assert c("ZREMRANGEBYRANK", "z", 5, 9) == c("ZREMRANGEBYSCORE", "z", 5, 9) == 0
    assert c("ZREMRANGEBYRANK", "z", -1, -5) == 0
    assert c("TTL", "z") > 900
    assert c("ZRANGE", "z", 0, -1) == [b"a", b"b", b"c"]
    assert c("ZREMRANGEBYLEX", "z", "[b", "+") == 2
    assert c("ZREMRANGEBYLEX", "z", "-", "+") == 1
    assert c("EXISTS", "z") == 0
    for name in ("ZREMRANGEBYRANK", "ZREMRANGEBYSCORE"):
        assert c(name, "z", 0, 1) == 0
        fill(c)
        assert c(name, "z", *((0, -1) if name.endswith("RANK") else ("-inf", "inf"))) == 6
        assert c("EXISTS", "z") == 0
    assert c("ZREMRANGEBYRANK", "z", "x", 1) == c("ZREMRANGEBYRANK", "z", 1, "x") == NOT_AN_INTEGER


def test_big(c: Wire) -> None:
    c("ZADD", "z", *(word for number in range(5000) for word in (number // 3, f"m{number:04}")))
    assert c("ZRANGE", "z", 2500, 2502) == [b"m2500", b"m2501", b"m2502"]
    assert c("ZRANGEBYSCORE", "z", 1000, "(1001") == [b"m3000", b"m3001", b"m3002"]
    assert c("ZREVRANGEBYSCORE", "z", 1000, "-inf", "LIMIT", 1000, 2) == [b"m2002", b"m2001"]
    assert c("ZRANK", "z", "m4321") == 4321
    assert c("ZREMRANGEBYRANK", "z", 1000, 3999) == 3000
    assert c("ZRANK", "z", "m4321") == 1321
    assert c("ZCOUNT", "z", 300, 1400) == 303
    assert len(c("ZRANGE", "z", 0, -1)) == 2000
