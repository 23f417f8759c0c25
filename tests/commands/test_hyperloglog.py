"""HyperLogLog: PFADD, PFCOUNT, PFMERGE, PFDEBUG, PFSELFTEST, and the bytes of the values."""

from __future__ import annotations

import hashlib

import pytest

from tests.commands.conftest import Connect
from tests.wire import OK, WRONGTYPE, Error, Status, Wire, arity_error

INVALID = Error("WRONGTYPE Key is not a valid HyperLogLog string value.")
CORRUPT = Error("INVALIDOBJ Corrupted HLL object detected")
REGISTERS = 16384
FAR_MS = 4_102_444_800_000  # the year 2100


def header(encoding: int, estimate: int = 1 << 63) -> bytes:
    return b"HYLL" + bytes([encoding]) + b"\1\2\3" + estimate.to_bytes(8, "little")


def dense(value: int) -> bytes:
    """All registers of the same value."""
    return header(0) + int(f"{value:06b}" * REGISTERS, 2).to_bytes(REGISTERS * 6 // 8, "little")


def digest(c: Wire, key: str) -> str:
    """Of all but the estimate."""
    value = c("GET", key)
    return hashlib.sha1(value[:8] + value[16:]).hexdigest()


def test_adding_and_counting(c: Wire) -> None:
    assert c("PFADD", "k", "a", "b", "c") == 1
    assert c("PFADD", "k", "a", "b") == 0
    assert c("PFCOUNT", "k") == 3
    assert c("PFADD", "k", "d") == 1
    assert c("PFCOUNT", "k") == 4
    assert c("PFADD", "k") == 0
    assert c("PFCOUNT", "nothing") == 0
    assert c("PFCOUNT", "k", "nothing") == 4
    assert c("TYPE", "k") == Status("string")
    assert c("OBJECT", "ENCODING", "k") == b"raw"


def test_an_empty_one(c: Wire) -> None:
    assert c("PFADD", "k") == 1
    assert c("GET", "k") == b"HYLL\x01" + bytes(10) + b"\x80\x7f\xff"
    assert c("PFCOUNT", "k") == 0
    assert c("GET", "k") == b"HYLL\x01" + bytes(11) + b"\x7f\xff"
    assert c("PFMERGE", "k") == OK
    assert c("GET", "k") == b"HYLL\x01" + bytes(10) + b"\x80\x7f\xff"
    assert c("PFMERGE", "other", "k") == OK
    assert c("STRLEN", "other") == 18


def test_the_bytes_of_a_sparse_one(c: Wire) -> None:
    c("PFADD", "k", "a", "b", "c", b"", b"\xff\r\n", "0123456789abcdef!")
    assert c("PFDEBUG", "ENCODING", "k") == Status("sparse")
    assert c("PFDEBUG", "DECODE", "k") == (
        b"Z:5938 v:2,1 Z:2497 v:1,1 Z:4274 v:2,1 Z:1040 v:1,1 Z:187 v:1,1 Z:1839 v:1,1 Z:603"
    )
    c("PFCOUNT", "k")
    assert c("GET", "k") == (
        b"HYLL\x01\0\0\0\x06\0\0\0\0\0\0\0W1\x84I\xc0\x80P\xb1\x84D\x0f\x80@\xba\x80G.\x80BZ"
    )


@pytest.mark.parametrize(
    ("elements", "size", "count", "sha1"),
    [
        (100, 287, 100, "2091c64f428c6e71203976303959a9ece68ff3a4"),
        (500, 1031, 499, "34431a00090617229a65d8c4d187d1588157abd1"),
        (1000, 1910, 1003, "997f5c7665a9f3f6b04623eb73f87fbde2516fea"),
        (5000, 12304, 4980, "05c8e030bf83485053c1a32c2dc937aa32a5a241"),
        (100_000, 12304, 99652, "64e59712c8feb1d1d3cc53f986005c7063c18c63"),
    ],
)
def test_the_bytes_of_many_elements(c: Wire, elements: int, size: int, count: int, sha1: str) -> None:
    for first in range(0, elements, 500):
        c("PFADD", "k", *(f"element {number}" for number in range(first, min(first + 500, elements))))
    assert (c("STRLEN", "k"), c("PFCOUNT", "k"), digest(c, "k")) == (size, count, sha1)
    assert abs(count - elements) < elements * 0.03


def test_the_size_from_which_on_one_is_dense(c: Wire) -> None:
    c("CONFIG", "SET", "hll-sparse-max-bytes", 30)
    sizes = []
    for number in range(8):
        c("PFADD", "k", number)
        sizes.append(c("STRLEN", "k"))
    assert sizes == [21, 24, 27, 30, 12304, 12304, 12304, 12304]
    assert c("PFDEBUG", "ENCODING", "k") == Status("dense")
    assert c("PFDEBUG", "DECODE", "k") == Error("ERR HLL encoding is not sparse")
    assert c("PFCOUNT", "k") == 8


def test_changes_keep_the_time_to_live(c: Wire) -> None:
    c("PFADD", "k", "a")
    c("PEXPIREAT", "k", FAR_MS)
    c("PFADD", "k", "b")
    c("PFCOUNT", "k")
    c("PFMERGE", "k", "k")
    c("PFDEBUG", "TODENSE", "k")
    assert c("PEXPIRETIME", "k") == FAR_MS


@pytest.mark.parametrize("to_dense", [(), ("a",), ("b",), ("a", "b")])
def test_merging(c: Wire, to_dense: tuple[str, ...]) -> None:
    c("PFADD", "a", *range(300))
    c("PFADD", "b", *range(200, 600))
    c("PFADD", "all", *range(600))
    for key in to_dense:
        assert c("PFDEBUG", "TODENSE", key) == 1
    expected = c("PFCOUNT", "all")
    assert c("PFCOUNT", "a", "b") == expected
    assert c("PFMERGE", "d", "a", "b") == OK
    assert c("PFCOUNT", "d") == expected
    assert c("PFDEBUG", "ENCODING", "d") == Status("dense" if to_dense else "sparse")
    assert c("PFDEBUG", "GETREG", "d") == c("PFDEBUG", "GETREG", "all")
    assert c("PFMERGE", "a", "nothing", "b") == OK
    assert c("PFCOUNT", "a") == expected
    assert c("PFADD", "a", *range(600)) == 0


def test_merging_may_make_one_dense(c: Wire) -> None:
    for number in range(8):
        c("PFADD", f"k{number}", *range(number * 300, number * 300 + 300))
    assert c("PFMERGE", "d", *(f"k{number}" for number in range(8))) == OK
    assert c("PFDEBUG", "ENCODING", "d") == Status("dense")
    assert c("PFCOUNT", "d") == c("PFCOUNT", *(f"k{number}" for number in range(8)))


def test_debugging(c: Wire) -> None:
    c("PFADD", "k", "a")
    assert c("PFDEBUG", "DECODE", "k") == b"Z:12711 v:2,1 Z:3672"
    assert c("PFDEBUG", "TODENSE", "k") == 1
    assert c("PFDEBUG", "TODENSE", "k") == 0
    registers = c("PFDEBUG", "GETREG", "k")
    assert len(registers) == REGISTERS
    assert [(at, value) for at, value in enumerate(registers) if value] == [(12711, 2)]
    c("PFADD", "sparse", "a")
    assert c("PFDEBUG", "getreg", "sparse") == registers
    assert c("PFDEBUG", "encoding", "sparse") == Status("dense")
    assert c("PFDEBUG", "FOO", "k") == Error("ERR Unknown PFDEBUG subcommand 'FOO'")
    for word in ("GETREG", "FOO"):
        assert c("PFDEBUG", word, "nothing") == Error("ERR The specified key does not exist")


def test_self_test(c: Wire) -> None:
    c.timeout = 60
    assert c("PFSELFTEST") == OK


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"12",
        b"HYLL",
        b"hyll\x01" + bytes(11) + b"\x7f\xff",
        header(1)[:15],
        header(2) + b"\x7f\xff",
        header(255) + b"\x7f\xff",
        header(0),
        header(0) + bytes(12287),
        header(0) + bytes(12289),
    ],
)
def test_what_is_no_hyperloglog(c: Wire, value: bytes) -> None:
    c("SET", "k", value)
    c("PFADD", "good", "a")
    for words in (
        ("PFADD", "k", "a"),
        ("PFADD", "k"),
        ("PFCOUNT", "k"),
        ("PFCOUNT", "good", "k"),
        ("PFMERGE", "k", "good"),
        ("PFMERGE", "good", "k"),
        ("PFMERGE", "new", "k"),
        ("PFDEBUG", "GETREG", "k"),
    ):
        assert c(*words) == INVALID
    assert c("GET", "k") == value
    assert c("EXISTS", "new") == 0


@pytest.mark.parametrize(
    "opcodes",
    [
        b"",
        b"\x7f\xfe",
        b"\x7f\xff\x00",
        b"\x3f" * 255,
        b"\x7f\x00" * 40_000,
        b"\x7f\xfd\x82",
        b"\x40",
    ],
)
def test_corrupted_opcodes(c: Wire, opcodes: bytes) -> None:
    value = header(1) + opcodes
    c("SET", "k", value)
    c("PFADD", "good", "a")
    for words in (
        ("PFCOUNT", "k"),
        ("PFCOUNT", "good", "k"),
        ("PFMERGE", "good", "k"),
        ("PFMERGE", "k", "good"),
        ("PFDEBUG", "GETREG", "k"),
        ("PFDEBUG", "TODENSE", "k"),
    ):
        assert c(*words) == CORRUPT
    assert c("GET", "k") == value


@pytest.mark.since("7.4")
def test_registers_behind_the_last_one(c: Wire) -> None:
    c("SET", "k", header(1) + b"\x7f\xff\x80")
    for words in (("PFCOUNT", "k"), ("PFCOUNT", "k", "k"), ("PFMERGE", "k"), ("PFDEBUG", "TODENSE", "k")):
        assert c(*words) == CORRUPT


def test_adding_to_corrupted_opcodes(c: Wire) -> None:
    c("SET", "k", header(1) + b"\x6f\xff")
    assert c("PFADD", "k", "a") == CORRUPT  # its register is the last but 3672
    c("SET", "k", header(1) + b"\x7f\xff\x00")
    assert c("PFADD", "k", "a") == 1
    assert c("PFDEBUG", "DECODE", "k") == b"Z:12711 v:2,1 Z:3672 z:1"


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), (1, 23637), (32, 50760319129350), (50, -(1 << 63)), (51, -(1 << 63)), (63, -(1 << 63))],
)
def test_estimates_of_what_nobody_adds(c: Wire, value: int, count: int) -> None:
    c("SET", "k", dense(value))
    assert c("PFCOUNT", "k") == count
    assert c("GETRANGE", "k", 8, 15) == (count % (1 << 64)).to_bytes(8, "little")
    assert c("PFCOUNT", "k", "k") == count


def test_the_estimate_in_the_header_is_believed(c: Wire) -> None:
    c("SET", "k", header(1, 12345) + b"broken")
    assert c("PFCOUNT", "k") == 12345
    assert c("PFCOUNT", "k", "k") == CORRUPT


def test_wrong_types(c: Wire, wrong: str) -> None:
    c("PFADD", "good", "a")
    for words in (
        ("PFADD", wrong, "a"),
        ("PFCOUNT", wrong),
        ("PFCOUNT", "good", wrong),
        ("PFMERGE", wrong, "good"),
        ("PFMERGE", "good", wrong),
        ("PFDEBUG", "GETREG", wrong),
    ):
        assert c(*words) == WRONGTYPE


@pytest.mark.parametrize(
    "words", ["PFADD", "PFCOUNT", "PFMERGE", "PFDEBUG", "PFDEBUG GETREG", "PFSELFTEST x"]
)
def test_arity(c: Wire, words: str) -> None:
    assert c(*words.split()) == arity_error(words.split()[0].lower())


def test_counters_are_no_hyperloglogs(c: Wire) -> None:
    c("INCR", "n")
    assert c("PFADD", "n", "a") == INVALID
    c("SET", "k", "x")
    c("APPEND", "k", "y")
    assert c("PFCOUNT", "k") == INVALID


def test_an_estimate_that_is_kept_is_a_change(c: Wire, connect: Connect) -> None:
    other = connect()
    c("PFADD", "k", "a")
    for outcome in (c.null_array, [Status("PONG")]):  # the second time it is in the header
        assert c("WATCH", "k") == OK
        assert other("PFCOUNT", "k") == 1
        assert c("MULTI") == OK
        c("PING")
        assert c("EXEC") == outcome


def test_what_is_there_already_is_no_change(c: Wire, connect: Connect) -> None:
    other = connect()
    c("PFADD", "k", "a")
    c("WATCH", "k")
    assert other("PFADD", "k", "a") == 0
    c("MULTI")
    assert c("EXEC") == []
    c("WATCH", "k")
    assert other("PFADD", "k", "b") == 1
    c("MULTI")
    assert c("EXEC") == c.null_array


def test_counting_waits_as_writes_do(c: Wire, connect: Connect) -> None:
    c("PFADD", "k", "a")
    other = connect()
    assert c("CLIENT", "PAUSE", 60_000, "WRITE") == OK
    other.send("PFCOUNT", "k")
    assert other.quiet()
    assert c("STRLEN", "k") == 21
    assert c("CLIENT", "UNPAUSE") == OK
    assert other.read() == 1
