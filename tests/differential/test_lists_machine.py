"""Random list commands, on both servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.machine import (
    INTEGERS,
    KEYS,
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

_ELEMENTS = st.one_of(
    st.sampled_from([b"a", b"b", b"c", b"1", b"2"]), st.sampled_from([b"a", b"b", b"c", b"1", b"2"]), VALUES
)
"""Few, so that they are found."""
_PLACES = st.one_of(st.integers(-5, 5).map(lambda value: b"%d" % value), INTEGERS)
_COUNTS = st.one_of(
    st.integers(0, 4).map(lambda value: b"%d" % value), st.sampled_from([b"-1", b"x", b"9223372036854775807"])
)
_SIGNED = st.one_of(st.integers(-3, 3).map(lambda value: b"%d" % value), st.sampled_from([b"x", b"-1000000"]))
_SIDES = st.sampled_from([b"LEFT", b"RIGHT", b"left", b"rIGHT", b"MIDDLE"])
_WHERES = st.sampled_from([b"BEFORE", b"AFTER", b"after", b"FOO"])
_COUNT = options(("COUNT", _COUNTS), ("count", _COUNTS), ("COUNT",), most=1)
_SECONDS = st.sampled_from([b"0", b"0.5", b"-1", b"x"])


def _counted(keys: list[bytes]) -> tuple[bytes, ...]:
    return b"%d" % len(keys), *keys


_SEVERAL = st.one_of(
    st.lists(KEYS, min_size=1, max_size=3).map(_counted),
    st.tuples(st.sampled_from([b"0", b"-1", b"2", b"x", b"9223372036854775807"]), KEYS),
)

LISTS: Table = [
    *(command(name, KEYS, several(_ELEMENTS)) for name in ("LPUSH", "RPUSH", "RPUSH", "LPUSHX", "RPUSHX")),
    command("RPUSH", KEYS, several(_ELEMENTS, least=10, most=30)),
    *(command(name, KEYS) for name in ("LPOP", "RPOP", "LLEN")),
    *(command(name, KEYS, _COUNTS) for name in ("LPOP", "RPOP")),
    command("LPOP", KEYS, _COUNTS, "1"),
    command("LINDEX", KEYS, _PLACES),
    command("LRANGE", KEYS, _PLACES, _PLACES),
    command("LSET", KEYS, _PLACES, _ELEMENTS),
    command("LINSERT", KEYS, _WHERES, _ELEMENTS, _ELEMENTS),
    command("LREM", KEYS, _SIGNED, _ELEMENTS),
    command("LTRIM", KEYS, _PLACES, _PLACES),
    command("LTRIM", KEYS, st.integers(0, 3), st.integers(-3, -1)),
    command("LPOS", KEYS, _ELEMENTS),
    command(
        "LPOS", KEYS, _ELEMENTS, options(("RANK", _SIGNED), ("COUNT", _COUNTS), ("maxlen", _COUNTS), most=3)
    ),
    command("LPOS", KEYS, _ELEMENTS, options(("FOO", "1"), ("RANK",), most=1)),
    command("LMOVE", KEYS, KEYS, _SIDES, _SIDES),
    command("RPOPLPUSH", KEYS, KEYS),
    command("LMPOP", _SEVERAL, _SIDES, _COUNT),
]

OTHERS: Table = [
    command("DEL", KEYS),
    command("COPY", KEYS, KEYS, "REPLACE"),
    command("RENAME", KEYS, KEYS),
    command("SET", KEYS, "x"),
    command("TYPE", KEYS),
]


def _in_a_transaction(asked: Command) -> tuple[Command, ...]:
    """A blocking command that cannot block."""
    return ("MULTI",), asked, ("EXEC",)


BLOCKING = st.one_of(
    *(command(name, several(KEYS), _SECONDS) for name in ("BLPOP", "BRPOP")),
    command("BLMOVE", KEYS, KEYS, _SIDES, _SIDES, _SECONDS),
    command("BRPOPLPUSH", KEYS, KEYS, _SECONDS),
    command("BLMPOP", _SECONDS, _SEVERAL, _SIDES, _COUNT),
).map(_in_a_transaction)


@given(sequences(LISTS, LISTS, OTHERS))
@differential(examples=100)
def test_lists(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands)


@given(sequences(LISTS, OTHERS, length=40), st.lists(BLOCKING, min_size=20, max_size=20))
@differential(examples=30)
@pytest.mark.needs("multi")
def test_lists_in_transactions(
    pair: Pair, commands: list[Command], transactions: list[tuple[Command, ...]]
) -> None:
    mixed: list[Command] = []
    for place, asked in enumerate(commands):
        mixed.append(asked)
        if place % 2 and place // 2 < len(transactions):
            mixed += transactions[place // 2]
    run(pair, mixed)


@given(sequences(LISTS, LISTS, OTHERS))
@differential(examples=5000)
@pytest.mark.long
def test_lists_for_long(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands)
