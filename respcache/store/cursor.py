"""Walks over one dict in parts, that survive changes of it: what SCAN does in a crowded slot. (Big values are walked
by `respcache.store.hashtable`, where a part costs what it shows.)

The items are split by their hash into 2^n buckets, and a part is a few buckets. n is chosen at the beginning of a
walk and kept in the cursor, so an item never changes its bucket: whatever is there during the whole walk is seen
exactly once, and the collection may grow and shrink meanwhile.

A cursor is 2^n + the next bucket, which says both; 0 is the beginning and the end. The hash is Python's: cached in
each `bytes`, and good for the life of the process, as Redis's own seeds are.

Each part looks at all items, 30 to 70 ns for each. So there are at most 256 buckets: parts of a collection with more
than 256 x COUNT items are larger than COUNT, and a whole walk of 300,000 items in one place takes 5 s.
(A copy of the buckets between two calls was rejected: it would hold the items of every walk that is abandoned.)
"""

from __future__ import annotations

from collections.abc import Collection

WHOLE = 128
"""Items up to which a collection is never split."""
_LEAST = 64  # items of a bucket, about
_MOST_BITS = 8
LAST = (2 << _MOST_BITS) - 1
"""The largest cursor."""


def part(items: Collection[bytes], cursor: int, count: int) -> tuple[int, list[bytes]]:
    """The items of the next part, about `count` of them or more, and the next cursor.

    There may be none, and more to come all the same. A cursor that was never given out shows any part, or ends
    the walk.
    """
    size = len(items)
    if not cursor:
        if size <= max(count, WHOLE):
            return 0, list(items)
        cursor = 1 << min((size // max(count, _LEAST)).bit_length() - 1, _MOST_BITS)
    elif cursor > LAST:
        return 0, []
    buckets = 1 << (cursor.bit_length() - 1)
    first = cursor - buckets
    behind = min(first + max(count * buckets // max(size, 1), 1), buckets)
    mask = buckets - 1
    found = [item for item in items if first <= hash(item) & mask < behind]
    return buckets + behind if behind < buckets else 0, found
