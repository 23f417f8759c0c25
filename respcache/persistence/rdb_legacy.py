"""Values in the encodings that Redis no longer writes."""

from __future__ import annotations

from respcache.persistence import packed
from respcache.persistence.rdb_build import (
    Limits,
    hash_of,
    list_of,
    packed_hash_of,
    packed_zset_of,
    score_of,
    zset_of,
)
from respcache.persistence.source import Source
from respcache.store.hash import Hash
from respcache.store.list import List
from respcache.store.zset import ZSet

_SPECIAL_DOUBLES = {253: "nan", 254: "inf", 255: "-inf"}


def read_list(source: Source, limits: Limits) -> List:
    """A list, element by element (type 1)."""
    return list_of(source.strings(source.length()), limits)


def read_text_double(source: Source) -> float:
    """A score as text, with its length in one byte. ValueError if it is none."""
    size = source.byte()
    special = _SPECIAL_DOUBLES.get(size)
    return score_of(source.take(size)) if special is None else float(special)


def read_zset(source: Source, limits: Limits) -> ZSet:
    """A sorted set whose scores are texts (type 3)."""
    members: list[bytes] = []
    scores: list[float] = []
    for _ in range(source.length()):
        members.append(source.string())
        scores.append(read_text_double(source))
    return zset_of(members, scores, limits)


def read_zipmap(source: Source, limits: Limits) -> Hash:
    """A hash as a zipmap (type 9), which is unpacked if something in it is long."""
    return hash_of(packed.decode_zipmap(source.string()), limits)


def read_list_ziplist(source: Source, limits: Limits) -> List:
    """A list as a ziplist (type 10)."""
    return list_of(packed.decode_ziplist(source.string()), limits)


def read_zset_ziplist(source: Source, limits: Limits) -> ZSet:
    """A sorted set as a ziplist (type 12)."""
    return packed_zset_of(packed.decode_ziplist(source.string()), limits)


def read_hash_ziplist(source: Source, limits: Limits) -> Hash:
    """A hash as a ziplist (type 13)."""
    return packed_hash_of(packed.decode_ziplist(source.string()), limits)


def read_quicklist(source: Source, limits: Limits) -> List:
    """A list as ziplists (type 14)."""
    elements: list[bytes] = []
    nodes = 0
    for _ in range(source.length()):
        found = packed.decode_ziplist(source.string())
        elements += found
        nodes += bool(found)
    return list_of(elements, limits, nodes)
