"""Snapshots without fork: all data as it is at one moment, written down in slices while it goes on changing.

The walk goes through the shards. A key that is about to change and was not written yet is written before its turn:
the order of entries in a file is free, so nothing is copied and nothing is done twice. (To write its whole slot then
was rejected: at first nearly each change finds another slot, and each of them took three times as long.) Only what
would take long is put aside: of a slot with very many keys the entries are copied (strings never change in place, so
that is a true copy), and a big container is written when its turn comes, or copied when somebody is about to change it.

FLUSHALL leaves its shards to the walk, SWAPDB changes who holds them. What is freed late is freed by the walk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from time import thread_time

from respcache.clock import monotonic
from respcache.persistence.encode import Encoder
from respcache.store.database import Database, Value
from respcache.store.keyspace import Keyspace
from respcache.store.lazyfree import Graveyard, is_heavy
from respcache.store.types import TYPES

CHUNK = 64 * 1024
"""Bytes given to the writer at a time; the checksum of so many takes a quarter of a millisecond."""
SLICE = 0.001
"""Seconds of walking before the loop gets its turn, while there is nothing else to do."""
SHARE = 0.35
"""While there is, seconds of walking for each second in which the loop did something else."""
IDLE = 0.00003
"""Seconds in a turn of the loop up to which it had nothing to do."""
_WAITING = 4 << 20  # bytes that may wait until it is the walk's turn again
_LEAST = 0.0001  # seconds of walking that are worth a turn
_GROUP = 400  # keys of slots that are written together, if they are simple: a tenth of a millisecond
_MANY = 512  # keys of a slot above which they are not written at once
_UNSEEN, _OPEN = 1, 2  # of a slot: not looked at; some of its entries are still to be written
_FIRM = frozenset((bytes, int))  # types of values that never change in place


class _Open:
    """What is still to be written of a slot, entry by entry."""

    __slots__ = ("deadlines", "safe", "values")

    def __init__(self) -> None:
        self.values: dict[bytes, Value] = {}
        self.deadlines: dict[bytes, int] = {}
        self.safe: set[bytes] = set()
        """Keys whose values were copied: nobody changes these."""

    def add(self, key: bytes, value: Value, deadline: int | None) -> None:
        """Puts an entry aside."""
        self.values[key] = value
        if deadline is not None:
            self.deadlines[key] = deadline


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
        self.changed: dict[int, set[bytes]] = {}
        """By slot that was not looked at, the keys that have changed since: they are in the file, or not to be."""
        self.open: dict[int, _Open] = {}
        """By slot."""

    def keep(self, slot: int, key: bytes) -> None:
        """A key of a slot that matters is about to change."""
        since = monotonic()
        snapshot = self.snapshot
        if snapshot.current == (self, slot, key):
            snapshot.finish_current()
        if self.todo[slot] == _UNSEEN:
            changed = self.changed.get(slot)
            if changed is None:
                changed = self.changed[slot] = set()
            if key not in changed:
                changed.add(key)
                value = self.shards[slot].get(key)
                if value is not None:
                    self._save(slot, key, value, self.deadlines.get(slot, key))
        else:
            rest = self.open[slot]
            if key in rest.values and key not in rest.safe and type(rest.values[key]) not in _FIRM:
                self._save(slot, key, rest.values.pop(key), rest.deadlines.get(key))
        snapshot.kept += monotonic() - since

    def _save(self, slot: int, key: bytes, value: Value, deadline: int | None) -> None:
        """Writes an entry at once, or copies a value that takes longer."""
        if type(value) in _FIRM or not is_heavy(value):
            self.snapshot.write_entry(self, slot, key, value, deadline)
        else:
            rest = self.open.setdefault(slot, _Open())
            rest.add(key, TYPES[type(value)].copy(value), deadline)
            rest.safe.add(key)

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
            while slots := self._next_slots(part):
                if not self._write_short(part, slots):
                    for slot in slots:
                        self._write_slot(part, slot)
                        yield
                yield
            while part.open:
                slot, rest = next(iter(part.open.items()))
                while rest.values:
                    yield from self._write_piecewise(part, slot, rest)
                del part.open[slot]
                part.todo[slot] = 0

    def _next_slots(self, part: _Part) -> list[int]:
        """Slots that were not looked at, with a good number of keys together; none at the end."""
        slots: list[int] = []
        count, slot = 0, part.todo.find(_UNSEEN)
        while slot >= 0 and count < _GROUP:
            slots.append(slot)
            count += len(part.shards[slot])
            slot = part.todo.find(_UNSEEN, slot + 1)
        return slots

    def _write_short(self, part: _Part, slots: list[int]) -> bool:
        """Writes all entries of these slots, if that can be done at once. Tells whether it was."""
        for special in (part.changed, part.open, part.deadlines.slots):
            if special and not special.keys().isdisjoint(slots):
                return False
        data = self._encoder.short([part.shards[slot] for slot in slots])
        if not data:
            return False
        self._write(part, [data])
        for slot in slots:
            self.done_keys += len(part.shards[slot])
            part.todo[slot] = 0
        return True

    def _write_piecewise(self, part: _Part, slot: int, rest: _Open) -> Iterator[None]:
        key, value = rest.values.popitem()
        if self._selected is not part:
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

    def _write_slot(self, part: _Part, slot: int) -> None:
        """Writes the entries of a slot that was not looked at; those that take long are put aside."""
        shard = part.shards[slot]
        deadlines = part.deadlines.slots.get(slot)
        changed = part.changed.pop(slot, None)
        if changed:
            shard = {key: value for key, value in shard.items() if key not in changed}
        rest = part.open.get(slot)
        if len(shard) > _MANY:
            rest = rest or _Open()
            rest.values.update(shard)
            if deadlines:
                rest.deadlines = deadlines | rest.deadlines
        else:
            pieces, big = self._encoder.shard(part.index, slot, shard, deadlines)
            self.done_keys += len(shard) - len(big)
            self._write(part, pieces)
            if big:
                rest = rest or _Open()
                for key in big:
                    rest.add(key, shard[key], deadlines.get(key) if deadlines else None)
        if rest is None:
            part.todo[slot] = 0
        else:
            part.open[slot] = rest
            part.todo[slot] = _OPEN

    def write_entry(self, part: _Part, slot: int, key: bytes, value: Value, deadline: int | None) -> None:
        """Writes one entry, which is not big, before its turn."""
        self.done_keys += 1
        deadlines = None if deadline is None else {key: deadline}
        self._write(part, self._encoder.shard(part.index, slot, {key: value}, deadlines)[0])

    def _write(self, part: _Part, pieces: list[bytes]) -> None:
        """Writes whole entries; later, if a big value is being written."""
        if self.current is not None:
            self._aside.append((part, pieces))
        elif pieces:
            if self._selected is not part:
                self._select(part)
            self._push(pieces)

    def _select(self, part: _Part) -> None:
        self._selected = part
        self._push([self._encoder.select(part.index, part.keys, part.mortal)])

    def _push(self, pieces: list[bytes]) -> None:
        self._out += pieces
        self._size += sum(map(len, pieces))
