"""A block of a stream: neighbouring entries, packed.

The ids of its entries are two arrays. What an entry holds is kept as the encoded RESP array of its fields and
values, the same in both protocol versions, so that a read is a join. While a block is the last one these are a
list; once it is full they become one string with an array of ends, which saves the header of each object.

Where a block ends shows on the wire: trimming with `~` removes whole blocks, XINFO STREAM counts them. So each
knows how many bytes the same entries take in a listpack of Redis, as described in its RDB format: the names of
the fields of the first entry stand once, and entries with the same ones hold values only.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from respcache.protocol.reply import CRLF, HEADERS
from respcache.store.sizes import allocated
from respcache.store.types import is_integer_text

MASK = (1 << 64) - 1
MAX_ID = (1 << 128) - 1

PACK_LIMIT = (1 << 16) - 1
"""Bytes up to which a full block is packed into one string; what is bigger gains nothing and costs a copy."""

EMPTY_LISTPACK = 7
"""Bytes of a listpack without elements: its length in bytes and in elements, and the end."""


def encode(words: Sequence[bytes]) -> bytes:
    """What an entry holds as a RESP array of bulk strings; `words` are field, value, field, value..."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        size = len(word)
        parts += (HEADERS[size] if size < 1024 else b"$%d\r\n" % size, word, CRLF)
    return b"".join(parts)


def decode(body: bytes) -> list[bytes]:
    """The words of an encoded entry."""
    words = []
    at = body.index(b"\n") + 1
    while at < len(body):
        start = body.index(b"\n", at) + 1
        end = start + int(body[at + 1 : start])
        words.append(body[start:end])
        at = end + 2
    return words


def integer_size(value: int) -> int:
    """Bytes of an integer of 64 bits in a listpack."""
    if 0 <= value < 128:
        return 2
    if -4096 <= value < 4096:
        return 3
    bits = (value if value >= 0 else ~value).bit_length() + 1
    return 4 if bits <= 16 else 5 if bits <= 24 else 6 if bits <= 32 else 10


def word_size(word: bytes) -> int:
    """Bytes of a string in a listpack, which stores the text of an integer as a number."""
    size = len(word)
    if 0 < size <= 20 and word[0] < 58 and is_integer_text(word):
        return integer_size(int(word))
    if size < 64:
        return size + 2
    size += 2 if size < 4096 else 5
    if size < 128:
        return size + 1
    return size + (2 if size < 16384 else 3 if size < 1 << 21 else 4 if size < 1 << 28 else 5)


def _signed(value: int) -> int:
    value &= MASK
    return value - (MASK + 1) if value >> 63 else value


class Block:
    """Entries by position; those that were deleted keep theirs until the block goes."""

    __slots__ = ("bodies", "dead", "ends", "live", "millis", "names", "sequences", "size")

    def __init__(self, names: tuple[bytes, ...]) -> None:
        self.millis = array("Q")
        """The first half of each id, milliseconds since the epoch."""
        self.sequences = array("Q")
        """The second half."""
        self.bodies: list[bytes] | bytes = []
        self.ends: array[int] | None = None
        """Where each body ends, if they are packed."""
        self.dead: bytearray | None = None
        """A byte for each entry, 1 if it was deleted; None if none was."""
        self.live = 0
        self.names: tuple[bytes, ...] | None = names
        """Fields of the first entry; None in a full block."""
        self.size = EMPTY_LISTPACK + integer_size(len(names)) + sum(map(word_size, names)) + 2
        """Bytes of the listpack, without its two counters, of living and of deleted entries."""

    def __len__(self) -> int:
        """Entries, those deleted included."""
        return len(self.millis)

    # Reading

    def id(self, at: int) -> int:
        """The id of an entry."""
        return self.millis[at] << 64 | self.sequences[at]

    def body(self, at: int) -> bytes:
        """An encoded entry."""
        if self.ends is None:
            return self.bodies[at]  # type: ignore[return-value]
        return self.bodies[self.ends[at - 1] if at else 0 : self.ends[at]]  # type: ignore[return-value]

    def find(self, id: int) -> int:
        """The position of the first entry with this id or a greater one, deleted ones included."""
        millis = id >> 64
        at = bisect_left(self.millis, millis)
        if at == len(self.millis) or self.millis[at] != millis:
            return at
        return bisect_left(self.sequences, id & MASK, at, bisect_right(self.millis, millis, at))

    def holds(self, id: int) -> int:
        """The position of a living entry; -1 if there is none with this id."""
        at = self.find(id)
        if at < len(self.millis) and self.id(at) == id and not (self.dead is not None and self.dead[at]):
            return at
        return -1

    def first_living(self, start: int = 0) -> int:
        """The position of the first living entry from `start` on; there must be one."""
        return start if self.dead is None else self.dead.find(0, start)

    def living(self, low: int, high: int) -> Sequence[int]:
        """Positions of living entries from `low` to before `high`."""
        if self.dead is None:
            return range(low, high)
        dead = self.dead
        return [at for at in range(low, high) if not dead[at]]

    def ids(self, positions: Iterable[int]) -> list[int]:
        """The ids of entries."""
        millis, sequences = self.millis, self.sequences
        return [millis[at] << 64 | sequences[at] for at in positions]

    def replies(self, positions: Iterable[int]) -> list[bytes]:
        """Entries as commands reply them: an array of the id and the array of fields and values."""
        millis, sequences, bodies, ends = self.millis, self.sequences, self.bodies, self.ends
        found = []
        for at in positions:
            id = b"%d-%d" % (millis[at], sequences[at])
            body: bytes
            if ends is None:
                body = bodies[at]  # type: ignore[assignment]
            else:
                body = bodies[ends[at - 1] if at else 0 : ends[at]]  # type: ignore[assignment]
            found.append(b"*2\r\n" + HEADERS[len(id)] + id + CRLF + body)
        return found

    # Changing

    def accepts(self, raw: int, max_entries: int, max_bytes: int) -> bool:
        """Whether another entry belongs into this block; `raw` is the sum of the sizes of its words."""
        held, live = len(self.millis), self.live
        counters = 4 if held < 128 else integer_size(live) + integer_size(held - live)
        return self.size + counters + raw < max_bytes and (not max_entries or held < max_entries)

    def append(self, id: int, words: Sequence[bytes]) -> None:
        """Adds an entry with a greater id than all others."""
        if self.names is None:
            self._unpack()
        millis, sequence = id >> 64, id & MASK
        fields = tuple(words[::2])
        count = len(fields)
        size = 6  # flags and the distance to the first id, if that is small
        if self.millis:
            ahead, further = millis - self.millis[0], sequence - self.sequences[0]
            if ahead > 127 or not 0 <= further < 128:
                size = 2 + integer_size(_signed(ahead)) + integer_size(_signed(further))
        if fields == self.names:
            size += sum(map(word_size, words[1::2])) + integer_size(count + 3)
        else:
            size += integer_size(count) + sum(map(word_size, words)) + integer_size(2 * count + 4)
        self.size += size
        self.millis.append(millis)
        self.sequences.append(sequence)
        self.bodies.append(encode(words))  # type: ignore[union-attr]
        if self.dead is not None:
            self.dead.append(0)
        self.live += 1

    def kill(self, at: int) -> None:
        """Marks a living entry as deleted."""
        if self.dead is None:
            self.dead = bytearray(len(self.millis))
        self.dead[at] = 1
        self.live -= 1

    def pack(self) -> None:
        """Gives the block its smallest form, since it is full."""
        if self.names is None:
            return
        self.names = None
        self.millis = self.millis[:]  # without room to grow
        greatest = max(self.sequences)
        self.sequences = array("H" if greatest < 1 << 16 else "Q", self.sequences)
        if sum(map(len, self.bodies)) <= PACK_LIMIT:  # type: ignore[arg-type]
            self.ends = array("H", accumulate(map(len, self.bodies)))  # type: ignore[arg-type]
            self.bodies = b"".join(self.bodies)  # type: ignore[arg-type]

    def _unpack(self) -> None:
        """Undoes `pack`: the blocks behind this one are gone, and it has room for small entries."""
        self.bodies = [self.body(at) for at in range(len(self.millis))]
        self.ends = None
        self.sequences = array("Q", self.sequences)
        self.names = tuple(decode(self.bodies[0])[::2])

    def copy(self) -> Block:
        """A block that shares only what never changes."""
        made = Block.__new__(Block)
        made.millis, made.sequences = self.millis[:], self.sequences[:]
        made.bodies = self.bodies[:]
        made.ends = self.ends
        made.dead = None if self.dead is None else self.dead[:]
        made.live, made.names, made.size = self.live, self.names, self.size
        return made

    def memory(self) -> int:
        """Bytes that the block takes."""
        taken = (
            allocated(self) + 16 + allocated(self.millis) + allocated(self.sequences) + allocated(self.bodies)
        )
        if self.ends is not None:
            taken += allocated(self.ends)
        else:
            taken += sum(map(allocated, self.bodies))
        return taken + (0 if self.dead is None else allocated(self.dead))
