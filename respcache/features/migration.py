"""MIGRATE: what is said to the other server, and what is made of its answers. The connection is somebody else's matter.

    [AUTH ...]  [SELECT db]  RESTORE key ttl payload [REPLACE]  RESTORE ...

Each command is answered with a line. They are all sent before the first answer is read, but made only as they are sent:
of a big batch there is one value at a time in memory, and the loop turns while it is made. The keys are held meanwhile,
so nothing can happen to them but that their time is over.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from respcache.persistence.payload import PIECE, pack, pack_pieces
from respcache.persistence.rdb_write import DEFAULT, Format
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import bulk, bulks
from respcache.store.database import Database, Value
from respcache.store.lazyfree import is_heavy

MOST = 64
"""Small values that are gathered: to make them takes a millisecond."""

NOT_CONNECTED = ReplyError(b"IOERR error or timeout connecting to the client")
NOT_WRITTEN = ReplyError(b"IOERR error or timeout writing to target instance")
NOT_READ = ReplyError(b"IOERR error or timeout reading to target instance")


class Channel(Protocol):
    """A connection to the other server. Whatever takes longer than it may raises TimeoutError, and what fails another
    OSError."""

    selected: int
    """The database that was selected last; -1: unknown."""

    async def write(self, data: bytes | memoryview) -> None:
        """Sends something."""

    async def read(self) -> bytes:
        """The next line that was answered, without its end."""

    def close(self) -> None:
        """It is of no use any more."""


Open = Callable[[bool], Awaitable[Channel]]
"""Gives a connection, which must be a new one if so asked. Raises OSError or ValueError."""


@dataclass(slots=True)
class Batch:
    """Keys of a database that are to be on another server."""

    host: str
    port: int
    index: int
    """Of the database there."""
    seconds: float
    """How long the other server may be silent."""
    db: Database
    keys: Sequence[bytes]
    """All of which are there when the batch is made, and held from then on."""
    copy: bool = False
    """They stay here as well."""
    replace: bool = False
    """They take the place of what is there."""
    auth: tuple[bytes, ...] = ()
    """Behind the word AUTH; empty: without."""
    asking: bool = False
    """The slot is being imported there."""
    form: Format = DEFAULT
    compress: int = True
    confirmed: list[bytes] = field(default_factory=list)
    """Keys that the other server has."""
    refusal: bytes = b""
    """The first error that the other server replied; empty: none."""

    @property
    def answers(self) -> int:
        """How many there are at most: to AUTH, to SELECT, and for each key."""
        return len(self.keys) + 2

    # What is sent

    def requests(self, select: bool, sent: list[bytes]) -> Iterator[bytes | memoryview]:
        """All that is to be sent, in pieces, some of which are empty: then something big is being made.

        `sent` gets each key when it is. Keys that have expired are left out.
        """
        parts: list[bytes] = []
        if self.auth:
            parts.append(bulks((b"AUTH", *self.auth)))
        if select:
            parts.append(bulks((b"SELECT", b"%d" % self.index)))
        name = b"RESTORE-ASKING" if self.asking else b"RESTORE"
        head = b"*%d\r\n%b" % (5 if self.replace else 4, bulk(name))
        tail = b"\r\n$7\r\nREPLACE\r\n" if self.replace else b"\r\n"
        size = count = 0
        for key in self.keys:
            value = self.db.peek(key)
            if value is None:
                continue
            if _is_big(value):
                payload = yield from self._big(key, value)
                if not payload:
                    continue
                parts += head, self._key(key), b"$%d\r\n" % sum(map(len, payload))
                sent.append(key)
                yield b"".join(parts)
                yield from payload
                parts, size, count = [tail], 0, 0
            else:
                packed = pack(value, self.form, self.compress)
                parts += head, self._key(key), b"$%d\r\n" % len(packed), packed, tail
                sent.append(key)
                size += len(packed)
                count += 1
                if size >= PIECE or count >= MOST:
                    yield b"".join(parts)
                    parts, size, count = [], 0, 0
        if parts:
            yield b"".join(parts)

    def _key(self, key: bytes) -> bytes:
        """A key and its time to live, the first arguments of RESTORE."""
        when = self.db.deadline(key)
        ttl = max(when - self.db.clock.ms(), 1) if when is not None else 0
        return bulk(key) + bulk(b"%d" % ttl)

    def _big(self, key: bytes, value: Value) -> Generator[bytes, None, list[bytes | memoryview]]:
        """The payload of a big value in pieces; none if the key expires before it is made."""
        payload: list[bytes | memoryview] = []
        compress = 0 if isinstance(value, bytes | bytearray) else self.compress
        for piece in pack_pieces(value, self.form, compress):
            payload.append(piece)
            yield b""
            if self.db.peek(key) is not value:
                return []
        return payload

    # What is made of it

    async def deliver(self, connect: Open) -> ReplyError | None:
        """Sends the keys and takes the answers. Returns what went wrong, if anything did.

        If the connection fails before the first key is answered for, a new one is tried, once: an old one may have
        been closed while nobody used it.
        """
        if not self.host:  # which Python takes for this machine
            return NOT_CONNECTED
        for attempt in count():
            try:
                channel = await connect(attempt > 0)
            except (TimeoutError, socket.gaierror, ValueError):
                return NOT_CONNECTED
            except OSError:  # refused: Redis finds that out when it writes
                if attempt:
                    return NOT_WRITTEN
                continue
            sent: list[bytes] = []
            begun = written = answered = False
            try:
                select = channel.selected != self.index
                for piece in self.requests(select, sent):
                    await channel.write(piece)
                    begun = True
                written = True
                denied = b""
                for _ in range(bool(self.auth) + select):
                    denied = denied or _refusal(await channel.read())
                for key in sent:
                    line = await channel.read()
                    answered = True
                    self._answered(key, denied or _refusal(line))
            except OSError as failure:
                channel.close()
                timed_out = isinstance(failure, TimeoutError)
                if answered or attempt or timed_out:
                    closed_at_once = not begun and not timed_out  # which Redis finds out when it reads
                    return self._refused() or (NOT_READ if written or closed_at_once else NOT_WRITTEN)
            except BaseException:
                channel.close()
                raise
            else:
                channel.selected = -1 if self.refusal else self.index
                return self._refused()
        raise AssertionError("it ends at the second attempt")

    def _answered(self, key: bytes, refusal: bytes) -> None:
        if not refusal:
            self.confirmed.append(key)
        elif not self.refusal:
            self.refusal = refusal

    def _refused(self) -> ReplyError | None:
        if not self.refusal:
            return None
        return ReplyError(b"ERR Target instance replied with error: " + self.refusal[1:])


def _refusal(line: bytes) -> bytes:
    """A line that is an error; empty if it is something else."""
    return line if line[:1] == b"-" else b""


def _is_big(value: Value) -> bool:
    """Whether the loop shall turn while it is made. A hash whose fields expire changes in between: it is not."""
    if isinstance(value, bytes | bytearray):
        return len(value) > PIECE
    return is_heavy(value) and not getattr(value, "deadlines", None)


class Migrating(Protocol):
    """Who moves keys to other servers."""

    @property
    def cached(self) -> int:
        """How many connections are kept for a next time."""

    def move(self, batch: Batch, done: Callable[[ReplyError | None], None]) -> None:
        """Moves keys. They are held until `done` is called with what went wrong, if anything did."""

    def move_now(self, batch: Batch) -> ReplyError | None:
        """Moves keys, and everybody waits. Returns what went wrong."""
