"""Listpacks: a list of strings in one piece of memory, as RDB files hold small values.

    listpack   bytes in all (u32 LE) | number of elements (u16 LE, ffff: count them) | elements | ff
    element    encoding and data | size of that, to be read backwards

    0vvvvvvv                    integer of 7 bits            11110000 u32 LE, text    up to 4 GB
    10llllll text               up to 63 bytes               11110001 2 bytes LE      integer of 16 bits
    110vvvvv vvvvvvvv           integer of 13 bits           11110010 3 bytes LE      of 24
    1110llll llllllll text      up to 4095 bytes             11110011 4 bytes LE      of 32
                                                             11110100 8 bytes LE      of 64

Integers are signed but for those of 7 bits. The text of an integer of 64 bits is always stored as one. The size
behind an element comes in groups of 7 bits, the highest first, all but the first with their high bit set.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from struct import error as StructError

HEADER = 6
EMPTY = b"\x07\x00\x00\x00\x00\x00\xff"
"""A listpack without elements."""

_END = 0xFF
_UNCOUNTED = 0xFFFF
_HEAD = Struct("<IH")
_U32 = Struct("<I")
_INT16 = Struct("<Bh")
_INT32 = Struct("<Bi")
_INT64 = Struct("<Bq")
_SMALL = 256


def _backlen(size: int) -> bytes:
    """The size behind an element of so many bytes. A group is added a little before it is needed, as Redis does."""
    if size < 128:
        return bytes((size,))
    groups = 2 if size < 16383 else 3 if size < 2097151 else 4 if size < 268435455 else 5
    return bytes(
        (size >> 7 * place & 127) | (0x80 if place < groups - 1 else 0) for place in range(groups - 1, -1, -1)
    )


# By the size of an element, and whole elements: the small integers, and the heads of short texts.
_BACKLENS = [_backlen(size) for size in range(_SMALL)]
_INTEGERS = [bytes((value, 1)) for value in range(128)]
_INTEGER_TEXTS = [b"%d" % value for value in range(128)]
_TEXT_HEADS = [bytes((0x80 | size,)) for size in range(64)]


def encode_integer(value: int) -> bytes:
    """An integer of 64 bits as an element. OverflowError beyond."""
    if 0 <= value < 128:
        return _INTEGERS[value]
    if -4096 <= value < 4096:
        return bytes((0xC0 | value >> 8 & 31, value & 255, 2))
    if -0x8000 <= value < 0x8000:
        return _INT16.pack(0xF1, value) + b"\x03"
    if -0x800000 <= value < 0x800000:
        return b"\xf2" + value.to_bytes(3, "little", signed=True) + b"\x04"
    if -0x80000000 <= value < 0x80000000:
        return _INT32.pack(0xF3, value) + b"\x05"
    return b"\xf4" + value.to_bytes(8, "little", signed=True) + b"\x09"


def encode_element(text: bytes) -> bytes:
    """A string as an element. Raises ValueError if it has more than 4 GB."""
    size = len(text)
    if 0 < size < 21 and text[-1] < 58 and text[0] < 58:
        try:
            value = int(text)
        except ValueError:
            pass
        else:
            if b"%d" % value == text and -(1 << 63) <= value < 1 << 63:
                return encode_integer(value)
    if size < 64:
        return b"%b%b%b" % (_TEXT_HEADS[size], text, _BACKLENS[size + 1])
    if size < 4096:
        head = bytes((0xE0 | size >> 8, size & 255))
    elif size >> 32:
        raise ValueError(f"a string of {size} bytes does not fit into a listpack")
    else:
        head = b"\xf0" + _U32.pack(size)
    size += len(head)
    return b"%b%b%b" % (head, text, _BACKLENS[size] if size < _SMALL else _backlen(size))


def join(elements: Iterable[bytes]) -> bytes:
    """A listpack of encoded elements. Raises ValueError if it has more than 4 GB."""
    elements = list(elements)
    count = len(elements)
    body = b"".join(elements)
    size = len(body) + 7
    if size >> 32:
        raise ValueError(f"a listpack cannot have {size} bytes")
    return b"%b%b\xff" % (_HEAD.pack(size, min(count, _UNCOUNTED)), body)


def encode(elements: Iterable[bytes]) -> bytes:
    """A listpack of strings. Raises ValueError if it has more than 4 GB."""
    return join(map(encode_element, elements))


def decode(data: bytes) -> list[bytes]:
    """The elements as strings, the integers as their texts.

    Raises ValueError unless sizes and number are those of what is there, forwards and backwards.
    """
    size = len(data)
    if size < 7:
        raise ValueError(f"a listpack of {size} bytes")
    told, count = _HEAD.unpack_from(data)
    if told != size:
        raise ValueError(f"a listpack of {size} bytes that claims {told}")
    end = size - 1
    if data[end] != _END:
        raise ValueError("a listpack without its end")
    found: list[bytes] = []
    add = found.append
    at = HEADER
    try:
        while at < end:
            first = data[at]
            if first < 0x80:
                if data[at + 1] != 1:
                    raise ValueError(f"listpack: wrong size behind the element at {at}")
                add(_INTEGER_TEXTS[first])
                at += 2
                continue
            if first < 0xC0:
                behind = at + (first & 63) + 1
                add(data[at + 1 : behind])
                if data[behind] != behind - at:
                    raise ValueError(f"listpack: wrong size behind the element at {at}")
                at = behind + 1
                continue
            if first < 0xE0:
                value = (first & 31) << 8 | data[at + 1]
                add(b"%d" % (value - 0x2000 if value & 0x1000 else value))
                behind = at + 2
            elif first < 0xF0:
                behind = at + 2 + ((first & 15) << 8 | data[at + 1])
                add(data[at + 2 : behind])
            elif first == 0xF0:
                behind = at + 5 + _U32.unpack_from(data, at + 1)[0]
                add(data[at + 5 : behind])
            elif first < 0xF5:
                behind = at + (3, 4, 5, 9)[first - 0xF1]
                add(b"%d" % int.from_bytes(data[at + 1 : behind], "little", signed=True))
            else:
                raise ValueError(f"listpack: no such encoding as {first:#x} at {at}")
            length = behind - at
            back = _BACKLENS[length] if length < _SMALL else _backlen(length)
            if not data.startswith(back, behind) or behind >= end:
                raise ValueError(f"listpack: wrong size behind the element at {at}")
            at = behind + len(back)
    except (IndexError, StructError):
        raise ValueError(f"listpack: the element at {at} is cut short") from None
    if at != end:
        raise ValueError("listpack: an element covers its end")
    if count != len(found) and count != _UNCOUNTED:
        raise ValueError(f"a listpack of {len(found)} elements that claims {count}")
    return found
