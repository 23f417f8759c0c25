"""Access times of keys, for OBJECT IDLETIME and the LRU policies of maxmemory. See `tracked.py` for who notes
them."""

from __future__ import annotations

from respcache.clock import monotonic
from respcache.store.slot import hash_slot


class AccessTimes:
    """When the keys of a database were last used, in whole seconds of the monotonic clock."""

    __slots__ = ("since", "slots")

    def __init__(self) -> None:
        self.since = int(monotonic())
        """What counts as the last use of a key that was not used since."""
        self.slots: dict[int, dict[bytes, int]] = {}

    def note(self, key: bytes, idle: int = 0) -> None:
        """Says that a key is used now, or was last used so many seconds ago."""
        slot = hash_slot(key)
        times = self.slots.get(slot)
        if times is None:
            times = self.slots[slot] = {}
        times[key] = int(monotonic()) - idle

    def drop(self, slot: int, key: bytes) -> None:
        """Forgets a key."""
        times = self.slots.get(slot)
        if times is not None:
            times.pop(key, None)

    def idle(self, key: bytes) -> int:
        """Seconds since a key was last used."""
        times = self.slots.get(hash_slot(key))
        return int(monotonic()) - (self.since if times is None else times.get(key, self.since))
