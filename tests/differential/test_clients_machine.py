"""Random commands of several clients on both servers: transactions, and commands that block."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.clients import Turn, run_turns, turns
from tests.differential.machine import Table, command, differential, several
from tests.wire import Pair

KEYS = st.sampled_from([b"a", b"b", b"c"])
ITEMS = st.sampled_from([b"x", b"y", b"z"])
SIDES = st.sampled_from([b"LEFT", b"RIGHT"])
ENDS = st.sampled_from([b"MIN", b"MAX"])
IDS = st.sampled_from([b"$", b"0", b"5-0"])

TRANSACTIONS: Table = [
    *[command("MULTI")] * 3,
    *[command("EXEC")] * 4,
    command("DISCARD"),
    *[command("WATCH", several(KEYS))] * 2,
    command("UNWATCH"),
]

DATA: Table = [
    command("SET", KEYS, ITEMS),
    command("GET", KEYS),
    command("INCR", KEYS),
    command("APPEND", KEYS, ITEMS),
    command("DEL", several(KEYS)),
    command("RENAME", KEYS, KEYS),
    command("COPY", KEYS, KEYS, "REPLACE"),
    command("EXPIRE", KEYS, st.sampled_from([b"-1", b"100000"])),
    command("PERSIST", KEYS),
    command("GETEX", KEYS, "EX", "100000"),
    command("MOVE", KEYS, "1"),
    command("SWAPDB", "0", "1"),
    command("SELECT", st.sampled_from([b"0", b"0", b"0", b"1"])),
    command("FLUSHDB"),
    command("NOPE"),
    command("GET"),
]

COLLECTIONS: Table = [
    command("RPUSH", KEYS, several(ITEMS)),
    command("LPUSH", KEYS, ITEMS),
    command("LPOP", KEYS),
    command("LMOVE", KEYS, KEYS, SIDES, SIDES),
    command("LTRIM", KEYS, "1", "1"),
    command("SADD", KEYS, several(ITEMS)),
    command("SREM", KEYS, several(ITEMS)),
    command("SINTERSTORE", KEYS, KEYS, KEYS),
    command("ZADD", KEYS, "1", ITEMS, "2", ITEMS),
    command("ZREM", KEYS, ITEMS),
    command("ZPOPMIN", KEYS),
    command("ZUNIONSTORE", KEYS, "1", KEYS),
    command("HSET", KEYS, ITEMS, ITEMS),
    command("HDEL", KEYS, ITEMS),
    command("SORT", KEYS, "ALPHA", "STORE", KEYS),
    command("XADD", KEYS, "0-*", "f", ITEMS),
]

DELETED: Table = [command("XDEL", KEYS, "0-1")]
"""Not beside blocked readers: of an entry that is added and deleted by one transaction Redis 7.0 tells them in an empty
reply, 7.2 does not."""

BLOCKED: Table = [
    command("BLPOP", KEYS, "0"),
    command("BRPOP", KEYS, "0"),
    command("BLMOVE", KEYS, KEYS, SIDES, SIDES, "0"),
    command("BRPOPLPUSH", KEYS, KEYS, "0"),
    command("BLMPOP", "0", "1", KEYS, SIDES, "COUNT", "2"),
    command("BZPOPMIN", KEYS, "0"),
    command("BZPOPMAX", KEYS, "0"),
    command("BZMPOP", "0", "1", KEYS, ENDS),
    command("XREAD", "BLOCK", "0", "STREAMS", KEYS, IDS),
]
"""Each waits for one key: of several that are made by one transaction Redis 7.0 takes the one that was made first,
7.2 the one that is named first."""

GROUPS: Table = [
    command("XGROUP", "CREATE", KEYS, "g", "0", "MKSTREAM"),
    command("XGROUP", "DESTROY", KEYS, "g"),
    command("XREADGROUP", "GROUP", "g", ITEMS, "BLOCK", "0", "STREAMS", KEYS, ">"),
]


@given(turns(TRANSACTIONS, DATA, COLLECTIONS, DELETED, length=60))
@differential(examples=170)
@pytest.mark.needs("rpush", "sadd", "zadd", "hset", "xadd", "sort")
def test_transactions(pair: Pair, sequence: list[Turn]) -> None:
    run_turns(pair, sequence)


@given(turns(COLLECTIONS, BLOCKED, BLOCKED, GROUPS, TRANSACTIONS[:8], DATA[:-3], length=60))
@differential(examples=170)
@pytest.mark.needs("blpop", "bzpopmin", "xreadgroup", "sadd", "hset", "sort")
def test_blocking(pair: Pair, sequence: list[Turn]) -> None:
    run_turns(pair, sequence)


@given(turns(TRANSACTIONS, DATA, COLLECTIONS, DELETED, length=100))
@differential(examples=5000)
@pytest.mark.long
@pytest.mark.needs("rpush", "sadd", "zadd", "hset", "xadd", "sort")
def test_transactions_for_long(pair: Pair, sequence: list[Turn]) -> None:
    run_turns(pair, sequence)


@given(turns(COLLECTIONS, BLOCKED, BLOCKED, GROUPS, TRANSACTIONS[:8], DATA[:-3], length=100))
@differential(examples=5000)
@pytest.mark.long
@pytest.mark.needs("blpop", "bzpopmin", "xreadgroup", "sadd", "hset", "sort")
def test_blocking_for_long(pair: Pair, sequence: list[Turn]) -> None:
    run_turns(pair, sequence)
