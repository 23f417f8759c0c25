"""Databases of a replica: keys that are due are hidden, and wait for the master to delete them.

The master's clock decides when a key dies, lest replica and master ever have different data. What the master sends runs
without time (`Keyspace.without_time`), so for it those keys are there.
"""

from __future__ import annotations

from respcache.store.database import Database


class HidingDatabase(Database):
    """A database that deletes nothing by itself. Nobody but its master may change it. Its slots are those of
    `Database`."""

    __slots__ = ()

    hides = True

    def _expired(self, slot: int, key: bytes) -> bool:
        """Whether a key is due; it stays where it is."""
        when = self.deadlines.get(slot, key)
        return when is not None and when <= self.clock.ms()
