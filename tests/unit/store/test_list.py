"""Lists beside a plain Python list, their sizes beside the oracle's, and their encodings."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.store.lazyfree import is_heavy
from respcache.store.list import List, Listpack, Quicklist, byte_size, empty_list, entry_size, make_list
from respcache.store.types import TYPES

ELEMENTS = st.one_of(
    st.sampled_from([b"a", b"b", b"", b"1", b"-5000"]),
    st.integers(-(1 << 65), 1 << 65).map(lambda value: b"%d" % value),
    st.integers(0, 5000).map(lambda size: b"x" * size),
)
LIMITS = st.sampled_from([-5, -2, -1, 0, 1, 4, 20, 1000, -100])
BYTES = {-5: 65536, -4: 32768, -3: 16384, -2: 8192, -1: 4096, -100: 65536}


@pytest.mark.parametrize(
    ("element", "size"),
    [
        (b"", 2),
        (b"0", 2),
        (b"127", 2),
        (b"128", 3),
        (b"-1", 3),
        (b"4095", 3),
        (b"4096", 4),
        (b"-4096", 3),
        (b"-4097", 4),
        (b"32767", 4),
        (b"32768", 5),
        (b"8388607", 5),
        (b"-8388608", 5),
        (b"8388608", 6),
        (b"2147483647", 6),
        (b"2147483648", 10),
        (b"-2147483649", 10),
        (b"9223372036854775807", 10),
        (b"-9223372036854775808", 10),
        (b"9223372036854775808", 21),
        (b"007", 5),
        (b"-0", 4),
        (b"-", 3),
        (b"1_0", 5),
        (b"x9", 4),
        (b"x" * 63, 65),
        (b"x" * 64, 67),
        (b"x" * 125, 128),
        (b"x" * 126, 130),
        (b"x" * 4095, 4099),
        (b"x" * 4096, 4103),
    ],
)
def test_size_of_an_entry(element: bytes, size: int) -> None:
    assert entry_size(element) == size
    assert byte_size([element, element]) == 7 + 2 * size


Change = tuple[Callable[[List, int], Any], Callable[[list[bytes]], Any]]


def _push_left(elements: list[bytes]) -> Change:
    def ours(value: List, limit: int) -> None:
        value.grow(elements, limit)
        value.push_left(elements)

    def model(plain: list[bytes]) -> None:
        for element in elements:
            plain.insert(0, element)

    return ours, model


def _push_right(elements: list[bytes]) -> Change:
    def ours(value: List, limit: int) -> None:
        value.grow(elements, limit)
        value.push_right(elements)

    return ours, lambda plain: plain.extend(elements)


def _pop(left: bool) -> Change:
    def ours(value: List, limit: int) -> bytes | None:
        if len(value) < 2:
            return None
        element = value.pop_left() if left else value.pop_right()
        value.lose(element, limit)
        return element

    return ours, lambda plain: plain.pop(0 if left else -1) if len(plain) > 1 else None


def _pop_many(count: int, left: bool) -> Change:
    def ours(value: List, limit: int) -> list[bytes] | None:
        if len(value) <= count:
            return None
        elements = value.pop_many(count, left)
        value.shrink(elements, limit)
        return elements

    def model(plain: list[bytes]) -> list[bytes] | None:
        return [plain.pop(0 if left else -1) for _ in range(count)] if len(plain) > count else None

    return ours, model


def _replace(place: float, element: bytes) -> Change:
    def ours(value: List, limit: int) -> bytes:
        value.grow((element,), limit)
        old = value.replace(int(place * len(value)), element)
        value.lose(old, limit)
        return old

    def model(plain: list[bytes]) -> bytes:
        at = int(place * len(plain))
        old, plain[at] = plain[at], element
        return old

    return ours, model


def _insert(place: float, element: bytes) -> Change:
    def ours(value: List, limit: int) -> None:
        value.grow((element,), limit)
        value.insert(int(place * (len(value) + 1)), element)

    return ours, lambda plain: plain.insert(int(place * (len(plain) + 1)), element)


def _places(plain: list[bytes], element: bytes) -> list[int]:
    return [at for at, each in enumerate(plain) if each == element]


def _remove(element: bytes, count: int) -> Change:
    def ours(value: List, limit: int) -> int:
        removed = value.remove(element, count)
        if not len(value):
            value.push_right((element,))  # an empty list is nobody's business
            removed -= 1
        value.lose(element, limit, removed)
        return removed

    def model(plain: list[bytes]) -> int:
        places = _places(plain, element)
        places = places[:count] if count > 0 else places[count:]
        if len(places) == len(plain):
            places.pop()
        for at in reversed(places):
            del plain[at]
        return len(places)

    return ours, model


def _trim(first: float, last: float) -> Change:
    def span(size: int) -> tuple[int, int]:
        begin = int(first * size)
        return begin, max(int(last * size), begin) + 1

    def ours(value: List, limit: int) -> None:
        value.trim(*span(len(value)), limit)

    def model(plain: list[bytes]) -> None:
        plain[:] = plain[slice(*span(len(plain)))]

    return ours, model


def _search(element: bytes, most: int | None) -> Change:
    def ours(value: List, _limit: int) -> tuple[list[int], list[int]]:
        return list(value.find(element, most)), list(value.find_backwards(element, most))

    def model(plain: list[bytes]) -> tuple[list[int], list[int]]:
        size = len(plain) if most is None else most
        places = _places(plain, element)
        ends = len(plain) - size
        return [at for at in places if at < size], [at for at in reversed(places) if at >= ends]

    return ours, model


_FRACTIONS = st.floats(0, 1, exclude_max=True)
CHANGES = st.one_of(
    st.builds(_push_left, st.lists(ELEMENTS, min_size=1, max_size=20)),
    st.builds(_push_right, st.lists(ELEMENTS, min_size=1, max_size=20)),
    st.builds(_pop, st.booleans()),
    st.builds(_pop_many, st.integers(1, 40), st.booleans()),
    st.builds(_replace, _FRACTIONS, ELEMENTS),
    st.builds(_insert, _FRACTIONS, ELEMENTS),
    st.builds(_remove, ELEMENTS, st.integers(-3, 3)),
    st.builds(_trim, _FRACTIONS, _FRACTIONS),
    st.builds(_search, ELEMENTS, st.one_of(st.none(), st.integers(1, 30))),
)


def _fits(plain: list[bytes], limit: int, part: int) -> bool:
    size = byte_size(plain)
    return size <= BYTES[limit] // part if limit < 0 else size <= 8192 and len(plain) <= max(limit, 1) // part


@settings(max_examples=100, deadline=None)
@given(st.lists(ELEMENTS, min_size=1, max_size=30), st.lists(CHANGES, max_size=60), LIMITS)
def test_a_list_does_what_a_plain_one_does(elements: list[bytes], changes: list[Change], limit: int) -> None:
    value: List = make_list(list(elements), limit)
    assert isinstance(value, Listpack) == _fits(elements, limit, 1)
    plain = list(elements)
    for ours, model in changes:
        assert ours(value, limit) == model(plain)
        assert list(value) == value.elements() == plain
        assert len(value) == len(plain)
        assert value.items[: value.start] == [b""] * value.start
        assert value.start <= len(value) + 40
        if isinstance(value, Listpack):
            assert value.size == byte_size(plain)
            slack = max(map(entry_size, plain))  # what comes in is counted without its lengths
            assert byte_size(plain) <= (BYTES[limit] if limit < 0 else 8192) + 20 * 7 + slack


@settings(max_examples=50, deadline=None)
@given(st.lists(ELEMENTS, min_size=30, max_size=60), LIMITS, st.booleans())
def test_a_quicklist_becomes_a_listpack_as_soon_as_it_is_half_of_one(
    elements: list[bytes], limit: int, left: bool
) -> None:
    value: List = Quicklist(list(elements))
    plain = list(elements)
    while len(plain) > 1:
        plain.pop(0 if left else -1)
        value.lose(value.pop_left() if left else value.pop_right(), limit)
        if isinstance(value, Listpack):
            assert _fits(plain, limit, 2)
            return
        assert not _fits(plain, limit, 2)


def test_a_listpack_grows_by_what_is_pushed() -> None:
    value: List = empty_list()
    for _ in range(136):
        value.grow((b"x" * 60,), -2)
        value.push_right((b"x" * 60,))
        # 7 bytes, 62 for each; the next one counts as 60.
        assert isinstance(value, Listpack) == (7 + 62 * (len(value) - 1) + 60 <= 8192)
    assert isinstance(value, Quicklist)


def test_elements_of_the_other_class_are_the_same_values() -> None:
    for made in (Listpack, Quicklist):
        value = made([b"b", b"c"])
        value.push_left([b"a"])
        copied = TYPES[made].copy(value)
        assert type(copied) is made
        assert copied.size == value.size
        copied.push_right((b"d",))
        assert list(value) == [b"a", b"b", b"c"]
        assert TYPES[made].name == b"list"
        assert TYPES[made].encoding(value, None) == made.__name__.lower().encode()


def test_what_is_popped_is_let_go() -> None:
    tracemalloc.start()
    try:
        value = Quicklist([b"%1000d" % number for number in range(1000)])
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1700):
            value.push_right((b"%1000d" % number,))
            value.pop_left()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
    assert len(value.items) < 2100


def test_cost_is_local() -> None:
    value = Quicklist([b"%d" % number for number in range(100_000)])
    assert is_heavy(value)
    for _ in range(300):
        value.pop_left()
    assert value.elements(50_000, 50_003) == [b"50300", b"50301", b"50302"]
    assert next(value.find_backwards(b"99000")) == 98_700
    head, tail = value.trim(2, 99_000, -2)
    assert (len(head), len(tail)) == (2, 700)
    (whole,) = value.trim(10, 20, -2)
    assert len(whole) > 99_000
    assert isinstance(value, Listpack)


def test_trimming_both_ends_may_make_a_listpack() -> None:
    value: List = Quicklist([b"%50d" % number for number in range(100)])
    value.trim(20, 98, -2)
    assert isinstance(value, Listpack)
    assert value.size == byte_size(value.elements())


@pytest.mark.parametrize("count", [5, 100, 3000])
@pytest.mark.parametrize("size", [15, 95])
def test_memory_is_estimated_well(count: int, size: int) -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        value: List = empty_list()
        for number in range(count):
            element = b"%0*d" % (size, number)
            value.grow((element,), -2)
            (value.push_left if number % 2 else value.push_right)((element,))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    taken = after - before
    for samples in (0, 5):
        assert 0.7 < TYPES[type(value)].size(value, samples) / taken < 1.3
