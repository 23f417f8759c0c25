"""Big collections: a mapping in small pieces, none of whose operations waits for the whole.

A builtin dict of a million keys stalls for a tenth of a second when it grows, cannot give a random key nor be
walked in parts, and is freed at one blow. A `Table` spreads its keys over buckets, which are dicts of up to 128 keys,
by extendible hashing (Fagin, Nievergelt, Pippenger, Strong 1979):

    bucket = directory[position(key) >> shift]        position(key) = hash(key) & POSITIONS

The directory has 2^depth places. A bucket has a depth of its own, the number of leading bits that the positions of
its keys share, and fills 2^(depth - its own) places side by side. One that is full splits in two, the directory
doubling if all its places are told apart already (a copy of pointers: 0.1 ms for a million keys); two halves that
have become small are merged, and the directory halves with the last bucket that needed all of it.

So buckets stand in the order of positions, whatever the depth. That makes the cursor of a scan: a position, up to
which everything was seen; growing, splits and merges between two calls change nothing about it. Positions have
30 bits, which CPython handles fastest, and differ from the bits by which a dict finds its place.
Python's hash is cached in each `bytes` and keyed by a secret, so nobody can crowd a bucket; if the same positions
come up all the same, a bucket outgrows its limit rather than the directory its size.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Generic, Self, TypeVar

from respcache.store.sizes import allocated

_random_bits = random.getrandbits

V = TypeVar("V")
T = TypeVar("T")

_BITS = 30
POSITIONS = (1 << _BITS) - 1
"""The last position, and the mask that cuts it out of a hash."""
FULL = 128
"""Keys of a bucket from which on it splits."""
_MERGED = 96  # keys of two buckets up to which they become one
_FEW = 45  # keys of a bucket from which on a bulk of them is divided further: no more than twice that, so few split
_SPARSE = 8  # keys for each place of the directory, below which it never doubles


def position(key: bytes) -> int:
    """Where a key stands in the order of a scan."""
    return hash(key) & POSITIONS


class Table(Generic[V]):
    """A mapping from bytes, for collections too big for one dict. It must not change while it is iterated."""

    __slots__ = ("_counts", "_room", "depth", "depths", "directory", "shift", "size")

    def __init__(self, items: Mapping[bytes, V] | Table[V] | Iterable[tuple[bytes, V]] = ()) -> None:
        self.clear()
        if isinstance(items, Table):
            self._imitate(items)
        else:
            self._fill(items if isinstance(items, Mapping) else dict(items))

    # As a mapping

    def __len__(self) -> int:
        return self.size

    def __contains__(self, key: bytes) -> bool:
        return key in self.directory[(hash(key) & POSITIONS) >> self.shift]

    def __getitem__(self, key: bytes) -> V:
        return self.directory[(hash(key) & POSITIONS) >> self.shift][key]

    def get(self, key: bytes, default: T = None) -> V | T:  # type: ignore[assignment]
        """The value of a key, or the default."""
        return self.directory[(hash(key) & POSITIONS) >> self.shift].get(key, default)

    def __setitem__(self, key: bytes, value: V) -> None:
        at = (hash(key) & POSITIONS) >> self.shift
        bucket = self.directory[at]
        before = len(bucket)
        bucket[key] = value
        if len(bucket) != before:
            self.size += 1
            if before >= FULL:
                self._split(at)

    def put(self, key: bytes, value: V) -> bool:
        """Sets a key. Tells whether it was not there."""
        at = (hash(key) & POSITIONS) >> self.shift
        bucket = self.directory[at]
        before = len(bucket)
        bucket[key] = value
        if len(bucket) == before:
            return False
        self.size += 1
        if before >= FULL:
            self._split(at)
        return True

    def add(self, key: bytes, value: V) -> bool:
        """Sets a key that is not there. Tells whether it was not; one that is there keeps its value."""
        at = (hash(key) & POSITIONS) >> self.shift
        bucket = self.directory[at]
        if key in bucket:
            return False
        bucket[key] = value
        self.size += 1
        if len(bucket) > FULL:
            self._split(at)
        return True

    def pop(self, key: bytes, default: T = None) -> V | T:  # type: ignore[assignment]
        """Takes a key out. Returns its value, or the default if it was not there."""
        at = (hash(key) & POSITIONS) >> self.shift
        bucket = self.directory[at]
        if key not in bucket:
            return default
        value = bucket.pop(key)
        self.size -= 1
        if not len(bucket) & 7:
            self._merge(at)
        return value

    def drop(self, key: bytes) -> None:
        """Takes a key out that is there."""
        at = (hash(key) & POSITIONS) >> self.shift
        bucket = self.directory[at]
        del bucket[key]
        self.size -= 1
        if not len(bucket) & 7:
            self._merge(at)

    __delitem__ = drop

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(self.buckets)

    keys = __iter__
    """All keys, in the order of a scan but for those of one bucket."""

    def values(self) -> Iterator[V]:
        """The values, in the order of the keys."""
        return chain.from_iterable(map(dict.values, self.buckets))

    def items(self) -> Iterator[tuple[bytes, V]]:
        """Keys and values."""
        return chain.from_iterable(map(dict.items, self.buckets))

    def present(self, keys: Iterable[bytes]) -> list[bytes]:
        """Those of the keys that are there, in their order."""
        directory, shift = self.directory, self.shift
        return [key for key in keys if key in directory[(hash(key) & POSITIONS) >> shift]]

    def missing(self, keys: Iterable[bytes]) -> list[bytes]:
        """Those of the keys that are not there, in their order."""
        directory, shift = self.directory, self.shift
        return [key for key in keys if key not in directory[(hash(key) & POSITIONS) >> shift]]

    def clear(self) -> None:
        """Takes all keys out."""
        self.size = 0
        """Number of keys."""
        self.directory: list[dict[bytes, V]] = [{}]
        self.depth = 0
        self.shift = _BITS
        self.depths = bytearray(1)
        """For each place of the directory the depth of the bucket there."""
        self._counts = [1] + [0] * _BITS  # of buckets, by depth
        self._room = FULL.bit_length() - 1  # 2 to this power keys no bucket exceeds

    def copy(self) -> Self:
        """A table of the same class with the same keys and values."""
        made = self.__class__.__new__(self.__class__)
        made._imitate(self)
        return made

    # In parts

    @property
    def buckets(self) -> list[dict[bytes, V]]:
        """All buckets, in the order of their positions."""
        directory, depths, depth = self.directory, self.depths, self.depth
        found = []
        at, end = 0, len(directory)
        while at < end:
            found.append(directory[at])
            at += 1 << (depth - depths[at])
        return found

    def footprint(self, samples: int) -> int:
        """Bytes of the table without keys and values, from a few hundred buckets; of all if `samples` is 0."""
        directory = self.directory
        step = max(len(directory) // 256, 1) if samples else 1
        size = 0.0
        for at in range(
            0, len(directory), step
        ):  # a bucket is seen at each of its places, or at a share of them
            size += allocated(directory[at]) * step / (1 << (self.depth - self.depths[at]))
        return int(size) + allocated(directory) + allocated(self.depths) + allocated(self)

    def take_bucket(self) -> dict[bytes, V]:
        """Takes the last bucket out, for who frees the table bit by bit: it is good for nothing else then."""
        bucket = self.directory.pop()
        while self.directory and self.directory[-1] is bucket:
            self.directory.pop()
        self.size -= len(bucket)
        return bucket

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """The next `count` keys and the next cursor, 0 at the end.

        A key that is there during the whole walk is seen exactly once. A cursor that was never given out shows any
        part, or ends the walk.
        """
        found: list[bytes] = []
        if cursor > POSITIONS:
            return 0, found
        while True:
            at = cursor >> self.shift
            width = 1 << (self.depth - self.depths[at])
            first = at & -width
            keys = list(self.directory[at])
            if cursor > first << self.shift:  # the bucket has been merged since
                keys = [key for key in keys if hash(key) & POSITIONS >= cursor]
            room = count - len(found)
            if len(keys) > room:
                keys.sort(key=position)
                last = position(keys[room - 1])
                while room < len(keys) and position(keys[room]) == last:
                    room += 1
                if room < len(keys):
                    return last + 1, found + keys[:room]
            found += keys
            cursor = (first + width) << self.shift
            if cursor > POSITIONS:
                return 0, found
            if len(found) >= count:
                return cursor, found

    # By chance

    def random(self) -> bytes:
        """A key, each with the same probability. Raises KeyError if there is none."""
        return self._draw()[2]

    def pop_random(self) -> bytes:
        """Takes a random key out. Raises KeyError if there is none."""
        at, bucket, key = self._draw()
        del bucket[key]
        self.size -= 1
        if not len(bucket) & 7:
            self._merge(at)
        return key

    def _draw(self) -> tuple[int, dict[bytes, V], bytes]:
        """A random key, its bucket, and one of the places of that.

        By rejection: each place of the directory has room for the same number of keys, and a bucket has the room of
        all its places. A random spot that holds no key is dropped; one of two or three holds one.
        """
        if not self.size:
            raise KeyError("random key of an empty table")
        directory, depths, depth, room = self.directory, self.depths, self.depth, self._room
        bits, mask = depth + room, (1 << room) - 1
        while True:
            drawn = _random_bits(bits)
            at = drawn >> room
            bucket = directory[at]
            own = depths[at]
            # Where in the room of its bucket the spot is: a bucket of several places takes them all together.
            spot = drawn & mask if own == depth else drawn & ((1 << (depth - own + room)) - 1)
            if spot < len(bucket):
                return at, bucket, next(islice(bucket, spot, None))

    def sample(self, count: int) -> list[bytes]:
        """So many different keys in random order, each such choice with the same probability.

        Raises ValueError if there are not so many keys.
        """
        if not 0 <= count <= self.size:
            raise ValueError("more keys are asked for than there are")
        if count * 3 > self.size:
            return random.sample(list(self), count)
        found: dict[bytes, None] = {}
        while len(found) < count:
            found[self.random()] = None
        return list(found)

    # Structure

    def _imitate(self, other: Table[V]) -> None:
        self.size, self.depth, self.shift = other.size, other.depth, other.shift
        self.depths = other.depths[:]
        self._counts = other._counts[:]
        self._room = other._room
        directory = self.directory = other.directory[:]
        at = 0
        while at < len(directory):
            width = 1 << (self.depth - self.depths[at])
            directory[at : at + width] = [directory[at].copy()] * width
            at += width

    def _fill(self, items: Mapping[bytes, V]) -> None:
        """Puts all of the items into a table that is empty: a third of the time that adding each would take."""
        self.size = len(items)
        depth = self.depth = max((self.size // _FEW).bit_length() - 1, 0) if self.size > FULL else 0
        shift = self.shift = _BITS - depth
        self._counts[0] = 0
        self._counts[depth] = 1 << depth
        self.depths = bytearray((depth,)) * (1 << depth)
        buckets: list[dict[bytes, V]] = [{} for _ in range(1 << depth)]
        self.directory = buckets
        for key, value in items.items():
            buckets[(hash(key) & POSITIONS) >> shift][key] = value
        for bucket in [bucket for bucket in buckets if len(bucket) > FULL]:
            self._split(position(next(iter(bucket))) >> self.shift)

    def _split(self, at: int) -> None:
        """Splits a bucket that is too full, until none of it is."""
        bucket = self.directory[at]
        while len(bucket) > FULL:
            own = self.depths[at]
            if own == self.depth:
                if own == _BITS or len(self.directory) * _SPARSE > self.size:
                    self._room = max(self._room, (len(bucket) - 1).bit_length())
                    return
                self._double()
                at *= 2
            bit = 1 << (_BITS - 1 - own)
            low = {key: value for key, value in bucket.items() if not hash(key) & bit}
            high = {key: value for key, value in bucket.items() if hash(key) & bit}
            half = 1 << (self.depth - own - 1)
            first = at & -2 * half
            self._place(first, half, low, own + 1)
            self._place(first + half, half, high, own + 1)
            self._counts[own] -= 1
            self._counts[own + 1] += 2
            bucket, at = (high, first + half) if len(high) > len(low) else (low, first)

    def _merge(self, at: int) -> None:
        """Merges a bucket with its other half, if both are small; an eighth of all removals looks for that."""
        own = self.depths[at]
        if not own:
            return
        width = 1 << (self.depth - own)
        first = at & -2 * width
        if self.depths[first] != own or self.depths[first + width] != own:
            return
        low, high = self.directory[first], self.directory[first + width]
        if len(low) + len(high) > _MERGED:
            return
        self._place(first, 2 * width, {**low, **high}, own - 1)
        self._counts[own] -= 2
        self._counts[own - 1] += 1
        while self.depth and not self._counts[self.depth]:
            self.directory = self.directory[::2]
            self.depths = self.depths[::2]
            self.depth -= 1
            self.shift += 1

    def _place(self, first: int, width: int, bucket: dict[bytes, V], depth: int) -> None:
        self.directory[first : first + width] = [bucket] * width
        self.depths[first : first + width] = bytes((depth,)) * width

    def _double(self) -> None:
        size = len(self.directory)
        directory = self.directory * 2
        directory[::2] = directory[1::2] = self.directory
        depths = bytearray(2 * size)
        depths[::2] = depths[1::2] = self.depths
        self.directory, self.depths = directory, depths
        self.depth += 1
        self.shift -= 1


Collection = dict[bytes, V] | Table[V]


def scan(collection: Collection[V], cursor: int, count: int) -> tuple[int, list[bytes]]:
    """The next keys of a walk and the next cursor; a dict is small and shown whole at once."""
    if isinstance(collection, Table):
        return collection.scan(cursor, count)
    return 0, list(collection)


def random_key(collection: Collection[V]) -> bytes:
    """A key, each with the same probability. Raises KeyError if there is none."""
    if isinstance(collection, Table):
        return collection.random()
    if not collection:
        raise KeyError("random key of an empty dict")
    return next(islice(collection, int(random.random() * len(collection)), None))


MOST_REPEATS = 10_000_000
"""Random choices that a reply may hold, which are 10 s and 1 GB; who asks for more would take all memory."""


def repeated_keys(collection: Collection[V], count: int) -> list[bytes]:
    """So many random keys, each time any of them. There must be one."""
    if isinstance(collection, Table) and count < len(collection) // 8:
        return [collection.random() for _ in range(count)]
    return random.choices(list(collection), k=count)


def sample_keys(collection: Collection[V], count: int) -> list[bytes]:
    """So many different keys in random order. Raises ValueError if there are not so many."""
    if isinstance(collection, Table):
        return collection.sample(count)
    return random.sample(list(collection), count)
