"""Random keys: each as likely as the other, however they lie in their slots."""

from __future__ import annotations

from collections import Counter

import pytest

from respcache.store.draw import Draw
from respcache.store.slot import SLOTS


@pytest.mark.parametrize("sizes", [[1, 2, 30], [3] * 2000, [1] * SLOTS, [0, 0, 5], [40] + [1] * (SLOTS - 1)])
def test_each_key_is_as_likely(sizes: list[int]) -> None:
    shards = [{b"%d:%d" % (slot, n): None for n in range(size)} for slot, size in enumerate(sizes)]
    shards += [{} for _ in range(SLOTS - len(shards))]
    used = bytearray(bool(shard) for shard in shards)
    size = sum(sizes)
    draw, halves = Draw(), Counter[bool]()
    for changes in range(4000):
        slot, key = draw.key(shards, used, size, changes)
        assert key in shards[slot]
        at = sum(sizes[:slot]) + int(key.split(b":")[1]) if slot < 3 else size
        halves[at < size // 2 if slot < 3 else slot < len(sizes) // 2] += 1
    if len(sizes) == 3:
        assert abs(halves[True] / 4000 - (size // 2) / size) < 0.06
    else:
        assert abs(halves[True] / 4000 - 0.5) < 0.06


def test_it_notices_that_a_shard_has_grown() -> None:
    shards: list[dict[bytes, None]] = [{b"a": None}, {b"b": None}, *({} for _ in range(SLOTS - 2))]
    used, draw = bytearray(SLOTS), Draw()
    used[0] = used[1] = 1
    assert draw.key(shards, used, 2, 2)[1] in (b"a", b"b")
    shards[1] |= {b"%d" % n: None for n in range(100)}
    drawn = Counter(draw.key(shards, used, 102, 102)[1] for _ in range(3000))
    assert len(drawn) > 95
