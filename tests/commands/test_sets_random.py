"""SPOP and SRANDMEMBER: shapes, errors, and that chance is fair."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.servers import Server
from tests.wire import NOT_AN_INTEGER, SYNTAX_ERROR, Error, Set, Wire, arity_error, members

MUST_BE_POSITIVE = Error("ERR value is out of range, must be positive")
COUNT_RANGE = Error(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)

SIZES = [5, 100, 300, 2000]


def fill(c: Wire, size: int, prefix: str = "m") -> list[bytes]:
    words = [f"{prefix}{number}".encode() for number in range(size)]
    c("DEL", "s")
    assert c("SADD", "s", *words) == size
    return sorted(words)


@pytest.mark.parametrize("prefix", ["", "m"])
@pytest.mark.parametrize("size", SIZES)
def test_spop_one_by_one(c: Wire, size: int, prefix: str) -> None:
    words = fill(c, size, prefix)
    assert sorted(c.pipeline([("SPOP", "s")] * size)) == words
    assert c("EXISTS", "s") == 0
    assert c("SPOP", "s") == c.null


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("prefix", ["", "m"])
@pytest.mark.parametrize("size", SIZES)
def test_spop_many(c: Wire, size: int, prefix: str, share: float) -> None:
    words = fill(c, size, prefix)
    count = max(int(size * share), 1)
    popped = c("SPOP", "s", count)
    assert isinstance(popped, Set if c.protocol == 3 else list)
    assert len(members(popped)) == count
    assert sorted(members(popped) + members(c("SMEMBERS", "s"))) == words


def test_spop_with_counts(c: Wire) -> None:
    assert c("SPOP", "none", 3) == c.as_set([])
    assert c("SPOP", "none", 0) == c.as_set([])
    words = fill(c, 3)
    assert c("SPOP", "s", 0) == c.as_set([])
    assert members(c("SPOP", "s", 3)) == words
    assert c("EXISTS", "s") == 0
    words = fill(c, 200)
    assert members(c("SPOP", "s", "9223372036854775807")) == words
    assert c("EXISTS", "s") == 0


@pytest.mark.parametrize("count", ["-1", "x", "", "1.5", "9223372036854775808"])
@pytest.mark.parametrize("key", ["s", "none", "list"])
def test_spop_counts_that_are_none(c: Wire, wrong: str, key: str, count: str) -> None:
    fill(c, 3)
    assert c("SPOP", key, count) == MUST_BE_POSITIVE


def test_spop_errors(c: Wire) -> None:
    assert c("SPOP", "s", 1, 2) == SYNTAX_ERROR
    assert c("SPOP") == arity_error("spop")


@pytest.mark.parametrize("prefix", ["", "m"])
@pytest.mark.parametrize("size", SIZES)
def test_srandmember(c: Wire, size: int, prefix: str) -> None:
    words = fill(c, size, prefix)
    assert c("SRANDMEMBER", "s") in words
    for count in (1, size // 2, size - 1):
        found = c("SRANDMEMBER", "s", count)
        assert isinstance(found, list)
        assert len(found) == len(set(found)) == count
        assert set(found) <= set(words)
    for count in (size, size + 1, 9223372036854775807):
        assert sorted(c("SRANDMEMBER", "s", count)) == words
    for count in (1, 3 * size):
        found = c("SRANDMEMBER", "s", -count)
        assert isinstance(found, list)
        assert len(found) == count
        assert set(found) <= set(words)
    assert c("SRANDMEMBER", "s", 0) == []
    assert c("SCARD", "s") == size


def test_srandmember_of_nothing(c: Wire) -> None:
    assert c("SRANDMEMBER", "none") == c.null
    assert c("SRANDMEMBER", "none", 3) == []
    assert c("SRANDMEMBER", "none", -3) == []


@pytest.mark.parametrize("key", ["s", "none", "list"])
def test_srandmember_errors(c: Wire, wrong: str, key: str) -> None:
    fill(c, 3)
    assert c("SRANDMEMBER", key, "x") == NOT_AN_INTEGER
    assert c("SRANDMEMBER", key, "9223372036854775808") == NOT_AN_INTEGER
    assert c("SRANDMEMBER", key, "-9223372036854775808") == COUNT_RANGE
    assert c("SRANDMEMBER", key, 1, 2) == SYNTAX_ERROR
    assert c("SRANDMEMBER") == arity_error("srandmember")


@pytest.mark.parametrize("count", [-(2**62), -(2**63) + 1, -(10**7) - 1])
def test_more_than_memory_holds(c: Wire, server: Server, count: int) -> None:
    fill(c, 3)
    if not server.is_oracle:  # which goes on until its memory ends
        assert c("SRANDMEMBER", "s", count) == Error("ERR value is out of range")


def fair(found: list[bytes], words: list[bytes]) -> None:
    """Asserts that no member comes absurdly often or seldom; each should come 40 times or more."""
    seen = Counter(found)
    expected = len(found) / len(words)
    assert expected >= 40
    worst = max(abs(seen[word] - expected) for word in words)
    assert worst < 8 * expected**0.5  # eight standard deviations
    spread = sum((seen[word] - expected) ** 2 / expected for word in words) / len(words)
    assert spread < 2.5


@pytest.mark.parametrize("size", [20, 300])
@pytest.mark.parametrize("prefix", ["", "m"])
@pytest.mark.since("7.4")  # Redis has another idea of fairness
def test_every_member_has_the_same_chance(c: Wire, size: int, prefix: str) -> None:
    words = fill(c, size, prefix)
    fair(c.pipeline([("SRANDMEMBER", "s")] * (40 * size)), words)
    fair(c("SRANDMEMBER", "s", -40 * size), words)
    for count in (size // 10, size // 2, size - 1):
        drawn = c.pipeline([("SRANDMEMBER", "s", count)] * (40 * size // count + 1))
        fair([word for sample in drawn for word in sample], words)


@pytest.mark.parametrize("count", [1, 30, 60, 95])
@pytest.mark.since("7.4")  # Redis has another idea of fairness
def test_every_member_has_the_same_chance_to_be_popped(c: Wire, count: int) -> None:
    for size in (100, 200):
        words = fill(c, size)
        asked: list[tuple[str | bytes | int, ...]] = [("SPOP", "s", count), ("SADD", "s", *words)]
        replies = c.pipeline(asked * (40 * size // count + 1))[::2]
        fair([word for popped in replies for word in members(popped)], words)
