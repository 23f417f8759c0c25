"""Sorted sets against a model: a dict, sorted anew for each question."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from math import copysign, inf

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from respcache.store import zset
from respcache.store.types import TYPES
from respcache.store.zset import ZSet

QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and groups so small that a hundred members make many."""
    for name, value in {"MOST": 8, "LEAST": 3, "_FILLED": 6, "_GROUP": 1, "BIG": 40}.items():
        monkeypatch.setattr(zset, name, value)


@pytest.fixture
def big() -> ZSet:
    return ZSet.of({b"m%06d" % n: float(n // 2) for n in range(20_000)}, 128, 64)


def order(model: dict[bytes, float]) -> list[tuple[bytes, float]]:
    return sorted(model.items(), key=lambda item: (item[1], item[0]))


def check(made: ZSet, model: dict[bytes, float]) -> None:
    """All that holds of any sorted set, inside and outside."""
    expected = order(model)
    assert list(made.items()) == expected
    assert list(made) == [member for member, _ in expected]
    assert len(made) == len(model)
    assert dict(made.scores.items()) == model
    chunks = made._members
    assert len(made._scores) == len(chunks) == len(made._score_bounds) + 1 == len(made._member_bounds) + 1
    assert all(len(chunk) <= zset.MOST for chunk in chunks)
    assert len(chunks) == 1 or all(chunks)
    bounds = list(zip(made._score_bounds, made._member_bounds, strict=True))
    assert bounds == sorted(bounds)
    for at, bound in enumerate(bounds):
        assert (made._scores[at][-1], chunks[at][-1]) <= bound < (made._scores[at + 1][0], chunks[at + 1][0])
    if made._counts is not None:
        counts, made._counts = made._counts, None
        assert counts == made._count()


SCORES = st.one_of(st.sampled_from([0.0, 1.0, 2.0, inf, -inf]), st.integers(-5, 30).map(float))
MEMBERS = st.integers(0, 120).map(lambda number: b"%d" % number)
STEPS = st.lists(
    st.tuples(st.sampled_from("aaaaaarimMsbB"), MEMBERS, SCORES, st.integers(0, 130), st.integers(0, 40)),
    max_size=300,
)


@given(STEPS, st.booleans())
@QUICK
def test_model(small_chunks: None, steps: list[tuple[str, bytes, float, int, int]], filled: bool) -> None:
    model = {b"%d" % n: float(n % 7) for n in range(90)} if filled else {}
    made = ZSet.of(model, 128, 64)
    for step, member, score, start, count in steps:
        expected = order(model)
        if step == "a":
            assert made.add(member, score) is (member not in model)
            model[member] = score
        elif step == "r":
            assert made.remove(member) is (model.pop(member, None) is not None)
        elif step == "i":
            ranks = {name: rank for rank, (name, _) in enumerate(expected)}
            assert made.rank(member) == ranks.get(member)
            assert made.score(member) == model.get(member)
            assert (member in made) is (member in model)
        elif step in "mM" and model:
            assert (made.pop_min() if step == "m" else made.pop_max()) == expected[0 if step == "m" else -1]
            model = dict(expected[1:] if step == "m" else expected[:-1])
        elif step == "s":
            members, scores = made.slice(start, start + count)
            assert list(zip(members, scores, strict=True)) == expected[start : start + count]
            if start < len(expected):
                assert made.at(start) == expected[start]
        elif step == "b":
            assert made.below(score) == sum(other < score for other in model.values())
            assert made.below(score, True) == sum(other <= score for other in model.values())
        elif step == "B":
            gone = expected[start : start + count]
            assert made.remove_slice(start, start + count) == len(gone)
            model = {name: score for name, score in model.items() if (name, score) not in gone}
        if len(steps) < 100:
            check(made, model)
    check(made, model)
    copy = made.copy()
    made.add(b"new", 1.0)
    check(copy, model)


@given(st.sets(st.binary(max_size=3), max_size=80), st.binary(max_size=3))
@QUICK
def test_order_of_members(small_chunks: None, members: set[bytes], bound: bytes) -> None:
    made = ZSet()
    for member in members:
        made.insert(member, 0.0)
    check(made, dict.fromkeys(members, 0.0))
    assert made.before(bound) == sum(member < bound for member in members)
    assert made.before(bound, True) == sum(member <= bound for member in members)


def test_between(big: ZSet) -> None:
    members, scores = big.between(5.0, 6.0)
    assert members == [b"m000010", b"m000011", b"m000012", b"m000013"]
    assert scores == [5.0, 5.0, 6.0, 6.0]
    assert big.between(7.0, 6.0) == ([], [])
    assert len(big.between(-inf, inf)[0]) == 20_000


@pytest.mark.parametrize("front", [True, False])
def test_drained(big: ZSet, front: bool) -> None:
    expected = list(big.items())
    if not front:
        expected.reverse()
    assert [big.pop_min() if front else big.pop_max() for _ in expected] == expected
    check(big, {})
    big.add(b"a", 1.0)
    check(big, {b"a": 1.0})


def test_ranks_while_growing() -> None:
    made = ZSet(packed=False)
    for number in range(6000):
        member = b"%05d" % (number * 7919 % 6000)
        made.insert(member, float(member))
        if number % 50 == 0:
            assert made.at(made.rank(member) or 0)[0] == member
    check(made, {b"%05d" % number: float(number) for number in range(6000)})


def test_appended_members_fill_their_chunks() -> None:
    made = ZSet(packed=False)
    for number in range(10_000):
        made.insert(b"%d" % number, float(number))
    assert len(made._scores) < 10_000 / (zset.MOST - zset.LEAST) + 2


def test_negative_zero() -> None:
    packed, loose = ZSet(), ZSet(packed=False)
    for made in packed, loose:
        made.add(b"a", -0.0)
        made.add(b"b", 5.0)
        made.add(b"b", -0.0)
    assert [copysign(1, score) for score in packed.scores.values()] == [1, 1]
    assert [copysign(1, score) for score in loose.scores.values()] == [-1, -1]
    assert copysign(1, ZSet.of({b"a": -0.0}, 1, 1).scores[b"a"]) == 1


def test_packed() -> None:
    assert ZSet.of({}, 0, 0).packed
    assert ZSet.of({b"ab": 1.0, b"c": 1.0}, 2, 2).packed
    assert not ZSet.of({b"ab": 1.0, b"c": 1.0}, 1, 2).packed
    assert not ZSet.of({b"ab": 1.0, b"c": 1.0}, 2, 1).packed
    assert not ZSet.of({b"ab": 1.0}, 0, 64).copy().packed


def test_type() -> None:
    info = TYPES[ZSet]
    assert info.name == b"zset"
    assert info.encoding(ZSet(), None) == b"listpack"
    assert info.encoding(ZSet(packed=False), None) == b"skiplist"


@pytest.mark.parametrize("count", [100, 30_000])
def test_memory(count: int) -> None:
    size = TYPES[ZSet].size
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        made = ZSet(packed=False)
        for number in range(count):
            made.insert(b"member:%d" % number, number * 1.5)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    for samples in 0, 5:
        assert 0.7 < size(made, samples) / taken < 1.3


def test_parts_are_all_that_is_big(big: ZSet) -> None:
    rest = sys.getsizeof(big) + sys.getsizeof(big._score_bounds)
    assert rest < 2000
    assert sum(map(len, TYPES[ZSet].parts(big))) >= len(big._scores) * 2


@pytest.fixture(autouse=True)
def nothing_is_shared() -> Iterator[None]:
    """An empty set that is filled leaves the next one empty."""
    yield
    assert len(ZSet()) == 0
