"""Where keys stand: each way a spec begins and goes on, and the commands that have to look for themselves."""

from __future__ import annotations

import pytest

from respcache.keyspec import (
    KeyFinder,
    KeySpec,
    after,
    bitfield_keys,
    counted,
    georadius_keys,
    is_movable,
    key,
    legacy_range,
    migrate_keys,
    positions,
    set_keys,
    sort_keys,
    sort_ro_keys,
    unknown,
)


def words(request: str) -> list[bytes]:
    """A request; `-` stands for an empty word."""
    return [b"" if word == "-" else word.encode() for word in request.split()]


def found(specs: KeySpec | tuple[KeySpec, ...], request: str) -> list[int]:
    all_specs = specs if isinstance(specs, tuple) else (specs,)
    return [at for at, _spec in positions(all_specs, words(request))]


ONE = key("RO ACCESS")
ALL = key("RO ACCESS", last=-1)
PAIRS = key("OW UPDATE", last=-1, step=2)
BUT_LAST = key("RW ACCESS DELETE", last=-2)
HALF = after("RO ACCESS", b"STREAMS", 1, last=-1, limit=2)
STORE = after("OW UPDATE", b"STORE", 3)
FROM_END = after("RW", b"KEYS", -2, last=-1)


@pytest.mark.parametrize(
    ("spec", "request_", "expected"),
    [
        (ONE, "get a", [1]),
        (ONE, "get", []),
        (key("RO", at=2), "object encoding a", [2]),
        (ALL, "mget a b c", [1, 2, 3]),
        (PAIRS, "mset a 1 b 2", [1, 3]),
        (PAIRS, "mset a 1 b", [1, 3]),
        (BUT_LAST, "blpop a b 0", [1, 2]),
        (BUT_LAST, "blpop 0", []),
        (counted("RO", 1), "zunion 2 a b weights 1 2", [2, 3]),
        (counted("RO", 1), "zunion 0 a", []),
        (counted("RO", 1), "zunion 3 a b", []),
        (counted("RO", 1), "zunion x a", []),
        (counted("RO", 1), "zunion -1 a", []),
        (counted("RO", 1), "zunion 01 a", []),
        (counted("RO", 1), "zunion 99999999999999999999 a", []),
        (counted("RO", 1), "zunion", []),
        (HALF, "xread count 2 streams a b 0 0", [4, 5]),
        (HALF, "xread STREAMS a 0", [2]),
        (HALF, "xread streams streams 0", [2]),
        (HALF, "xread streams a b 0", [2]),
        (HALF, "xread streams a", []),
        (HALF, "xread streams", []),
        (HALF, "xread count 2", []),
        (STORE, "geo k 1 store d", [4]),
        (STORE, "geo store 1 2", []),
        (STORE, "geo k 1 store", []),
        (FROM_END, "migrate h keys a b", [3, 4]),
        (FROM_END, "migrate keys a keys b", [4]),
        (FROM_END, "migrate h a", []),
        (unknown("RO"), "sort a", []),
        (key("not_key"), "spublish channel", []),
        (key("RW incomplete"), "some a", []),
        ((key("OW"), counted("RO", 2)), "zunionstore d 2 a b", [1, 3, 4]),
        ((key("OW"), counted("RO", 2)), "zunionstore d 3 a b", []),
        ((), "ping", []),
    ],
)
def test_positions(spec: KeySpec | tuple[KeySpec, ...], request_: str, expected: list[int]) -> None:
    assert found(spec, request_) == expected


def test_every_position_comes_with_its_spec() -> None:
    specs = (key("OW UPDATE"), counted("RO ACCESS", 2))
    assert positions(specs, words("zunionstore d 1 a")) == [(1, specs[0]), (3, specs[1])]


@pytest.mark.parametrize(
    ("finder", "request_", "expected"),
    [
        (set_keys, "set k v", [(1, "OW update")]),
        (set_keys, "set k v ex 3 get", [(1, "RW access update")]),
        (set_keys, "set k get", [(1, "OW update")]),
        (bitfield_keys, "bitfield k", [(1, "RO access")]),
        (bitfield_keys, "bitfield k get u8 0 GET u8 1", [(1, "RO access")]),
        (bitfield_keys, "bitfield k overflow sat", [(1, "RO access")]),
        (bitfield_keys, "bitfield k overflow sat get u8 0 set u8 0 1", [(1, "RW access update")]),
        (bitfield_keys, "bitfield k get u8", [(1, "RW access update")]),
        (sort_ro_keys, "sort_ro k by w", [(1, "RO access")]),
        (sort_keys, "sort k", [(1, "RO access")]),
        (sort_keys, "sort k store", [(1, "RO access")]),
        (sort_keys, "sort k limit 0 store a", [(1, "RO access")]),
        (sort_keys, "sort k by store get store STORE a store b", [(1, "RO access"), (9, "OW update")]),
        (georadius_keys, "georadius k 1 2 3 m", [(1, "RO access")]),
        (georadius_keys, "georadius k 1 2 3 m store a storedist b", [(1, "RO access"), (9, "OW update")]),
        (migrate_keys, "migrate h p k 0 1 auth keys", [(3, "RW access delete")]),
        (migrate_keys, "migrate h p k 0 1 keys a", [(3, "RW access delete")]),
        (
            migrate_keys,
            "migrate h p - 0 1 auth2 keys keys KEYS a b",
            [(10, "RW access delete"), (11, "RW access delete")],
        ),
        (migrate_keys, "migrate h p - 0 1 copy", [(3, "RW access delete")]),
    ],
)
def test_finders(finder: KeyFinder, request_: str, expected: list[tuple[int, str]]) -> None:
    assert [(at, " ".join(spec.names)) for at, spec in finder(words(request_))] == expected


@pytest.mark.parametrize(
    ("specs", "expected", "movable"),
    [
        ((), (0, 0, 0), False),
        ((ONE,), (1, 1, 1), False),
        ((ALL,), (1, -1, 1), False),
        ((PAIRS,), (1, -1, 2), False),
        ((key("RW"), key("OW", at=2)), (1, 2, 1), False),  # RENAME
        ((key("OW", at=2), key("RO", at=3, last=-1)), (2, -1, 1), False),  # BITOP
        ((counted("RO", 1),), (0, 0, 0), True),
        ((ONE, STORE), (1, 1, 1), True),
        ((ONE, unknown("RO")), (1, 1, 1), True),
    ],
)
def test_as_redis_before_7_said_it(
    specs: tuple[KeySpec, ...], expected: tuple[int, int, int], movable: bool
) -> None:
    assert legacy_range(specs) == expected
    assert is_movable(specs) is movable


def test_the_names_of_flags() -> None:
    assert key("RW ACCESS variable_flags").names == ("RW", "access", "variable_flags")
