"""Clients that wait: a handler raises `Pause`, and the connection holds what comes behind.

Who waits for keys is a `Waiter`. The databases tell `Waiting` which keys change, and after each command that changed
one that somebody waits for, `respcache.serve` tries the waiting commands again, first come first served.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from respcache.store.database import Database
from respcache.store.events import ARRIVALS, XGROUP_DESTROY, Event
from respcache.store.keyspace import Keyspace
from respcache.store.slot import hash_slot
from respcache.store.types import type_name

FEW = 16
"""How many who wait for a key are looked at before all of them are: most often the first one takes what is there."""


class Pause(Exception):
    """Raised by a handler or a layer: there is no reply yet.

    With `retry` the same request is run again once the connection is released; without, whoever releases the
    connection gives the reply. Nothing may have been changed when it is raised.
    """

    def __init__(self, retry: bool) -> None:
        super().__init__()
        self.retry = retry


class Disconnect(Exception):
    """Raised by a handler: send this reply, drop the rest of the input, close the connection."""

    def __init__(self, reply: bytes = b"") -> None:
        super().__init__()
        self.reply = reply


class Blocked(Protocol):
    """The client behind a waiter."""

    waiter: Waiter | None


class Waiter:
    """One client's blocking command."""

    __slots__ = (
        "arguments",
        "attempt",
        "client",
        "deadline",
        "follows",
        "gone",
        "keys",
        "kind",
        "nothing",
        "team",
        "timer",
    )

    def __init__(
        self,
        client: Blocked,
        kind: bytes,
        keys: Sequence[tuple[int, bytes]],
        deadline: int,
        attempt: Callable[[], bytes | None],
        nothing: bytes,
        gone: bool,
        team: Hashable = None,
    ) -> None:
        self.client = client
        self.arguments: Sequence[bytes] = ()
        """Those of the command, for who propagates it."""
        self.kind = kind
        """The name of the type that a key must hold to be worth an attempt."""
        self.keys = keys
        """(number of the database, key)."""
        self.deadline = deadline
        """When it stops to wait, in milliseconds since the epoch; 0: never."""
        self.attempt = attempt
        """Runs the command again; None: there is still nothing."""
        self.nothing = nothing
        """The reply when the time is over."""
        self.gone = gone
        """An attempt is also due when a key has gone or changed its type."""
        self.follows = gone or kind == b"stream"
        """A key that is there may bring something new. The others wait for it to come."""
        self.team = team
        """What one of a team finds nothing in, the others need not try; None: it is of no team."""
        self.timer: TimerHandle | None = None


class Waiting:
    """All waiters. It listens to changes from the first one until `rest` finds that nobody waits any more."""

    __slots__ = ("_keys", "_keyspace", "_kinds", "_listens", "_sought", "count", "ready")

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._keys: dict[tuple[int, bytes], dict[Waiter, None]] = {}  # first come first
        self._sought: dict[tuple[int, bytes], int] = {}  # how many of them want to know when it is gone
        self._kinds: Counter[bytes] = Counter()  # of all waiters, by the type that they wait for
        self._listens = False
        self.count = 0
        """Number of waiters, those without keys (WAIT) included."""
        self.ready: dict[tuple[int, bytes], bool] = {}
        """Keys that have changed and that somebody waits for, in this order, and whether they were made anew."""

    @property
    def keys(self) -> int:
        """Number of keys that somebody waits for."""
        return len(self._keys)

    @property
    def keys_of_seekers(self) -> int:
        """Number of those of which somebody wants to know when they are gone."""
        return len(self._sought)

    def add(self, waiter: Waiter) -> None:
        """A client begins to wait."""
        if not self._listens:
            self._listens = True
            self._keyspace.listen(self)
            self._keyspace.expired.append(self._expired)
        for where in waiter.keys:
            self._keys.setdefault(where, {})[waiter] = None
            if waiter.gone:
                self._sought[where] = self._sought.get(where, 0) + 1
        waiter.client.waiter = waiter
        self.count += 1
        self._kinds[waiter.kind] += 1

    def remove(self, waiter: Waiter) -> None:
        """A client waits no longer, for whatever reason."""
        if waiter.client.waiter is not waiter:
            return
        waiter.client.waiter = None
        self.count -= 1
        self._kinds[waiter.kind] -= 1
        if waiter.timer is not None:
            waiter.timer.cancel()
        for where in waiter.keys:
            waiters = self._keys.get(where)
            if waiters is not None:
                waiters.pop(waiter, None)
                if not waiters:
                    del self._keys[where]
            if waiter.gone:
                self._sought[where] -= 1
                if not self._sought[where]:
                    del self._sought[where]

    def at(self, where: tuple[int, bytes]) -> Iterator[Waiter]:
        """Who waits for a key, first come first. They may go meanwhile, but nobody may come."""
        waiters = self._keys.get(where, {})
        first = dict.fromkeys(islice(waiters, FEW))
        yield from first
        if len(first) == FEW:
            yield from [waiter for waiter in waiters if waiter not in first]

    def is_sought(self, where: tuple[int, bytes]) -> bool:
        """Whether somebody wants to know when a key is gone."""
        return where in self._sought

    def rest(self) -> bool:
        """Stops listening if nobody waits. Tells whether it rests.

        It is asked now and then: a worker that blocks again and again need not pay for it each time.
        """
        if self._listens and not self.count:
            self._listens = False
            self._keyspace.unlisten(self)
            self._keyspace.expired.remove(self._expired)
        return not self._listens

    # What the databases tell

    def changed(self, db: Database, key: bytes, event: Event, fresh: bool) -> None:
        """A key was changed. What consumer groups note of themselves brings nothing new to anybody.

        A key that is made counts if somebody waits for its type, be it for another key: so does Redis. What has the
        type that is waited for only when the transaction is over has not been made, but overwritten.
        """
        where = (db.index, key)
        if where in self._keys:
            value = db.shards[hash_slot(key)].get(key)
            arrived = (fresh or event in ARRIVALS) and self._kinds[type_name(value)] > 0
            if arrived or not event.is_quiet or event is XGROUP_DESTROY:
                self.ready[where] = arrived or self.ready.get(where, False)

    def missed(self, db: Database, key: bytes) -> None:
        """Reading changes nothing."""

    def cleared(self, db: Database, _touched: Callable[[bytes], bool]) -> None:
        """All keys of a database are about to change."""
        for where in self._keys:
            if where[0] == db.index:
                self.ready[where] = True

    def _expired(self, db: Database, key: bytes) -> None:
        where = (db.index, key)
        if where in self._keys:
            self.ready.setdefault(where, False)
