"""XCLAIM and XAUTOCLAIM."""

from __future__ import annotations

import time

import pytest

from tests.commands.test_stream_groups import deliver
from tests.commands.test_streams import INVALID_ID, entry
from tests.wire import SYNTAX_ERROR, WRONGTYPE, Error, Wire, arity_error

NO_GROUP = Error("NOGROUP No such key 's' or consumer group 'g'")


def owners(c: Wire) -> list[tuple[bytes, bytes, int]]:
    return [(row[0], row[1], row[3]) for row in c("XPENDING", "s", "g", "-", "+", 100)]


def test_claiming(c: Wire) -> None:
    deliver(c)
    assert c("XCLAIM", "s", "g", "y", 0, "1", "3-0", "9") == [entry("1-0", "n", "1"), entry("3-0", "n", "3")]
    assert owners(c) == [(b"1-0", b"y", 2), (b"2-0", b"x", 1), (b"3-0", b"y", 2)]
    assert c("XCLAIM", "s", "g", "x", 0, "1", "JUSTID") == [b"1-0"]
    assert c("XCLAIM", "s", "g", "x", 100_000, "3") == []
    assert c("XCLAIM", "s", "g", "x", 0, "5") == []
    assert c("XCLAIM", "s", "g", "x", -1, "3", "RETRYCOUNT", 9) == [entry("3-0", "n", "3")]
    assert owners(c) == [(b"1-0", b"x", 2), (b"2-0", b"x", 1), (b"3-0", b"x", 9)]


def test_forcing(c: Wire) -> None:
    deliver(c, 1)
    assert c("XCLAIM", "s", "g", "y", 0, "4", "5", "9", "FORCE", "JUSTID") == [b"4-0", b"5-0"]
    assert c("XCLAIM", "s", "g", "y", 100_000, "3", "FORCE") == [entry("3-0", "n", "3")]
    assert owners(c) == [(b"1-0", b"x", 1), (b"3-0", b"y", 2), (b"4-0", b"y", 1), (b"5-0", b"y", 1)]


def test_times(c: Wire) -> None:
    deliver(c)
    c("XCLAIM", "s", "g", "x", 0, "1", "IDLE", 70_000)
    c("XCLAIM", "s", "g", "x", 0, "2", "TIME", int(time.time() * 1000) - 90_000)
    c("XCLAIM", "s", "g", "x", 0, "3", "TIME", 1 << 60)
    idle = [row[2] for row in c("XPENDING", "s", "g", "-", "+", 10)]
    assert 70_000 <= idle[0] < 75_000
    assert 90_000 <= idle[1] < 95_000
    assert idle[2] < 5000
    assert c("XCLAIM", "s", "g", "y", 80_000, "1", "2", "3", "JUSTID") == [b"2-0"]


def test_the_last_id(c: Wire) -> None:
    deliver(c, 1)
    assert c("XCLAIM", "s", "g", "x", 0, "1", "JUSTID", "LASTID", "4") == [b"1-0"]
    reply = c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", ">")
    entries = reply[b"s"] if c.protocol == 3 else reply[0][1]
    assert entries == [entry("5-0", "n", "5")]


def test_a_deleted_entry_is_dropped(c: Wire) -> None:
    deliver(c)
    c("XDEL", "s", "2")
    assert c("XCLAIM", "s", "g", "y", 0, "1", "2", "JUSTID") == [b"1-0"]
    assert owners(c) == [(b"1-0", b"y", 1), (b"3-0", b"x", 1)]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("x", "1"), "ERR Invalid min-idle-time argument for XCLAIM"),
        (("0", "1", "IDLE", "x"), "ERR Invalid IDLE option argument for XCLAIM"),
        (("0", "1", "TIME", "x"), "ERR Invalid TIME option argument for XCLAIM"),
        (("0", "1", "RETRYCOUNT", "x"), "ERR Invalid RETRYCOUNT option argument for XCLAIM"),
        (("0", "1", "LASTID", "x"), INVALID_ID.text),
        (("0", "1", "FOO"), "ERR Unrecognized XCLAIM option 'FOO'"),
        (("0", "1", "IDLE"), "ERR Unrecognized XCLAIM option 'IDLE'"),
        (("0", "1", "FORCE", "2"), "ERR Unrecognized XCLAIM option '2'"),
    ],
)
def test_errors(c: Wire, words: tuple[str, ...], error: str) -> None:
    assert c("XCLAIM", "s", "g", "y", *words) == NO_GROUP
    deliver(c)
    assert c("XCLAIM", "s", "g", "y", *words) == Error(error)


def test_claiming_what_is_old(c: Wire) -> None:
    deliver(c, 5)
    assert c("XAUTOCLAIM", "s", "g", "y", 0, "-", "COUNT", 2) == [
        b"3-0",
        [entry("1-0", "n", "1"), entry("2-0", "n", "2")],
        [],
    ]
    assert c("XAUTOCLAIM", "s", "g", "y", 0, "(3", "JUSTID", "COUNT", 1) == [b"5-0", [b"4-0"], []]
    assert c("XAUTOCLAIM", "s", "g", "y", 100_000, "0") == [b"0-0", [], []]
    assert c("XAUTOCLAIM", "s", "g", "x", 0, "5", "JUSTID") == [b"0-0", [b"5-0"], []]
    assert owners(c) == [
        (b"1-0", b"y", 2),
        (b"2-0", b"y", 2),
        (b"3-0", b"x", 1),
        (b"4-0", b"y", 1),
        (b"5-0", b"x", 1),
    ]


def test_deleted_entries_are_named(c: Wire) -> None:
    deliver(c, 5)
    c("XDEL", "s", "1", "3")
    assert c("XAUTOCLAIM", "s", "g", "y", 0, "-", "COUNT", 3, "JUSTID") == [
        b"4-0",
        [b"2-0"],
        [b"1-0", b"3-0"],
    ]
    assert owners(c) == [(b"2-0", b"y", 1), (b"4-0", b"x", 1), (b"5-0", b"x", 1)]


def test_it_looks_at_ten_times_the_count(c: Wire) -> None:
    c.pipeline([("XADD", "s", f"{number}-0", "n", number) for number in range(1, 31)])
    c("XGROUP", "CREATE", "s", "g", "0")
    c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", ">")
    assert c("XAUTOCLAIM", "s", "g", "y", 100_000, "-", "COUNT", 2) == [b"21-0", [], []]


def test_auto_errors(c: Wire) -> None:
    assert c("XAUTOCLAIM", "s", "g", "y", 0, "0") == NO_GROUP
    bad_count = Error("ERR COUNT must be > 0")
    for count in ("0", "-1", "x", "9223372036854775807"):
        assert c("XAUTOCLAIM", "s", "g", "y", 0, "0", "COUNT", count) == bad_count
    bad_idle = Error("ERR Invalid min-idle-time argument for XAUTOCLAIM")
    assert c("XAUTOCLAIM", "s", "g", "y", "x", "0") == bad_idle
    assert c("XAUTOCLAIM", "s", "g", "y", 0, "x") == INVALID_ID
    assert c("XAUTOCLAIM", "s", "g", "y", 0, "0", "COUNT") == SYNTAX_ERROR
    assert c("XAUTOCLAIM", "s", "g", "y", 0) == arity_error("xautoclaim")
    assert c("XCLAIM", "s", "g", "y", 0) == arity_error("xclaim")


def test_wrong_types(c: Wire, wrong: str) -> None:
    assert c("XCLAIM", wrong, "g", "x", 0, "1") == WRONGTYPE
    assert c("XAUTOCLAIM", wrong, "g", "x", 0, "1") == WRONGTYPE
