"""XINFO STREAM, GROUPS, CONSUMERS."""

from __future__ import annotations

import time

import pytest

from tests.commands.test_stream_groups import deliver
from tests.commands.test_streams import entry, fill
from tests.wire import NOT_AN_INTEGER, WRONGTYPE, Error, Reply, Wire, arity_error

NO_KEY = Error("ERR no such key")
_WRONG_WORDS = Error("ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.")


def lags(c: Wire) -> list[tuple[Reply, Reply]]:
    """Entries read and lag of each group of `s`."""
    rows = [
        dict(row.pairs if c.protocol == 3 else zip(row[::2], row[1::2], strict=True)) for row in groups(c)
    ]
    return [(row[b"entries-read"], row[b"lag"]) for row in rows]


def groups(c: Wire) -> list[Reply]:
    return list(c("XINFO", "GROUPS", "s"))


def group_row(c: Wire, name: str, consumers: int, pending: int, last: str, read: Reply, lag: Reply) -> Reply:
    return c.as_map(
        {
            b"name": name.encode(),
            b"consumers": consumers,
            b"pending": pending,
            b"last-delivered-id": last.encode(),
            b"entries-read": read,
            b"lag": lag,
        }
    )


def test_a_stream(c: Wire) -> None:
    deliver(c)
    c("XDEL", "s", "1", "4")
    assert c("XINFO", "STREAM", "s") == c.as_map(
        {
            b"length": 3,
            b"radix-tree-keys": 1,
            b"radix-tree-nodes": 2,
            b"last-generated-id": b"5-0",
            b"max-deleted-entry-id": b"4-0",
            b"entries-added": 5,
            b"recorded-first-entry-id": b"2-0",
            b"groups": 1,
            b"first-entry": entry("2-0", "n", "2"),
            b"last-entry": entry("5-0", "n", "5"),
        }
    )


def test_an_empty_stream(c: Wire) -> None:
    c("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    assert c("XINFO", "STREAM", "s") == c.as_map(
        {
            b"length": 0,
            b"radix-tree-keys": 0,
            b"radix-tree-nodes": 1,
            b"last-generated-id": b"0-0",
            b"max-deleted-entry-id": b"0-0",
            b"entries-added": 0,
            b"recorded-first-entry-id": b"0-0",
            b"groups": 1,
            b"first-entry": c.null,
            b"last-entry": c.null,
        }
    )


@pytest.mark.since("7.4")
def test_in_full(c: Wire) -> None:
    deliver(c, 2)
    c("XGROUP", "CREATECONSUMER", "s", "g", "idle")
    reply = c("XINFO", "STREAM", "s", "FULL", "COUNT", 1)
    rows = c("XPENDING", "s", "g", "-", "+", 1)
    delivered = _find(reply, b"groups")[0]
    times = [row[2] for row in _find(delivered, b"pending")]
    assert len(rows) == len(times) == 1
    consumers = _find(delivered, b"consumers")
    assert [_find(one, b"name") for one in consumers] == [b"idle", b"x"]
    assert [_find(one, b"active-time") for one in consumers] == [-1, times[0]]
    assert [_find(one, b"pel-count") for one in consumers] == [0, 2]
    assert [_find(one, b"pending") for one in consumers] == [[], [[b"1-0", times[0], 1]]]
    assert _find(delivered, b"pending") == [[b"1-0", b"x", times[0], 1]]
    assert _find(delivered, b"pel-count") == 2
    assert _find(delivered, b"lag") == 3
    assert _find(reply, b"entries") == [entry("1-0", "n", "1")]


def _find(reply: Reply, name: bytes) -> Reply:
    pairs = reply.pairs if not isinstance(reply, list) else zip(reply[::2], reply[1::2], strict=True)
    return dict(pairs)[name]


def test_how_much_full_shows(c: Wire) -> None:
    fill(c, 20)
    assert len(_find(c("XINFO", "STREAM", "s", "FULL"), b"entries")) == 10
    assert len(_find(c("XINFO", "STREAM", "s", "full", "count", -1), b"entries")) == 10
    assert len(_find(c("XINFO", "STREAM", "s", "FULL", "COUNT", 0), b"entries")) == 20


def test_groups(c: Wire) -> None:
    fill(c)
    assert c("XINFO", "GROUPS", "s") == []
    c("XGROUP", "CREATE", "s", "z", "$")
    c("XGROUP", "CREATE", "s", "a", "0")
    c("XGROUP", "CREATE", "s", "m", "3")
    c("XREADGROUP", "GROUP", "a", "x", "COUNT", 2, "STREAMS", "s", ">")
    assert c("XINFO", "GROUPS", "s") == [
        group_row(c, "a", 1, 2, "2-0", 2, 3),
        group_row(c, "m", 0, 0, "3-0", c.null, c.null),
        group_row(c, "z", 0, 0, "5-0", c.null, 0),
    ]


def test_the_lag_of_a_stream_without_deletions(c: Wire) -> None:
    fill(c)
    c("XGROUP", "CREATE", "s", "g", "0", "ENTRIESREAD", 0)
    assert lags(c) == [(0, 5)]
    c("XREADGROUP", "GROUP", "g", "x", "COUNT", 3, "STREAMS", "s", ">")
    assert lags(c) == [(3, 2)]
    c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", ">")
    assert lags(c) == [(5, 0)]
    c("XGROUP", "SETID", "s", "g", "1")
    c("XADD", "s", "9", "n", "9")
    assert lags(c)[0][0] == c.null


@pytest.mark.since("7.4")
def test_the_lag_with_deletions(c: Wire) -> None:
    deliver(c, 2)
    assert lags(c) == [(2, 3)]
    c("XDEL", "s", "4")
    assert lags(c) == [(2, c.null)]
    c("XDEL", "s", "1", "2", "3")  # the deleted ones are all before the first: what is left is to be read
    assert lags(c) == [(2, 1)]
    c("XREADGROUP", "GROUP", "g", "x", "STREAMS", "s", ">")
    assert lags(c) == [(5, 0)]
    c("XDEL", "s", "5")
    assert lags(c) == [(5, 0)]


@pytest.mark.since("7.4")
def test_the_lag_after_trimming(c: Wire) -> None:
    deliver(c, 1)
    c("XTRIM", "s", "MAXLEN", 2)
    assert lags(c) == [(1, 2)]  # the group's last id is before the first entry, so its counter says nothing
    c("XREADGROUP", "GROUP", "g", "x", "COUNT", 1, "STREAMS", "s", ">")
    assert lags(c) == [(4, 1)]


@pytest.mark.since("7.4")
def test_consumers(c: Wire) -> None:
    deliver(c, 2)
    time.sleep(0.02)
    c("XREADGROUP", "GROUP", "g", "a", "NOACK", "STREAMS", "s", ">")
    rows = c("XINFO", "CONSUMERS", "s", "g")
    assert [_find(row, b"name") for row in rows] == [b"a", b"x"]
    assert [_find(row, b"pending") for row in rows] == [0, 2]
    assert _find(rows[0], b"inactive") == -1
    assert 20 <= _find(rows[1], b"inactive") < 5000
    assert 0 <= _find(rows[0], b"idle") < _find(rows[1], b"idle") < 5000


def test_errors(c: Wire) -> None:
    for words in (("STREAM", "s"), ("GROUPS", "s"), ("CONSUMERS", "s", "g"), ("STREAM", "s", "FULL")):
        assert c("XINFO", *words) == NO_KEY
    fill(c)
    assert c("XINFO", "CONSUMERS", "s", "g") == Error("NOGROUP No such consumer group 'g' for key name 's'")
    for options in (("FOO",), ("FULL", "COUNT"), ("FULL", "FOO", "1"), ("FULL", "COUNT", "1", "2")):
        assert c("XINFO", "STREAM", "s", *options) == _WRONG_WORDS
    assert c("XINFO", "STREAM", "s", "FULL", "COUNT", "x") == NOT_AN_INTEGER
    assert c("XINFO") == arity_error("xinfo")
    assert c("XINFO", "GROUPS") == arity_error("xinfo|groups")
    assert c("XINFO", "HELP")[0].text == "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"


def test_wrong_types(c: Wire, wrong: str) -> None:
    for words in (("STREAM", wrong), ("GROUPS", wrong), ("CONSUMERS", wrong, "g")):
        assert c("XINFO", *words) == WRONGTYPE
