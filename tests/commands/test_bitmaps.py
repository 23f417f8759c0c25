"""Bitmaps: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP."""

from __future__ import annotations

import pytest

from tests.commands.conftest import Connect
from tests.wire import NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, Error, Wire, arity_error

BIT_OFFSET = Error("ERR bit offset is not an integer or out of range")
BIT = Error("ERR bit is not an integer or out of range")
FAR_MS = 4_102_444_800_000  # the year 2100


def test_set_and_get(c: Wire) -> None:
    assert c("SETBIT", "k", 7, 1) == 0
    assert c("SETBIT", "k", 7, 1) == 1
    assert c("SETBIT", "k", 0, 1) == 0
    assert c("SETBIT", "k", 7, 0) == 1
    assert c("SETBIT", "k", 23, 1) == 0
    assert c("GET", "k") == b"\x80\x00\x01"
    assert [c("GETBIT", "k", at) for at in (0, 1, 7, 23, 24, 4294967295)] == [1, 0, 0, 1, 0, 0]
    assert c("GETBIT", "nothing", 0) == 0
    assert c("SETBIT", "zero", 9, 0) == 0
    assert c("GET", "zero") == b"\x00\x00"
    assert c("OBJECT", "ENCODING", "k") == b"raw"


def test_bits_of_numbers_and_of_what_was_changed_in_place(c: Wire) -> None:
    c("SET", "n", 12)
    c("INCR", "n")
    assert c("GETBIT", "n", 2) == 1
    assert c("BITCOUNT", "n") == 7
    assert c("SETBIT", "n", 6, 1) == 0
    assert c("GET", "n") == b"33"
    assert c("APPEND", "n", "5") == 3
    assert c("SETBIT", "n", 30, 1) == 0
    assert c("GET", "n") == b"335\x02"


def test_changes_keep_the_time_to_live(c: Wire) -> None:
    c("SET", "k", "abc", "PXAT", FAR_MS)
    c("SETBIT", "k", 0, 1)
    assert c("PEXPIRETIME", "k") == FAR_MS
    c("BITOP", "NOT", "k", "k")
    assert c("PEXPIRETIME", "k") == -1


@pytest.mark.parametrize("offset", ["-1", "x", "01", "", "4294967296", "9223372036854775808"])
def test_bad_offsets(c: Wire, offset: str) -> None:
    assert c("SETBIT", "k", offset, 1) == BIT_OFFSET
    assert c("GETBIT", "k", offset) == BIT_OFFSET
    assert c("EXISTS", "k") == 0


@pytest.mark.parametrize("value", ["2", "-1", "x", "01", ""])
def test_bad_bits(c: Wire, value: str) -> None:
    assert c("SETBIT", "k", 1, value) == BIT
    assert c("SETBIT", "k", -1, value) == BIT_OFFSET


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("", 26),
        ("0 0", 4),
        ("1 1", 6),
        ("0 -1", 26),
        ("-2 -1", 7),
        ("-100 100", 26),
        ("5 1", 0),
        ("-1 -2", 0),
        ("-100 -90", 4),
        ("-90 -100", 0),
        ("9 10", 0),
        ("0 -100", 4),
        ("0 -1 BYTE", 26),
        ("5 30 bit", 17),
        ("9 9 BIT", 1),
        ("-8 -1 BIT", 4),
        ("3 12 BIT", 5),
        ("0 1000 BIT", 26),
        ("-1 -2 BIT", 0),
    ],
)
def test_bitcount(c: Wire, span: str, expected: int) -> None:
    c("SET", "k", "foobar")
    assert c("BITCOUNT", "k", *span.split()) == expected
    c("APPEND", "k", "")
    assert c("BITCOUNT", "k", *span.split()) == expected


def test_bitcount_of_nothing(c: Wire) -> None:
    assert c("BITCOUNT", "k") == 0
    assert c("BITCOUNT", "k", 0, -1, "BIT") == 0
    c("SET", "k", "")
    assert c("BITCOUNT", "k") == 0
    assert c("BITCOUNT", "k", 0, 0) == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("0", SYNTAX_ERROR),
        ("0 x", NOT_AN_INTEGER),
        ("x 0", NOT_AN_INTEGER),
        ("0 1 FOO", SYNTAX_ERROR),
        ("0 1 BIT x", SYNTAX_ERROR),
    ],
)
def test_bad_ranges_of_bitcount(c: Wire, words: str, error: Error) -> None:
    c("SET", "k", "abc")
    assert c("BITCOUNT", "k", *words.split()) == error


@pytest.mark.since("7.4")
def test_bad_ranges_are_refused_without_a_key_too(c: Wire) -> None:
    assert c("BITCOUNT", "k", 0, "x") == NOT_AN_INTEGER
    assert c("BITCOUNT", "k", 0) == SYNTAX_ERROR
    assert c("BITPOS", "k", 0, "x") == NOT_AN_INTEGER
    assert c("BITPOS", "k", 0, 1, 2, "FOO") == SYNTAX_ERROR


@pytest.mark.parametrize(
    ("value", "words", "expected"),
    [
        (b"\xff\xf0\x00", "0", 12),
        (b"\xff\xf0\x00", "1", 0),
        (b"\x00\xff\xf0", "1", 8),
        (b"\x00\xff\xf0", "1 2", 16),
        (b"\x00\xff\xf0", "1 -1", 16),
        (b"\x00\xff\xf0", "1 3", -1),
        (b"\x00\x00\x00", "1", -1),
        (b"\xff\xff\xff", "0", 24),
        (b"\xff\xff\xff", "0 0", 24),
        (b"\xff\xff\xff", "0 1", 24),
        (b"\xff\xff\xff", "0 0 -1", -1),
        (b"\xff\xff\xff", "0 3", -1),
        (b"\xff\xff\xff", "0 -100", 24),
        (b"\xff\xff\xff", "0 2 1", -1),
        (b"\x00\xff\xf0", "1 7 15 BIT", 8),
        (b"\x00\xff\xf0", "1 0 7 BIT", -1),
        (b"\x00\xff\xf0", "0 9 -1 BIT", 20),
        (b"\x00\xff\xf0", "0 9 19 bit", -1),
        (b"\x00\xff\xf0", "1 7 -3 BIT", 8),
        (b"\x00\xff\xf0", "1 0 -1 BYTE", 8),
        (b"\x00\x08\x00", "1 12 12 BIT", 12),
        (b"\x00\x08\x00", "1 13 14 BIT", -1),
        (b"\xff\xf7\xff", "0 11 13 BIT", 12),
        (b"", "0", -1),
        (b"", "1", -1),
    ],
)
def test_bitpos(c: Wire, value: bytes, words: str, expected: int) -> None:
    c("SET", "k", value)
    assert c("BITPOS", "k", *words.split()) == expected


def test_bitpos_of_nothing(c: Wire) -> None:
    assert c("BITPOS", "k", 0) == 0
    assert c("BITPOS", "k", 1) == -1
    assert c("BITPOS", "k", 0, 0, -1) == 0
    assert c("BITPOS", "k", 1, 5, 6, "BIT") == -1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("2", Error("ERR The bit argument must be 1 or 0.")),
        ("-1", Error("ERR The bit argument must be 1 or 0.")),
        ("x", NOT_AN_INTEGER),
        ("0 x", NOT_AN_INTEGER),
        ("0 1 x", NOT_AN_INTEGER),
        ("0 0 1 FOO", SYNTAX_ERROR),
        ("0 0 x FOO", SYNTAX_ERROR),
        ("0 0 1 BIT x", SYNTAX_ERROR),
    ],
)
def test_bad_words_of_bitpos(c: Wire, words: str, error: Error) -> None:
    c("SET", "k", "abc")
    assert c("BITPOS", "k", *words.split()) == error


@pytest.mark.parametrize("size", [65_535, 65_536, 200_001])
def test_long_strings(c: Wire, size: int) -> None:
    assert c("SETBIT", "a", 8 * size - 1, 1) == 0
    assert c("BITCOUNT", "a") == 1
    assert c("BITPOS", "a", 1) == 8 * size - 1
    assert c("BITOP", "NOT", "b", "a") == size
    assert c("BITCOUNT", "b") == 8 * size - 1
    assert c("BITCOUNT", "b", 3, 8 * size - 9, "BIT") == 8 * size - 11
    assert c("BITPOS", "b", 0) == 8 * size - 1
    assert c("BITOP", "OR", "d", "a", "b") == size
    assert c("BITCOUNT", "d") == 8 * size
    assert c("BITPOS", "d", 0) == 8 * size
    c("SET", "short", "\x01")
    assert c("BITOP", "XOR", "d", "short", "d") == size
    assert c("BITCOUNT", "d") == 8 * size - 1
    assert c("BITOP", "AND", "d", "d", "short") == size
    assert c("BITCOUNT", "d") == 0


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("AND", b"aa``"), ("or", b"ccgg"), ("XOR", b"\x02\x02\x07\x07")],
)
def test_bitop(c: Wire, operation: str, expected: bytes) -> None:
    c("SET", "a", "aaee")
    c("SET", "b", "ccbb")
    assert c("BITOP", operation, "d", "a", "b") == 4
    assert c("GET", "d") == expected
    assert c("BITOP", operation, "d", "a", "nothing") == 4
    assert c("GET", "d") == (bytes(4) if operation == "AND" else b"aaee")
    assert c("BITOP", operation, "d", "a") == 4
    assert c("GET", "d") == b"aaee"
    assert c("OBJECT", "ENCODING", "d") == b"raw"


def test_bitop_not(c: Wire) -> None:
    c("SET", "a", b"\x0f\x00")
    assert c("BITOP", "not", "a", "a") == 2
    assert c("GET", "a") == b"\xf0\xff"
    assert c("BITOP", "NOT", "d", "a", "b") == Error("ERR BITOP NOT must be called with a single source key.")


def test_an_empty_result_deletes_the_destination(c: Wire) -> None:
    c("SET", "d", "x")
    c("SET", "empty", "")
    assert c("BITOP", "AND", "d", "empty", "nothing") == 0
    assert c("EXISTS", "d") == 0
    assert c("BITOP", "NOT", "d", "nothing") == 0


def test_bitop_errors(c: Wire, wrong: str) -> None:
    assert c("BITOP", "NAND", "d", "a") == SYNTAX_ERROR
    c("SET", "a", "x")
    assert c("BITOP", "AND", "d", "a", wrong) == WRONGTYPE
    assert c("BITOP", "AND", wrong, "a") == 1
    assert c("TYPE", wrong).text == "string"


def test_wrong_types(c: Wire, wrong: str) -> None:
    for words in (
        ("SETBIT", wrong, 0, 1),
        ("GETBIT", wrong, 0),
        ("BITCOUNT", wrong),
        ("BITCOUNT", wrong, 0, -1),
        ("BITPOS", wrong, 1),
    ):
        assert c(*words) == WRONGTYPE


@pytest.mark.parametrize(
    "words",
    [
        "SETBIT k 1",
        "SETBIT k 1 1 1",
        "GETBIT k",
        "BITCOUNT",
        "BITPOS k",
        "BITOP AND d",
    ],
)
def test_arity(c: Wire, words: str) -> None:
    assert c(*words.split()) == arity_error(words.split()[0].lower())


@pytest.mark.since("7.4")
def test_what_is_there_already_is_no_change(c: Wire, connect: Connect) -> None:
    other = connect()
    c("SET", "k", "a")
    c("WATCH", "k")
    assert other("SETBIT", "k", 7, 1) == 1
    c("MULTI")
    assert c("EXEC") == []
    c("WATCH", "k")
    assert other("SETBIT", "k", 15, 0) == 0  # it grows
    c("MULTI")
    assert c("EXEC") == c.null_array
