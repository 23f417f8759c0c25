"""Consumer groups of a stream: who read what, and what was read and not yet acknowledged.

What is pending in a group is a dict from id to `Pending`, and the ids once more in order, for ranges: those of
the group, and those of each consumer.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sized

from respcache.store.sizes import ENTRY, allocated

UNKNOWN = -1
"""The number of entries read by a group that nobody can tell."""
NEVER = -1
"""The time of a consumer's last success, if it had none."""

_CHUNK = 512


class Ids:
    """Distinct ids in order, in chunks: most are added at the end and taken from the beginning."""

    __slots__ = ("_chunks", "_lasts", "_size")

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._chunks: list[list[int]] = []
        self._lasts: list[int] = []  # the last id of each chunk
        self._size = 0
        for id in ids:
            self.add(id)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        for chunk in self._chunks:
            yield from chunk

    @property
    def first(self) -> int:
        """The smallest id; IndexError if there is none."""
        return self._chunks[0][0]

    @property
    def last(self) -> int:
        """The greatest id; IndexError if there is none."""
        return self._lasts[-1]

    def add(self, id: int) -> None:
        """Adds an id that is not there."""
        chunks, lasts = self._chunks, self._lasts
        self._size += 1
        if not lasts or id > lasts[-1]:
            if lasts and len(chunks[-1]) < _CHUNK:
                chunks[-1].append(id)
                lasts[-1] = id
            else:
                chunks.append([id])
                lasts.append(id)
            return
        at = bisect_left(lasts, id)
        chunk = chunks[at]
        insort(chunk, id)
        if len(chunk) > 2 * _CHUNK:
            chunks.insert(at + 1, chunk[_CHUNK:])
            del chunk[_CHUNK:]
            lasts.insert(at, chunk[-1])

    def remove(self, id: int) -> None:
        """Removes an id that is there."""
        at = bisect_left(self._lasts, id)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, id)]
        self._size -= 1
        if not chunk:
            del self._chunks[at]
            del self._lasts[at]
        elif id == self._lasts[at]:
            self._lasts[at] = chunk[-1]

    def between(self, first: int, last: int) -> Iterator[int]:
        """The ids from `first` to `last`, both included. They must not change on the way."""
        at = bisect_left(self._lasts, first)
        if at == len(self._lasts):
            return
        start = bisect_left(self._chunks[at], first)
        for place in range(at, len(self._chunks)):
            chunk = self._chunks[place]
            for id in chunk[start:] if start else chunk:
                if id > last:
                    return
                yield id
            start = 0

    def memory(self) -> int:
        """Bytes taken, without the ids themselves."""
        return 3 * allocated(self._lasts) + sum(map(allocated, self._chunks))

    def parts(self) -> list[Sized]:
        """The builtin containers this consists of."""
        return [self._chunks, self._lasts]


class Consumer:
    """A consumer of a group. Times are milliseconds since the epoch."""

    __slots__ = ("active", "name", "pending", "seen")

    def __init__(self, name: bytes, now: int) -> None:
        self.name = name
        self.seen = now
        """When it last tried to read or to claim."""
        self.active = NEVER
        """When it last succeeded."""
        self.pending = Ids()


class Pending:
    """An entry that was delivered and not acknowledged."""

    __slots__ = ("consumer", "count", "delivered")

    def __init__(self, consumer: Consumer, delivered: int, count: int = 1) -> None:
        self.consumer = consumer
        self.delivered = delivered
        """When, in milliseconds since the epoch."""
        self.count = count
        """How often."""


class Group:
    """A consumer group."""

    __slots__ = ("consumers", "entries_read", "ids", "last_id", "pending")

    def __init__(self, last_id: int, entries_read: int = UNKNOWN) -> None:
        self.last_id = last_id
        """The greatest id delivered."""
        self.entries_read = entries_read
        """How many entries of the stream's whole life that makes, or UNKNOWN."""
        self.consumers: dict[bytes, Consumer] = {}
        self.pending: dict[int, Pending] = {}
        self.ids = Ids()
        """The keys of `pending` in order."""

    def deliver(self, ids: Iterable[int], consumer: Consumer, now: int) -> None:
        """New entries go to a consumer. One that is pending already, since the last id was set back, changes
        its owner."""
        pending = self.pending
        for id in ids:
            found = pending.get(id)
            if found is None:
                pending[id] = Pending(consumer, now)
                self.ids.add(id)
                consumer.pending.add(id)
            else:
                self.assign(id, found, consumer)
                found.delivered, found.count = now, 1

    def assign(self, id: int, found: Pending, consumer: Consumer) -> None:
        """A pending entry gets another owner, or keeps the one it has."""
        if found.consumer is not consumer:
            found.consumer.pending.remove(id)
            consumer.pending.add(id)
            found.consumer = consumer

    def drop(self, id: int) -> bool:
        """An entry is not pending any more. Tells whether it was."""
        found = self.pending.pop(id, None)
        if found is None:
            return False
        self.ids.remove(id)
        found.consumer.pending.remove(id)
        return True

    def remove_consumer(self, name: bytes) -> int:
        """Removes a consumer that is there, and all that is pending for it. Returns how much that was."""
        consumer = self.consumers.pop(name)
        for id in consumer.pending:
            del self.pending[id]
            self.ids.remove(id)
        return len(consumer.pending)

    def copy(self) -> Group:
        """A group that shares nothing mutable with this one."""
        made = Group(self.last_id, self.entries_read)
        for name, consumer in self.consumers.items():
            twin = made.consumers[name] = Consumer(name, consumer.seen)
            twin.active = consumer.active
        for id in self.ids:
            found = self.pending[id]
            owner = made.consumers[found.consumer.name]
            made.pending[id] = Pending(owner, found.delivered, found.count)
            made.ids.add(id)
            owner.pending.add(id)
        return made

    def memory(self) -> int:
        """Bytes taken."""
        taken = allocated(self) + allocated(self.consumers) + allocated(self.pending) + self.ids.memory()
        for name, consumer in self.consumers.items():
            taken += ENTRY + allocated(name) + allocated(consumer) + consumer.pending.memory()
        return taken + len(self.pending) * _PENDING

    def parts(self) -> list[Sized]:
        """The builtin containers it consists of, big ones first of all."""
        consumers = self.consumers.values()
        return [self.pending, *self.ids.parts(), *(part for one in consumers for part in one.pending.parts())]


_PENDING = allocated(Pending(Consumer(b"", 0), 0)) + 16 + allocated(1 << 104)
"""Bytes of a pending entry and its id; the time is shared by what was delivered at once."""
