"""Lengths, strings and checksums of a stream, whatever pieces it comes in."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from respcache.persistence import crc64
from respcache.persistence.source import PIECE, RdbError, Source


def pieces(data: bytes, size: int) -> Callable[[int], bytes]:
    """A stream that gives so many bytes at a time."""
    at = 0

    def read(most: int) -> bytes:
        nonlocal at
        part = data[at : at + min(size, most)]
        at += len(part)
        return part

    return read


LENGTHS = {
    "00": 0,
    "3f": 63,
    "4040": 64,
    "7fff": 16383,
    "8000004000": 16384,
    "810000000100000000": 1 << 32,
    "81ffffffffffffffff": (1 << 64) - 1,
    "4001": 1,
    "8000000001": 1,
}
STRINGS = {
    "00": b"",
    "0161": b"a",
    "4001 61": b"a",
    "c0ff": b"-1",
    "c18000": b"128",
    "c2ffffff7f": b"2147483647",
    "c306150161 61e00a00": b"a" * 21,
}


@pytest.mark.parametrize("text", LENGTHS)
@pytest.mark.parametrize("size", [1, 100])
def test_lengths(text: str, size: int) -> None:
    source = Source(pieces(bytes.fromhex(text), size))
    assert source.length() == LENGTHS[text]
    assert source.offset == len(bytes.fromhex(text))


@pytest.mark.parametrize("text", STRINGS)
@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("behind", [0, 200])
def test_strings(text: str, size: int, behind: int) -> None:
    data = bytes.fromhex(text)
    source = Source(pieces(data + bytes(behind), size))
    assert source.string() == STRINGS[text]
    assert source.offset == len(data)


@pytest.mark.parametrize("size", [1, 7, PIECE])
def test_many_strings(size: int) -> None:
    some = random.Random(1)
    expected = [some.randbytes(some.choice([0, 3, 63, 64, 200])) for _ in range(300)]
    data = b"".join(
        bytes((len(text),)) + text if len(text) < 64 else (0x4000 | len(text)).to_bytes(2, "big") + text
        for text in expected
    )
    source = Source(pieces(data, size))
    assert source.strings(300) == expected
    assert source.offset == len(data)
    with pytest.raises(RdbError):
        source.strings(1)


@pytest.mark.parametrize("size", [1, 7, PIECE])
def test_many_strings_with_something_behind(size: int) -> None:
    some = random.Random(4)
    expected = [some.randbytes(some.randrange(64)) for _ in range(200)] + [b"x" * 64]
    data = b"".join(bytes((len(text),)) + text + b"%08d" % at for at, text in enumerate(expected[:-1]))
    source = Source(pieces(data + b"\x40\x40" + b"x" * 64 + b"00000200", size))
    assert source.strings_and(201, 8) == (expected, b"".join(b"%08d" % at for at in range(201)))


@pytest.mark.parametrize("size", [1000, PIECE, 3 * PIECE])
def test_a_long_string_and_its_checksum(size: int) -> None:
    text = random.Random(2).randbytes(PIECE * 3 + 5)
    data = b"\x80" + len(text).to_bytes(4, "big") + text + b"tail"
    source = Source(pieces(data, size), checksum=True)
    assert source.string() == text
    assert source.crc() == crc64.update(0, data[:-4])
    assert source.take(2) == b"ta"
    assert source.crc() == crc64.update(0, data[:-2])
    assert source.rest.startswith(b"il"[: len(source.rest)])


def test_checksum_of_few_bytes_at_a_time() -> None:
    data = random.Random(3).randbytes(2000)
    source = Source(pieces(data, 3), checksum=True)
    for at in range(0, 2000, 10):
        source.take(10)
        assert source.crc() == crc64.update(0, data[: at + 10])


@pytest.mark.parametrize(
    "text", ["", "40", "80000000", "81", "01", "4001", "c0", "c1ff", "c306150161", "c3", "80ffffffff61"]
)
@pytest.mark.parametrize("size", [1, 100])
def test_the_end_comes_too_soon(text: str, size: int) -> None:
    source = Source(pieces(bytes.fromhex(text), size))
    with pytest.raises(RdbError, match="unexpected end"):
        source.string()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6162 c4", "no string begins with 0xc4 (offset 2)"),
        ("6162 ff", "no string begins with 0xff (offset 2)"),
        ("6162 8200000000", "no length begins with 0x82 (offset 2)"),
        ("6162 c302150061", "compressed string makes 1 bytes or more, not 21"),
        ("6162 c30281ffffffffffffff000161", "2 compressed bytes cannot be"),
    ],
)
def test_nonsense(text: str, message: str) -> None:
    source = Source.of(bytes.fromhex(text))
    source.take(2)
    with pytest.raises(RdbError) as raised:
        source.string()
    assert message in str(raised.value)


def test_a_wrong_length_allocates_nothing() -> None:
    asked: list[int] = []

    def read(most: int) -> bytes:
        asked.append(most)
        return b"\x81\x00\xff\xff\xff\xff\xff\xff\xff" if len(asked) == 1 else b""

    with pytest.raises(RdbError):
        Source(read).string()
    assert max(asked) == PIECE


def test_numbers() -> None:
    source = Source.of(bytes.fromhex("ffff ffffffff 0100000000000000"))
    assert source.integer(2) == -1
    assert source.integer(4, False) == (1 << 32) - 1
    assert source.integer(8) == 1
    with pytest.raises(RdbError):
        source.length()


def test_what_is_beyond() -> None:
    pieces = [b"abcde", b"fgh", b""]
    source = Source(lambda _: pieces.pop(0), checksum=True)
    assert source.take(2) == b"ab"
    rest = source.beyond()
    assert (rest.offset, rest.checksum) == (2, False)
    assert rest.take(6) == b"cdefgh"
    assert rest.offset == 8
