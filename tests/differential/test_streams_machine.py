"""Random stream commands on both servers.

Ids are given, so that both have the same ones; times since a delivery are compared loosely. What Redis 7.2 and
newer answer differently is left out here, and stands in `tests/commands/test_stream*.py`: the lag of a group
with deleted entries, when a consumer was seen, consumers made by a read that finds nothing, and XSETID behind
a deleted id.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.machine import (
    COMPARISONS,
    INTEGERS,
    KEYS,
    OTHER_TYPES,
    VALUES,
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
from tests.wire import Map, Pair, Reply

SOME_KEYS = st.sampled_from([b"a", b"a", b"b"])
_UNDELETED = st.sampled_from([b"c", b"{t}d"])
"""Keys without XDEL: Redis 7.4 does not let XSETID go back behind a deleted id."""
_HALVES = st.integers(0, 30).map(lambda value: b"%d" % value)
_NEXT = st.integers(1, 60).map(lambda value: b"%d-*" % value)
_FULL = st.tuples(_HALVES, st.integers(0, 3)).map(lambda pair: b"%b-%d" % pair)
_ODD = st.sampled_from(
    [
        *(b"", b"-", b"+", b"$", b"x", b"1-x", b"1-", b"-1", b"0-0", b"*", b"1-2-3"),
        *(b"01-1", b"+1-1", b"1-01", b" 1-1"),
        *(b"18446744073709551615-1", b"18446744073709551615-18446744073709551615", b"18446744073709551616-1"),
    ]
)
IDS = st.one_of(_FULL, _FULL, _FULL, _HALVES, _ODD)
ENDS = st.one_of(_FULL, _HALVES, _ODD, st.sampled_from([b"-", b"+", b"(5", b"(5-0", b"(-", b"(", b"(0-0"]))
ADDED = st.one_of(_NEXT, _NEXT, _NEXT, _FULL, _ODD.filter(lambda word: word != b"*"))
GROUPS = st.sampled_from([b"g", b"g", b"h"])
CONSUMERS = st.sampled_from([b"x", b"y", b"z\r\n"])
_COUNT = ("COUNT", st.one_of(st.integers(-1, 5).map(lambda value: b"%d" % value), INTEGERS))
_FIELDS = several(st.sampled_from([b"f", b"g"]), VALUES)
_SIZES = st.integers(0, 60).map(lambda value: b"%d" % value)

TRIMS = options(
    ("MAXLEN", _SIZES),
    ("MAXLEN", "=", _SIZES),
    ("MAXLEN", "~", _SIZES),
    ("MINID", IDS),
    ("minid", "~", IDS),
    ("LIMIT", _SIZES),
    ("MAXLEN", "~", _SIZES, "LIMIT", _SIZES),
    ("MAXLEN", INTEGERS),
)

ENTRIES: Table = [
    command("XADD", SOME_KEYS, ADDED, _FIELDS),
    command("XADD", SOME_KEYS, _NEXT, "f", VALUES),
    command("XADD", SOME_KEYS, _NEXT, "f", "1", "g", "2"),
    command("XADD", KEYS, options(("NOMKSTREAM",)), TRIMS, ADDED, _FIELDS),
    command("XADD", KEYS, ADDED, st.sampled_from([("f",), ("f", "v", "g"), ("f", "v")])),
    command("XTRIM", SOME_KEYS, "MAXLEN", "~", _SIZES),
    command("XTRIM", SOME_KEYS, TRIMS, st.sampled_from([("MAXLEN", "30"), ("MINID", "3")])),
    command("XDEL", SOME_KEYS, several(IDS)),
    command("XDEL", SOME_KEYS, several(_FULL, most=6)),
    command("XLEN", KEYS),
    command("XRANGE", SOME_KEYS, ENDS, ENDS, options(_COUNT)),
    command("XREVRANGE", SOME_KEYS, ENDS, ENDS, options(_COUNT)),
    command("XRANGE", SOME_KEYS, "-", "+"),
    command("XREVRANGE", SOME_KEYS, "+", "-", "COUNT", "3"),
    command("XREAD", options(_COUNT), "STREAMS", SOME_KEYS, IDS.filter(lambda word: word != b"+")),
    command("XREAD", "STREAMS", KEYS, KEYS, _FULL, _FULL),
    command("XSETID", _UNDELETED, IDS, options(("ENTRIESADDED", INTEGERS), ("MAXDELETEDID", IDS))),
    command("XINFO", "STREAM", KEYS),
    command("DEL", KEYS),
    command("COPY", SOME_KEYS, SOME_KEYS, "REPLACE"),
]

READERS: Table = [
    command(
        "XGROUP", "CREATE", SOME_KEYS, GROUPS, st.sampled_from([b"0", b"$", b"5"]), options(("MKSTREAM",))
    ),
    command("XGROUP", "CREATE", KEYS, GROUPS, IDS, options(("MKSTREAM",), ("ENTRIESREAD", INTEGERS))),
    command("XGROUP", "SETID", SOME_KEYS, GROUPS, IDS, options(("ENTRIESREAD", INTEGERS))),
    command("XGROUP", "DESTROY", SOME_KEYS, GROUPS),
    command("XGROUP", "DELCONSUMER", SOME_KEYS, GROUPS, CONSUMERS),
    *[
        command("XREADGROUP", "GROUP", GROUPS, CONSUMERS, "COUNT", st.integers(1, 4), *rest)
        for rest in (("STREAMS", "a", ">"), ("STREAMS", "a", ">"), ("NOACK", "STREAMS", "a", ">"))
    ],
    command("XREADGROUP", "GROUP", GROUPS, CONSUMERS, options(_COUNT), "STREAMS", SOME_KEYS, _FULL),
    command("XACK", SOME_KEYS, GROUPS, several(IDS, most=5)),
    command("XPENDING", SOME_KEYS, GROUPS),
    command("XPENDING", SOME_KEYS, GROUPS, "-", "+", "20"),
    command(
        "XPENDING", SOME_KEYS, GROUPS, options(("IDLE", "0")), ENDS, ENDS, INTEGERS, options((CONSUMERS,))
    ),
    command(
        "XCLAIM",
        SOME_KEYS,
        GROUPS,
        CONSUMERS,
        st.sampled_from([b"0", b"100000", b"-1", b"x"]),
        several(_FULL, most=4),
        options(("FORCE",), ("JUSTID",), ("RETRYCOUNT", INTEGERS), ("LASTID", IDS), ("TIME", "1"), ("x",)),
    ),
    command("XAUTOCLAIM", SOME_KEYS, GROUPS, CONSUMERS, "0", ENDS, options(_COUNT, ("JUSTID",))),
    command("XINFO", "GROUPS", KEYS),
    command("XINFO", "CONSUMERS", KEYS, GROUPS),
]


def _pending(ours: Reply, oracle: Reply) -> bool:
    """What is pending, the time since its delivery being long or not."""
    if all(isinstance(reply, list) and reply and isinstance(reply[0], list) for reply in (ours, oracle)):
        ours, oracle = (
            [[*item[:2], item[2] > 100_000, item[3]] for item in reply] for reply in (ours, oracle)
        )
    return bool(ours == oracle)


def _without_newer(reply: Reply) -> Reply:
    """What XINFO says of groups and consumers, without what is newer than the oracle or times; consumers for
    which nothing is pending are left out."""
    if not isinstance(reply, list):
        return reply
    found = []
    for item in reply:
        pairs = item.pairs if isinstance(item, Map) else zip(item[::2], item[1::2], strict=True)
        hidden = (b"idle", b"inactive", b"lag", b"entries-read", b"consumers")
        shown = [(name, value) for name, value in pairs if name not in hidden]
        if len(shown) > 2 or (b"pending", 0) not in shown:
            found.append(shown)
    return found


def _info(ours: Reply, oracle: Reply) -> bool:
    if isinstance(ours, list) and ours and isinstance(ours[0], list | Map):
        return bool(_without_newer(ours) == _without_newer(oracle))
    return bool(ours == oracle)


_COMPARISONS: dict[str, Comparison] = {**COMPARISONS, "XPENDING": _pending, "XINFO": _info}


@given(sequences(ENTRIES, OTHER_TYPES))
@differential(examples=100)
def test_streams(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, _COMPARISONS)


@given(sequences(ENTRIES[:4], ENTRIES[:4], READERS))
@differential(examples=100)
def test_groups(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, _COMPARISONS)


@given(sequences(ENTRIES, READERS, OTHER_TYPES))
@differential(examples=5000)
@pytest.mark.long
def test_streams_for_long(pair: Pair, commands: list[Command]) -> None:
    run(pair, commands, _COMPARISONS)
