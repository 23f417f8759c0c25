"""What is said to the other server, and what is made of its answers: with one that is a list of lines."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any

import pytest

from respcache.clock import Clock
from respcache.features.migration import NOT_CONNECTED, NOT_READ, NOT_WRITTEN, Batch
from respcache.persistence.payload import PIECE, pack
from respcache.protocol.errors import ReplyError
from respcache.store.database import Database
from respcache.store.keyspace import Keyspace
from respcache.store.list import make_list
from tests.wire import encode

NOW = 1_000_000


class Script:
    """A channel that gives these answers; an exception is raised instead."""

    def __init__(self, answers: Iterable[bytes | Exception] = (), fails: Exception | None = None) -> None:
        self.selected = -1
        self.answers = list(answers)
        self.fails = fails
        self.wrote = b""
        self.closed = False

    async def write(self, data: bytes | memoryview) -> None:
        if self.fails is not None:
            raise self.fails
        self.wrote += data

    async def read(self) -> bytes:
        answer = self.answers.pop(0) if self.answers else ConnectionResetError()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def db() -> Database:
    made: Database = Keyspace(1, Clock(lambda: NOW)).databases[0]
    for key in (b"a", b"b"):
        made.set(key, b"value of " + key)
    return made


def batch(db: Database, *keys: bytes, **options: Any) -> Batch:
    return Batch("host", 6379, 0, 1.0, db, keys or (b"a", b"b"), **options)


def said(made: Batch, select: bool = False) -> tuple[bytes, list[bytes]]:
    sent: list[bytes] = []
    return b"".join(made.requests(select, sent)), sent


def deliver(made: Batch, *channels: Script | Exception) -> ReplyError | None:
    """Delivers a batch over these, one after another; the second one must be asked for as a new one."""
    opened: list[bool] = []

    async def connect(anew: bool) -> Script:
        opened.append(anew)
        channel = channels[len(opened) - 1]
        if isinstance(channel, Exception):
            raise channel
        return channel

    error = asyncio.run(made.deliver(connect))
    assert opened == [False, True][: len(channels)]
    return error


def test_requests(db: Database) -> None:
    db.expire_at(b"b", NOW + 5)
    a, b = (pack(b"value of " + key) for key in (b"a", b"b"))
    assert said(batch(db)) == (encode("RESTORE", "a", 0, a) + encode("RESTORE", "b", 5, b), [b"a", b"b"])
    every = batch(db, replace=True, asking=True, auth=(b"user", b"word"))
    assert said(every, True)[0] == (
        encode("AUTH", "user", "word")
        + encode("SELECT", 0)
        + encode("RESTORE-ASKING", "a", 0, a, "REPLACE")
        + encode("RESTORE-ASKING", "b", 5, b, "REPLACE")
    )


def test_what_has_expired_is_left_out(db: Database) -> None:
    made = batch(db)
    db.expire_at(b"a", NOW)
    assert said(made) == (encode("RESTORE", "b", 0, pack(b"value of b")), [b"b"])
    db.delete(b"b")
    assert said(made) == (b"", [])


def test_big_values_come_in_pieces(db: Database) -> None:
    text = bytes(range(256)) * 2000
    db.set(b"text", text)
    db.set(b"list", make_list([b"%d" % number for number in range(5000)], 128))
    made = batch(db, b"text", b"list", b"a", replace=True, compress=0)
    pieces = list(made.requests(False, []))
    assert max(map(len, pieces)) <= PIECE
    assert pieces.count(b"") > 10  # turns of the loop
    assert b"".join(pieces) == b"".join(
        encode("RESTORE", key, 0, pack(db.peek(key), made.form, 0), "REPLACE") for key in made.keys
    )


def test_many_small_ones_are_gathered(db: Database) -> None:
    keys = [b"%d" % number for number in range(1000)]
    for key in keys:
        db.set(key, b"v")
    pieces = list(batch(db, *keys).requests(False, []))
    assert 10 < len(pieces) < 20


def test_a_big_key_that_expires_while_it_is_made(db: Database) -> None:
    db.set(b"text", bytes(1_000_000))
    sent: list[bytes] = []
    pieces = batch(db, b"text", b"a").requests(False, sent)
    assert next(pieces) == b""
    db.delete(b"text")
    assert b"".join(pieces) == encode("RESTORE", "a", 0, pack(b"value of a"))
    assert sent == [b"a"]


def test_all_goes_well(db: Database) -> None:
    made, channel = batch(db), Script([b"+OK", b"+OK", b"+OK"])
    assert deliver(made, channel) is None
    assert made.confirmed == [b"a", b"b"]
    assert channel.selected == 0
    again = Script([b"+OK"])
    again.selected = 0
    assert deliver(batch(db, b"a"), again) is None
    assert b"SELECT" not in again.wrote


@pytest.mark.parametrize(
    ("answers", "text", "confirmed"),
    [
        ([b"+OK", b"-ERR one", b"-ERR two"], b"ERR one", []),
        ([b"+OK", b"-ERR one", b"+OK"], b"ERR one", [b"b"]),
        ([b"-ERR select", b"+OK", b"+OK"], b"ERR select", []),
        ([b"+OK", b"-", b"+OK"], b"", [b"b"]),
        ([b"+OK", b"-ERR one"], b"ERR one", []),  # and then it is lost
    ],
)
def test_refusals(db: Database, answers: list[bytes], text: bytes, confirmed: list[bytes]) -> None:
    made, channel = batch(db), Script(answers)
    error = deliver(made, channel)
    assert error is not None
    assert error.text == b"ERR Target instance replied with error: " + text
    assert made.confirmed == confirmed
    assert channel.selected == -1
    assert channel.closed == (len(answers) == 2)


def test_a_bad_password(db: Database) -> None:
    made = batch(db, auth=(b"word",))
    error = deliver(made, Script([b"-WRONGPASS no", b"+OK", b"+OK", b"+OK"]))
    assert error is not None
    assert error.text == b"ERR Target instance replied with error: WRONGPASS no"
    assert made.confirmed == []


def test_it_is_tried_again(db: Database) -> None:
    made = batch(db)
    first = Script([b"+OK"])
    assert deliver(made, first, Script([b"+OK"] * 3)) is None
    assert first.closed
    assert made.confirmed == [b"a", b"b"]
    assert deliver(batch(db), Script(), Script()) is NOT_READ
    assert deliver(batch(db), Script(fails=OSError()), Script(fails=OSError())) is NOT_READ
    assert deliver(batch(db), ConnectionRefusedError(), ConnectionRefusedError()) is NOT_WRITTEN
    assert deliver(batch(db), ConnectionRefusedError(), Script([b"+OK"] * 3)) is None


def test_it_is_not_tried_again(db: Database) -> None:
    assert deliver(batch(db), Script([TimeoutError()])) is NOT_READ
    assert deliver(batch(db), Script(fails=TimeoutError())) is NOT_WRITTEN
    made = batch(db)
    assert deliver(made, Script([b"+OK", b"+OK"])) is NOT_READ
    assert made.confirmed == [b"a"]


def test_what_is_lost_later_was_being_written(db: Database) -> None:
    class Short(Script):
        async def write(self, data: bytes | memoryview) -> None:
            if self.wrote:
                raise OSError
            self.wrote += data

    db.set(b"text", bytes(1_000_000))
    assert deliver(batch(db, b"a", b"text", compress=0), Short(), Short()) is NOT_WRITTEN


def test_no_connection(db: Database) -> None:
    for error in (TimeoutError(), socket.gaierror(), UnicodeError()):
        assert deliver(batch(db), error) is NOT_CONNECTED
    nowhere = batch(db)
    nowhere.host = ""
    assert deliver(nowhere) is NOT_CONNECTED


def test_whoever_is_interrupted_closes_the_channel(db: Database) -> None:
    channel = Script(fails=MemoryError())
    with pytest.raises(MemoryError):
        deliver(batch(db), channel)
    assert channel.closed
