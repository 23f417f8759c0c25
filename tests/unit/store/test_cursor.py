"""Walks in parts, over collections that change on the way."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.store.cursor import LAST, WHOLE, part


def names(first: int, behind: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, behind)]


@pytest.mark.parametrize("size", [0, 1, WHOLE])
def test_a_small_collection_is_never_split(size: int) -> None:
    assert part(names(0, size), 0, 1) == (0, names(0, size))


def test_nor_is_one_within_count() -> None:
    assert part(names(0, 1000), 0, 1000) == (0, names(0, 1000))
    assert part(names(0, 1000), 0, (1 << 63) - 1)[0] == 0


@pytest.mark.parametrize(
    ("size", "count", "most"), [(129, 1, 129), (1000, 10, 250), (100_000, 10, 800), (100_000, 5000, 15_000)]
)
def test_parts_are_about_as_large_as_asked_for(size: int, count: int, most: int) -> None:
    items = dict.fromkeys(names(0, size))
    cursor, calls = 0, 0
    seen: Counter[bytes] = Counter()
    while calls == 0 or cursor:
        cursor, found = part(items, cursor, count)
        assert len(found) <= most
        assert cursor <= LAST
        seen.update(found)
        calls += 1
    assert set(seen) == set(items) and set(seen.values()) == {1}
    assert calls <= 256


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 2000),
    st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 4000), st.integers(1, 3000)), max_size=40),
)
def test_what_stays_is_seen_once(kept: int, changes: list[tuple[int, int, int]]) -> None:
    stays = names(0, kept)
    items = set(stays)
    rest = iter(changes)
    cursor, calls = 0, 0
    seen: Counter[bytes] = Counter()
    while calls == 0 or cursor:
        start, more, count = next(rest, (0, 0, 10))
        cursor, found = part(items, cursor, count)
        seen.update(found)
        items = {*stays, *names(10_000 + start, 10_000 + start + more)}
        calls += 1
        assert calls <= 256
    assert all(seen[item] == 1 for item in stays)


@given(st.integers(0, 1 << 64), st.integers(0, 300), st.integers(1, 1 << 63))
def test_any_cursor_is_taken_and_moves_on(cursor: int, size: int, count: int) -> None:
    following, found = part(names(0, size), cursor, count)
    assert following == 0 or cursor < following <= LAST
    assert len(found) == len(set(found)) <= size


def test_a_part_of_a_huge_collection_is_one_pass() -> None:
    items = dict.fromkeys(names(0, 200_000))
    cursor, _ = part(items, 0, 10)
    since = time.thread_time()
    part(items, cursor, 100_000)
    assert time.thread_time() - since < 0.2
