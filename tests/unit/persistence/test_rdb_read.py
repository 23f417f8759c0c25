"""Files and payloads: what is in them, in pieces of any size, and every kind of damage."""

from __future__ import annotations

import random
from typing import Any

import pytest

from respcache.persistence import crc64
from respcache.persistence.rdb_build import DEFAULTS
from respcache.persistence.rdb_read import EmptyRdbError, Handler, module_name, read_file, read_value
from respcache.persistence.source import RdbError, Source
from tests.unit.persistence.test_source import pieces
from tests.unit.persistence.vectors import PAYLOADS, YEAR_2100, encoding, load, plain


class Collector(Handler):
    """Keeps everything."""

    def __init__(self) -> None:
        self.notes: dict[bytes, bytes] = {}
        self.hints: list[tuple[int, int, int]] = []
        self.functions: list[bytes] = []
        self.selected: list[int] = []
        self.entries: dict[tuple[int, bytes], tuple[Any, int | None, int | None, int | None]] = {}
        self.left_out: list[bytes] = []

    def aux(self, name: bytes, value: bytes) -> None:
        self.notes[name] = value

    def resize(self, db: int, keys: int, expires: int) -> None:
        self.hints.append((db, keys, expires))

    def function(self, code: bytes) -> None:
        self.functions.append(code)

    def select(self, db: int) -> None:
        self.selected.append(db)

    def entry(
        self, db: int, key: bytes, value: Any, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        self.entries[db, key] = plain(value), deadline, idle, freq

    def empty(self, db: int, key: bytes) -> None:
        self.left_out.append(key)


def read(data: bytes, size: int = 1 << 20, checksum: bool = True) -> Collector:
    """A whole file, which comes in pieces of this size."""
    collector = Collector()
    for _ in read_file(Source(pieces(data, size), checksum), DEFAULTS, collector):
        pass
    return collector


def packed(text: bytes) -> bytes:
    """A string that is not compressed."""
    size = len(text)
    if size < 64:
        return bytes((size,)) + text
    return ((0x4000 | size).to_bytes(2, "big") if size < 16384 else b"\x80" + size.to_bytes(4, "big")) + text


LIBRARY = b"#!lua name=mylib\nredis.register_function('f', function() return 1 end)"
BODY = bytes.fromhex(
    "52454449533030 3130 fa0972656469732d76657206372e302e3135 fa0a72656469732d62697473c040"
    "fa056374696d65c23a6f006b fa08757365642d6d656dc288790f00 fa08616f662d62617365c000 f54046"
    + LIBRARY.hex()
    + "fe00 fb0201 fc00d8c32cbb030000 000165c001 00016b0176 fe03 fb0100"
    "12016c01020a0a0000000100816102ff ff"
)
FILE = BODY + bytes.fromhex("30ccdddc634c96cc")


def sealed(body: str | bytes, version: int = 12) -> bytes:
    """A file of these opcodes, with its end."""
    data = b"REDIS%04d" % version + (bytes.fromhex(body) if isinstance(body, str) else body) + b"\xff"
    return data + crc64.update(0, data).to_bytes(8, "little") if version >= 5 else data


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads(payload: str) -> None:
    held, name = PAYLOADS[payload]
    value = load(payload)
    assert plain(value) == held
    assert encoding(value) == name


@pytest.mark.parametrize("size", [1, 13, 1 << 20])
def test_a_file_of_redis(size: int) -> None:
    found = read(FILE, size)
    assert found.version == 10
    assert found.notes == {
        b"redis-ver": b"7.0.15",
        b"redis-bits": b"64",
        b"ctime": b"1795190586",
        b"used-mem": b"1014152",
        b"aof-base": b"0",
    }
    assert found.functions == [LIBRARY]
    assert found.hints == [(0, 2, 1), (3, 1, 0)]
    assert found.selected == [0, 3]
    assert found.entries == {
        (0, b"e"): (b"1", YEAR_2100, None, None),
        (0, b"k"): (b"v", None, None, None),
        (3, b"l"): ([b"a"], None, None, None),
    }


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_what_follows_a_file_is_left(size: int) -> None:
    stream = pieces(FILE + b"*1\r\n$4\r\nPING\r\n", size)
    source = Source(stream, checksum=True)
    for _ in read_file(source, DEFAULTS, Collector()):
        pass
    rest = source.rest
    while part := stream(100):
        rest += part
    assert rest == b"*1\r\n$4\r\nPING\r\n"
    assert source.offset == len(FILE)


def test_all_types_in_one_file() -> None:
    keys = [b"key%d" % at for at in range(len(PAYLOADS))]
    body = b"\xfe\x00"
    for key, payload in zip(keys, PAYLOADS, strict=True):
        data = bytes.fromhex(payload)
        body += data[:1] + bytes((len(key),)) + key + data[1:]
    for size in (1, 50, 1 << 20):
        found = read(sealed(body), size)
        assert [found.entries[0, key][0] for key in keys] == [held for held, _ in PAYLOADS.values()]


def test_prefixes_are_for_one_key() -> None:
    found = read(
        sealed(
            "fe00 fd00000070 000161 0178 f803 000162 0178 f9ff 000163 0178"
            "fc0100000000000000 f945 f807 000164 0178 000165 0178"
        )
    )
    assert found.entries == {
        (0, b"a"): (b"x", 0x70000000 * 1000, None, None),
        (0, b"b"): (b"x", None, 3, None),
        (0, b"c"): (b"x", None, None, 255),
        (0, b"d"): (b"x", 1, 7, 0x45),
        (0, b"e"): (b"x", None, None, None),
    }


def test_what_is_skipped() -> None:
    module_aux = (
        "f7 810102030405060708 0202 02 01 05 4041" + "78" * 65 + "03 00000000 04 0000000000000000 01 05 00"
    )
    found = read(sealed(f"{module_aux.replace(' ', '')} fe00 fb0101 f44dec0101 000161 0178"))
    assert found.entries == {(0, b"a"): (b"x", None, None, None)}


def test_empty_values_are_left_out_of_files_and_refused_as_payloads() -> None:
    assert read(sealed("fe00 02016100 fc0100000000000000 01016200 000163 0178")).left_out == [b"a", b"b"]
    for payload in (
        "01 00",
        "02 00",
        "03 00",
        "04 00",
        "05 00",
        "10 07 070000000000ff",
        "12 00",
        "0b 08 0200000000000000",
    ):
        with pytest.raises(EmptyRdbError):
            load(payload)


def test_short_strings_of_all_forms() -> None:
    some = random.Random(1)
    numbers = {b"-5": "c0fb", b"300": "c12c01", b"-70000": "c290eefeff"}
    expected = {}
    parts = [b"\xfe\x00"]
    for at in range(1500):
        key = b"%d:" % at + some.randbytes(some.choice([0, 5, 50, 70]))
        value = some.choice([b"", b"a" * 63, b"b" * 64, b"c" * 300, *numbers, b"d" * 17000])
        deadline = some.choice([None, None, -5, YEAR_2100])
        if deadline is not None:
            parts += b"\xfc", deadline.to_bytes(8, "little", signed=True)
        parts += b"\x00", packed(key), bytes.fromhex(numbers[value]) if value in numbers else packed(value)
        expected[0, key] = value, deadline, None, None
    body = b"".join(parts)
    for size in (999, 1 << 20):
        assert read(sealed(body), size).entries == expected


def test_the_caller_has_a_turn_after_each_piece() -> None:
    body = b"\xfe\x00" + b"".join(b"\x00\x08%08d\x05value" % at for at in range(100_000))
    data = sealed(body)
    turns = list(read_file(Source(pieces(data, 1 << 30), True), DEFAULTS, Collector()))
    assert turns == sorted(turns)
    assert len(data) // (1 << 18) <= len(turns) <= len(data) // (1 << 18) + 20


@pytest.mark.parametrize("version", [1, 4, 5, 12])
def test_versions(version: int) -> None:
    found = read(sealed("fe00 000161 0178", version))
    assert found.version == version
    assert len(found.entries) == 1


def test_a_file_of_valkey() -> None:
    data = b"VALKEY080" + bytes.fromhex("fe00 000161 0178 ff")
    assert len(read(data + bytes(8)).entries) == 1


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"REDIS0013", "Can't handle RDB format version 13"),
        (b"REDIS0000", "Can't handle RDB format version 0"),
        (b"REDIS00x1", "no RDB file"),
        (b"*1\r\n$4\r\nPING\r\n", "no RDB file"),
    ],
)
def test_foreign_files(head: bytes, message: str) -> None:
    with pytest.raises(RdbError, match=message):
        read(head + b"\xff" + bytes(8))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("fe00 080161 0178", "there is no type 8 "),
        ("fe00 1a0161 0178", "there is no type 26 "),
        ("fe00 07016181 4c8f5d66cf3cdc01 00", "a value of the module"),
        ("f6", "release candidate"),
        ("fe00 0201610201780178", "a member twice"),
        ("fe00 04016102017801790178 0179", "a field twice"),
        ("fe00 12016101 0300", "no container of a list"),
        ("fe00 0a0161 0161", "a ziplist of 1 bytes"),
        ("f7 00 0202 06 00", "no kind 6 of data of a module"),
    ],
)
def test_nonsense(body: str, message: str) -> None:
    with pytest.raises(RdbError, match=message) as raised:
        read(sealed(body))
    assert 9 <= raised.value.offset < 30


def test_checksums() -> None:
    wrong = BODY + bytes(7) + b"\x01"
    with pytest.raises(RdbError, match="checksum") as raised:
        read(wrong)
    assert raised.value.offset == len(BODY)
    assert len(read(wrong, checksum=False).entries) == 3
    assert len(read(BODY + bytes(8)).entries) == 3, "no checksum"


@pytest.mark.parametrize("size", [7, 1 << 20])
def test_every_truncation_of_a_file(size: int) -> None:
    for end in range(len(FILE)):
        with pytest.raises(RdbError):
            read(FILE[:end], size)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_truncation_of_a_payload(payload: str) -> None:
    data = bytes.fromhex(payload)
    for end in range(1, len(data)):
        with pytest.raises(RdbError):
            read_value(Source.of(data[1:end]), data[0], DEFAULTS)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_flipped_bytes_of_a_payload(payload: str) -> None:
    some = random.Random(payload)
    data = bytes.fromhex(payload)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(some.randrange(1, 4)):
            damaged[some.randrange(1, len(data))] = some.randrange(256)
        try:
            read_value(Source.of(bytes(damaged[1:])), data[0], DEFAULTS)
        except RdbError:
            pass


def test_flipped_bytes_of_a_file() -> None:
    some = random.Random(6)
    for _ in range(2000):
        damaged = bytearray(FILE)
        damaged[some.randrange(len(FILE))] ^= some.randrange(1, 256)
        try:
            read(bytes(damaged))
        except RdbError:
            continue
        # Only where it says that there is no checksum, or in a version that has none.
        assert damaged[5:9] < b"0005"
        break


def test_names_of_modules() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for character in "ReJSON-RL":
        number = number << 6 | alphabet.index(character)
    assert module_name(number << 10 | 3) == "ReJSON-RL"
