"""Bits of strings. Bit 0 is the highest of byte 0, as in Redis; past the end all bits are zero.

Ranges of bits are half open, [start, stop). The long loops run in C, over pieces of `PIECE` bytes, so that a string of
hundreds of megabytes needs no second copy of itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import and_, or_, xor

Data = bytes | bytearray

PIECE = 1 << 16
"""Bytes that are turned into one big integer at a time; they and the result stay in the cache of a core."""

_INVERSE = bytes(255 - byte for byte in range(256))
_SAME = {0: bytes(PIECE), 1: b"\xff" * PIECE}
"""Pieces of nothing but one bit; to compare with one is faster than any search."""
_HAS = {0: re.compile(rb"[^\xff]"), 1: re.compile(rb"[^\x00]")}
"""Finds a byte with at least one such bit."""


def get(data: Data, at: int) -> int:
    """One bit.

    >>> [get(b"\\x80", at) for at in (0, 1, 100)]
    [1, 0, 0]
    """
    place = at >> 3
    return data[place] >> (~at & 7) & 1 if place < len(data) else 0


def count(data: Data, start: int, stop: int) -> int:
    """How many bits of a range that lies within the data are one.

    >>> count(b"\\xff\\xff", 3, 9)
    6
    """
    if start >= stop:
        return 0
    first, last = start >> 3, (stop + 7) >> 3
    total = 0
    with memoryview(data) as view:
        for at in range(first, last, PIECE):
            total += int.from_bytes(view[at : min(at + PIECE, last)], "little").bit_count()
    before = data[first] >> (8 - (start & 7))
    after = data[last - 1] & ((1 << (-stop & 7)) - 1)
    return total - before.bit_count() - after.bit_count()


def find(data: Data, bit: int, start: int, stop: int) -> int:
    """The first bit of this value in a range that lies within the data, -1 if there is none.

    >>> find(b"\\x00\\x0f", 1, 0, 16), find(b"\\x00\\x0f", 1, 13, 16), find(b"\\xff", 0, 0, 8)
    (12, 13, -1)
    """
    if start >= stop:
        return -1
    flip = 0 if bit else 255
    at = start >> 3
    if start & 7:
        head = (data[at] ^ flip) & 255 >> (start & 7)
        if head:
            found = at * 8 + 8 - head.bit_length()
            return found if found < stop else -1
        at += 1
    last = (stop + 7) >> 3
    same = _SAME[1 - bit]
    while at + PIECE <= last and data[at : at + PIECE] == same:
        at += PIECE
    has = _HAS[bit].search(data, at, last)
    if has is None:
        return -1
    at = has.start()
    found = at * 8 + 8 - (data[at] ^ flip).bit_length()
    return found if found < stop else -1


def invert(data: Data) -> bytearray:
    """NOT of all bits."""
    result = bytearray(len(data))
    for at in range(0, len(data), PIECE):
        result[at : at + PIECE] = data[at : at + PIECE].translate(_INVERSE)
    return result


def combine(operation: bytes, sources: Sequence[Data]) -> bytearray:
    """AND, OR or XOR of strings, as long as the longest; the shorter ones end in zeros.

    >>> combine(b"OR", [b"a", b"\\x02b"])
    bytearray(b'cb')
    """
    step = _OPERATIONS[operation]
    size = max(map(len, sources))
    result = bytearray(size)
    # Beyond its shortest source AND is zero; nothing is left to do there.
    end = min(map(len, sources)) if operation == b"AND" else size
    for at in range(0, end, PIECE):
        width = min(PIECE, end - at)
        pieces = [piece for source in sources if (piece := source[at : at + width])]
        if len(pieces) == 1:
            result[at : at + len(pieces[0])] = pieces[0]
            continue
        number = int.from_bytes(pieces[0], "little")
        for piece in pieces[1:]:
            number = step(number, int.from_bytes(piece, "little"))
        result[at : at + width] = number.to_bytes(width, "little")
    return result


_OPERATIONS: dict[bytes, Callable[[int, int], int]] = {b"AND": and_, b"OR": or_, b"XOR": xor}


def get_field(data: Data, at: int, width: int, signed: bool) -> int:
    """The integer of `width` bits that begins at a bit, the highest bit first; two's complement if signed."""
    stop = at + width
    last = (stop + 7) >> 3
    piece = data[at >> 3 : last]
    number = int.from_bytes(piece, "big") << 8 * (last - (at >> 3) - len(piece))
    number = number >> (-stop & 7) & (1 << width) - 1
    return number - (1 << width) if signed and number >> width - 1 else number


def set_field(data: bytearray, at: int, width: int, value: int) -> None:
    """Writes the lowest `width` bits of an integer at a bit. The data must be long enough."""
    stop = at + width
    first, last = at >> 3, (stop + 7) >> 3
    shift = -stop & 7
    mask = (1 << width) - 1
    number = int.from_bytes(data[first:last], "big") & ~(mask << shift) | (value & mask) << shift
    data[first:last] = number.to_bytes(last - first, "big")
