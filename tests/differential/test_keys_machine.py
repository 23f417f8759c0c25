"""Random commands on keys, times to live and databases, on both servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.machine import (
    BAD_TIMES,
    COMPARISONS,
    FAR_MS,
    FAR_SECONDS,
    INTEGERS,
    KEYS,
    OTHER_TYPES,
    UNIX_MS,
    UNIX_SECONDS,
    VALUES,
    Command,
    Table,
    anything,
    command,
    differential,
    options,
    run,
    sequences,
    several,
)
from tests.wire import Pair, Reply

PATTERNS = st.one_of(
    st.sampled_from([b"*", b"", b"?", b"[ab]", b"[^a]*", b"\\a", b"{t}*", b"*\r\n", b"[b-"]),
    st.text("ab*?[]^-\\{t}d", max_size=6).map(str.encode),
)

INDEXES = st.one_of(
    st.sampled_from([b"0", b"1", b"2"]),
    st.sampled_from([b"16", b"-1", b"x", b"01", b"2147483648", b"99999999999999999999"]),
)

CONDITIONS = options(("NX",), ("xx",), ("GT",), ("lt",), ("FOO",), most=3)

# GT and LT only in vain: whether a relative time is later than the one before is a matter of milliseconds.
RELATIVE_CONDITIONS = options(("NX",), ("xx",), ("NX", "GT"), ("GT", "lt"), ("FOO",))

SEVERAL = several(KEYS)

BASE: Table = [
    command("SET", KEYS, VALUES),
    command("SET", KEYS, VALUES, "EX", FAR_SECONDS),
    command("INCR", KEYS),
    command("APPEND", KEYS, VALUES),
    command("SELECT", st.sampled_from([b"0", b"0", b"1"])),
]

NAMES: Table = [
    command("DEL", SEVERAL),
    command("UNLINK", SEVERAL),
    command("EXISTS", SEVERAL),
    command("TOUCH", SEVERAL),
    command("TYPE", KEYS),
    command("RENAME", KEYS, KEYS),
    command("RENAMENX", KEYS, KEYS),
    command("COPY", KEYS, KEYS, options(("REPLACE",), ("DB", INDEXES), ("DB",), ("FOO",))),
    command("KEYS", PATTERNS),
    command(
        "SCAN", b"0", "COUNT", b"1000", options(("MATCH", PATTERNS), ("TYPE", b"string"), ("TYPE", b"no"))
    ),
    command("scan", INTEGERS, options(("COUNT", INTEGERS), ("MATCH",), ("FOO", b"x"))),
    command("RANDOMKEY"),
    command("OBJECT", "ENCODING", KEYS),
    command("OBJECT", "FREQ", KEYS),
    command("object", "IDLETIME", KEYS),
]

TIMES: Table = [
    command("EXPIRE", KEYS, st.one_of(FAR_SECONDS, BAD_TIMES), RELATIVE_CONDITIONS),
    command("PEXPIRE", KEYS, st.one_of(FAR_MS, BAD_TIMES), RELATIVE_CONDITIONS),
    command("EXPIREAT", KEYS, st.one_of(UNIX_SECONDS, BAD_TIMES), CONDITIONS),
    command("PEXPIREAT", KEYS, st.one_of(UNIX_MS, BAD_TIMES), CONDITIONS),
    command("TTL", KEYS),
    command("PTTL", KEYS),
    command("EXPIRETIME", KEYS),
    command("PEXPIRETIME", KEYS),
    command("PERSIST", KEYS),
]

DATABASES: Table = [
    command("SELECT", INDEXES),
    command("SWAPDB", INDEXES, INDEXES),
    command("MOVE", KEYS, INDEXES),
    command("DBSIZE"),
    command("FLUSHDB", options(("ASYNC",), ("sync",), ("FOO",))),
    command("FLUSHALL", "FOO"),
]


def scanned(ours: Reply, oracle: Reply) -> bool:
    """Walks in one step: the same keys in any order."""
    if isinstance(ours, list) and isinstance(oracle, list):
        return ours[0] == oracle[0] and sorted(ours[1]) == sorted(oracle[1])
    return bool(ours == oracle)


LOOSE = {**COMPARISONS, "SCAN": scanned, "scan": anything, "object": anything}
"""Lower case marks the forms that are compared loosely."""


def run_in_first(pair: Pair, commands: list[Command]) -> None:
    """Runs the commands, beginning in database 0."""
    run(pair, [("SELECT", 0), *commands], LOOSE)


@given(sequences(BASE, BASE, NAMES, TIMES, DATABASES, OTHER_TYPES))
@differential(examples=100)
def test_keys(pair: Pair, commands: list[Command]) -> None:
    run_in_first(pair, commands)


@given(sequences(BASE, BASE, NAMES, TIMES, DATABASES, OTHER_TYPES))
@differential(examples=5000)
@pytest.mark.long
def test_keys_for_long(pair: Pair, commands: list[Command]) -> None:
    run_in_first(pair, commands)
