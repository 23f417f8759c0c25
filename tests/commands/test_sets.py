"""Sets: members in and out, and the questions about them."""

from __future__ import annotations

import pytest

from tests.wire import NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, Error, Wire, arity_error, members

MUST_BE_POSITIVE = Error("ERR value is out of range, must be positive")


def numbers(first: int, behind: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, behind)]


def test_sadd(c: Wire) -> None:
    assert c("SADD", "s", "b", "a", "b") == 2
    assert c("SADD", "s", "a") == 0
    assert c("SADD", "s", "a", "c", "") == 2
    assert c("SADD", "s", "d") == 1
    assert members(c("SMEMBERS", "s")) == [b"", b"a", b"b", b"c", b"d"]
    assert c("TYPE", "s").text == "set"
    assert c("SADD", "s") == arity_error("sadd")


@pytest.mark.parametrize("count", [3, 128, 200, 600, 3000])
@pytest.mark.parametrize("prefix", [b"", b"m"])
def test_sets_of_any_size(c: Wire, count: int, prefix: bytes) -> None:
    words = [prefix + number for number in numbers(0, count)]
    assert sum(c.pipeline([("SADD", "s", word) for word in words])) == count
    assert c("SADD", "s", *words) == 0
    assert c("SADD", "all", *words) == count
    for key in ("s", "all"):
        assert c("SCARD", key) == count
        assert members(c("SMEMBERS", key)) == sorted(words)
        assert c("SISMEMBER", key, words[-1]) == 1
        assert c("SISMEMBER", key, "none") == 0
        assert c("SREM", key, "none", words[0], words[0]) == 1
        assert c("SISMEMBER", key, words[0]) == 0
        assert c("SREM", key, *words) == count - 1
        assert c("EXISTS", key) == 0


def test_integers_come_in_their_order(c: Wire) -> None:
    assert c("SADD", "s", "10", "9", "-3", "9223372036854775807", "-9223372036854775808") == 5
    ordered = [b"-9223372036854775808", b"-3", b"9", b"10", b"9223372036854775807"]
    assert c("SMEMBERS", "s") == c.as_set(ordered)
    assert c("SSCAN", "s", "0") == [b"0", ordered]
    assert c("SINTER", "s") == c.as_set(ordered)
    assert c("OBJECT", "ENCODING", "s") == b"intset"


@pytest.mark.since("7.4")
def test_a_listpack_keeps_the_order_of_arrival(c: Wire) -> None:
    assert c("SADD", "s", "b", "10", "a", "9") == 4
    assert c("SMEMBERS", "s") == c.as_set([b"b", b"10", b"a", b"9"])
    assert c("SREM", "s", "10") == 1
    assert c("SADD", "s", "10") == 1
    assert c("SMEMBERS", "s") == c.as_set([b"b", b"a", b"9", b"10"])


def test_srem(c: Wire) -> None:
    assert c("SREM", "none", "a") == 0
    assert c("SADD", "s", "a", "b", "c") == 3
    assert c("SREM", "s", "x") == 0
    assert c("SREM", "s", "a") == 1
    assert c("SREM", "s", "b", "x", "b", "c", "a") == 2
    assert c("EXISTS", "s") == 0
    assert c("SREM", "s") == arity_error("srem")


def test_sismember(c: Wire) -> None:
    assert c("SADD", "s", "a", "1") == 2
    assert c("SISMEMBER", "s", "a") == 1
    assert c("SISMEMBER", "s", "01") == 0
    assert c("SISMEMBER", "none", "a") == 0
    assert c("SISMEMBER", "s") == arity_error("sismember")
    assert c("SMISMEMBER", "s", "a", "b", "1", "a") == [1, 0, 1, 1]
    assert c("SMISMEMBER", "none", "a", "b") == [0, 0]
    assert c("SMISMEMBER", "s") == arity_error("smismember")


def test_scard_and_smembers(c: Wire) -> None:
    assert c("SCARD", "none") == 0
    assert c("SMEMBERS", "none") == c.as_set([])
    assert c("SADD", "s", "a") == 1
    assert c("SCARD", "s") == 1
    assert c("SMEMBERS", "s") == c.as_set([b"a"])
    assert c("SCARD", "s", "x") == arity_error("scard")
    assert c("SMEMBERS") == arity_error("smembers")


def test_smove(c: Wire) -> None:
    assert c("SADD", "a", "1", "2") == 2
    assert c("SADD", "b", "2", "x") == 2
    assert c("SMOVE", "a", "b", "none") == 0
    assert c("SMOVE", "none", "b", "1") == 0
    assert c("SMOVE", "a", "b", "2") == 1
    assert c("SCARD", "b") == 2
    assert c("SMOVE", "a", "new", "1") == 1
    assert c("EXISTS", "a") == 0
    assert c("SMEMBERS", "new") == c.as_set([b"1"])
    assert c("SMOVE", "new", "new", "1") == 1
    assert c("SMOVE", "new", "new", "2") == 0
    assert c("SMOVE", "new", "b") == arity_error("smove")


def test_smove_keeps_times_to_live(c: Wire) -> None:
    assert c("SADD", "a", "1", "2") == 2
    assert c("SADD", "b", "3") == 1
    assert c("EXPIRE", "a", 100) == c("EXPIRE", "b", 200) == 1
    assert c("SMOVE", "a", "b", "1") == 1
    assert c("TTL", "a") in (99, 100)
    assert c("TTL", "b") in (199, 200)


def test_smove_and_wrong_types(c: Wire, wrong: str) -> None:
    assert c("SADD", "s", "a") == 1
    assert c("SMOVE", "none", wrong, "a") == 0
    assert c("SMOVE", "s", wrong, "a") == WRONGTYPE
    assert c("SMOVE", "s", wrong, "x") == WRONGTYPE
    assert c("SMOVE", wrong, "s", "a") == WRONGTYPE
    assert c("SMEMBERS", "s") == c.as_set([b"a"])


def test_changes_keep_the_time_to_live(c: Wire) -> None:
    assert c("SADD", "s", *numbers(0, 500)) == 500
    assert c("EXPIRE", "s", 100) == 1
    assert c("SADD", "s", "x") == 1
    assert c("SREM", "s", "x", "0") == 2
    assert len(members(c("SPOP", "s", 490))) == 490
    assert c("TTL", "s") in (99, 100)
    assert c("SCARD", "s") == 9


def test_a_set_that_has_expired_is_none(c: Wire) -> None:
    for asked in (
        ("SCARD", "s"),
        ("SISMEMBER", "s", "a"),
        ("SREM", "s", "a"),
        ("SPOP", "s"),
        ("SADD", "s", "a"),
    ):
        assert c("SADD", "s", "a", "b") == 2
        assert c("PEXPIREAT", "s", 1) == 1
        assert c(*asked) == {"SPOP": c.null, "SADD": 1}.get(asked[0], 0)
        c("DEL", "s")


@pytest.mark.parametrize(
    "asked",
    [
        ("SADD", "x"),
        ("SADD", "x", "y"),
        ("SREM", "x"),
        ("SISMEMBER", "x"),
        ("SMISMEMBER", "x"),
        ("SMEMBERS",),
        ("SCARD",),
        ("SPOP",),
        ("SPOP", "1"),
        ("SRANDMEMBER",),
        ("SRANDMEMBER", "0"),
        ("SSCAN", "0"),
        ("SSCAN", "0", "COUNT", "x"),
    ],
)
def test_wrong_types(c: Wire, wrong: str, asked: tuple[str, ...]) -> None:
    assert c(asked[0], wrong, *asked[1:]) == WRONGTYPE


# Encodings


def encoding(c: Wire, key: str = "s") -> bytes:
    found = c("OBJECT", "ENCODING", key)
    assert isinstance(found, bytes)
    return found


@pytest.mark.since("7.4")
def test_encodings(c: Wire) -> None:
    c("SADD", "s", *numbers(0, 512))
    assert encoding(c) == b"intset"
    c("SADD", "s", "512")
    assert encoding(c) == b"hashtable"
    c("SREM", "s", *numbers(1, 513))
    assert encoding(c) == b"hashtable"  # never back
    c("DEL", "s")
    c("SADD", "s", "1")
    c("SADD", "s", "a")
    assert encoding(c) == b"listpack"
    c("SREM", "s", "a")
    assert encoding(c) == b"listpack"
    c("SADD", "s", *numbers(2, 129))
    assert c("SCARD", "s") == 128
    assert encoding(c) == b"listpack"
    c("SADD", "s", "b")
    assert encoding(c) == b"hashtable"
    c("DEL", "s")
    c("SADD", "s", "x" * 64)
    assert encoding(c) == b"listpack"
    c("SADD", "s", "x" * 65)
    assert encoding(c) == b"hashtable"
    c("SADD", "many", *(["a"] * 129))
    assert encoding(c, "many") == b"hashtable"  # for so many were announced
    c("SADD", "few", "a")
    c("SADD", "few", "b", *(["a"] * 128))
    assert encoding(c, "few") == b"hashtable"


@pytest.mark.since("7.4")
def test_encodings_go_by_the_configuration(c: Wire) -> None:
    c(
        "CONFIG",
        "SET",
        "set-max-intset-entries",
        2,
        "set-max-listpack-entries",
        3,
        "set-max-listpack-value",
        4,
    )
    try:
        for words, expected in (
            (("1", "2"), b"intset"),
            (("1", "2", "3"), b"listpack"),
            (("1", "2", "a"), b"listpack"),
            (("1", "2", "abcde"), b"hashtable"),
            (("12345", "a"), b"hashtable"),
            (("a", "b", "c"), b"listpack"),
            (("a", "b", "c", "d"), b"hashtable"),
        ):
            c("DEL", "s", "t")
            c("SADD", "s", *words)
            assert encoding(c) == expected, words
        for word in ("1", "2", "3"):
            c("SADD", "t", word)
        assert encoding(c, "t") == b"hashtable"
    finally:
        c("CONFIG", "SET", "set-max-intset-entries", 512, "set-max-listpack-entries", 128)
        c("CONFIG", "SET", "set-max-listpack-value", 64)


@pytest.mark.since("7.4")
def test_what_moves_and_what_stays_makes_the_encoding(c: Wire) -> None:
    c("SADD", "s", "1", "a")
    c("SMOVE", "s", "t", "1")
    assert encoding(c, "t") == b"intset"
    c("SMOVE", "s", "t", "a")
    assert encoding(c, "t") == b"listpack"
    c("SADD", "big", "x", *numbers(0, 1000))
    assert encoding(c, "big") == b"hashtable"
    c("SPOP", "big", 10)
    assert encoding(c, "big") == b"hashtable"
    c("SPOP", "big", 981)
    assert encoding(c, "big") == b"listpack"  # what stayed was gathered anew
    c("SADD", "integers", *numbers(0, 500))
    c("SPOP", "integers", 490)
    assert encoding(c, "integers") == b"intset"


# Scans


def test_sscan(c: Wire) -> None:
    assert c("SSCAN", "none", "0") == [b"0", []]
    assert c("SADD", "s", "a", "b", "ab") == 3
    cursor, found = c("SSCAN", "s", "0")
    assert (cursor, members(found)) == (b"0", [b"a", b"ab", b"b"])
    cursor, found = c("SSCAN", "s", "0", "MATCH", "a*", "COUNT", "100")
    assert (cursor, members(found)) == (b"0", [b"a", b"ab"])


@pytest.mark.parametrize("count", [100, 600, 3000])
def test_a_whole_walk(c: Wire, count: int) -> None:
    words = [b"m%d" % number for number in range(count)]
    assert c("SADD", "s", *words) == count
    cursor, calls = b"0", 0
    seen: list[bytes] = []
    while not calls or cursor != b"0":
        cursor, found = c("SSCAN", "s", cursor, "COUNT", "20")
        seen += found
        calls += 1
        c("SADD", "s", *[b"new%d.%d" % (calls, number) for number in range(30)])
        c("SREM", "s", *[b"new%d.%d" % (calls - 1, number) for number in range(30)])
    assert set(words) <= set(seen)
    assert calls < count


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("s", "x"), Error("ERR invalid cursor")),
        (("none", "x", "FOO"), Error("ERR invalid cursor")),
        (("none", "0", "COUNT", "x"), [b"0", []]),
        (("s", "0", "COUNT", "x"), NOT_AN_INTEGER),
        (("s", "0", "COUNT", "0"), SYNTAX_ERROR),
        (("s", "0", "COUNT"), SYNTAX_ERROR),
        (("s", "0", "TYPE", "set"), SYNTAX_ERROR),
        (("s",), arity_error("sscan")),
    ],
)
def test_sscan_errors(c: Wire, asked: tuple[str, ...], expected: object) -> None:
    c("SADD", "s", "a")
    assert c("SSCAN", *asked) == expected
