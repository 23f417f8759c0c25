"""Intersections, unions and differences of sets."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.wire import SYNTAX_ERROR, WRONGTYPE, Error, Wire, arity_error, members

NO_KEYS = Error("ERR numkeys should be greater than 0")
TOO_FEW_KEYS = Error("ERR Number of keys can't be greater than number of args")
NEGATIVE_LIMIT = Error("ERR LIMIT can't be negative")


def numbers(first: int, behind: int, step: int = 1) -> list[bytes]:
    return [b"%d" % number for number in range(first, behind, step)]


def words(numbers: Iterable[int]) -> list[bytes]:
    return sorted(b"m%d" % number for number in numbers)


@pytest.fixture
def sets(c: Wire) -> dict[str, set[bytes]]:
    """Sets of all encodings, some of which overlap."""
    made = {
        "few": {b"a", b"b", b"1", b"2"},
        "ints": set(numbers(-3, 40)),
        "more": set(numbers(20, 400)),
        "lots": set(numbers(0, 3000, 2)),
        "mixed": {b"a", b"c", *numbers(0, 1000, 3)},
        "same": {b"a", b"b", b"1", b"2"},
        "none": set(),
    }
    for key, content in made.items():
        if content:
            assert c("SADD", key, *content) == len(content)
    return made


CHOICES = [
    ("few",),
    ("none",),
    ("ints", "more"),
    ("ints", "ints"),
    ("few", "same"),
    ("few", "none"),
    ("none", "few"),
    ("none", "none"),
    ("lots", "mixed"),
    ("mixed", "lots", "more"),
    ("lots", "few", "ints"),
    ("more", "few", "same", "ints"),
    ("few", "ints", "more", "lots", "mixed"),
    ("lots", "more", "lots"),
    ("mixed", "few", "same"),
]


@pytest.mark.parametrize("keys", CHOICES)
def test_all_operations(c: Wire, sets: dict[str, set[bytes]], keys: tuple[str, ...]) -> None:
    contents = [sets[key] for key in keys]
    results = {
        "SINTER": set.intersection(*contents),
        "SUNION": set.union(*contents),
        "SDIFF": contents[0].difference(*contents[1:]),
    }
    for name, expected in results.items():
        found = c(name, *keys)
        assert type(found) is type(c.as_set([]))
        assert members(found) == sorted(expected)
        for destination in ("dst", keys[-1]):
            assert c(f"{name}STORE", destination, *keys) == len(expected)
            assert c("EXISTS", destination) == bool(expected)
            assert members(c("SMEMBERS", destination)) == sorted(expected)
            if destination in sets:
                c("DEL", destination)
                c("SADD", destination, *(sets[destination] or {b"x"}))
                if not sets[destination]:
                    c("DEL", destination)
    count = len(results["SINTER"])
    for limit in (0, 1, count, count + 1):
        found = c("SINTERCARD", len(keys), *keys, "LIMIT", limit)
        assert found == (min(count, limit) if limit else count)
    assert c("SINTERCARD", len(keys), *keys) == count


@pytest.mark.parametrize("name", ["SINTER", "SUNION", "SDIFF"])
def test_any_wrong_key_is_an_error(c: Wire, wrong: str, name: str) -> None:
    c("SADD", "s", "a")
    for keys in ((wrong,), ("s", wrong), (wrong, "s"), ("none", wrong), (wrong, "none")):
        assert c(name, *keys) == WRONGTYPE
        assert c(f"{name}STORE", "s", *keys) == WRONGTYPE
    assert c("SINTERCARD", 2, "none", wrong) == WRONGTYPE
    assert c("SMEMBERS", "s") == c.as_set([b"a"])
    assert c(name) == arity_error(name.lower())
    assert c(f"{name}STORE", "s") == arity_error(f"{name.lower()}store")


@pytest.mark.parametrize("name", ["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"])
def test_a_destination_of_any_type_is_replaced(c: Wire, wrong: str, name: str) -> None:
    assert c("SADD", "s", "a") == 1
    assert c("EXPIRE", wrong, 100) == 1
    assert c(name, wrong, "s") == 1
    assert c("SMEMBERS", wrong) == c.as_set([b"a"])
    assert c("TTL", wrong) == -1
    assert c("SET", "string", "x").text == "OK"
    assert c(name, "string", "none") == 0
    assert c("EXISTS", "string") == 0
    assert c(name, "none", "none") == 0


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("0", "s"), NO_KEYS),
        (("-1", "s"), NO_KEYS),
        (("x", "s"), NO_KEYS),
        (("01", "s"), NO_KEYS),
        (("9223372036854775808", "s"), NO_KEYS),
        (("2", "s"), TOO_FEW_KEYS),
        (("9223372036854775807", "s"), TOO_FEW_KEYS),
        (("1", "s", "LIMIT"), SYNTAX_ERROR),
        (("1", "s", "s"), SYNTAX_ERROR),
        (("1", "s", "FOO", "1"), SYNTAX_ERROR),
        (("1", "s", "LIMIT", "-1"), NEGATIVE_LIMIT),
        (("1", "none", "LIMIT", "x"), NEGATIVE_LIMIT),
        (("1", "s", "LIMIT", "9223372036854775808"), NEGATIVE_LIMIT),
        (("1", "s", "LIMIT", "1", "limit", "3"), 3),
        (("2", "LIMIT", "s"), 0),
        (("1",), arity_error("sintercard")),
    ],
)
def test_sintercard_arguments(c: Wire, asked: tuple[str, ...], expected: object) -> None:
    c("SADD", "s", "1", "2", "3", "4")
    assert c("SINTERCARD", *asked) == expected


def test_dead_sets_are_empty(c: Wire) -> None:
    c("SADD", "a", "1", "2")
    c("SADD", "b", "1", "3")
    c("PEXPIREAT", "b", 1)
    assert c("SINTER", "a", "b") == c.as_set([])
    assert c("SDIFF", "a", "b") == c.as_set([b"1", b"2"])
    assert c("SUNIONSTORE", "dst", "a", "b") == 2


@pytest.mark.since("7.4")
def test_encodings_of_results(c: Wire) -> None:
    def stored(name: str, *keys: str) -> bytes:
        assert c(name, "dst", *keys) > 0
        found = c("OBJECT", "ENCODING", "dst")
        assert isinstance(found, bytes)
        return found

    c("SADD", "ints", *numbers(0, 300))
    c("SADD", "others", *numbers(200, 600))
    c("SADD", "words", "a", "b", "1", "250")
    c("SADD", "table", *numbers(0, 1000), "a")
    c("SADD", "big", *words(range(1000)))
    assert stored("SINTERSTORE", "ints", "others") == b"intset"
    assert stored("SINTERSTORE", "table", "ints") == b"intset"
    assert stored("SINTERSTORE", "words", "ints") == b"intset"
    assert stored("SINTERSTORE", "words", "table") == b"listpack"
    assert stored("SINTERSTORE", "big", "big") == b"hashtable"
    assert stored("SUNIONSTORE", "ints") == b"intset"
    assert stored("SUNIONSTORE", "ints", "others") == b"hashtable"
    assert stored("SUNIONSTORE", "words") == b"listpack"
    assert stored("SUNIONSTORE", "words", "ints") == b"hashtable"
    assert stored("SUNIONSTORE", "big", "ints") == b"hashtable"
    assert stored("SDIFFSTORE", "ints", "others") == b"intset"
    assert stored("SDIFFSTORE", "words", "ints") == b"listpack"
    assert stored("SDIFFSTORE", "table", "ints", "others") == b"hashtable"
    c("SADD", "few", "a")
    c("SREM", "table", *numbers(0, 990))
    assert stored("SDIFFSTORE", "table", "few") == b"intset"


@pytest.mark.since("7.4")
def test_a_difference_by_walking_keeps_the_wider_encoding(c: Wire) -> None:
    # With two short sets to subtract, Redis copies the first one and takes members out.
    c("SADD", "ints", *numbers(0, 10), "x")
    c("SADD", "one", "x")
    c("SADD", "two", "1")
    assert c("SDIFFSTORE", "dst", "ints", "one", "two") == 9
    assert c("OBJECT", "ENCODING", "dst") == b"listpack"
    assert c("SMEMBERS", "dst") == c.as_set([b"0", *numbers(2, 10)])
