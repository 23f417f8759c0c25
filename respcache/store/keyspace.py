"""All databases of a server, and who is told of what happens in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from respcache.clock import Clock, monotonic
from respcache.store.access import AccessClock, Frequency, Recency
from respcache.store.database import Database, Listener
from respcache.store.field_expiry import expire_fields
from respcache.store.footprint import Account, Footprint
from respcache.store.hiding import HidingDatabase
from respcache.store.keeper import Keeper
from respcache.store.lazyfree import Graveyard
from respcache.store.observed import ObservedDatabase
from respcache.store.preserved import PreservedDatabase
from respcache.store.sized import SizedDatabase, recount
from respcache.store.slot import SLOTS
from respcache.store.tracked import TrackedDatabase

_BEGINNING = Clock(lambda: 0)


class Keyspace:
    """All databases of a server."""

    __slots__ = (
        "access_clock",
        "account",
        "databases",
        "evicted",
        "evicted_keys",
        "expired",
        "expired_keys",
        "graveyard",
    )

    def __init__(self, count: int, clock: Clock) -> None:
        self.graveyard = Graveyard()
        """What was deleted and is still to be freed."""
        self.databases = [Database(index, clock, self._on_expired, self.graveyard) for index in range(count)]
        self.expired: list[Callable[[Database, bytes], None]] = []
        """Who is told of each key that has expired."""
        self.evicted: list[Callable[[Database, bytes], None]] = []
        """Who is told of each key that was evicted."""
        self.evicted_keys = 0
        self.access_clock = AccessClock()
        """To be ticked while uses are noted."""
        self.account = Account()
        """What all databases take, kept while `count_bytes` is on."""
        self.expired_keys = 0

    def listen(self, listener: Listener) -> None:
        """Tells somebody of all changes of all databases from now on; see `respcache.store.observed`."""
        for db in self.databases:
            db.listeners = (*db.listeners, listener)
            adapt(db, ObservedDatabase, True)

    def unlisten(self, listener: Listener) -> None:
        """No longer. Nothing happens if it did not listen."""
        for db in self.databases:
            db.listeners = tuple(each for each in db.listeners if each is not listener)
            adapt(db, ObservedDatabase, bool(db.listeners))

    def track(self, how: type[Recency] | type[Frequency] | None = Recency) -> None:
        """Makes all databases note the uses of their keys from now on, in this way; None: no longer. What they noted
        in another way is forgotten."""
        self.access_clock.tick()
        for db in self.databases:
            if how is None:
                db.accesses = None
            elif not isinstance(db.accesses, how):
                db.accesses = how(self.access_clock)
                for slot in filter(db.used.__getitem__, range(SLOTS) if db.size else ()):
                    db.accesses.open(slot)
            adapt(db, TrackedDatabase, how is not None)

    def count_bytes(self, on: bool) -> None:
        """Makes all databases keep the account of what they take, or no longer. What is there is counted at once."""
        for db in self.databases:
            if on and not isinstance(db, SizedDatabase):
                db.footprint = Footprint(self.account)
                adapt(db, SizedDatabase, True)
                recount(db)
            elif not on and db.footprint is not None:
                db.footprint.drop()
                adapt(db, SizedDatabase, False)
                db.footprint = None

    def preserve(self, keepers: Sequence[Keeper | None]) -> None:
        """Tells a keeper of each database, in their order, of what is about to change; None: nobody any more."""
        for db, keeper in zip(self.databases, keepers, strict=True):
            db.keeper = keeper
            adapt(db, PreservedDatabase, keeper is not None)

    def hide(self, on: bool) -> None:
        """Hides what is due from now on, and leaves its deletion to a master; or no longer."""
        for db in self.databases:
            adapt(db, HidingDatabase, on)

    @contextmanager
    def without_time(self) -> Iterator[None]:
        """Nothing is due meanwhile: what is replayed was alive when it was written."""
        clocks = [db.clock for db in self.databases]
        for db in self.databases:
            db.clock = _BEGINNING
        try:
            yield
        finally:
            for db, clock in zip(self.databases, clocks, strict=True):
                db.clock = clock

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
        """Forgets hits, misses, expired and evicted keys, expired fields."""
        for db in self.databases:
            db.hits = db.misses = db.expired_fields = 0
        self.expired_keys = self.evicted_keys = 0

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


TRAITS: tuple[type[Database], ...] = (
    PreservedDatabase,
    HidingDatabase,
    ObservedDatabase,
    SizedDatabase,
    TrackedDatabase,
)
"""What a database may be asked to do besides; the first one acts first. A database is of a class that is made of its
traits, so that one without any pays for none."""


def adapt(db: Database, trait: type[Database], on: bool) -> None:
    """Has a database do what a trait does, or no longer."""
    if isinstance(db, trait) != on:
        db.__class__ = _composed(tuple(each for each in TRAITS if (on if each is trait else isinstance(db, each))))


@cache
def _composed(traits: tuple[type[Database], ...]) -> type[Database]:
    if len(traits) < 2:
        return traits[0] if traits else Database
    return type("+".join(trait.__name__ for trait in traits), traits, {"__slots__": ()})
