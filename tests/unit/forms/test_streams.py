"""Ids, trimming, and what consumers are given."""

from __future__ import annotations

import pytest

from tests.propagation import START, Origin


def claim(consumer: str, id: str, count: int, last: str = "", when: int = START) -> str:
    return f"XCLAIM x g {consumer} 0 {id} TIME {when} RETRYCOUNT {count} FORCE JUSTID LASTID {last or id}"


def test_ids(origin: Origin) -> None:
    assert origin.told("XADD", "x", "1-1", "f", "v") == ["XADD x 1-1 f v"]
    assert origin.told("XADD", "x", "1-*", "f", "*") == ["XADD x 1-2 f *"]
    assert origin.told("XADD", "x", "*", "maxlen", "limit") == [f"XADD x {START}-0 maxlen limit"]
    assert origin.told("XADD", "none", "NOMKSTREAM", "*", "f", "v") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("MAXLEN 2 *", "MAXLEN 2"),
        ("nomkstream MAXLEN = 2 *", "nomkstream MAXLEN = 2"),
        ("MAXLEN ~ 2 LIMIT 7 *", "MAXLEN = 5"),
        ("LIMIT 3 NOMKSTREAM MINID ~ 3 *", "NOMKSTREAM MINID = 1-0"),
        ("MAXLEN ~ 0 *", "MAXLEN = 0"),
        (f"MINID ~ {START + 5} *", f"MINID = {START + 5}"),
    ],
)
def test_trimming_as_it_was(origin: Origin, words: str, expected: str) -> None:
    for number in range(1, 5):
        origin.told("XADD", "x", number, "f", "v")
    assert origin.told("XADD", "x", *words.split(), "f", "v") == [f"XADD x {expected} {START}-0 f v"]


def test_xtrim(origin: Origin) -> None:
    origin("CONFIG", "SET", "stream-node-max-entries", "2")
    for number in range(1, 7):
        origin.told("XADD", "x", number, "f", "v")
    assert origin.told("XTRIM", "x", "MAXLEN", "~", "3", "LIMIT", "0") == ["XTRIM x MAXLEN = 4"]
    assert origin.told("XTRIM", "x", "MINID", "~", "6") == ["XTRIM x MINID = 5-0"]
    assert origin.told("XTRIM", "x", "MAXLEN", "~", "2") == []
    assert origin.told("XTRIM", "x", "MAXLEN", "1") == ["XTRIM x MAXLEN 1"]


@pytest.fixture
def stream(origin: Origin) -> Origin:
    for number in range(1, 5):
        origin.told("XADD", "x", number, "f", "v")
    origin.told("XGROUP", "CREATE", "x", "g", "0")
    return origin


def read(origin: Origin, *words: str, consumer: str = "c") -> list[str]:
    return origin.told("XREADGROUP", "GROUP", "g", consumer, *words)


def test_entries_that_were_delivered(stream: Origin) -> None:
    lines = read(stream, "COUNT", "2", "STREAMS", "x", ">")
    assert lines == [
        "MULTI",
        claim("c", "1-0", 1),
        claim("c", "2-0", 1),
        "XGROUP SETID x g 2-0 ENTRIESREAD 2",
        "EXEC",
    ]
    assert read(stream, "STREAMS", "x", "0") == []
    made = "XGROUP CREATECONSUMER x g d"
    assert read(stream, "noack", "COUNT", "1", "STREAMS", "x", ">", consumer="d") == [
        *("MULTI", made, "XGROUP SETID x g 3-0 ENTRIESREAD 3", "EXEC")
    ]
    assert read(stream, "NOACK", "STREAMS", "x", ">", consumer="d") == ["XGROUP SETID x g 4-0 ENTRIESREAD 4"]
    assert read(stream, "STREAMS", "x", ">", consumer="d") == []
    assert read(stream, "STREAMS", "x", ">", consumer="e") == ["XGROUP CREATECONSUMER x g e"]
    assert read(stream, "STREAMS", "x", "0", consumer="f") == ["XGROUP CREATECONSUMER x g f"]


def test_several_streams(stream: Origin) -> None:
    stream.told("XADD", "y", "7", "f", "v")
    stream.told("XGROUP", "CREATE", "y", "g", "0")
    read(stream, "COUNT", "1", "STREAMS", "x", ">")
    lines = read(stream, "COUNT", "1", "STREAMS", "y", "x", "x", ">", "0", ">")
    assert lines == [
        *("MULTI", claim("c", "7-0", 1).replace(" x ", " y "), "XGROUP SETID y g 7-0 ENTRIESREAD 1"),
        *(claim("c", "1-0", 2), claim("c", "2-0", 1), "XGROUP SETID x g 2-0 ENTRIESREAD 2", "EXEC"),
    ]


def test_a_reader_that_waited(stream: Origin) -> None:
    read(stream, "STREAMS", "x", ">")
    stream.connect("XREADGROUP", "GROUP", "g", "w", "BLOCK", "0", "STREAMS", "x", ">")
    assert stream.lines() == ["XGROUP CREATECONSUMER x g w"]
    assert stream.told("XADD", "x", "9", "f", "v") == [
        *("XADD x 9 f v", "MULTI", claim("w", "9-0", 1), "XGROUP SETID x g 9-0 ENTRIESREAD 5", "EXEC")
    ]


def test_xclaim(stream: Origin) -> None:
    read(stream, "COUNT", "3", "STREAMS", "x", ">")
    stream.now += 10
    expected = claim("d", "1-0", 2, "3-0", START + 10)
    assert stream.told("XCLAIM", "x", "g", "d", "0", "1", "9") == ["MULTI", expected, "XACK x g 9", "EXEC"]
    assert stream.told("XCLAIM", "x", "g", "d", "1000", "1") == []
    assert stream.told("XCLAIM", "x", "g", "e", "1000", "1") == ["XGROUP CREATECONSUMER x g e"]
    moved = stream.told("XCLAIM", "x", "g", "e", "1000", "1", "LASTID", "8-1")
    assert "XGROUP SETID x g 8-1 ENTRIESREAD 3" in moved
    expected = claim("e", "2-0", 7, "8-1", 5)
    words = ("XCLAIM", "x", "g", "e", "0", "2", "TIME", "5", "RETRYCOUNT", "7", "JUSTID")
    assert stream.told(*words) == [expected]
    stream.told("XDEL", "x", "2")
    assert "XACK x g 2" in stream.told("XCLAIM", "x", "g", "e", "0", "2")


def test_xautoclaim(stream: Origin) -> None:
    read(stream, "COUNT", "3", "STREAMS", "x", ">")
    stream.told("XDEL", "x", "2")
    for option, count in (("COUNT 9", 2), ("JUSTID", 2)):
        lines = stream.told("XAUTOCLAIM", "x", "g", "d", "0", "-", *option.split())
        claims = [claim("d", "1-0", count, "3-0"), claim("d", "3-0", count, "3-0")]
        assert lines == ["MULTI", *claims, *["XACK x g 2-0"] * (option != "JUSTID"), "EXEC"]
    assert stream.told("XAUTOCLAIM", "x", "g", "d", "1000", "-") == []
