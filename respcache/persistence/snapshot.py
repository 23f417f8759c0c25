"""Snapshots without fork: all data as it is at one moment, written down in slices while it goes on changing.

The walk goes through the shards. A slot that is about to change and was not written yet is written before its turn:
the order of entries in a file is free, so nothing is copied and nothing is done twice. Only what would take long is
put aside: of a slot with very many keys the entries are copied (strings never change in place, so that is a true
copy), and a big container is written when its turn comes, or copied when somebody is about to change it before.

FLUSHALL leaves its shards to the walk, SWAPDB changes who holds them. What is freed late is freed by the walk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from time import thread_time

from respcache.clock import monotonic
from respcache.persistence.encode import Encoder
from respcache.store.database import Database, Value
from respcache.store.keyspace import Keyspace
from respcache.store.lazyfree import Graveyard, is_heavy
from respcache.store.types import TYPES

CHUNK = 128 * 1024
"""Bytes given to the writer at a time; the checksum of so many takes half a millisecond."""
SLICE = 0.001
"""Seconds of walking before the loop gets its turn, while there is nothing else to do."""
SHARE = 0.4
"""While there is, seconds of walking for each second in which the loop did something else."""
IDLE = 0.00003
"""Seconds in a turn of the loop up to which it had nothing to do."""
_WAITING = 4 << 20  # bytes that may wait until it is the walk's turn again
_LEAST = 0.0001  # seconds of walking that are worth a turn
_MANY = 512  # keys of a slot from which on it is not written at once
_UNSEEN, _OPEN = 1, 2  # of a slot: not looked at; some of its entries are still to be written
_FIRM = frozenset((bytes, int))  # types of values that never change in place


class _Open:
    """What is still to be written of a slot, entry by entry."""

    __slots__ = ("deadlines", "safe", "values")

    def __init__(self, values: dict[bytes, Value], deadlines: Mapping[bytes, int]) -> None:
        self.values = values
        self.deadlines = deadlines
        self.safe: set[bytes] = set()
        """Keys whose values were copied: nobody changes these."""


class _Part:
    """What one database holds at the moment of the snapshot. It keeps the database, see `store.preserved`."""

    def __init__(self, snapshot: Snapshot, db: Database) -> None:
        self.snapshot = snapshot
        self.index = db.index
        self.inherited = False
        """All keys of the database were deleted at once: the shards are the snapshot's now."""
        self.shards = db.shards
        self.deadlines = db.deadlines
        self.keys = db.size
        self.mortal = db.deadlines.count
        self.todo = bytearray(db.used)
        self.open: dict[int, _Open] = {}
        """By slot."""

    def keep(self, slot: int, key: bytes) -> None:
        """A key of a slot that matters is about to change."""
        since = monotonic()
        snapshot = self.snapshot
        if self.todo[slot] == _UNSEEN:
            snapshot.write_slot(self, slot)
        if snapshot.current == (self, slot, key):
            snapshot.finish_current()
        rest = self.open.get(slot)
        if rest is not None and key in rest.values and key not in rest.safe:
            value = rest.values[key]
            if type(value) not in _FIRM:
                if is_heavy(value):
                    rest.values[key] = TYPES[type(value)].copy(value)
                    rest.safe.add(key)
                else:
                    snapshot.write_entry(self, slot, key)
        snapshot.kept += monotonic() - since

    def inherit(self) -> None:
        """All keys of the database are being deleted, and their shards are left to the snapshot."""
        self.inherited = True


class Snapshot:
    """All data of a keyspace at the moment at which this is made, on its way into a file.

    `encoder` says what the file looks like. Who makes one runs it or closes it. There may be one at a time, and besides
    it those that are `run_now` in the same breath, `at_once`: they need not be told of changes.
    """

    def __init__(self, keyspace: Keyspace, encoder: Encoder, at_once: bool = False) -> None:
        self._keyspace = keyspace
        self._graveyard: Graveyard = keyspace.graveyard
        self._encoder = encoder
        self._parts = [_Part(self, db) for db in keyspace.databases]
        self._walk = self._steps()
        self._selected: _Part | None = None
        self.current: tuple[_Part, int, bytes] | None = None
        """The big value that is being written: part, slot, key."""
        self._pieces: Iterator[bytes] = iter(())  # what is left of it
        self._aside: list[tuple[_Part, list[bytes]]] = []  # what was written meanwhile
        self._out: list[bytes] = []
        self._size = 0
        self.kept = 0.0
        """Seconds spent so far on what was about to change."""
        self.total_keys = sum(part.keys for part in self._parts)
        self.done_keys = 0
        self.dirty = keyspace.dirty
        """The number of changes ever made, at that moment."""
        self.cancelled = False
        self._push([encoder.header()])
        self._keeps = not at_once
        if self._keeps:
            keyspace.preserve(self._parts)

    # Running

    async def run(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Gives the file to `write`, piece by piece, while the loop goes on. Raises what that raises, and
        asyncio.CancelledError after `cancel`.

        The snapshot takes a share of the loop's time and no more: what it needs to write before the time counts.
        """
        try:
            credit, done = SLICE, False
            while not done or self._out:
                since = monotonic()
                if self._size < CHUNK and not done and credit >= _LEAST:
                    done = self._step(min(credit, SLICE))
                if done or self._size >= (CHUNK if credit > 0 else _WAITING):
                    data = self._take()
                    credit -= monotonic() - since
                    await write(data)
                else:
                    credit -= monotonic() - since
                busy, kept = thread_time(), self.kept
                await asyncio.sleep(0)
                busy, kept = thread_time() - busy, self.kept - kept
                credit = SLICE if busy < IDLE else min(credit + (busy - kept) * SHARE - kept, SLICE)
                if self.cancelled:
                    raise asyncio.CancelledError
        finally:
            self.close()
        await write(self._encoder.end())

    def run_now(self, write: Callable[[bytes], None]) -> None:
        """Gives the file to `write` while everything else waits. Raises what that raises."""
        try:
            for _ in self._walk:
                if self._size >= CHUNK:
                    write(self._take())
            while self._out:
                write(self._take())
            write(self._encoder.end())
        finally:
            self.close()

    def cancel(self) -> None:
        """Has `run` end soon."""
        self.cancelled = True

    def close(self) -> None:
        """Looks at the data no longer. What was left to the snapshot is freed."""
        if self._keeps:
            self._keeps = False
            self._keyspace.preserve([None] * len(self._parts))
            for part in self._parts:
                if part.inherited:
                    self._graveyard.bury(list(filter(None, part.shards)), part.deadlines.slots)

    def _step(self, budget: float) -> bool:
        """Walks for so many seconds. Tells whether that was all."""
        stop = monotonic() + budget
        while next(self._walk, self) is None:
            if self._size >= CHUNK or monotonic() > stop:
                return False
        return True

    def _take(self) -> bytes:
        """What is to be written next, `CHUNK` or a little more; one that is a piece by itself is not cut."""
        out, size, count = self._out, 0, 0
        while count < len(out) and size < CHUNK:
            size += len(out[count])
            count += 1
        data = b"".join(out[:count])
        del out[:count]
        self._size -= size
        self._encoder.seal(data)
        return data

    # Walking

    def _steps(self) -> Iterator[None]:
        """Writes everything; there is a turn between two slots, and between two pieces of a big value."""
        for part in self._parts:
            slot = part.todo.find(_UNSEEN)
            while slot >= 0:
                self.write_slot(part, slot)
                yield
                slot = part.todo.find(_UNSEEN, slot + 1)
            while part.open:
                slot, rest = next(iter(part.open.items()))
                while rest.values:
                    yield from self._write_piecewise(part, slot, rest)
                del part.open[slot]
                part.todo[slot] = 0

    def _write_piecewise(self, part: _Part, slot: int, rest: _Open) -> Iterator[None]:
        key, value = rest.values.popitem()
        self._select(part)
        self.current = part, slot, key
        self._pieces = self._encoder.entry(part.index, slot, key, value, rest.deadlines.get(key))
        for piece in self._pieces:
            self._push([piece])
            yield
        self.current = None
        self.done_keys += 1
        aside, self._aside = self._aside, []
        for other, pieces in aside:
            self._write(other, pieces)

    def finish_current(self) -> None:
        """Writes the rest of the big value that is being written: it is about to change."""
        self._push(list(self._pieces))

    def write_slot(self, part: _Part, slot: int) -> None:
        """Writes the entries of a slot that was not looked at; those that take long are put aside."""
        shard = part.shards[slot]
        deadlines = part.deadlines.slots.get(slot)
        if len(shard) > _MANY:
            values = dict(shard)
        else:
            pieces, big = self._encoder.shard(part.index, slot, shard, deadlines)
            self.done_keys += len(shard) - len(big)
            self._write(part, pieces)
            values = {key: shard[key] for key in big}
        if values:
            part.open[slot] = _Open(values, dict(deadlines or ()))
            part.todo[slot] = _OPEN
        else:
            part.todo[slot] = 0

    def write_entry(self, part: _Part, slot: int, key: bytes) -> None:
        """Writes one entry of a slot that is open."""
        rest = part.open[slot]
        value = rest.values.pop(key)
        self.done_keys += 1
        self._write(part, list(self._encoder.entry(part.index, slot, key, value, rest.deadlines.get(key))))

    def _write(self, part: _Part, pieces: list[bytes]) -> None:
        """Writes whole entries; later, if a big value is being written."""
        if not pieces:
            return
        if self.current is None:
            self._select(part)
            self._push(pieces)
        else:
            self._aside.append((part, pieces))

    def _select(self, part: _Part) -> None:
        if self._selected is not part:
            self._selected = part
            self._push([self._encoder.select(part.index, part.keys, part.mortal)])

    def _push(self, pieces: list[bytes]) -> None:
        self._out += pieces
        self._size += sum(map(len, pieces))
