"""XREAD and XREADGROUP, waiting included."""

from __future__ import annotations

import time

import pytest

from tests.commands.conftest import Connect
from tests.commands.test_streams import INVALID_ID, entry, fill
from tests.wire import (
    NOT_AN_INTEGER,
    OK,
    QUEUED,
    SYNTAX_ERROR,
    WRONGTYPE,
    Error,
    Map,
    Reply,
    Wire,
    arity_error,
)

NO_GROUP = Error("NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option")


def streams(c: Wire, **entries: Reply) -> Reply:
    """Keys and their entries, as both commands reply."""
    if c.protocol == 3:
        return Map(tuple((key.encode(), value) for key, value in entries.items()))
    return [[key.encode(), value] for key, value in entries.items()]


def last(number: int) -> Reply:
    return [entry(f"{number}-0", "n", str(number))]


def test_reading(c: Wire) -> None:
    fill(c, 3)
    fill(c, 2, "t")
    assert c("XREAD", "STREAMS", "s", "2") == streams(c, s=last(3))
    assert c("XREAD", "COUNT", 1, "STREAMS", "s", "t", "nothing", "0", "1-0", "0") == streams(
        c, s=last(1), t=last(2)
    )
    assert c("XREAD", "count", -1, "STREAMS", "s", "1-18446744073709551615") == streams(
        c, s=[*last(2), *last(3)]
    )
    assert c("XREAD", "STREAMS", "s", "3") == c.null_array
    assert c("XREAD", "STREAMS", "s", "$") == c.null_array
    assert c("XREAD", "STREAMS", "nothing", "0") == c.null_array
    c("XDEL", "s", "3")
    assert c("XREAD", "STREAMS", "s", "2") == c.null_array


@pytest.mark.since("7.4")
def test_the_last_entry(c: Wire) -> None:
    fill(c, 3)
    assert c("XREAD", "STREAMS", "s", "+") == streams(c, s=last(3))
    assert c("XREAD", "COUNT", 9, "BLOCK", 0, "STREAMS", "s", "nothing", "+", "+") == streams(c, s=last(3))
    c("XDEL", "s", "3")
    assert c("XREAD", "STREAMS", "s", "+") == streams(c, s=last(2))
    c("XTRIM", "s", "MAXLEN", 0)
    assert c("XREAD", "STREAMS", "s", "+") == c.null_array


def test_syntax(c: Wire) -> None:
    fill(c)
    assert c("XREAD", "FOO", "STREAMS", "s", "0") == SYNTAX_ERROR
    assert c("XREAD", "COUNT", "1", "STREAMS") == SYNTAX_ERROR
    assert c("XREAD", "COUNT", "x", "STREAMS", "s", "0") == NOT_AN_INTEGER
    assert c("XREAD", "BLOCK", "x", "STREAMS", "s", "0") == Error(
        "ERR timeout is not an integer or out of range"
    )
    assert c("XREAD", "BLOCK", "-1", "STREAMS", "s", "0") == Error("ERR timeout is negative")
    only = "option is only supported by XREADGROUP. You called XREAD instead."
    assert c("XREAD", "GROUP", "g", "x", "STREAMS", "s", "0") == Error(f"ERR The GROUP {only}")
    assert c("XREAD", "NOACK", "STREAMS", "s", "0") == Error(f"ERR The NOACK {only}")
    assert c("XREAD", "STREAMS", "s", ">") == Error(
        "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
    )
    assert c("XREAD", "STREAMS", "s", "x") == INVALID_ID
    assert c("XREADGROUP", "COUNT", 1, "NOACK", "STREAMS", "s", ">") == Error(
        "ERR Missing GROUP option for XREADGROUP"
    )
    assert c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", ">") == NO_GROUP
    c("XGROUP", "CREATE", "s", "g", "0")
    assert c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", "$").text.startswith(
        "ERR The $ ID is meaningless"
    )
    assert c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", "x") == INVALID_ID
    assert c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s") == arity_error("xreadgroup")
    assert c("XREAD", "STREAMS", "s") == arity_error("xread")


@pytest.mark.since("7.4")
def test_newer_errors(c: Wire) -> None:
    fill(c)
    text = "ERR Unbalanced '{}' list of streams: for each stream key an ID or '{}' must be specified."
    assert c("XREAD", "STREAMS", "s", "t", "0") == Error(text.format("xread", "$"))
    assert c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", "t", "0") == Error(
        text.format("xreadgroup", ">")
    )
    c("XGROUP", "CREATE", "s", "g", "0")
    assert c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", "+").text.startswith(
        "ERR The + ID is meaningless"
    )


def test_wrong_types(c: Wire, wrong: str) -> None:
    assert c("XREAD", "STREAMS", wrong, "0") == WRONGTYPE
    assert c("XREADGROUP", "GROUP", "g", "x", "STREAMS", wrong, ">") == WRONGTYPE


def test_reading_as_a_group(c: Wire) -> None:
    fill(c)
    c("XGROUP", "CREATE", "s", "g", "1")
    read = ("XREADGROUP", "GROUP", "g")
    assert c(*read, "x", "COUNT", 1, "STREAMS", "s", ">") == streams(c, s=last(2))
    assert c(*read, "y", "COUNT", 1, "STREAMS", "s", ">") == streams(c, s=last(3))
    assert c(*read, "x", "STREAMS", "s", ">") == streams(c, s=[*last(4), *last(5)])
    assert c(*read, "x", "STREAMS", "s", ">") == c.null_array
    assert c("XPENDING", "s", "g") == [4, b"2-0", b"5-0", [[b"x", b"3"], [b"y", b"1"]]]
    # What is pending for a consumer, deleted entries included.
    c("XDEL", "s", "4")
    assert c(*read, "y", "STREAMS", "s", "0") == streams(c, s=last(3))
    assert c(*read, "x", "COUNT", 2, "STREAMS", "s", "0") == streams(c, s=[*last(2), [b"4-0", c.null_array]])
    assert c(*read, "x", "STREAMS", "s", "4") == streams(c, s=last(5))
    assert c(*read, "x", "BLOCK", 0, "STREAMS", "s", "9") == streams(c, s=[])
    assert [row[3] for row in c("XPENDING", "s", "g", "-", "+", 9)] == [2, 2, 1, 2]


def test_without_acknowledgement(c: Wire) -> None:
    fill(c, 2)
    c("XGROUP", "CREATE", "s", "g", "0")
    read = ("XREADGROUP", "GROUP", "g", "x", "NOACK", "STREAMS", "s", ">")
    assert c(*read) == streams(c, s=[*last(1), *last(2)])
    assert c("XPENDING", "s", "g")[0] == 0
    assert c(*read) == c.null_array


def test_what_is_read_again_changes_its_owner(c: Wire) -> None:
    fill(c, 2)
    c("XGROUP", "CREATE", "s", "g", "0")
    c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", ">")
    c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", "0")
    assert c("XGROUP", "SETID", "s", "g", "1") == OK
    assert c("XREADGROUP", "GROUP", "g", "y", "STREAMS", "s", ">") == streams(c, s=last(2))
    rows = [(row[1], row[3]) for row in c("XPENDING", "s", "g", "-", "+", 9)]
    assert rows == [(b"x", 2), (b"y", 1)]


@pytest.mark.since("7.4")
def test_a_read_that_finds_nothing_makes_the_consumer(c: Wire) -> None:
    c("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    assert c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", ">") == c.null_array
    assert c("XGROUP", "CREATECONSUMER", "s", "g", "x") == 0


def test_waiting_for_an_entry(c: Wire, connect: Connect) -> None:
    waiter = connect()
    waiter.send("XREAD", "BLOCK", 0, "STREAMS", "t", "s", "$", "$")
    assert waiter.quiet()
    c("XADD", "s", "1-0", "n", "1")
    assert waiter.read() == streams(c, s=last(1))
    waiter.send("XREAD", "BLOCK", 5000, "STREAMS", "s", "1")
    assert waiter.quiet()
    c("RENAME", "s", "u")
    c("XADD", "s", "1-0", "n", "1")
    assert waiter.quiet()
    c("XADD", "s", "2-0", "n", "2")
    assert waiter.read() == streams(c, s=last(2))


def test_waiting_in_vain(c: Wire) -> None:
    start = time.monotonic()
    assert c("XREAD", "BLOCK", 40, "STREAMS", "s", "$") == c.null_array
    assert time.monotonic() - start >= 0.035
    c("MULTI")
    assert c("XREAD", "BLOCK", 0, "STREAMS", "s", "$") == QUEUED
    assert c("EXEC") == [c.null_array]


def test_a_group_gives_an_entry_to_the_first_that_waits(c: Wire, connect: Connect) -> None:
    c("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    first, second = connect(), connect()
    for name, waiter in (("x", first), ("y", second)):
        waiter.send("XREADGROUP", "GROUP", "g", name, "BLOCK", 0, "COUNT", 1, "STREAMS", "s", ">")
        assert waiter.quiet(0.02)
    c("XADD", "s", "1-0", "n", "1")
    assert first.read() == streams(c, s=last(1))
    assert second.quiet(0.02)
    c("XADD", "s", "2-0", "n", "2")
    assert second.read() == streams(c, s=last(2))
    assert c("XPENDING", "s", "g") == [2, b"1-0", b"2-0", [[b"x", b"1"], [b"y", b"1"]]]


def test_a_group_that_is_set_back_waits_for_the_next_entry(c: Wire, connect: Connect) -> None:
    fill(c, 1)
    c("XGROUP", "CREATE", "s", "g", "$")
    waiter = connect()
    waiter.send("XREADGROUP", "GROUP", "g", "x", "BLOCK", 0, "STREAMS", "s", ">")
    assert waiter.quiet()
    c("XGROUP", "SETID", "s", "g", "0")
    assert waiter.quiet()
    c("XADD", "s", "2-0", "n", "2")
    assert waiter.read() == streams(c, s=last(1) + last(2))


@pytest.mark.since("7.4")
def test_a_consumer_that_waits_is_not_seen_by_what_others_do(c: Wire, connect: Connect) -> None:
    fill(c, 1)
    c("XGROUP", "CREATE", "s", "g", "0")
    c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", ">")
    waiter = connect()
    waiter.send("XREADGROUP", "GROUP", "g", "y", "BLOCK", 0, "STREAMS", "s", ">")
    assert waiter.quiet(0.03)
    c("XACK", "s", "g", "1")
    row = c("XINFO", "CONSUMERS", "s", "g")[1]
    assert (row.pairs[2][1] if c.protocol == 3 else row[5]) >= 25
    assert c("XGROUP", "DELCONSUMER", "s", "g", "y") == 0
    assert len(c("XINFO", "CONSUMERS", "s", "g")) == 1
    c("XADD", "s", "2-0", "n", "2")
    assert waiter.read() == streams(c, s=last(2))
    assert c("XPENDING", "s", "g") == [1, b"2-0", b"2-0", [[b"y", b"1"]]]


@pytest.mark.since("7.4")
@pytest.mark.parametrize(
    ("change", "error"),
    [
        (("DEL", "s"), NO_GROUP),
        (("XGROUP", "DESTROY", "s", "g"), NO_GROUP),
        (("RENAME", "s", "t"), NO_GROUP),
        (("SET", "s", "x"), WRONGTYPE),
    ],
)
def test_the_group_goes_while_a_client_waits(
    c: Wire, connect: Connect, change: tuple[str, ...], error: Error
) -> None:
    c("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    waiter = connect()
    waiter.send("XREADGROUP", "GROUP", "g", "x", "BLOCK", 0, "STREAMS", "s", ">")
    assert waiter.quiet(0.02)
    c(*change)
    assert waiter.read() == error
