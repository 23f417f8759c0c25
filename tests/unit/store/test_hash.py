"""Hashes: their classes, copies, and what they take."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from respcache.store.hash import Hash, HashTable, ListpackEx, deadlines_of, pop, table_of
from respcache.store.lazyfree import Graveyard, is_heavy
from respcache.store.types import TYPES, type_name


def content(count: int) -> dict[bytes, bytes]:
    """Fields and values, all of them made now."""
    return {b"field:%d" % number: b"value:%d" % number for number in range(count)}


def mortal(count: int) -> ListpackEx:
    """A small hash, each field of which has a deadline."""
    made = ListpackEx(content(count))
    for number in range(count):
        assert made.deadlines is not None
        made.deadlines.set(b"field:%d" % number, number + 1_700_000_000_000)
    return made


MAKERS: dict[str, Callable[[int], Hash]] = {
    "listpack": content,
    "listpackex": mortal,
    "hashtable": lambda count: HashTable(content(count)),
    "hashtable with deadlines": lambda count: table_of(mortal(count)),
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[int], Hash]:
    return MAKERS[request.param]


def test_the_class_is_the_encoding() -> None:
    for name, made in MAKERS.items():
        value = made(3)
        assert type_name(value) == b"hash"
        assert TYPES[type(value)].encoding(value, None).decode() == name.split()[0]


def test_a_copy_is_apart(make: Callable[[int], Hash]) -> None:
    value = make(1000)
    copy = TYPES[type(value)].copy(value)
    assert type(copy) is type(value)
    assert pop(copy, b"field:5")
    assert not pop(copy, b"field:5")
    assert (len(value), len(copy)) == (1000, 999)
    mine, its = deadlines_of(value), deadlines_of(copy)
    assert (mine is None) == (its is None)
    if mine is not None and its is not None:
        assert (mine.get(b"field:5"), its.get(b"field:5")) == (1_700_000_000_005, None)
        assert dict(mine.items()) == {**dict(its.items()), b"field:5": 1_700_000_000_005}


@pytest.mark.parametrize("count", [1, 30, 500, 20_000])
def test_the_size_is_near_what_it_takes(make: Callable[[int], Hash], count: int) -> None:
    gc.collect()
    tracemalloc.start()
    value = make(count)
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    for samples in (0, 5):
        size = TYPES[type(value)].size(value, samples)
        assert size == pytest.approx(taken, rel=0.3, abs=400)


def test_a_big_one_is_freed_in_slices() -> None:
    for value in (HashTable(content(20_000)), table_of(mortal(20_000))):
        assert is_heavy(value)
        graveyard = Graveyard()
        graveyard.bury(value)
        del value
        slices = 1
        while graveyard.free_slice(0):
            slices += 1
        assert slices > 20
