"""When and how often keys are used: for OBJECT IDLETIME and FREQ, and for the LRU and LFU policies of maxmemory.

Each use writes a word beside the key, in a dict for each slot. The words are integers that keys share: all uses of the
same tick are one object, and so are all uses of the same minute that end in the same count. So a word takes a place
in a dict, and no memory of its own. Who notes uses is `tracked.py`.

(Rejected: the order of a shard's dict as recency. Taking a key out and putting it in again at the end doubles the
table of a small dict, which is what the words take, and the first key of a big one is behind all that were ever taken
out. It knows no idle times either.)

LFU as Redis documents it: a counter up to 255 that grows with a probability of 1 / ((counter - 5) * lfu-log-factor +
1), and is lowered by one for each lfu-decay-time minutes that its key was not used. New keys begin at 5.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from random import random
from typing import Protocol

from respcache.clock import monotonic
from respcache.store.slot import hash_slot

TICKS = 10
"""Ticks of the clock of accesses in a second. Redis has one, which tells little in a cache that turns over in one."""
NEW = 5
"""What the counter of a new key says, so that it is not evicted before it had a chance."""
MOST = 255

_second = itemgetter(1)

Keys = Mapping[bytes, object] | Sequence[bytes]
"""A whole shard, or some of its keys."""


class AccessClock:
    """The time that words are made of. It stands still between two calls of `tick`, so that telling it is cheap."""

    __slots__ = ("decay", "minute", "now", "odds", "row")

    def __init__(self) -> None:
        self.minute = -1
        self.adjust(10, 1)
        self.tick()

    def adjust(self, log_factor: int, decay_time: int) -> None:
        """Follows lfu-log-factor and lfu-decay-time."""
        self.decay = decay_time
        """Minutes in which an unused counter loses one; 0: never."""
        self.odds = [1 / (max(count - NEW, 0) * log_factor + 1) for count in range(MOST)] + [0.0]
        """With which a counter grows, by its value."""

    def tick(self) -> None:
        """Reads the monotonic clock. To be called about TICKS times a second."""
        seconds = monotonic()
        self.now = int(seconds * TICKS)
        minute = int(seconds) // 60
        if minute != self.minute:
            self.minute = minute
            self.row = [minute << 8 | count for count in range(MOST + 1)]
            """The words of this minute, by counter."""


class Accesses(Protocol):
    """The words of a database: one for each key that was used since it began to note them."""

    slots: dict[int, dict[bytes, int]]

    def use(self, slot: int, key: bytes) -> None:
        """A key is used, or made."""

    def drop(self, slot: int, key: bytes) -> None:
        """Forgets a key."""

    def fresh(self) -> Accesses:
        """The same without any words."""

    def rank(self, slot: int, key: bytes) -> int:
        """How much a key is worth; the lowest is evicted first."""

    def lowest(self, slot: int, keys: Keys, count: int) -> list[tuple[bytes, int]]:
        """So many keys of lowest rank among some of a slot, with their ranks."""


class _Words:
    """What the two kinds of words have in common."""

    __slots__ = ("clock", "slots")

    def __init__(self, clock: AccessClock) -> None:
        self.clock = clock
        self.slots: dict[int, dict[bytes, int]] = defaultdict(dict)

    def drop(self, slot: int, key: bytes) -> None:
        """Forgets a key."""
        words = self.slots.get(slot)
        if words is not None:
            words.pop(key, None)
            if not words:
                del self.slots[slot]


class Recency(_Words):
    """When keys were last used, in ticks."""

    __slots__ = ("since",)

    def __init__(self, clock: AccessClock) -> None:
        super().__init__(clock)
        self.since = clock.now
        """What counts as the last use of a key that was not used since."""

    def fresh(self) -> Recency:
        """The same without any words."""
        return Recency(self.clock)

    def use(self, slot: int, key: bytes) -> None:
        """A key is used, or made."""
        self.slots[slot][key] = self.clock.now

    def set_idle(self, key: bytes, seconds: int) -> None:
        """A key was last used so many seconds ago."""
        self.slots[hash_slot(key)][key] = self.clock.now - seconds * TICKS

    def idle(self, key: bytes) -> int:
        """Seconds since a key was last used."""
        return (self.clock.now - self.rank(hash_slot(key), key)) // TICKS

    def rank(self, slot: int, key: bytes) -> int:
        """The tick of its last use."""
        words = self.slots.get(slot)
        return self.since if words is None else words.get(key, self.since)

    def lowest(self, slot: int, keys: Keys, count: int) -> list[tuple[bytes, int]]:
        """The keys that were not used for longest, with the ticks of their last uses."""
        words = self.slots.get(slot, {})
        if type(keys) is dict and len(keys) == len(words):
            return sorted(words.items(), key=_second)[:count]
        since = self.since
        return sorted([(key, words.get(key, since)) for key in keys], key=_second)[:count]


class Frequency(_Words):
    """How often keys are used: counter and minute of the last use, as `minute << 8 | counter`."""

    __slots__ = ()

    def fresh(self) -> Frequency:
        """The same without any words."""
        return Frequency(self.clock)

    def use(self, slot: int, key: bytes) -> None:
        """A key is used, or made."""
        clock, words = self.clock, self.slots[slot]
        word = words.get(key)
        if word is None:
            words[key] = clock.row[NEW]
            return
        count = word & MOST if word >> 8 == clock.minute else self._decayed(word)
        words[key] = clock.row[count + (random() < clock.odds[count])]

    def set_frequency(self, key: bytes, count: int) -> None:
        """Sets the counter of a key, 0 to 255."""
        self.slots[hash_slot(key)][key] = self.clock.row[count]

    def frequency(self, key: bytes) -> int:
        """The counter of a key as it is now."""
        return self.rank(hash_slot(key), key)

    def rank(self, slot: int, key: bytes) -> int:
        """Its counter."""
        words = self.slots.get(slot)
        word = None if words is None else words.get(key)
        return NEW if word is None else self._decayed(word)

    def lowest(self, slot: int, keys: Keys, count: int) -> list[tuple[bytes, int]]:
        """The keys with the lowest counters, and those."""
        words, clock = self.slots.get(slot, {}), self.clock
        minute, unused, decayed = clock.minute, clock.row[NEW], self._decayed
        known = type(keys) is dict and len(keys) == len(words)
        pairs = words.items() if known else [(key, words.get(key, unused)) for key in keys]
        ranks = [(key, word & MOST if word >> 8 == minute else decayed(word)) for key, word in pairs]
        return sorted(ranks, key=_second)[:count]

    def _decayed(self, word: int) -> int:
        clock = self.clock
        idle = clock.minute - (word >> 8)
        if idle <= 0 or not clock.decay:
            return word & MOST
        return max((word & MOST) - idle // clock.decay, 0)


class Spared:
    """The words of a database while somebody reads who is not to leave traces: CLIENT NO-TOUCH."""

    __slots__ = ("slots", "words")

    def __init__(self, words: Accesses) -> None:
        self.words = words
        self.slots = words.slots

    def use(self, slot: int, key: bytes) -> None:
        """Nothing is noted of a key that is known; a new one is."""
        if key not in self.slots.get(slot, ()):
            self.words.use(slot, key)

    def drop(self, slot: int, key: bytes) -> None:
        """Forgets a key."""
        self.words.drop(slot, key)

    def fresh(self) -> Accesses:
        """The same without any words."""
        return self.words.fresh()

    def rank(self, slot: int, key: bytes) -> int:
        """How much a key is worth."""
        return self.words.rank(slot, key)

    def lowest(self, slot: int, keys: Keys, count: int) -> list[tuple[bytes, int]]:
        """So many keys of lowest rank among some of a slot, with their ranks."""
        return self.words.lowest(slot, keys, count)
