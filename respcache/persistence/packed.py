"""The other packed encodings of RDB files: intsets, and the ziplists and zipmaps of old versions.

intset     bytes of each (u32 LE: 2, 4 or 8) | count (u32 LE) | sorted signed integers, LE
ziplist    bytes in all (u32 LE) | offset of the last element (u32 LE) | count (u16 LE) | elements | ff
           a count of ffff says that there are more
element    size of the one before (1 byte, or fe and u32 LE) | encoding | text or integer
zipmap     pairs (1 byte, from fe on: count them) | size, field, size, gap (1 byte), value, gap ... | ff
           a size is 1 byte, or fe and u32 LE

00llllll text               up to 63 bytes               11000000 2 bytes LE      integer of 16 bits
01llllll llllllll text      up to 16 KB                  11010000 4 bytes LE      of 32
10...... u32 BE, text       up to 4 GB                   11100000 8 bytes LE      of 64
1111vvvv                    v - 1, from 0 to 12          11110000 3 bytes LE      of 24
                                                         11111110 1 byte          of 8
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from struct import Struct
from struct import error as StructError

_INTSET = Struct("<II")
_ZIPLIST = Struct("<IIH")
_U32 = Struct("<I")
_U32_BIG = Struct(">I")
_CODES = {2: "h", 4: "i", 8: "q"}
_UNCOUNTED = 0xFFFF
_FAR = 0xFE
_END = 0xFF
_INTEGERS = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}
"""Bytes of an integer of a ziplist by its encoding."""


def encode_intset(values: Sequence[int]) -> bytes:
    """An intset of sorted, distinct integers of 64 bits; ValueError if one has more."""
    low, high = (values[0], values[-1]) if values else (0, 0)
    for size, code in _CODES.items():
        limit = 1 << size * 8 - 1
        if -limit <= low and high < limit:
            packed = array(code, values)
            if sys.byteorder == "big":
                packed.byteswap()
            return _INTSET.pack(size, len(values)) + packed.tobytes()
    raise ValueError("an intset holds integers of 64 bits")


def decode_intset(data: bytes) -> list[int]:
    """The integers of an intset. Raises ValueError unless its size is right and they are sorted and distinct."""
    if len(data) < 8:
        raise ValueError(f"an intset of {len(data)} bytes")
    size, count = _INTSET.unpack_from(data)
    if size not in _CODES or len(data) != 8 + size * count:
        raise ValueError(f"an intset of {len(data)} bytes that claims {count} integers of {size} bytes")
    packed = array(_CODES[size], data[8:])
    if sys.byteorder == "big":
        packed.byteswap()
    values = packed.tolist()
    if any(map(int.__ge__, values, values[1:])):
        raise ValueError("an intset out of order")
    return values


def decode_ziplist(data: bytes) -> list[bytes]:
    """The elements of a ziplist as strings, the integers as their texts.

    Raises ValueError unless all of its sizes are right.
    """
    size = len(data)
    if size < 11:
        raise ValueError(f"a ziplist of {size} bytes")
    told, tail, count = _ZIPLIST.unpack_from(data)
    if told != size:
        raise ValueError(f"a ziplist of {size} bytes that claims {told}")
    end = size - 1
    if data[end] != _END:
        raise ValueError("a ziplist without its end")
    found: list[bytes] = []
    at = last = 10
    before = 0
    try:
        while at < end:
            start = at
            previous = data[at]
            at += 1
            if previous >= _FAR:
                previous = _U32.unpack_from(data, at)[0]
                at += 4
            if previous != before:
                raise ValueError(f"ziplist: wrong size before the element at {start}")
            code = data[at]
            at += 1
            if code < 0xC0:
                if code < 0x40:
                    length = code
                elif code < 0x80:
                    length = (code & 63) << 8 | data[at]
                    at += 1
                else:
                    length = _U32_BIG.unpack_from(data, at)[0]
                    at += 4
                if at + length > end:
                    raise ValueError(f"ziplist: the element at {start} is cut short")
                found.append(data[at : at + length])
                at += length
            elif 0xF1 <= code <= 0xFD:
                found.append(b"%d" % (code - 0xF1))
            elif code in _INTEGERS:
                length = _INTEGERS[code]
                found.append(b"%d" % int.from_bytes(data[at : at + length], "little", signed=True))
                at += length
            else:
                raise ValueError(f"ziplist: no such encoding as {code:#x} at {start}")
            last, before = start, at - start
    except (IndexError, StructError):
        raise ValueError(f"ziplist: the element at {start} is cut short") from None
    if at != end:
        raise ValueError("ziplist: an element covers its end")
    if tail != last:
        raise ValueError(f"ziplist: the last element is at {last}, not at {tail}")
    if count != len(found) and count != _UNCOUNTED:
        raise ValueError(f"a ziplist of {len(found)} elements that claims {count}")
    return found


def decode_zipmap(data: bytes) -> list[bytes]:
    """Fields and values of a zipmap in turns. ValueError unless all of its sizes are right."""
    end = len(data) - 1
    if end < 1 or data[end] != _END:
        raise ValueError("a zipmap without its end")
    found: list[bytes] = []
    at = 1
    try:
        while at < end:
            start = at
            for is_value in (False, True):
                length = data[at]
                at += 1
                if length >= _FAR:
                    if length == _END:
                        raise ValueError(f"zipmap: a field without a value at {start}")
                    length = _U32.unpack_from(data, at)[0]
                    at += 4
                gap = 0
                if is_value:
                    gap = data[at]
                    at += 1
                if at + length + gap > end:
                    raise ValueError(f"zipmap: the pair at {start} is cut short")
                found.append(data[at : at + length])
                at += length + gap
    except (IndexError, StructError):
        raise ValueError(f"zipmap: the pair at {start} is cut short") from None
    if data[0] < _FAR and data[0] * 2 != len(found):
        raise ValueError(f"a zipmap of {len(found) // 2} pairs that claims {data[0]}")
    return found
