"""HyperLogLog: the hash, dense registers and estimates."""

from __future__ import annotations

import random

import pytest

from respcache.store import hyperloglog as hll

_64 = (1 << 64) - 1


def plain_hash(element: bytes, seed: int) -> int:
    """MurmurHash64A as its author tells it, step by step."""
    factor = 0xC6A4A7935BD1E995
    number = (seed ^ len(element) * factor) & _64
    whole = len(element) // 8 * 8
    for at in range(0, whole, 8):
        word = int.from_bytes(element[at : at + 8], "little") * factor & _64
        word ^= word >> 47
        number = (number ^ word * factor & _64) * factor & _64
    if element[whole:]:
        number = (number ^ int.from_bytes(element[whole:], "little")) * factor & _64
    number ^= number >> 47
    number = number * factor & _64
    return number ^ number >> 47


@pytest.mark.parametrize("size", [*range(26), 1000, 65_535, 65_536, 65_537, 200_000])
def test_hash(size: int) -> None:
    element = random.Random(size).randbytes(size)
    assert hll.hash64(element) == plain_hash(element, 0xADC83B19)


def test_place() -> None:
    for number in range(2000):
        index, value = hll.place(b"%d" % number)
        bits = f"{hll.hash64(b'%d' % number):064b}"
        assert index == int(bits[-14:], 2)
        rest = bits[:-14][::-1]
        assert value == rest.index("1") + 1


def test_dense_registers() -> None:
    source = random.Random(1)
    registers = bytearray(source.randrange(64) for _ in range(hll.REGISTERS))
    header = b"HYLL\x01abc" + bytes(range(8))
    dense = hll.pack(header, registers)
    assert dense[:16] == b"HYLL\x00abc" + bytes(range(8))
    assert len(dense) == hll.DENSE_SIZE
    assert hll.unpack(dense) == registers
    as_number = int.from_bytes(dense[16:], "little")
    assert [as_number >> 6 * at & 63 for at in range(hll.REGISTERS)] == list(registers)
    for at in (0, 1, 2, 3, 4, 5000, 5001, 5002, 5003, hll.REGISTERS - 1):
        old = registers[at]
        assert not hll.dense_raise(dense, at, old)
        if old < 63:
            assert hll.dense_raise(dense, at, old + 1)
            registers[at] += 1
        assert hll.unpack(dense) == registers


def test_merge() -> None:
    source = random.Random(2)
    many = [bytes(source.randrange(64) for _ in range(hll.REGISTERS)) for _ in range(4)]
    assert hll.merge(many) == bytes(map(max, *many))
    assert hll.merge([]) == bytes(hll.REGISTERS)


def test_histogram() -> None:
    assert hll.histogram(bytes(hll.REGISTERS)) == [hll.REGISTERS] + [0] * 63
    registers = bytes(at % 64 for at in range(hll.REGISTERS))
    assert hll.histogram(registers) == [256] * 64


@pytest.mark.parametrize("elements", [0, 1, 10, 1000, 20_000, 60_000])
def test_estimates(elements: int) -> None:
    dense = hll.pack(hll.EMPTY, bytes(hll.REGISTERS))
    for number in range(elements):
        hll.dense_raise(dense, *hll.place(b"e%d" % number))
    assert hll.estimate(hll.histogram(hll.unpack(dense))) == pytest.approx(elements, rel=0.025)


def test_the_estimate_in_the_header() -> None:
    sketch = bytearray(hll.EMPTY)
    assert hll.cached(sketch) == 0
    hll.cache(sketch, 1234567)
    assert hll.cached(sketch) == 1234567
    hll.invalidate(sketch)
    assert hll.cached(sketch) is None
    assert hll.is_valid(sketch)
    assert not hll.is_valid(sketch[:15])
    hll.cache(sketch, 1 << 63)
    assert hll.cached(sketch) is None
