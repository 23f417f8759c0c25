"""The ring: twemproxy's points, their shares, and what moves. The proxy itself: integration/test_twemproxy.py."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.client import HashRing
from respcache.client.ring import default_name, hash_crc32a, hash_fnv1a_64, hash_md5, parse_server

KEYS = [f"key:{number}" for number in range(20_000)]
NODES = [f"10.0.0.{number}:6379" for number in range(1, 11)]


def test_a_node_has_40_labels_of_four_little_endian_points() -> None:
    expected = sorted(
        int.from_bytes(hashlib.md5(f"a:1-{number}".encode()).digest()[start : start + 4], "little")
        for number in range(40)
        for start in (0, 4, 8, 12)
    )
    assert HashRing(["a:1"]).points == [(value, "a:1") for value in expected]


def test_a_key_belongs_to_the_first_point_at_or_above_its_hash() -> None:
    ring = HashRing(["a", "b", "c"])
    points = ring.points
    hashes = {b"at": points[7][0], b"above": points[7][0] + 1, b"end": points[-1][0] + 1}
    ring = HashRing(["a", "b", "c"], hash=lambda key: hashes[key])
    assert ring.node(b"at") == points[7][1]
    assert ring.node(b"above") == points[8][1]
    assert ring.node(b"end") == points[0][1]
    assert ring.node(b"") == points[0][1]  # not hashed


def test_text_keys_are_utf8() -> None:
    ring = HashRing(NODES)
    assert ring.node("Straße") == ring.node("Straße".encode())


@pytest.mark.parametrize(
    ("weights", "points"),
    [
        ({"a": 1, "b": 1, "c": 1}, {"a": 160, "b": 160, "c": 160}),
        ({"a": 1, "b": 2, "c": 1}, {"a": 120, "b": 240, "c": 120}),
        ({"a": 1, "b": 1, "c": 5}, {"a": 68, "b": 68, "c": 340}),
        ({"a": 1, "b": 1000}, {"b": 316}),  # too light for a point
    ],
)
def test_weights_share_the_points(weights: dict[str, int], points: dict[str, int]) -> None:
    assert Counter(owner for _, owner in HashRing(weights).points) == points


def test_a_new_node_takes_its_share_and_moves_nothing_else() -> None:
    before = HashRing(NODES[:-1])
    after = before.with_node(NODES[-1])
    moved = [key for key in KEYS if before.node(key) != after.node(key)]
    assert {after.node(key) for key in moved} == {NODES[-1]}
    assert 0.07 < len(moved) / len(KEYS) < 0.13  # 1/10


def test_a_node_that_goes_moves_only_its_keys() -> None:
    before = HashRing(NODES)
    after = before.without(NODES[3])
    moved = [key for key in KEYS if before.node(key) != after.node(key)]
    assert {before.node(key) for key in moved} == {NODES[3]}
    assert 0.07 < len(moved) / len(KEYS) < 0.13
    taken = Counter(after.node(key) for key in moved)
    assert len(taken) == 9  # all others have a part of them
    assert after.with_node(NODES[3]).points == HashRing([*NODES[:3], *NODES[4:], NODES[3]]).points


def test_the_keys_are_spread() -> None:
    counts = Counter(map(HashRing(NODES).node, KEYS))
    assert all(0.75 < count * 10 / len(KEYS) < 1.25 for count in counts.values())


def test_hash_tags() -> None:
    ring = HashRing(NODES, hash_tag="{}")
    assert len({ring.node(f"{{user:1}}:{number}") for number in range(50)}) == 1
    assert ring.node("{user:1}:x") == ring.node("user:1")
    for whole in ("{}x", "{x", "}x{", "x"):
        assert ring.node(whole) == HashRing(NODES).node(whole)
    assert HashRing(NODES, hash_tag="$$").node("a$tag$b") == HashRing(NODES).node("tag")


def test_hashes() -> None:
    assert hash_md5(b"key") == int.from_bytes(hashlib.md5(b"key").digest()[:4], "little")
    assert hash_crc32a(b"key") == zlib.crc32(b"key")
    assert hash_fnv1a_64(b"") == 0x84222325
    # The bytes of this name by hand: plain, then one that is negative as a signed char.
    assert hash_fnv1a_64(b"a") == ((0x84222325 ^ 0x61) * 0x1B3) & 0xFFFFFFFF
    assert hash_fnv1a_64(b"\x80") == ((0x84222325 ^ 0xFFFFFF80) * 0x1B3) & 0xFFFFFFFF


@given(st.binary(min_size=1), st.sets(st.text(min_size=1, max_size=20), min_size=1, max_size=5))
def test_every_key_has_a_node(key: bytes, names: set[str]) -> None:
    for name in ("md5", "fnv1a_64", "crc32a"):
        ring = HashRing(sorted(names), hash=name)
        assert ring.node(key) in names
        assert ring.node(key) == HashRing(sorted(names), hash=name).node(key)


def test_lines_of_twemproxy() -> None:
    ring = HashRing.of_servers(
        ["10.0.0.1:6379:1", "10.0.0.2:11211:2", "10.0.0.3:6379:1 gamma", "/run/r.sock:3"]
    )
    assert ring.nodes == {"10.0.0.1:6379": 1, "10.0.0.2": 2, "gamma": 1, "/run/r.sock": 3}
    assert parse_server("a:1:2 name with spaces") == ("a:1", 2, "name with spaces")
    assert default_name("/run/x:11211") == "/run/x:11211"


@pytest.mark.parametrize("line", ["", "a", "a:1", "a:1:x", "a:1:", "/path", ":1"])
def test_other_lines(line: str) -> None:
    with pytest.raises(ValueError, match="host:port:weight"):
        parse_server(line)


def test_what_is_no_ring() -> None:
    for nodes in ([], ["a", "a"], {"a": 0}, {"a": 1.5}):
        with pytest.raises(ValueError):
            HashRing(nodes)
    with pytest.raises(ValueError, match="md5"):
        HashRing(["a"], hash="murmur")
    with pytest.raises(ValueError, match="two characters"):
        HashRing(["a"], hash_tag="{")
    with pytest.raises(ValueError, match="same name"):
        HashRing.of_servers(["a:1:1 x", "b:1:1 x"])
    with pytest.raises(KeyError):
        HashRing(["a", "b"]).without("c")
    with pytest.raises(ValueError):
        HashRing(["a"]).without("a")
