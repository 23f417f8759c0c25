"""What values and files look like in bytes: as real servers write them, and as they load them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest

from respcache.clock import Clock
from respcache.persistence import crc64, rdb_write
from respcache.persistence.rdb_strings import length, string
from respcache.persistence.rdb_write import BASE, NEWEST, Format, entry_pieces, shard_entries, write_value
from respcache.store.hash import HashTable, ListpackEx
from respcache.store.keyspace import Keyspace
from respcache.store.list import make_list
from respcache.store.set import IntSet, ListpackSet, SetTable
from respcache.store.stream import Stream
from respcache.store.stream_groups import Consumer, Group
from respcache.store.zset import ZSet

LATE = 4102444800000


def hexed(written: tuple[int, bytes]) -> str:
    return f"{written[0]:02x} {written[1].hex(' ')}"


def mortal(kind: type[Any], items: Iterable[tuple[bytes, bytes]], deadlines: dict[bytes, int]) -> Any:
    made = kind(dict(items))
    if deadlines and kind is HashTable:
        made.deadlines = ListpackEx({}).deadlines
    for field, when in deadlines.items():
        made.deadlines.set(field, when)
    return made


def example_stream() -> Stream:
    stream = Stream()
    for id, words in (((1000, 0), b"f v g 1"), ((1001, 5), b"f w g 2"), ((1002, 0), b"k z")):
        stream.add(id[0] << 64 | id[1], words.split(), 10, 100, 4096)
    stream.remove([1001 << 64 | 5])
    return stream


STREAM = (
    "01 10 00 00 00 00 00 00 03 e8 00 00 00 00 00 00 00 00 3f 3f 00 00 00 19 00 02 01 01 01 02 01 81 66 02 81 67 02 "
    "00 01 02 01 00 01 00 01 81 76 02 01 01 05 01 03 01 01 01 05 01 81 77 02 02 01 05 01 00 01 02 01 00 01 01 01 81 "
    "6b 02 81 7a 02 06 01 ff 02 43 ea 00 43 e8 00 43 e9 05 03 "
)

# As servers reply them to DUMP, without the version and the checksum.
VALUES: list[tuple[Any, str]] = [
    (b"", "00 00"),
    (b"hello", "00 05 68 65 6c 6c 6f"),
    (b"0", "00 c0 00"),
    (0, "00 c0 00"),
    (b"-1", "00 c0 ff"),
    (127, "00 c0 7f"),
    (b"128", "00 c1 80 00"),
    (b"-128", "00 c0 80"),
    (b"-129", "00 c1 7f ff"),
    (b"32768", "00 c2 00 80 00 00"),
    (b"-32768", "00 c1 00 80"),
    (bytearray(b"2147483647"), "00 c2 ff ff ff 7f"),
    (b"-2147483648", "00 c2 00 00 00 80"),
    (2147483648, "00 0a 32 31 34 37 34 38 33 36 34 38"),
    (b"01", "00 02 30 31"),
    (b"-0", "00 02 2d 30"),
    (b"1_0", "00 03 31 5f 30"),
    (b"1.5", "00 03 31 2e 35"),
    (b"a" * 20, "00 14" + " 61" * 20),
    (b"a" * 21, "00 c3 06 15 01 61 61 e0 0a 00"),
    (b"a" * 64, "00 c3 09 40 40 01 61 61 e0 33 00 01 61 61"),
    (
        make_list([b"a", b"1", b"-5", b"300", b"hello"], -2),
        "12 01 02 19 19 00 00 00 05 00 81 61 02 01 01 df fb 02 c1 2c 02 85 68 65 6c 6c 6f 06 ff",
    ),
    (IntSet.fromkeys([b"3", b"1", b"2"]), "0b 0e 02 00 00 00 03 00 00 00 01 00 02 00 03 00"),
    (
        IntSet.fromkeys([b"1", b"70000", b"-3"]),
        "0b 14 04 00 00 00 03 00 00 00 fd ff ff ff 01 00 00 00 70 11 01 00",
    ),
    (
        IntSet.fromkeys([b"1", b"5000000000"]),
        "0b 18 08 00 00 00 02 00 00 00 01 00 00 00 00 00 00 00 00 f2 05 2a 01 00 00 00",
    ),
    (IntSet.fromkeys([b"-32769"]), "0b 0c 04 00 00 00 01 00 00 00 ff 7f ff ff"),
    (ListpackSet.fromkeys([b"7", b"a", b"b"]), "02 03 c0 07 01 61 01 62"),
    (
        ZSet.of({b"a": 1, b"b": 2.5, b"c": -math.inf, b"3": 17}, 128, 64),
        "11 21 21 00 00 00 08 00 81 63 02 84 2d 69 6e 66 05 81 61 02 01 01 81 62 02 83 32 2e 35 04 03 01 11 01 ff",
    ),
    (
        ZSet.of({b"a": 1, b"b": 2.5, b"c": -math.inf}, 0, 0),
        "05 03 01 62 00 00 00 00 00 00 04 40 01 61 00 00 00 00 00 00 f0 3f 01 63 00 00 00 00 00 00 f0 ff",
    ),
    (
        {b"f": b"v", b"n": b"12", b"big": b"65536"},
        "10 1c 1c 00 00 00 06 00 81 66 02 81 76 02 81 6e 02 0c 01 83 62 69 67 04 f2 00 00 01 04 ff",
    ),
    (ListpackEx({b"f": b"v"}), "10 0d 0d 00 00 00 02 00 81 66 02 81 76 02 ff"),
    (HashTable({b"f": b"v"}), "04 01 01 66 01 76"),
    (
        mortal(ListpackEx, [(b"f1", b"v1"), (b"f2", b"v2")], {b"f2": LATE}),
        "19 00 d8 c3 2c bb 03 00 00 23 23 00 00 00 06 00 82 66 32 03 82 76 32 03 f4 00 d8 c3 2c bb 03 00 00 09 "
        "82 66 31 03 82 76 31 03 00 01 ff",
    ),
    (
        mortal(HashTable, [(b"f3", b"v3"), (b"f2", b"v2"), (b"f1", b"v1")], {b"f3": LATE + 5, b"f2": LATE}),
        "18 00 d8 c3 2c bb 03 00 00 03 06 02 66 33 02 76 33 01 02 66 32 02 76 32 00 02 66 31 02 76 31",
    ),
    (example_stream(), "13 " + STREAM + "00"),
    (Stream(), "13 00 00 00 00 00 00 00 00 00 00"),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=[text[:24] for _, text in VALUES])
def test_values(value: Any, expected: str) -> None:
    kind, body = write_value(value)
    assert (
        sorted(hexed((kind, body))) == sorted(expected)
        if kind in (4, 24)
        else hexed((kind, body)) == expected
    )


def test_newer_types() -> None:
    newer = Format(version=11)
    assert hexed(write_value(ListpackSet.fromkeys([b"a", b"b", b"7"]), newer)) == (
        "14 0f 0f 00 00 00 03 00 81 61 02 81 62 02 07 01 ff"
    )
    assert hexed(write_value(example_stream(), newer)) == "15 " + STREAM + "00"


@pytest.mark.parametrize("version", [BASE, 11])
def test_groups(version: int) -> None:
    stream = example_stream()
    group = stream.groups[b"grp"] = Group(1000 << 64)
    seen = 0x1A1F9B27402
    alice, bob = (Consumer(b"alice", seen), Consumer(b"bob", seen + 1))
    group.consumers = {b"alice": alice, b"bob": bob}
    group.deliver([1000 << 64], alice, seen)
    alice.active = seen
    active, never = (" 02 74 b2 f9 a1 01 00 00", " ff" * 8) if version > BASE else ("", "")
    id = " 00 00 00 00 00 00 03 e8 00 00 00 00 00 00 00 00"
    time = " 02 74 b2 f9 a1 01 00 00"
    assert hexed(write_value(stream, Format(version=version)))[3:] == (
        f"{STREAM}01 03 67 72 70 43 e8 00 81 ff ff ff ff ff ff ff ff 01{id}{time} 01 "
        f"02 05 61 6c 69 63 65{time}{active} 01{id} 03 62 6f 62 03 74 b2 f9 a1 01 00 00{never} 00"
    )


def test_ids_of_any_distance() -> None:
    """A difference is one of 64 bits, whatever the two numbers."""
    stream = Stream()
    for id in (5 << 64 | 9, 6 << 64 | 3, ((1 << 64) - 1) << 64):
        stream.add(id, [b"f", b"v"], 2, 100, 4096)
    body = write_value(stream, compress=False)[1]
    assert b"\x02\x01\x01\x01\xdf\xfa\x02" in body  # flags, +1, -6
    assert b"\x02\x01\xdf\xfa\x02\xdf\xf7\x02" in body  # flags, -6, -9: modulo 2^64


def test_a_block_without_living_entries_is_left_out() -> None:
    stream = example_stream()
    stream.blocks[0].kill(0)
    stream.blocks[0].kill(2)
    assert write_value(stream)[1][:1] == b"\0"


def test_a_long_list_has_nodes() -> None:
    assert hexed(write_value(make_list([b"a", b"b", b"c", b"d", b"e"], 2), Format(list_size=2))) == (
        "12 03 02 0d 0d 00 00 00 02 00 81 61 02 81 62 02 ff 02 0d 0d 00 00 00 02 00 81 63 02 81 64 02 ff "
        "02 0a 0a 00 00 00 01 00 81 65 02 ff"
    )
    elements = [b"%d" % number * 20 for number in range(2000)]
    body = write_value(make_list(elements, -2), compress=False)[1]
    assert body[0] >= len(b"".join(elements)) // 8192
    assert body.count(b"\xff\x02") == body[0] - 1


def test_a_long_element_is_a_node() -> None:
    body = write_value(make_list([b"x", b"y" * 9000, b"z"], -2), compress=False)[1]
    assert body[:3] == b"\x03\x02\x0a"
    assert body[13:17] == b"\x01" + (0x4000 | 9000).to_bytes(2, "big") + b"y"
    assert body[-12:] == bytes.fromhex("02 0a 0a 00 00 00 01 00 81 7a 02 ff")


@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 5000])
def test_pieces(count: int) -> None:
    """A big value comes in many, none of them empty."""
    for value in (
        SetTable({b"%d" % n: None for n in range(count)}),
        HashTable({b"%d" % n: b"v" for n in range(count)}),
        ZSet.of({b"%d" % n: n + 0.5 for n in range(count)}, -1, 0),
    ):
        kind, pieces = rdb_write.value_pieces(value)
        parts = list(pieces)
        assert all(parts)
        assert len(parts) == 1 + -(-count * (2 if kind == rdb_write.HASH else 1) // 512)
        assert (kind, b"".join(parts)) == write_value(value)


def test_lengths() -> None:
    assert [length(size).hex() for size in (0, 63, 64, 16383, 16384, 1 << 32)] == [
        *("00", "3f", "4040", "7fff", "8000004000", "810000000100000000"),
    ]


def test_strings() -> None:
    assert string(b"a" * 30, compress=False) == b"\x1e" + b"a" * 30
    assert string(bytes(range(30))) == b"\x1e" + bytes(range(30))
    assert string(b"ab" * 2000)[:1] == b"\xc3"
    long = bytes(range(256)) * 4
    assert string(long, compress=False) == b"\x44\x00" + long


WORDS = [
    b"",
    b"v",
    b"12",
    b"-1",
    b":",
    b"/",
    b"9z",
    b"x" * 11,
    b"x" * 12,
    b"1" * 12,
    b"x" * 20,
    b"x" * 21,
    b"y" * 2000,
]


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("deadline", [None, 1, LATE])
def test_entries(compress: bool, deadline: int | None) -> None:
    for value in (*WORDS, 12, 1 << 40, bytearray(b"12"), {b"f": b"v"}):
        for key in (b"", b"key", b"12", b"k" * 100, b"k" * 2000):
            before = b"" if deadline is None else b"\xfc" + deadline.to_bytes(8, "little")
            kind, body = write_value(value, compress=compress)
            made = b"".join(entry_pieces(key, value, deadline, compress=compress))
            assert made == b"%b%c%b%b%b" % (before, kind, length(len(key)), key, body)


@pytest.mark.parametrize("compress", [True, False])
def test_the_entries_of_a_shard(compress: bool) -> None:
    values = [*WORDS, 12, 1 << 40, bytearray(b"12"), {b"f": b"v"}]
    values.append(make_list([b"%d" % number for number in range(513)], -2))
    shard = {b"k" * size: value for size, value in enumerate(values)}
    shard[b"long" * 500] = b"value"
    for deadlines in (None, {}, {key: LATE + len(key) for key in shard if len(key) % 3}):
        pieces, big = shard_entries(shard, deadlines, compress=compress)
        assert big == [b"k" * (len(values) - 1)]
        expected: list[bytes] = []
        for key, value in shard.items():
            if key not in big:
                expected += entry_pieces(key, value, (deadlines or {}).get(key), compress=compress)
        assert b"".join(pieces) == b"".join(expected)
    assert shard_entries({}) == ([b""], [])


def test_a_whole_file() -> None:
    made = rdb_write.header()
    for name, value in ((b"redis-ver", b"7.0.15"), (b"redis-bits", b"64"), (b"aof-base", b"0")):
        made += rdb_write.aux(name, value)
    made += rdb_write.function(b"#!lua name=l\n")
    made += rdb_write.select_db(0, 2, 1) + b"".join(entry_pieces(b"e", b"1", LATE))
    made += rdb_write.idle(100) + rdb_write.freq(7) + b"".join(entry_pieces(b"k", b"v"))
    assert made == (
        b"REDIS0010\xfa\x09redis-ver\x067.0.15\xfa\x0aredis-bits\xc0\x40\xfa\x08aof-base\xc0\x00\xf5\x0d#!lua name=l\n"
        b"\xfe\x00\xfb\x02\x01\xfc\x00\xd8\xc3\x2c\xbb\x03\x00\x00\x00\x01e\xc0\x01\xf8\x40\x64\xf9\x07\x00\x01k\x01v"
    )
    crc = crc64.update(0, made)
    assert rdb_write.end(crc) == b"\xff" + crc64.update(0, made + b"\xff").to_bytes(8, "little")
    assert rdb_write.end(None) == b"\xff" + bytes(8)


def test_versions() -> None:
    assert rdb_write.header(12) == b"REDIS0012"
    assert [rdb_write.least_version(kind) for kind in (0, 19, 20, 21, 24, 25)] == [10, 10, 11, 11, 12, 12]
    keyspace = Keyspace(2, Clock())
    assert rdb_write.file_version(keyspace.databases) == BASE
    db = keyspace.databases[1]
    db.put(b"k", mortal(ListpackEx, [(b"f", b"v")], {b"f": LATE}), None)
    assert rdb_write.file_version(keyspace.databases) == NEWEST
