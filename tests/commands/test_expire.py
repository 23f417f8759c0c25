"""Times to live: EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT, their readers, PERSIST."""

from __future__ import annotations

import time

import pytest

from tests.commands.test_keys import expired
from tests.wire import NOT_AN_INTEGER, Error, Reply, Wire, arity_error

NX_ALONE = Error("ERR NX and XX, GT or LT options at the same time are not compatible")
GT_OR_LT = Error("ERR GT and LT options at the same time are not compatible")
LATE = 4_000_000_000
"""A Unix time in seconds, far away."""


def invalid(name: str) -> Error:
    return Error(f"ERR invalid expire time in '{name.lower()}' command")


@pytest.fixture
def k(c: Wire) -> Wire:
    """A connection to a server that has a key `k`."""
    c("SET", "k", "v")
    return c


def test_expire(k: Wire) -> None:
    assert k("EXPIRE", "k", 100) == 1
    assert k("TTL", "k") == 100
    assert 99_000 < k("PTTL", "k") <= 100_000
    assert k("PEXPIRE", "k", 5500) == 1
    assert 5000 < k("PTTL", "k") <= 5500
    assert k("EXPIREAT", "k", LATE) == 1
    assert k("EXPIRETIME", "k") == LATE
    assert k("PEXPIREAT", "k", LATE * 1000 + 7) == 1
    assert k("PEXPIRETIME", "k") == LATE * 1000 + 7


@pytest.mark.parametrize("name", ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"])
def test_a_missing_key(c: Wire, name: str) -> None:
    assert c(name, "nothing", 100) == 0
    assert c(name, "nothing", -1) == 0
    expired(c, "k")
    assert c(name, "k", LATE) == 0


@pytest.mark.parametrize("name", ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"])
@pytest.mark.parametrize("amount", [0, -1, -1000])
def test_a_time_that_is_past_deletes(k: Wire, name: str, amount: int) -> None:
    assert k(name, "k", amount) == 1
    assert k("DBSIZE") == 0


def test_it_expires(k: Wire) -> None:
    k("PEXPIRE", "k", 20)
    assert k("GET", "k") == b"v"
    time.sleep(0.03)
    assert k("GET", "k") == k.null
    assert k("DBSIZE") == 0


def test_keys_nobody_asks_for_expire_too(k: Wire) -> None:
    for number in range(200):
        k("SET", f"k{number}", "v", "PX", 1 + number)
    deadline = time.monotonic() + 4
    while k("DBSIZE") > 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "amount", "reply"),
    [
        ("EXPIRE", 9223372036854775807, invalid("EXPIRE")),
        ("EXPIRE", -9223372036854775808, invalid("EXPIRE")),
        ("EXPIRE", 9223372036854775, invalid("EXPIRE")),
        ("EXPIRE", 9223370000000000, 1),
        ("EXPIRE", -9223372036854775, 1),
        ("PEXPIRE", 9223372036854775807, invalid("PEXPIRE")),
        ("PEXPIRE", -9223372036854775808, 1),
        ("EXPIREAT", 9223372036854775, 1),
        ("EXPIREAT", 9223372036854776, invalid("EXPIREAT")),
        ("EXPIREAT", -9223372036854775, 1),
        ("EXPIREAT", -9223372036854776, invalid("EXPIREAT")),
        ("PEXPIREAT", 9223372036854775807, 1),
        ("PEXPIREAT", 9223372036854775808, NOT_AN_INTEGER),
        ("PEXPIREAT", -9223372036854775808, 1),
        ("EXPIRE", "1.5", NOT_AN_INTEGER),
        ("EXPIRE", "", NOT_AN_INTEGER),
        ("PEXPIRE", "ten", NOT_AN_INTEGER),
    ],
)
def test_edges(k: Wire, name: str, amount: int | str, reply: Reply) -> None:
    assert k(name, "k", amount) == reply


def test_a_failed_expire_changes_nothing(k: Wire) -> None:
    k("EXPIRE", "k", 100)
    assert k("EXPIRE", "k", 1 << 62) == invalid("EXPIRE")
    assert k("TTL", "k") == 100


@pytest.mark.parametrize("name", ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"])
def test_option_errors(k: Wire, name: str) -> None:
    assert k(name, "k", "x", "FOO") == Error("ERR Unsupported option FOO")
    assert k(name, "nothing", 1, "NX", "foo\r\nbar") == Error("ERR Unsupported option foo  bar")
    for other in ("XX", "GT", "LT"):
        assert k(name, "k", "x", "NX", other) == NX_ALONE
    assert k(name, "k", "x", "GT", "LT") == GT_OR_LT
    assert k(name, "k", "x", "GT", "LT", "NX") == NX_ALONE
    assert k(name, "k", "x", "NX") == NOT_AN_INTEGER
    assert k(name, "k") == arity_error(name.lower())


@pytest.mark.parametrize(
    ("options", "without", "sooner", "same", "later"),
    [
        ("NX", 1, 0, 0, 0),
        ("XX", 0, 1, 1, 1),
        ("GT", 0, 0, 0, 1),
        ("LT", 1, 1, 0, 0),
        ("xx gt", 0, 0, 0, 1),
        ("LT XX", 0, 1, 0, 0),
        ("NX NX", 1, 0, 0, 0),
    ],
)
def test_conditions(k: Wire, options: str, without: int, sooner: int, same: int, later: int) -> None:
    assert k("EXPIREAT", "k", LATE, *options.split()) == without
    for by, reply in ((-1, sooner), (0, same), (1, later)):
        k("EXPIREAT", "k", LATE)
        assert k("EXPIREAT", "k", LATE + by, *options.split()) == reply
        assert k("EXPIRETIME", "k") == LATE + by * reply


def test_conditions_hold_for_times_that_are_past(k: Wire) -> None:
    assert k("EXPIRE", "k", -5, "GT") == 0
    assert k("EXPIRE", "k", -5, "XX") == 0
    k("EXPIRE", "k", 100)
    assert k("EXPIRE", "k", -5, "NX") == 0
    assert k("EXPIRE", "k", -5, "LT") == 1
    assert k("EXISTS", "k") == 0


@pytest.mark.parametrize("name", ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"])
def test_readers_without_a_time(k: Wire, name: str) -> None:
    assert k(name, "nothing") == -2
    assert k(name, "k") == -1
    assert k(name) == k(name, "a", "b") == arity_error(name.lower())
    expired(k, "k")
    assert k(name, "k") == -2


@pytest.mark.parametrize(("part", "seconds"), [(499, LATE), (500, LATE + 1), (999, LATE + 1)])
def test_seconds_are_rounded(k: Wire, part: int, seconds: int) -> None:
    k("PEXPIREAT", "k", LATE * 1000 + part)
    assert k("EXPIRETIME", "k") == seconds


@pytest.mark.parametrize(("left", "seconds"), [(99_450, 99), (99_650, 100)])
def test_ttl_is_rounded(k: Wire, left: int, seconds: int) -> None:
    k("PEXPIRE", "k", left)
    assert k("TTL", "k") == seconds


def test_persist(k: Wire) -> None:
    assert k("PERSIST", "nothing") == 0
    assert k("PERSIST", "k") == 0
    k("EXPIRE", "k", 100)
    assert k("PERSIST", "k") == 1
    assert k("TTL", "k") == -1
    assert k("PERSIST") == arity_error("persist")
    expired(k, "k")
    assert k("PERSIST", "k") == 0


def test_what_keeps_and_what_ends_a_time_to_live(k: Wire) -> None:
    k("EXPIRE", "k", 100)
    k("APPEND", "k", "w")
    assert k("TTL", "k") == 100
    k("SET", "k", 1)
    assert k("TTL", "k") == -1
    k("EXPIRE", "k", 100)
    k("INCR", "k")
    assert k("TTL", "k") == 100
    k("DEL", "k")
    k("SET", "k", 1)
    assert k("TTL", "k") == -1
