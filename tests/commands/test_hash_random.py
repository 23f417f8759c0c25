"""HRANDFIELD."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.servers import Server
from tests.wire import NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, Error, Reply, Wire, arity_error

INT64_MAX = (1 << 63) - 1


def with_values(c: Wire, reply: Reply) -> list[tuple[bytes, bytes]]:
    """The pairs of a reply: arrays of two in RESP3, one flat array in RESP2."""
    assert isinstance(reply, list)
    if c.protocol == 3:
        return [(field, value) for field, value in reply]
    return list(zip(reply[::2], reply[1::2], strict=True))


@pytest.fixture(params=[5, 1000])
def content(request: pytest.FixtureRequest, c: Wire) -> dict[bytes, bytes]:
    """A small hash and a big one."""
    made = {b"f%d" % number: b"%d" % number for number in range(request.param)}
    c("HSET", "h", *[word for pair in made.items() for word in pair])
    return made


def test_one_field(c: Wire, content: dict[bytes, bytes]) -> None:
    found = {c("HRANDFIELD", "h") for _ in range(200)}
    assert found <= content.keys()
    assert len(found) > 4


@pytest.mark.parametrize("count", [1, 2, 4, 5, 100, 900, 1000, 5000])
def test_different_fields(c: Wire, content: dict[bytes, bytes], count: int) -> None:
    found = c("HRANDFIELD", "h", count)
    assert len(found) == len(set(found)) == min(count, len(content))
    assert set(found) <= content.keys()
    pairs = with_values(c, c("HRANDFIELD", "h", count, "WITHVALUES"))
    assert len(pairs) == len(dict(pairs)) == min(count, len(content))
    assert set(pairs) <= content.items()


@pytest.mark.parametrize("count", [1, 3, 20, 2000])
def test_fields_that_may_be_the_same(c: Wire, content: dict[bytes, bytes], count: int) -> None:
    found = c("HRANDFIELD", "h", -count)
    assert len(found) == count
    assert set(found) <= content.keys()
    pairs = with_values(c, c("HRANDFIELD", "h", -count, "withvalues"))
    assert len(pairs) == count
    assert set(pairs) <= content.items()


def test_each_field_has_the_same_chance(c: Wire) -> None:
    c("HSET", "h", *[word for number in range(10) for word in (f"f{number}", "v")])
    found: Counter[bytes] = Counter(c("HRANDFIELD", "h", -5000))
    found += Counter(field for _ in range(500) for field in c("HRANDFIELD", "h", 3))
    assert len(found) == 10
    assert all(500 < times < 800 for times in found.values()), found


@pytest.mark.parametrize("count", [-(2**62), -INT64_MAX, -(10**7) - 1])
def test_more_than_memory_holds(c: Wire, server: Server, count: int) -> None:
    c("HSET", "h", "f", "v")
    if not server.is_oracle:  # which goes on until its memory ends
        assert c("HRANDFIELD", "h", count) == Error("ERR value is out of range")


def test_nothing(c: Wire) -> None:
    assert c("HRANDFIELD", "h") == c.null
    assert c("HRANDFIELD", "h", 3) == c("HRANDFIELD", "h", -3) == c("HRANDFIELD", "h", 3, "WITHVALUES") == []
    c("HSET", "h", "f", "v")
    assert c("HRANDFIELD", "h", 0) == c("HRANDFIELD", "h", 0, "WITHVALUES") == []


def test_errors(c: Wire) -> None:
    c("SET", "s", "x")
    assert c("HRANDFIELD", "s") == c("HRANDFIELD", "s", 0) == c("HRANDFIELD", "s", 1) == WRONGTYPE
    assert c("HRANDFIELD", "s", 1, "FOO") == c("HRANDFIELD", "s", 1, "WITHVALUES", "x") == SYNTAX_ERROR
    assert c("HRANDFIELD", "s", "x") == c("HRANDFIELD", "s", "x", "FOO") == NOT_AN_INTEGER
    assert c("HRANDFIELD", "s", -INT64_MAX - 1) == Error(
        f"ERR value is out of range, value must between -{INT64_MAX} and {INT64_MAX}"
    )
    for count in (-INT64_MAX, INT64_MAX, INT64_MAX // 2 + 1, -(INT64_MAX // 2) - 1):
        assert c("HRANDFIELD", "s", count, "WITHVALUES") == Error("ERR value is out of range")
    assert c("HRANDFIELD") == arity_error("hrandfield")
