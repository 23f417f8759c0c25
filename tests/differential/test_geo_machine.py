"""Random places and searches, on both servers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.machine import (
    COMPARISONS,
    KEYS,
    OTHER_TYPES,
    Command,
    Table,
    command,
    differential,
    options,
    run,
    sequences,
    several,
)
from tests.wire import Double, Pair, Reply

_MEMBERS = st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f", b"g\xff\r\n"])


def _number(strategy: st.SearchStrategy[float]) -> st.SearchStrategy[bytes]:
    return strategy.map(lambda value: repr(value).encode())


_BAD = st.sampled_from([b"x", b"nan", b"", b"inf", b"-inf", b"200", b"-1"])


def _mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 19).flatmap(lambda draw: good if draw else _BAD)


_EAST = _mostly(
    st.one_of(
        _number(st.floats(-180, 180)),
        _number(st.floats(10, 11)),
        st.sampled_from([b"180", b"-180", b"0", b"179.9999"]),
    )
)
_NORTH = _mostly(
    st.one_of(
        _number(st.floats(-85.05112878, 85.05112878)),
        _number(st.floats(50, 51)),
        st.sampled_from([b"85.05112878", b"-85.05112878", b"0", b"80.1", b"-66.1"]),
    )
)
_SIZES = _mostly(
    st.one_of(
        st.floats(0, 9).map(lambda power: b"%.3f" % 10**power),
        st.sampled_from([b"0", b"1", b"500", b"1e7", b"0x100"]),
    )
)
_UNITS = st.sampled_from([b"m", b"km", b"ft", b"mi", b"M", b"KM", b"Ft", b"mI", b"parsec"])
_COUNTS = st.sampled_from([b"1", b"2", b"3", b"100", b"0", b"-1", b"x"])

# What COUNT leaves of members at the same distance is another matter: Redis's partial sort is not stable. So it comes
# with ANY, or lets all through.
_REPLY = (
    ("WITHDIST",),
    ("WITHHASH",),
    ("WITHCOORD",),
    ("ASC",),
    ("DESC",),
    ("COUNT", "100"),
    ("COUNT", _COUNTS, "ANY"),
    ("ANY",),
)
_CENTRES = st.one_of(
    st.tuples(st.just(b"FROMMEMBER"), _MEMBERS),
    st.tuples(st.just(b"FROMLONLAT"), _EAST, _NORTH),
)
_SHAPES = st.one_of(
    st.tuples(st.just(b"BYRADIUS"), _SIZES, _UNITS),
    st.tuples(st.just(b"BYBOX"), _SIZES, _SIZES, _UNITS),
)
_BOTH = ((_CENTRES,), (_SHAPES,))

GEO: Table = [
    command("GEOADD", KEYS, several(_EAST, _NORTH, _MEMBERS, most=4)),
    command("GEOADD", KEYS, several(_EAST, _NORTH, _MEMBERS, most=6)),
    command("GEOADD", KEYS, options(("NX",), ("xx",), ("CH",)), several(_EAST, _NORTH, _MEMBERS)),
    command("GEOPOS", KEYS, several(_MEMBERS, least=0)),
    command("GEOHASH", KEYS, several(_MEMBERS, least=0)),
    command("GEODIST", KEYS, _MEMBERS, _MEMBERS),
    command("GEODIST", KEYS, _MEMBERS, _MEMBERS, _UNITS),
    command("GEOSEARCH", KEYS, _CENTRES, _SHAPES, options(*_REPLY, most=4)),
    command("GEOSEARCH", KEYS, _SHAPES, _CENTRES, options(*_REPLY, *_BOTH, ("STOREDIST",), most=3)),
    command("GEOSEARCHSTORE", KEYS, KEYS, _CENTRES, _SHAPES, options(*_REPLY, ("STOREDIST",))),
    command(
        "GEORADIUS",
        KEYS,
        _EAST,
        _NORTH,
        _SIZES,
        _UNITS,
        options(*_REPLY, ("STORE", KEYS), ("STOREDIST", KEYS)),
    ),
    command("GEORADIUS_RO", KEYS, _EAST, _NORTH, _SIZES, _UNITS, options(*_REPLY, most=3)),
    command("GEORADIUSBYMEMBER", KEYS, _MEMBERS, _SIZES, _UNITS, options(*_REPLY, ("STORE", KEYS))),
    command("GEORADIUSBYMEMBER_RO", KEYS, _MEMBERS, _SIZES, _UNITS, options(*_REPLY, ("STORE", KEYS))),
]

SETS: Table = [
    command("ZADD", KEYS, st.integers(-(2**54), 2**54).map(str), _MEMBERS),
    command("ZREM", KEYS, _MEMBERS),
    command("DEL", KEYS),
]


def _same_scores(ours: Reply, oracle: Reply) -> bool:
    """Members and scores of a sorted set: 7.0 writes a distance with 17 digits, 7.4 with as few as tell it."""
    return bool(_numbers(ours) == _numbers(oracle))


def _numbers(reply: Reply) -> Reply:
    if isinstance(reply, list):
        return [_numbers(item) for item in reply]
    try:
        return float(reply.text if isinstance(reply, Double) else reply)
    except ValueError:
        return reply


_COMPARISONS = {**COMPARISONS, "ZRANGE": _same_scores}


@given(sequences(GEO, SETS, OTHER_TYPES))
@differential(examples=100)
def test_geo(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, _COMPARISONS)


@given(sequences(GEO, SETS, OTHER_TYPES))
@differential(examples=5000)
@pytest.mark.long
def test_geo_for_long(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, _COMPARISONS)
