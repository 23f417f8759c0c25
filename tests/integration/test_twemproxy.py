"""The ring against twemproxy itself: what one places, the other finds. Debian has it as `nutcracker`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from respcache.client import CacheClient, HashRing, ReplyError
from tests.servers import Server, free_port, start_respcache

pytestmark = pytest.mark.skipif(shutil.which("nutcracker") is None, reason="no nutcracker on PATH")

PATIENCE = 10.0  # seconds for an answer: a busy machine is no failure
KEYS: list[bytes] = [
    *(b"key:%d" % number for number in range(4000)),
    *(b"{user:%d}:%d" % (number % 50, number) for number in range(500)),
    *(f"Straße {{{number}}} 東京".encode() for number in range(400)),
    *(bytes([0x80 + number % 128, number % 256, 0xFF]) + b"%d" % number for number in range(200)),
    *(b"{}%d" % number for number in range(20)),
    *(b"{%d" % number for number in range(20)),
    *(b"}{%d}" % number for number in range(20)),
    b"x",
]


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [stack.enter_context(start_respcache()) for _ in range(3)]


@contextmanager
def twemproxy(lines: Sequence[str], directory: Path, *options: str) -> Iterator[int]:
    """A proxy before servers, the lines of its `servers:`; its port."""
    port, statistics = free_port(), free_port()
    settings = ["distribution: ketama", "redis: true", f"listen: 127.0.0.1:{port}", "timeout: 2000", *options]
    written = [
        "pool:",
        *(f"  {each}" for each in settings),
        "  servers:",
        *(f"    - {line}" for line in lines),
    ]
    (directory / "pool.yml").write_text("\n".join(written) + "\n")
    files = ["-c", "pool.yml", "-p", "pid", "-a", "127.0.0.1", "-s", str(statistics)]
    with Server(["nutcracker", *files], port=port, directory=directory):
        yield port


def found_on(node: Server, keys: Sequence[bytes]) -> set[bytes]:
    """Which of the keys a node has."""
    with CacheClient([f"127.0.0.1:{node.port}"], timeout=PATIENCE, errors="raise") as cache:
        return set(cache.get_many(keys))


def emptied(nodes: Sequence[Server]) -> None:
    for node in nodes:
        node.start()
    with CacheClient([f"127.0.0.1:{node.port}" for node in nodes], timeout=PATIENCE) as cache:
        assert cache.clear()


OTHERS = [b"other:%d" % number for number in range(100)]

PLAIN = ("{}:1", "{}:1", "{}:1")
WEIGHTED = ("{}:1", "{}:3", "{}:2")
NAMED = ("{}:1 alpha", "{}:1 beta", "{}:5 a-node-with-a-" + "long-" * 12 + "name")


@pytest.mark.parametrize(
    ("key_hash", "hash_tag", "pattern"),
    [
        ("md5", "", PLAIN),
        ("md5", "", WEIGHTED),
        ("md5", "{}", NAMED),
        ("fnv1a_64", "", NAMED),
        ("fnv1a_64", "$$", WEIGHTED),
        ("crc32a", "{}", PLAIN),
    ],
)
def test_each_finds_what_the_other_placed(
    nodes: list[Server], tmp_path: Path, key_hash: str, hash_tag: str, pattern: Sequence[str]
) -> None:
    lines = [each.format(f"127.0.0.1:{node.port}") for each, node in zip(pattern, nodes, strict=True)]
    options = [f"hash: {key_hash}", *([f'hash_tag: "{hash_tag}"'] if hash_tag else [])]
    ring = HashRing.of_servers(lines, hash=key_hash, hash_tag=hash_tag)
    names = list(ring.nodes)
    assert len(KEYS) > 5000
    with twemproxy(lines, tmp_path, *options) as port:
        proxy = CacheClient([f"127.0.0.1:{port}"], timeout=PATIENCE, errors="raise")
        ours = CacheClient(lines, hash=key_hash, hash_tag=hash_tag, timeout=PATIENCE, errors="raise")
        with proxy, ours:
            emptied(nodes)
            assert proxy.set_many(dict.fromkeys(KEYS, "theirs")) == []
            for node, name in zip(nodes, names, strict=True):
                assert found_on(node, KEYS) == {key for key in KEYS if ring.node(key) == name}
            assert ours.get_many(KEYS) == dict.fromkeys(KEYS, "theirs")

            emptied(nodes)
            assert ours.set_many(dict.fromkeys(KEYS, "ours")) == []
            assert proxy.get_many(KEYS) == dict.fromkeys(KEYS, "ours")


@pytest.mark.parametrize("pattern", [PLAIN, WEIGHTED])
def test_a_node_ejected_by_both(nodes: list[Server], tmp_path: Path, pattern: Sequence[str]) -> None:
    lines = [each.format(f"127.0.0.1:{node.port}") for each, node in zip(pattern, nodes, strict=True)]
    options = [
        "hash: md5",
        "auto_eject_hosts: true",
        "server_failure_limit: 1",
        "server_retry_timeout: 60000",
    ]
    emptied(nodes)
    with twemproxy(lines, tmp_path, *options) as port:
        proxy = CacheClient([f"127.0.0.1:{port}"], timeout=PATIENCE, failures=1000)
        ours = CacheClient(lines, rehash=True, timeout=PATIENCE)
        with proxy, ours:
            nodes[1].kill()
            name = list(ours.ring.nodes)[1]
            deadline = time.monotonic() + PATIENCE
            while ours.health()[name].up or _refused(proxy):
                ours.set_many(dict.fromkeys(OTHERS, 0))
                assert time.monotonic() < deadline
            assert ours.set_many(dict.fromkeys(KEYS, "ours")) == []
            assert proxy.get_many(KEYS) == dict.fromkeys(KEYS, "ours")
            left = ours.ring.without(name)
            for node, owner in zip(nodes, ours.ring.nodes, strict=True):
                if owner != name:
                    assert found_on(node, KEYS) == {key for key in KEYS if left.node(key) == owner}


def _refused(proxy: CacheClient) -> bool:
    """Whether the proxy still asks the node that is dead."""
    try:
        return bool(proxy.set_many(dict.fromkeys(OTHERS, 0)))
    except ReplyError:
        return True
