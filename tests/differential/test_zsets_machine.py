"""Random commands on sorted sets, on both servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.machine import (
    COMPARISONS,
    FAR_SECONDS,
    INTEGERS,
    KEYS,
    OTHER_TYPES,
    Command,
    Comparison,
    Table,
    command,
    differential,
    options,
    run,
    sequences,
    several,
)
from tests.wire import Double, Pair, Reply

SCORES = st.one_of(
    st.integers(-9, 9).map(lambda value: b"%d" % value),
    st.sampled_from(
        [b"0.5", b"-1.25", b"1e3", b"inf", b"-inf", b"+INF", b"0", b"-0", b"5.", b"0x10", b"1e300"]
    ),
    st.sampled_from([b"nan", b"x", b"", b" 1", b"1_0", b"1e999", b"nx"]),
)
"""Mostly valid ones."""

MEMBERS = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"ab", b"", b"\xff\0", b"10", b"m" * 65])
_INDEXES = st.one_of(st.integers(-6, 6).map(lambda value: b"%d" % value), INTEGERS)
_BOUNDS = st.one_of(
    SCORES,
    st.integers(-9, 9).map(lambda value: b"(%d" % value),
    st.sampled_from([b"(inf", b"-inf", b"+inf", b"(", b"(x", b"( 3", b"2 "]),
)
_LEX = st.one_of(
    MEMBERS.map(lambda member: b"[" + member),
    MEMBERS.map(lambda member: b"(" + member),
    st.sampled_from([b"-", b"+", b"[", b"(", b"a", b""]),
)
_COUNTS = st.one_of(st.sampled_from([b"0", b"1", b"2", b"3"]), INTEGERS)
_LIMIT = ("LIMIT", _INDEXES, _COUNTS)
_NUMBERED = st.integers(1, 3).flatmap(lambda count: st.tuples(st.just(b"%d" % count), *[KEYS] * count))
_WEIGHTED = st.integers(1, 3).flatmap(
    lambda count: st.tuples(st.just(b"%d" % count), *[KEYS] * count, st.just(b"WEIGHTS"), *[SCORES] * count)
)
_AGGREGATE = ("AGGREGATE", st.sampled_from(["SUM", "min", "MAX", "AVG"]))
_INPUTS = st.one_of(
    _NUMBERED, _WEIGHTED, st.tuples(st.sampled_from([b"0", b"-1", b"x", b"9"]), KEYS), st.tuples(KEYS, KEYS)
)
_WHERE = st.sampled_from(["MIN", "max", "MID"])
_FLAGS = options(("NX",), ("XX",), ("GT",), ("LT",), ("CH",), ("INCR",), ("FOO",), most=3)

CHANGES: Table = [
    command("ZADD", KEYS, several(SCORES, MEMBERS)),
    command("ZADD", KEYS, several(SCORES, MEMBERS, most=8)),
    command(
        "ZADD", KEYS, options(("NX",), ("XX",), ("GT",), ("LT",), ("CH",), most=2), several(SCORES, MEMBERS)
    ),
    command("ZADD", KEYS, _FLAGS, SCORES, MEMBERS),
    command("ZADD", KEYS, SCORES, MEMBERS, SCORES),
    command("ZINCRBY", KEYS, SCORES, MEMBERS),
    command("ZREM", KEYS, several(MEMBERS)),
    command("ZREMRANGEBYRANK", KEYS, _INDEXES, _INDEXES),
    command("ZREMRANGEBYSCORE", KEYS, _BOUNDS, _BOUNDS),
    command("ZPOPMIN", KEYS),
    command("ZPOPMAX", KEYS),
    command("ZPOPMIN", KEYS, _COUNTS),
    command("ZPOPMAX", KEYS, _COUNTS),
    command("ZMPOP", _NUMBERED, _WHERE, options(("COUNT", _COUNTS))),
    command("BZPOPMIN", KEYS, st.just(b"x")),
    command("EXPIRE", KEYS, FAR_SECONDS),
    command("DEL", KEYS),
]

READS: Table = [
    command("ZCARD", KEYS),
    command("ZSCORE", KEYS, MEMBERS),
    command("ZMSCORE", KEYS, several(MEMBERS)),
    command("ZRANK", KEYS, MEMBERS),
    command("ZREVRANK", KEYS, MEMBERS),
    command("ZCOUNT", KEYS, _BOUNDS, _BOUNDS),
    command("ZRANGE", KEYS, _INDEXES, _INDEXES, options(("WITHSCORES",), ("REV",), _LIMIT)),
    command(
        "ZRANGE",
        KEYS,
        _BOUNDS,
        _BOUNDS,
        "BYSCORE",
        options(("WITHSCORES",), ("REV",), _LIMIT, ("BYLEX",), most=3),
    ),
    command("ZREVRANGE", KEYS, _INDEXES, _INDEXES, options(("WITHSCORES",), ("REV",))),
    command("ZRANGEBYSCORE", KEYS, _BOUNDS, _BOUNDS, options(("WITHSCORES",), _LIMIT)),
    command("ZREVRANGEBYSCORE", KEYS, _BOUNDS, _BOUNDS, options(("WITHSCORES",), _LIMIT)),
    command("ZSCAN", KEYS, "0", options(("MATCH", st.sampled_from(["*", "a*", "[ab]"])), ("COUNT", _COUNTS))),
    command("ZRANDMEMBER", KEYS, "-3"),
    command("ZRANDMEMBER", KEYS, "100", options(("WITHSCORES",))),
    command("OBJECT", "ENCODING", KEYS),
    command("EXISTS", KEYS),
]

ALGEBRA: Table = [
    command("ZUNION", _INPUTS, options(_AGGREGATE, ("WITHSCORES",))),
    command("ZINTER", _INPUTS, options(_AGGREGATE, ("WITHSCORES",))),
    command("ZDIFF", _INPUTS, options(("WITHSCORES",))),
    command("ZINTERCARD", _INPUTS, options(("LIMIT", _COUNTS))),
    command("ZUNIONSTORE", KEYS, _INPUTS, options(_AGGREGATE, ("WITHSCORES",), most=1)),
    command("ZINTERSTORE", KEYS, _INPUTS, options(_AGGREGATE)),
    command("ZDIFFSTORE", KEYS, _INPUTS),
    command("ZRANGESTORE", KEYS, KEYS, _INDEXES, _INDEXES, options(("REV",), _LIMIT)),
    command("ZRANGESTORE", KEYS, KEYS, _BOUNDS, _BOUNDS, "BYSCORE", options(("REV",), _LIMIT)),
    command("SADD", KEYS, several(MEMBERS)),
]

# Ranges of members mean something where all scores are equal: a key of their own, to which nothing else is done.
_NAMES = st.binary(max_size=2)
_FLAT = st.just(b"flat")
LEX: Table = [
    command("ZADD", _FLAT, several(st.just(b"0"), _NAMES, most=30)),
    command("ZREM", _FLAT, several(_NAMES)),
    command("ZLEXCOUNT", _FLAT, _LEX, _LEX),
    command("ZRANGEBYLEX", _FLAT, _LEX, _LEX, options(_LIMIT)),
    command("ZREVRANGEBYLEX", _FLAT, _LEX, _LEX, options(_LIMIT)),
    command("ZRANGE", _FLAT, _LEX, _LEX, "BYLEX", options(("REV",), _LIMIT, ("WITHSCORES",))),
    command("ZREMRANGEBYLEX", _FLAT, _LEX.map(lambda bound: bound + b"x"), _LEX),
    command("ZRANGESTORE", "stored", _FLAT, _LEX, _LEX, "BYLEX", options(("REV",), _LIMIT)),
]


def _alike(ours: Reply, oracle: Reply) -> bool:
    """Equal, but for the digits of scores: 7.0 prints 17 of them."""
    if isinstance(ours, list) and isinstance(oracle, list):
        return len(ours) == len(oracle) and all(map(_alike, ours, oracle))
    return bool(ours == oracle) or _number(ours) == _number(oracle) is not None


def _number(reply: Reply) -> float | None:
    text = reply.text if isinstance(reply, Double) else reply
    try:
        return float(text) if isinstance(text, bytes | str) else None
    except ValueError:
        return None


def _scanned(ours: Reply, oracle: Reply) -> bool:
    """Small sets are walked in one call; the order of a skiplist's dictionary is its own affair."""
    if isinstance(ours, list) and isinstance(oracle, list) and {ours[0], oracle[0]} != {b"0"}:
        return len(ours) == len(oracle) == 2  # a part of a skiplist: each has its own order
    if not isinstance(ours, list) or not isinstance(oracle, list):
        return bool(ours == oracle)
    found = [sorted(map(list, zip(items[::2], items[1::2], strict=True))) for _, items in (ours, oracle)]
    return bool(ours[0] == oracle[0]) and _alike(*found)


def _random(ours: Reply, oracle: Reply) -> bool:
    """Random members: as many of them."""
    if isinstance(ours, list) and isinstance(oracle, list):
        return len(ours) == len(oracle)
    return bool(ours == oracle)


def _encoding(ours: Reply, oracle: Reply) -> bool:
    """Encodings of sorted sets; those of other types have changed since 7.0."""
    return bool(ours == oracle) or oracle not in (b"listpack", b"skiplist")


_COMPARISONS: dict[str, Comparison] = {
    **COMPARISONS,
    **dict.fromkeys(("ZADD", "ZINCRBY", "ZSCORE", "ZMSCORE", "ZPOPMIN", "ZPOPMAX", "ZMPOP"), _alike),
    **dict.fromkeys(("ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE"), _alike),
    **dict.fromkeys(("ZUNION", "ZINTER", "ZDIFF"), _alike),
    "ZSCAN": _scanned,
    "ZRANDMEMBER": _random,
    "OBJECT": _encoding,
}


def test_comparisons() -> None:
    assert _alike([b"a", Double("0.1")], [b"a", Double("0.10000000000000001")])
    assert not _alike([b"a", Double("0.1")], [b"a", Double("0.2")])
    assert not _alike(b"a", b"b")
    assert _scanned([b"0", [b"b", b"1", b"a", b"2"]], [b"0", [b"a", b"2", b"b", b"1.0"]])
    assert not _scanned([b"0", [b"b", b"1"]], [b"0", [b"a", b"1"]])


@given(sequences(CHANGES, CHANGES, READS, ALGEBRA, LEX, OTHER_TYPES))
@differential(examples=100)
def test_zsets(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, _COMPARISONS)


@given(sequences(CHANGES, CHANGES, READS, ALGEBRA, LEX, OTHER_TYPES))
@differential(examples=5000)
@pytest.mark.long
def test_zsets_for_long(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, _COMPARISONS)
