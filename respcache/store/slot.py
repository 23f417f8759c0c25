"""Hash slots: which of the 16384 shards a key lives in. The function is the one of Redis Cluster.

The slot is CRC16 (XMODEM, which is `binascii.crc_hqx` from 0) of the key, modulo 16384. If the key has a `{`
with a `}` somewhere behind it and something in between, only what stands between the first such pair is
hashed. Source: the Redis Cluster specification, "Hash tags".
"""

from __future__ import annotations

from binascii import crc_hqx

SLOTS = 16384
MASK = SLOTS - 1
BRACE = 123  # `123 in key` asks for a `{` and is several times faster than `b"{" in key`


def hash_slot(key: bytes) -> int:
    """The hash slot of a key, 0 to 16383."""
    if BRACE in key:
        return tagged_slot(key)
    return crc_hqx(key, 0) & MASK


def tagged_slot(key: bytes) -> int:
    """The hash slot of a key that has a `{` in it."""
    start = key.find(b"{") + 1
    end = key.find(b"}", start)
    return crc_hqx(key[start:end] if start > 0 and end > start else key, 0) & MASK
