"""Who wants to see data before it changes."""

from __future__ import annotations

from typing import Protocol


class Keeper(Protocol):
    """Who must see what a database holds before it changes, see `respcache.store.preserved`."""

    todo: bytearray
    """For each slot whether it still matters: 0 if not."""

    def keep(self, slot: int, key: bytes) -> None:
        """A key of a slot that matters is about to change, in any way."""

    def inherit(self) -> None:
        """The shards and the deadlines that the database has now are the keeper's: all keys are being deleted."""
