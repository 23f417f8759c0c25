"""Writes the files of this directory anew: `python -m tests.golden.make`.

Old servers are not to be had any more, so what they wrote is built here byte by byte from the description of the
format, with nothing of the package, whose reader these files are to try. See README.md.
"""

from __future__ import annotations

import struct
from pathlib import Path

HERE = Path(__file__).parent
LATE = 4102444800  # seconds: the year 2100

_POLYNOMIAL = 0x95AC9329AC4BC9B5


def crc64(data: bytes) -> int:
    """The checksum, bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


def length(size: int, form: int = 0) -> bytes:
    """A length in a form of at least so many bytes; 0: the shortest."""
    if form <= 1 and size < 64:
        return bytes([size])
    if form <= 2 and size < 1 << 14:
        return struct.pack(">H", 0x4000 | size)
    if form <= 5 and size < 1 << 32:
        return b"\x80" + struct.pack(">I", size)
    return b"\x81" + struct.pack(">Q", size)


def text(data: bytes, form: int = 0) -> bytes:
    """A string as it is."""
    return length(len(data), form) + data


def key(kind: int, name: bytes, *parts: bytes) -> bytes:
    """An entry."""
    return bytes([kind]) + text(name) + b"".join(parts)


def ziplist(*elements: bytes | int) -> bytes:
    """Strings and integers, each behind the size of the one before."""
    body, last, start = b"", 0, 0
    for element in elements:
        before = bytes([last]) if last < 254 else b"\xfe" + struct.pack("<I", last)
        each = before + _ziplist_body(element)
        start, last = len(body), len(each)
        body += each
    return struct.pack("<IIH", 11 + len(body), 10 + start, len(elements)) + body + b"\xff"


def _ziplist_body(element: bytes | int) -> bytes:
    if isinstance(element, bytes):
        size = len(element)
        if size < 64:
            return bytes([size]) + element
        return (
            struct.pack(">H", 0x4000 | size) if size < 1 << 14 else b"\x80" + struct.pack(">I", size)
        ) + element
    if 0 <= element <= 12:
        return bytes([0xF1 + element])
    for code, size in ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4), (0xE0, 8)):
        if -(1 << 8 * size - 1) <= element < 1 << 8 * size - 1:
            return bytes([code]) + element.to_bytes(size, "little", signed=True)
    raise ValueError(element)


def zipmap(*pairs: tuple[bytes, bytes, int]) -> bytes:
    """Fields, values, and the number of unused bytes behind each value."""

    def size(data: bytes) -> bytes:
        return bytes([len(data)]) if len(data) < 254 else b"\xfe" + struct.pack("<I", len(data))

    body = b"".join(
        size(field) + field + size(value) + bytes([unused]) + value + b"X" * unused
        for field, value, unused in pairs
    )
    return bytes([min(len(pairs), 254)]) + body + b"\xff"


def intset(size: int, *numbers: int) -> bytes:
    """Numbers of so many bytes, in their order."""
    return struct.pack("<II", size, len(numbers)) + b"".join(
        number.to_bytes(size, "little", signed=True) for number in numbers
    )


def listpack(*elements: bytes | int) -> bytes:
    """Short strings and integers below 4096."""
    body = b""
    for element in elements:
        if isinstance(element, bytes):
            each = bytes([0x80 | len(element)]) + element
        else:
            each = bytes([element]) if 0 <= element < 128 else struct.pack(">H", 0xC000 | element & 0x1FFF)
        body += each + bytes([len(each)])
    return struct.pack("<IH", 7 + len(body), len(elements)) + body + b"\xff"


def stream(extra: bytes, groups: bytes) -> bytes:
    """1000-0 f v; 1001-5 f w, deleted; 1002-0 k z."""
    entries: list[bytes | int] = [2, 1, 1, b"f", 0]
    entries += [2, 0, 0, b"v", 4]
    entries += [3, 1, 5, b"w", 4]
    entries += [0, 2, 0, 1, b"k", b"z", 6]
    nodes = length(1) + text(struct.pack(">QQ", 1000, 0)) + text(listpack(*entries))
    return nodes + length(2) + length(1002) + length(0) + extra + groups


def group(read: bytes) -> bytes:
    """One group whose first entry is pending with alice, and bob who has none."""
    pending = struct.pack(">QQ", 1000, 0)
    seen = struct.pack("<q", 1700000000000)
    made = text(b"group") + length(1000) + length(0) + read
    made += length(1) + pending + seen + length(3)
    return made + length(2) + text(b"alice") + seen + length(1) + pending + text(b"bob") + seen + length(0)


def file(version: int, *parts: bytes) -> bytes:
    """A file of a version; the checksum came with version 5."""
    data = b"REDIS%04d" % version + b"".join(parts) + b"\xff"
    return data + (struct.pack("<Q", crc64(data)) if version >= 5 else b"")


def aux(name: bytes, value: bytes) -> bytes:
    """A note."""
    return b"\xfa" + text(name) + text(value)


FIRST = b"\xfe\x00"
SOON = b"\xfd" + struct.pack("<i", (1 << 31) - 1)  # the last moment that it can tell, in 2038
MILLISECONDS = b"\xfc" + struct.pack("<q", LATE * 1000 + 5)
INTEGERS = (
    0,
    12,
    13,
    -1,
    127,
    -128,
    128,
    -32768,
    32768,
    -(1 << 23),
    1 << 23,
    -(1 << 31),
    1 << 31,
    -(1 << 63),
)
LZF = b"\xc3" + length(6) + length(21) + bytes.fromhex("016161e00a00")  # 21 times "a"
LARGE = b"x" * 300


def plain(version: int) -> bytes:
    """What every version has: the types 0 to 4, lengths in every form, numbers and LZF as strings."""
    parts = [FIRST, key(0, b"string", text(b"value")), SOON + key(0, b"soon", text(b"value"))]
    parts += [
        key(0, b"int8", b"\xc0\x85"),
        key(0, b"int16", b"\xc1\x39\x30"),
        key(0, b"int32", b"\xc2\x00\x00\x00\x80"),
    ]
    parts += [key(0, b"lzf", LZF), key(0, b"large", text(LARGE)), key(0, b"32 bits", text(b"value", 5))]
    parts += [key(1, b"list", length(3), text(b"a"), b"\xc0\x05", text(b"hello"))]
    parts += [key(2, b"set", length(2, 2), text(b"a"), text(b"b"))]
    scores = [(b"a", b"\x011"), (b"b", b"\x032.5"), (b"low", b"\xff"), (b"high", b"\xfe")]
    parts += [key(3, b"zset", length(4, 5), *(text(member) + score for member, score in scores))]
    parts += [key(4, b"hash", length(2), text(b"f"), text(b"v"), text(b"long"), text(LARGE))]
    parts += [b"\xfe\x05", key(0, b"other database", text(b"value"))]
    return file(version, *parts)


def files() -> dict[str, bytes]:
    """All of them, by name."""
    made = {f"v{version}-plain.rdb": plain(version) for version in range(1, 11)}
    several = [key(9, b"zipmap", text(zipmap((b"f", b"v", 0), (b"hello", b"world", 2), (b"long", LARGE, 1))))]
    several += [key(10, b"list", text(ziplist(b"a", b"b" * 70, b"c" * 250, b"", b"d")))]
    several += [key(11, b"set%d" % size, text(intset(size, -5, 1, 300))) for size in (2, 4, 8)]
    several += [key(12, b"zset", text(ziplist(b"low", b"-inf", b"a", 1, b"b", b"2.5")))]
    made["v2-packed.rdb"] = file(2, FIRST, *several)
    made["v3-milliseconds.rdb"] = file(
        3, FIRST, MILLISECONDS, key(0, b"late", text(b"v")), key(0, b"k", text(b"v"))
    )
    pairs = ziplist(b"f", b"v", b"n", 12, b"long", LARGE)
    made["v4-hash-ziplist.rdb"] = file(4, FIRST, key(13, b"hash", text(pairs)))
    elements: list[bytes | int] = [b"a", *INTEGERS, b"b" * 260, b"c" * 16384, b"d"]
    made["v6-ziplist.rdb"] = file(6, FIRST, key(10, b"list", text(ziplist(*elements))))
    quicklist = [length(3), text(ziplist(b"a", 1)), text(ziplist(b"hello")), text(ziplist(*INTEGERS))]
    seven = [
        aux(b"redis-ver", b"3.2.0"),
        aux(b"unknown", b"x"),
        FIRST,
        b"\xfb\x01\x00",
        key(14, b"list", *quicklist),
    ]
    made["v7-quicklist.rdb"] = file(7, *seven)
    doubles = b"".join(
        text(member) + struct.pack("<d", score) for member, score in ((b"b", 2.5), (b"a", -0.1))
    )
    eight = [FIRST, key(5, b"zset", length(2), doubles), key(0, b"64 bits", text(b"value", 9))]
    made["v8-doubles.rdb"] = file(8, *eight)
    nine = [FIRST, b"\xf8\x40\x64", key(0, b"idle", text(b"v")), b"\xf9\x07", key(0, b"used", text(b"v"))]
    nine += [MILLISECONDS, b"\xf9\x07", key(15, b"stream", stream(b"", length(1) + group(b"")))]
    nine += [key(15, b"empty", length(0) + length(0) + length(5) + length(1) + length(0))]
    made["v9-stream.rdb"] = file(9, *nine)
    # when = 2, after all keys: an integer, a float, a double and a string.
    module = struct.pack(">Q", 0x4C8F5D66CF3CDC01)
    data = (
        b"\x02\x05\x03"
        + struct.pack("<f", 1.5)
        + b"\x04"
        + struct.pack("<d", 2.5)
        + b"\x05"
        + text(b"s")
        + b"\x00"
    )
    notes = b"\xf7\x81" + module + b"\x02\x02" + data
    made["v9-module-aux.rdb"] = file(9, FIRST, key(0, b"k", text(b"v")), notes)
    code = b"#!lua name=golden\nredis.register_function('f', function() return 1 end)"
    ten = [b"\xf5" + text(code), FIRST, key(16, b"hash", text(listpack(b"f", b"v", b"n", 12)))]
    ten += [key(17, b"zset", text(listpack(b"a", 1, b"b", b"2.5")))]
    ten += [key(18, b"list", length(2), b"\x02", text(listpack(b"a", -5)), b"\x01", text(LARGE))]
    ids = length(1000) + length(0) + length(1001) + length(5) + length(3)
    ten += [key(19, b"stream", stream(ids, length(1) + group(length(1))))]
    made["v10-functions.rdb"] = file(10, *ten)
    return made


if __name__ == "__main__":
    for name, data in files().items():
        (HERE / name).write_bytes(data)
