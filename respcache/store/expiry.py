"""Deadlines: when keys die, and which slots to look into next.

Every slot has its own dict of deadlines, made with its first one, so no insert ever waits for a huge dict to grow.
For active expiry a heap holds one entry per slot, a lower bound of the slot's earliest deadline: finding out that
nothing is due costs one comparison, however many keys have a time to live. (Sampling keys at random, as Redis does,
was rejected: it costs the same whether or not anything is due, and it leaves a tenth of the dead.)
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from respcache.store.slot import SLOTS

LINGER_MS = 100
"""A slot with deadlines is looked into at most this often: short deadlines in a row are taken together."""

_STALE_LIMIT = 4 * SLOTS


class Deadlines:
    """The deadlines of one database, in milliseconds since the epoch."""

    __slots__ = ("_due", "_due_slot", "_heap", "_scheduled", "count", "slots", "total")

    def __init__(self) -> None:
        self.slots: dict[int, dict[bytes, int]] = {}
        """By slot; a slot without deadlines is absent."""
        self.count = 0
        """Number of keys with a deadline."""
        self.total = 0
        """Sum of all deadlines, for INFO's avg_ttl."""
        self._heap: list[tuple[int, int]] = []
        self._scheduled: dict[int, int] = {}  # slot -> the one entry of the heap that counts
        self._due: list[bytes] = []  # keys of one slot that were due when it was last looked into
        self._due_slot = 0

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
        if when < self._scheduled.get(slot, 1 << 63):
            self._schedule(slot, when)

    def get(self, slot: int, key: bytes) -> int | None:
        """The deadline of a key, or None."""
        shard = self.slots.get(slot)
        return None if shard is None else shard.get(key)

    def drop(self, slot: int, key: bytes) -> bool:
        """Takes a key's deadline away. Tells whether there was one."""
        shard = self.slots.get(slot)
        if shard is None:
            return False
        when = shard.pop(key, None)
        if when is None:
            return False
        self.count -= 1
        self.total -= when
        if not shard:
            del self.slots[slot]
        return True

    def next_look(self) -> int | None:
        """When the next slot is to be looked into, or None; 0 if some of the last one's keys are still to do."""
        if self._due:
            return 0
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: int, most: int) -> tuple[int, list[bytes]]:
        """A slot and up to `most` of its keys that are due; no keys once nothing is due.

        The keys keep their deadlines: who deletes them drops those too. A key may have got a later deadline since
        its slot was looked into; the caller checks.
        """
        while not self._due:
            if not self._heap or self._heap[0][0] > now:
                return 0, []
            when, slot = heappop(self._heap)
            if self._scheduled.get(slot) != when:
                continue
            del self._scheduled[slot]
            shard = self.slots.get(slot)
            if not shard:
                continue
            self._due = [key for key, deadline in shard.items() if deadline <= now]
            self._due_slot = slot
            if len(self._due) < len(shard):
                rest = min(deadline for deadline in shard.values() if deadline > now)
                self._schedule(slot, max(rest, now + LINGER_MS))
        taken = self._due[-most:]
        del self._due[-most:]
        return self._due_slot, taken

    def _schedule(self, slot: int, when: int) -> None:
        self._scheduled[slot] = when
        heappush(self._heap, (when, slot))
        if len(self._heap) > _STALE_LIMIT:
            self._heap = [(at, number) for number, at in self._scheduled.items()]
            heapify(self._heap)
