"""Sorted sets: members taken off either end, at once or when there are some."""

from __future__ import annotations

from tests.commands.conftest import Connect
from tests.wire import SYNTAX_ERROR, WRONGTYPE, Error, Reply, Verbatim, Wire, arity_error

POSITIVE = Error("ERR value is out of range, must be positive")
NUMKEYS = Error("ERR numkeys should be greater than 0")
COUNT = Error("ERR count should be greater than 0")


def fill(c: Wire, key: str = "z") -> None:
    c("ZADD", key, "1", "a", "2", "b", "3.5", "c")


def pairs(c: Wire, *words: str) -> Reply:
    """Members and scores as pairs, in both protocols."""
    return [
        [member.encode(), c.as_double(score)] for member, score in zip(words[::2], words[1::2], strict=True)
    ]


def flat(c: Wire, *words: str) -> Reply:
    """Members and scores: flat, in RESP3 as pairs."""
    if c.protocol == 3:
        return pairs(c, *words)
    return [word.encode() for word in words]


def test_pop_one(c: Wire, wrong: str) -> None:
    fill(c)
    assert c("ZPOPMIN", "z") == [b"a", c.as_double("1")]
    assert c("ZPOPMAX", "z") == [b"c", c.as_double("3.5")]
    assert c("ZPOPMAX", "z") == [b"b", c.as_double("2")]
    assert c("EXISTS", "z") == 0
    for name in ("ZPOPMIN", "ZPOPMAX"):
        assert c(name, "z") == []
        assert c(name, wrong) == WRONGTYPE
        assert c(name) == arity_error(name.lower())


def test_pop_several(c: Wire, wrong: str) -> None:
    fill(c)
    assert c("ZPOPMIN", "z", 2) == flat(c, "a", "1", "b", "2")
    fill(c)
    assert c("ZPOPMAX", "z", 2) == flat(c, "c", "3.5", "b", "2")
    assert c("ZPOPMAX", "z", 1) == flat(c, "a", "1")
    assert c("EXISTS", "z") == 0
    fill(c)
    assert c("ZPOPMAX", "z", 100) == flat(c, "c", "3.5", "b", "2", "a", "1")
    assert c("EXISTS", "z") == 0
    fill(c)
    for name in ("ZPOPMIN", "ZPOPMAX"):
        assert c(name, "z", 0) == c(name, "nothing", 0) == c(name, "nothing", 3) == []
        assert (
            c(name, "z", -1) == c(name, "z", "x") == c(name, "nothing", -1) == c(name, wrong, "x") == POSITIVE
        )
        assert c(name, "z", 1, 2) == SYNTAX_ERROR
        assert c(name, wrong, 0) == WRONGTYPE
    assert c("ZCARD", "z") == 3


def test_a_queue(c: Wire) -> None:
    c("ZADD", "z", *(word for number in range(2000) for word in (number * 7 % 2000, f"m{number * 7 % 2000}")))
    for number in range(500):
        assert c("ZPOPMIN", "z")[0] == b"m%d" % number
        assert c("ZPOPMAX", "z")[0] == b"m%d" % (1999 - number)
    assert c("ZPOPMIN", "z", 900)[0] in (b"m500", [b"m500", c.as_double("500")])
    assert c("ZRANGE", "z", 0, 0) == [b"m1400"]
    assert c("ZCARD", "z") == 100


def test_zmpop(c: Wire, wrong: str) -> None:
    fill(c)
    fill(c, "y")
    assert c("ZMPOP", 3, "nothing", "z", "y", "MIN") == [b"z", pairs(c, "a", "1")]
    assert c("ZMPOP", 1, "z", "max", "count", 5) == [b"z", pairs(c, "c", "3.5", "b", "2")]
    assert c("ZMPOP", 2, "z", "y", "MAX", "COUNT", 2) == [b"y", pairs(c, "c", "3.5", "b", "2")]
    assert c("ZMPOP", 2, "nothing", "z", "MIN") == c.null_array
    assert c("ZMPOP", 2, wrong, "y", "MIN") == WRONGTYPE
    assert c("ZMPOP", 2, "y", wrong, "MIN") == [b"y", pairs(c, "a", "1")]


def test_zmpop_errors(c: Wire) -> None:
    fill(c)
    for number in ("0", "-1", "x", ""):
        assert c("ZMPOP", number, "z", "MIN") == c("BZMPOP", 0, number, "z", "MIN") == NUMKEYS
    for words in (
        (1, "z", "MID"),
        (2, "z", "MIN"),
        (10, "z", "MIN"),
        (1, "z", "MIN", "COUNT"),
        (1, "z", "MIN", "LIMIT", 1),
        (1, "z", "MIN", "COUNT", 1, "COUNT", 1),
        (1, "z", "y", "MIN"),
    ):
        assert c("ZMPOP", *words) == c("BZMPOP", 0, *words) == SYNTAX_ERROR
    for count in ("0", "-1", "x"):
        assert c("ZMPOP", 1, "z", "MIN", "COUNT", count) == COUNT
        assert c("BZMPOP", 0, 1, "z", "MIN", "COUNT", count) == COUNT
    assert c("ZMPOP", 1, "z") == arity_error("zmpop")
    assert c("BZMPOP", 1, 1, "z") == arity_error("bzmpop")
    assert c("ZCARD", "z") == 3


# Waiting


def test_no_need_to_wait(c: Wire) -> None:
    fill(c)
    assert c("BZPOPMIN", "nothing", "z", 0) == [b"z", b"a", c.as_double("1")]
    assert c("BZPOPMAX", "z", "nothing", 0.5) == [b"z", b"c", c.as_double("3.5")]
    fill(c)
    assert c("BZMPOP", 0, 2, "nothing", "z", "MAX", "COUNT", 2) == [b"z", pairs(c, "c", "3.5", "b", "2")]


def test_timeouts(c: Wire, wrong: str) -> None:
    assert c("BZPOPMIN", "nothing", 0.01) == c.null_array
    assert c("BZPOPMAX", "nothing", "other", 0.01) == c.null_array
    assert c("BZMPOP", 0.01, 1, "nothing", "MIN") == c.null_array
    negative = Error("ERR timeout is negative")
    not_float = Error("ERR timeout is not a float or out of range")
    for name in ("BZPOPMIN", "BZPOPMAX"):
        assert c(name, wrong, -1) == negative
        assert c(name, wrong, "x") == not_float
        assert c(name, wrong, 0) == c(name, "nothing", wrong, 0) == WRONGTYPE
        assert c(name, "z") == arity_error(name.lower())
    assert c("BZMPOP", "x", 1, wrong, "MIN") == not_float
    assert c("BZMPOP", "x", 1, wrong, "MID") == SYNTAX_ERROR
    assert c("BZMPOP", -1, 1, wrong, "MIN") == negative
    assert c("BZMPOP", 0, 1, wrong, "MIN") == WRONGTYPE


def wait_for_blocked(c: Wire, count: int) -> None:
    """Returns once so many clients are blocked."""
    for _ in range(1000):
        info = c("INFO", "clients")
        if b"blocked_clients:%d\r\n" % count in (info.data if isinstance(info, Verbatim) else info):
            return
    raise AssertionError(f"never {count} blocked clients")


def test_woken(c: Wire, connect: Connect) -> None:
    waiting = connect()
    waiting.send("BZPOPMAX", "other", "z", 0)
    wait_for_blocked(c, 1)
    c("RPUSH", "z", "of another type")
    c("DEL", "z")
    fill(c)
    assert waiting.read() == [b"z", b"c", c.as_double("3.5")]
    assert c("ZRANGE", "z", 0, -1) == [b"a", b"b"]


def test_first_come_first_served(c: Wire, connect: Connect) -> None:
    waiting = [connect() for _ in range(3)]
    commands = [("BZPOPMIN", "z", 0), ("BZMPOP", 0, 1, "z", "MAX", "COUNT", 1), ("BZPOPMAX", "z", 0)]
    for count, client in enumerate(waiting):
        client.send(*commands[count])
        wait_for_blocked(c, count + 1)
    assert c("ZADD", "z", 1, "a", 2, "b", 3, "c", 4, "d") == 4
    assert waiting[0].read() == [b"z", b"a", c.as_double("1")]
    assert waiting[1].read() == [b"z", pairs(c, "d", "4")]
    assert waiting[2].read() == [b"z", b"c", c.as_double("3")]
    assert c("ZRANGE", "z", 0, -1) == [b"b"]
    assert c("ZREM", "z", "b") == 1


def test_stored_sets_wake(c: Wire, connect: Connect) -> None:
    fill(c, "source")
    client = connect()
    client.send("BZPOPMIN", "z", 0)
    wait_for_blocked(c, 1)
    assert c("ZUNIONSTORE", "z", 1, "source") == 3
    assert client.read() == [b"z", b"a", c.as_double("1")]


def test_nobody_waits_in_a_transaction(c: Wire) -> None:
    c("MULTI")
    c("BZPOPMIN", "z", 0)
    c("BZMPOP", 0, 1, "z", "MIN")
    assert c("EXEC") == [c.null_array, c.null_array]
