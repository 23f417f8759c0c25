"""Sparse registers of a HyperLogLog, against a plain list of registers."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store import hll_sparse
from respcache.store.hll_sparse import START, Raised, decode, sparse_add, sparse_raise, sparse_unpack
from respcache.store.hyperloglog import EMPTY, HEADER, REGISTERS

INDEXES = st.one_of(
    st.integers(0, 30), st.integers(REGISTERS - 9, REGISTERS - 1), st.integers(0, REGISTERS - 1)
)
VALUES = st.one_of(st.integers(1, 3), st.integers(1, 32))


@given(st.lists(st.tuples(INDEXES, VALUES), max_size=80))
def test_raising(steps: list[tuple[int, int]]) -> None:
    data = bytearray(EMPTY)
    registers = bytearray(REGISTERS)
    for index, value in steps:
        raised, _ = sparse_raise(data, index, value, 1 << 20)
        assert (raised is Raised.YES) == (registers[index] < value)
        registers[index] = max(registers[index], value)
    assert sparse_unpack(data) == bytes(registers)


@given(st.lists(st.tuples(st.integers(0, REGISTERS - 1), VALUES), max_size=60))
def test_going_on_from_the_last_place(steps: list[tuple[int, int]]) -> None:
    expected, data = bytearray(EMPTY), bytearray(EMPTY)
    place = START
    for index, value in sorted(steps):
        raised, _ = sparse_raise(expected, index, value, 1 << 20)
        again, place = sparse_raise(data, index, value, 1 << 20, place)
        assert (again, data) == (raised, expected)


@pytest.mark.parametrize("seed", range(4))
def test_remembered_places_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hll_sparse, "_CHANCE", 1.0)
    source = random.Random(seed)
    expected, data = bytearray(EMPTY), bytearray(EMPTY)
    for _ in range(2500):
        near = source.random() < 0.3
        index = source.randrange(200) + 5000 if near else source.randrange(REGISTERS)
        value = min(int(source.expovariate(0.7)) + 1, 32)
        raised, _ = sparse_raise(expected, index, value, 5000)
        assert sparse_add(data, index, value, 5000) is raised
        assert data == expected
        if source.random() < 0.01:  # somebody else changes the string
            data[HEADER:] = expected[HEADER:] = bytearray(EMPTY)[HEADER:]


def test_few_strings_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hll_sparse, "_CHANCE", 1.0)
    many = []
    for _ in range(100):
        data = bytearray(EMPTY)
        for index in range(0, REGISTERS, 100):
            assert sparse_add(data, index, 1, 5000) is Raised.YES
        many.append(data)
    assert len(hll_sparse._marks) <= hll_sparse._MOST


def test_the_limit() -> None:
    data = bytearray(EMPTY)
    assert sparse_raise(data, 100, 1, len(EMPTY) + 2)[0] is Raised.DENSE
    assert sparse_raise(data, 100, 33, 5000)[0] is Raised.DENSE
    assert data == EMPTY
    assert sparse_raise(data, 100, 1, len(EMPTY) + 3)[0] is Raised.YES
    assert sparse_raise(data, 100, 2, 0)[0] is Raised.YES  # no longer than before
    assert sparse_raise(data, 100, 2, 0)[0] is Raised.NO
    assert decode(data) == b"Z:100 v:2,1 Z:16283"


@pytest.mark.parametrize(
    "opcodes", [b"", b"\x7f\xfe", b"\x7f\xff\x00", b"\x7f\xff\x80", b"\x7f\xff" * 20_000, b"\x00" * 40_000]
)
def test_corrupted(opcodes: bytes) -> None:
    assert sparse_unpack(EMPTY[:HEADER] + opcodes) is None


def test_registers_that_are_missing() -> None:
    data = bytearray(EMPTY[:HEADER] + b"\x40\x10")
    assert sparse_raise(data, 17, 1, 5000)[0] is Raised.CORRUPT
    assert sparse_raise(data, 16, 1, 5000)[0] is Raised.YES
    cut = bytearray(EMPTY[:HEADER] + b"\x7f")
    assert sparse_raise(cut, 0, 1, 5000)[0] is Raised.CORRUPT


def test_a_corrupted_string_of_any_length_is_not_walked_to_its_end() -> None:
    data = bytearray(EMPTY[:HEADER] + bytes(50_000_000))
    for index in range(100):
        assert sparse_add(data, index, 1, len(data)) is Raised.YES
    assert id(data) not in hll_sparse._marks
