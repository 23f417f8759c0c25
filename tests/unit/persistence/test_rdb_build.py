"""Which encoding a value takes, as Redis 7.4 chooses it, and what is refused."""

from __future__ import annotations

import pytest

from respcache.config import Config
from respcache.directives import DIRECTIVES
from respcache.persistence.rdb_build import (
    DEFAULTS,
    EmptyValueError,
    Limits,
    hash_of,
    list_of,
    mortal_hash_of,
    packed_hash_of,
    packed_set_of,
    packed_zset_of,
    score_of,
    set_of,
    set_of_integers,
    zset_of,
)
from respcache.store.hash import HashTable, ListpackEx
from respcache.store.list import Listpack, Quicklist
from respcache.store.set import IntSet, ListpackSet, SetTable

LONG = b"x" * 65
SHORT = b"x" * 64


def numbers(count: int) -> list[bytes]:
    return [b"%d" % at for at in range(count)]


def words(count: int, size: int = 0) -> list[bytes]:
    return [b"w%d" % at + b"x" * size for at in range(count)]


def test_limits_are_those_of_the_configuration() -> None:
    assert Limits.of(Config(DIRECTIVES)) == DEFAULTS


def test_lists() -> None:
    assert type(list_of(words(3), DEFAULTS)) is Listpack
    assert type(list_of(words(3), DEFAULTS, nodes=2)) is Quicklist
    assert type(list_of(words(3000), DEFAULTS)) is Quicklist
    assert type(list_of(words(3), Limits(list_max_listpack_size=2))) is Quicklist
    made = list_of(words(3), DEFAULTS)
    made.grow([b"x" * 9000], -2)
    assert type(made) is Quicklist, "it knows its size"


@pytest.mark.parametrize(
    ("elements", "kind"),
    [
        (numbers(512), IntSet),
        (numbers(513), SetTable),
        (words(128), ListpackSet),
        (words(129), SetTable),
        ([*numbers(127), b"a"], ListpackSet),
        ([*numbers(128), b"a"], SetTable),
        ([SHORT], ListpackSet),
        ([LONG], SetTable),
        ([b"1", b"02"], ListpackSet),
    ],
)
def test_sets(elements: list[bytes], kind: type) -> None:
    made = set_of(elements, DEFAULTS)
    assert type(made) is kind
    assert set(made) == set(elements)


def test_a_listpack_begins_in_the_order_of_an_intset() -> None:
    assert list(set_of([b"3", b"1", b"2", b"a", b"0"], DEFAULTS)) == [b"1", b"2", b"3", b"a", b"0"]


def test_packed_sets() -> None:
    assert type(packed_set_of([LONG], DEFAULTS)) is ListpackSet
    assert type(packed_set_of(words(129), DEFAULTS)) is SetTable
    assert type(set_of_integers(list(range(512)), DEFAULTS)) is IntSet
    assert type(set_of_integers(list(range(513)), DEFAULTS)) is SetTable


def test_hashes() -> None:
    assert type(hash_of(words(1024), DEFAULTS)) is dict
    assert type(hash_of(words(1026), DEFAULTS)) is HashTable
    assert type(hash_of([b"f", LONG], DEFAULTS)) is HashTable
    assert type(hash_of([LONG, b"v"], DEFAULTS)) is HashTable
    assert type(hash_of([SHORT, SHORT], DEFAULTS)) is dict
    assert type(packed_hash_of([b"f", LONG], DEFAULTS)) is dict
    assert type(packed_hash_of(words(1026), DEFAULTS)) is HashTable


def test_hashes_whose_fields_have_deadlines() -> None:
    made = mortal_hash_of([b"f", b"v", b"1000", b"g", b"w", b"0"], DEFAULTS, packed=False)
    assert type(made) is ListpackEx
    assert made == {b"f": b"v", b"g": b"w"}
    assert dict(made.deadlines.items()) == {b"f": 1000}
    assert type(mortal_hash_of([b"f", LONG, b"5"], DEFAULTS, packed=True)) is ListpackEx
    big = mortal_hash_of([b"f", LONG, b"5"], DEFAULTS, packed=False)
    assert type(big) is HashTable
    assert big.deadlines is not None
    assert big.deadlines.get(b"f") == 5
    without = mortal_hash_of([b"f", LONG, b"0"], DEFAULTS, packed=False)
    assert type(without) is HashTable
    assert without.deadlines is None


@pytest.mark.parametrize("deadline", [b"-1", b"", b"x", b"1.5", b"%d" % (1 << 48)])
def test_deadlines_that_are_none(deadline: bytes) -> None:
    with pytest.raises(ValueError):
        mortal_hash_of([b"f", b"v", deadline], DEFAULTS, packed=True)


def test_sorted_sets() -> None:
    assert zset_of(words(128), [1.0] * 128, DEFAULTS).packed
    assert not zset_of(words(129), [1.0] * 129, DEFAULTS).packed
    assert not zset_of([LONG], [1.0], DEFAULTS).packed
    assert packed_zset_of([LONG, b"1"], DEFAULTS).packed
    many = [word for member in words(129) for word in (member, b"1")]
    assert not packed_zset_of(many, DEFAULTS).packed
    made = packed_zset_of([b"b", b"inf", b"a", b"-1.5", b"c", b"3"], DEFAULTS)
    assert list(made.items()) == [(b"a", -1.5), (b"c", 3.0), (b"b", float("inf"))]


@pytest.mark.parametrize("text", [b"", b"x", b"1_0", b"0x10"])
def test_scores_that_are_none(text: bytes) -> None:
    with pytest.raises(ValueError):
        score_of(text)


def test_twice_the_same_is_refused() -> None:
    for make in (set_of, packed_set_of):
        with pytest.raises(ValueError):
            make([b"a", b"b", b"a"], DEFAULTS)
    for make_hash in (hash_of, packed_hash_of):
        with pytest.raises(ValueError):
            make_hash([b"f", b"1", b"f", b"2"], DEFAULTS)
    with pytest.raises(ValueError):
        mortal_hash_of([b"f", b"1", b"0", b"f", b"2", b"0"], DEFAULTS, packed=True)
    with pytest.raises(ValueError):
        zset_of([b"a", b"a"], [1.0, 2.0], DEFAULTS)


def test_half_a_pair_is_refused() -> None:
    with pytest.raises(ValueError):
        packed_hash_of([b"f"], DEFAULTS)
    with pytest.raises(ValueError):
        packed_zset_of([b"m"], DEFAULTS)
    with pytest.raises(ValueError):
        mortal_hash_of([b"f", b"v"], DEFAULTS, packed=True)


def test_no_number_is_no_score() -> None:
    with pytest.raises(ValueError):
        zset_of([b"a"], [float("nan")], DEFAULTS)
    with pytest.raises(ValueError):
        packed_zset_of([b"a", b"nan"], DEFAULTS)


def test_empty_ones_are_told_apart() -> None:
    for make in (list_of, set_of, packed_set_of, hash_of, packed_hash_of, packed_zset_of):
        with pytest.raises(EmptyValueError):
            make([], DEFAULTS)
    with pytest.raises(EmptyValueError):
        zset_of([], [], DEFAULTS)
    with pytest.raises(EmptyValueError):
        set_of_integers([], DEFAULTS)
    with pytest.raises(EmptyValueError):
        mortal_hash_of([], DEFAULTS, packed=True)
