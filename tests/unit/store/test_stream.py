"""A stream beside a plain list, its memory, and the radix tree that Redis would have."""

from __future__ import annotations

import random
import tracemalloc

from respcache.store.stream import Stream, format_id
from respcache.store.stream_block import MAX_ID
from respcache.store.stream_groups import UNKNOWN, Consumer, Group
from respcache.store.types import TYPES


def add(stream: Stream, id: int, words: tuple[bytes, ...] = (b"f", b"v")) -> None:
    stream.add(id, words, sum(map(len, words)), 10, 4096)


def filled(count: int) -> Stream:
    stream = Stream()
    for number in range(1, count + 1):
        add(stream, number << 64)
    return stream


def test_like_a_list() -> None:
    chance = random.Random(3)
    for _ in range(60):
        stream, model, last = Stream(), list[int](), 0
        for _ in range(150):
            action = chance.random()
            if action < 0.6:
                last += chance.choice((1, 2, 1 << 64, 5 << 64))
                add(stream, last)
                model.append(last)
            elif action < 0.8:
                ids = [chance.choice(model) if model else 1, chance.randrange(last + 1)]
                assert stream.remove(ids) == len({*ids} & {*model})
                model = [id for id in model if id not in ids]
            elif action < 0.85:
                length = chance.randrange(40)
                assert stream.trim_to_length(length) == max(len(model) - length, 0)
                model = model[max(len(model) - length, 0) :]
            elif action < 0.9:
                first = chance.choice(model) + 1 if model else 1
                gone = sum(id < first for id in model[: 1 + len(model) // 3])
                first = model[gone] if gone < len(model) else first
                assert stream.trim_to_id(first) == sum(id < first for id in model)
                model = [id for id in model if id >= first]
            low, high = chance.randrange(last + 2), chance.randrange(last + 2)
            shown = [id for id in model if low <= id <= high]
            assert list(stream.ids(low, high)) == shown
            assert list(stream.ids(low, high, 3, backwards=True)) == shown[::-1][:3]
            assert len(stream) == len(model)
            assert stream.first_id == (model[0] if model else 0)
            assert stream.last_living == (model[-1] if model else 0)
            assert all(id in stream for id in shown[:5])
            assert last + 1 not in stream


def test_replies() -> None:
    stream = filled(25)
    assert stream.replies(3 << 64, 4 << 64) == [
        b"*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n",
        b"*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n",
    ]
    assert stream.reply(25 << 64) == stream.replies(0, MAX_ID, 1, backwards=True)[0]
    assert stream.reply(1) is None
    assert format_id((5 << 64) + 7) == b"5-7"


def test_approximate_trimming() -> None:
    stream = filled(35)
    assert stream.trim_to_length(18, approximately=True, limit=5) == 0
    assert stream.trim_to_length(18, approximately=True) == 10
    assert stream.trim_to_id(28 << 64, approximately=True) == 10
    assert stream.trim_to_length(0, approximately=True, limit=10) == 10
    assert len(stream) == 5


def nodes_of(keys: list[bytes]) -> int:
    """Nodes of a radix tree, counted by building it."""

    def count(suffixes: list[bytes]) -> int:
        if suffixes == [b""]:
            return 1
        heads = {suffix[:1] for suffix in suffixes}
        if len(heads) == 1:
            run = next(size for size in range(1, 17) if size == len(suffixes[0]) or _forks(suffixes, size))
            return 1 + count([suffix[run:] for suffix in suffixes])
        return 1 + sum(count([one[1:] for one in suffixes if one[:1] == head]) for head in heads)

    return count(keys) if keys else 1


def _forks(suffixes: list[bytes], size: int) -> bool:
    return len({suffix[: size + 1] for suffix in suffixes}) > 1


def test_radix_nodes() -> None:
    chance = random.Random(5)
    for size in range(60):
        stream = Stream()
        ids = {chance.getrandbits(chance.choice((8, 12, 70, 80, 128))) for _ in range(size)}
        stream.starts = sorted(ids)
        assert stream.radix_nodes() == nodes_of([id.to_bytes(16, "big") for id in stream.starts])


def test_how_much_was_read() -> None:
    stream = Stream()
    group = Group(0)
    assert stream.lag(group) == 0
    stream = filled(5)
    assert stream.lag(group) == 5
    stream.advance(group, [1 << 64, 2 << 64])
    assert (group.entries_read, group.last_id, stream.lag(group)) == (2, 2 << 64, 3)
    stream.remove([4 << 64])
    assert stream.lag(group) is None
    stream.advance(group, [3 << 64])
    assert group.entries_read == UNKNOWN
    stream.advance(group, [5 << 64])
    assert (group.entries_read, stream.lag(group)) == (5, 0)


def test_a_copy() -> None:
    stream = filled(25)
    stream.groups[b"g"] = Group(0)
    twin = stream.copy()
    stream.remove([1 << 64])
    stream.groups[b"g"].last_id = 9
    add(stream, 99 << 64)
    assert len(twin) == 25
    assert twin.groups[b"g"].last_id == 0
    assert (twin.first_id, twin.last_id, twin.entries_added) == (1 << 64, 25 << 64, 25)


def test_memory() -> None:
    """What MEMORY USAGE says is what it takes, and that is near what Redis takes: 45 bytes for such an entry."""
    words = [[b"sensor", b"device-%d" % (number % 50), b"state", b"running fine"] for number in range(20_000)]
    tracemalloc.start()
    stream = Stream()
    for number, one in enumerate(words):
        stream.add((1_700_000_000_000 + number) << 64, one, 40, 100, 4096)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    size = TYPES[Stream].size
    assert abs(size(stream, 0) - taken) < taken * 0.1
    assert abs(size(stream, 5) - taken) < taken * 0.3
    assert taken < 100 * len(words)


def test_memory_of_what_is_pending() -> None:
    stream = filled(5000)
    bare = TYPES[Stream].size(stream, 0)
    tracemalloc.start()
    group = stream.groups[b"g"] = Group(0)
    consumer = group.consumers[b"x"] = Consumer(b"x", 0)
    group.deliver(list(stream.ids(0, MAX_ID)), consumer, 1_700_000_000_000)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert abs(TYPES[Stream].size(stream, 0) - bare - taken) < taken * 0.3
    assert sum(map(len, stream.parts())) > 5000
