"""WATCH: whose transactions a change of a key makes fail."""

from __future__ import annotations

from collections.abc import Callable

from respcache.store.database import Database
from respcache.store.events import Event
from respcache.store.keyspace import Keyspace


class Watch:
    """What one client watches."""

    __slots__ = ("broken", "keys")

    def __init__(self) -> None:
        self.keys: set[tuple[int, bytes]] = set()
        """(number of the database, key)."""
        self.broken = False
        """One of them has changed."""


class Watches:
    """What all clients watch. It listens to changes only while there is something."""

    __slots__ = ("_keyspace", "_watchers")

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._watchers: dict[tuple[int, bytes], set[Watch]] = {}

    def __len__(self) -> int:
        return len(self._watchers)

    def add(self, watch: Watch, db: Database, key: bytes) -> None:
        """Has a client watch a key; one that is due is deleted before."""
        db.peek(key)
        where = (db.index, key)
        if not self._watchers:
            self._keyspace.listen(self)
            self._keyspace.expired.append(self._expired)
        self._watchers.setdefault(where, set()).add(watch)
        watch.keys.add(where)

    def is_broken(self, watch: Watch) -> bool:
        """Whether a key was changed since it is watched, or has expired."""
        for index, key in tuple(watch.keys):
            self._keyspace.databases[index].peek(key)
        return watch.broken

    def drop(self, watch: Watch) -> None:
        """A client watches nothing any more."""
        for where in watch.keys:
            watchers = self._watchers[where]
            watchers.discard(watch)
            if not watchers:
                del self._watchers[where]
        if watch.keys and not self._watchers:
            self._keyspace.unlisten(self)
            self._keyspace.expired.remove(self._expired)
        watch.keys.clear()

    # What the databases tell

    def changed(self, db: Database, key: bytes, event: Event, fresh: bool) -> None:
        """A key was changed."""
        if event.is_quiet and not fresh:
            return
        for watch in self._watchers.get((db.index, key), ()):
            watch.broken = True

    def missed(self, db: Database, key: bytes) -> None:
        """Reading changes nothing."""

    def cleared(self, db: Database, touched: Callable[[bytes], bool]) -> None:
        """All keys of a database are about to change."""
        for (index, key), watchers in self._watchers.items():
            if index == db.index and touched(key):
                for watch in watchers:
                    watch.broken = True

    def _expired(self, db: Database, key: bytes) -> None:
        for watch in self._watchers.get((db.index, key), ()):
            watch.broken = True
