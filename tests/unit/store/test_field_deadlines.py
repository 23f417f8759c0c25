"""Deadlines of fields: the bookkeeping against a plain dict, few and many, and what is found due."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.store.field_deadlines import FEW, FieldDeadlines


def drain(deadlines: FieldDeadlines, now: int, most: int = 100) -> list[bytes]:
    """Drops all that is due, and returns it."""
    found = []
    while (due := deadlines.take_due(now, most)) is not None:
        assert len(due) <= most
        for field in due:
            assert deadlines.drop(field) is not None
        found += due
    return found


def test_none() -> None:
    deadlines = FieldDeadlines()
    assert not deadlines
    assert deadlines.next_look() is None
    assert deadlines.take_due(10**15, 10) is None
    assert deadlines.get(b"f") is None
    assert deadlines.drop(b"f") is None


def test_set_get_drop() -> None:
    deadlines = FieldDeadlines()
    deadlines.set(b"a", 5)
    deadlines.set(b"b", 3)
    deadlines.set(b"a", 7)
    assert len(deadlines) == 2
    assert (deadlines.get(b"a"), deadlines.next_look()) == (7, 3)
    assert deadlines.drop(b"b") == 3
    assert deadlines.take_due(6, 10) is None
    assert deadlines.next_look() == 7
    assert deadlines.drop(b"a") == 7
    assert deadlines.next_look() is None


def test_a_copy_is_apart() -> None:
    for count in (5, FEW + 5):
        deadlines = FieldDeadlines()
        for number in range(count):
            deadlines.set(b"%d" % number, number)
        copy = deadlines.copy()
        assert dict(copy.items()) == dict(deadlines.items())
        copy.drop(b"1")
        assert deadlines.get(b"1") == 1
        assert sum(map(len, deadlines.parts())) == count


def test_many_are_found_bit_by_bit() -> None:
    deadlines = FieldDeadlines()
    rng = random.Random(4)
    expected = {}
    for number in range(5 * FEW):
        expected[b"%d" % number] = when = rng.randrange(1000)
        deadlines.set(b"%d" % number, when)
    for now in (0, 100, 400, 999):
        # A slot is looked into at most every 100 ms; here the steps are bigger.
        due = {field for field, when in expected.items() if when <= now}
        found = set(drain(deadlines, now)) | set(drain(deadlines, now))
        assert found <= due
        for field in found:
            del expected[field]
    assert set(drain(deadlines, 10_000)) == set(expected)
    assert not deadlines


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), st.integers(0, 30), st.integers(0, 100)),
            st.tuples(st.just("drop"), st.integers(0, 30), st.just(0)),
            st.tuples(st.just("drain"), st.just(0), st.integers(0, 100)),
        ),
        max_size=60,
    )
)
@settings(max_examples=100, deadline=None)
def test_as_a_dict(steps: list[tuple[str, int, int]]) -> None:
    deadlines, model = FieldDeadlines(), dict[bytes, int]()
    for what, number, when in steps:
        field = b"%d" % number
        if what == "set":
            deadlines.set(field, when)
            model[field] = when
        elif what == "drop":
            assert deadlines.drop(field) == model.pop(field, None)
        else:
            due = {each for each, its in model.items() if its <= when}
            assert set(drain(deadlines, when, 3)) == due
            for each in due:
                del model[each]
        assert dict(deadlines.items()) == model
        look = deadlines.next_look()
        assert (look is None) == (not model)
        assert look is None or look <= min(model.values())
