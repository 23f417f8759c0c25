"""The values of the store, made of what an RDB file holds of them, in the encodings that Redis 7.4 would choose.

A value that came element by element takes the encoding that it would take here. One that came packed stays so
unless it has too many elements, however long these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from respcache.config import Config
from respcache.store.hash import Hash, HashTable, ListpackEx
from respcache.store.list import List, Quicklist, make_list
from respcache.store.set import IntSet, ListpackSet, SetTable, SetValue
from respcache.store.types import is_integer_text
from respcache.store.zset import ZSet

ANY_SIZE = 1 << 62


@dataclass(frozen=True, slots=True)
class Limits:
    """Up to where values stay packed: the directives of these names, with their defaults."""

    hash_max_listpack_entries: int = 512
    hash_max_listpack_value: int = 64
    list_max_listpack_size: int = -2
    set_max_intset_entries: int = 512
    set_max_listpack_entries: int = 128
    set_max_listpack_value: int = 64
    zset_max_listpack_entries: int = 128
    zset_max_listpack_value: int = 64

    @classmethod
    def of(cls, config: Config) -> Limits:
        """Those of a configuration."""
        return cls(*[getattr(config, field.name) for field in fields(cls)])


DEFAULTS = Limits()


class EmptyValueError(ValueError):
    """A value without elements, which no key can have: a file is read on without it."""


def _refuse_empty(elements: Sequence[object]) -> None:
    if not elements:
        raise EmptyValueError("a value without elements")


def list_of(elements: list[bytes], limits: Limits, nodes: int = 1) -> List:
    """A list; `nodes` is the number of pieces that it came in, of which only one alone can be a listpack."""
    _refuse_empty(elements)
    return make_list(elements, limits.list_max_listpack_size) if nodes == 1 else Quicklist(elements)


def _distinct(elements: Sequence[bytes]) -> dict[bytes, None]:
    _refuse_empty(elements)
    members = dict.fromkeys(elements)
    if len(members) != len(elements):
        raise ValueError("a set that has a member twice")
    return members


def set_of(elements: list[bytes], limits: Limits) -> SetValue:
    """A set that came member by member."""
    members = _distinct(elements)
    count = len(members)
    if count > limits.set_max_intset_entries:
        return SetTable(members)
    integers = 0
    for member in elements:
        if not is_integer_text(member):
            break
        integers += 1
    if integers == count:
        return IntSet(members)
    if count > limits.set_max_listpack_entries or max(map(len, elements)) > limits.set_max_listpack_value:
        return SetTable(members)
    # It begins as an intset, in the order of one.
    return ListpackSet(dict.fromkeys(sorted(elements[:integers], key=int) + elements[integers:]))


def set_of_integers(values: list[int], limits: Limits) -> SetValue:
    """A set that came as an intset; the integers are distinct."""
    _refuse_empty(values)
    members = dict.fromkeys([b"%d" % value for value in values])
    return IntSet(members) if len(members) <= limits.set_max_intset_entries else SetTable(members)


def packed_set_of(elements: list[bytes], limits: Limits) -> SetValue:
    """A set that came as a listpack."""
    members = _distinct(elements)
    return ListpackSet(members) if len(members) <= limits.set_max_listpack_entries else SetTable(members)


def _pairs(words: Sequence[bytes], step: int = 2) -> dict[bytes, bytes]:
    _refuse_empty(words)
    names = words[::step]
    if len(words) % step:
        raise ValueError("a field without a value")
    pairs = dict(zip(names, words[1::step], strict=True))
    if len(pairs) != len(names):
        raise ValueError("a hash that has a field twice")
    return pairs


def _is_long(words: Sequence[bytes], limits: Limits) -> bool:
    return max(map(len, words)) > limits.hash_max_listpack_value


def hash_of(words: list[bytes], limits: Limits) -> Hash:
    """A hash that came as field, value, field, value..."""
    pairs = _pairs(words)
    if len(pairs) > limits.hash_max_listpack_entries or _is_long(words, limits):
        return HashTable(pairs)
    return pairs


def packed_hash_of(words: list[bytes], limits: Limits) -> Hash:
    """The same, from a packed form."""
    pairs = _pairs(words)
    return pairs if len(pairs) <= limits.hash_max_listpack_entries else HashTable(pairs)


def mortal_hash_of(words: list[bytes], limits: Limits, packed: bool) -> Hash:
    """A hash that came as field, value, deadline..., the last one in milliseconds since the epoch, 0 for none."""
    pairs = _pairs(words, 3)
    big = len(pairs) > limits.hash_max_listpack_entries or (
        not packed and (_is_long(words[::3], limits) or _is_long(words[1::3], limits))
    )
    made = HashTable(pairs) if big else ListpackEx(pairs)
    deadlines = ListpackEx({}).deadlines
    for field, text in zip(words[::3], words[2::3], strict=True):
        if text == b"0":
            continue
        if not is_integer_text(text) or text[:1] == b"-" or (when := int(text)) >> 48:
            raise ValueError(f"the deadline of a field is {text[:40]!r}")
        deadlines.set(field, when)
    if not big or deadlines:
        made.deadlines = deadlines
    return made


def _sorted_set(members: list[bytes], scores: list[float], entries: int, size: int) -> ZSet:
    _refuse_empty(members)
    if any(score != score for score in scores):
        raise ValueError("a score that is no number")
    pairs = dict(zip(members, scores, strict=True))
    if len(pairs) != len(members):
        raise ValueError("a sorted set that has a member twice")
    return ZSet.of(pairs, entries, size)


def zset_of(members: list[bytes], scores: list[float], limits: Limits) -> ZSet:
    """A sorted set that came member by member."""
    return _sorted_set(members, scores, limits.zset_max_listpack_entries, limits.zset_max_listpack_value)


def score_of(text: bytes) -> float:
    """A score as text; ValueError if it is none."""
    if b"_" in text:
        raise ValueError(f"the score of a member is {text[:40]!r}")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"the score of a member is {text[:40]!r}") from None


def packed_zset_of(words: list[bytes], limits: Limits) -> ZSet:
    """A sorted set that came as a packed member, score, member, score..."""
    if len(words) % 2:
        raise ValueError("a member without a score")
    scores = list(map(score_of, words[1::2]))
    return _sorted_set(words[::2], scores, limits.zset_max_listpack_entries, ANY_SIZE)
