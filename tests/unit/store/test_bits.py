"""Bits of strings, against the same on a text of zeros and ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from respcache.store import bits

DATA = st.one_of(
    st.binary(max_size=24),
    st.sampled_from([b"\x00" * 30, b"\xff" * 30, b"\x00" * 12 + b"\x10", b"\xff" * 12 + b"\xef"]),
)
PLACES = st.integers(0, 200)


def text(data: bytes | bytearray) -> str:
    return "".join(f"{byte:08b}" for byte in data)


@given(DATA, PLACES, PLACES)
def test_ranges(data: bytes, start: int, stop: int) -> None:
    shown = text(data)
    stop = min(stop, len(shown))
    start = min(start, len(shown))
    part = shown[start:stop]
    for either in (data, bytearray(data)):
        assert bits.count(either, start, stop) == part.count("1")
        for bit in (0, 1):
            found = part.find(str(bit))
            assert bits.find(either, bit, start, stop) == (found + start if found >= 0 else -1)
        assert bits.get(either, start) == int(shown[start : start + 1] or 0)


def test_pieces_of_long_strings() -> None:
    size = 3 * bits.PIECE + 5
    data = bytearray(size)
    for at in (8 * bits.PIECE - 1, 8 * bits.PIECE, 16 * bits.PIECE + 3, 8 * size - 1):
        assert bits.find(data, 1, 0, 8 * size) == -1
        data[at >> 3] |= 128 >> (at & 7)
        assert bits.find(data, 1, 0, 8 * size) == at
        assert bits.find(data, 1, at, 8 * size) == at
        assert bits.find(bits.invert(data), 0, 9, 8 * size) == at
        assert bits.count(data, at, at + 1) == bits.count(data, 0, 8 * size) == 1
        assert bits.combine(b"XOR", [data, bits.invert(data), b"\xff"])[:2] == b"\x00\xff"
        data[at >> 3] = 0


@given(st.lists(DATA, min_size=1, max_size=4))
def test_combining(sources: list[bytes]) -> None:
    size = max(map(len, sources))
    filled = [source.ljust(size, b"\x00") for source in sources]
    expected = {b"AND": bytearray(filled[0]), b"OR": bytearray(size), b"XOR": bytearray(size)}
    for each in filled:
        for at, byte in enumerate(each):
            expected[b"AND"][at] &= byte
            expected[b"OR"][at] |= byte
            expected[b"XOR"][at] ^= byte
    for operation, result in expected.items():
        assert bits.combine(operation, sources) == result


@given(DATA, PLACES, st.integers(1, 64), st.integers(-(1 << 63), (1 << 63) - 1))
def test_fields(data: bytes, at: int, width: int, value: int) -> None:
    shown = text(data).ljust(300, "0")
    number = int(shown[at : at + width], 2)
    signed = number - (1 << width) if shown[at] == "1" else number
    assert bits.get_field(data, at, width, signed=False) == number
    assert bits.get_field(data, at, width, signed=True) == signed
    room = bytearray(data.ljust(40, b"\x00"))
    bits.set_field(room, at, width, value)
    new = f"{value & (1 << width) - 1:0{width}b}"
    assert text(room) == (shown[:at] + new + shown[at + width :]).ljust(320, "0")[:320].ljust(320, "0")
    assert len(room) == 40
