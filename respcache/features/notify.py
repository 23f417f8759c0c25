"""Keyspace notifications: changes of keys become messages of pub/sub.

It listens to the databases only while `notify-keyspace-events` asks for something, so that nothing stands on the path
of commands otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from respcache.features.pubsub import PubSub
from respcache.store.database import Database
from respcache.store.events import (
    ARRIVALS,
    EXPIRED,
    KEYMISS,
    MOVE_FROM,
    NEW,
    RENAME_FROM,
    Event,
)
from respcache.store.keyspace import Keyspace

_DEPARTURES = frozenset((RENAME_FROM, MOVE_FROM))


class Notifier:
    """Publishes the events of some classes."""

    __slots__ = ("_events", "_keys", "_keyspace", "_kinds", "_listens", "_moved", "_pubsub")

    def __init__(self, keyspace: Keyspace, pubsub: PubSub) -> None:
        self._keyspace = keyspace
        self._pubsub = pubsub
        self._kinds: frozenset[str] = frozenset()
        self._keys = False  # __keyspace@0__:key, event
        self._events = False  # __keyevent@0__:event, key
        self._listens = False
        self._moved: tuple[Database, bytes, Event] | None = None  # the first half of RENAME or MOVE

    def follow(self, flags: str) -> None:
        """Publishes what these letters of `notify-keyspace-events` say (without `A`), nothing if they are none."""
        self._kinds = frozenset(flags) - {"K", "E"}
        self._keys = "K" in flags
        self._events = "E" in flags
        listens = bool(self._kinds) and (self._keys or self._events)
        if listens == self._listens:
            return
        self._listens = listens
        if listens:
            self._keyspace.listen(self)
            self._keyspace.expired.append(self.expired)
        else:
            self._keyspace.unlisten(self)
            self._keyspace.expired.remove(self.expired)

    def changed(self, db: Database, key: bytes, event: Event, fresh: bool) -> None:
        """A key was changed; one that was not there before is told of first.

        The other end of a move is made before the key leaves its old place; RENAME and COPY make it always anew.
        """
        if event in _DEPARTURES:
            self._moved = (db, key, event)
            return
        if (fresh or event in ARRIVALS) and "n" in self._kinds:
            self._publish(db, key, NEW)
        if self._moved is not None:
            moved, self._moved = self._moved, None
            if moved[2].kind in self._kinds:
                self._publish(*moved)
        if event.kind in self._kinds:
            self._publish(db, key, event)

    def missed(self, db: Database, key: bytes) -> None:
        """A key was read that is not there."""
        if "m" in self._kinds:
            self._publish(db, key, KEYMISS)

    def cleared(self, db: Database, touched: Callable[[bytes], bool]) -> None:
        """FLUSHALL and SWAPDB are no events."""

    def expired(self, db: Database, key: bytes) -> None:
        """The time of a key was over."""
        if "x" in self._kinds:
            self._publish(db, key, EXPIRED)

    def _publish(self, db: Database, key: bytes, event: Event) -> None:
        if self._keys:
            self._pubsub.publish(b"__keyspace@%d__:%b" % (db.index, key), event.name)
        if self._events:
            self._pubsub.publish(b"__keyevent@%d__:%b" % (db.index, event.name), key)
