"""Keys of slots that another node has got: they are deleted, in slices.

Nobody is served from such a slot meanwhile. What is left goes at once before the slot is ours again or imported, and
before this node becomes a replica: from then on its keys are its master's business.
"""

from __future__ import annotations

from asyncio import Handle

from respcache.clock import monotonic
from respcache.state import ServerState

SLICE = 0.002
"""Seconds of deleting before the loop gets its turn,"""
PAUSE = 0.004
"""and until the next slice."""
BATCH = 64
"""Keys that are deleted between two looks at the clock, and in one command of the stream."""


class LostSlots:
    """The keys that are still to be deleted."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._left: dict[int, list[bytes]] = {}  # by slot
        self._next: Handle | None = None

    def give_up(self, slot: int) -> int:
        """Has all keys of a slot deleted. Returns how many there are."""
        self.finish(slot)
        keys = [*self._server.keyspace.databases[0].shards[slot]]
        if keys:
            self._left[slot] = keys
            if self._next is None:
                self._next = self._server.loop.call_soon(self._slice)
        return len(keys)

    def finish(self, slot: int) -> None:
        """Deletes what is left of a slot, now."""
        if self._left:
            self._delete(self._left.pop(slot, []))

    def finish_all(self) -> None:
        """Deletes what is left of all slots, now."""
        while self._left:
            self.finish(next(iter(self._left)))
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _slice(self) -> None:
        self._next = None
        until = monotonic() + SLICE
        while self._left and monotonic() < until:
            slot, keys = next(iter(self._left.items()))
            batch = keys[-BATCH:]
            del keys[-BATCH:]
            if not keys:
                del self._left[slot]
            self._delete(batch)
        if self._left:
            self._next = self._server.loop.call_later(PAUSE, self._slice)

    def _delete(self, keys: list[bytes]) -> None:
        db, propagator = self._server.keyspace.databases[0], self._server.propagator
        gone = [key for key in keys if db.delete(key)]
        if gone and propagator.on:
            propagator.add(db, b"DEL", *gone)
