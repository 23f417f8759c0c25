"""Ids and ranges of ids as users write them."""

from __future__ import annotations

import pytest

from respcache.commands.stream_arguments import (
    as_stream,
    end_of_range,
    no_group,
    open_id,
    parse_id,
    partial_id,
    start_of_range,
)
from respcache.protocol.errors import ReplyError
from respcache.store.stream import Stream, format_id
from respcache.store.stream_block import MASK, MAX_ID


@pytest.mark.parametrize(
    ("word", "id"),
    [
        (b"0", 0),
        (b"5-7", 5 << 64 | 7),
        (b"18446744073709551615-18446744073709551615", MAX_ID),
        (b"007-+1", 7 << 64 | 1),
        (b"1--05", 1 << 64 | MASK - 4),  # C's strtoull negates; only the canonical form is turned down
        (b"1\0-x", 1 << 64),
    ],
)
def test_ids(word: bytes, id: int) -> None:
    assert parse_id(word) == id


@pytest.mark.parametrize(
    "word",
    [b"", b"-", b"+", b"x", b"1-", b"-1", b"1--5", b"1-2-3", b"1 ", b"1" * 128, b"18446744073709551616"],
)
def test_what_is_no_id(word: bytes) -> None:
    with pytest.raises(ReplyError, match="Invalid stream ID"):
        parse_id(word)


def test_parts() -> None:
    assert partial_id(b"5") == (5, 0)
    assert partial_id(b"5-6") == (5, 6)
    assert partial_id(b"5-*") == (5, None)
    assert format_id(parse_id(b"5", MASK)) == b"5-%d" % MASK


def test_ranges() -> None:
    assert (open_id(b"-"), open_id(b"+")) == (0, MAX_ID)
    assert start_of_range(b"5") == 5 << 64
    assert start_of_range(b"(5-0") == (5 << 64) + 1
    assert end_of_range(b"5") == (5 << 64) + MASK
    assert end_of_range(b"(5-0") == (5 << 64) - 1
    for read, word in ((start_of_range, b"(%b" % format_id(MAX_ID)), (end_of_range, b"(0-0")):
        with pytest.raises(ReplyError, match="for the interval"):
            read(word)


def test_streams_and_nothing_else() -> None:
    stream = Stream()
    assert as_stream(stream) is stream
    assert as_stream(None) is None
    with pytest.raises(ReplyError, match="WRONGTYPE"):
        as_stream(b"x")
    assert no_group(b"k\0x", b"g").text == b"NOGROUP No such key 'k' or consumer group 'g'"
