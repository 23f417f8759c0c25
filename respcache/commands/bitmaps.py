"""Bitmaps: strings seen as rows of bits.

What changes bits leaves a `bytearray`, see `strings`, so the next change is made in place.
"""

from __future__ import annotations

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.strings import string
from respcache.keyspec import key
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import ONE, ZERO, integer
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import Client
from respcache.store import bits
from respcache.store.events import DEL, SET, SETBIT

BIT_OFFSET = ReplyError(b"ERR bit offset is not an integer or out of range")
_BIT = ReplyError(b"ERR bit is not an integer or out of range")
_BIT_ARGUMENT = ReplyError(b"ERR The bit argument must be 1 or 0.")
_NOT_TAKES_ONE = ReplyError(b"ERR BITOP NOT must be called with a single source key.")

_MINUS_ONE = integer(-1)


def data(value: object) -> bits.Data:
    """The bytes of a string value, those of a `bytearray` without a copy. Raises WRONGTYPE."""
    return value if type(value) is bytearray else string(value)


def offset(c: Client, word: bytes, unit: int = 1) -> int:
    """An offset in units of so many bits, as a number of bits. Raises BIT_OFFSET.

    A product beyond 64 bits is refused; Redis wraps it around.
    """
    at = parse_integer(word, BIT_OFFSET, low=0) * unit
    if at >> 3 >= c.server.config.proto_max_bulk_len:
        raise BIT_OFFSET
    return at


def writable(old: object, size: int) -> bytearray:
    """A string value to be changed in place, grown to `size` bytes at least: itself if it can be. Raises WRONGTYPE.

    It is not stored yet, unless it is the old one.
    """
    if type(old) is bytearray:
        if len(old) < size:
            old += bytes(size - len(old))
        return old
    new = bytearray(b"" if old is None else string(old))
    if len(new) < size:
        new += bytes(size - len(new))
    return new


@command(
    WRITE | DENYOOM,
    group="bitmap",
    keys=key("RW ACCESS UPDATE"),
    syntax="key:key offset:integer value:integer",
)
def setbit(c: Client, key: bytes, offset_: bytes, value: bytes) -> bytes:
    """Sets a bit of a string, which grows with zeros if need be; replies the bit that was there. O(1). Since 2.2.0."""
    at = offset(c, offset_)
    if value != b"0" and value != b"1":
        raise _BIT
    place, mask = at >> 3, 128 >> (at & 7)
    old = c.db.peek(key)
    size = 0 if old is None else len(data(old))
    was = bits.get(data(old), at) if place < size else 0
    if place < size and was == (value == b"1"):
        return ONE if was else ZERO
    new = writable(old, place + 1)
    if value == b"1":
        new[place] |= mask
    else:
        new[place] &= ~mask
    if new is old:
        c.db.touch(key, SETBIT)
    else:
        c.db.replace(key, new, SETBIT)
    return ONE if was else ZERO


@command(READONLY | FAST | BRIEF, group="bitmap", keys=key("RO ACCESS"), syntax="key:key offset:integer")
def getbit(c: Client, key: bytes, offset_: bytes) -> bytes:
    """A bit of a string, 0 past its end. O(1). Since 2.2.0."""
    at = offset(c, offset_)
    value = c.db.get(key)
    return ONE if value is not None and bits.get(data(value), at) else ZERO


def _unit(words: tuple[bytes, ...]) -> int:
    """How many bits the unit of a range has: 8 unless the word after it is BIT. Raises SYNTAX."""
    if len(words) < 3:
        return 8
    unit = words[2].upper()
    if len(words) > 3 or unit not in (b"BIT", b"BYTE"):
        raise SYNTAX
    return 1 if unit == b"BIT" else 8


def _span(first: int, last: int, size: int) -> tuple[int, int]:
    """Both ends as they lie within so many units; those below zero count from the end."""
    first = max(first + size, 0) if first < 0 else first
    last = max(last + size, 0) if last < 0 else last
    return first, min(last, size - 1)


@command(
    READONLY,
    group="bitmap",
    keys=key("RO ACCESS"),
    syntax="key:key [index=(start:integer end:integer [index_unit=<BYTE | BIT>{7.0.0}])]",
    history=(("7.0.0", "Options `BYTE` and `BIT`."),),
)
def bitcount(c: Client, key: bytes, *range_: bytes) -> bytes:
    """How many bits of a string, or of a part of it, are one. O(N) with N bytes. Since 2.6.0."""
    if not range_:
        value = c.db.get(key)
        whole = b"" if value is None else data(value)
        return integer(bits.count(whole, 0, 8 * len(whole)))
    if len(range_) not in (2, 3):
        raise SYNTAX
    first, last = parse_integer(range_[0]), parse_integer(range_[1])
    unit = _unit(range_)
    value = c.db.get(key)
    if value is None:
        return ZERO
    whole = data(value)
    if first < 0 and last < 0 and first > last:
        return ZERO  # and not the first one, which both ends would come to
    first, last = _span(first, last, len(whole) * 8 // unit)
    return integer(bits.count(whole, first * unit, (last + 1) * unit))


@command(
    READONLY,
    group="bitmap",
    keys=key("RO ACCESS"),
    syntax=(
        "key:key bit:integer [index=(start:integer [end_index=(end:integer [index_unit=<BYTE | "
        "BIT>{7.0.0}])])]"
    ),
    history=(("7.0.0", "Options `BYTE` and `BIT`."),),
)
def bitpos(c: Client, key: bytes, bit: bytes, *range_: bytes) -> bytes:
    """Where the first bit that is one, or zero, stands in a string or a part of it; -1 if nowhere.

    Unless an end is given zeros are thought to follow the string. O(N) with N bytes. Since 2.8.7.
    """
    wanted = parse_integer(bit)
    if wanted not in (0, 1):
        raise _BIT_ARGUMENT
    if len(range_) > 3:
        raise SYNTAX
    first = parse_integer(range_[0]) if range_ else 0
    unit = _unit(range_)
    last = parse_integer(range_[1]) if len(range_) > 1 else -1
    value = c.db.get(key)
    if value is None:
        return _MINUS_ONE if wanted else ZERO
    whole = data(value)
    first, last = _span(first, last, len(whole) * 8 // unit)
    if first > last:
        return _MINUS_ONE
    found = bits.find(whole, wanted, first * unit, (last + 1) * unit)
    if found < 0 and not wanted and len(range_) < 2:
        found = 8 * len(whole)
    return integer(found)


@command(
    WRITE | DENYOOM,
    group="bitmap",
    keys=(key("OW UPDATE", at=2), key("RO ACCESS", at=3, last=-1)),
    syntax="operation destkey:key key:key@1...",
)
def bitop(c: Client, operation: bytes, destination: bytes, key: bytes, *keys: bytes) -> bytes:
    """Stores AND, OR or XOR of strings, or NOT of one, and replies the size of the result.

    The shorter ones are filled up with zeros. O(N) with N bytes of the longest. Since 2.6.0.
    """
    name = operation.upper()
    if name not in (b"AND", b"OR", b"XOR", b"NOT"):
        raise SYNTAX
    if name == b"NOT" and keys:
        raise _NOT_TAKES_ONE
    sources = [b"" if (value := c.db.get(each)) is None else data(value) for each in (key, *keys)]
    result = bits.invert(sources[0]) if name == b"NOT" else bits.combine(name, sources)
    if result:
        c.db.set(destination, result, SET)
    else:
        c.db.delete(destination, DEL)
    return integer(len(result))
