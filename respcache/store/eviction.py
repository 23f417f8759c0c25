"""Eviction: which keys have to go when memory is short.

As Redis documents it, `maxmemory-samples` keys are looked at for each one that goes: so those go that are among the
worst in so many. Here the ranks of some random keys, looked up now and then, say which rank that is: the mark. Then
slots are drawn, and in each those keys go that are not above it. A slot is a random choice of keys already, and
comparing a dozen keys with a number takes less time than to pick five one by one, to sort them, and to remember the
best of them; what is remembered here is the mark alone.

What is worst the policy says: the longest unused (lru), the least used (lfu), the nearest to its deadline (ttl), or
nobody (random); among all keys, or only among those with a deadline (volatile).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from random import choices, random

from respcache.store.access import Frequency, Recency
from respcache.store.database import Database
from respcache.store.keyspace import Keyspace

AIM = 128
"""Keys whose ranks are looked up to find the mark, if there are so many."""
STEADY = 16
"""So many times as many keys are looked at before the mark is looked up anew."""
WINDOW = 64
"""Keys of a slot that are looked at, at most."""
REFRESH = 4096
"""Draws after which it is looked up anew which slots have keys."""
_MOST_COPIED = 4096  # keys of a shard that is copied
_TRIES = 8  # slots that may turn out to be empty, before it is looked up anew which have keys
_CROWDED = 8  # times as many keys as the mean, and a window, make a slot crowded
_LATE = 4  # keys that may be missing from those that should have been found, before the mark is looked up anew
_UNFAIR = 2  # times as many as its share a slot may lose at once; where most keys are equal they all seem bad
_VAIN = 100  # marks that may be looked up without finding a key

Shard = Mapping[bytes, object]
Drawn = tuple[Database, int, Shard | list[bytes]]
"""A database, a slot, and its shard or some of the keys in it."""


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

    __slots__ = (
        "_draws",
        "_due",
        "_keyspace",
        "_left",
        "_mark",
        "_order",
        "_sizes",
        "_some",
        "_tick",
        "_volatile",
        "samples",
    )

    def __init__(self, keyspace: Keyspace, policy: str, samples: int) -> None:
        who, _, self._order = policy.partition("-")
        self._volatile = who == "volatile"
        self._keyspace = keyspace
        self.samples = samples
        """Keys to look at for each one that is evicted."""
        self._draws = [Draw() for _ in keyspace.databases]
        self._some: list[Database] = []  # those that had keys when that was looked up
        self._sizes: list[int] = []  # how many
        self._mark = 0
        self._left = 0  # keys to look at before the mark is looked up anew
        self._tick = 0  # when it was looked up
        self._due = 0.0  # keys that should have been found since, less those that were

    def evict(self, most: int = 1) -> int:
        """Evicts up to so many keys, of one slot. Returns how many, 0 if there is none that may go."""
        if not self._order:
            return 0  # noeviction
        for _ in range(_VAIN):
            stale = self._left <= 0 or self._due > _LATE or self._tick != self._keyspace.access_clock.now
            if stale and not self._aim():
                return 0
            while self._left > 0 and self._due <= _LATE:
                drawn = self._draw()
                if drawn is None:
                    break
                db, slot, keys = drawn
                count = len(keys)
                worst = self._worst(db, slot, keys)
                fair = _UNFAIR * count // self.samples + 1
                del worst[fair if fair < most else most :]
                self._left -= count
                self._due += count / self.samples - len(worst)
                if worst:
                    self._delete(db, slot, worst)
                    return len(worst)
            self._left = 0
        return 0

    def _worst(self, db: Database, slot: int, keys: Shard | list[bytes]) -> list[bytes]:
        """Those of some keys of a slot that may go, the worst."""
        if self._order == "random":
            return [next(islice(keys, int(random() * len(keys)), None))]
        if db.accesses is not None and self._order != "ttl":
            return db.accesses.lowest(slot, keys, self._mark)
        deadlines, mark = db.deadlines.slots[slot], self._mark
        return [key for key in keys if deadlines[key] <= mark]

    def _aim(self) -> bool:
        """Looks up which databases have keys, and the mark. Tells whether there are any."""
        databases = self._keyspace.databases
        self._some = [db for db in databases if (db.deadlines.count if self._volatile else db.size)]
        self._sizes = [db.deadlines.count if self._volatile else db.size for db in self._some]
        self._tick = self._keyspace.access_clock.now
        self._due = 0
        ranks: list[int] = []
        wanted = min(max(AIM, 8 * self.samples), sum(self._sizes))
        while len(ranks) < wanted:
            drawn = self._draw()
            if drawn is None:
                break
            db, slot, keys = drawn
            if db.accesses is not None and self._order != "ttl":
                ranks += db.accesses.ranks(slot, keys)
            elif self._volatile:
                deadlines = db.deadlines.slots[slot]
                ranks += [deadlines[key] for key in keys]
            else:
                ranks += [0] * len(keys)  # of a random policy
        if ranks:
            ranks.sort()
            self._mark = ranks[(len(ranks) - 1) // self.samples]
        self._left = STEADY * len(ranks)
        return bool(ranks)

    def _draw(self) -> Drawn | None:
        some = self._some
        if not some:
            return None
        db = some[0] if len(some) == 1 else choices(some, self._sizes)[0]
        draw = self._draws[db.index]
        if self._volatile:
            drawn = draw.keys(db.deadlines.slots, db.deadlines.count)
        else:
            drawn = draw.keys(db.shards, db.size)
        return None if drawn is None else (db, *drawn)

    def _delete(self, db: Database, slot: int, keys: list[bytes]) -> None:
        keyspace = self._keyspace
        db.evict(slot, keys)
        keyspace.evicted_keys += len(keys)
        for tell in keyspace.evicted:
            for key in keys:
                tell(db, key)
        self._compact(db, slot)

    @staticmethod
    def _compact(db: Database, slot: int) -> None:
        """Makes the tables of a slot small again.

        A dict out of which keys are taken keeps their places, and makes a table three times as big as what is left once
        those are used up. Where as many keys go as come, that is half of the memory for nothing. So it is copied; a
        big one only if that makes it smaller.
        """
        shard = db.shards[slot]
        count = len(shard)
        if 0 < count <= WINDOW or (count <= _MOST_COPIED and shard.__sizeof__() > _compact_size(count)):
            db.shards[slot] = dict(shard)
            if db.accesses is not None:
                words = db.accesses.slots
                words[slot] = dict(words[slot])


def tracking(policy: str) -> type[Recency] | type[Frequency] | None:
    """How uses must be noted for a policy."""
    match policy.partition("-")[2]:
        case "lru":
            return Recency
        case "lfu":
            return Frequency
    return None
