"""Consumer groups: XGROUP, XACK, XPENDING."""

from __future__ import annotations

import time

import pytest

from tests.commands.test_streams import INVALID_ID, fill
from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, WRONGTYPE, Error, Wire, arity_error

NEEDS_KEY = Error(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
    "MKSTREAM option to create an empty stream automatically."
)
NO_GROUP = Error("NOGROUP No such consumer group 'g' for key name 's'")


def deliver(c: Wire, count: int = 3, consumer: str = "x") -> None:
    """Entries 1-0... of `s` are pending in the group `g`."""
    fill(c)
    c("XGROUP", "CREATE", "s", "g", "0")
    c("XREADGROUP", "GROUP", "g", consumer, "COUNT", count, "STREAMS", "s", ">")


def unknown(subcommand: str) -> Error:
    return Error(f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try XGROUP HELP.")


def test_create(c: Wire) -> None:
    assert c("XGROUP", "CREATE", "s", "g", "$") == NEEDS_KEY
    assert c("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM") == OK
    assert c("XLEN", "s") == 0
    assert c("XGROUP", "CREATE", "s", "g", "0") == Error("BUSYGROUP Consumer Group name already exists")
    assert c("XGROUP", "CREATE", "s", "h", "5-1", "ENTRIESREAD", 3, "mkstream") == OK
    assert c("XGROUP", "CREATE", "s", "i", "x") == INVALID_ID
    assert c("XGROUP", "CREATE", "s", "i", "-") == INVALID_ID
    assert c("XGROUP", "CREATE", "s", "i", "0", "FOO") == unknown("CREATE")
    assert c("XGROUP", "CREATE", "s", "i", "0", "ENTRIESREAD") == unknown("CREATE")
    assert c("XGROUP", "CREATE", "s", "i", "0", *["MKSTREAM"] * 4) == unknown("CREATE")
    assert c("XGROUP", "CREATE", "s", "i", "0", "ENTRIESREAD", "x") == NOT_AN_INTEGER
    negative = Error("ERR value for ENTRIESREAD must be positive or -1")
    assert c("XGROUP", "CREATE", "s", "i", "0", "ENTRIESREAD", "-2") == negative
    assert c("XGROUP", "CREATE", "s", "i") == arity_error("xgroup|create")


def test_setid(c: Wire) -> None:
    assert c("XGROUP", "SETID", "s", "g", "0") == NEEDS_KEY
    fill(c)
    assert c("XGROUP", "SETID", "s", "g", "0") == NO_GROUP
    c("XGROUP", "CREATE", "s", "g", "0")
    assert c("XGROUP", "SETID", "s", "g", "4") == OK
    assert c("XGROUP", "SETID", "s", "g", "$", "ENTRIESREAD", 5) == OK
    assert c("XGROUP", "SETID", "s", "g", "+") == OK
    assert c("XGROUP", "SETID", "s", "g", "0", "MKSTREAM") == unknown("SETID")
    assert c("XGROUP", "SETID", "s", "g", "x") == INVALID_ID


def test_destroy(c: Wire) -> None:
    assert c("XGROUP", "DESTROY", "s", "g") == NEEDS_KEY
    deliver(c)
    assert c("XGROUP", "DESTROY", "s", "nope") == 0
    assert c("XGROUP", "DESTROY", "s", "g") == 1
    assert c("XPENDING", "s", "g") == Error("NOGROUP No such key 's' or consumer group 'g'")


def test_consumers(c: Wire) -> None:
    fill(c)
    assert c("XGROUP", "CREATECONSUMER", "s", "g", "x") == NO_GROUP
    assert c("XGROUP", "DELCONSUMER", "s", "g", "x") == NO_GROUP
    c("XGROUP", "CREATE", "s", "g", "0")
    assert c("XGROUP", "CREATECONSUMER", "s", "g", "x") == 1
    assert c("XGROUP", "CREATECONSUMER", "s", "g", "x") == 0
    c("XREADGROUP", "GROUP", "g", "x", "COUNT", 3, "STREAMS", "s", ">")
    c("XREADGROUP", "GROUP", "g", "y", "COUNT", 1, "STREAMS", "s", ">")
    assert c("XGROUP", "DELCONSUMER", "s", "g", "x") == 3
    assert c("XGROUP", "DELCONSUMER", "s", "g", "x") == 0
    assert c("XPENDING", "s", "g") == [1, b"4-0", b"4-0", [[b"y", b"1"]]]


def test_help_and_unknown(c: Wire) -> None:
    assert c("XGROUP", "HELP")[0].text == "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert c("XGROUP", "FOO") == Error("ERR unknown subcommand 'FOO'. Try XGROUP HELP.")
    assert c("XGROUP") == arity_error("xgroup")


def test_acknowledging(c: Wire) -> None:
    deliver(c)
    assert c("XACK", "s", "g", "1", "2-0", "2-0", "9") == 2
    assert c("XACK", "s", "g", "3", "x") == INVALID_ID
    assert c("XPENDING", "s", "g") == [1, b"3-0", b"3-0", [[b"x", b"1"]]]
    assert c("XACK", "s", "g", "3") == 1
    assert c("XPENDING", "s", "g") == [0, c.null, c.null, c.null_array]
    assert c("XACK", "s", "nope", "x") == 0
    assert c("XACK", "nothing", "g", "x") == 0


def test_pending_in_sum(c: Wire) -> None:
    deliver(c, 2, "y")
    c("XREADGROUP", "GROUP", "g", "x", "COUNT", 1, "STREAMS", "s", ">")
    c("XGROUP", "CREATECONSUMER", "s", "g", "idle")
    assert c("XPENDING", "s", "g") == [3, b"1-0", b"3-0", [[b"x", b"1"], [b"y", b"2"]]]


def test_pending_entries(c: Wire) -> None:
    deliver(c)
    rows = c("XPENDING", "s", "g", "-", "+", 10)
    assert [(row[0], row[1], row[3]) for row in rows] == [(b"%d-0" % n, b"x", 1) for n in (1, 2, 3)]
    assert all(0 <= row[2] < 5000 for row in rows)
    ids = {
        ("-", "+", 2): [b"1-0", b"2-0"],
        ("(1", "3", 10): [b"2-0", b"3-0"],
        ("-", "(3-0", 10): [b"1-0", b"2-0"],
        ("-", "+", 10, "x"): [b"1-0", b"2-0", b"3-0"],
        ("-", "+", 10, "nobody"): [],
        ("-", "+", 0): [],
        ("-", "+", -1): [],
        ("IDLE", 0, "2", "+", 10): [b"2-0", b"3-0"],
        ("IDLE", 100_000, "-", "+", 10): [],
        ("IDLE", 0, "-", "+", 10, "x"): [b"1-0", b"2-0", b"3-0"],
    }
    for words, expected in ids.items():
        assert [row[0] for row in c("XPENDING", "s", "g", *words)] == expected, words
    time.sleep(0.03)
    c("XREADGROUP", "GROUP", "g", "y", "COUNT", 1, "STREAMS", "s", ">")
    assert [row[0] for row in c("XPENDING", "s", "g", "IDLE", 20, "-", "+", 10)] == [b"1-0", b"2-0", b"3-0"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("-",), SYNTAX_ERROR),
        (("-", "+"), SYNTAX_ERROR),
        (("IDLE", 0, "-", "+"), SYNTAX_ERROR),
        (("-", "+", 1, "x", "y", "z", "zz"), SYNTAX_ERROR),
        (("-", "+", "x"), NOT_AN_INTEGER),
        (("IDLE", "x", "-", "+", 1), NOT_AN_INTEGER),
        (("x", "+", 1), INVALID_ID),
        (("-", "(0-0", 1), Error("ERR invalid end ID for the interval")),
        (("-", "+", 1), Error("NOGROUP No such key 's' or consumer group 'g'")),
        ((), Error("NOGROUP No such key 's' or consumer group 'g'")),
    ],
)
def test_pending_errors(c: Wire, words: tuple[str | int, ...], error: Error) -> None:
    assert c("XPENDING", "s", "g", *words) == error


def test_wrong_types(c: Wire, wrong: str) -> None:
    for command in (
        ("XGROUP", "CREATE", wrong, "g", "0", "MKSTREAM"),
        ("XGROUP", "SETID", wrong, "g", "0"),
        ("XGROUP", "DESTROY", wrong, "g"),
        ("XGROUP", "CREATECONSUMER", wrong, "g", "x"),
        ("XGROUP", "DELCONSUMER", wrong, "g", "x"),
        ("XACK", wrong, "g", "1"),
        ("XPENDING", wrong, "g"),
    ):
        assert c(*command) == WRONGTYPE, command
