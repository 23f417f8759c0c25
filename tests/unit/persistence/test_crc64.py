"""CRC-64: the check value of its catalogue entry, and every path against the definition bit by bit."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from respcache.persistence.crc64 import TERMS, update

RANDOM = random.Random(1)
POLYNOMIAL = 0xAD93D23594C935A9  # the coefficient of x^n is bit n, x^64 is not told


def plain(crc: int, data: bytes) -> int:
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def powers() -> Iterator[int]:
    """1, x, x^2... modulo the generator."""
    value = 1
    while True:
        yield value
        value = (value << 1 ^ (POLYNOMIAL if value >> 63 else 0)) & (1 << 64) - 1


def test_check_value() -> None:
    assert update(0, b"123456789") == 0xE9C6D914C4B8D9CA
    assert update(0, b"") == 0
    assert update(7, b"") == 7


@pytest.mark.parametrize("degree", TERMS)
def test_the_terms_are_equal_to_their_power(degree: int) -> None:
    known = [value for value, _ in zip(powers(), range(degree + 1), strict=False)]
    total = 0
    for term in TERMS[degree]:
        total ^= known[term]
    assert total == known[degree]
    assert list(TERMS[degree]) == sorted(TERMS[degree], reverse=True)


@pytest.mark.parametrize(
    "size", [1, 8, 255, 256, 257, 300, 511, 512, 513, 2047, 2048, 2049, 3000, 9000, 40000]
)
def test_any_size(size: int) -> None:
    for crc in (0, RANDOM.getrandbits(64)):
        data = RANDOM.randbytes(size)
        assert update(crc, data) == plain(crc, data)


def test_parts_and_kinds_of_buffers() -> None:
    data = RANDOM.randbytes((1 << 19) + 77)
    whole = update(0, data)
    assert update(0, bytearray(data)) == update(0, memoryview(data)) == whole
    for cut in (1, 300, 70000, (1 << 18) + 1):
        assert update(update(0, data[:cut]), memoryview(data)[cut:]) == whole


def test_one_bit_in_a_large_text_changes_it() -> None:
    data = bytearray(100_000)
    crc = update(1, data)
    for at in (0, 50_000, 99_999):
        data[at] ^= 1
        assert update(1, data) != crc
        data[at] ^= 1
