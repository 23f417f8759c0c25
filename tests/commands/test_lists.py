"""Lists: pushing, popping, reading and changing them."""

from __future__ import annotations

import pytest

from tests.commands.test_keys import expired
from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, WRONGTYPE, Error, Wire, arity_error, pairs

INT64_MAX = (1 << 63) - 1
INT64_MIN = -(1 << 63)
MUST_BE_POSITIVE = Error("ERR value is out of range, must be positive")
LARGE = "x" * 9000


@pytest.fixture
def string(c: Wire) -> str:
    """A key that holds no list."""
    assert c("SET", "string", "x") == OK
    return "string"


def fill(c: Wire, *elements: str, key: str = "l") -> None:
    c("DEL", key)
    assert c("RPUSH", key, *elements) == len(elements)


def content(c: Wire, key: str = "l") -> bytes:
    """The elements of a list, joined."""
    return b" ".join(c("LRANGE", key, 0, -1))


def info(c: Wire, section: str) -> dict[bytes, bytes]:
    """The fields of a section of INFO."""
    reply = c("INFO", section)
    text: bytes = reply if isinstance(reply, bytes) else reply.data
    return dict(line.split(b":", 1) for line in text.splitlines() if b":" in line)


def dirty(c: Wire) -> int:
    return int(info(c, "persistence")[b"rdb_changes_since_last_save"])


# Pushing


def test_push(c: Wire, string: str) -> None:
    assert c("LPUSH", "l", "b") == 1
    assert c("LPUSH", "l", "a") == 2
    assert c("RPUSH", "l", "c", "d") == 4
    assert c("LPUSH", "l", "2", "1", "") == 7
    assert content(c) == b" 1 2 a b c d"
    assert c("RPUSH", "new", b"\0\r\n", "b") == 2
    assert content(c, "new") == b"\0\r\n b"
    assert c("LPUSH", "l2", *"abc") == 3
    assert content(c, "l2") == b"c b a"
    for name in ("LPUSH", "RPUSH", "LPUSHX", "RPUSHX"):
        assert c(name, string, "x") == WRONGTYPE
        assert c(name, "l") == c(name) == arity_error(name.lower())


def test_push_if_there(c: Wire) -> None:
    assert c("LPUSHX", "l", "a") == c("RPUSHX", "l", "a", "b") == 0
    assert c("EXISTS", "l") == 0
    fill(c, "m")
    assert c("LPUSHX", "l", "b", "a") == 3
    assert c("RPUSHX", "l", "y", "z") == 5
    assert content(c) == b"a b m y z"


def test_a_push_keeps_the_time_to_live_of_a_living_list(c: Wire) -> None:
    fill(c, "a")
    c("EXPIRE", "l", 1000)
    c("RPUSH", "l", "b")
    assert c("TTL", "l") in (999, 1000)
    expired(c, "k")
    assert c("RPUSHX", "k", "a") == 0
    assert c("RPUSH", "k", "a") == 1
    assert c("TTL", "k") == -1


@pytest.mark.parametrize("name", ["LPUSH", "RPUSH"])
def test_a_long_list(c: Wire, name: str) -> None:
    replies = c.pipeline([(name, "l", number) for number in range(5000)])
    assert replies == list(range(1, 5001))
    numbers = [b"%d" % number for number in range(5000)]
    assert c("LRANGE", "l", 0, -1) == (numbers if name == "RPUSH" else numbers[::-1])
    pops = c.pipeline([("LPOP" if number % 3 else "RPOP", "l") for number in range(5000)])
    assert sorted(pops) == sorted(numbers)
    assert c("EXISTS", "l") == 0


# Popping


def test_pop(c: Wire, string: str) -> None:
    assert c("LPOP", "l") == c("RPOP", "l") == c.null
    fill(c, *"abcd")
    assert c("LPOP", "l") == b"a"
    assert c("RPOP", "l") == b"d"
    assert c("RPOP", "l") == b"c"
    assert c("LPOP", "l") == b"b"
    assert c("EXISTS", "l") == 0
    fill(c, LARGE, "")
    assert c("LPOP", "l") == LARGE.encode()
    assert c("RPOP", "l") == b""
    for name in ("LPOP", "RPOP"):
        assert c(name, string) == c(name, string, 1) == c(name, string, 0) == WRONGTYPE
        assert c(name) == c(name, "l", 1, 2) == arity_error(name.lower())


def test_pop_with_a_count(c: Wire) -> None:
    for name in ("LPOP", "RPOP"):
        for count in (0, 1, 5):
            assert c(name, "nothing", count) == c.null_array
        fill(c, *"abcdef")
        assert c(name, "l", 0) == []
        assert c(name, "l", 2) == ([b"a", b"b"] if name == "LPOP" else [b"f", b"e"])
        assert c(name, "l", 1) == ([b"c"] if name == "LPOP" else [b"d"])
        assert c(name, "l", INT64_MAX) == ([b"d", b"e", b"f"] if name == "LPOP" else [b"c", b"b", b"a"])
        assert c("EXISTS", "l") == 0
        for word in ("-1", "x", "", "1.5", str(1 << 63), "01"):
            assert c(name, "l", word) == MUST_BE_POSITIVE
    fill(c, "a", "b")
    assert c("RPOP", "l", 2) == [b"b", b"a"]
    assert c("EXISTS", "l") == 0


def test_big_replies_in_a_pipeline(c: Wire) -> None:
    fill(c, *["y" * 20_000] * 12)
    replies = c.pipeline([("LPOP", "l", 5), ("PING",), ("LPOP", "l"), ("RPOP", "l", 100)])
    assert [len(replies[0]), len(replies[2]), len(replies[3])] == [5, 20_000, 6]


# Reading


def test_llen(c: Wire, string: str) -> None:
    assert c("LLEN", "l") == 0
    fill(c, *"abc")
    assert c("LLEN", "l") == 3
    assert c("LLEN", string) == WRONGTYPE
    assert c("LLEN") == c("LLEN", "l", "x") == arity_error("llen")


def test_lindex(c: Wire, string: str) -> None:
    fill(c, *"abc")
    found = [c("LINDEX", "l", at) for at in range(-4, 4)]
    assert found == [c.null, b"a", b"b", b"c", b"a", b"b", b"c", c.null]
    assert c("LINDEX", "l", INT64_MAX) == c("LINDEX", "l", INT64_MIN) == c.null
    assert c("LINDEX", "l", "x") == c("LINDEX", "l", 1 << 63) == NOT_AN_INTEGER
    assert c("LINDEX", "nothing", "x") == c.null
    assert c("LINDEX", string, "x") == WRONGTYPE
    assert c("LINDEX", "l") == arity_error("lindex")


RANGES = [
    (0, -1, "a b c d"),
    (0, 0, "a"),
    (1, 2, "b c"),
    (-2, -1, "c d"),
    (-100, 1, "a b"),
    (2, 100, "c d"),
    (3, 2, ""),
    (4, 5, ""),
    (0, -5, ""),
    (0, -4, "a"),
    (-1, -2, ""),
    (INT64_MIN, INT64_MAX, "a b c d"),
    (INT64_MAX, INT64_MIN, ""),
]


def test_lrange(c: Wire, string: str) -> None:
    assert c("LRANGE", "nothing", 0, -1) == []
    fill(c, *"abcd")
    for first, last, elements in RANGES:
        assert c("LRANGE", "l", first, last) == [each.encode() for each in elements.split()]
    assert c("LRANGE", "nothing", "x", 1) == c("LRANGE", string, 1, "x") == NOT_AN_INTEGER
    assert c("LRANGE", string, 0, 1) == WRONGTYPE
    assert c("LRANGE", "l", 0) == c("LRANGE", "l", 0, 1, 2) == arity_error("lrange")


@pytest.mark.parametrize("sizes", [(3, 3, 3), (3, 4, 3), (0, 0), (1023, 1023), (1024, 1024), (1, 2000)])
def test_lrange_of_elements_of_any_size(c: Wire, sizes: tuple[int, ...]) -> None:
    fill(c, *("x" * size for size in sizes))
    assert [len(element) for element in c("LRANGE", "l", 0, -1)] == list(sizes)


def test_lpos(c: Wire, string: str) -> None:
    fill(c, *"abcbabc1", "1x")
    assert c("LPOS", "l", "b") == 1
    assert c("LPOS", "l", "1") == 7
    assert c("LPOS", "l", "z") == c("LPOS", "nothing", "b") == c.null
    assert c("LPOS", "l", "b", "RANK", 2) == 3
    assert c("LPOS", "l", "b", "rank", -1) == 5
    assert c("LPOS", "l", "b", "RANK", -3) == 1
    assert c("LPOS", "l", "b", "RANK", 4) == c("LPOS", "l", "b", "RANK", INT64_MAX) == c.null
    assert c("LPOS", "l", "b", "RANK", -INT64_MAX) == c.null
    assert c("LPOS", "l", "b", "COUNT", 0) == [1, 3, 5]
    assert c("LPOS", "l", "b", "COUNT", 2) == c("LPOS", "l", "b", "COUNT", 9, "count", 2) == [1, 3]
    assert c("LPOS", "l", "b", "COUNT", INT64_MAX, "RANK", 2) == [3, 5]
    assert c("LPOS", "l", "b", "COUNT", 2, "RANK", -1) == [5, 3]
    assert c("LPOS", "l", "z", "COUNT", 1) == c("LPOS", "nothing", "z", "COUNT", 0) == []
    assert c("LPOS", "l", "b", "COUNT", 0, "MAXLEN", 4) == [1, 3]
    assert c("LPOS", "l", "b", "COUNT", 0, "MAXLEN", 4, "RANK", -1) == [5]
    assert c("LPOS", "l", "b", "MAXLEN", 1) == c.null
    assert c("LPOS", "l", "b", "MAXLEN", 0) == c("LPOS", "l", "b", "MAXLEN", INT64_MAX) == 1
    assert c("LPOS", string, "b") == WRONGTYPE


def test_errors_of_lpos(c: Wire, string: str) -> None:
    assert c("LPOS", string, "b", "RANK", 0) == Error(
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to "
        "start from the end of the list"
    )
    for word in ("x", "-1", "", str(1 << 63)):
        assert c("LPOS", string, "b", "COUNT", word) == Error("ERR COUNT can't be negative")
        assert c("LPOS", string, "b", "MAXLEN", word) == Error("ERR MAXLEN can't be negative")
    assert c("LPOS", string, "b", "RANK", "x") == NOT_AN_INTEGER
    for options in (["FOO"], ["RANK"], ["COUNT", 1, "MAXLEN"], ["FOO", 1]):
        assert c("LPOS", string, "b", *options) == SYNTAX_ERROR
    assert c("LPOS", "l") == arity_error("lpos")


@pytest.mark.since("7.4")
def test_the_least_integer_has_no_opposite(c: Wire) -> None:
    error = Error(f"ERR value is out of range, value must between {-INT64_MAX} and {INT64_MAX}")
    assert c("LPOS", "l", "b", "RANK", INT64_MIN) == c("LREM", "l", INT64_MIN, "b") == error


# Changing


def test_lset(c: Wire, string: str) -> None:
    assert c("LSET", "l", "x", "a") == Error("ERR no such key")
    fill(c, *"abc")
    assert c("LSET", "l", 0, "A") == c("LSET", "l", -1, "C") == c("LSET", "l", 1, LARGE) == OK
    assert content(c) == f"A {LARGE} C".encode()
    for at in (3, -4, INT64_MAX, INT64_MIN):
        assert c("LSET", "l", at, "x") == Error("ERR index out of range")
    assert c("LSET", "l", "x", "a") == NOT_AN_INTEGER
    assert c("LSET", string, "x", "a") == WRONGTYPE
    assert c("LSET", "l", 0) == arity_error("lset")


def test_linsert(c: Wire, string: str) -> None:
    assert c("LINSERT", "l", "BEFORE", "a", "x") == 0
    fill(c, *"abb")
    assert c("LINSERT", "l", "before", "a", "1") == 4
    assert c("LINSERT", "l", "AFTER", "b", "2") == 5
    assert c("LINSERT", "l", "BEFORE", "b", LARGE) == 6
    assert c("LINSERT", "l", "AFTER", "z", "x") == -1
    assert content(c) == f"1 a {LARGE} b 2 b".encode()
    assert c("LINSERT", string, "BEFORE", "a", "x") == WRONGTYPE
    assert c("LINSERT", string, "BESIDE", "a", "x") == SYNTAX_ERROR
    assert c("LINSERT", "l", "BEFORE", "a") == arity_error("linsert")


def test_lrem(c: Wire, string: str) -> None:
    assert c("LREM", "l", 0, "a") == 0
    for count, removed, left in (
        (0, 4, "b c"),
        (1, 1, "b a a c a"),
        (3, 3, "b c a"),
        (-1, 1, "a b a a c"),
        (-2, 2, "a b a c"),
        (-100, 4, "b c"),
        (100, 4, "b c"),
    ):
        fill(c, *"abaaca")
        assert c("LREM", "l", count, "a") == removed
        assert content(c) == left.encode()
    assert c("LREM", "l", 0, "z") == 0
    fill(c, *"aaa")
    assert c("LREM", "l", 0, "a") == 3
    assert c("EXISTS", "l") == 0
    assert c("LREM", "l", "x", "a") == NOT_AN_INTEGER
    assert c("LREM", string, 0, "a") == WRONGTYPE
    assert c("LREM", "l", 0) == arity_error("lrem")


def test_lrem_of_many(c: Wire) -> None:
    elements = [str(number % 3) for number in range(3000)]
    for count, removed in ((0, 1000), (700, 700), (-700, 700)):
        fill(c, *elements)
        assert c("LREM", "l", count, "1") == removed
        places = c("LPOS", "l", "1", "COUNT", 0)
        assert len(places) == 1000 - removed
        assert places == sorted(places)


def test_ltrim(c: Wire, string: str) -> None:
    assert c("LTRIM", "nothing", 0, 1) == OK
    for first, last, elements in RANGES:
        fill(c, *"abcd")
        assert c("LTRIM", "l", first, last) == OK
        assert content(c) == elements.encode()
        assert c("EXISTS", "l") == bool(elements)
    fill(c, *map(str, range(3000)))
    assert c("LTRIM", "l", 10, -10) == OK
    assert c("LLEN", "l") == 2981
    assert c("LTRIM", "l", 100, 101) == OK
    assert content(c) == b"110 111"
    assert c("LTRIM", "nothing", "x", 1) == c("LTRIM", string, 1, "x") == NOT_AN_INTEGER
    assert c("LTRIM", string, 0, 1) == WRONGTYPE
    assert c("LTRIM", "l", 0) == arity_error("ltrim")


@pytest.mark.parametrize(
    ("command", "changes"),
    [
        ("RPUSH new a b c", 3),
        ("LPUSH l a b", 2),
        ("LPOP l", 1),
        ("RPOP l 3", 3),
        ("LPOP l 100", 6),
        ("LPOP l 0", 0),
        ("LSET l 0 a", 1),
        ("LINSERT l BEFORE b x", 1),
        ("LINSERT l BEFORE z x", 0),
        ("LREM l 0 a", 3),
        ("LREM l 0 z", 0),
        ("LTRIM l 1 -3", 3),
        ("LTRIM l 0 -1", 0),
        ("LTRIM l 9 9", 6),
        ("LMOVE l l LEFT RIGHT", 1),
        ("LMOVE l new LEFT RIGHT", 1),
        ("LMPOP 1 l LEFT COUNT 2", 2),
        ("BLPOP l 0", 1),
    ],
)
def test_changes_are_counted(c: Wire, command: str, changes: int) -> None:
    fill(c, *"abaaxb")
    before = dirty(c)
    c(*command.split())
    assert dirty(c) - before == changes


def test_expired_lists_are_gone(c: Wire) -> None:
    for name, rest, reply in (
        ("LLEN", (), 0),
        ("LPOP", (), c.null),
        ("LPOP", (2,), c.null_array),
        ("LRANGE", (0, -1), []),
        ("LINDEX", (0,), c.null),
        ("LREM", (0, "a"), 0),
        ("LTRIM", (0, 0), OK),
        ("LPOS", ("a",), c.null),
        ("LINSERT", ("BEFORE", "a", "b"), 0),
    ):
        expired(c, "k")
        assert c(name, "k", *rest) == reply


def test_reads_are_counted_and_changes_are_not(c: Wire) -> None:
    fill(c, "a")
    c("CONFIG", "RESETSTAT")
    for command in ("LLEN l", "LINDEX l 0", "LRANGE l 0 0", "LPOS l a", "RPUSH l a", "LSET l 0 b", "LPOP l"):
        c(*command.split())
    c("LLEN", "nothing")
    stats = info(c, "stats")
    assert (stats[b"keyspace_hits"], stats[b"keyspace_misses"]) == (b"4", b"1")


# Encodings, and what else any value has


def test_copies_share_nothing(c: Wire) -> None:
    for count in (3, 3000):
        fill(c, *["x"] * count)
        assert c("COPY", "l", "copy", "REPLACE") == 1
        c("RPUSH", "copy", "y")
        assert c("LLEN", "l") == count
        assert c("LLEN", "copy") == count + 1
        assert c("MEMORY", "USAGE", "copy") > count


def encoding(c: Wire) -> bytes:
    found: bytes = c("OBJECT", "ENCODING", "l")
    return found


@pytest.mark.since("7.4")
def test_encoding_by_bytes(c: Wire) -> None:
    fill(c, "x" * 4000)
    assert encoding(c) == b"listpack"
    c("RPUSH", "l", "x" * 4170)  # 7 + 4004 + 4170 = 8181
    assert encoding(c) == b"listpack"
    c("RPUSH", "l", "x" * 20)
    assert encoding(c) == b"quicklist"
    c("LPOP", "l")
    assert encoding(c) == b"quicklist"
    c("LPOP", "l")
    assert encoding(c) == b"listpack"
    c("LSET", "l", 0, LARGE)
    assert encoding(c) == b"quicklist"
    c("LSET", "l", 0, "x")
    assert encoding(c) == b"listpack"
    c("LINSERT", "l", "AFTER", "x", LARGE)
    assert encoding(c) == b"quicklist"
    c("LREM", "l", 0, LARGE)
    assert encoding(c) == b"listpack"
    fill(c, LARGE)
    assert encoding(c) == b"quicklist"


@pytest.mark.since("7.4")
@pytest.mark.parametrize(("limit", "most"), [(-1, 4096), (-2, 8192), (-3, 16384), (-4, 32768), (-5, 65536)])
def test_encoding_by_the_size_that_is_configured(c: Wire, limit: int, most: int) -> None:
    c("CONFIG", "SET", "list-max-listpack-size", limit)
    assert pairs(c("CONFIG", "GET", "list-max-ziplist-size")) == {b"list-max-ziplist-size": b"%d" % limit}
    fill(c, *["x" * 98] * ((most - 7 - 98) // 101 + 1))
    assert encoding(c) == b"listpack"
    c("RPUSH", "l", *["x" * 98] * 3)
    assert encoding(c) == b"quicklist"
    c("LTRIM", "l", 0, (most // 2 - 7) // 101)
    assert encoding(c) == b"quicklist"
    c("RPOP", "l")
    assert encoding(c) == b"listpack"


@pytest.mark.since("7.4")
def test_encoding_by_a_number_of_elements(c: Wire) -> None:
    c("CONFIG", "SET", "list-max-listpack-size", 10)
    fill(c, *["x"] * 10)
    assert encoding(c) == b"listpack"
    c("LPUSH", "l", "x")
    assert encoding(c) == b"quicklist"
    c("LPOP", "l", 5)
    assert encoding(c) == b"quicklist"
    c("LPOP", "l")
    assert encoding(c) == b"listpack"
    c("LPUSH", "l", LARGE)
    assert encoding(c) == b"quicklist"
