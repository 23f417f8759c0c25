"""Random set commands on both servers. What chance decides is asked only where it cannot."""

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
    Table,
    command,
    differential,
    options,
    run,
    sequences,
    several,
    unordered,
)
from tests.wire import Pair, Reply


def _scanned(ours: Reply, oracle: Reply) -> bool:
    """A scan that shows all at once: the same cursor and the same members."""
    if isinstance(ours, list) and isinstance(oracle, list):
        return ours[0] == oracle[0] and unordered(ours[1], oracle[1])
    return bool(ours == oracle)


SET_COMPARISONS = {
    **COMPARISONS,
    "SINTER": unordered,
    "SUNION": unordered,
    "SDIFF": unordered,
    "SPOP": unordered,
    "SRANDMEMBER": unordered,
    "SSCAN": _scanned,
}

MEMBERS = st.one_of(
    INTEGERS,
    st.integers(0, 300).map(lambda number: b"%d" % number),
    st.sampled_from([b"", b"a", b"b", b"hello world", b"\0\xff\r\n", b"x" * 64, b"x" * 65]),
)

CROWDS = st.tuples(st.sampled_from([b"", b"m"]), st.integers(0, 400), st.integers(100, 700)).map(
    lambda crowd: tuple(crowd[0] + b"%d" % number for number in range(crowd[1], crowd[1] + crowd[2]))
)
"""Enough members for another encoding."""

SETS: Table = [
    command("SADD", KEYS, several(MEMBERS, most=5)),
    command("SADD", KEYS, MEMBERS),
    command("SREM", KEYS, several(MEMBERS, most=8)),
    command("SREM", KEYS, MEMBERS),
    command("SISMEMBER", KEYS, MEMBERS),
    command("SMISMEMBER", KEYS, several(MEMBERS)),
    command("SMEMBERS", KEYS),
    command("SCARD", KEYS),
    command("SMOVE", KEYS, KEYS, MEMBERS),
    command("SSCAN", KEYS, "0", "COUNT", "2000", options(("MATCH", "1*"), ("COUNT", "5000"), ("COUNT", "x"))),
    command("SSCAN", KEYS, st.sampled_from(["x", "1.5", " 1", "18446744073709551616"])),
]

CROWDED: Table = [
    command("SADD", KEYS, CROWDS),
    command("SREM", KEYS, CROWDS),
    command("SMISMEMBER", KEYS, CROWDS),
]

ALGEBRA: Table = [
    command(name, *front, several(KEYS, most=4))
    for name, front in (
        ("SINTER", ()),
        ("SUNION", ()),
        ("SDIFF", ()),
        ("SINTERSTORE", (KEYS,)),
        ("SUNIONSTORE", (KEYS,)),
        ("SDIFFSTORE", (KEYS,)),
    )
]
ALGEBRA = [
    *ALGEBRA,
    command("SINTERCARD", INTEGERS, several(KEYS), options(("LIMIT", INTEGERS), ("LIMIT",), ("FOO",))),
    command("SINTERCARD", "2", KEYS, KEYS, options(("LIMIT", st.integers(0, 9)), ("limit", "100"))),
]

CHANCE: Table = [
    command("SPOP", KEYS, st.sampled_from(["0", "100000", "-1", "x"])),
    command("SPOP", "missing", options(("0",), ("5",), ("-1",))),
    command("SRANDMEMBER", KEYS, st.sampled_from(["0", "100000", "-9223372036854775808", "x"])),
    command("SRANDMEMBER", "missing", options(("-3",), ("5",))),
    command("SPOP", KEYS, "1", "2"),
]
"""With the one outcome that there is."""

GENERIC: Table = [
    command("DEL", KEYS),
    command("EXPIRE", KEYS, FAR_SECONDS),
    command("COPY", KEYS, KEYS, options(("REPLACE",))),
    command("RENAME", KEYS, KEYS),
]


@given(sequences(SETS, ALGEBRA, CROWDED, CHANCE, GENERIC, OTHER_TYPES))
@differential(examples=100)
def test_sets(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, SET_COMPARISONS)


@given(sequences(SETS, ALGEBRA, CROWDED, CHANCE, GENERIC, OTHER_TYPES))
@differential(examples=5000)
@pytest.mark.long
def test_sets_for_long(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, SET_COMPARISONS)
