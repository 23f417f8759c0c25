"""Lengths and strings in the forms that servers write, read back by what reads files."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.persistence.rdb_strings import LENGTHS, RARELY, length, plain_below, string
from respcache.persistence.source import Source


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "00"),
        (63, "3f"),
        (64, "4040"),
        (16383, "7fff"),
        (16384, "8000004000"),
        ((1 << 32) - 1, "80ffffffff"),
        (1 << 32, "810000000100000000"),
        ((1 << 64) - 1, "81ffffffffffffffff"),
    ],
)
def test_lengths(size: int, expected: str) -> None:
    assert length(size).hex() == expected
    assert Source.of(length(size)).length() == size


def test_short_lengths_are_ready() -> None:
    assert [length(size) for size in range(len(LENGTHS))] == LENGTHS


@pytest.mark.parametrize("number", [0, 127, 128, 32767, 32768, (1 << 31) - 1])
def test_integers(number: int) -> None:
    for value in (number, -number - 1):
        made = string(b"%d" % value)
        assert made[0] in (0xC0, 0xC1, 0xC2)
        assert len(made) == {0xC0: 2, 0xC1: 3, 0xC2: 5}[made[0]]
        assert Source.of(made).string() == b"%d" % value


@pytest.mark.parametrize(
    "text", [b"", b"01", b"-0", b"+1", b"1_0", b" 1", b"1 ", b"2147483648", b"-2147483649", b"-"]
)
def test_what_is_no_integer(text: bytes) -> None:
    assert string(text) == bytes((len(text),)) + text


def test_compression() -> None:
    assert string(b"a" * 20) == b"\x14" + b"a" * 20
    assert string(b"a" * 21).hex() == "c306150161" + "61e00a00"
    assert string(b"a" * 21, compress=False) == b"\x15" + b"a" * 21
    noise = random.Random(1).randbytes(3000)
    assert string(noise) == (0x4000 | 3000).to_bytes(2, "big") + noise


def test_compression_where_it_saves_much() -> None:
    for text in (b"a" * 511, b"{'name': 'value'}" * 3, random.Random(1).randbytes(3000).hex().encode()):
        assert string(text, RARELY) == string(text, False)
    for text in (b"a" * 512, b"a" * 1_000_000):
        assert string(text, RARELY) == string(text, True)
        assert len(string(text, RARELY)) < len(text) // 20


@pytest.mark.parametrize("compress", [False, True, RARELY])
def test_plain_below(compress: int) -> None:
    for size in (12, plain_below(compress) - 1):
        assert string(b"a" * size, compress) == length(size) + b"a" * size


@given(
    st.binary(max_size=40)
    | st.integers().map(lambda n: b"%d" % n)
    | st.binary(max_size=9).map(lambda b: b * 50)
)
def test_any_string_comes_back(text: bytes) -> None:
    for compress in (True, False):
        source = Source.of(string(text, compress) + b"rest")
        assert source.string() == text
        assert source.rest == b"rest"
        assert string(bytearray(text), compress) == string(text, compress)
