"""What has changed, as commands: for the append-only file, and for replicas.

The layer `respcache.propagating` gives what commands did, the databases tell what went by itself: keys and fields
whose time was over, keys that were evicted. A unit is what must be replayed as a whole or not at all; if it is more
than one command, MULTI and EXEC stand around it. Format and order: those of Redis 7.2 and newer, in which the SELECT
of a unit stands inside of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from respcache.protocol.reply import bulks
from respcache.store.database import Database
from respcache.store.keyspace import Keyspace

MULTI = bulks([b"MULTI"])
EXEC = bulks([b"EXEC"])


class Tap:
    """One who takes what is propagated, at his own time; others have taps of their own."""

    __slots__ = ("_pending", "_propagator", "wake")

    def __init__(self, propagator: Propagator, wake: Callable[[], None]) -> None:
        self._propagator = propagator
        self._pending: list[bytes] = []  # what was there when others took it
        self.wake = wake
        """Called when there is something to take again; maybe also when there was before."""

    @property
    def size(self) -> int:
        """Bytes that there are to take."""
        return sum(map(len, self._pending)) + sum(map(len, self._propagator.buffer))

    def take(self) -> bytes:
        """All that is there, and no longer; not what belongs to a unit that is still open."""
        self._propagator.share()
        pending = self._pending
        if len(pending) == 1:
            return pending.pop()
        data = b"".join(pending)
        pending.clear()
        return data

    def give(self, data: bytes) -> None:
        """Adds something that is for this one alone."""
        self._pending.append(data)

    def reselect(self) -> None:
        """Has the next command say which database it is for."""
        self._propagator.reselect()

    def close(self) -> None:
        """Takes nothing any more. The propagator stops when nobody does."""
        self._propagator.untap(self)


class Propagator:
    """The commands that somebody has still to take. It adds nothing while it is not started."""

    __slots__ = ("_keyspace", "_left", "_taps", "_unit", "buffer", "database", "on", "wake")

    def __init__(self, keyspace: Keyspace, wake: Callable[[], None] | None = None) -> None:
        self._keyspace = keyspace
        self._taps: list[Tap] = []
        self._unit = -1  # where the open unit begins in the buffer; -1: none is open
        self._left = False  # something of it was left behind by `take`
        self.on = False
        """Whether it is started."""
        self.buffer: list[bytes] = []
        """Encoded commands, each with the SELECT that it needs. It always stays the same list."""
        self.database: Database | None = None
        """What the last SELECT chose; None: the next command needs one. So it is while this is not started."""
        self.wake = wake or self._wake_taps
        """Called when there is something to take again."""

    # Who takes

    def tap(self, wake: Callable[[], None] = lambda: None) -> Tap:
        """Somebody takes from now on what is added from now on, beginning with a SELECT."""
        self.share()
        tap = Tap(self, wake)
        self._taps.append(tap)
        self.start()
        self.reselect()
        return tap

    def untap(self, tap: Tap) -> None:
        """Somebody takes nothing any more."""
        if tap in self._taps:
            self.share()
            self._taps.remove(tap)
            if not self._taps:
                self.stop()
                self.take()

    def share(self) -> None:
        """Gives what is there to all taps."""
        if self.buffer:
            data = self.take()
            if data:
                for tap in self._taps:
                    tap.give(data)

    def _wake_taps(self) -> None:
        for tap in self._taps:
            tap.wake()

    def start(self) -> None:
        """Begins to listen to what databases do by themselves, and to add what it is given."""
        if not self.on:
            self.on = True
            self._keyspace.expired.append(self.deleted)
            self._keyspace.evicted.append(self.deleted)
            for db in self._keyspace.databases:
                db.on_fields_expired = self.fields_deleted

    def stop(self) -> None:
        """Adds nothing any more. What is in the buffer stays there."""
        if self.on:
            self.on = False
            self.database = None
            self._keyspace.expired.remove(self.deleted)
            self._keyspace.evicted.remove(self.deleted)
            for db in self._keyspace.databases:
                db.on_fields_expired = None

    def reselect(self) -> None:
        """The next command is preceded by a SELECT: it is the first one of a file, or of what a replica gets."""
        self.database = None

    def take(self) -> bytes:
        """All that is there, and no longer. What belongs to a unit that is still open stays."""
        buffer, unit = self.buffer, self._unit
        if unit < 0:
            taken = b"".join(buffer)
            buffer.clear()
        else:
            taken = b"".join(buffer[:unit])
            del buffer[:unit]
            self._unit, self._left = 0, bool(buffer)
        return taken

    # Adding

    def add(self, db: Database, *words: bytes) -> None:
        """Adds a command that runs in a database."""
        self.add_all(db, (words,))

    def add_all(self, db: Database, commands: Iterable[Sequence[bytes]]) -> None:
        """Adds commands that run in a database."""
        if not self.on:
            return
        buffer = self.buffer
        was_empty = not buffer
        for words in commands:
            data = bulks(words)
            if self.database is not db:
                self.database = db
                data = bulks((b"SELECT", b"%d" % db.index)) + data
            buffer.append(data)
        if was_empty and buffer:
            self.wake()

    def settle(self, mark: int, unheard: bool = False) -> None:
        """Makes one unit of what was added since the buffer had `mark` items, unless it is part of another.

        The first item may be `unheard`: whoever put it there did so by himself, and nobody was woken.
        """
        size = len(self.buffer)
        if self._unit < 0 and size > mark + 1:
            self._wrap(mark)
        if unheard and size == 1:
            self.wake()

    def begin(self) -> int:
        """Begins a unit. Returns what is to be given to `end`."""
        if self._unit >= 0:
            return -1
        self._unit = len(self.buffer)
        return self._unit

    def end(self, mark: int) -> None:
        """Ends the unit that began with this mark; one inside of another ends with that."""
        if mark < 0:
            return
        mark, self._unit = self._unit, -1  # which `take` may have changed
        if len(self.buffer) > mark + 1:
            self._wrap(mark)
        if self._left:
            self._left = False
            self.wake()

    def _wrap(self, mark: int) -> None:
        self.buffer.insert(mark, MULTI)
        self.buffer.append(EXEC)

    # What databases do by themselves

    def deleted(self, db: Database, key: bytes) -> None:
        """A key has expired, or was evicted."""
        self.add(db, b"DEL", key)

    def fields_deleted(self, db: Database, key: bytes, fields: Sequence[bytes]) -> None:
        """Fields of a hash have expired."""
        self.add_all(db, [(b"HDEL", key, field) for field in fields])
