"""Times to live of the fields of hashes. The oracle is too old for them: what is asserted was read off Redis 7.4."""

from __future__ import annotations

import time

import pytest

from tests.wire import NOT_AN_INTEGER, OK, WRONGTYPE, Error, Verbatim, Wire, arity_error, pairs

pytestmark = pytest.mark.since("7.4")

FAR = 2_000_000_000  # the year 2033, in seconds
FAR_MS = FAR * 1000
LATEST_MS = (1 << 46) - 1

NEGATIVE = Error("ERR invalid expire time, must be >= 0")
NO_FIELDS = Error("ERR Mandatory argument FIELDS is missing or not at the right position")
FEW_FIELDS = Error("ERR Parameter `numFields` should be greater than 0")
NOT_POSITIVE = Error("ERR Number of fields must be a positive integer")
OTHER_NUMBER = Error("ERR The `numfields` parameter must match the number of arguments")


@pytest.fixture(params=["small", "big"])
def h(request: pytest.FixtureRequest, c: Wire) -> str:
    """A hash of three fields, stored as a listpack or as a table."""
    c("HSET", "h", "a", 1, "b", 2, "c", 3)
    if request.param == "big":
        c("HSET", "h", "long", "x" * 100)
        c("HDEL", "h", "long")
    return "h"


@pytest.fixture
def dying(h: str, c: Wire) -> str:
    """That hash, of which only `a` lives: the others are dead, and nobody has buried them."""
    c("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    assert c("HPEXPIRE", h, 1, "FIELDS", 2, "b", "c") == [1, 1]
    time.sleep(0.003)
    return h


def fields(*names: str) -> list[str]:
    """The words that name fields."""
    return ["FIELDS", str(len(names)), *names]


def info(c: Wire, section: str) -> bytes:
    """A section of INFO."""
    reply = c("INFO", section)
    return reply.data if isinstance(reply, Verbatim) else reply


# Setting and asking


def test_the_four_commands(c: Wire, h: str) -> None:
    assert c("HEXPIREAT", h, FAR, *fields("a", "x", "a")) == [1, -2, 1]
    assert c("HPEXPIREAT", h, FAR_MS + 1, *fields("b")) == [1]
    assert c("HEXPIRETIME", h, *fields("a", "b", "c", "x")) == [FAR, FAR + 1, -1, -2]
    assert c("HPEXPIRETIME", h, *fields("a", "b", "c", "x")) == [FAR_MS, FAR_MS + 1, -1, -2]
    assert c("HEXPIRE", h, 100, "fields", 1, "a") == [1]
    assert c("HPEXPIRE", h, 200_000, *fields("b")) == [1]
    assert c("HTTL", h, *fields("a", "b", "c", "x")) == [100, 200, -1, -2]
    left = c("HPTTL", h, *fields("a", "b", "c", "x"))
    assert 99_000 < left[0] <= 100_000 < 199_000 < left[1] <= 200_000
    assert left[2:] == [-1, -2]
    assert pairs(c("HGETALL", h)) == {b"a": b"1", b"b": b"2", b"c": b"3"}


def test_a_missing_key(c: Wire) -> None:
    for command in ("HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT"):
        assert c(command, "nothing", 1, *fields("a", "b")) == [-2, -2]
    for command in ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"):
        assert c(command, "nothing", *fields("a", "b")) == [-2, -2]
    assert c("EXISTS", "nothing") == 0


def test_a_hash_without_deadlines(c: Wire, h: str) -> None:
    for command in ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"):
        assert c(command, h, *fields("a", "x")) == [-1, -2]


def test_hpersist(c: Wire, h: str) -> None:
    c("HEXPIRE", h, 100, *fields("a", "b"))
    assert c("HPERSIST", h, *fields("a", "c", "x", "a")) == [1, -1, -2, -1]
    assert c("HTTL", h, *fields("a", "b")) == [-1, 100]


@pytest.mark.parametrize(
    ("condition", "without", "later", "same", "earlier"),
    [
        ("NX", 1, 0, 0, 0),
        ("XX", 0, 1, 1, 1),
        ("GT", 0, 1, 0, 0),
        ("LT", 1, 0, 0, 1),
        ("lt", 1, 0, 0, 1),
    ],
)
def test_conditions(
    c: Wire, h: str, condition: str, without: int, later: int, same: int, earlier: int
) -> None:
    def hexpireat(when: int, field: str) -> int:
        (reply,) = c("HPEXPIREAT", h, when, condition, *fields(field))
        assert c("HPEXPIRETIME", h, *fields(field)) == ([when] if reply else before)
        return int(reply)

    before = [-1]
    assert hexpireat(FAR_MS, "b") == without
    for when, expected in ((FAR_MS + 1, later), (FAR_MS, same), (FAR_MS - 1, earlier)):
        before = [FAR_MS]
        c("HPEXPIREAT", h, FAR_MS, *fields("a"))
        assert hexpireat(when, "a") == expected


def test_times_in_the_past_delete(c: Wire, h: str) -> None:
    assert c("HEXPIRE", h, 0, *fields("a", "a", "x")) == [2, -2, -2]
    assert c("HPEXPIREAT", h, 1, "GT", *fields("b")) == [0]
    assert c("HPEXPIREAT", h, 1, "NX", *fields("b")) == [2]
    assert c("HKEYS", h) == [b"c"]
    assert c("HEXPIREAT", h, 0, *fields("c")) == [2]
    assert c("EXISTS", h) == 0


def test_extreme_times(c: Wire, h: str) -> None:
    assert c("HPEXPIREAT", h, LATEST_MS, *fields("a")) == [1]
    assert c("HPEXPIRETIME", h, *fields("a")) == [LATEST_MS]
    assert c("HEXPIREAT", h, LATEST_MS // 1000, *fields("a")) == [1]
    for command, amount in (
        ("HPEXPIREAT", LATEST_MS + 1),
        ("HEXPIREAT", LATEST_MS // 1000 + 1),
        ("HPEXPIRE", LATEST_MS),
        ("HEXPIRE", (1 << 63) - 1),
    ):
        error = Error(f"ERR invalid expire time in '{command.lower()}' command")
        assert c(command, h, amount, *fields("a")) == error


# What takes a deadline away, and what does not


def test_setting_a_field_takes_its_deadline_away(c: Wire, h: str) -> None:
    c("HPEXPIREAT", h, FAR_MS, *fields("a", "b", "c"))
    assert c("HSET", h, "a", 1) == 0
    assert c("HMSET", h, "b", 1, "new", 1) == OK
    assert c("HSETNX", h, "c", 1) == 0
    assert c("HPEXPIRETIME", h, *fields("a", "b", "c", "new")) == [-1, -1, FAR_MS, -1]


def test_counting_keeps_it(c: Wire, h: str) -> None:
    c("HPEXPIREAT", h, FAR_MS, *fields("a", "b"))
    assert c("HINCRBY", h, "a", 1) == 2
    assert c("HINCRBYFLOAT", h, "b", "0.5") == b"2.5"
    assert c("HPEXPIRETIME", h, *fields("a", "b")) == [FAR_MS, FAR_MS]


def test_deleting_a_field_forgets_it(c: Wire, h: str) -> None:
    c("HPEXPIREAT", h, FAR_MS, *fields("a"))
    assert c("HDEL", h, "a") == 1
    assert c("HSET", h, "a", 1) == 1
    assert c("HPEXPIRETIME", h, *fields("a")) == [-1]


def test_growing_big_keeps_all(c: Wire) -> None:
    c("HSET", "h", "a", 1, "b", 2)
    c("HPEXPIREAT", "h", FAR_MS, *fields("a", "b"))
    assert c("OBJECT", "ENCODING", "h") == b"listpackex"
    c("HSET", "h", "a", "x" * 100)
    assert c("OBJECT", "ENCODING", "h") == b"hashtable"
    assert c("HPEXPIRETIME", "h", *fields("a", "b")) == [-1, FAR_MS]


def test_info_counts_hashes_with_deadlines(c: Wire, h: str) -> None:
    assert b"subexpiry=0" in info(c, "keyspace")
    c("HPEXPIREAT", h, FAR_MS, *fields("a"))
    assert b"subexpiry=1" in info(c, "keyspace")
    c("DEL", h)
    c("HSET", h, "a", 1)
    assert b"subexpiry=0" in info(c, "keyspace")


def test_encodings(c: Wire, h: str) -> None:
    before = c("OBJECT", "ENCODING", h)
    c("HPEXPIREAT", h, FAR_MS, *fields("a"))
    after = b"listpackex" if before == b"listpack" else b"hashtable"
    assert c("OBJECT", "ENCODING", h) == after
    c("HPERSIST", h, *fields("a"))
    assert c("OBJECT", "ENCODING", h) == after


@pytest.mark.parametrize("command", ["RENAME h k", "COPY h k", "MOVE h 1"])
def test_deadlines_go_with_the_hash(c: Wire, h: str, command: str) -> None:
    c("HPEXPIREAT", h, FAR_MS, *fields("a"))
    c("HPEXPIRE", h, 30, *fields("b"))
    c(*command.split())
    if command.startswith("MOVE"):
        c("SELECT", 1)
    key = "h" if command.startswith("MOVE") else "k"
    assert c("HPEXPIRETIME", key, *fields("a")) == [FAR_MS]
    assert expires(c, key, b"a", b"c")
    assert c("HGET", key, "b") == c.null


def test_deadlines_go_with_the_database(c: Wire, h: str) -> None:
    c("HPEXPIRE", h, 30, *fields("b"))
    c("SWAPDB", 0, 1)
    c("SELECT", 1)
    assert expires(c, h, b"a", b"c")


@pytest.mark.parametrize("command", ["DEL h", "FLUSHALL", "SET h x", "HDEL h a b c"])
def test_deadlines_go_with_their_key(c: Wire, h: str, command: str) -> None:
    c("HPEXPIRE", h, 20, *fields("b"))
    c(*command.split())
    c("DEL", h)
    c("HSET", h, "b", 1)
    time.sleep(0.15)
    assert c("HLEN", h) == 1


# The dead


def expires(c: Wire, key: str, *left: bytes) -> bool:
    """Waits until the dead are gone by themselves."""
    deadline = time.monotonic() + 3
    while c("HLEN", key) != len(left) and time.monotonic() < deadline:
        time.sleep(0.01)
    return sorted(c("HKEYS", key)) == sorted(left)


def test_fields_expire_by_themselves(c: Wire, h: str) -> None:
    c("CONFIG", "RESETSTAT")
    c("HPEXPIRE", h, 20, *fields("a", "b"))
    c("HPEXPIRE", h, 700, *fields("c"))
    assert expires(c, h, b"c")
    assert expires(c, h)
    assert c("EXISTS", h) == c("DBSIZE") == 0
    assert b"expired_subkeys:3\r\n" in info(c, "stats")


def test_a_dead_field_is_missing(c: Wire, dying: str) -> None:
    assert c("HLEN", dying) == 3  # the one command that counts them
    assert c("HGET", dying, "b") == c.null
    assert c("HMGET", dying, "a", "b", "c") == [b"1", c.null, c.null]
    assert c("HEXISTS", dying, "c") == c("HSTRLEN", dying, "c") == 0
    assert c("HLEN", dying) == 1


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("HEXISTS h b", 0),
        ("HSTRLEN h b", 0),
        ("HDEL h b c", 0),
        ("HSET h b 5", 1),
        ("HSET h a 5 b 5", 1),
        ("HSETNX h b 5", 1),
        ("HINCRBY h b 5", 5),
        ("HINCRBYFLOAT h b 5", b"5"),
        ("HKEYS h", [b"a"]),
        ("HVALS h", [b"1"]),
        ("HSCAN h 0", [b"0", [b"a", b"1"]]),
        ("HSCAN h 0 MATCH b NOVALUES", [b"0", []]),
        ("HRANDFIELD h 5", [b"a"]),
        ("HRANDFIELD h", b"a"),
        ("HRANDFIELD h -3", [b"a", b"a", b"a"]),
        ("HTTL h FIELDS 2 a b", [-1, -2]),
        ("HPERSIST h FIELDS 2 a b", [-1, -2]),
        ("HEXPIRE h 100 FIELDS 2 a b", [1, -2]),
    ],
)
def test_every_command_finds_it_missing(c: Wire, dying: str, command: str, reply: object) -> None:
    assert c(*command.split()) == reply
    if command.startswith(("HSET", "HINCR")):
        assert c("HTTL", dying, *fields("b")) == [-1]
    assert c("HGET", dying, "c") == c.null


@pytest.mark.parametrize(
    "command",
    [
        "HGETALL h",
        "HMGET h a b c",
        "HKEYS h",
        "HRANDFIELD h",
        "HSCAN h 0",
        "HDEL h a b c",
        "HTTL h FIELDS 3 a b c",
    ],
)
def test_a_hash_without_living_fields_goes(c: Wire, dying: str, command: str) -> None:
    c("HPEXPIRE", dying, 1, *fields("a"))
    time.sleep(0.003)
    assert c("EXISTS", dying) == 1
    c(*command.split())
    assert c("EXISTS", dying) == 0


def test_setting_after_the_death_of_all_starts_anew(c: Wire, dying: str) -> None:
    c("HPEXPIRE", dying, 1, *fields("a"))
    time.sleep(0.003)
    assert c("HMGET", dying, "a", "b", "c") == [c.null] * 3
    assert c("HINCRBY", dying, "a", 3) == 3
    assert c("HGETALL", dying) == c.as_map([(b"a", b"3")])
    assert c("OBJECT", "ENCODING", dying) == b"listpack"


# Errors


@pytest.mark.parametrize("key", ["h", "nothing"])
def test_errors_of_hexpire(c: Wire, key: str) -> None:
    c("HSET", "h", "a", 1)
    assert c("HEXPIRE", key, "x", "FOO", 1, "a") == NOT_AN_INTEGER
    assert c("HEXPIRE", key, -1, "FOO", 1, "a") == NEGATIVE
    assert c("HEXPIRE", key, 1, "FOO", 1, "a") == NO_FIELDS
    assert c("HEXPIRE", key, 1, "NX", "XX", "FIELDS", 1, "a") == NO_FIELDS
    assert c("HEXPIRE", key, 1, "FIELDS", 1, "a", "NX") == OTHER_NUMBER
    assert c("HEXPIRE", key, 1, "NX", "FIELDS", 1) == OTHER_NUMBER
    assert c("HEXPIRE", key, 1, "FIELDS", 2, "a") == OTHER_NUMBER
    for number in ("0", "-1", "x", "9223372036854775808"):
        assert c("HEXPIRE", key, 1, "FIELDS", number, "a") == FEW_FIELDS
    assert c("HTTL", key, "FIELDS", 1, "a") == [-1 if key == "h" else -2]


@pytest.mark.parametrize("name", ["HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"])
def test_errors_of_the_others(c: Wire, name: str) -> None:
    c("HSET", "h", "a", 1)
    assert c(name, "h", "FOO", 1, "a") == NO_FIELDS
    assert c(name, "h", "FIELDS", 2, "a") == c(name, "h", "FIELDS", 1, "a", "b") == OTHER_NUMBER
    for number in ("0", "-1", "x"):
        assert c(name, "h", "FIELDS", number, "a") == NOT_POSITIVE


def test_wrong_type_goes_first(c: Wire) -> None:
    c("SET", "s", "x")
    for name in ("HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT"):
        assert c(name, "s", "x", "FOO", 0, "a") == WRONGTYPE
    for name in ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"):
        assert c(name, "s", "FOO", 0, "a") == WRONGTYPE


@pytest.mark.parametrize("name", ["hexpire", "hpexpire", "hexpireat", "hpexpireat"])
def test_arity(c: Wire, name: str) -> None:
    assert c(name, "h", 1, "FIELDS", 1) == arity_error(name)


@pytest.mark.parametrize("name", ["httl", "hpttl", "hexpiretime", "hpexpiretime", "hpersist"])
def test_arity_of_the_others(c: Wire, name: str) -> None:
    assert c(name, "h", "FIELDS", 1) == arity_error(name)
