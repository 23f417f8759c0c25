"""Random string commands and times to live, on both servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.machine import (
    BAD_TIMES,
    FAR_MS,
    FAR_SECONDS,
    FLOATS,
    INTEGERS,
    KEYS,
    OTHER_TYPES,
    UNIX_MS,
    UNIX_SECONDS,
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

_INDEXES = st.one_of(st.integers(-12, 12), st.integers(-700, 700)).map(lambda value: b"%d" % value)

_TIMES = (
    ("EX", FAR_SECONDS),
    ("PX", FAR_MS),
    ("EXAT", UNIX_SECONDS),
    ("PXAT", UNIX_MS),
    ("EX", BAD_TIMES),
    ("EXAT", BAD_TIMES),
)

STRINGS: Table = [
    command("GET", KEYS),
    command("SET", KEYS, VALUES),
    command("SET", KEYS, VALUES, options(("NX",), ("XX",), ("GET",), ("KEEPTTL",), *_TIMES)),
    command("SET", KEYS, VALUES, options(("nx",), ("get",), ("FOO",), ("PERSIST",), ("EX",), most=3)),
    command("SETNX", KEYS, VALUES),
    command("SETEX", KEYS, st.one_of(FAR_SECONDS, BAD_TIMES), VALUES),
    command("PSETEX", KEYS, st.one_of(FAR_MS, BAD_TIMES), VALUES),
    command("GETSET", KEYS, VALUES),
    command("GETEX", KEYS, options(("PERSIST",), *_TIMES)),
    command("GETDEL", KEYS),
    command("MGET", several(KEYS)),
    command("MSET", several(KEYS, VALUES)),
    command("MSET", KEYS, VALUES, KEYS),
    command("MSETNX", several(KEYS, VALUES)),
    command("APPEND", KEYS, VALUES),
    command("STRLEN", KEYS),
    command("GETRANGE", KEYS, _INDEXES, _INDEXES),
    command("SUBSTR", KEYS, _INDEXES, INTEGERS),
    command("SETRANGE", KEYS, st.one_of(_INDEXES, INTEGERS), VALUES),
]

COUNTERS: Table = [
    command("INCR", KEYS),
    command("DECR", KEYS),
    command("INCRBY", KEYS, INTEGERS),
    command("DECRBY", KEYS, INTEGERS),
    command("INCRBYFLOAT", KEYS, FLOATS),
    command("INCRBYFLOAT", KEYS, st.floats(-1e6, 1e6).map(lambda value: repr(value).encode())),
]

LCS: Table = [
    command(
        "LCS", KEYS, KEYS, options(("LEN",), ("IDX",), ("MINMATCHLEN", INTEGERS), ("WITHMATCHLEN",), most=3)
    ),
    command("SET", KEYS, st.text("abcd", max_size=30).map(str.encode)),
]

TIMES: Table = [
    command("TTL", KEYS),
    command("PEXPIRETIME", KEYS),
    command("PERSIST", KEYS),
    command("EXPIRE", KEYS, FAR_SECONDS),
    command("PEXPIREAT", KEYS, UNIX_MS),
    command("DEL", KEYS),
    command("EXISTS", KEYS),
]


@given(sequences(STRINGS, COUNTERS, LCS, TIMES, OTHER_TYPES))
@differential(examples=100)
def test_strings(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands)


@given(sequences(STRINGS, COUNTERS, LCS, TIMES, OTHER_TYPES))
@differential(examples=5000)
@pytest.mark.long
def test_strings_for_long(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands)
