"""DUMP payloads as real servers made or accepted them, without version and checksum, and what they hold."""

from __future__ import annotations

from typing import Any

from respcache.persistence.rdb_build import DEFAULTS
from respcache.persistence.rdb_read import read_value
from respcache.persistence.source import Source
from respcache.store.hash import deadlines_of
from respcache.store.stream import Stream
from respcache.store.stream_block import decode
from respcache.store.types import TYPES
from respcache.store.zset import ZSet

YEAR_2100 = 4102444800000


def load(payload: str | bytes) -> Any:
    """The value of a payload, all of which is read."""
    data = bytes.fromhex(payload) if isinstance(payload, str) else payload
    source = Source.of(data)
    value = read_value(source, source.byte(), DEFAULTS)
    assert source.offset == len(data)
    return value


def encoding(value: object) -> bytes:
    """As OBJECT ENCODING says."""
    return TYPES[type(value)].encoding(value, None)


def plain(value: Any) -> Any:
    """What is in a value, in builtin types that can be compared."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, ZSet):
        return list(value.items())
    if isinstance(value, Stream):
        return entries(value)
    name = TYPES[type(value)].name
    if name == b"list":
        return list(value)
    if name == b"set":
        return set(value)
    return dict(value.items()), dict(deadlines.items()) if (deadlines := deadlines_of(value)) else {}


def entries(stream: Stream) -> list[tuple[int, int, list[bytes]]]:
    """The living entries: milliseconds, sequence, words."""
    return [
        (block.millis[at], block.sequences[at], decode(block.body(at)))
        for block in stream.blocks
        for at in block.living(0, len(block))
    ]


_STREAM_LISTPACK = (
    "3f0000001900 0201 0101 0201 816602 816702 0001 0201 0001 0001 817602 0101 0501"
    "0301 0101 0501 817702 0201 0501 0001 0201 0001 0101 816b02 817a02 0601 ff"
)
STREAM = f"01 10 00000000000003e8 0000000000000000 3f {_STREAM_LISTPACK} 02 43ea00 43e800 43e905 03"
GROUP_2 = (
    "01 03677270 43e800 81ffffffffffffffff 01 00000000000003e80000000000000000 0274b2f9a1010000 01"
    "02 05616c696365 0274b2f9a1010000 01 00000000000003e80000000000000000 03626f62 0374b2f9a1010000 00"
)
GROUP_3 = (
    "01 03677270 43e800 81ffffffffffffffff 01 00000000000003e80000000000000000 0274b2f9a1010000 01"
    "02 05616c696365 0274b2f9a1010000 0274b2f9a1010000 01 00000000000003e80000000000000000"
    "03626f62 0374b2f9a1010000 ffffffffffffffff 00"
)
_ENTRIES = [(1000, 0, [b"f", b"v", b"g", b"1"]), (1002, 0, [b"k", b"z"])]

INF = float("inf")

# Payload: contents and encoding.
PAYLOADS: dict[str, tuple[Any, bytes]] = {
    "00 00": (b"", b"embstr"),
    "00 05 68656c6c6f": (b"hello", b"embstr"),
    "00 c0 00": (b"0", b"int"),
    "00 c0 ff": (b"-1", b"int"),
    "00 c1 8000": (b"128", b"int"),
    "00 c1 7fff": (b"-129", b"int"),
    "00 c2 00800000": (b"32768", b"int"),
    "00 0a 32313437343833363438": (b"2147483648", b"int"),
    "00 c3 06 15 01 61 61 e0 0a 00": (b"a" * 21, b"embstr"),
    "12 01 02 19 19000000 0500 816102 0101 dffb02 c12c02 8568656c6c6f06 ff": (
        [b"a", b"1", b"-5", b"300", b"hello"],
        b"listpack",
    ),
    "12 03 02 0d 0d0000000200 816102 816202 ff 02 0d 0d0000000200 816302 816402 ff 02 0a 0a0000000100 816502 ff": (
        [b"a", b"b", b"c", b"d", b"e"],
        b"quicklist",
    ),
    "12 03 02 0a 0a0000000100 817802 ff 01 c309406e017979e06100017979 02 0a 0a0000000100 817a02 ff": (
        [b"x", b"y" * 110, b"z"],
        b"quicklist",
    ),
    "0b 0e 02000000 03000000 0100 0200 0300": ({b"1", b"2", b"3"}, b"intset"),
    "0b 14 04000000 03000000 fdffffff 01000000 70110100": ({b"-3", b"1", b"70000"}, b"intset"),
    "0b 18 08000000 02000000 0100000000000000 00f2052a01000000": ({b"1", b"5000000000"}, b"intset"),
    "02 03 c007 0161 0162": ({b"a", b"b", b"7"}, b"listpack"),
    "14 0f 0f0000000300 816102 816202 0701 ff": ({b"a", b"b", b"7"}, b"listpack"),
    "11 21 210000000800 816302 842d696e6605 816102 0101 816202 83322e3504 1101 0301 ff": (
        [(b"c", -INF), (b"a", 1.0), (b"b", 2.5), (b"17", 3.0)],
        b"listpack",
    ),
    "05 03 0162 0000000000000440 0161 000000000000f03f 0163 000000000000f0ff": (
        [(b"c", -INF), (b"a", 1.0), (b"b", 2.5)],
        b"listpack",
    ),
    "10 1c 1c0000000600 816602 817602 816e02 0c01 8362696704 f200000104 ff": (
        ({b"f": b"v", b"n": b"12", b"big": b"65536"}, {}),
        b"listpack",
    ),
    "04 01 0166 0176": (({b"f": b"v"}, {}), b"listpack"),
    "19 00d8c32cbb030000 23 230000000600 82663203 82763203 f400d8c32cbb03000009 82663103 82763103 0001 ff": (
        ({b"f2": b"v2", b"f1": b"v1"}, {b"f2": YEAR_2100}),
        b"listpackex",
    ),
    "18 00d8c32cbb030000 03 06 026633 027633 01 026632 027632 00 026631 027631": (
        ({b"f1": b"v1", b"f2": b"v2", b"f3": b"v3"}, {b"f2": YEAR_2100, b"f3": YEAR_2100 + 5}),
        b"listpackex",
    ),
    f"13 {STREAM} 00": (_ENTRIES, b"stream"),
    f"13 {STREAM} {GROUP_2}": (_ENTRIES, b"stream"),
    f"15 {STREAM} {GROUP_3}": (_ENTRIES, b"stream"),
    "13 00 00 0101 0000 0000 01 00": ([], b"stream"),
    "00 15 48594c4c 01000000 0000000000000000 71a6844e57": (
        bytes.fromhex("48594c4c01000000000000000000000071a6844e57"),
        b"embstr",
    ),
    # Old encodings.
    "01 03 0161 c005 0568656c6c6f": ([b"a", b"5", b"hello"], b"listpack"),
    "03 04 0161 0131 0162 03322e35 0163 ff 0164 fe": (
        [(b"c", -INF), (b"a", 1.0), (b"b", 2.5), (b"d", INF)],
        b"listpack",
    ),
    "09 16 02 016601007605 68656c6c6f 0502 776f726c64 5858 ff": (
        ({b"f": b"v", b"hello": b"world"}, {}),
        b"listpack",
    ),
    "0a 13 130000000f0000000300 000161 03f2 02fe80 ff": ([b"a", b"1", b"-128"], b"listpack"),
    "0a 4075 750000002b0000000800 000161 03f2 02fe80 03c02c01 04f040420f 05d000ca9a3b 06e0000efad5feffffff"
    f"0a4046{'78' * 70} ff": (
        [b"a", b"1", b"-128", b"300", b"1000000", b"1000000000", b"-5000000000", b"x" * 70],
        b"listpack",
    ),
    "0c 18 18000000120000000400 000161 03f2 020162 0303322e35 ff": ([(b"a", 1.0), (b"b", 2.5)], b"listpack"),
    "0d 16 16000000130000000400 000166 030176 03016e 03fd ff": (({b"f": b"v", b"n": b"12"}, {}), b"listpack"),
    "0e 02 10 100000000d0000000200 000161 03f2 ff 12 120000000a0000000100 000568656c6c6f ff": (
        [b"a", b"1", b"hello"],
        b"quicklist",
    ),
    "0f 01 10 00000000000003e80000000000000000 1d 1d0000000a00 0101 0001 0101 816602 0001 0201 0001 0001 817602 0401 ff"
    "01 43e800 00": ([(1000, 0, [b"f", b"v"])], b"stream"),
    # Release candidates of 7.4: no minimum, and absolute times behind 0.
    "17 23 230000000600 82663203 82763203 f400d8c32cbb03000009 82663103 82763103 0001 ff": (
        ({b"f2": b"v2", b"f1": b"v1"}, {b"f2": YEAR_2100}),
        b"listpackex",
    ),
    f"16 02 81{YEAR_2100:016x} 026632 027632 00 026631 027631": (
        ({b"f1": b"v1", b"f2": b"v2"}, {b"f2": YEAR_2100}),
        b"listpackex",
    ),
}
