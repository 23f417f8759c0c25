"""Lists: LMOVE, LMPOP and their relatives that wait."""

from __future__ import annotations

import time

import pytest

from tests.commands.conftest import Connect
from tests.commands.test_lists import content, fill
from tests.wire import OK, QUEUED, SYNTAX_ERROR, WRONGTYPE, Argument, Error, Wire, arity_error

NUMKEYS = Error("ERR numkeys should be greater than 0")
COUNT = Error("ERR count should be greater than 0")
BAD_TIMEOUT = Error("ERR timeout is not a float or out of range")
NEGATIVE_TIMEOUT = Error("ERR timeout is negative")

BLOCKING: list[tuple[Argument, ...]] = [
    ("BLPOP", "l", 0),
    ("BRPOP", "l", 0),
    ("BLMOVE", "l", "d", "LEFT", "RIGHT", 0),
    ("BRPOPLPUSH", "l", "d", 0),
    ("BLMPOP", 0, 1, "l", "LEFT"),
]


def block(wire: Wire, *command: Argument) -> Wire:
    """Sends a command that has to wait."""
    wire.send(*command)
    assert wire.quiet(0.03)
    return wire


# Without waiting


def test_lmove(c: Wire) -> None:
    assert c("LMOVE", "l", "d", "LEFT", "RIGHT") == c.null
    fill(c, *"abcde")
    assert c("LMOVE", "l", "d", "LEFT", "RIGHT") == b"a"
    assert c("LMOVE", "l", "d", "left", "left") == b"b"
    assert c("LMOVE", "l", "d", "RIGHT", "RIGHT") == b"e"
    assert c("LMOVE", "l", "d", "Right", "LEFT") == b"d"
    assert (content(c), content(c, "d")) == (b"c", b"d b a e")
    assert c("LMOVE", "l", "d", "RIGHT", "LEFT") == b"c"
    assert c("EXISTS", "l") == 0


@pytest.mark.parametrize("count", [1, 3, 3000])
def test_rotation(c: Wire, count: int) -> None:
    numbers = [b"%d" % number for number in range(count)]
    fill(c, *map(str, range(count)))
    assert c("LMOVE", "l", "l", "LEFT", "RIGHT") == b"0"
    assert c("LRANGE", "l", 0, -1) == numbers[1:] + numbers[:1]
    assert c("RPOPLPUSH", "l", "l") == b"0"
    assert c("LMOVE", "l", "l", "LEFT", "LEFT") == b"0"
    assert c("LMOVE", "l", "l", "RIGHT", "RIGHT") == numbers[-1]
    assert c("LRANGE", "l", 0, -1) == numbers


def test_rpoplpush(c: Wire) -> None:
    assert c("RPOPLPUSH", "l", "d") == c.null
    fill(c, *"ab")
    assert c("RPOPLPUSH", "l", "d") == b"b"
    assert c("RPOPLPUSH", "l", "d") == b"a"
    assert c("EXISTS", "l") == 0
    assert content(c, "d") == b"a b"


def test_errors_of_moves(c: Wire) -> None:
    c("SET", "s", "x")
    fill(c, "a")
    for command in (
        ("LMOVE", "LEFT", "RIGHT"),
        ("RPOPLPUSH",),
        ("BLMOVE", "LEFT", "LEFT", 0),
        ("BRPOPLPUSH", 0),
    ):
        name, *rest = command
        assert c(name, "s", "d", *rest) == c(name, "l", "s", *rest) == WRONGTYPE
        assert c(name, "s", "s", *rest) == WRONGTYPE
        assert c(name, "l", "d", *rest, "x") == c(name, "l") == arity_error(str(name).lower())
    assert c("LMOVE", "nothing", "s", "LEFT", "LEFT") == c.null
    assert c("LMOVE", "s", "d", "LEFT", "UP") == c("LMOVE", "s", "d", "", "LEFT") == SYNTAX_ERROR
    assert c("BLMOVE", "s", "d", "LEFT", "UP", "x") == SYNTAX_ERROR
    assert content(c) == b"a"


def test_lmpop(c: Wire) -> None:
    assert c("LMPOP", 2, "l", "d", "LEFT") == c.null_array
    fill(c, *"abcde")
    fill(c, "x", key="d")
    assert c("LMPOP", 2, "l", "d", "LEFT") == [b"l", [b"a"]]
    assert c("LMPOP", 2, "nothing", "l", "right", "COUNT", 2) == [b"l", [b"e", b"d"]]
    assert c("LMPOP", 2, "l", "d", "LEFT", "count", (1 << 63) - 1) == [b"l", [b"b", b"c"]]
    assert c("LMPOP", 2, "l", "d", "LEFT", "COUNT", 10) == [b"d", [b"x"]]
    assert c("EXISTS", "l", "d") == 0


def test_errors_of_lmpop(c: Wire) -> None:
    c("SET", "s", "x")
    fill(c, "a")
    for name, before in (("LMPOP", ()), ("BLMPOP", ("0",))):
        assert (
            c(name, *before, 2, "nothing", "s", "LEFT") == c(name, *before, 2, "s", "l", "LEFT") == WRONGTYPE
        )
        for number in (0, -1, "x", "", 1 << 63):
            assert c(name, *before, number, "s", "LEFT") == NUMKEYS
        for count in (0, -1, "x", 1 << 63):
            assert c(name, *before, 1, "s", "LEFT", "COUNT", count) == COUNT
            assert c(name, *before, 1, "s", "LEFT", "COUNT", count, "FOO") == COUNT
        for rest in (
            (1, "s", "UP"),
            (2, "s", "LEFT"),
            ((1 << 63) - 1, "s", "LEFT"),
            (1, "s", "LEFT", "COUNT"),
            (1, "s", "LEFT", "FOO", 1),
            (1, "s", "LEFT", "COUNT", 1, "COUNT", 1),
            (1, "s", "LEFT", "COUNT", 1, "x"),
        ):
            assert c(name, *before, *rest) == SYNTAX_ERROR
        assert c(name, *before, 1, "s") == arity_error(name.lower())


# Waiting commands that need not wait


def test_nothing_to_wait_for(c: Wire) -> None:
    fill(c, *"abcdefg")
    assert c("BLPOP", "nothing", "l", "d", 0) == [b"l", b"a"]
    assert c("BRPOP", "l", 0) == [b"l", b"g"]
    assert c("BLMOVE", "l", "d", "LEFT", "RIGHT", 0) == b"b"
    assert c("BRPOPLPUSH", "l", "d", 0) == b"f"
    assert c("BLMPOP", 0, 2, "nothing", "l", "LEFT", "COUNT", 2) == [b"l", [b"c", b"d"]]
    assert (content(c), content(c, "d")) == (b"e", b"f b")
    assert c("BLPOP", "l", 0.01) == [b"l", b"e"]
    assert c("EXISTS", "l") == 0


def test_errors_of_waiting_commands(c: Wire) -> None:
    c("SET", "s", "x")
    for name in ("BLPOP", "BRPOP"):
        assert c(name, "s", 0) == c(name, "nothing", "s", 0) == WRONGTYPE
        assert c(name, "s", "x") == BAD_TIMEOUT
        assert c(name, "s", -1) == NEGATIVE_TIMEOUT
        assert c(name, "s") == arity_error(name.lower())
    for command in (
        ("BLMOVE", "s", "d", "LEFT", "LEFT"),
        ("BRPOPLPUSH", "s", "d"),
    ):
        assert c(*command, "x") == c(*command, "") == c(*command, "nan") == BAD_TIMEOUT
        assert c(*command, "-0.1e3") == NEGATIVE_TIMEOUT
    assert c("BLMPOP", "x", 1, "s", "LEFT") == BAD_TIMEOUT
    assert c("BLMPOP", -1, 1, "s", "LEFT") == NEGATIVE_TIMEOUT
    assert c("BLMPOP", "x", 0, "s", "LEFT") == NUMKEYS


@pytest.mark.parametrize("command", BLOCKING, ids=lambda command: command[0])
def test_nobody_waits_in_a_transaction(c: Wire, command: tuple[Argument, ...]) -> None:
    assert c("MULTI") == OK
    assert c(*command) == QUEUED
    moves = command[0] in ("BLMOVE", "BRPOPLPUSH")
    assert c("EXEC") == [c.null if moves else c.null_array]
    fill(c, "a")
    assert c("MULTI") == OK
    assert c(*command) == QUEUED
    replies = {"BLMOVE": b"a", "BRPOPLPUSH": b"a", "BLMPOP": [b"l", [b"a"]]}
    assert c("EXEC") == [replies.get(str(command[0]), [b"l", b"a"])]


# Waiting


@pytest.mark.parametrize("command", BLOCKING, ids=lambda command: command[0])
def test_timeouts(c: Wire, command: tuple[Argument, ...]) -> None:
    name, *rest = command
    rest[0 if name == "BLMPOP" else -1] = "0.05"
    begun = time.monotonic()
    assert c(name, *rest) == c.null_array
    assert 0.045 < time.monotonic() - begun < 1
    assert c("PING").text == "PONG"
    assert c("EXISTS", "l", "d") == 0


def test_the_element_goes_to_who_waits(c: Wire, connect: Connect) -> None:
    for command, pushed, reply in (
        (("BLPOP", "l", 0), "a", [b"l", b"a"]),
        (("BRPOP", "nothing", "l", 0), "a", [b"l", b"a"]),
        (("BLMOVE", "l", "d", "LEFT", "RIGHT", 0), "a", b"a"),
        (("BRPOPLPUSH", "l", "d", 0), "b", b"b"),
        (("BLMPOP", 0, 2, "nothing", "l", "LEFT", "COUNT", 3), "a", [b"l", [b"a"]]),
    ):
        waiting = block(connect(), *command)
        assert c("RPUSH", "l", pushed) == 1
        assert waiting.read() == reply
        assert c("EXISTS", "l") == 0
    assert content(c, "d") == b"b a"


def test_from_which_end(c: Wire, connect: Connect) -> None:
    for command, reply, left in (
        (("BLPOP", "l", 0), [b"l", b"a"], b"b c"),
        (("BRPOP", "l", 0), [b"l", b"c"], b"a b"),
        (("BLMPOP", 0, 1, "l", "RIGHT", "COUNT", 2), [b"l", [b"c", b"b"]], b"a"),
        (("BLMOVE", "l", "l", "LEFT", "RIGHT", 0), b"a", b"b c a"),
        (("BRPOPLPUSH", "l", "l", 0), b"c", b"c a b"),
    ):
        waiting = block(connect(), *command)
        assert c("RPUSH", "l", *"abc") == 3
        assert waiting.read() == reply
        assert content(c) == left
        c("DEL", "l")


def test_first_come_first_served(c: Wire, connect: Connect) -> None:
    waiting = [block(connect(), "BLPOP", "l", 0) for _ in range(4)]
    assert c("RPUSH", "l", "a", "b") == 2
    assert [waiting[0].read(), waiting[1].read()] == [[b"l", b"a"], [b"l", b"b"]]
    assert waiting[2].quiet()
    assert waiting[3].quiet()
    waiting[2].close()
    time.sleep(0.05)
    assert c("LPUSH", "l", "c", "d") == 2
    assert waiting[3].read() == [b"l", b"d"]
    assert content(c) == b"c"


def test_who_waits_for_several_keys(c: Wire, connect: Connect) -> None:
    waiting = block(connect(), "BLPOP", "a", "b", "a", "c", 0)
    assert c("RPUSH", "c", "1") == 1
    assert waiting.read() == [b"c", b"1"]
    block(waiting, "BLPOP", "a", "b", 0)
    assert c("RPUSH", "a", "3") == 1
    assert waiting.read() == [b"a", b"3"]
    assert c("RPUSH", "b", "4") == 1
    assert waiting.quiet()


def test_a_chain_of_moves(c: Wire, connect: Connect) -> None:
    last = block(connect(), "BLPOP", "z", 0)
    second = block(connect(), "BLMOVE", "b", "z", "LEFT", "LEFT", 0)
    first = block(connect(), "BRPOPLPUSH", "a", "b", 0)
    assert c("RPUSH", "a", "x") == 1
    assert first.read() == second.read() == b"x"
    assert last.read() == [b"z", b"x"]
    assert c("EXISTS", "a", "b", "z") == 0


def test_a_ring_of_moves(c: Wire, connect: Connect) -> None:
    there = block(connect(), "BLMOVE", "a", "b", "LEFT", "LEFT", 0)
    back = block(connect(), "BLMOVE", "b", "a", "LEFT", "LEFT", 0)
    assert c("RPUSH", "a", "x") == 1
    assert there.read() == back.read() == b"x"
    assert content(c, "a") == b"x"


def test_a_list_made_and_gone_in_a_transaction(c: Wire, connect: Connect) -> None:
    waiting = block(connect(), "BLPOP", "l", 0)
    c.pipeline([("MULTI",), ("RPUSH", "l", "a"), ("DEL", "l"), ("EXEC",)])
    assert waiting.quiet()
    c.pipeline([("MULTI",), ("RPUSH", "l", "a"), ("LPUSH", "l", "b"), ("LPOP", "l"), ("EXEC",)])
    assert waiting.read() == [b"l", b"a"]


def test_a_key_of_another_type_is_waited_out(c: Wire, connect: Connect) -> None:
    waiting = block(connect(), "BLPOP", "l", 0)
    assert c("SET", "l", "x") == OK
    assert c("DEL", "l") == 1
    assert c("SADD", "l", "x") == 1
    assert waiting.quiet()
    assert c("RENAME", "l", "s") == OK
    assert c("RPUSH", "l2", "a") == 1
    assert c("RENAME", "l2", "l") == OK
    assert waiting.read() == [b"l", b"a"]


def test_what_is_overwritten_serves_nobody(c: Wire, connect: Connect) -> None:
    """A key that was there and becomes one of the right type was not made; RENAME and COPY make it anew."""
    c.pipeline([("ZADD", "z", "1", "a"), ("RPUSH", "source", "a")])
    waiting = block(connect(), "BZPOPMIN", "k", 0)
    assert c("RPUSH", "k", "x") == 1
    assert c("ZUNIONSTORE", "k", 1, "z") == 1
    assert waiting.quiet()
    assert c("ZADD", "k", 2, "b") == 1
    assert waiting.quiet()
    other = block(connect(), "BLPOP", "k2", 0)
    assert c("SET", "k2", "x") == OK
    assert c("SORT", "source", "ALPHA", "STORE", "k2") == 1
    assert other.quiet()
    assert c("SET", "k2", "x") == OK
    assert c("COPY", "source", "k2", "REPLACE") == 1
    assert other.read() == [b"k2", b"a"]
    assert c("RENAME", "z", "k") == OK
    assert waiting.read() == [b"k", b"a", c.as_double("1")]


def test_what_another_type_is_overwritten_by_in_a_transaction(c: Wire, connect: Connect) -> None:
    """It serves nobody, unless somebody waits for the type that was made, be it for another key."""
    overwriting = [("MULTI",), ("RPUSH", "k", "x"), ("ZUNIONSTORE", "k", 1, "z"), ("EXEC",)]
    c("ZADD", "z", "1", "a")
    waiting = block(connect(), "BZPOPMIN", "k", 0)
    c.pipeline(overwriting)
    assert waiting.quiet()
    c("DEL", "k")
    block(connect(), "BLPOP", "other", 0)
    c.pipeline(overwriting)
    assert waiting.read() == [b"k", b"a", c.as_double("1")]


def test_a_destination_of_another_type(c: Wire, connect: Connect) -> None:
    waiting = block(connect(), "BLMOVE", "l", "d", "LEFT", "LEFT", 0)
    other = block(connect(), "BLPOP", "l", 0)
    assert c("SET", "d", "x") == OK
    assert c("RPUSH", "l", "a") == 1
    assert waiting.read() == WRONGTYPE
    assert other.read() == [b"l", b"a"]


@pytest.mark.since("7.4")
def test_the_order_of_the_keys_counts_not_that_of_the_pushes(c: Wire, connect: Connect) -> None:
    waiting = block(connect(), "BLPOP", "a", "b", "c", 0)
    c.pipeline([("MULTI",), ("RPUSH", "c", "1"), ("RPUSH", "b", "2"), ("EXEC",)])
    assert waiting.read() == [b"b", b"2"]
    assert content(c, "c") == b"1"


@pytest.mark.since("7.4")
def test_another_key_of_another_type_is_an_error_when_served(c: Wire, connect: Connect) -> None:
    waiting = block(connect(), "BLPOP", "a", "l", 0)
    assert c("SET", "a", "x") == OK
    assert c("RPUSH", "l", "x") == 1
    assert waiting.read() == WRONGTYPE
    assert content(c) == b"x"


def test_other_ways_to_make_a_list(c: Wire, connect: Connect) -> None:
    fill(c, "a", key="other")
    waiting = block(connect(), "BLPOP", "l", 0)
    assert c("COPY", "other", "l") == 1
    assert waiting.read() == [b"l", b"a"]
    block(waiting, "BLPOP", "l", 0)
    assert c("LMOVE", "other", "l", "LEFT", "LEFT") == b"a"
    assert waiting.read() == [b"l", b"a"]


def test_what_stands_behind_waits_too(c: Wire, connect: Connect) -> None:
    waiting = connect()
    for command in (("BLPOP", "l", 0), ("LLEN", "l"), ("BRPOP", "l", 0), ("PING",)):
        waiting.send(*command)
    assert waiting.quiet()
    assert c("RPUSH", "l", *"abc") == 3
    assert [waiting.read(), waiting.read(), waiting.read()] == [[b"l", b"a"], 2, [b"l", b"c"]]
    assert waiting.read().text == "PONG"
    assert content(c) == b"b"
