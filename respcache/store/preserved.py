"""Databases that tell before they change: a snapshot then looks at what it has not seen yet.

What is about to be changed in place was looked for by `peek`, or is told to `prepare`; all else is changed by the
database itself. So every way to a change leads through here, and the keeper sees the slot as it was. A plain
`Database` knows nothing of it; see `respcache.store.keyspace` for how classes change.
"""

from __future__ import annotations

from collections.abc import Sequence

from respcache.store.database import Database, Value
from respcache.store.events import EXPIRE, PERSIST, SET, Event
from respcache.store.slot import hash_slot

_FIRM = frozenset((bytes, int))
"""Types of values that never change in place."""


class PreservedDatabase(Database):
    """A database whose keeper is told before each change. Its slots are those of `Database`."""

    __slots__ = ()

    def prepare(self, key: bytes) -> None:
        """Tells that a key is about to change."""
        keeper = self.keeper
        if keeper is not None:
            slot = hash_slot(key)
            if keeper.todo[slot]:
                keeper.keep(slot, key)

    def peek(self, key: bytes) -> Value | None:
        """The value for a command that is going to change it."""
        value = super().peek(key)
        if value is not None and type(value) not in _FIRM:
            self.prepare(key)
        return value

    def set(self, key: bytes, value: Value, event: Event = SET) -> None:
        """Sets a value, whatever was there."""
        self.prepare(key)
        super().set(key, value, event)

    def set_all(self, words: Sequence[bytes]) -> None:
        """Sets keys to values, given in turn."""
        for key in words[::2]:
            self.prepare(key)
        super().set_all(words)

    def replace(self, key: bytes, value: Value, event: Event) -> None:
        """Sets a value and keeps the key's time to live."""
        self.prepare(key)
        super().replace(key, value, event)

    def put(self, key: bytes, value: Value, when: int | None, event: Event = SET) -> None:
        """Sets a value and its deadline."""
        self.prepare(key)
        super().put(key, value, when, event)

    def update(self, key: bytes, value: Value, event: Event) -> None:
        """As `replace`, for the key that was looked for by the last `peek`."""
        self.prepare(key)
        super().update(key, value, event)

    def expire_at(self, key: bytes, when: int, event: Event = EXPIRE) -> None:
        """Gives an existing key a deadline."""
        self.prepare(key)
        super().expire_at(key, when, event)

    def persist(self, key: bytes, event: Event = PERSIST) -> bool:
        """Takes a key's time to live away."""
        self.prepare(key)
        return super().persist(key, event)

    def evict(self, slot: int, keys: Sequence[bytes]) -> None:
        """Deletes keys of a slot to make room."""
        for key in keys:
            self.prepare(key)
        super().evict(slot, keys)

    def _unlink(self, slot: int, key: bytes) -> None:
        keeper = self.keeper
        if keeper is not None and keeper.todo[slot]:
            keeper.keep(slot, key)
        super()._unlink(slot, key)

    def _let_go(self) -> None:
        keeper, self.keeper = self.keeper, None
        if keeper is None:
            super()._let_go()
        else:
            keeper.inherit()
            self._forget_shards()
