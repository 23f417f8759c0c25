"""Eviction: which key has to go when memory is short.

As Redis does it: a few random keys are looked at for each one that goes, and a pool remembers the worst of all that
were seen, so that each choice gains from those before it. A slot is a random choice of keys already, so all of its keys
are looked at where it has no more than some dozens, for as many evictions as that is worth: a dozen keys behind one
another take less time than five picked one by one.

What is worst the policy says: the longest unused (lru), the least used (lfu), the nearest to its deadline (ttl), or
nobody (random); among all keys, or only among those with a deadline (volatile).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from operator import itemgetter
from random import random

from respcache.store.access import Frequency, Recency
from respcache.store.database import Database
from respcache.store.events import EVICTED
from respcache.store.keyspace import Keyspace

POOL = 16
"""Keys that are remembered, at most."""
_CANDIDATES = 2  # keys that may get into the pool, for each one that may go
WINDOW = 64
"""Keys of a slot that are looked at, at most."""
REFRESH = 4096
"""Draws after which it is looked up anew which slots have keys."""
_MOST_COPIED = 4096  # keys of a shard that is copied
_TRIES = 8  # slots that may turn out to be empty, before it is looked up anew which have keys
_SELDOM = 3  # a mask of turns
_CROWDED = 8  # times as many keys as the mean, and a window, make a slot crowded

_second = itemgetter(1)

Shard = Mapping[bytes, object]


@cache
def _compact_size(count: int) -> int:
    """Bytes of a dict with so many keys that was copied from one out of which some were taken."""
    holed = dict.fromkeys(range(3 * count))
    for number in range(2 * count):
        del holed[number]
    return dict(holed).__sizeof__()


class Draw:
    """Draws slots of a database, those that have more keys more often if they are crowded with them.

    In a crowded slot it goes from window to window through a list of its keys, for a dict cannot be entered halfway.
    """

    __slots__ = ("_crowded", "_left", "_lists", "_share", "_slots")

    def __init__(self) -> None:
        self._left = 0
        self._slots: list[int] = []
        self._crowded: list[int] = []
        self._share = 0.0  # of all keys that are in crowded slots
        self._lists: dict[int, list[bytes]] = {}

    def keys(self, shards: Sequence[Shard] | Mapping[int, Shard], size: int) -> tuple[int, Shard | list[bytes]] | None:
        """A slot, and its shard or some of the keys in it; or None if no slot is found to have any.

        `shards` is a list with a place for each slot, or has those that have keys; `size` is the number of all keys.
        """
        while True:
            known = self._left > 0
            if not known:
                self._refresh(shards, size)
            if not self._slots and not known:
                return None
            for _ in range(_TRIES if self._slots else 0):
                self._left -= 1
                slots = self._crowded if self._crowded and random() < self._share else self._slots
                slot = slots[int(random() * len(slots))]
                shard = shards[slot] if type(shards) is not dict else shards.get(slot)
                if shard:
                    return slot, shard if len(shard) <= WINDOW else self._window(slot, shard)
            if not known:
                return None
            self._left = 0

    def _refresh(self, shards: Sequence[Shard] | Mapping[int, Shard], size: int) -> None:
        if type(shards) is dict:
            slots = self._slots = list(shards)
        else:
            slots = self._slots = [slot for slot, shard in enumerate(shards) if shard]
        self._left = REFRESH if len(slots) == 1 else min(REFRESH, len(slots) // 2 + 1)
        self._lists.clear()
        most = _CROWDED * size // (len(slots) or 1) + WINDOW
        self._crowded = [slot for slot in slots if len(shards[slot]) > most or len(slots) == 1]
        self._share = sum([len(shards[slot]) for slot in self._crowded]) / (size or 1)

    def _window(self, slot: int, shard: Shard) -> list[bytes]:
        if slot not in self._crowded and len(shard) < 1 << 14:
            return list(islice(shard, (first := int(random() * (len(shard) - WINDOW))), first + WINDOW))
        keys = self._lists.get(slot)
        if not keys:
            keys = self._lists[slot] = list(shard)
            turn = int(random() * len(keys))
            keys[:] = keys[turn:] + keys[:turn]
        found = [key for key in keys[-WINDOW:] if key in shard]
        del keys[-WINDOW:]
        return found or list(islice(shard, WINDOW))


class Evictor:
    """Evicts keys of a keyspace by one policy. Databases must note uses as the policy needs, see `tracking`."""

    __slots__ = ("_credit", "_draws", "_keyspace", "_next", "_order", "_pool", "_turn", "_volatile", "samples")

    def __init__(self, keyspace: Keyspace, policy: str, samples: int) -> None:
        who, _, self._order = policy.partition("-")
        self._volatile = who == "volatile"
        self._keyspace = keyspace
        self.samples = samples
        """Keys to look at for each one that is evicted, at least."""
        self._pool: list[tuple[int, int, int, bytes]] = []  # (-rank, database, slot, key), the worst one last
        self._draws = [Draw() for _ in keyspace.databases]
        self._credit = 0  # keys that may go before more are looked at
        self._turn = 0
        self._next = 0  # the database whose turn it is, of a random policy

    def evict(self) -> bool:
        """Evicts a key. False: there is none that may be."""
        if not self._order:
            return False  # noeviction
        if self._order == "random":
            return self._evict_random()
        pool, databases = self._pool, self._keyspace.databases
        for _ in range(3):
            if (self._credit <= 0 or not pool) and not self._fill():
                return False
            while pool:
                rank, index, slot, key = pool.pop()
                db = databases[index]
                shard: Shard = db.deadlines.slots.get(slot, {}) if self._volatile else db.shards[slot]
                if key in shard and self._rank(db, slot, key) <= -rank:  # else it is gone, or was used since
                    self._credit -= 1
                    self._delete(db, key)
                    self._compact(db, slot)
                    return True
        return False

    def _fill(self) -> bool:
        """Puts the worst of some keys of each database into the pool. Tells whether there are any."""
        found = False
        for db in self._keyspace.databases:
            if db.deadlines.count if self._volatile else db.size:
                found = True
                self._sample(db)
        return found

    def _evict_random(self) -> bool:
        count = len(self._keyspace.databases)
        for _ in range(count):
            db = self._keyspace.databases[self._next % count]
            self._next += 1
            drawn = self._draw(db) if db.size else None
            if drawn is not None:
                keys = drawn[1]
                self._delete(db, next(islice(keys, int(random() * min(len(keys), WINDOW)), None)))
                return True
        return False

    def _draw(self, db: Database) -> tuple[int, Shard | list[bytes]] | None:
        draw = self._draws[db.index]
        if self._volatile:
            return draw.keys(db.deadlines.slots, db.deadlines.count) if db.deadlines.count else None
        return draw.keys(db.shards, db.size)

    def _sample(self, db: Database) -> None:
        """Looks at some keys, for one or more that may go then, and puts those worse than the pool's into it."""
        looked = 0
        worst: list[tuple[int, bytes, int]] = []  # rank, key, slot
        all_keys = db.deadlines.count if self._volatile else db.size
        while looked < min(self.samples, all_keys):
            drawn = self._draw(db)
            if drawn is None:
                break
            slot, keys = drawn
            looked += len(keys)
            most = _CANDIDATES * len(keys) // self.samples + 1
            worst += [(rank, key, slot) for key, rank in self._worst(db, slot, keys, most)]
        self._credit = max(round(looked / self.samples), 1)
        pool = self._pool
        for rank, key, slot in worst:
            if len(pool) == POOL:
                if pool[0][0] >= -rank:
                    continue
                del pool[0]
            insort(pool, (-rank, db.index, slot, key))

    def _worst(self, db: Database, slot: int, keys: Shard | list[bytes], count: int) -> list[tuple[bytes, int]]:
        if db.accesses is not None and self._order != "ttl":
            return db.accesses.lowest(slot, keys, count)
        deadlines = db.deadlines.slots[slot]
        return sorted([(key, deadlines[key]) for key in keys], key=_second)[:count]

    def _rank(self, db: Database, slot: int, key: bytes) -> int:
        if db.accesses is not None and self._order != "ttl":
            return db.accesses.rank(slot, key)
        return db.deadlines.slots[slot][key]

    def _compact(self, db: Database, slot: int) -> None:
        """Makes the tables of a slot small again.

        A dict out of which keys are taken keeps their places, and makes a table three times as big as what is left once
        those are used up. Where as many keys go as come, that is half of the memory for nothing. So one that has grown
        is copied, and now and then one that is about to: to do that each time would cost more than it saves.
        """
        shard = db.shards[slot]
        count = len(shard)
        if 0 < count <= _MOST_COPIED:
            self._turn += 1
            big = _compact_size(count) - (not self._turn & _SELDOM)
            if shard.__sizeof__() > big:
                db.shards[slot] = dict(shard.items())
            if db.accesses is not None:
                words = db.accesses.slots.get(slot)
                if words is not None and len(words) == count and words.__sizeof__() > big:
                    db.accesses.slots[slot] = dict(words.items())

    def _delete(self, db: Database, key: bytes) -> None:
        if db.delete(key, EVICTED):
            db.dirty -= 1  # which is about what clients change
            self._keyspace.evicted_keys += 1
            for tell in self._keyspace.evicted:
                tell(db, key)


def tracking(policy: str) -> type[Recency] | type[Frequency] | None:
    """How uses must be noted for a policy."""
    match policy.partition("-")[2]:
        case "lru":
            return Recency
        case "lfu":
            return Frequency
    return None
