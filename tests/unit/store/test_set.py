"""Sets: what class one has, in which order its members come, and how much memory it takes."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Sequence

import pytest

from respcache.config import Config
from respcache.directives import DIRECTIVES
from respcache.store.set import (
    IntSet,
    ListpackSet,
    SetTable,
    SetValue,
    expect,
    gather,
    insert,
    is_integer,
    members,
    missing,
    new_set,
    present,
)
from respcache.store.types import TYPES
from tests.unit.store.test_hashtable import names


@pytest.fixture
def config() -> Config:
    return Config(DIRECTIVES)


def built(words: Sequence[bytes], config: Config) -> SetValue:
    return gather(IntSet(), words, config)


@pytest.mark.parametrize(
    ("word", "yes"),
    [(b"0", True), (b"-5", True), (b"", False), (b"+1", False), (b"x", False), (b"01", False)],
)
def test_integers(word: bytes, yes: bool) -> None:
    assert is_integer(word) == yes


@pytest.mark.parametrize(
    ("word", "count", "expected"),
    [
        (b"1", 512, IntSet),
        (b"1", 513, SetTable),
        (b"a", 128, ListpackSet),
        (b"a", 129, SetTable),
    ],
)
def test_a_new_set_is_made_for_what_will_come(
    word: bytes, count: int, expected: type, config: Config
) -> None:
    assert type(new_set(word, count, config)) is expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (names(0, 512), IntSet),
        (names(0, 513), SetTable),
        ([*names(0, 127), b"a"], ListpackSet),
        ([*names(0, 128), b"a"], SetTable),
        ([b"x" * 64], ListpackSet),
        ([b"x" * 65], SetTable),
        ([b"a", *names(0, 127)], ListpackSet),
        ([b"a", *names(0, 128)], SetTable),
    ],
)
def test_members_make_the_class(words: list[bytes], expected: type, config: Config) -> None:
    made = built(words, config)
    assert type(made) is expected
    assert sorted(members(made)) == sorted(words)
    assert insert(made, words[0], config) is made
    assert len(made) == len(words)


def test_an_announced_crowd_makes_a_table(config: Config) -> None:
    for value, most in ((built([b"1"], config), 512), (built([b"a"], config), 128)):
        assert expect(value, most, config) is value
        assert type(expect(value, most + 1, config)) is SetTable


def test_long_integers_make_no_listpack_of_short_members(config: Config) -> None:
    config.set_many([("set-max-listpack-value", "3")])
    assert type(built([b"100", b"a"], config)) is ListpackSet
    assert type(built([b"1000", b"a"], config)) is SetTable


def test_order(config: Config) -> None:
    value = built([b"10", b"-2", b"9"], config)
    assert members(value) == [b"-2", b"9", b"10"]
    value = insert(value, b"b", config)
    value = insert(value, b"1", config)
    assert members(value) == [b"-2", b"9", b"10", b"b", b"1"]


@pytest.mark.parametrize("count", [3, 100, 1000])
def test_filters(count: int, config: Config) -> None:
    value = built([b"a", *names(0, count)], config)
    wanted = [b"zz", b"2", b"a", b"-1"]
    assert present(value, wanted) == [b"2", b"a"]
    assert missing(value, wanted) == [b"zz", b"-1"]


@pytest.mark.parametrize("words", [[b"1"], [b"a"], names(0, 1000)])
def test_copies(words: list[bytes], config: Config) -> None:
    value = built(words, config)
    info = TYPES[type(value)]
    copied = info.copy(value)
    assert type(copied) is type(value)
    assert members(copied) == members(value)
    copied.pop(words[0])
    assert len(value) == len(words)
    assert info.name == b"set"
    assert info.encoding(value, config) == {1: info.encoding(value, None)}.get(len(words), b"hashtable")


@pytest.mark.parametrize("samples", [0, 5])
@pytest.mark.parametrize(
    "make",
    [
        lambda: [b"%d" % number for number in range(300)],
        lambda: [b"member %d" % number for number in range(100)],
        lambda: [b"member:%010d" % number for number in range(10_000)],
        lambda: [b"member:%010d" % number for number in range(150_000)],
    ],
)
def test_memory_is_near_the_truth(make: Callable[[], list[bytes]], samples: int, config: Config) -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        words = make()
        value = built([], config)
        for word in words:
            value = insert(value, word, config)
        del words
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    told = TYPES[type(value)].size(value, samples)
    assert 0.75 * taken < told < 1.25 * taken


def test_memory_after_most_members_went(config: Config) -> None:
    value = SetTable(dict.fromkeys(names(0, 100_000)))
    full = TYPES[SetTable].size(value, 5)
    for _ in range(99_000):
        value.pop_random()
    assert TYPES[SetTable].size(value, 0) < full // 20
    assert random.choice(value.scan(0, 10)[1]) in value
