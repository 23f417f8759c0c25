"""A stream: an append-only log of entries, each a list of fields and values under an increasing id.

An id is one integer here, `milliseconds << 64 | sequence`: the next one is `id + 1`. Entries are kept in blocks,
see `respcache.store.stream_block`; a block is found by bisection of the first ids. Where blocks end, how trimming
goes on and when the number of entries read is known follow Redis 7.4, since all of it shows on the wire.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import pairwise

from respcache.store.sizes import ENTRY, allocated
from respcache.store.stream_block import MASK, MAX_ID, Block
from respcache.store.stream_groups import UNKNOWN, Group
from respcache.store.types import TypeInfo, register

MAX_BLOCK_BYTES = 1 << 30
"""Bytes of a block that no configuration exceeds."""


class Stream:
    """Entries, and the groups that read them."""

    __slots__ = (
        "blocks",
        "entries_added",
        "first_id",
        "groups",
        "last_id",
        "length",
        "max_deleted_id",
        "starts",
    )

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.starts: list[int] = []
        """The first id of each block, be that entry deleted or not."""
        self.length = 0
        """Number of living entries."""
        self.last_id = 0
        """The id that the next one must exceed."""
        self.first_id = 0
        """Of the first living entry, 0 if there is none."""
        self.max_deleted_id = 0
        """The greatest id that XDEL deleted; what trimming removes does not count."""
        self.entries_added = 0
        """How many entries were ever added."""
        self.groups: dict[bytes, Group] = {}

    def __len__(self) -> int:
        return self.length

    def __contains__(self, id: int) -> bool:
        at = bisect_right(self.starts, id) - 1
        return at >= 0 and self.blocks[at].holds(id) >= 0

    # Adding and removing

    def add(self, id: int, words: Sequence[bytes], raw: int, max_entries: int, max_bytes: int) -> None:
        """Appends an entry whose id exceeds `last_id`; `words` are field, value, field, value...

        `raw` is the sum of their sizes; `max_entries` and `max_bytes` bound a block; 0: no bound of that kind.
        """
        limit = max_bytes if 0 < max_bytes < MAX_BLOCK_BYTES else MAX_BLOCK_BYTES
        blocks = self.blocks
        if not blocks or not blocks[-1].accepts(raw, max_entries, limit):
            if blocks:
                blocks[-1].pack()
            blocks.append(Block(tuple(words[::2])))
            self.starts.append(id)
        blocks[-1].append(id, words)
        self.length += 1
        self.entries_added += 1
        self.last_id = id
        if self.length == 1:
            self.first_id = id

    def remove(self, ids: Iterable[int]) -> int:
        """Deletes entries. Returns how many were there."""
        before = self.length
        first_goes = False
        for id in ids:
            place = bisect_right(self.starts, id) - 1
            if place < 0:
                continue
            block = self.blocks[place]
            at = block.holds(id)
            if at < 0:
                continue
            if block.live == 1:
                del self.blocks[place], self.starts[place]
            else:
                block.kill(at)
            self.length -= 1
            self.max_deleted_id = max(self.max_deleted_id, id)
            first_goes |= id == self.first_id
        if first_goes or not self.length:
            self.first_id = self._first_living()
        return before - self.length

    def trim_to_length(self, length: int, approximately: bool = False, limit: int = 0) -> int:
        """Deletes the oldest entries until so many are left. Returns how many were deleted.

        `approximately` removes whole blocks only; `limit` is the number of entries that may be deleted then, 0
        if any.
        """
        before = self.length
        blocks = 0
        while self.length > length:
            block = self.blocks[blocks]
            if limit and before - self.length + block.live > limit:
                break
            if self.length - block.live >= length:
                self.length -= block.live
                blocks += 1
                continue
            if not approximately:
                excess = self.length - length
                at = -1
                for _ in range(excess):
                    at = block.first_living(at + 1)
                    block.kill(at)
                self.length -= excess
            break
        return self._trimmed(blocks, before)

    def trim_to_id(self, first: int, approximately: bool = False, limit: int = 0) -> int:
        """Deletes all entries before an id; the arguments are those of `trim_to_length`."""
        before = self.length
        blocks = 0
        for block in self.blocks:
            if limit and before - self.length + block.live > limit:
                break
            if block.id(len(block) - 1) < first:
                self.length -= block.live
                blocks += 1
                continue
            if not approximately:
                for at in block.living(0, block.find(first)):
                    block.kill(at)
                    self.length -= 1
            break
        return self._trimmed(blocks, before)

    def _trimmed(self, blocks: int, before: int) -> int:
        if blocks:
            del self.blocks[:blocks], self.starts[:blocks]
        if self.length != before:
            self.first_id = self._first_living()
        return before - self.length

    def _first_living(self) -> int:
        for block in self.blocks:
            if block.live:
                return block.id(block.first_living())
        return 0

    # Reading

    def spans(
        self, first: int, last: int, count: int = 0, backwards: bool = False
    ) -> Iterator[tuple[Block, Sequence[int]]]:
        """The living entries from id `first` to `last`, both included, as positions in blocks; at most `count`
        of them, 0: all. The stream must not change on the way."""
        low = max(bisect_right(self.starts, first) - 1, 0)
        high = bisect_right(self.starts, last) - 1
        for place in range(high, low - 1, -1) if backwards else range(low, high + 1):
            block = self.blocks[place]
            start = block.find(first) if place == low else 0
            end = block.find(last + 1) if place == high else len(block)
            positions = block.living(start, end)
            if backwards:
                positions = positions[::-1]
            if count and len(positions) >= count:
                yield block, positions[:count]
                return
            count -= len(positions) if count else 0
            if positions:
                yield block, positions

    def ids(self, first: int, last: int, count: int = 0, backwards: bool = False) -> Iterator[int]:
        """The ids of living entries, see `spans`."""
        for block, positions in self.spans(first, last, count, backwards):
            yield from block.ids(positions)

    def replies(self, first: int, last: int, count: int = 0, backwards: bool = False) -> list[bytes]:
        """Encoded entries, see `spans`."""
        found: list[bytes] = []
        for block, positions in self.spans(first, last, count, backwards):
            found += block.replies(positions)
        return found

    def reply(self, id: int) -> bytes | None:
        """One encoded entry; None if it is not there."""
        place = bisect_right(self.starts, id) - 1
        if place < 0 or (at := self.blocks[place].holds(id)) < 0:
            return None
        return self.blocks[place].replies((at,))[0]

    @property
    def last_living(self) -> int:
        """The id of the last living entry, 0 if there is none."""
        return next(self.ids(0, MAX_ID, 1, backwards=True), 0)

    # How much of it a group has read

    def is_torn_after(self, id: int) -> bool:
        """Whether XDEL may have deleted an entry at or behind this id, so that counting on is not possible."""
        return bool(self.length and self.max_deleted_id) and id <= self.max_deleted_id

    def entries_until(self, id: int) -> int:
        """How many entries were added up to this id, in the stream's whole life; UNKNOWN if nobody can tell."""
        if not self.entries_added:
            return 0
        if not self.length and id <= self.last_id:
            return self.entries_added
        if id and id < self.max_deleted_id:
            return UNKNOWN
        if id >= self.last_id:
            return self.entries_added if id == self.last_id else UNKNOWN
        if not self.max_deleted_id or self.max_deleted_id < self.first_id:
            if id < self.first_id:
                return self.entries_added - self.length
            if id == self.first_id:
                return self.entries_added - self.length + 1
        return UNKNOWN

    def lag(self, group: Group) -> int | None:
        """How many entries a group has still to read; None if nobody can tell."""
        if not self.entries_added or not self.length:
            return 0
        if group.last_id < self.first_id and self.max_deleted_id < self.first_id:
            return self.length
        read = group.entries_read
        if read == UNKNOWN or self.is_torn_after(group.last_id):
            read = self.entries_until(group.last_id)
        return None if read == UNKNOWN else self.entries_added - read

    def advance(self, group: Group, ids: Sequence[int]) -> None:
        """Entries behind a group's last id are delivered to it; `ids` is not empty and in order."""
        if (
            group.entries_read != UNKNOWN
            and group.last_id >= self.first_id
            and not self.is_torn_after(group.last_id)
        ):
            group.entries_read += len(ids)  # and it stays so: no id on the way changes one of the conditions
            group.last_id = ids[-1]
            return
        for id in ids:
            known = group.entries_read != UNKNOWN and group.last_id >= self.first_id
            if known and not self.is_torn_after(group.last_id):
                group.entries_read += 1
            elif self.entries_added:
                group.entries_read = self.entries_until(id)
            group.last_id = id

    # The whole

    def copy(self) -> Stream:
        """A stream that shares only what never changes."""
        made = Stream()
        made.blocks = [block.copy() for block in self.blocks]
        made.starts = self.starts[:]
        made.groups = {name: group.copy() for name, group in self.groups.items()}
        made.length, made.entries_added = self.length, self.entries_added
        made.first_id, made.last_id, made.max_deleted_id = self.first_id, self.last_id, self.max_deleted_id
        return made

    def radix_nodes(self) -> int:
        """How many nodes the radix tree has in which Redis would keep the blocks by their first ids.

        A key is an id of 16 bytes. A node is a leaf, a fork, or a run of bytes without a fork. Beyond 4096 blocks
        this is taken from the last ones.
        """
        keys = self.starts[-4096:]
        if not keys:
            return 1
        nodes = len(keys)
        forks: list[int] = []  # depths of the forks above the last key, from the root on
        for last, key in pairwise(keys):
            depth = 16 - ((last ^ key).bit_length() + 7) // 8
            below = 16
            while forks and forks[-1] > depth:
                nodes += 1 + (below > forks[-1] + 1)
                below = forks.pop()
            nodes += below > depth + 1
            if not forks or forks[-1] != depth:
                forks.append(depth)
        below = 16
        while forks:
            nodes += 1 + (below > forks[-1] + 1)
            below = forks.pop()
        nodes += below > 0
        return nodes * len(self.starts) // len(keys)

    def parts(self) -> list[Sized]:
        """The builtin containers it consists of."""
        return [self.blocks, self.starts, *(part for group in self.groups.values() for part in group.parts())]


def format_id(id: int) -> bytes:
    """An id as users see it."""
    return b"%d-%d" % (id >> 64, id & MASK)


def _size(stream: Stream, samples: int) -> int:
    count = len(stream.blocks)
    looked = min(samples or count, count)
    blocks = sum(block.memory() for block in stream.blocks[-looked:]) * count // looked if looked else 0
    lists = allocated(stream.blocks) + allocated(stream.starts) + 48 * count
    groups = sum(ENTRY + allocated(name) + group.memory() for name, group in stream.groups.items())
    return allocated(stream) + allocated(stream.groups) + lists + blocks + groups


STREAM = TypeInfo(b"stream", lambda _value, _config: b"stream", Stream.copy, _size, Stream.parts)
register(STREAM, Stream)
