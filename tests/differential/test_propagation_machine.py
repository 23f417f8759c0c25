"""Random commands of all types on one server, and what it propagates on another: both have the same data then.

Times to live are short and the clock goes on between commands, so that keys and fields die on the way: when a command
comes across them, or all at once. Not all commands come alone: there are transactions, and clients that wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.persistence.payload import seal
from respcache.persistence.rdb_write import write_value
from respcache.store.field_deadlines import FieldDeadlines
from respcache.store.hash import ListpackEx
from tests.differential.machine import (
    FLOATS,
    KEYS,
    OTHER_TYPES,
    VALUES,
    Command,
    Table,
    command,
    differential,
    options,
    sequences,
    several,
)
from tests.differential.test_bitmaps_machine import BITMAPS
from tests.differential.test_geo_machine import GEO
from tests.differential.test_hashes_machine import HASHES
from tests.differential.test_hyperloglog_machine import HYPERLOGLOGS
from tests.differential.test_keys_machine import DATABASES, NAMES
from tests.differential.test_lists_machine import LISTS
from tests.differential.test_sets_machine import ALGEBRA as SET_ALGEBRA
from tests.differential.test_sets_machine import CHANCE, SETS
from tests.differential.test_sort_machine import SORTS
from tests.differential.test_streams_machine import (
    CONSUMERS,
    ENTRIES,
    GROUPS,
    READERS,
    SOME_KEYS,
)
from tests.differential.test_strings_machine import COUNTERS, STRINGS
from tests.differential.test_zsets_machine import ALGEBRA, CHANGES
from tests.propagation import START, Origin, Replica, contents, well_formed

_SOON = st.integers(-3, 40).map(lambda ms: b"%d" % ms)
_THEN = st.integers(-100, 3000).map(lambda ms: b"%d" % (START + ms))
_CONDITION = options(("NX",), ("XX",), ("GT",), ("LT",), most=1)
_FIELDS = several(st.sampled_from([b"f", b"g", b"h"]), VALUES)
_FIELD = st.sampled_from([b"f", b"g", b"h"])

MORTAL: Table = [
    command("SET", KEYS, VALUES, "PX", _SOON, options(("NX",), ("XX",), ("GET",))),
    command("SET", KEYS, VALUES, "GET", options(("NX",), ("XX",), ("KEEPTTL",), ("PXAT", _THEN))),
    command("SETEX", KEYS, "1", VALUES),
    command("PSETEX", KEYS, _SOON, VALUES),
    command("GETSET", KEYS, VALUES),
    command("GETEX", KEYS, options(("PX", _SOON), ("PERSIST",), ("PXAT", _THEN), most=1)),
    command("PEXPIRE", KEYS, _SOON, _CONDITION),
    command("PEXPIREAT", KEYS, _THEN, _CONDITION),
    command("EXPIRE", KEYS, st.integers(-1, 1), _CONDITION),
    command("PERSIST", KEYS),
    command("INCRBYFLOAT", KEYS, FLOATS),
    command("HSET", KEYS, _FIELDS),
    command("HINCRBYFLOAT", KEYS, _FIELD, FLOATS),
    command("HPEXPIRE", KEYS, _SOON, _CONDITION, "FIELDS", "2", _FIELD, _FIELD),
    command("HPEXPIREAT", KEYS, _THEN, _CONDITION, "FIELDS", "1", _FIELD),
    command("HPERSIST", KEYS, "FIELDS", "1", _FIELD),
    command("HGETDEL", KEYS, "FIELDS", "1", _FIELD),
    command("HGETALL", KEYS),
    command("GET", KEYS),
    command("MGET", several(KEYS)),
    command("(expire)"),
    command("(pass)", st.integers(1, 60)),
]
"""Short lives. The last two are not for the server: what is due goes, and time goes on."""

_POPS: Table = [
    command("BLPOP", several(KEYS), "0"),
    command("BRPOP", several(KEYS), "0.5"),
    command(
        "BLMOVE", KEYS, KEYS, st.sampled_from(["left", "RIGHT"]), st.sampled_from(["LEFT", "right"]), "0"
    ),
    command("BRPOPLPUSH", KEYS, KEYS, "0"),
    command("LMPOP", "2", KEYS, KEYS, st.sampled_from(["left", "RIGHT"]), "COUNT", st.integers(1, 4)),
    command("BLMPOP", "0", "2", KEYS, KEYS, st.sampled_from(["left", "RIGHT"]), "COUNT", st.integers(1, 4)),
    command("BZPOPMIN", several(KEYS), "0"),
    command("BZPOPMAX", several(KEYS), "0"),
    command("ZMPOP", "1", KEYS, "min", "COUNT", st.integers(1, 4)),
    command("BZMPOP", "0", "2", KEYS, KEYS, "MAX", "COUNT", st.integers(1, 4)),
    command("RPUSH", KEYS, several(VALUES)),
    command("ZADD", KEYS, "1", VALUES, "2", VALUES),
    command("SADD", KEYS, several(VALUES, most=6)),
    command("SPOP", KEYS),
    command("SPOP", KEYS, st.integers(0, 4)),
]

_ID = st.sampled_from([b"*", b"*", b"5-*", b"1-1"])
_SPAN = st.integers(0, 12)
_STREAMS: Table = [
    command("XADD", SOME_KEYS, _ID, _FIELDS),
    command("XADD", SOME_KEYS, "MAXLEN", "~", _SPAN, options(("LIMIT", _SPAN)), _ID, _FIELDS),
    command("XADD", SOME_KEYS, "MINID", "~", _THEN, options(("NOMKSTREAM",)), _ID, _FIELDS),
    command("XTRIM", SOME_KEYS, "MAXLEN", "~", _SPAN),
    command("XTRIM", SOME_KEYS, "MINID", "~", _THEN, "LIMIT", _SPAN),
    command("XGROUP", "CREATE", SOME_KEYS, GROUPS, "$", "MKSTREAM"),
    command("XREADGROUP", "GROUP", GROUPS, CONSUMERS, "COUNT", st.integers(1, 3), "STREAMS", SOME_KEYS, ">"),
    command("XREADGROUP", "GROUP", GROUPS, CONSUMERS, "NOACK", "STREAMS", "a", "b", ">", ">"),
    command("XREADGROUP", "GROUP", GROUPS, CONSUMERS, "BLOCK", "0", "STREAMS", "a", "b", ">", ">"),
    command(
        "XAUTOCLAIM",
        SOME_KEYS,
        GROUPS,
        CONSUMERS,
        "0",
        "-",
        options(("COUNT", st.integers(1, 4)), ("JUSTID",)),
    ),
    command("XAUTOCLAIM", SOME_KEYS, GROUPS, CONSUMERS, "20", "-", "JUSTID"),
]

_LOOKUPS: Table = [
    command("RPUSH", KEYS, several(KEYS)),
    command("HSET", KEYS, _FIELDS),
    command("HPEXPIRE", KEYS, _SOON, "FIELDS", "1", _FIELD),
    command("SORT", KEYS, "ALPHA", "BY", "*->f", "GET", "*->g", "GET", "#", "STORE", KEYS),
    command("SORT", KEYS, "BY", "nosort", "GET", "*", "STORE", KEYS),
]
"""SORT looks at other keys, which may be dead, or have fields that are."""


def _mortal_hash() -> ListpackEx:
    hash_ = ListpackEx({b"f": b"1", b"g": b"2"})
    hash_.deadlines = FieldDeadlines()
    hash_.deadlines.set(b"f", START + 20)
    return hash_


_PAYLOADS = st.sampled_from([seal(*write_value(b"v")), seal(*write_value(_mortal_hash()), version=12)])
_RESTORES: Table = [
    command("RESTORE", KEYS, st.integers(0, 40), _PAYLOADS, options(("REPLACE",), ("IDLETIME", "5"))),
    command("RESTORE", KEYS, _THEN, _PAYLOADS, "ABSTTL", options(("REPLACE",))),
]

_TRANSACTIONS: Table = [command("MULTI"), command("EXEC"), command("EXEC")]

_TABLES: dict[str, list[Table]] = {
    "strings": [STRINGS, COUNTERS, BITMAPS, HYPERLOGLOGS, MORTAL, MORTAL, _TRANSACTIONS],
    "collections": [LISTS, SETS, CHANCE, HASHES, CHANGES, GEO, _POPS, _POPS, MORTAL, _TRANSACTIONS],
    "streams": [ENTRIES, READERS, _STREAMS, _STREAMS, _STREAMS, _TRANSACTIONS, OTHER_TYPES],
    "lookups": [_LOOKUPS, _LOOKUPS, _RESTORES, MORTAL, _TRANSACTIONS],
    "keys": [NAMES, DATABASES, MORTAL, SORTS, ALGEBRA, SET_ALGEBRA, OTHER_TYPES, _TRANSACTIONS],
}


def _is_left_out(asked: Command) -> bool:
    """Whether that counts deliveries of what is pending, or configures: neither is propagated."""
    return asked[0] == "CONFIG" or (asked[0] == "XREADGROUP" and asked[-1] != ">")


@contextmanager
def _servers() -> Iterator[tuple[Origin, Replica]]:
    origin, replica = Origin(), Replica()
    try:
        yield origin, replica
    finally:
        origin.close()
        replica.close()


def _check(commands: list[Command], resp3: bool) -> None:
    with _servers() as (origin, replica):
        if resp3:
            origin("HELLO", "3")
        for number, asked in enumerate(commands):
            origin.now += number % 3
            if asked[0] == "(pass)":
                origin.now += int(asked[1])
            elif asked[0] == "(expire)":
                origin.expire()
            elif not _is_left_out(asked):
                origin(*asked)
                if origin.connection.client.paused:  # it goes on to wait, and another client takes its place
                    origin.connection, origin.socket = origin.peers.connect()
        origin("EXEC")
        origin.expire()
        said = origin.taken()
        assert well_formed(said), said
        replica.replay(said)
        ours, theirs = contents(origin.state.keyspace), contents(replica.state.keyspace)
        if ours != theirs:
            apart = [place for place in {**ours, **theirs} if ours.get(place) != theirs.get(place)]
            asked_for = "\n".join(map(repr, commands))
            shown = "\n".join(map(repr, said))
            differing = [(place, ours.get(place), theirs.get(place)) for place in apart]
            raise AssertionError(f"{differing}\nasked:\n{asked_for}\npropagated:\n{shown}")


def _test(name: str, examples: int) -> Callable[[], None]:
    @given(sequences(*_TABLES[name], length=60), st.booleans())
    @differential(examples=examples)
    def check(commands: list[Command], resp3: bool) -> None:
        _check(commands, resp3)

    run: Any = check
    return lambda: run()


@pytest.mark.parametrize("name", _TABLES)
def test_what_is_propagated_makes_the_same_data(name: str) -> None:
    _test(name, 75)()


@pytest.mark.long
@pytest.mark.parametrize("name", _TABLES)
def test_what_is_propagated_makes_the_same_data_long(name: str) -> None:
    _test(name, 1000)()
