"""Random SORT commands, on both servers."""

from __future__ import annotations

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
from tests.wire import Pair

_ELEMENTS = st.one_of(
    st.integers(-5, 5).map(lambda value: b"%d" % value),
    st.sampled_from([b"1.5", b"-2.25", b"0x10", b" 3", b"1e1", b"inf", b"+4", b"", b"-0"]),
)
# None beyond a double: after one of those redis-server 7.0 complains of good numbers too, since errno is still set.
_WORDS = st.one_of(_ELEMENTS, st.sampled_from([b"x", b"1 ", b"nan", b"Abc", b"abc", b"\xff", b"--1"]))
_WEIGHED = st.integers(-5, 5).map(lambda value: b"%d" % value)

_BY = st.sampled_from([b"w_*", b"w_*", b"h_*->f", b"h_*->->", b"w_*->f", b"nothing_*", b"*", b"**", b"h_*"])
_GET = st.sampled_from(
    [b"#", b"#", b"w_*", b"h_*->f", b"h_*->g", b"h_*->", b"constant", b"", b"w_*->f", b"h_*", b"*"]
)
_NUMBERS = st.sampled_from([b"0", b"1", b"2", b"3", b"-1", b"100", b"-100", b"x", b"9223372036854775807"])

_OPTIONS = (
    ("ASC",),
    ("desc",),
    ("LIMIT", _NUMBERS, _NUMBERS),
    ("GET", _GET),
    ("GET", _GET),
    ("STORE", KEYS),
)
_ODD = (("LIMIT", _NUMBERS), ("FOO",), ("GET",))

# Weights compared with ALPHA may be equal. Then Redis's partial sort is not stable, and the order in which it reads a
# set or a sorted set is not known. So such weights are for lists only, and without LIMIT.
SORTS: Table = [
    command("SORT", KEYS, options(*_OPTIONS, most=3)),
    command("SORT", KEYS, "ALPHA", options(*_OPTIONS, most=3)),
    command("SORT", KEYS, "BY", _BY, options(*_OPTIONS, most=3)),
    command("SORT", b"l", "BY", _BY, "ALPHA", options(("DESC",), ("GET", _GET))),
    command("SORT", st.sampled_from([b"l", b"z"]), "BY", "nosort", options(*_OPTIONS, most=3)),
    command("SORT", KEYS, "BY", "nosort", "STORE", KEYS, options(("DESC",), ("LIMIT", _NUMBERS, _NUMBERS))),
    command("SORT", KEYS, options(*_OPTIONS, *_ODD, most=4)),
    command("SORT", KEYS, options(*_OPTIONS), st.sampled_from(["BY", "GET", "STORE"])),
    command("SORT_RO", KEYS, options(*_OPTIONS, ("ALPHA",), most=3)),
]

SOURCES: Table = [
    command("RPUSH", KEYS, several(_ELEMENTS, most=6)),
    command("RPUSH", KEYS, several(_WORDS)),
    command("RPUSH", b"l", several(_WORDS)),
    command("SADD", KEYS, several(_ELEMENTS, most=6)),
    command("SADD", KEYS, several(_WORDS)),
    command("ZADD", KEYS, several(_WEIGHED, _ELEMENTS, most=6)),
    command("ZADD", b"z", several(_WEIGHED, _WORDS)),
    command("DEL", KEYS),
]

WEIGHTS: Table = [
    command("SET", _ELEMENTS.map(lambda element: b"w_" + element), _WORDS),
    command("MSET", several(_ELEMENTS.map(lambda element: b"w_" + element), _ELEMENTS, most=6)),
    command("HSET", _ELEMENTS.map(lambda element: b"h_" + element), "f", _ELEMENTS, "g", _WORDS, "->", "7"),
    command("INCR", _WEIGHED.map(lambda element: b"w_" + element)),
    command("APPEND", _WEIGHED.map(lambda element: b"w_" + element), "1"),
    command("SADD", _WEIGHED.map(lambda element: b"w_" + element), "wrong"),
]


@given(sequences(SORTS, SOURCES, WEIGHTS, OTHER_TYPES))
@differential(examples=100)
def test_sort(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, COMPARISONS)


@given(sequences(SORTS, SOURCES, WEIGHTS, OTHER_TYPES))
@differential(examples=5000)
@pytest.mark.long
def test_sort_for_long(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, COMPARISONS)
