"""Payloads of DUMP: what is sealed comes back, all else is refused."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import pytest

from respcache.persistence import rdb_write
from respcache.persistence.payload import PIECE, pack, pack_pieces, seal, unseal
from respcache.persistence.rdb_build import Limits
from respcache.persistence.rdb_read import Value, read_value
from respcache.persistence.source import RdbError, Source
from tests.unit.persistence.test_rdb_write import VALUES

# With their seals, as servers of 7.0 reply them.
GOLDEN = [
    (b"", "00 00 0a 00 5d 9b 5c 40 0f 7f a2 da"),
    (b"hello", "00 05 68 65 6c 6c 6f 0a 00 63 72 df 76 65 34 20 0a"),
    (b"-129", "00 c1 7f ff 0a 00 17 60 82 28 54 80 84 80"),
    (b"a" * 21, "00 c3 06 15 01 61 61 e0 0a 00 0a 00 fd 0c b3 68 07 41 3f 68"),
]

BIG = (rdb_write.SET, rdb_write.HASH, rdb_write.ZSET, rdb_write.HASH_DEADLINES)
"""What is held packed again, for it is small."""


def opened(payload: bytes) -> Value:
    source = Source.of(unseal(payload))
    return read_value(source, source.byte(), Limits())


@pytest.mark.parametrize(("value", "payload"), GOLDEN)
def test_golden(value: bytes, payload: str) -> None:
    assert pack(value) == bytes.fromhex(payload)
    assert opened(bytes.fromhex(payload)) == value


@pytest.mark.parametrize("value", [*(value for value, _ in VALUES), bytes(range(256)) * 1000])
def test_in_pieces_it_is_the_same(value: Any) -> None:
    pieces = list(pack_pieces(value, compress=0))
    assert b"".join(pieces) == pack(value, compress=0)
    assert max(map(len, pieces)) <= PIECE


@pytest.mark.parametrize(("value", "_text"), VALUES, ids=[text[:24] for _, text in VALUES])
def test_what_is_packed_comes_back(value: Any, _text: str) -> None:
    payload = pack(value)
    assert payload[-10:-8] == (b"\x0c\0" if payload[0] >= rdb_write.HASH_DEADLINES else b"\x0a\0")
    again: Any = opened(payload)
    if payload[0] in BIG:
        assert sorted(again) == sorted(value)
    else:
        assert pack(again) == payload


def test_the_seal() -> None:
    whole = seal(0, b"\x05hello")
    assert unseal(whole) == b"\0\x05hello"
    assert unseal(seal(0, b"\x05hello", 0)) == b"\0\x05hello"
    assert unseal(seal(0, b"\x05hello", 12)) == b"\0\x05hello"
    refused = [b"", whole[:9], whole[:-1], whole + b"\0", whole[:-8] + bytes(8), seal(0, b"\x05hello", 13)]
    for at in range(1, len(whole)):
        refused.append(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
    for payload in refused:
        with pytest.raises(ValueError):
            unseal(payload)


@pytest.mark.parametrize(("value", "_text"), VALUES, ids=[text[:24] for _, text in VALUES])
def test_no_part_of_a_value_is_one(value: Any, _text: str) -> None:
    body = unseal(pack(value))
    for size in range(len(body)):
        with pytest.raises(RdbError):
            opened(seal(body[0], body[1:size]) if size else seal(0, b"")[1:])


def test_damage_ends_in_an_error_or_in_a_value() -> None:
    """And takes no memory that the payload does not account for."""
    some = random.Random(7)
    bodies = [unseal(pack(value)) for value, _ in VALUES]
    tracemalloc.start()
    try:
        for _ in range(3000):
            body = bytearray(some.choice(bodies))
            for _ in range(some.choice((1, 1, 2, 4))):
                body[some.randrange(len(body))] = some.choice(
                    (some.randrange(256), 0x80, 0x81, 0xC3, 0xF0, 0xFF)
                )
            try:
                value = opened(seal(body[0], bytes(body[1:])))
            except RdbError:
                continue
            opened(pack(value))
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        "00 81 7f ff ff ff ff ff ff ff 61",
        "00 c3 0a 80 ff ff ff ff 01 61 61 e0 ff 00 e0 ff 00 00",
        "02 81 00 00 00 ff ff ff ff ff 01 61",
        "04 80 ff ff ff ff 01 61 01 62",
        "05 80 ff ff ff ff 01 61 00 00 00 00 00 00 00 00",
        "12 80 ff ff ff ff 02 08 08 00 00 00 01 00 01 01 ff",
        "0b 08 08 00 00 00 ff ff ff 7f",
        "10 0b 0b 00 00 00 01 00 f0 ff ff ff ff ff",
        "13 80 ff ff ff ff 10",
        "13 00 00 01 01 00 00 00 00 01 80 ff ff ff ff",
    ],
)
def test_lengths_that_are_lies(body: str) -> None:
    data = bytes.fromhex(body)
    tracemalloc.start()
    try:
        with pytest.raises(RdbError):
            opened(seal(data[0], data[1:]))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
