"""The sparse registers of a HyperLogLog: opcodes for runs of equal registers, in place of 12288 bytes.

    00nnnnnn            n + 1 registers of zero                     ZERO
    01nnnnnn nnnnnnnn   n + 1 registers of zero                     XZERO
    1vvvvvnn            n + 1 registers (1 to 4) of the value v + 1 VAL

Redis writes the same registers in more than one way, depending on what came first; `sparse_raise` makes its
choices, so that values are the same bytes. Source: the format as the Redis documentation of PFADD and PFDEBUG
shows it, and redis-server.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from random import random

from respcache.store.hyperloglog import HEADER, REGISTERS, Data

MOST_VALUE = 32
"""A higher one has no opcode: such a HyperLogLog is dense."""
_VAL_SPAN = 4
_ZERO_SPAN = 64
_LONGEST = HEADER + 2 * REGISTERS
"""Bytes that no string with the right number of registers exceeds."""
_SPANS = bytes((byte & 63) + 1 if byte < 64 else 0 if byte < 128 else (byte & 3) + 1 for byte in range(256))
"""Registers of an opcode by its first byte, 0 for XZERO."""
_RUNS = tuple(bytes([(byte >> 2 & 31) + 1 if byte >= 128 else 0]) * _SPANS[byte] for byte in range(256))
"""The registers themselves."""
_ZEROS = bytes(REGISTERS)
Place = tuple[int, int]
"""Where an opcode begins, and its first register."""

START: Place = (HEADER, 0)


class Raised(enum.Enum):
    """What became of a register that was to be raised."""

    NO = enum.auto()
    """It was not lower."""
    YES = enum.auto()
    DENSE = enum.auto()
    """The value or the new size asks for dense registers; nothing was changed."""
    CORRUPT = enum.auto()
    """The opcodes end before this register."""


def sparse_unpack(data: Data) -> bytes | None:
    """The registers, a byte for each; None if they are not 16384."""
    if len(data) > _LONGEST:
        return None
    runs = []
    total = 0
    words = iter(data[HEADER:])
    for byte in words:
        if 64 <= byte < 128:
            span = ((byte & 63) << 8 | next(words, 0)) + 1
            total += span
            if total > REGISTERS:
                return None
            runs.append(_ZEROS[:span])
        else:
            runs.append(_RUNS[byte])
    registers = b"".join(runs)
    return registers if len(registers) == REGISTERS else None


def decode(data: Data) -> bytes:
    """The opcodes in words, as PFDEBUG DECODE replies them."""
    words = iter(data[HEADER:])
    shown = []
    for byte in words:
        if byte < 64:
            shown.append(b"z:%d" % (byte + 1))
        elif byte < 128:
            shown.append(b"Z:%d" % (((byte & 63) << 8 | next(words, 0)) + 1))
        else:
            shown.append(b"v:%d,%d" % ((byte >> 2 & 31) + 1, (byte & 3) + 1))
    return b" ".join(shown)


def sparse_raise(
    data: bytearray, index: int, value: int, limit: int, start: Place = START, earlier: Place = START
) -> tuple[Raised, Place]:
    """Raises a register, unless its opcodes then made the string longer than `limit` bytes.

    `start` is an opcode at or before the register, `earlier` one before that, if it is not the first. Returns what
    became of the register, and the opcode before its own: a good start for the next one.
    """
    if value > MOST_VALUE:
        return Raised.DENSE, start
    spans = _SPANS
    at, first = before, before_first = start
    size = len(data)
    while at < size:
        byte = data[at]
        after = first + spans[byte]
        width = 1
        if after == first:
            if at + 1 == size:
                return Raised.CORRUPT, start
            after += ((byte & 63) << 8 | data[at + 1]) + 1
            width = 2
        if index < after:
            break
        before, before_first = at, first
        at += width
        first = after
    else:
        return Raised.CORRUPT, start

    old = (byte >> 2 & 31) + 1 if byte >= 128 else 0
    if old >= value:
        return Raised.NO, (before, before_first)
    if at == start[0] != HEADER:  # what stands before the opcode is not known
        return sparse_raise(data, index, value, limit, earlier)
    span = after - first
    left, right = index - first, first + span - 1 - index
    middle = _values(value, 1)
    split = (
        _values(old, left) + middle + _values(old, right) if old else _zeros(left) + middle + _zeros(right)
    )
    longer = len(split) - width
    if longer > 0 and size + longer > limit:
        return Raised.DENSE, start
    data[at : at + width] = split
    _join(data, before)
    return Raised.YES, (before, before_first)


def _join(data: bytearray, at: int) -> None:
    """Makes one opcode of neighbours of the same value where it can span them, in five steps from here on."""
    for _ in range(5):
        if at + 1 >= len(data):
            return
        byte, after = data[at], data[at + 1]
        if 64 <= byte < 128:
            at += 2
        elif byte >= 128 and byte >> 2 == after >> 2 and (byte & 3) + (after & 3) + 2 <= _VAL_SPAN:
            data[at : at + 2] = bytes([byte + (after & 3) + 1])
        else:
            at += 1


def _zeros(span: int) -> bytes:
    """The opcode of a run of zeros, nothing for none."""
    if span > _ZERO_SPAN:
        return (0x4000 | span - 1).to_bytes(2, "big")
    return bytes([span - 1]) if span else b""


def _values(value: int, span: int) -> bytes:
    """The opcode of a run of up to four registers of a value, nothing for none."""
    return bytes([128 | value - 1 << 2 | span - 1]) if span else b""


# Walking to a register takes 45 ns for each opcode, of which there may be thousands. So where some opcodes stand is
# remembered for the strings that are changed most; that only saves time, and is checked against the string itself.


class _Marks:
    """Every so many opcodes of a string, in order."""

    __slots__ = ("firsts", "opcodes", "places")

    def __init__(self, data: bytearray) -> None:
        self.opcodes = data[HEADER:]
        """As they were when these were right."""
        self.places: list[int] = []
        self.firsts: list[int] = []
        at, first, count = HEADER, 0, 0
        size = len(data) - 1
        while at < size:
            if not count & _APART - 1:
                self.places.append(at)
                self.firsts.append(first)
            count += 1
            span = _SPANS[data[at]]
            if span:
                at += 1
                first += span
            else:
                first += ((data[at] & 63) << 8 | data[at + 1]) + 1
                at += 2

    def before(self, index: int) -> tuple[Place, Place]:
        """The last mark before a register, and the one before that."""
        found = bisect_left(self.firsts, index) - 1
        if found < 1:
            return START, START
        places, firsts = self.places, self.firsts
        return (places[found], firsts[found]), (places[found - 1], firsts[found - 1])

    def move(self, data: bytearray, changed: Place) -> None:
        """After a change from this opcode on, within `_REACH`: drops the marks there, moves those behind.

        Where the last mark is far, the opcode gets one.
        """
        by = len(data) - HEADER - len(self.opcodes)
        self.opcodes = data[HEADER:]
        at, register = changed
        places = self.places
        first, last = bisect_right(places, at), bisect_right(places, at + _REACH)
        new = at - places[first - 1] >= _APART
        self.firsts[first:last] = [register] if new else []
        if by:
            places[last:] = [place + by for place in places[last:]]
        places[first:last] = [at] if new else []


_APART = 16
"""Opcodes from one mark to the next; a power of two."""
_REACH = 16
"""Bytes within which a change happens: an opcode is split, and five steps of joining."""
_WORTH = 128
"""Bytes from which on a string is worth marks."""
_MOST = 64
"""Strings that have marks."""
_CHANCE = 0.125
"""Of a string without marks to get some, so that strings used in turn do not drive each other out."""

_marks: OrderedDict[int, _Marks] = OrderedDict()
"""By the `id` of the string. A memo; what it says of another string that has the id now is not believed."""


def sparse_add(data: bytearray, index: int, value: int, limit: int) -> Raised:
    """As `sparse_raise`, and faster for a string that is often changed."""
    if not _WORTH <= len(data) <= _LONGEST:
        return sparse_raise(data, index, value, limit)[0]
    marks = _marks.get(id(data))
    if marks is None or len(data) != len(marks.opcodes) + HEADER or not data.endswith(marks.opcodes):
        if random() > _CHANCE:
            return sparse_raise(data, index, value, limit)[0]
        if marks is None and len(_marks) >= _MOST:
            _marks.popitem(last=False)  # one step, as servers in other threads do the same
        marks = _marks[id(data)] = _Marks(data)
    raised, changed = sparse_raise(data, index, value, limit, *marks.before(index))
    if raised is Raised.YES:
        marks.move(data, changed)
    return raised
