"""Intsets, ziplists and zipmaps: what old servers wrote, and damage."""

from __future__ import annotations

import random

import pytest

from respcache.persistence.packed import decode_intset, decode_ziplist, decode_zipmap, encode_intset

ZIPLISTS = {
    "13 00 00 00 0f 00 00 00 03 00 00 01 61 03 f2 02 fe 80 ff": [b"a", b"1", b"-128"],
    "75 00 00 00 2b 00 00 00 08 00 00 01 61 03 f2 02 fe 80 03 c0 2c 01 04 f0 40 42 0f 05 d0 00 ca 9a 3b"
    "06 e0 00 0e fa d5 fe ff ff ff 0a 40 46" + "78" * 70 + "ff": [
        *(b"a", b"1", b"-128", b"300", b"1000000", b"1000000000", b"-5000000000"),
        b"x" * 70,
    ],
    "16 00 00 00 13 00 00 00 04 00 00 01 66 03 01 76 03 01 6e 03 fd ff": [b"f", b"v", b"n", b"12"],
    "0b 00 00 00 0a 00 00 00 00 00 ff": [],
}
ZIPMAPS = {
    "02 01 66 01 00 76 05 68 65 6c 6c 6f 05 02 77 6f 72 6c 64 58 58 ff": [b"f", b"v", b"hello", b"world"],
    "00 ff": [],
}


def ziplist(texts: list[bytes], far: bool = False) -> bytes:
    """A ziplist of long texts; `far` writes the size of the element before in its long form throughout."""
    body, before, last = b"", 0, 10
    for text in texts:
        last = 10 + len(body)
        back = bytes((before,)) if before < 254 and not far else b"\xfe" + before.to_bytes(4, "little")
        size = len(text)
        head = (0x4000 | size).to_bytes(2, "big") if size < 16384 else b"\x80" + size.to_bytes(4, "big")
        body += back + head + text
        before = len(back + head + text)
    size = 11 + len(body)
    return b"%b%b%b%b\xff" % (
        size.to_bytes(4, "little"),
        last.to_bytes(4, "little"),
        len(texts).to_bytes(2, "little"),
        body,
    )


@pytest.mark.parametrize("packed", ZIPLISTS)
def test_ziplists(packed: str) -> None:
    assert decode_ziplist(bytes.fromhex(packed)) == ZIPLISTS[packed]


@pytest.mark.parametrize("far", [False, True])
def test_a_ziplist_of_long_texts(far: bool) -> None:
    texts = [b"a" * 100, b"b" * 300, b"c" * 20000, b"", b"d"]
    assert decode_ziplist(ziplist(texts, far)) == texts


@pytest.mark.parametrize("packed", ZIPMAPS)
def test_zipmaps(packed: str) -> None:
    assert decode_zipmap(bytes.fromhex(packed)) == ZIPMAPS[packed]


def test_a_zipmap_of_long_texts() -> None:
    size = (300).to_bytes(4, "little")
    packed = b"\xfe\xfe" + size + b"f" * 300 + b"\xfe" + size + b"\x01" + b"v" * 300 + b"?\xff"
    assert decode_zipmap(packed) == [b"f" * 300, b"v" * 300]


@pytest.mark.parametrize(
    ("values", "packed"),
    [
        ([], "02 00 00 00 00 00 00 00"),
        ([1, 2, 3], "02 00 00 00 03 00 00 00 01 00 02 00 03 00"),
        ([-3, 1, 70000], "04 00 00 00 03 00 00 00 fd ff ff ff 01 00 00 00 70 11 01 00"),
        ([1, 5000000000], "08 00 00 00 02 00 00 00 01 00 00 00 00 00 00 00 00 f2 05 2a 01 00 00 00"),
    ],
)
def test_intsets(values: list[int], packed: str) -> None:
    assert encode_intset(values) == bytes.fromhex(packed)
    assert decode_intset(bytes.fromhex(packed)) == values


def test_limits_of_intsets() -> None:
    for bits in (15, 31, 63):
        for value in (-(1 << bits) - 1, -(1 << bits), (1 << bits) - 1, 1 << bits):
            if -(1 << 63) <= value < 1 << 63:
                assert decode_intset(encode_intset([value])) == [value]
    for values in ([1 << 63], [-(1 << 63) - 1, 0]):
        with pytest.raises(ValueError):
            encode_intset(values)


@pytest.mark.parametrize(
    "packed",
    [
        "",
        "02 00 00 00 01 00 00",
        "03 00 00 00 00 00 00 00",
        "02 00 00 00 02 00 00 00 01 00",
        "02 00 00 00 02 00 00 00 02 00 01 00",
        "02 00 00 00 02 00 00 00 01 00 01 00",
        "02 00 00 00 ff ff ff ff 01 00",
    ],
)
def test_damaged_intsets(packed: str) -> None:
    with pytest.raises(ValueError):
        decode_intset(bytes.fromhex(packed))


@pytest.mark.parametrize("packed", [text for text in ZIPLISTS if len(text) > 40])
def test_every_truncation_of_a_ziplist(packed: str) -> None:
    data = bytes.fromhex(packed)
    for size in range(len(data)):
        with pytest.raises(ValueError):
            decode_ziplist(data[:size])
        cut = bytearray(data[:size])
        if size >= 11:
            cut[:4] = size.to_bytes(4, "little")
            cut[-1] = 0xFF
            with pytest.raises(ValueError):
                decode_ziplist(bytes(cut))


def test_every_truncation_of_a_zipmap() -> None:
    data = bytes.fromhex(next(iter(ZIPMAPS)))
    for size in range(len(data)):
        with pytest.raises(ValueError):
            decode_zipmap(data[:size])


@pytest.mark.parametrize(
    "data", [*map(bytes.fromhex, ZIPLISTS), *map(bytes.fromhex, ZIPMAPS), ziplist([b"a" * 300, b"b"])]
)
def test_flipped_bytes(data: bytes) -> None:
    some = random.Random(5)
    decode = decode_zipmap if data in map(bytes.fromhex, ZIPMAPS) else decode_ziplist
    for _ in range(2000):
        damaged = bytearray(data)
        for _ in range(some.randrange(1, 4)):
            damaged[some.randrange(len(damaged))] = some.randrange(256)
        try:
            decode(bytes(damaged))
        except ValueError:
            pass
