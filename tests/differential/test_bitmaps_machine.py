"""Random commands on bits, on both servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.machine import (
    INTEGERS,
    KEYS,
    OTHER_TYPES,
    VALUES,
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

_STRINGS = st.one_of(VALUES, st.binary(max_size=12), st.sampled_from([b"\xff" * 9, b"\x00" * 9]))

_OFFSETS = st.one_of(
    st.integers(0, 100).map(lambda value: b"%d" % value),
    st.sampled_from([b"5000", b"-1", b"x", b"4294967296", b"01"]),
)

_ENDS = st.one_of(st.integers(-90, 90), st.integers(-9, 9)).map(lambda value: b"%d" % value)

_UNITS = st.sampled_from([(), (), ("BYTE",), ("bit",), ("BIT",)])

_TYPES = st.one_of(
    st.tuples(st.sampled_from("iu"), st.integers(1, 63)).map(lambda made: f"{made[0]}{made[1]}"),
    st.sampled_from(["i64", "u8", "i8", "u64", "x", "u0"]),
)

_PLACES = st.one_of(
    st.integers(0, 100).map(lambda value: b"%d" % value),
    st.integers(0, 9).map(lambda value: b"#%d" % value),
    st.sampled_from([b"#", b"x", b"-1", b"#-1"]),
)

_NUMBERS = st.one_of(
    st.integers(-300, 300).map(lambda value: b"%d" % value),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda value: b"%d" % value),
    INTEGERS,
)

_STEPS = options(
    ("GET", _TYPES, _PLACES),
    ("SET", _TYPES, _PLACES, _NUMBERS),
    ("incrby", _TYPES, _PLACES, _NUMBERS),
    ("OVERFLOW", st.sampled_from(["WRAP", "SAT", "FAIL", "sat", "fail"])),
    most=5,
)

# On a missing key Redis 7.0 does not look at the range, so what it refuses is not asked for here.
BITMAPS: Table = [
    command("SETBIT", KEYS, _OFFSETS, st.sampled_from([b"0", b"1", b"1", b"2"])),
    command("GETBIT", KEYS, _OFFSETS),
    command("BITCOUNT", KEYS),
    command("BITCOUNT", KEYS, _ENDS, _ENDS, _UNITS),
    command("BITPOS", KEYS, st.sampled_from([b"0", b"1", b"2"])),
    command("BITPOS", KEYS, st.sampled_from([b"0", b"1"]), _ENDS),
    command("BITPOS", KEYS, st.sampled_from([b"0", b"1"]), _ENDS, _ENDS, _UNITS),
    command("BITOP", st.sampled_from(["AND", "or", "XOR", "NOT", "FOO"]), KEYS, several(KEYS)),
    command("BITOP", "NOT", KEYS, KEYS),
    command("BITFIELD", KEYS, _STEPS),
    command("BITFIELD_RO", KEYS, _STEPS),
    command("BITFIELD_RO", KEYS, "GET", _TYPES, _PLACES),
]

BASE: Table = [
    command("SET", KEYS, _STRINGS),
    command("APPEND", KEYS, _STRINGS),
    command("INCR", KEYS),
    command("GET", KEYS),
    command("DEL", KEYS),
]


@given(sequences(BITMAPS, BITMAPS, BASE, OTHER_TYPES))
@differential(examples=100)
def test_bitmaps(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands)


@given(sequences(BITMAPS, BITMAPS, BASE, OTHER_TYPES))
@differential(examples=5000)
@pytest.mark.long
def test_bitmaps_for_long(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands)
