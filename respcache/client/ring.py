"""The ring that says which node holds a key: ketama, placed exactly as twemproxy places it.

A node of average weight stands on the ring 160 times. Its name with `-0` to `-39` behind it is hashed with MD5;
each hash gives four points, little-endian words of 32 bits. A key belongs to the first point at or above its own
hash, and above the last point to the first. So a node that comes or goes moves only the keys next to its points,
about 1/n of all.

Weights share the points of all nodes in proportion; twemproxy computes the share in single precision, and so do
we. A node's name is what the `servers:` line says, or else `host:port`, without the port if that is memcached's
11211 (`of_servers` reads such lines); of names longer than 80 bytes twemproxy makes points of chance. Keys are hashed
by any of `HASHES`: `hash: md5` is the default here. twemproxy's own default is `fnv1a_64`, which takes Python 50 ns for
every byte of a key.

`uhashring` was considered. Its ketama hashes `str(key)`, so that bytes keys land elsewhere, looks for a point above
the hash instead of at or above it, rounds weights in integers, knows no hash tags and only MD5, and keeps points in
a mapping where the last of two equal ones wins: it differs from twemproxy in five places, and this is shorter than
what it would take to correct them.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from hashlib import md5

POINTS = 160  # of a node of average weight
POINTS_PER_HASH = 4
MEMCACHED_PORT = "11211"

_word = struct.Struct("<I").unpack_from
_words = struct.Struct("<4I").unpack
_single = struct.Struct("<f")

Hash = Callable[[bytes], int]


def hash_md5(key: bytes) -> int:
    """The first four bytes of the MD5, little-endian."""
    value: int = _word(md5(key, usedforsecurity=False).digest())[0]
    return value


def hash_fnv1a_64(key: bytes) -> int:
    """What twemproxy calls so: FNV-1a cut to 32 bits from its start, with the bytes signed as on x86."""
    value = 0x84222325
    for byte in key:
        value = ((value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 0x1B3) & 0xFFFFFFFF
    return value


def hash_crc32a(key: bytes) -> int:
    """The CRC-32 of zlib, all 32 bits."""
    return zlib.crc32(key)


HASHES: Mapping[str, Hash] = {
    "md5": hash_md5,
    "fnv1a_64": hash_fnv1a_64,
    "crc32a": hash_crc32a,
}


class HashRing:
    """Which of some named nodes holds a key. It never changes: `with_node` and `without` give another one.

    `nodes` are names, all of weight 1, or a mapping of names to weights (integers from 1). `hash` is a name in
    HASHES or a function from bytes to 32 bits. `hash_tag` of two characters has only the part of a key between
    them hashed, as `{}` does in a cluster. Raises ValueError without nodes, or for what is none of these.
    """

    __slots__ = ("_hash", "_owners", "_tag", "_values", "_weights")

    def __init__(
        self, nodes: Iterable[str] | Mapping[str, int], *, hash: str | Hash = "md5", hash_tag: str = ""
    ) -> None:
        names = list(nodes)
        self._weights = dict(nodes) if isinstance(nodes, Mapping) else dict.fromkeys(names, 1)
        if not names or len(names) != len(self._weights):
            raise ValueError("a ring needs nodes, each with a name of its own")
        if any(type(weight) is not int or weight < 1 for weight in self._weights.values()):
            raise ValueError("the weight of a node is an integer from 1")
        if isinstance(hash, str) and hash not in HASHES:
            raise ValueError(f"no hash {hash!r}: there are {', '.join(HASHES)}")
        self._hash = HASHES[hash] if isinstance(hash, str) else hash
        self._tag = hash_tag.encode()
        if len(self._tag) not in (0, 2):
            raise ValueError("a hash tag is two characters, such as {}")
        # Stable: of two equal points that of the node named first is found.
        points = sorted(self._points(), key=lambda point: point[0])
        self._values = [value for value, _ in points]
        self._owners = [owner for _, owner in points]

    @classmethod
    def of_servers(cls, lines: Iterable[str], *, hash: str | Hash = "md5", hash_tag: str = "") -> HashRing:
        """The ring of twemproxy's `servers:`, lines as `host:port:weight` or `host:port:weight name`."""
        servers = [parse_server(line) for line in lines]
        ring = {name: weight for _, weight, name in servers}
        if len(ring) != len(servers):
            raise ValueError("two servers have the same name")
        return cls(ring, hash=hash, hash_tag=hash_tag)

    def __repr__(self) -> str:
        return f"<HashRing of {', '.join(f'{name} ({weight})' for name, weight in self._weights.items())}>"

    def _points(self) -> Iterable[tuple[int, str]]:
        total = sum(self._weights.values())
        for name, weight in self._weights.items():
            # Single precision after each step, the small constant added in double.
            part = _rounded(weight / total)
            share = _rounded(_rounded(_rounded(part * POINTS) / POINTS_PER_HASH) * len(self._weights))
            for number in range(int(_rounded(share + 0.0000000001))):
                label = f"{name}-{number}".encode()
                for value in _words(md5(label, usedforsecurity=False).digest()):
                    yield value, name

    def node(self, key: bytes | str) -> str:
        """The name of the node that holds the key."""
        if isinstance(key, str):
            key = key.encode()
        if self._tag:
            key = self._tagged(key)
        # twemproxy does not hash an empty key.
        index = bisect_left(self._values, self._hash(key) if key else 0)
        return self._owners[index if index < len(self._owners) else 0]

    def _tagged(self, key: bytes) -> bytes:
        """The part of the key between the two characters; all of it without them, or with nothing between."""
        start = key.find(self._tag[:1])
        end = key.find(self._tag[1:], start + 1)
        return key[start + 1 : end] if start >= 0 and end > start + 1 else key

    @property
    def nodes(self) -> dict[str, int]:
        """The names and weights, in the order given."""
        return dict(self._weights)

    @property
    def points(self) -> list[tuple[int, str]]:
        """All points in order, each with the node that it belongs to."""
        return list(zip(self._values, self._owners, strict=True))

    def with_node(self, name: str, weight: int = 1) -> HashRing:
        """This ring and one node more, or the node with another weight."""
        return HashRing({**self._weights, name: weight}, hash=self._hash, hash_tag=self._tag.decode())

    def without(self, *names: str) -> HashRing:
        """This ring without some nodes, as twemproxy's when it has ejected them. KeyError for an unknown one."""
        left = dict(self._weights)
        for name in names:
            del left[name]
        return HashRing(left, hash=self._hash, hash_tag=self._tag.decode())


def _rounded(value: float) -> float:
    """To single precision."""
    single: float = _single.unpack(_single.pack(value))[0]
    return single


def parse_server(line: str) -> tuple[str, int, str]:
    """Address, weight and name of a line of twemproxy's `servers:`. The address is `host:port` or a path.

    Raises ValueError for anything else.
    """
    where, _, name = line.strip().partition(" ")
    address, _, weight = where.rpartition(":")
    if not address or not weight.isdecimal() or (address[0] != "/" and ":" not in address):
        raise ValueError(f"{line!r} is not host:port:weight [name]")
    return address, int(weight), name.strip() or default_name(address)


def default_name(address: str) -> str:
    """The name of a node that was given none: its address, without memcached's port."""
    host, _, port = address.rpartition(":")
    return host if port == MEMCACHED_PORT and not address.startswith("/") else address
