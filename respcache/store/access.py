"""When and how often keys are used: for OBJECT IDLETIME and FREQ, and for the LRU and LFU policies of maxmemory.

Each use writes a word beside the key, in a dict for each slot that has keys. The words are integers that keys share:
all uses of the same tick are one object, and so are all uses of the same minute that end in the same count. So a word
takes a place in a dict, and no memory of its own. Who notes uses is `tracked.py`.

(Rejected: the order of a shard's dict as recency. Taking a key out and putting it in again at the end doubles the
table of a small dict, which is what the words take, and the first key of a big one is behind all that were ever taken
out. It knows no idle times either.)

LFU as Redis documents it: a counter up to 255 that grows with a probability of 1 / ((counter - 5) * lfu-log-factor +
1), and is lowered by one for each lfu-decay-time minutes that its key was not used. New keys begin at 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import random
from types import MappingProxyType
from typing import Any, Protocol

from respcache.clock import monotonic
from respcache.store.slot import SLOTS, hash_slot

TICKS = 10
"""Ticks of the clock of accesses in a second. Redis has one, which tells little in a cache that turns over in one."""
NEW = 5
"""What the counter of a new key says, so that it is not evicted before it had a chance."""
MOST = 255

_UNUSED: Any = MappingProxyType({})
"""The words of every slot without keys. Nothing can be put into it."""
_NO_WORDS: list[dict[bytes, int]] = [_UNUSED] * SLOTS
"""What the words of databases share that had no key yet."""
_NEVER = 1 << 62

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

    slots: list[dict[bytes, int]]
    """By slot. Those without keys have none of their own: see `open` and `close`."""

    def open(self, slot: int) -> None:
        """A slot has got its first key; to be called before that is used."""

    def close(self, slot: int) -> None:
        """A slot has lost its last key."""

    def use(self, slot: int, key: bytes) -> None:
        """A key is used, or made."""

    def fresh(self) -> Accesses:
        """The same without any words."""

    def ranks(self, slot: int, keys: Keys) -> list[int]:
        """How much some keys of a slot are worth, in any order; the lowest are evicted first."""

    def lowest(self, slot: int, keys: Keys, mark: int) -> list[bytes]:
        """Those of some keys of a slot that are not worth more than `mark`, the first that were made first."""


class _Words:
    """What the two kinds of words have in common."""

    __slots__ = ("clock", "slots")

    def __init__(self, clock: AccessClock) -> None:
        self.clock = clock
        self.slots = _NO_WORDS

    def open(self, slot: int) -> None:
        """A slot has got its first key."""
        if self.slots is _NO_WORDS:
            self.slots = _NO_WORDS.copy()
        self.slots[slot] = {}

    def close(self, slot: int) -> None:
        """A slot has lost its last key."""
        self.slots[slot] = _UNUSED


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
        return (self.clock.now - self.slots[hash_slot(key)].get(key, self.since)) // TICKS

    def ranks(self, slot: int, keys: Keys) -> list[int]:
        """The ticks of their last uses."""
        words, since = self.slots[slot], self.since
        return [words.get(key, since) for key in keys]

    def lowest(self, slot: int, keys: Keys, mark: int) -> list[bytes]:
        """Those that were not used since the tick `mark`."""
        words = self.slots[slot]
        if type(keys) is dict and len(keys) == len(words):
            return [key for key, word in words.items() if word <= mark]
        since = self.since
        return [key for key in keys if words.get(key, since) <= mark]


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
        if random() < clock.odds[count]:
            count += 1
        words[key] = clock.row[count]

    def set_frequency(self, key: bytes, count: int) -> None:
        """Sets the counter of a key, 0 to 255."""
        self.slots[hash_slot(key)][key] = self.clock.row[count]

    def frequency(self, key: bytes) -> int:
        """The counter of a key as it is now."""
        return self.ranks(hash_slot(key), (key,))[0]

    def ranks(self, slot: int, keys: Keys) -> list[int]:
        """Their counters."""
        words, new, decayed = self.slots[slot], self.clock.row[NEW], self._decayed
        return [decayed(words.get(key, new)) for key in keys]

    def lowest(self, slot: int, keys: Keys, mark: int) -> list[bytes]:
        """Those whose counters are not above `mark`."""
        words, clock = self.slots[slot], self.clock
        minute, first, new = clock.minute, clock.row[0], clock.row[NEW]
        last, decay = first + mark, clock.decay or _NEVER
        known = type(keys) is dict and len(keys) == len(words)
        pairs: Iterable[tuple[bytes, int]] = (
            words.items() if known else [(key, words.get(key, new)) for key in keys]
        )
        return [
            key
            for key, word in pairs
            if (word <= last if word >= first else (word & MOST) - (minute - (word >> 8)) // decay <= mark)
        ]

    def _decayed(self, word: int) -> int:
        clock = self.clock
        idle = clock.minute - (word >> 8)
        if idle <= 0 or not clock.decay:
            return word & MOST
        return max((word & MOST) - idle // clock.decay, 0)
