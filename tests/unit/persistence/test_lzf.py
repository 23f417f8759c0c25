"""LZF: known streams, round trips of texts of all kinds, and nonsense."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.persistence import lzf
from respcache.persistence.lzf import compress, decompress

# As redis-server 7.0 compresses them.
KNOWN = {
    b"a" * 21: "01 61 61 e0 0a 00",
    b"a" * 64: "01 61 61 e0 33 00 01 61 61",
    b"abc" * 30: "03 61 62 63 61 e0 4b 02 01 62 63",
    b"y" * 110: "01 79 79 e0 61 00 01 79 79",
}


@pytest.mark.parametrize("text", KNOWN)
def test_known_streams(text: bytes) -> None:
    packed = bytes.fromhex(KNOWN[text])
    assert compress(text) == packed
    assert decompress(packed, len(text)) == text


def test_what_does_not_get_smaller() -> None:
    for text in (b"", b"a", b"abcd", b"abcdefghijklmnopqrstuvwxyz", random.Random(1).randbytes(5000)):
        assert compress(text) is None
    assert compress(b"a" * 100, 5) is None
    assert compress(b"abcdef", 10) == b"\x05abcdef"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 400)), max_size=30).map(
        lambda parts: b"".join(part * times for part, times in parts)
    )
)
def test_round_trip(text: bytes) -> None:
    packed = compress(text)
    if packed is not None:
        assert len(packed) <= len(text) - 4
        assert decompress(packed, len(text)) == text


def test_far_and_long_repetitions() -> None:
    some = random.Random(2)
    for gap in (8100, 8180, 8191, 8192, 8193, 8300):
        text = (
            b"head"
            + b"repeated text of some length"
            + some.randbytes(gap - 28)
            + b"repeated text of some length" * 9
        )
        packed = compress(text, len(text) + 1000)
        assert packed is not None
        assert decompress(packed, len(text)) == text


@pytest.mark.parametrize(
    ("packed", "size"),
    [
        (b"", 1),
        (b"\x01a", 2),
        (b"\x00a\x20", 4),
        (b"\x00a\xe0", 4),
        (b"\x00a\xe0\x00", 4),
        (b"\x00a\x20\x01", 4),  # before its beginning
        (b"\x20\x00", 3),
        (b"\x00a", 2),
        (b"\x01ab", 1),
        (b"\x00a\xe0\xff\x00", 20),
        (b"\x00a", 1 << 60),
    ],
)
def test_nonsense(packed: bytes, size: int) -> None:
    with pytest.raises(ValueError):
        decompress(packed, size)


def test_random_nonsense() -> None:
    some = random.Random(3)
    for _ in range(3000):
        packed, size = some.randbytes(some.randrange(30)), some.randrange(300)
        try:
            assert len(decompress(packed, size)) == size
        except ValueError:
            pass


@pytest.mark.parametrize("seed", range(4))
def test_what_is_refused_at_once_would_not_get_smaller(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    letters = (b"01", b"0123456789abcdef", b"abcdefghijklmnopqrstuvwxyz  ", bytes(range(256)))[seed]
    texts = [bytes(dice.choices(letters, k=dice.randrange(5, 200))) for _ in range(500)]
    found = [compress(text) for text in texts]
    monkeypatch.setattr(lzf, "_most_saved", len)
    assert found == [compress(text) for text in texts]


def test_long_texts() -> None:
    """Of more than one block."""
    dice = random.Random(5)
    words = [bytes(dice.choices(b"abcdefgh", k=dice.randrange(2, 9))) for _ in range(300)]
    for text in (
        b" ".join(dice.choices(words, k=20000)),
        dice.randbytes(40000) + b"a" * 40000 + dice.randbytes(20000),
        bytes(16384) + dice.randbytes(16386) + b"end",
        dice.randbytes(30000) * 3,
    ):
        packed = compress(text, len(text) + 5000)
        assert packed is not None and decompress(packed, len(text)) == text
