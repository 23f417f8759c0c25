"""Streams: ids, groups and counters of each version, blocks that can be added to, and what contradicts itself."""

from __future__ import annotations

import random

import pytest

from respcache.persistence import listpack
from respcache.persistence.rdb_read_stream import read_stream
from respcache.persistence.source import Source
from respcache.store.stream import Stream
from respcache.store.stream_block import word_size
from respcache.store.stream_groups import NEVER, UNKNOWN
from tests.unit.persistence.vectors import GROUP_2, GROUP_3, STREAM, entries

SEEN = 0x01A1F9B27402


def read(payload: str | bytes, version: int = 2) -> Stream:
    return read_stream(Source.of(bytes.fromhex(payload) if isinstance(payload, str) else payload), version)


def id_of(millis: int, sequence: int = 0) -> int:
    return millis << 64 | sequence


def number(value: int) -> bytes:
    return b"\x81" + value.to_bytes(8, "big")


def part(start: int, words: list[bytes]) -> bytes:
    data = listpack.encode(words)
    return b"\x10" + start.to_bytes(16, "big") + b"\x80" + len(data).to_bytes(4, "big") + data


def made_of(words: list[bytes], length: int, last: int = id_of(1 << 40), start: int = id_of(1000)) -> bytes:
    """A stream of one part, in the first version."""
    return (
        b"\x01"
        + part(start, words)
        + number(length)
        + number(last >> 64)
        + number(last & (1 << 64) - 1)
        + b"\0"
    )


def test_counters() -> None:
    stream = read(STREAM + "00")
    assert stream.length == 2
    assert stream.first_id == id_of(1000)
    assert stream.last_id == id_of(1002)
    assert stream.max_deleted_id == id_of(1001, 5)
    assert stream.entries_added == 3
    assert stream.groups == {}
    assert stream.starts == [id_of(1000)]
    assert id_of(1001, 5) not in stream
    assert stream.last_living == id_of(1002)


@pytest.mark.parametrize(("version", "payload"), [(2, GROUP_2), (3, GROUP_3)])
def test_groups(version: int, payload: str) -> None:
    group = read(STREAM + payload, version).groups[b"grp"]
    assert group.last_id == id_of(1000)
    assert group.entries_read == UNKNOWN
    assert list(group.ids) == [id_of(1000)]
    pending = group.pending[id_of(1000)]
    assert (pending.consumer.name, pending.delivered, pending.count) == (b"alice", SEEN, 1)
    alice, bob = group.consumers[b"alice"], group.consumers[b"bob"]
    assert list(alice.pending) == [id_of(1000)]
    assert alice.seen == alice.active == SEEN
    assert (bob.seen, bob.active, len(bob.pending)) == (SEEN + 1, NEVER if version == 3 else SEEN + 1, 0)


def test_the_first_version_knows_less() -> None:
    words = [b"2", b"0", b"1", b"f", b"0", b"2", b"0", b"0", b"v", b"4", b"2", b"5", b"-1", b"w", b"4"]
    payload = made_of(words, 2, id_of(1005, 6), id_of(1000, 7))[:-1]
    stream = read(payload + b"\x01\x01g" + number(1005) + number(6) + b"\0\0", 1)
    assert entries(stream) == [(1000, 7, [b"f", b"v"]), (1005, 6, [b"f", b"w"])]
    assert stream.entries_added == 2
    assert stream.max_deleted_id == 0
    assert stream.groups[b"g"].entries_read == 2


def test_a_stream_can_be_added_to() -> None:
    stream = read(STREAM + "00")
    words = [b"f", b"5", b"g", b"6"]
    stream.add(id_of(2000), words, sum(map(word_size, words)), 100, 4096)
    assert len(stream.blocks) == 1
    assert entries(stream)[-1] == (2000, 0, words)
    # As large as the listpack: 4 elements of 2 bytes, flags, a long distance, 0 and the count behind it.
    assert stream.blocks[0].size == read(STREAM + "00").blocks[0].size + 2 + 3 + 2 + 2 * 2 + 2


def test_a_part_without_living_entries_is_left_out() -> None:
    words = [b"0", b"1", b"1", b"f", b"0", b"3", b"0", b"0", b"v", b"4"]
    stream = read(made_of(words, 0), 1)
    assert stream.blocks == []
    assert stream.first_id == 0


GOOD = [b"1", b"0", b"1", b"f", b"0", b"2", b"0", b"0", b"v", b"4"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        GOOD[:-1],
        GOOD[:3],
        [b"2", *GOOD[1:]],  # another number of living entries
        [b"1", b"1", *GOOD[2:]],
        [*GOOD[:2], b"-1", *GOOD[3:]],
        [*GOOD[:2], b"9999999999", *GOOD[3:]],
        [*GOOD[:4], b"1", *GOOD[5:]],  # no end of the names
        [*GOOD[:-1], b"5"],  # another number of elements
        [b"2", *GOOD[1:], b"2", b"0", b"0", b"v", b"4"],  # the same id again
        [*GOOD[:5], b"0", b"0", b"0", b"-1", b"4"],
        [*GOOD[:5], b"0", b"0", b"0", b"99999999", b"4"],
        [*GOOD[:5], b"x", *GOOD[6:]],
    ],
)
def test_parts_that_are_wrong(words: list[bytes]) -> None:
    read(made_of(GOOD, 1), 1)
    with pytest.raises(ValueError):
        read(made_of(words, 1), 1)


def test_counters_that_are_wrong() -> None:
    for payload in (made_of(GOOD, 2), made_of(GOOD, 1, id_of(999))):
        with pytest.raises(ValueError):
            read(payload, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("01 00000000000003e80000000000000000 0274b2f9a1010000 01", "00"),  # of a consumer, not of the group
        ("01 00000000000003e80000000000000000 03626f62", "00 03626f62"),  # of the group, of no consumer
        ("03626f62", "05616c696365"),  # the same consumer again
    ],
)
def test_groups_that_are_wrong(old: str, new: str) -> None:
    assert old in GROUP_2
    with pytest.raises(ValueError):
        read(STREAM + GROUP_2.replace(old, new))


def test_flipped_bytes() -> None:
    some = random.Random(7)
    data = bytes.fromhex(STREAM + GROUP_3)
    for _ in range(3000):
        damaged = bytearray(data)
        for _ in range(some.randrange(1, 3)):
            damaged[some.randrange(len(data))] = some.randrange(256)
        try:
            read(bytes(damaged), 3)
        except ValueError:
            pass
