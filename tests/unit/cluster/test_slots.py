"""Sets of slots as bitmaps and ranges."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster import slots

SETS = st.one_of(
    st.sets(st.integers(0, 16383), max_size=40),
    st.sets(st.integers(0, 200), max_size=200),
    st.tuples(st.integers(0, 16383), st.integers(0, 16383)).map(
        lambda two: set(range(min(two), max(two) + 1))
    ),
)


@settings(max_examples=60, deadline=None)
@given(SETS)
def test_all_forms_say_the_same(some: set[int]) -> None:
    bits = slots.bitmap(some)
    assert len(bits) == 2048
    assert [s for s in range(16384) if bits[s // 8] >> s % 8 & 1] == sorted(some)
    assert slots.members(bits) == slots.members(bytes(bits)) == sorted(some)
    runs = slots.ranges(bits)
    assert runs == slots.ranges(sorted(some))
    assert slots.from_ranges(runs) == bits
    assert all(later[0] > earlier[1] + 1 for earlier, later in itertools.pairwise(runs))


@settings(max_examples=60, deadline=None)
@given(SETS, SETS)
def test_what_differs(one: set[int], other: set[int]) -> None:
    a, b = slots.bitmap(one), slots.bitmap(other)
    assert slots.difference(a, b) == sorted(one - other)
    assert slots.difference(b, bytes(a)) == sorted(other - one)
    assert slots.differing(a, b) == sorted(one ^ other)


def test_edges() -> None:
    everything = bytes([255] * 2048)
    assert slots.ranges(b"") == slots.ranges([]) == slots.ranges(bytes(2048)) == []
    assert slots.ranges(everything) == slots.ranges(range(16384)) == [(0, 16383)]
    assert slots.members(everything) == list(range(16384))
    assert slots.bitmap([]) == slots.from_ranges([]) == bytes(2048)
    assert slots.ranges([0, 1, 2, 5, 16382, 16383]) == [(0, 2), (5, 5), (16382, 16383)]
    assert slots.from_ranges([(0, 0), (16383, 16383)]) == b"\x01" + bytes(2046) + b"\x80"


@pytest.mark.parametrize("slot", [-1, 16384, 1 << 40])
def test_out_of_range(slot: int) -> None:
    with pytest.raises(ValueError):
        slots.bitmap([slot])
    with pytest.raises(ValueError):
        slots.from_ranges([(min(slot, 0), max(slot, 0))])


def test_a_range_from_its_end_is_refused() -> None:
    with pytest.raises(ValueError):
        slots.from_ranges([(2, 1)])
