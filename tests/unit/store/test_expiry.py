"""Deadlines: the bookkeeping against a plain dict, and what is found due."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from respcache.store.expiry import LINGER_MS, Deadlines


def drain(deadlines: Deadlines, now: int, most: int = 3) -> list[bytes]:
    """Deletes all that is due, as a database does, and returns it."""
    found = []
    while (due := deadlines.take_due(now, most)) is not None:
        slot, keys = due
        assert len(keys) <= most
        for key in keys:
            assert deadlines.drop(slot, key) is not None
        found += keys
    return found


def test_nothing_is_due_without_deadlines() -> None:
    deadlines = Deadlines()
    assert deadlines.next_look() is None
    assert deadlines.take_due(10**15, 10) is None


def test_set_get_drop() -> None:
    deadlines = Deadlines()
    deadlines.set(5, b"a", 100)
    deadlines.set(5, b"a", 300)
    deadlines.set(6, b"b", 50)
    assert (deadlines.count, deadlines.total) == (2, 350)
    assert deadlines.get(5, b"a") == 300
    assert deadlines.get(6, b"a") is None
    assert deadlines.drop(5, b"a") == 300
    assert deadlines.drop(5, b"a") is None
    assert deadlines.drop(7, b"a") is None
    assert (deadlines.count, deadlines.total) == (1, 50)


def test_the_next_look_is_the_earliest_deadline() -> None:
    deadlines = Deadlines()
    deadlines.set(1, b"a", 500)
    deadlines.set(2, b"b", 300)
    assert deadlines.next_look() == 300
    deadlines.set(1, b"a", 200)
    assert deadlines.next_look() == 200


def test_the_next_look_is_forgotten_with_the_last_deadline() -> None:
    deadlines = Deadlines()
    deadlines.set(1, b"a", 500)
    deadlines.drop(1, b"a")
    assert deadlines.next_look() is None
    deadlines.set(1, b"a", 700)
    assert deadlines.next_look() == 700


def test_all_that_is_due_is_found_and_nothing_else() -> None:
    deadlines = Deadlines()
    for number in range(100):
        deadlines.set(number % 7, b"%d" % number, 1000 + number)
    assert drain(deadlines, 999) == []
    assert sorted(map(int, drain(deadlines, 1049))) == list(range(50))
    assert deadlines.count == 50


def test_a_slot_is_left_alone_for_a_while() -> None:
    deadlines = Deadlines()
    deadlines.set(1, b"a", 1000)
    deadlines.set(1, b"b", 1001)
    assert drain(deadlines, 1000) == [b"a"]
    assert deadlines.next_look() == 1000 + LINGER_MS
    assert drain(deadlines, 1000 + LINGER_MS) == [b"b"]


def test_keys_change_while_their_slot_is_looked_into() -> None:
    deadlines = Deadlines()
    for number in range(10):
        deadlines.set(1, b"%d" % number, 100)
    first = deadlines.take_due(100, 4)
    assert first is not None
    assert len(first[1]) == 4
    assert deadlines.next_look() == 0
    later, gone, new = b"0", b"1", b"new"
    assert later not in first[1] and gone not in first[1]
    deadlines.set(1, later, 900)
    deadlines.drop(1, gone)
    deadlines.set(1, new, 50)
    for key in first[1]:
        deadlines.drop(1, key)
    assert sorted(drain(deadlines, 100)) == [b"2", b"3", b"4", b"5", new]
    assert drain(deadlines, 1000) == [later]


def test_a_slot_that_is_emptied_while_it_is_looked_into() -> None:
    deadlines = Deadlines()
    for number in range(10):
        deadlines.set(1, b"%d" % number, 100)
    deadlines.set(2, b"other", 100)
    deadlines.take_due(100, 4)
    for number in range(10):
        deadlines.drop(1, b"%d" % number)
    assert drain(deadlines, 100) == [b"other"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 1000) | st.none()), max_size=80)
)
def test_no_deadline_is_missed(steps: list[tuple[int, int, int | None]]) -> None:
    deadlines, model = Deadlines(), dict[tuple[int, bytes], int]()
    now = 0
    for slot, number, when in steps:
        key = b"%d" % number
        if when is None:
            assert deadlines.drop(slot, key) == model.pop((slot, key), None)
        elif when < 100:  # time goes on
            now += when
            before = {key for (_, key), at in model.items() if at <= now}
            assert set(drain(deadlines, now)) <= before
            model = {place: at for place, at in model.items() if deadlines.get(*place) is not None}
        else:
            deadlines.set(slot, key, when)
            model[slot, key] = when
        assert deadlines.count == len(model)
        assert deadlines.total == sum(model.values())
        assert (deadlines.next_look() is None) == (not model)
    found = []
    for _ in range(20):  # what a slot lingers with is found in the end
        now += 1000
        found += drain(deadlines, now)
    assert sorted(found) == sorted(key for _, key in model)


def test_deadlines_that_change_over_and_over_do_not_pile_up() -> None:
    deadlines, pick = Deadlines(), random.Random(1)
    for when in range(200_000, 0, -1):
        deadlines.set(pick.randrange(50), b"k", when)
    assert len(deadlines._heap) < 70_000
    assert len(drain(deadlines, 300_000)) == 50
