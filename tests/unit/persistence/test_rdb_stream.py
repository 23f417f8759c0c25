"""Streams in bytes, read back. What servers write is in `test_rdb_write.py`."""

from __future__ import annotations

import random

import pytest

from respcache.persistence.rdb_read_stream import read_stream
from respcache.persistence.rdb_stream import stream
from respcache.persistence.source import Source
from respcache.store.stream import Stream
from respcache.store.stream_block import MAX_ID
from respcache.store.stream_groups import Consumer, Group


def random_stream(seed: int) -> Stream:
    some = random.Random(seed)
    made = Stream()
    id = 0
    words = [b"", b"f", b"12", b"\r\n", b"x\r", b"\ny", b"a\r\nb", b"w" * 100]
    for _ in range(some.randrange(400)):
        id += some.choice((1, 1, 1 << 64, 5 << 64 | 7, 1 << 100))
        names = [b"f", b"g"] if some.random() < 0.8 else some.choices(words, k=some.randrange(1, 5))
        pairs = [word for name in names for word in (name, some.choice(words))]
        made.add(id, pairs, sum(map(len, pairs)), 100, 1024)
    ids = list(made.ids(0, MAX_ID))
    if ids:
        made.remove(some.sample(ids, len(ids) // 3))
        made.trim_to_length(len(ids) // 2)
    for name in (b"one", b"two")[: some.randrange(3)]:
        group = made.groups[name] = Group(some.choice([0, *ids]), some.choice((-1, 5)))
        group.consumers = {word: Consumer(word, some.randrange(1 << 40)) for word in (b"a", b"b", b"c")}
        for id in ids[::7]:
            group.deliver([id], some.choice(list(group.consumers.values())), some.randrange(1 << 40))
            group.pending[id].count = some.randrange(1000)
        group.consumers[b"a"].active = 77
    return made


def shown(value: Stream) -> object:
    groups = {
        name: (
            group.last_id,
            group.entries_read,
            [
                (id, group.pending[id].consumer.name, group.pending[id].delivered, group.pending[id].count)
                for id in group.ids
            ],
            {each.name: (each.seen, list(each.pending)) for each in group.consumers.values()},
        )
        for name, group in value.groups.items()
    }
    counters = (value.length, value.first_id, value.last_id, value.max_deleted_id, value.entries_added)
    return counters, value.starts, value.replies(0, MAX_ID), groups


@pytest.mark.parametrize("seed", range(20))
def test_streams_come_back(seed: int) -> None:
    value = random_stream(seed)
    for with_active, version in ((False, 2), (True, 3)):
        for compress in (False, True):
            source = Source.of(b"".join(stream(value, with_active, compress)))
            again = read_stream(source, version)
            assert not source.rest
            assert shown(again) == shown(value)
            if with_active:
                for name, group in value.groups.items():
                    actives = {each.name: each.active for each in group.consumers.values()}
                    assert actives == {
                        each.name: each.active for each in again.groups[name].consumers.values()
                    }


def test_pieces_are_as_many_as_blocks() -> None:
    value = Stream()
    for id in range(1, 1001):
        value.add(id, [b"f", b"v"], 2, 100, 4096)
    assert len(value.blocks) == 10
    assert len(list(stream(value, False, True))) == 12
