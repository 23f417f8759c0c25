"""Databases that tell of their changes: for WATCH, for blocked clients, for keyspace events.

As long as nobody listens a database is a plain `Database`, whose methods ignore the events that they are given; with
the first listener its class changes to this one, with the last it changes back (see `respcache.store.keyspace`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from respcache.store.database import Database, Value
from respcache.store.events import DEL, EVICTED, EXPIRE, PERSIST, SET, Event
from respcache.store.slot import hash_slot


def holds(db: Database, key: bytes) -> bool:
    """Whether a key is there, dead or alive."""
    return key in db.shards[hash_slot(key)]


class ObservedDatabase(Database):
    """A database with listeners. They are told after the change, once for each; its slots are those of `Database`."""

    __slots__ = ()

    def get(self, key: bytes) -> Value | None:
        """The value for a command that reads it; counted, and misses are told."""
        value = super().get(key)
        if value is None:
            self._missed(key)
        return value

    def look(self, key: bytes) -> Value | None:
        """As `get`, but no use of the key."""
        value = super().look(key)
        if value is None:
            self._missed(key)
        return value

    def set(self, key: bytes, value: Value, event: Event = SET) -> None:
        """Sets a value, whatever was there; a time to live is gone."""
        fresh = Database.peek(self, key) is None  # which tells of a key that is due, before it is made again
        super().set(key, value, event)
        self._changed(key, event, fresh)

    def set_all(self, words: Sequence[bytes]) -> None:
        """Sets keys to values, given in turn."""
        for key, value in zip(words[::2], words[1::2], strict=True):
            self.set(key, value)

    def replace(self, key: bytes, value: Value, event: Event) -> None:
        """Sets a value and keeps the key's time to live."""
        fresh = not holds(self, key)
        super().replace(key, value, event)
        self._changed(key, event, fresh)

    def put(self, key: bytes, value: Value, when: int | None, event: Event = SET) -> None:
        """Sets a value and its deadline, in milliseconds since the epoch or None, as one change."""
        fresh = Database.peek(self, key) is None
        super().put(key, value, when, event)
        self._changed(key, event, fresh)

    def update(self, key: bytes, value: Value, event: Event) -> None:
        """As `replace`, for the key that was looked for by the last `peek`."""
        if key in self._peeked:
            super().update(key, value, event)
            self._changed(key, event)
        else:
            self.set(key, value, event)

    def touch(self, key: bytes, event: Event, changes: int = 1) -> None:
        """Says that the value of a key was changed in place."""
        super().touch(key, event, changes)
        self._changed(key, event)

    def emptied(self, key: bytes, event: Event, changes: int = 1) -> None:
        """Says that a change in place left a container empty, and deletes the key."""
        super().emptied(key, event, changes)
        self._changed(key, event)
        self._changed(key, DEL)

    def notify(self, key: bytes, event: Event) -> None:
        """An event of a key whose change was already told of."""
        self._changed(key, event)

    def delete(self, key: bytes, event: Event = DEL) -> bool:
        """Deletes a key. Tells whether it was there, alive."""
        was_there = super().delete(key, event)
        if was_there:
            self._changed(key, event)
        return was_there

    def evict(self, slot: int, keys: Sequence[bytes]) -> None:
        """Deletes keys of a slot to make room."""
        super().evict(slot, keys)
        for key in keys:
            self._changed(key, EVICTED)

    def take(self, key: bytes, event: Event) -> tuple[Value, int | None] | None:
        """Takes a living key out."""
        taken = super().take(key, event)
        if taken is not None:
            self._changed(key, event)
        return taken

    def expire_at(self, key: bytes, when: int, event: Event = EXPIRE) -> None:
        """Gives an existing key a deadline, in milliseconds since the epoch."""
        super().expire_at(key, when, event)
        self._changed(key, event)

    def persist(self, key: bytes, event: Event = PERSIST) -> bool:
        """Takes a key's time to live away. Tells whether it had one."""
        had = super().persist(key, event)
        if had:
            self._changed(key, event)
        return had

    def clear(self) -> int:
        """Deletes all keys. Returns how many there were."""
        for listener in self.listeners:
            listener.cleared(self, partial(holds, self))
        return super().clear()

    def swap(self, other: Database) -> None:
        """Exchanges contents with another database."""
        for db in (self, other):
            for listener in db.listeners:
                listener.cleared(db, lambda key: holds(self, key) or holds(other, key))
        super().swap(other)

    def _changed(self, key: bytes, event: Event, fresh: bool = False) -> None:
        for listener in self.listeners:
            listener.changed(self, key, event, fresh)

    def _missed(self, key: bytes) -> None:
        for listener in self.listeners:
            listener.missed(self, key)
