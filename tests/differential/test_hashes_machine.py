"""Random hash commands, on both servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.machine import (
    COMPARISONS,
    FLOATS,
    INTEGERS,
    KEYS,
    OTHER_TYPES,
    UNIX_MS,
    VALUES,
    Command,
    Table,
    command,
    differential,
    options,
    run,
    sequences,
    several,
    unordered,
)
from tests.wire import Error, Pair, Reply, pairs

_FIELDS = st.one_of(
    st.sampled_from([b"f", b"g", b"h", b"", b"\0\xff", b"x" * 65]),
    st.integers(0, 40).map(lambda number: b"field:%d" % number),
)
_MANY = st.dictionaries(_FIELDS, VALUES, min_size=5, max_size=30).map(lambda made: tuple(made.items()))
"""Enough to make a hash big, see below. No field comes twice: Redis 7.2 and newer count it twice when they choose
the encoding."""


def _scanned(ours: Reply, oracle: Reply) -> bool:
    """Whole walks: the same fields and values in any order, or the same error."""
    if not isinstance(ours, list) or not isinstance(oracle, list):
        return bool(ours == oracle)
    if ours[0] != b"0" or oracle[0] != b"0":  # a part of a big hash: each has its own order
        return len(ours) == len(oracle) == 2
    return unordered(ours[1], oracle[1])


def _same_pairs(ours: Reply, oracle: Reply) -> bool:
    """The same fields and values in any order."""
    return bool(ours == oracle) or (type(ours) is type(oracle) is not Error and pairs(ours) == pairs(oracle))


_COMPARISONS = {
    **COMPARISONS,
    "HGETALL": _same_pairs,
    "HKEYS": unordered,
    "HVALS": unordered,
    "HSCAN": _scanned,
}

HASHES: Table = [
    command("HSET", KEYS, _FIELDS, VALUES),
    command("HSET", KEYS, several(_FIELDS, VALUES)),
    command("HSET", KEYS, _MANY),
    command("HSET", KEYS, _FIELDS, VALUES, _FIELDS),
    command("HMSET", KEYS, several(_FIELDS, VALUES)),
    command("HSETNX", KEYS, _FIELDS, VALUES),
    command("HGET", KEYS, _FIELDS),
    command("HMGET", KEYS, several(_FIELDS)),
    command("HGETALL", KEYS),
    command("HKEYS", KEYS),
    command("HVALS", KEYS),
    command("HLEN", KEYS),
    command("HSTRLEN", KEYS, _FIELDS),
    command("HEXISTS", KEYS, _FIELDS),
    command("HDEL", KEYS, several(_FIELDS, most=5)),
    command("HINCRBY", KEYS, _FIELDS, INTEGERS),
    command("HINCRBYFLOAT", KEYS, _FIELDS, FLOATS),
    command("HRANDFIELD", KEYS, 0),
    command("HRANDFIELD", KEYS, st.sampled_from([("0", "WITHVALUES"), ("x",), ("1", "FOO")])),
    command("HSCAN", KEYS, "0", options(("COUNT", "1000"), ("MATCH", "f*"))),
    command(
        "HSCAN",
        KEYS,
        st.sampled_from([b"0", b"00", b"-0", b"", b"x"]),
        options(("COUNT", INTEGERS), ("MATCH",), ("FOO", "x")),
    ),
]

_ENCODINGS: Table = [command("OBJECT", "ENCODING", KEYS)]
"""Asked only where there are nothing but hashes: those of other types have changed since the oracle's version."""

_KEYSPACE: Table = [
    command("PEXPIREAT", KEYS, UNIX_MS),
    command("DEL", KEYS),
    command("COPY", KEYS, KEYS, options(("REPLACE",))),
    command("RENAME", KEYS, KEYS),
    command("TYPE", KEYS),
    command("CONFIG", "SET", "hash-max-listpack-entries", st.sampled_from([b"3", b"10", b"512"])),
    command("CONFIG", "SET", "hash-max-listpack-value", st.sampled_from([b"5", b"64"])),
]


@given(sequences(HASHES, _KEYSPACE, OTHER_TYPES))
@differential(examples=100)
def test_hashes(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, _COMPARISONS)


@given(sequences(HASHES, _KEYSPACE, _ENCODINGS))
@differential(examples=50)
def test_encodings(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, _COMPARISONS)


@given(sequences(HASHES, _KEYSPACE, OTHER_TYPES))
@differential(examples=5000)
@pytest.mark.long
def test_hashes_for_long(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, _COMPARISONS)
