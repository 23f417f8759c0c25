"""Encoded replies: the exact bytes, in RESP2 and in RESP3."""

from __future__ import annotations

import struct

import hiredis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from respcache.protocol import reply
from respcache.protocol.reply import (
    RESP2,
    RESP3,
    Resp,
    array,
    bulk,
    bulks,
    format_double,
    integer,
    status,
    text,
)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 1022, 1023, 1024, 1025, 70_000])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bulk(size: int, kind: type) -> None:
    encoded = bulk(kind(b"x" * size))
    assert encoded == b"$%d\r\n" % size + b"x" * size + b"\r\n"
    assert type(encoded) is bytes


def test_bulk_keeps_any_bytes() -> None:
    assert bulk(b"\r\n\0\xff") == b"$4\r\n\r\n\0\xff\r\n"


def test_text_counts_bytes() -> None:
    assert text("é") == b"$2\r\n\xc3\xa9\r\n"


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, -(2**63)])
def test_integer(value: int) -> None:
    assert integer(value) == f":{value}\r\n".encode()


def test_status() -> None:
    assert status(b"OK") == reply.OK
    assert status(b"") == b"+\r\n"


def test_arrays() -> None:
    assert array([]) == reply.EMPTY_ARRAY == b"*0\r\n"
    assert array([reply.ONE, bulk(b"a"), array([])]) == b"*3\r\n:1\r\n$1\r\na\r\n*0\r\n"
    assert bulks(iter([b"a", b""])) == b"*2\r\n$1\r\na\r\n$0\r\n\r\n"


@pytest.mark.parametrize(
    ("resp", "name", "expected"),
    [
        (RESP2, "null", b"$-1\r\n"),
        (RESP3, "null", b"_\r\n"),
        (RESP2, "null_array", b"*-1\r\n"),
        (RESP3, "null_array", b"_\r\n"),
        (RESP2, "true", b":1\r\n"),
        (RESP3, "true", b"#t\r\n"),
        (RESP2, "false", b":0\r\n"),
        (RESP3, "false", b"#f\r\n"),
        (RESP2, "version", 2),
        (RESP3, "version", 3),
    ],
)
def test_constants(resp: Resp, name: str, expected: object) -> None:
    assert getattr(resp, name) == expected


def test_containers() -> None:
    items = [bulk(b"a"), integer(1)]
    body = b"$1\r\na\r\n:1\r\n"
    assert RESP2.map(items) == RESP2.set(items) == RESP2.push(items) == b"*2\r\n" + body
    assert RESP3.map(items) == b"%1\r\n" + body
    assert RESP3.set(items) == b"~2\r\n" + body
    assert RESP3.push(items) == b">2\r\n" + body
    assert (RESP3.map([]), RESP3.set([]), RESP3.push([])) == (b"%0\r\n", b"~0\r\n", b">0\r\n")


def test_verbatim() -> None:
    assert RESP2.verbatim(b"art") == b"$3\r\nart\r\n"
    assert RESP3.verbatim(b"art") == b"=7\r\ntxt:art\r\n"
    assert RESP3.verbatim(b"", b"mkd") == b"=4\r\nmkd:\r\n"


DOUBLES = [
    (0.0, b"0"),
    (-0.0, b"-0"),
    (1.0, b"1"),
    (-17.0, b"-17"),
    (0.1, b"0.1"),
    (-0.5, b"-0.5"),
    (1.5, b"1.5"),
    (3.14159, b"3.14159"),
    (0.001, b"0.001"),
    (1e-5, b"0.00001"),
    (1e-7, b"1e-7"),
    (1.5e-9, b"1.5e-9"),
    (1e17, b"100000000000000000"),
    (2.0**62, b"4611686018427387904"),
    (1e20, b"1e+20"),
    (1e22, b"1e+22"),
    (1.2345e300, b"1.2345e+300"),
    (5e-324, b"5e-324"),
    (1.7976931348623157e308, b"1.7976931348623157e+308"),
    (float("inf"), b"inf"),
    (float("-inf"), b"-inf"),
    (float("nan"), b"nan"),
]


@pytest.mark.parametrize(("value", "expected"), DOUBLES)
def test_double(value: float, expected: bytes) -> None:
    assert format_double(value) == expected
    assert RESP2.double(value) == bulk(expected)
    assert RESP3.double(value) == b"," + expected + b"\r\n"


@given(st.floats(allow_nan=False))
@example(123456789012345680.0)
@example(-1e-300)
def test_a_double_reads_back(value: float) -> None:
    shown = format_double(value)
    assert struct.pack(">d", float(shown)) == struct.pack(">d", value)
    assert len(shown) <= 25


@given(st.recursive(st.binary(max_size=8) | st.integers(-(2**63), 2**63 - 1), st.lists, max_leaves=8))
def test_what_is_written_reads_back(value: object) -> None:
    def encode(one: object) -> bytes:
        if isinstance(one, list):
            return array([encode(part) for part in one])
        return bulk(one) if isinstance(one, bytes) else integer(one)  # type: ignore[arg-type]

    reader = hiredis.Reader()
    reader.feed(encode(value))
    assert reader.gets() == value
    assert reader.gets() is False


@pytest.mark.parametrize(
    "values",
    [
        [],
        [b""],
        [b"", b""],
        [b"a", b"b", b"c"],
        [b"a", b"bc", b"d"],
        [b"x" * 1023, b"y" * 1023],
        [b"x" * 1024, b"y" * 1024],
        [b"a", b"x" * 5000, b"\r\n"],
    ],
)
def test_bulks(values: list[bytes]) -> None:
    expected = array([bulk(value) for value in values])
    assert bulks(values) == bulks(tuple(values)) == bulks(iter(values)) == expected
