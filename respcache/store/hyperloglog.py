"""HyperLogLog: the string that estimates how many different elements it was shown, in the form Redis gives it.

A header of 16 bytes, then 16384 registers of 6 bits, each the longest run of zeros (plus one) of the hashes it was
shown. The registers are dense, or sparse as long as most of them are zero, see `hll_sparse`.

    0    b"HYLL"
    4    encoding: 0 dense, 1 sparse
    5    three bytes without a meaning, kept as they are
    8    the last estimate, 64 bits little endian; its highest bit says that it is out of date

Dense: register i is bits 6i to 6i+5, counted from the lowest bit of the first byte: four registers in three bytes.
Here registers are unpacked to 16384 bytes, and merged and counted in that form by operations on the whole.

Sources: the Redis documentation of PFADD and PFCOUNT; O. Ertl, "New cardinality estimation algorithms for HyperLogLog
sketches", arXiv:1702.01284 (the estimate); A. Appleby, MurmurHash2, 64-bit version A (the hash).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator, Sequence

BITS = 14
"""Bits of a hash that choose the register; the others make its value."""
REGISTERS = 1 << BITS
LONGEST = 64 - BITS
HEADER = 16
DENSE_SIZE = HEADER + REGISTERS * 6 // 8
DENSE, SPARSE = 0, 1
EMPTY = b"HYLL\x01" + bytes(11) + b"\x7f\xff"
"""A sparse one that was shown nothing, its estimate of 0 up to date."""

Data = bytes | bytearray

_SEED = 0xADC83B19
_FACTOR = 0xC6A4A7935BD1E995
_64 = (1 << 64) - 1
_WORDS = 1 << 13
"""Words of a long element that are unpacked at a time."""


def hash64(element: bytes) -> int:
    """MurmurHash64A with the seed of Redis.

    >>> hex(hash64(b"a"))
    '0xef9da0a4ad8bc1a7'
    """
    size = len(element)
    number = _SEED ^ (size * _FACTOR & _64)
    full = size & ~7
    for at in range(0, full, 8 * _WORDS):
        piece = element[at : min(at + 8 * _WORDS, full)]
        for word in struct.unpack(f"<{len(piece) >> 3}Q", piece):
            word = word * _FACTOR & _64
            number = (number ^ (word ^ word >> 47) * _FACTOR & _64) * _FACTOR & _64
    if size > full:
        number = (number ^ int.from_bytes(element[full:], "little")) * _FACTOR & _64
    number = (number ^ number >> 47) * _FACTOR & _64
    return number ^ number >> 47


def place(element: bytes) -> tuple[int, int]:
    """The register that an element belongs to, and the value, 1 to 51, that it asks for there."""
    number = hash64(element)
    rest = number >> BITS | 1 << LONGEST
    return number & REGISTERS - 1, (rest & -rest).bit_length()


def is_valid(data: Data) -> bool:
    """Whether a string looks like a HyperLogLog: what Redis checks before it reads the registers."""
    if len(data) < HEADER or data[:4] != b"HYLL":
        return False
    return data[4] == SPARSE or (data[4] == DENSE and len(data) == DENSE_SIZE)


# The estimate in the header


def cached(data: Data) -> int | None:
    """The estimate in the header, None if it is out of date."""
    return int.from_bytes(data[8:HEADER], "little") if data[15] < 128 else None


def cache(data: bytearray, estimate: int) -> None:
    """Writes an estimate to the header."""
    data[8:HEADER] = estimate.to_bytes(8, "little")


def invalidate(data: bytearray) -> None:
    """Says that the estimate in the header is out of date."""
    data[15] |= 128


# Dense registers


def dense_raise(data: bytearray, index: int, value: int) -> bool:
    """Raises a register of a dense one to a value. Tells whether it was lower."""
    at, shift = HEADER + (index * 6 >> 3), index * 6 & 7
    pair = data[at] | data[at + 1] << 8 if shift > 2 else data[at]
    if pair >> shift & 63 >= value:
        return False
    pair = pair & ~(63 << shift) | value << shift
    data[at] = pair & 255
    if shift > 2:
        data[at + 1] = pair >> 8
    return True


def _table(shift: int, mask: int) -> bytes:
    """For `translate`: each byte shifted (left if negative) and masked."""
    return bytes((byte >> shift if shift >= 0 else byte << -shift) & mask for byte in range(256))


_FIRST, _LAST = _table(0, 63), _table(2, 63)
_SECOND = _table(6, 3), _table(-2, 60)
_THIRD = _table(4, 15), _table(-4, 48)
"""What the three bytes give to the registers of a group of four; those in the middle have parts of two bytes."""
_PACK = (
    (_table(0, 255), _table(-6, 255)),
    (_table(2, 255), _table(-4, 255)),
    (_table(4, 255), _table(-2, 255)),
)
"""What the registers of a group of four give to its three bytes: byte n has parts of registers n and n + 1."""


def _or(one: Data, other: Data) -> bytes:
    number = int.from_bytes(one, "little") | int.from_bytes(other, "little")
    return number.to_bytes(len(one), "little")


def unpack(data: Data) -> bytearray:
    """The registers of a dense one, a byte for each."""
    first, second, third = data[HEADER::3], data[HEADER + 1 :: 3], data[HEADER + 2 :: 3]
    registers = bytearray(REGISTERS)
    registers[::4] = first.translate(_FIRST)
    registers[1::4] = _or(first.translate(_SECOND[0]), second.translate(_SECOND[1]))
    registers[2::4] = _or(second.translate(_THIRD[0]), third.translate(_THIRD[1]))
    registers[3::4] = third.translate(_LAST)
    return registers


def pack(header: Data, registers: Data) -> bytearray:
    """A dense one from a header, whose encoding may be another, and its registers."""
    data = bytearray(DENSE_SIZE)
    data[:HEADER] = header[:HEADER]
    data[4] = DENSE
    for at, (low, high) in enumerate(_PACK):
        data[HEADER + at :: 3] = _or(registers[at::4].translate(low), registers[at + 1 :: 4].translate(high))
    return data


# All registers at once


_TOPS = int.from_bytes(b"\x80" * REGISTERS, "little")


def merge(sources: Iterable[Data]) -> bytes:
    """The highest of each register: of several HyperLogLogs the one that was shown the elements of all.

    Each register is a lane of a big integer. With the top bit of its lane set before another is taken away from it
    (both are below 128), that bit is left where it was not the lower one, and nothing is borrowed across lanes.
    """
    highest = 0
    for source in sources:
        other = int.from_bytes(source, "little")
        kept = ((highest | _TOPS) - other) & _TOPS
        mask = kept - (kept >> 7)
        highest = other ^ (highest ^ other) & mask
    return highest.to_bytes(REGISTERS, "little")


def differences(one: Data, other: Data) -> Iterator[int]:
    """Where two rows of registers differ, in order."""
    number = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return (found.start() for found in _NOT_ZERO.finditer(number.to_bytes(REGISTERS, "little")))


_NOT_ZERO = re.compile(rb"[^\x00]")


def histogram(registers: Data) -> list[int]:
    """How many registers have the values 0 to 63."""
    counts = [0] * 64
    left = len(registers)
    for value in range(64):
        counts[value] = registers.count(value)
        left -= counts[value]
        if not left:
            break
    return counts


def estimate(counts: Sequence[int]) -> int:
    """How many elements were shown, from the histogram of the registers: Ertl's improved raw estimator.

    Histograms that no elements make, of corrupted strings, may have no estimate: Redis then answers 2^63.
    """
    total = REGISTERS * _tau((REGISTERS - counts[LONGEST + 1]) / REGISTERS)
    for value in range(LONGEST, 0, -1):
        total = (total + counts[value]) * 0.5
    total += REGISTERS * _sigma(counts[0] / REGISTERS)
    if not total:
        return 1 << 63
    guess = _ALPHA * REGISTERS * REGISTERS / total
    whole = math.floor(guess)
    return min(whole + (guess - whole >= 0.5), 1 << 63)


_ALPHA = 0.721347520444481703680  # 1 / (2 ln 2)


def _sigma(share: float) -> float:
    """The paper's sigma: corrects for registers that are zero, `share` of all."""
    if share == 1:
        return math.inf
    weight, total = 1.0, share
    while True:
        share *= share
        before = total
        total += share * weight
        weight += weight
        if total == before:
            return total


def _tau(share: float) -> float:
    """The paper's tau: corrects for registers that are full; `share` of all are not."""
    if share in (0, 1):
        return 0.0
    weight, total = 1.0, 1 - share
    while True:
        share = math.sqrt(share)
        before = total
        weight *= 0.5
        total -= (1 - share) ** 2 * weight
        if total == before:
            return total / 3
