"""Sorted sets: members added, removed, asked for, drawn and scanned."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.commands.test_keys import expired
from tests.servers import Server
from tests.wire import NOT_A_FLOAT, NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, Error, Wire, arity_error

NAN = Error("ERR resulting score is not a number (NaN)")
NX_XX = Error("ERR XX and NX options at the same time are not compatible")
GT_LT_NX = Error("ERR GT, LT, and/or NX options at the same time are not compatible")


def scores(c: Wire, key: str = "z") -> dict[bytes, float]:
    """The members of a sorted set in order, with their scores."""
    reply = c("ZRANGE", key, 0, -1, "WITHSCORES")
    pairs = reply if c.protocol == 3 else list(zip(reply[::2], reply[1::2], strict=True))
    return {member: float(score.text if c.protocol == 3 else score) for member, score in pairs}


def test_zadd(c: Wire) -> None:
    assert c("ZADD", "z", "1", "a") == 1
    assert c("ZADD", "z", "1", "a") == 0
    assert c("ZADD", "z", "3", "a", "2", "b", "2", "b", "1", "b") == 1
    assert scores(c) == {b"b": 1, b"a": 3}
    assert c("ZADD", "z", "-1.5", "", "1e3", b"\0\r\n", "+inf", "i", "-INF", "j", "0x10", "h") == 5
    assert list(scores(c).items()) == [
        (b"j", float("-inf")),
        (b"", -1.5),
        (b"b", 1),
        (b"a", 3),
        (b"h", 16),
        (b"\0\r\n", 1000),
        (b"i", float("inf")),
    ]


def test_zadd_orders_by_score_then_bytes(c: Wire) -> None:
    c("ZADD", "z", "1", "b", "1", "B", "1", "ba", "1", b"\xff", "0", "z", "1", "")
    assert c("ZRANGE", "z", 0, -1) == [b"z", b"", b"B", b"b", b"ba", b"\xff"]


@pytest.mark.parametrize(
    "score", ["", "x", "nan", " 1", "1 ", "1_0", "1e400", "-1e400", "1e-400", "0x", "(1"]
)
def test_scores_that_are_none(c: Wire, score: str) -> None:
    assert c("ZADD", "z", score, "a") == NOT_A_FLOAT
    assert c("ZADD", "z", "1", "a", score, "b") == NOT_A_FLOAT
    assert c("ZADD", "z", "NX", score, "a") == NOT_A_FLOAT
    assert c("ZINCRBY", "z", score, "a") == NOT_A_FLOAT
    assert c("EXISTS", "z") == 0


def test_zadd_options(c: Wire) -> None:
    assert c("ZADD", "z", "XX", "1", "a") == 0
    assert c("EXISTS", "z") == 0
    assert c("ZADD", "z", "NX", "1", "a", "2", "b") == 2
    assert c("ZADD", "z", "NX", "5", "a", "3", "c") == 1
    assert c("ZADD", "z", "xx", "7", "a", "4", "d") == 0
    assert scores(c) == {b"b": 2, b"c": 3, b"a": 7}
    assert c("ZADD", "z", "GT", "CH", "6", "a", "5", "b", "0", "new") == 2
    assert c("ZADD", "z", "LT", "CH", "6", "a", "5", "b", "9", "late") == 2
    assert c("ZADD", "z", "GT", "XX", "CH", "9", "a", "9", "newer") == 1
    assert c("ZADD", "z", "CH", "XX", "NX", "1", "a") == NX_XX
    assert c("ZADD", "z", "CH", "CH", "9", "a") == 0
    assert scores(c) == {b"new": 0, b"c": 3, b"b": 5, b"a": 9, b"late": 9}


def test_zadd_incr(c: Wire) -> None:
    assert c("ZADD", "z", "INCR", "1.5", "a") == c.as_double("1.5")
    assert c("ZADD", "z", "incr", "1.5", "a") == c.as_double("3")
    assert c("ZADD", "z", "INCR", "NX", "1", "a") == c.null
    assert c("ZADD", "z", "INCR", "XX", "1", "b") == c.null
    assert c("ZADD", "nothing", "INCR", "XX", "1", "b") == c.null
    assert c("ZADD", "z", "INCR", "GT", "-1", "a") == c.null
    assert c("ZADD", "z", "INCR", "GT", "0", "a") == c.null
    assert c("ZADD", "z", "INCR", "LT", "-1", "a") == c.as_double("2")
    assert c("ZADD", "z", "INCR", "CH", "inf", "a") == c.as_double("inf")
    assert c("ZADD", "z", "INCR", "-inf", "a") == NAN
    assert c("ZADD", "z", "INCR", "1", "a", "2", "b") == Error(
        "ERR INCR option supports a single increment-element pair"
    )


def test_zadd_errors(c: Wire, wrong: str) -> None:
    for words in (["NX"], ["NX", "1"], ["1", "a", "2"], ["NX", "XX"], ["NX", "XX", "1"], ["foo", "1", "a"]):
        expected = SYNTAX_ERROR if len(words) > 1 else arity_error("zadd")
        assert c("ZADD", "z", *words) == expected
    assert c("ZADD", "z", "NX", "XX", "1", "a") == NX_XX
    for options in ("NX GT", "NX LT", "GT LT", "GT LT XX"):
        assert c("ZADD", "z", *options.split(), "1", "a") == GT_LT_NX
    assert c("ZADD", wrong, "1", "a") == WRONGTYPE
    assert c("ZADD", wrong, "XX", "1", "a") == WRONGTYPE
    assert c("ZADD", wrong, "x", "a") == NOT_A_FLOAT
    assert c("ZINCRBY", "z", "NX", "a") == SYNTAX_ERROR


def test_zincrby(c: Wire, wrong: str) -> None:
    assert c("ZINCRBY", "z", "2", "a") == c.as_double("2")
    assert c("ZINCRBY", "z", "-0.5", "a") == c.as_double("1.5")
    assert c("ZINCRBY", "z", "0", "a") == c.as_double("1.5")
    assert c("ZINCRBY", "z", "inf", "b") == c.as_double("inf")
    assert c("ZINCRBY", "z", "-inf", "b") == NAN
    assert c("ZINCRBY", "z", "1", "b") == c.as_double("inf")
    assert c("ZINCRBY", wrong, "1", "b") == WRONGTYPE
    assert c("ZINCRBY", "z", "1") == arity_error("zincrby")
    assert scores(c) == {b"a": 1.5, b"b": float("inf")}


def test_a_new_score_moves_a_member(c: Wire) -> None:
    for number in range(300):
        c("ZADD", "z", number, f"m{number}")
    c("ZADD", "z", "150.5", "m3", "-1", "m299", "1000", "m0", "9.5", "m9")
    order = c("ZRANGE", "z", 0, -1)
    assert (order[0], order[-1], order[149]) == (b"m299", b"m0", b"m150")
    assert order[150] == b"m3"
    assert len(order) == len(set(order)) == 300


def test_zrem(c: Wire, wrong: str) -> None:
    c("ZADD", "z", "1", "a", "2", "b", "3", "c")
    assert c("ZREM", "z", "x") == 0
    assert c("ZREM", "z", "a", "x", "a", "c") == 2
    assert scores(c) == {b"b": 2}
    assert c("ZREM", "z", "b", "a") == 1
    assert c("EXISTS", "z") == 0
    assert c("ZREM", "z", "a") == 0
    assert c("ZREM", wrong, "a") == WRONGTYPE
    assert c("ZREM", "z") == arity_error("zrem")


def test_zcard_zscore_zmscore(c: Wire, wrong: str) -> None:
    c("ZADD", "z", "1", "a", "-0.5", "b")
    assert c("ZCARD", "z") == 2
    assert c("ZCARD", "nothing") == 0
    assert c("ZSCORE", "z", "b") == c.as_double("-0.5")
    assert c("ZSCORE", "z", "x") == c("ZSCORE", "nothing", "x") == c.null
    assert c("ZMSCORE", "z", "b", "x", "a") == [c.as_double("-0.5"), c.null, c.as_double("1")]
    assert c("ZMSCORE", "nothing", "b", "x") == [c.null, c.null]
    for name, *rest in (("ZCARD",), ("ZSCORE", "a"), ("ZMSCORE", "a", "b")):
        assert c(name, wrong, *rest) == WRONGTYPE
        assert c(name) == arity_error(name.lower())


@pytest.mark.since("7.4")
@pytest.mark.parametrize(
    ("score", "text"),
    [
        ("3.1", "3.1"),
        ("0.1", "0.1"),
        ("1e17", "100000000000000000"),
        ("123456789012345678", "123456789012345680"),
        ("1e20", "1e+20"),
        ("1e300", "1e+300"),
        ("1e-5", "0.00001"),
        ("1e-7", "1e-7"),
        ("5e-324", "5e-324"),
        ("-inf", "-inf"),
    ],
)
def test_digits_of_scores(c: Wire, score: str, text: str) -> None:
    c("ZADD", "z", score, "a")
    assert c("ZSCORE", "z", "a") == c.as_double(text)
    assert c("ZINCRBY", "z", "0", "a") == c.as_double(text)
    assert c("ZSCAN", "z", "0") == [b"0", [b"a", text.encode()]]


def test_negative_zero(c: Wire) -> None:
    """A listpack holds the integer 0; elsewhere the sign stays."""
    c("ZADD", "z", "-0", "a")
    assert c("ZSCORE", "z", "a") == c.as_double("0")
    c("ZADD", "long", "-0", "a" * 65)
    assert c("ZSCORE", "long", "a" * 65) == c.as_double("-0")
    assert c("ZADD", "long", "CH", "0", "a" * 65) == 0


def test_zrank(c: Wire, wrong: str) -> None:
    c("ZADD", "z", "1", "a", "1", "b", "2", "c")
    assert [c("ZRANK", "z", member) for member in "abcx"] == [0, 1, 2, c.null]
    assert [c("ZREVRANK", "z", member) for member in "abcx"] == [2, 1, 0, c.null]
    for name in ("ZRANK", "ZREVRANK"):
        assert c(name, "nothing", "a") == c.null
        assert c(name, wrong, "a") == WRONGTYPE
        assert c(name, "z") == arity_error(name.lower())


@pytest.mark.since("7.4")
def test_zrank_with_score(c: Wire, wrong: str) -> None:
    c("ZADD", "z", "1", "a", "2.5", "b")
    assert c("ZRANK", "z", "b", "WITHSCORE") == [1, c.as_double("2.5")]
    assert c("ZREVRANK", "z", "b", "withscore") == [0, c.as_double("2.5")]
    for name in ("ZRANK", "ZREVRANK"):
        assert c(name, "z", "x", "WITHSCORE") == c(name, "nothing", "x", "WITHSCORE") == c.null_array
        assert c(name, "z", "a", "WITHSCORES") == SYNTAX_ERROR
        assert c(name, "z", "a", "WITHSCORE", "x") == arity_error(name.lower())
        assert c(name, wrong, "a", "WITHSCORE") == WRONGTYPE


def test_encoding(c: Wire) -> None:
    def encoding() -> bytes:
        return bytes(c("OBJECT", "ENCODING", "z"))

    for number in range(128):
        c("ZADD", "z", number, f"m{number}")
    assert encoding() == b"listpack"
    c("ZADD", "z", "5", "m1")
    assert encoding() == b"listpack"
    c("ZADD", "z", "5", "one more")
    assert encoding() == b"skiplist"
    c("ZREMRANGEBYRANK", "z", 3, -1)
    assert encoding() == b"skiplist"  # for good
    c("DEL", "z")
    c("ZADD", "z", "1", "x" * 64)
    assert encoding() == b"listpack"
    c("ZADD", "z", "1", "x" * 65)
    assert encoding() == b"skiplist"
    c("CONFIG", "SET", "zset-max-listpack-entries", 2)
    c("DEL", "z")
    c("ZADD", "z", "1", "a", "2", "b")
    assert encoding() == b"listpack"
    c("ZINCRBY", "z", "1", "c")
    assert encoding() == b"skiplist"
    c("CONFIG", "SET", "zset-max-listpack-entries", 0)
    c("DEL", "z")
    c("ZADD", "z", "1", "a")
    assert encoding() == b"skiplist"


@pytest.mark.since("7.4")
def test_many_pairs_are_not_packed_even_if_equal(c: Wire) -> None:
    c("ZADD", "z", *("1", "a") * 129)
    assert c("OBJECT", "ENCODING", "z") == b"skiplist"
    assert c("ZCARD", "z") == 1


def test_expired_sets_are_gone(c: Wire) -> None:
    c("ZADD", "z", "1", "a")
    expired(c, "z")
    assert c("ZCARD", "z") == 0
    assert c("ZADD", "z", "2", "b") == 1
    assert scores(c) == {b"b": 2}
    assert c("TTL", "z") == -1


def test_changes_keep_the_time_to_live(c: Wire) -> None:
    c("ZADD", "z", "1", "a", "2", "b")
    c("EXPIRE", "z", 1000)
    c("ZADD", "z", "2", "c")
    c("ZINCRBY", "z", "2", "c")
    c("ZREM", "z", "a")
    c("ZPOPMIN", "z")
    assert c("TTL", "z") > 900


def test_copy_shares_nothing(c: Wire) -> None:
    c("ZADD", "z", "1", "a", "2", "b")
    c("COPY", "z", "copy")
    c("ZADD", "z", "5", "a")
    assert scores(c, "copy") == {b"a": 1, b"b": 2}


def test_zrandmember(c: Wire, wrong: str) -> None:
    c("ZADD", "z", "1", "a", "2", "b", "3", "c")
    assert c("ZRANDMEMBER", "z") in (b"a", b"b", b"c")
    assert sorted(c("ZRANDMEMBER", "z", 3)) == sorted(c("ZRANDMEMBER", "z", 10)) == [b"a", b"b", b"c"]
    assert len(set(c("ZRANDMEMBER", "z", 2))) == 2
    assert set(c("ZRANDMEMBER", "z", -100)) == {b"a", b"b", b"c"}
    assert c("ZRANDMEMBER", "z", 0) == []
    assert c("ZRANDMEMBER", "nothing") == c.null
    assert c("ZRANDMEMBER", "nothing", 5) == c("ZRANDMEMBER", "nothing", -5, "WITHSCORES") == []
    c("ZADD", "one", "1.5", "a")
    if c.protocol == 3:
        assert c("ZRANDMEMBER", "one", -2, "withscores") == [[b"a", c.as_double("1.5")]] * 2
    else:
        assert c("ZRANDMEMBER", "one", -2, "withscores") == [b"a", b"1.5"] * 2
    assert c("ZRANDMEMBER", wrong) == c("ZRANDMEMBER", wrong, 1) == WRONGTYPE


def test_zrandmember_errors(c: Wire) -> None:
    c("ZADD", "z", "1", "a")
    assert c("ZRANDMEMBER", "z", "x") == c("ZRANDMEMBER", "z", "x", "WITHSCORES", "x") == NOT_AN_INTEGER
    assert c("ZRANDMEMBER", "z", "1", "x") == c("ZRANDMEMBER", "z", "1", "WITHSCORES", "x") == SYNTAX_ERROR
    assert c("ZRANDMEMBER", "nothing", -(1 << 63)) == Error(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
    )
    for count in (1 << 62, -(1 << 62)):
        assert c("ZRANDMEMBER", "nothing", count, "WITHSCORES") == Error("ERR value is out of range")
    assert c("ZRANDMEMBER", "nothing", 1 - (1 << 62), "WITHSCORES") == []


def test_zrandmember_of_more_than_memory_holds(c: Wire, server: Server) -> None:
    c("ZADD", "z", "1", "a")
    for count in () if server.is_oracle else (-(2**62), -(2**63) + 1, -(10**7) - 1):
        assert c("ZRANDMEMBER", "z", count) == Error("ERR value is out of range")


def test_zrandmember_of_many(c: Wire) -> None:
    content = {f"m{number}".encode(): number for number in range(2000)}
    c("ZADD", "z", *(word for member, number in content.items() for word in (number, member)))
    for count in (10, 1999, 2000):
        found = c("ZRANDMEMBER", "z", count, "WITHSCORES")
        pairs = found if c.protocol == 3 else list(zip(found[::2], found[1::2], strict=True))
        assert len(pairs) == len({member for member, _ in pairs}) == count
        assert all(score == c.as_double(str(content[member])) for member, score in pairs)


def test_zrandmember_is_uniform(c: Wire) -> None:
    c("ZADD", "z", *(word for number in range(200) for word in (number, f"m{number}")))
    drawn: Counter[bytes] = Counter(c("ZRANDMEMBER", "z", -20_000))
    assert len(drawn) == 200
    assert 10 < min(drawn.values()) <= max(drawn.values()) < 300  # Redis itself is only about fair


def test_zscan(c: Wire, wrong: str) -> None:
    c("ZADD", "z", "1", "a", "2.5", "b", "3", "ab")
    assert c("ZSCAN", "z", 0) == [b"0", [b"a", b"1", b"b", b"2.5", b"ab", b"3"]]
    assert c("ZSCAN", "z", 0, "MATCH", "a*", "COUNT", 1) == [b"0", [b"a", b"1", b"ab", b"3"]]
    assert c("ZSCAN", "nothing", 0) == c("ZSCAN", "nothing", 0, "COUNT", "x") == [b"0", []]
    assert c("ZSCAN", "z", "x") == c("ZSCAN", "nothing", "x") == Error("ERR invalid cursor")
    assert c("ZSCAN", "z", 0, "COUNT", 0) == SYNTAX_ERROR
    assert c("ZSCAN", "z", 0, "COUNT", "x") == NOT_AN_INTEGER
    assert c("ZSCAN", wrong, 0) == WRONGTYPE


@pytest.mark.parametrize("size", [300, 2000])
def test_zscan_of_many(c: Wire, size: int) -> None:
    expected = {b"m%d" % number: b"%d" % number for number in range(size)}
    c("ZADD", "z", *(word for member, score in expected.items() for word in (score, member)))
    found: dict[bytes, bytes] = {}
    cursor, calls = b"0", 0
    while calls == 0 or cursor != b"0":
        cursor, items = c("ZSCAN", "z", cursor, "COUNT", 50)
        found.update(zip(items[::2], items[1::2], strict=True))
        calls += 1
        if calls < 3:  # what comes and goes meanwhile disturbs nobody
            c("ZADD", "z", *(word for number in range(500) for word in ("1", f"{calls}:{number}")))
    assert {member: found.get(member) for member in expected} == expected
    assert calls > 2


def test_scan_prints_17_digits_of_a_big_set(c: Wire) -> None:
    c("ZADD", "z", "0.1", "x" * 65)
    assert c("ZSCAN", "z", 0) == [b"0", [b"x" * 65, b"0.10000000000000001"]]


def test_memory_usage(c: Wire) -> None:
    c("ZADD", "z", *(word for number in range(1000) for word in (number, f"member:{number}")))
    assert 40_000 < c("MEMORY", "USAGE", "z", "SAMPLES", 0) < 250_000
