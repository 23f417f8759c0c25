"""Databases that note when their keys are used.

That costs time on each GET and memory for each key, so it is done only once somebody asks for idle times.
Until then a database is a plain `Database`, whose reads and writes know nothing of it; then it becomes a
`TrackedDatabase`, by a change of its class (see `respcache.store.keyspace`), and stays one. No flag is tested on the
way of a plain GET.
"""

from __future__ import annotations

from collections.abc import Sequence

from respcache.store.access import AccessTimes
from respcache.store.database import Database, Value
from respcache.store.events import SET, Event


class TrackedDatabase(Database):
    """A database that notes when its keys are used. Its slots are those of `Database`, so either can become
    the other.

    Reads through `look` are no use of a key.
    """

    __slots__ = ()

    def get(self, key: bytes) -> Value | None:
        """The value for a command that reads it; counted, and a use of the key."""
        value = super().get(key)
        if value is not None:
            self._times().note(key)
        return value

    def set(self, key: bytes, value: Value, event: Event = SET) -> None:
        """Sets a value, whatever was there; a time to live is gone."""
        super().set(key, value, event)
        self._times().note(key)

    def set_all(self, words: Sequence[bytes]) -> None:
        """Sets keys to values, given in turn."""
        for key, value in zip(words[::2], words[1::2], strict=True):
            self.set(key, value)

    def replace(self, key: bytes, value: Value, event: Event) -> None:
        """Sets a value and keeps the key's time to live."""
        super().replace(key, value, event)
        self._times().note(key)

    def put(self, key: bytes, value: Value, when: int | None, event: Event = SET) -> None:
        """Sets a value and its deadline, in milliseconds since the epoch or None, as one change."""
        super().put(key, value, when, event)
        self._times().note(key)

    def update(self, key: bytes, value: Value, event: Event) -> None:
        """As `replace`, for the key that was looked for by the last `peek`."""
        super().update(key, value, event)
        self._times().note(key)

    def touch(self, key: bytes, event: Event, changes: int = 1) -> None:
        """Says that the value of a key was changed in place."""
        super().touch(key, event, changes)
        self._times().note(key)

    def _times(self) -> AccessTimes:
        if self.accesses is None:  # first use, or all keys were deleted
            self.accesses = AccessTimes()
        return self.accesses


def idle(db: Database, key: bytes) -> int:
    """Seconds since a key was last used, or since the first call of `track` if it was not used since then."""
    return db.accesses.idle(key) if db.accesses is not None else 0
