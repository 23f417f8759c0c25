"""Old encodings besides the payloads of `vectors`: odd texts of scores, limits, and values of many pieces."""

from __future__ import annotations

import pytest

from respcache.persistence.rdb_build import DEFAULTS
from respcache.persistence.rdb_legacy import (
    read_hash_ziplist,
    read_list,
    read_list_ziplist,
    read_quicklist,
    read_text_double,
    read_zipmap,
    read_zset,
    read_zset_ziplist,
)
from respcache.persistence.source import Source
from respcache.store.hash import HashTable
from respcache.store.list import Listpack, Quicklist
from tests.unit.persistence.test_packed import ziplist


def string(data: bytes) -> bytes:
    return b"\x80" + len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x011", 1.0),
        (b"\x03-.5", -0.5),
        (b"\x061e+300", 1e300),
        (b"\xfe", float("inf")),
        (b"\xff", -float("inf")),
    ],
)
def test_texts_of_scores(data: bytes, value: float) -> None:
    assert read_text_double(Source.of(data)) == value


@pytest.mark.parametrize("data", [b"\x01x", b"\x00", b"\x05-", b""])
def test_texts_that_are_no_scores(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_text_double(Source.of(data))


def test_nan_is_no_score() -> None:
    with pytest.raises(ValueError):
        read_zset(Source.of(b"\x01\x01a\xfd"), DEFAULTS)


def test_long_lists() -> None:
    words = [b"word%d" % at for at in range(2000)]
    data = (0x4000 | 2000).to_bytes(2, "big") + b"".join(bytes((len(word),)) + word for word in words)
    made = read_list(Source.of(data), DEFAULTS)
    assert type(made) is Quicklist
    assert list(made) == words
    assert list(read_list_ziplist(Source.of(string(ziplist(words))), DEFAULTS)) == words


def test_empty_pieces_of_a_list_do_not_count() -> None:
    data = b"\x03" + string(ziplist([])) + string(ziplist([b"a", b"b"])) + string(ziplist([]))
    made = read_quicklist(Source.of(data), DEFAULTS)
    assert type(made) is Listpack
    assert list(made) == [b"a", b"b"]


def test_a_zipmap_with_something_long_is_unpacked() -> None:
    data = b"\x01\x01f\x46\x00" + b"x" * 70 + b"\xff"
    assert type(read_zipmap(Source.of(string(data)), DEFAULTS)) is HashTable
    words = [b"f", b"x" * 70]
    assert type(read_hash_ziplist(Source.of(string(ziplist(words))), DEFAULTS)) is dict


def test_sorted_sets_as_ziplists() -> None:
    made = read_zset_ziplist(Source.of(string(ziplist([b"a", b"-inf", b"b", b"0.1"]))), DEFAULTS)
    assert list(made.items()) == [(b"a", -float("inf")), (b"b", 0.1)]
