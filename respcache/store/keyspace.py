"""All databases of a server, and who is told of what happens in them."""

from __future__ import annotations

from collections.abc import Callable

from respcache.clock import Clock, monotonic
from respcache.store.access import AccessTimes
from respcache.store.database import Database, Listener
from respcache.store.field_expiry import expire_fields
from respcache.store.lazyfree import Graveyard
from respcache.store.observed import ObservedDatabase
from respcache.store.tracked import TrackedDatabase


class Keyspace:
    """All databases of a server."""

    __slots__ = ("databases", "expired", "expired_keys", "graveyard")

    def __init__(self, count: int, clock: Clock) -> None:
        self.graveyard = Graveyard()
        """What was deleted and is still to be freed."""
        self.databases = [Database(index, clock, self._on_expired, self.graveyard) for index in range(count)]
        self.expired: list[Callable[[Database, bytes], None]] = []
        """Who is told of each key that has expired."""
        self.expired_keys = 0

    def listen(self, listener: Listener) -> None:
        """Tells somebody of all changes of all databases from now on; see `respcache.store.observed`."""
        for db in self.databases:
            db.listeners = (*db.listeners, listener)
            adapt(db)

    def unlisten(self, listener: Listener) -> None:
        """No longer. Nothing happens if it did not listen."""
        for db in self.databases:
            db.listeners = tuple(each for each in db.listeners if each is not listener)
            adapt(db)

    def track(self) -> None:
        """Makes all databases note the uses of their keys from now on."""
        for db in self.databases:
            if not isinstance(db, TrackedDatabase):
                db.accesses = AccessTimes()
                adapt(db)

    @property
    def dirty(self) -> int:
        """Number of changes ever made to any database."""
        return sum(db.dirty for db in self.databases)

    @property
    def hits(self) -> int:
        """Number of reads that found their key."""
        return sum(db.hits for db in self.databases)

    @property
    def misses(self) -> int:
        """Number of reads that found no key."""
        return sum(db.misses for db in self.databases)

    @property
    def expired_fields(self) -> int:
        """Number of fields of hashes that have expired."""
        return sum(db.expired_fields for db in self.databases)

    def reset_stats(self) -> None:
        """Forgets hits, misses, expired keys and fields."""
        for db in self.databases:
            db.hits = db.misses = db.expired_fields = 0
        self.expired_keys = 0

    def next_look(self) -> int | None:
        """When expire_due has something to do next, in milliseconds since the epoch; None: never so far."""
        both = [deadlines for db in self.databases for deadlines in (db.deadlines, db.field_deadlines)]
        return min((look for each in both if (look := each.next_look()) is not None), default=None)

    def expire_due(self, budget: float) -> bool:
        """Deletes keys, and fields of hashes, that are due, for about `budget` seconds. Tells whether more of
        them are left."""
        stop = monotonic() + budget
        more = False
        for db in self.databases:
            if db.deadlines.count:
                more |= db.expire_due(max(stop - monotonic(), 0))
            if db.field_deadlines.count:
                more |= expire_fields(db, max(stop - monotonic(), 0))
        return more

    def _on_expired(self, db: Database, key: bytes) -> None:
        self.expired_keys += 1
        for tell in self.expired:
            tell(db, key)


class _ObservedTrackedDatabase(ObservedDatabase, TrackedDatabase):
    """Both."""

    __slots__ = ()


def adapt(db: Database) -> None:
    """Gives a database the class that does what is asked of it, and no more."""
    tracked = db.accesses is not None or isinstance(db, TrackedDatabase)
    if db.listeners:
        db.__class__ = _ObservedTrackedDatabase if tracked else ObservedDatabase
    else:
        db.__class__ = TrackedDatabase if tracked else Database
