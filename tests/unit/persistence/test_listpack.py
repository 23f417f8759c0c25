"""Listpacks: every encoding at its limits, round trips, and damage of every kind."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from respcache.persistence.listpack import EMPTY, decode, encode, encode_element, encode_integer, join
from respcache.store.list import byte_size

INTEGERS = {
    0: "00 01",
    127: "7f 01",
    128: "c0 80 02",
    -1: "df ff 02",
    4095: "cf ff 02",
    -4096: "d0 00 02",
    4096: "f1 00 10 03",
    -4097: "f1 ff ef 03",
    32767: "f1 ff 7f 03",
    32768: "f2 00 80 00 04",
    -32769: "f2 ff 7f ff 04",
    8388608: "f3 00 00 80 00 05",
    2147483648: "f4 00 00 00 80 00 00 00 00 09",
    -(1 << 63): "f4 00 00 00 00 00 00 00 80 09",
}
TEXTS = {b"": "80 01", b"a": "81 61 02", b"-0": "82 2d 30 03", b"01": "82 30 31 03"}
HEADS = {
    63: ("bf", "40"),
    64: ("e0 40", "42"),
    125: ("e0 7d", "7f"),
    126: ("e0 7e", "01 80"),
    4095: ("ef ff", "20 81"),
    4096: ("f0 00 10 00 00", "20 85"),
    16377: ("f0 f9 3f 00 00", "7f fe"),
    16378: ("f0 fa 3f 00 00", "00 ff ff"),
    16379: ("f0 fb 3f 00 00", "01 80 80"),
    2097146: ("f0 fa ff 1f 00", "00 ff ff ff"),
    2097147: ("f0 fb ff 1f 00", "01 80 80 80"),
}


@pytest.mark.parametrize("value", INTEGERS)
def test_integers(value: int) -> None:
    element = bytes.fromhex(INTEGERS[value])
    assert encode_element(b"%d" % value) == encode_integer(value) == element
    assert decode(join([element])) == [b"%d" % value]


@pytest.mark.parametrize("text", TEXTS)
def test_texts(text: bytes) -> None:
    assert encode_element(text) == bytes.fromhex(TEXTS[text])
    assert decode(encode([text])) == [text]


@pytest.mark.parametrize("size", HEADS)
def test_sizes_of_texts(size: int) -> None:
    head, back = HEADS[size]
    text = b"z" * size
    assert encode_element(text) == bytes.fromhex(head) + text + bytes.fromhex(back)
    assert decode(encode([text, b"1", text])) == [text, b"1", text]


def test_limits_of_integers() -> None:
    with pytest.raises(OverflowError):
        encode_integer(1 << 63)
    for value in (1 << 63, -(1 << 63) - 1):
        assert decode(encode([b"%d" % value])) == [b"%d" % value]


def test_what_only_looks_like_an_integer() -> None:
    words = [b"+1", b"1_0", b" 1", b"1 ", b"1.0", b"-", b"--1", b"00", b"1e3", b"\xd9\xa1"]
    assert decode(encode(words)) == words
    assert all(encode_element(word)[0] & 0xC0 == 0x80 for word in words)


def test_empty() -> None:
    assert encode([]) == EMPTY
    assert decode(EMPTY) == []


def test_more_elements_than_are_counted() -> None:
    words = [b"%d" % (at % 100) for at in range(70000)]
    packed = encode(words)
    assert packed[4:6] == b"\xff\xff"
    assert decode(packed) == words


words = st.lists(
    st.one_of(
        st.binary(max_size=200),
        st.integers(-(1 << 64), 1 << 64).map(lambda value: b"%d" % value),
        st.integers(0, 5000).map(lambda size: b"x" * size),
    ),
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(words)
@example([b"%d" % (sign * (1 << bits) + off) for bits in range(65) for sign in (1, -1) for off in (-1, 0, 1)])
def test_round_trip(elements: list[bytes]) -> None:
    packed = encode(elements)
    assert decode(packed) == elements
    assert len(packed) == byte_size(elements), "the store counts bytes of a listpack in its own way"


SAMPLE = encode([b"a", b"7", b"-5", b"300", b"70000", b"5000000000", b"y" * 70, b"z" * 5000, b"", b"8000000"])


def test_every_truncation() -> None:
    for size in [*range(200), *range(len(SAMPLE) - 60, len(SAMPLE))]:
        with pytest.raises(ValueError):
            decode(SAMPLE[:size])
        # The same with a size and an end that fit.
        if size >= 7:
            cut = bytearray(SAMPLE[:size])
            cut[:4] = size.to_bytes(4, "little")
            cut[-1] = 0xFF
            with pytest.raises(ValueError):
                decode(bytes(cut))


def test_flipped_bytes() -> None:
    some = random.Random(4)
    small = encode([b"a", b"7", b"-5", b"300", b"70000", b"5000000000", b"y" * 70, b"", b"8000000"])
    for _ in range(5000):
        damaged = bytearray(small)
        for _ in range(some.randrange(1, 4)):
            damaged[some.randrange(len(damaged))] = some.randrange(256)
        try:
            decode(bytes(damaged))
        except ValueError:
            pass


@pytest.mark.parametrize(
    "packed",
    [
        "",
        "07 00 00 00 00 00",
        "08 00 00 00 00 00 ff",  # another size
        "07 00 00 00 01 00 ff",  # another number
        "07 00 00 00 00 00 fe",  # no end
        "09 00 00 00 01 00 01 02 ff",  # another size behind an element
        "09 00 00 00 01 00 81 61 ff",
        "0a 00 00 00 01 00 82 61 02 ff",
        "09 00 00 00 01 00 f5 01 ff",  # no encoding
        "0c 00 00 00 01 00 f0 ff ff ff ff ff",
        "0b 00 00 00 01 00 f1 01 00 03 ff 00",
    ],
)
def test_damage(packed: str) -> None:
    with pytest.raises(ValueError):
        decode(bytes.fromhex(packed))
