"""Sorted sets: unions, intersections and differences."""

from __future__ import annotations

import pytest

from tests.wire import NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, Error, Reply, Wire, arity_error

READS = ("ZUNION", "ZINTER", "ZDIFF")
STORES = ("ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE")


@pytest.fixture(autouse=True)
def inputs(c: Wire) -> None:
    c("ZADD", "z", "1", "a", "2", "b", "3", "c")
    c("ZADD", "y", "10", "b", "20", "c", "30", "x")
    c("SADD", "s", "a", "b", "q")


def scored(c: Wire, *words: str) -> Reply:
    """Members and scores: flat, in RESP3 as pairs."""
    if c.protocol == 3:
        return [
            [member.encode(), c.as_double(score)]
            for member, score in zip(words[::2], words[1::2], strict=True)
        ]
    return [word.encode() for word in words]


def test_union(c: Wire) -> None:
    assert c("ZUNION", 2, "z", "y") == [b"a", b"b", b"c", b"x"]
    assert c("ZUNION", 2, "z", "y", "WITHSCORES") == scored(c, "a", "1", "b", "12", "c", "23", "x", "30")
    assert c("ZUNION", 2, "z", "s", "withscores") == scored(c, "q", "1", "a", "2", "b", "3", "c", "3")
    assert c("ZUNION", 3, "z", "nothing", "z", "WITHSCORES") == scored(c, "a", "2", "b", "4", "c", "6")
    assert c("ZUNION", 1, "nothing", "WITHSCORES") == []


def test_inter(c: Wire) -> None:
    assert c("ZINTER", 2, "z", "y") == [b"b", b"c"]
    assert c("ZINTER", 2, "z", "y", "WITHSCORES") == scored(c, "b", "12", "c", "23")
    assert c("ZINTER", 3, "z", "y", "s", "WITHSCORES") == scored(c, "b", "13")
    assert c("ZINTER", 2, "s", "s", "WITHSCORES") == scored(c, "a", "2", "b", "2", "q", "2")
    assert c("ZINTER", 2, "z", "nothing") == []


def test_diff(c: Wire) -> None:
    assert c("ZDIFF", 2, "z", "y") == [b"a"]
    assert c("ZDIFF", 2, "y", "z", "WITHSCORES") == scored(c, "x", "30")
    assert c("ZDIFF", 2, "s", "z", "WITHSCORES") == scored(c, "q", "1")
    assert c("ZDIFF", 1, "z") == [b"a", b"b", b"c"]
    assert c("ZDIFF", 2, "z", "z") == c("ZDIFF", 2, "nothing", "z") == []
    assert c("ZDIFF", 5, "z", "y", "y", "nothing", "nothing", "WITHSCORES") == scored(c, "a", "1")
    assert c("ZDIFF", 10, "z", "s", *["nothing"] * 8) == [b"c"]
    assert c("ZDIFF", 11, "z", "z", "y", *["nothing"] * 8) == []


def test_weights_and_aggregates(c: Wire) -> None:
    two = ("ZUNION", 2, "z", "y")
    assert c(*two, "WEIGHTS", 2, 3, "WITHSCORES") == scored(c, "a", "2", "b", "34", "c", "66", "x", "90")
    assert c(*two, "AGGREGATE", "MIN", "WITHSCORES") == scored(c, "a", "1", "b", "2", "c", "3", "x", "30")
    assert c(*two, "aggregate", "max", "weights", "20", "1", "withscores") == scored(
        c, "a", "20", "x", "30", "b", "40", "c", "60"
    )
    assert c("ZINTER", 2, "z", "s", "WEIGHTS", "-1", "0.5", "WITHSCORES") == scored(
        c, "b", "-1.5", "a", "-0.5"
    )
    assert c(*two, "WEIGHTS", 1, 1, "WEIGHTS", 0, 1, "WITHSCORES") == scored(
        c, "a", "0", "b", "10", "c", "20", "x", "30"
    )


def test_infinity(c: Wire) -> None:
    c("ZADD", "plus", "inf", "a")
    c("ZADD", "minus", "-inf", "a")
    for name in ("ZUNION", "ZINTER"):
        assert c(name, 2, "plus", "minus", "WITHSCORES") == scored(c, "a", "0")
        assert c(name, 1, "plus", "WEIGHTS", "0", "WITHSCORES") == scored(c, "a", "0")
        assert c(name, 2, "plus", "minus", "WEIGHTS", 1, -1, "WITHSCORES") == scored(c, "a", "inf")
        assert c(name, 2, "minus", "plus", "AGGREGATE", "MAX", "WITHSCORES") == scored(c, "a", "inf")


def test_negative_zero(c: Wire) -> None:
    c("ZADD", "zero", "0", "a")
    assert c("ZUNION", 1, "zero", "WEIGHTS", -1, "WITHSCORES") == scored(c, "a", "-0")
    c("ZUNIONSTORE", "to", 1, "zero", "WEIGHTS", -1)
    assert c("ZSCORE", "to", "a") == c.as_double("0")


def test_store(c: Wire) -> None:
    c("SET", "to", "x", "EX", 1000)
    assert c("ZUNIONSTORE", "to", 2, "z", "y", "WEIGHTS", 1, 2, "AGGREGATE", "MAX") == 4
    assert c("ZRANGE", "to", 0, -1, "WITHSCORES") == scored(c, "a", "1", "b", "20", "c", "40", "x", "60")
    assert c("TTL", "to") == -1
    assert c("OBJECT", "ENCODING", "to") == b"listpack"
    assert c("ZINTERSTORE", "z", 2, "z", "y") == 2
    assert c("ZRANGE", "z", 0, -1) == [b"b", b"c"]
    assert c("ZDIFFSTORE", "to", 2, "y", "z") == 1
    assert c("ZRANGE", "to", 0, -1, "WITHSCORES") == scored(c, "x", "30")


@pytest.mark.parametrize("name", STORES)
def test_nothing_to_store(c: Wire, name: str) -> None:
    c("SET", "to", "x")
    assert c(name, "to", 1, "nothing") == 0
    assert c("EXISTS", "to") == 0
    assert c(name, "to", 1, "nothing") == 0


def test_encoding_of_the_result(c: Wire) -> None:
    c("ZADD", "big", *(word for number in range(200) for word in (number, f"m{number}")))
    c("ZADD", "long", 1, "x" * 65)
    c("ZUNIONSTORE", "to", 2, "big", "z")
    assert c("OBJECT", "ENCODING", "to") == b"skiplist"
    c("ZUNIONSTORE", "to", 1, "long")
    assert c("OBJECT", "ENCODING", "to") == b"skiplist"
    c("ZINTERSTORE", "to", 2, "big", "big")
    assert c("OBJECT", "ENCODING", "to") == b"skiplist"
    c("ZRANGESTORE", "to", "big", 0, 99)
    assert c("OBJECT", "ENCODING", "to") == b"listpack"


def test_intercard(c: Wire, wrong: str) -> None:
    assert c("ZINTERCARD", 2, "z", "y") == c("ZINTERCARD", 2, "z", "s") == 2
    assert c("ZINTERCARD", 2, "z", "y", "LIMIT", 0) == c("ZINTERCARD", 2, "z", "y", "LIMIT", 5) == 2
    assert c("ZINTERCARD", 2, "z", "y", "LIMIT", 1) == 1
    assert c("ZINTERCARD", 2, "z", "y", "LIMIT", 1, "limit", 2) == 2
    assert c("ZINTERCARD", 2, "z", "nothing") == 0
    c("ZADD", "long", *(word for number in range(3000) for word in (number, f"m{number}")))
    for most, count in ((0, 3000), (1500, 1500), (2048, 2048), (2**63 - 1, 3000)):
        assert c("ZINTERCARD", 2, "long", "long", "LIMIT", most) == count
    for limit in ("-1", "x"):
        assert c("ZINTERCARD", 2, "z", "y", "LIMIT", limit) == Error("ERR LIMIT can't be negative")
    for rest in (["LIMIT"], ["FOO", "1"], ["WITHSCORES"], ["WEIGHTS", "1", "1"]):
        assert c("ZINTERCARD", 2, "z", "y", *rest) == SYNTAX_ERROR
    assert c("ZINTERCARD", 2, "z", wrong) == WRONGTYPE


@pytest.mark.parametrize("name", [*READS, *STORES, "ZINTERCARD"])
def test_numbers_of_keys(c: Wire, name: str, wrong: str) -> None:
    to = ["to"] if name in STORES else []
    for number in ("0", "-1"):
        text = f"ERR at least 1 input key is needed for '{name.lower()}' command"
        assert c(name, *to, number, "z") == Error(text)
    assert c(name, *to, "x", "z") == c(name, *to, "1.5", "z") == NOT_AN_INTEGER
    assert c(name, *to, 2, "z") == SYNTAX_ERROR
    assert c(name, *to, 1, "z", "y") == SYNTAX_ERROR
    assert c(name, *to, 2, "nothing", wrong) == WRONGTYPE
    assert c(name, *to, 1, wrong, "FOO") == WRONGTYPE  # the keys come first
    assert c(name, *to, 1) == arity_error(name.lower())


@pytest.mark.parametrize("name", [*READS, *STORES])
def test_options(c: Wire, name: str) -> None:
    words: list[str | int] = [*(["to"] if name in STORES else []), 2, "z", "y"]
    for rest in ("FOO", "LIMIT 1", "AGGREGATE", "AGGREGATE AVG", "WEIGHTS", "WEIGHTS 1"):
        assert c(name, *words, *rest.split()) == SYNTAX_ERROR
    weight = SYNTAX_ERROR if "DIFF" in name else Error("ERR weight value is not a float")
    assert c(name, *words, "WEIGHTS", "1", "x") == c(name, *words, "WEIGHTS", "nan", "1") == weight
    if name in STORES:
        assert c(name, *words, "WITHSCORES") == SYNTAX_ERROR
    assert c("EXISTS", "to") == 0
