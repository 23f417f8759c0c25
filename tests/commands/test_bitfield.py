"""BITFIELD and BITFIELD_RO."""

from __future__ import annotations

import pytest

from tests.commands.conftest import Connect
from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, WRONGTYPE, Error, Wire, arity_error

BIT_OFFSET = Error("ERR bit offset is not an integer or out of range")
BAD_TYPE = Error(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
)
FAR_MS = 4_102_444_800_000  # the year 2100


def test_fields(c: Wire) -> None:
    assert c("BITFIELD", "k", "SET", "u8", 0, 255, "GET", "u8", 0, "get", "i4", 4) == [0, 255, -1]
    assert c("BITFIELD", "k", "SET", "i8", "#1", -2, "GET", "u16", 0) == [0, 65534]
    assert c("BITFIELD", "k", "INCRBY", "i5", 100, 1, "GET", "u4", 0) == [1, 15]
    assert c("GET", "k") == b"\xff\xfe" + bytes(11) + b"\x80"
    assert c("BITFIELD", "k") == []
    assert c("BITFIELD", "nothing", "GET", "u8", 0) == [0]
    assert c("EXISTS", "nothing") == 0
    assert c("BITFIELD_RO", "k", "GET", "u8", 0, "OVERFLOW", "SAT", "GET", "i64", 7) == [255, -(1 << 56)]


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("i1", -1, 0),
        ("i8", -128, 127),
        ("i63", -(1 << 62), (1 << 62) - 1),
        ("i64", -(1 << 63), (1 << 63) - 1),
        ("u1", 0, 1),
        ("u8", 0, 255),
        ("u63", 0, (1 << 63) - 1),
    ],
)
@pytest.mark.parametrize("at", [0, 3, 64])
def test_overflow_of_increments(c: Wire, kind: str, low: int, high: int, at: int) -> None:
    def step(how: str, start: int, by: int) -> list[object]:
        c("BITFIELD", "k", "SET", kind, at, start)
        return [
            c("BITFIELD", "k", "OVERFLOW", how, "INCRBY", kind, at, by)[0],
            c("BITFIELD", "k", "GET", kind, at)[0],
        ]

    assert step("WRAP", high, 1) == [low, low]
    assert step("SAT", high, 1) == [high, high]
    assert step("FAIL", high, 1) == [c.null, high]
    assert step("wrap", low, -1) == [high, high]
    assert step("sat", low, -1) == [low, low]
    assert step("fail", low, -1) == [c.null, low]
    assert step("FAIL", low, 0) == [low, low]


def test_overflow_of_set(c: Wire) -> None:
    assert c("BITFIELD", "k", "SET", "u8", 0, 257, "GET", "u8", 0) == [0, 1]
    assert c("BITFIELD", "k", "OVERFLOW", "SAT", "SET", "u8", 0, 257, "GET", "u8", 0) == [1, 255]
    assert c("BITFIELD", "k", "OVERFLOW", "FAIL", "SET", "u8", 0, 256, "GET", "u8", 0) == [c.null, 255]
    assert c("BITFIELD", "k", "SET", "i8", 0, 200, "GET", "i8", 0) == [-1, -56]
    assert c("BITFIELD", "k", "OVERFLOW", "SAT", "SET", "i8", 0, -1000, "GET", "i8", 0) == [-56, -128]
    assert c("BITFIELD", "k", "OVERFLOW", "SAT", "SET", "u8", 0, -1, "GET", "u8", 0) == [128, 255]
    # The distance from the highest value exceeds 64 bits, and Redis thinks the value is too big.
    assert c("BITFIELD", "k", "OVERFLOW", "SAT", "SET", "i8", 0, -(1 << 63), "GET", "i8", 0) == [-1, 127]


def test_a_failed_write_still_makes_room(c: Wire) -> None:
    assert c("BITFIELD", "k", "OVERFLOW", "FAIL", "SET", "u8", 16, 256) == [c.null]
    assert c("GET", "k") == bytes(3)


@pytest.mark.parametrize("kind", ["u64", "i65", "u0", "i0", "x8", "I8", "8", "u", "", "u-1", "i08"])
def test_bad_types(c: Wire, kind: str) -> None:
    assert c("BITFIELD", "k", "GET", kind, 0) == BAD_TYPE
    assert c("BITFIELD", "k", "SET", kind, "x", "x") == BAD_TYPE


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("FOO", SYNTAX_ERROR),
        ("GET u8", SYNTAX_ERROR),
        ("SET u8 0", SYNTAX_ERROR),
        ("INCRBY u8 0", SYNTAX_ERROR),
        ("OVERFLOW", SYNTAX_ERROR),
        ("OVERFLOW FOO", Error("ERR Invalid OVERFLOW type specified")),
        ("SET u8 0 x", NOT_AN_INTEGER),
        ("SET u8 0 1 GET u8", SYNTAX_ERROR),
        ("GET u8 #288230376151711744", BIT_OFFSET),
    ],
)
def test_bad_subcommands(c: Wire, words: str, error: Error) -> None:
    assert c("BITFIELD", "k", *words.split()) == error
    assert c("EXISTS", "k") == 0


def test_bitfield_ro_only_reads(c: Wire) -> None:
    error = Error("ERR BITFIELD_RO only supports the GET subcommand")
    assert c("BITFIELD_RO", "k", "GET", "u8", 0, "SET", "u8", 0, 1) == error
    assert c("BITFIELD_RO", "k", "INCRBY", "u8", 0, 1) == error
    assert c("BITFIELD_RO", "k", "SET", "u8", 0) == SYNTAX_ERROR
    assert c("SET", "k", "a") == OK
    assert c("BITFIELD_RO", "k", "GET", "u16", 0) == [ord("a") << 8]


def test_changes_keep_the_time_to_live(c: Wire) -> None:
    c("SET", "k", "abc", "PXAT", FAR_MS)
    c("BITFIELD", "k", "SET", "u8", 8, 1)
    assert c("PEXPIRETIME", "k") == FAR_MS
    assert c("OBJECT", "ENCODING", "k") == b"raw"


def test_numbers_and_what_was_changed_in_place(c: Wire) -> None:
    c("SET", "k", 12)
    c("INCR", "k")
    assert c("BITFIELD", "k", "GET", "u8", "#1", "INCRBY", "u8", "#1", 1) == [ord("3"), ord("4")]
    assert c("INCR", "k") == 15
    c("APPEND", "k", "x")
    assert c("BITFIELD_RO", "k", "GET", "u8", "#2") == [ord("x")]


@pytest.mark.parametrize("offset", ["-1", "x", "01", "", "4294967296", "9223372036854775808"])
def test_bad_offsets(c: Wire, offset: str) -> None:
    assert c("BITFIELD", "k", "SET", "u8", offset, 1) == BIT_OFFSET
    assert c("BITFIELD", "k", "GET", "u8", f"#{offset}") == BIT_OFFSET
    assert c("BITFIELD_RO", "k", "GET", "u8", offset) == BIT_OFFSET
    assert c("EXISTS", "k") == 0


def test_wrong_types(c: Wire, wrong: str) -> None:
    assert c("BITFIELD", wrong, "GET", "u8", 0) == WRONGTYPE
    assert c("BITFIELD", wrong, "SET", "u8", 0, 1) == WRONGTYPE
    assert c("BITFIELD_RO", wrong, "GET", "u8", 0) == WRONGTYPE


def test_arity(c: Wire) -> None:
    assert c("BITFIELD") == arity_error("bitfield")
    assert c("BITFIELD_RO") == arity_error("bitfield_ro")


@pytest.mark.since("7.4")
def test_what_is_there_already_is_no_change(c: Wire, connect: Connect) -> None:
    other = connect()
    c("SET", "k", "a")
    c("WATCH", "k")
    assert other("BITFIELD", "k", "SET", "u8", 0, ord("a")) == [ord("a")]
    assert other("BITFIELD", "k", "OVERFLOW", "FAIL", "INCRBY", "u8", 0, 255) == [c.null]
    c("MULTI")
    assert c("EXEC") == []
    c("WATCH", "k")
    assert other("BITFIELD", "k", "SET", "u8", 0, ord("b")) == [ord("a")]
    c("MULTI")
    assert c("EXEC") == c.null_array
