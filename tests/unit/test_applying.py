"""Applying a master's stream, in pieces of any size."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest

import respcache
from respcache.applying import Applier, DesyncError
from respcache.protocol.reply import bulks
from respcache.protocol.request import RequestReader
from respcache.replaying import NoConnection
from respcache.state import ServerState

SELECT = bulks([b"SELECT", b"1"])
MULTI, EXEC = bulks([b"MULTI"]), bulks([b"EXEC"])
PING = b"*1\r\n$4\r\nping\r\n"
GETACK = bulks([b"REPLCONF", b"GETACK", b"*"])


class Replica:
    """An applier of a server that has no socket, and what it told."""

    def __init__(self) -> None:
        self.state: ServerState = respcache.Server(port=0).state
        self.state.loop = asyncio.new_event_loop()
        self.state.history.create_backlog(1 << 20)
        self.applier = Applier(self.state, NoConnection(), b"", b"")
        self.told: list[int] = []
        self.applier.acknowledge = self.told.append

    def feed(self, data: bytes, size: int) -> None:
        for at in range(0, len(data), size):
            self.applier.feed(data[at : at + size])

    @property
    def offset(self) -> int:
        return self.state.history.offset

    def get(self, key: bytes, db: int = 0) -> object:
        return self.state.keyspace.databases[db].peek(key)


@pytest.fixture
def replica() -> Iterator[Replica]:
    made = Replica()
    yield made
    made.state.loop.close()


@pytest.mark.parametrize("size", [1, 2, 13, 64, 10**6])
def test_all_bytes_reach_the_history(replica: Replica, size: int) -> None:
    words = [b"SET", b"k", b"\r\n*3\r\n$3\r\nSET\r\n"]
    big = bulks([b"set", b"big", b"x" * 50_000])
    data = (
        bulks(words) + PING + SELECT + bulks([b"APPEND", b"l", b"12"]) + big + b"\n" + bulks([b"INCR", b"n"])
    )
    if size < 13:
        data = data.replace(big, b"")
    replica.feed(data, size)
    assert replica.offset == replica.applier.read == len(data)
    assert replica.state.history.since(1) == data
    assert replica.applier.pending == 0
    assert replica.get(b"k") == words[2]
    assert replica.get(b"n", 1) == 1
    assert bytes(replica.get(b"l", 1)) == b"12"  # type: ignore[call-overload]
    assert replica.applier.errors == 0


def test_random_pieces(replica: Replica) -> None:
    dice = random.Random(5)
    data = expected = b""
    for number in range(3000):
        fate = dice.random()
        if fate < 0.8:
            text = b"%d" % number + dice.choice([b"\r\n*", b"\r\n", b"x" * dice.randrange(200)])
            data += bulks([b"APPEND", b"l", text])
            expected += text
        elif fate < 0.9:
            data += MULTI + bulks([b"INCR", b"n"]) * dice.randrange(20) + EXEC
        else:
            data += PING
    at = 0
    while at < len(data):
        count = dice.choice([1, 7, 100, 5000, 40_000])
        replica.applier.feed(data[at : at + count])
        at += count
        assert replica.offset + replica.applier.pending == replica.applier.read
    assert replica.state.history.since(1) == data
    assert bytes(replica.get(b"l")) == expected  # type: ignore[call-overload]
    assert replica.get(b"n") == data.count(b"INCR")


def test_a_transaction_is_one(replica: Replica) -> None:
    before = bulks([b"SET", b"a", b"1"])
    inside = bulks([b"INCR", b"a"]) + bulks([b"SET", b"b", MULTI])
    replica.applier.feed(before + MULTI + inside)
    assert replica.offset == len(before)
    assert replica.applier.read == len(before + MULTI + inside)
    assert replica.get(b"a") == b"1"
    replica.applier.feed(EXEC[:5])
    assert replica.offset == len(before)
    replica.applier.feed(EXEC[5:] + PING)
    assert replica.offset == replica.applier.read
    assert replica.get(b"a") == 2
    assert replica.state.history.since(1) == before + MULTI + inside + EXEC + PING


def test_a_cut_inside_of_a_transaction(replica: Replica) -> None:
    replica.applier.feed(PING + MULTI + bulks([b"INCR", b"a"]))
    replica.applier.follow(NoConnection(), b"", b"")
    assert replica.applier.read == replica.offset == len(PING)
    replica.applier.feed(MULTI + bulks([b"INCR", b"a"]) + EXEC)
    assert replica.get(b"a") == 1


@pytest.mark.parametrize("size", [1, 1000])
def test_the_offset_before_the_question(replica: Replica, size: int) -> None:
    """Of several in one piece the last is answered: that says it all."""
    replica.feed(PING + GETACK + PING + GETACK, size)
    assert replica.told == [len(PING), len(PING + GETACK + PING)][-1 if size > 1 else 0 :]


def test_a_piece_is_not_read_again_for_each_question_or_transaction(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that has fallen behind gets many at once, and must catch up."""
    read: list[int] = []
    reader_behind = replica.applier._reader_behind

    def counted(piece: bytes, count: int) -> RequestReader:
        read.append(count)
        return reader_behind(piece, count)

    monkeypatch.setattr(replica.applier, "_reader_behind", counted)
    unit = MULTI + bulks([b"INCR", b"n"]) + EXEC + GETACK
    replica.applier.feed(unit * 50 + MULTI)
    assert replica.get(b"n") == 50
    assert replica.told == [50 * len(unit) - len(GETACK)]
    assert replica.offset == 50 * len(unit)
    assert len(read) == 2


def test_nothing_is_due(replica: Replica) -> None:
    replica.applier.feed(bulks([b"SET", b"a", b"1", b"PXAT", b"1000"]) + bulks([b"INCR", b"a"]))
    assert replica.state.keyspace.databases[0].size == 1
    assert replica.get(b"a") is None
    replica.applier.feed(bulks([b"DEL", b"a"]))
    assert replica.state.keyspace.databases[0].size == 0


def test_commands_that_fail_are_passed_over(replica: Replica) -> None:
    data = bulks([b"NOSUCH"]) + bulks([b"INCR"]) + bulks([b"SET", b"a", b"x"]) + bulks([b"INCR", b"a"]) + PING
    replica.applier.feed(data)
    assert replica.offset == len(data)
    assert replica.applier.errors == 3


@pytest.mark.parametrize("bad", [b"PING\r\n", b"*1\r\n:5\r\n", b"*x\r\n", b"+OK\r\n", b"*1\r\n$x\r\n"])
def test_what_is_no_stream(replica: Replica, bad: bytes) -> None:
    good = bulks([b"SET", b"a", b"1"])
    with pytest.raises(DesyncError):
        replica.applier.feed(good + bad)
    assert replica.get(b"a") == b"1"
    assert replica.offset <= len(good)


def test_commands_are_counted(replica: Replica) -> None:
    replica.applier.feed(bulks([b"SET", b"a", b"1"]) * 5 + PING)
    stats = replica.state.stats.commands
    assert stats["set"].calls == 5
    assert stats["ping"].calls == 1


def test_the_append_only_file_is_told(replica: Replica) -> None:
    tap = replica.state.propagator.tap()
    replica.applier.feed(
        SELECT + PING + bulks([b"set", b"a", b"1"]) + MULTI + bulks([b"INCR", b"n"]) * 2 + EXEC
    )
    replica.applier.feed(bulks([b"XGROUP", b"CREATE", b"x", b"g", b"$", b"MKSTREAM"]))
    incr = bulks([b"INCR", b"n"])
    assert tap.take() == (
        SELECT
        + bulks([b"SET", b"a", b"1"])
        + MULTI
        + incr * 2
        + EXEC
        + bulks([b"XGROUP", b"CREATE", b"x", b"g", b"$", b"MKSTREAM"])
    )


def test_the_master_among_the_clients(replica: Replica) -> None:
    client = replica.applier.client
    assert client.kind == "master"
    assert client.listens
