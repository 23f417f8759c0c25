"""The graveyard frees everything, bit by bit."""

from __future__ import annotations

import time
import weakref
from collections import deque
from typing import Any

import pytest

from respcache.store import types
from respcache.store.hashtable import Table
from respcache.store.lazyfree import HEAVY, PLENTY, Graveyard, is_heavy
from respcache.store.types import STRING, TypeInfo


class Leaf:
    """Something whose end can be seen."""


class MyDict(dict[int, Leaf]):
    """A class derived from a container."""


class MyList(list[Leaf]):
    """And another."""


class MyTable(Table[Leaf]):
    """A table that has more than its keys."""

    __slots__ = ("more",)
    more: dict[int, Leaf]


def my_table(leaves: list[Leaf]) -> MyTable:
    made = MyTable((b"%d" % at, leaf) for at, leaf in enumerate(leaves))
    made.more = dict(enumerate(leaves))
    return made


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    info = TypeInfo(b"mine", STRING.encoding, STRING.copy, STRING.size, lambda value: (value, value.more))
    monkeypatch.setitem(types.TYPES, MyTable, info)


def test_an_empty_graveyard_has_nothing_to_do() -> None:
    assert not Graveyard()
    assert not Graveyard().free_slice(0.001)


@pytest.mark.parametrize(
    "build",
    [
        list,
        deque,
        set,
        lambda leaves: dict(enumerate(leaves)),
        lambda leaves: [{at: [leaf]} for at, leaf in enumerate(leaves)],
        lambda leaves: {0: {1: set(leaves)}},
        lambda leaves: MyDict(enumerate(leaves)),
        MyList,
        lambda leaves: Table((b"%d" % at, leaf) for at, leaf in enumerate(leaves)),
        my_table,
        lambda leaves: [Table([(b"a", leaves[:]), (b"b", MyList(leaves))])],
    ],
)
@pytest.mark.parametrize("count", [0, 1, HEAVY, 5000])
def test_all_is_freed_in_slices(build: Any, count: int) -> None:
    graveyard = Graveyard()
    leaves = [Leaf() for _ in range(count)]
    alive = weakref.WeakSet(leaves)
    graveyard.bury(build(leaves))
    leaves.clear()
    slices = 1
    while graveyard.free_slice(0):
        slices += 1
        assert slices < 100_000
    assert not alive
    assert not graveyard
    if count > HEAVY:
        assert slices > 1


@pytest.mark.parametrize("size", [600, 10_000])
def test_who_buries_much_helps_to_free(size: int) -> None:
    graveyard = Graveyard()
    alive: weakref.WeakSet[Leaf] = weakref.WeakSet()
    for _ in range(60 * PLENTY // 10 // size):
        leaves = [Leaf() for _ in range(size)]
        alive |= weakref.WeakSet(leaves)
        graveyard.bury(dict(enumerate(leaves)))
    del leaves
    assert len(alive) < 2 * PLENTY
    while graveyard.free_slice(0):
        pass
    assert not alive
    assert graveyard._waiting == 0


def test_a_burial_after_a_huge_one_is_short() -> None:
    graveyard = Graveyard()
    graveyard.bury([b"x"] * (20 * PLENTY))
    since = time.thread_time()
    graveyard.bury([b"x"] * (HEAVY + 1))
    assert time.thread_time() - since < 0.005


def test_what_is_heavy() -> None:
    assert not is_heavy(b"x" * 10**6)
    assert not is_heavy(7)
    assert not is_heavy([b"x"] * HEAVY)
    assert is_heavy([b"x"] * (HEAVY + 1))
    assert is_heavy(set(range(HEAVY + 1)))
    for at, weight in ((HEAVY, False), (HEAVY + 1, True)):
        leaf = Leaf()
        assert is_heavy(MyDict(dict.fromkeys(range(at), leaf))) == weight
        assert is_heavy(Table((b"%d" % key, leaf) for key in range(at))) == weight
        small = my_table([])
        small.more = dict.fromkeys(range(at), leaf)
        assert is_heavy(small) == weight


def test_a_table_of_a_million_is_buried_at_once() -> None:
    graveyard = Graveyard()
    tables = [Table((b"%d" % key, None) for key in range(1_000_000)) for _ in range(2)]
    for table in tables:
        since = time.thread_time()
        assert is_heavy(table)
        graveyard.bury(table)
        assert time.thread_time() - since < 0.02
    assert graveyard._waiting >= 1_900_000
    while graveyard:
        since = time.thread_time()
        graveyard.free_slice(0.001)
        assert time.thread_time() - since < 0.01
    assert not any(tables)
    assert graveyard._waiting == 0


def test_plenty_is_freed_by_whoever_buries_more() -> None:
    graveyard = Graveyard()
    graveyard.bury([b"x"] * (101 * PLENTY))
    graveyard.bury([b"x"] * PLENTY)
    assert graveyard._waiting < 100 * PLENTY
    assert not is_heavy(Leaf())
