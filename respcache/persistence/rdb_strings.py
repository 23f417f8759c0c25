"""Lengths and strings as RDB files and DUMP payloads hold them.

length   00llllll | 01llllll llllllll | 80 u32 BE | 81 u64 BE
string   length text | c0 int8 | c1 int16 LE | c2 int32 LE | c3 length of the next, length of the text, LZF
"""

from __future__ import annotations

import zlib
from struct import Struct

from respcache.persistence import lzf

RARELY = 2
"""Of what is compressed: where that saves much, see `is_worth_it`. True is all that comes out shorter, as in Redis."""
COMPRESSIBLE = 21
"""Bytes from which on Redis tries to compress a string."""

_LONG, _SAMPLE, _MOST = 512, 4096, 65536  # bytes, see `is_worth_it`
_ZERO = 48
_INT8 = [bytes((0xC0, number)) for number in range(256)]  # the negative ones from the end
_INT32 = Struct("<Bi").pack
_INT16 = Struct("<Bh").pack


def length(size: int) -> bytes:
    """A length, or any other number from 0 to 2^64 - 1, in its shortest form."""
    if size < 1 << 6:
        return bytes((size,))
    if size < 1 << 14:
        return (0x4000 | size).to_bytes(2, "big")
    if size < 1 << 32:
        return b"\x80" + size.to_bytes(4, "big")
    return b"\x81" + size.to_bytes(8, "big")


LENGTHS = [length(size) for size in range(1024)]
"""The short ones, ready."""


def is_worth_it(text: bytes | bytearray, size: int) -> bool:
    """Whether compressing a string saves much and soon: it shall come out at an eighth.

    LZF takes some 150 ns a byte in Python where little repeats, and at least 10 us for a string: a data set of common
    texts would take fifty times as long to save, for a half of the disk. What is long and repeats much is worth it.
    zlib, which is quick, tells from the beginning; what comes out may be 64 KB.
    """
    if size < _LONG:
        return False
    sample = text[:_SAMPLE]
    packed = len(zlib.compress(sample, 1))
    return packed * 8 < len(sample) and packed * size < _MOST * len(sample)


def plain_below(compress: int) -> int:
    """Up to which length, itself not included, a string that is no integer is certainly stored as it is."""
    if not compress:
        return len(LENGTHS)
    return _LONG if compress == RARELY else COMPRESSIBLE


def string(text: bytes | bytearray, compress: int = True) -> bytes:
    """A string: an integer of 32 bits as such, what is longer than 20 bytes compressed if that saves some."""
    size = len(text)
    if size < 12:
        digits = text if text.isdigit() else text[1:] if text[:1] == b"-" else b""
        if digits and (digits[0] != _ZERO or text == b"0") and (size == len(digits) or digits.isdigit()):
            number = int(text)
            if -0x8000 <= number < 0x8000:
                return _INT8[number] if -0x80 <= number < 0x80 else _INT16(0xC1, number)
            if -0x80000000 <= number < 0x80000000:
                return _INT32(0xC2, number)
    elif compress and size >= COMPRESSIBLE and (compress != RARELY or is_worth_it(text, size)):
        packed = lzf.compress(bytes(text))
        if packed is not None:
            return b"%b%b%b%b" % (b"\xc3", length(len(packed)), length(size), packed)
    return (LENGTHS[size] if size < 1024 else length(size)) + text
