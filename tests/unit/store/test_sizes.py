"""Estimated sizes beside what CPython really takes."""

from __future__ import annotations

import tracemalloc

from respcache.store.sizes import allocated, key_size, sampled, string_size


def test_a_bigger_string_is_bigger() -> None:
    assert string_size(b"") < string_size(b"x" * 100) < string_size(b"x" * 1000)
    assert 1000 < string_size(b"x" * 1000) < 1100
    assert string_size(7) < string_size(bytearray(100))


def test_objects_are_rounded_up_to_sixteen_bytes() -> None:
    assert {allocated(b"x" * size) % 16 for size in range(40)} == {0}


def test_samples_stand_for_all() -> None:
    items = [b"x" * 10] * 100 + [b"x" * 1000] * 100
    assert sampled(items, 5) == 200 * allocated(b"x" * 10)
    assert sampled(items, 0) == sampled(items, 500) == 100 * (allocated(items[0]) + allocated(items[-1]))
    assert sampled([], 5) == 0


def test_a_time_to_live_takes_space() -> None:
    shard = {b"key": b""}
    assert key_size(b"key", shard, True) > key_size(b"key", shard, False) > allocated(shard)


def test_the_keys_of_a_shard_share_it() -> None:
    shard = {b"%d" % number: b"" for number in range(50)}
    assert sum(key_size(key, shard, False) - allocated(key) for key in shard) <= allocated(shard)


def test_the_estimate_is_near_the_truth() -> None:
    shards: list[dict[bytes, bytes]] = [{} for _ in range(100)]
    tracemalloc.start()
    try:
        for number in range(6000):
            shards[number % 100][b"key:%012d" % number] = b"v" * 7 + b"%d" % (number % 1000)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    estimate = sum(
        key_size(key, shard, False) + string_size(value) for shard in shards for key, value in shard.items()
    )
    assert 0.75 < estimate / taken < 1.3
