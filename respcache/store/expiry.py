"""Deadlines: when keys die, and which slots to look into next.

Every slot has its own dict of deadlines, made with its first one, so no insert ever waits for a huge dict to
grow. For active expiry a heap holds one entry per slot, a lower bound of the slot's earliest deadline:
finding out that nothing is due costs one comparison, however many keys have a time to live. (Sampling keys at
random, as Redis does, was rejected: it costs the same whether or not anything is due, and it leaves a tenth
of the dead.)
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from respcache.store.sizes import allocated
from respcache.store.slot import SLOTS

LINGER_MS = 100
"""A slot with deadlines is looked into at most this often: short deadlines in a row are taken together. A
slot with
very many (a hashtag) adds a millisecond for each thousand of them, so that looking stays a small part of the
time."""

TIME = allocated(1 << 40)
"""Bytes of a time since the epoch."""

_NEVER = 1 << 63
_ENTRY = allocated((0, 0)) + allocated(SLOTS)  # bytes of an entry of the heap, and of the number of its slot

_STALE_LIMIT = 4 * SLOTS


class Deadlines:
    """The deadlines of one database, in milliseconds since the epoch."""

    __slots__ = ("_heap", "_look", "_look_next", "_look_slot", "_scheduled", "count", "slots", "total")

    def __init__(self) -> None:
        self.slots: dict[int, dict[bytes, int]] = {}
        """By slot; a slot without deadlines is absent."""
        self.count = 0
        """Number of keys with a deadline."""
        self.total = 0
        """Sum of all deadlines, for INFO's avg_ttl."""
        self._heap: list[tuple[int, int]] = []
        self._scheduled: dict[int, int] = {}  # slot -> the one entry of the heap that counts
        # The slot being looked into: its keys that are still to be looked at, and the earliest later deadline
        # so far.
        self._look_slot = 0
        self._look: list[bytes] = []
        self._look_next = _NEVER

    def set(self, slot: int, key: bytes, when: int) -> None:
        """Gives a key a deadline, in place of the one it may have."""
        shard = self.slots.get(slot)
        if shard is None:
            shard = self.slots[slot] = {}
        before = shard.get(key)
        if before is None:
            self.count += 1
            self.total += when
        else:
            self.total += when - before
        shard[key] = when
        if when < self._scheduled.get(slot, _NEVER):
            self._schedule(slot, when)

    def get(self, slot: int, key: bytes) -> int | None:
        """The deadline of a key, or None."""
        shard = self.slots.get(slot)
        return None if shard is None else shard.get(key)

    def drop(self, slot: int, key: bytes) -> int | None:
        """Takes a key's deadline away, and returns it; None if there was none."""
        shard = self.slots.get(slot)
        if shard is None:
            return None
        when = shard.pop(key, None)
        if when is None:
            return None
        self.count -= 1
        self.total -= when
        if not shard:
            del self.slots[slot]
            if not self.count:
                self._heap.clear()
                self._scheduled.clear()
                self._look.clear()
        return when

    def next_look(self) -> int | None:
        """When the next slot is to be looked into, or None; 0 if the last one is not done with."""
        if self._look:
            return 0
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: int, most: int) -> tuple[int, list[bytes]] | None:
        """Looks at up to `most` keys of a slot; returns the slot and those of them that are due. None:
        nothing is.

        The keys keep their deadlines: who deletes them drops those too. There may be no keys among those
        looked at, and more to do all the same.
        """
        if not self._look and not self._open(now):
            return None
        slot, look = self._look_slot, self._look
        keys = look[-most:]
        del look[-most:]
        shard = self.slots.get(slot)
        if shard is None:  # all of them were deleted since the last call
            look.clear()
            return slot, []
        due: list[bytes] = []
        later = self._look_next
        for key in keys:
            when = shard.get(key, _NEVER)
            if when <= now:
                due.append(key)
            elif when < later:
                later = when
        self._look_next = later
        if not look and later < self._scheduled.get(slot, _NEVER):
            self._schedule(slot, max(later, now + LINGER_MS + len(shard) // 1000))
        return slot, due

    def footprint(self) -> int:
        """Bytes of it, without the keys."""
        tables = (self, self.slots, self._heap, self._scheduled, *self.slots.values())
        return sum(map(allocated, tables)) + self.count * TIME + len(self._heap) * _ENTRY

    def _open(self, now: int) -> bool:
        """Begins to look into the next slot that may have a key that is due. False: there is none.

        The copy of the keys holds the loop for 10 ms in a slot with a million of them: less than a tenth of
        what such a dict takes whenever it grows.
        """
        while self._heap and self._heap[0][0] <= now:
            when, slot = heappop(self._heap)
            if self._scheduled.get(slot) != when:
                continue
            del self._scheduled[slot]
            shard = self.slots.get(slot)
            if shard:
                self._look = list(shard)
                self._look_slot = slot
                self._look_next = _NEVER
                return True
        return False

    def _schedule(self, slot: int, when: int) -> None:
        self._scheduled[slot] = when
        heappush(self._heap, (when, slot))
        if len(self._heap) > _STALE_LIMIT:
            self._heap = [(at, number) for number, at in self._scheduled.items()]
            heapify(self._heap)
