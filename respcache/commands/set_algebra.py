"""Intersections, unions and differences of sets, replied or stored.

A missing key is an empty set. All keys are looked up, and their types checked, before anything is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.sets import set_at
from respcache.keyspec import counted, key
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import ZERO, bulk, integer
from respcache.registry import DENYOOM, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import SDIFFSTORE, SINTERSTORE, SUNIONSTORE, Event
from respcache.store.set import (
    IntSet,
    ListpackSet,
    SetTable,
    SetValue,
    gather,
    is_integer,
    members,
    missing,
    present,
)

_NO_KEYS = ReplyError(b"ERR numkeys should be greater than 0")
_TOO_FEW_KEYS = ReplyError(b"ERR Number of keys can't be greater than number of args")
_NEGATIVE_LIMIT = ReplyError(b"ERR LIMIT can't be negative")
_CHUNK = 1024  # members looked at between two looks at the limit


def _sets(c: Client, keys: Sequence[bytes]) -> list[SetValue | None]:
    return [set_at(c.db.get(each)) for each in keys]


def _reply(c: Client, found: Sequence[bytes]) -> bytes:
    return c.resp.set([bulk(member) for member in found])


def _store(c: Client, destination: bytes, made: SetValue | None, event: Event) -> bytes:
    """Puts a new set in place of what a key held; an empty one deletes it. The reply is its size."""
    if not made:
        c.db.delete(destination)
        return ZERO
    c.db.set(destination, made, event)
    return integer(len(made))


# Intersection


def _by_size(sets: Sequence[SetValue | None]) -> list[SetValue]:
    """The sets, the smallest first; nothing if one is missing."""
    there = [value for value in sets if value is not None]
    return sorted(there, key=len) if len(there) == len(sets) else []


def _intersect(sets: Sequence[SetValue]) -> list[bytes]:
    """The members that all sets have; they come by size."""
    if not sets:
        return []
    found = members(sets[0])
    for value in sets[1:]:
        found = present(value, found)
    return found


@command(
    READONLY,
    group="set",
    keys=key("RO ACCESS", last=-1),
    syntax="key:key...",
    tips=("nondeterministic_output_order",),
)
def sinter(c: Client, key: bytes, *keys: bytes) -> bytes:
    """The members that all of the sets have.
    O(N*M) worst case, with N members of the smallest of M sets. Since 1.0.0.
    """
    return _reply(c, _intersect(_by_size(_sets(c, (key, *keys)))))


@command(
    READONLY,
    group="set",
    keys=counted("RO ACCESS", 1),
    syntax="numkeys:integer key:key... [LIMIT limit:integer]",
)
def sintercard(c: Client, numkeys: bytes, key: bytes, *rest: bytes) -> bytes:
    """The number of members that all of the sets have, or the limit if that is less.
    O(N*M) worst case, with N members of the smallest of M sets. Since 7.0.0.
    """
    words = (key, *rest)
    count = parse_integer(numkeys, _NO_KEYS, 1)
    if count > len(words):
        raise _TOO_FEW_KEYS
    limit = 0
    options = iter(words[count:])
    for option in options:
        value = next(options, None)
        if option.upper() != b"LIMIT" or value is None:
            raise SYNTAX
        limit = parse_integer(value, _NEGATIVE_LIMIT, 0)
    sets = _by_size(_sets(c, words[:count]))
    if not limit or not sets:
        return integer(len(_intersect(sets)))
    seen, smallest = 0, iter(sets[0])
    while seen < limit and (chunk := list(islice(smallest, _CHUNK))):
        for other in sets[1:]:
            chunk = present(other, chunk)
        seen += len(chunk)
    return integer(min(seen, limit))


@command(
    WRITE | DENYOOM,
    group="set",
    keys=(key("RW UPDATE"), key("RO ACCESS", at=2, last=-1)),
    syntax="destination:key key:key@1...",
)
def sinterstore(c: Client, destination: bytes, key: bytes, *keys: bytes) -> bytes:
    """Stores the members that all of the sets have, and replies how many.
    O(N*M) worst case, with N members of the smallest of M sets. Since 1.0.0.
    """
    config = c.server.config
    sets = _by_size(_sets(c, (key, *keys)))
    found = _intersect(sets)
    made: SetValue | None = None
    if found and len(found) <= config.set_max_intset_entries and all(map(is_integer, found)):
        made = IntSet(dict.fromkeys(found))
    elif found:
        made = gather(IntSet() if type(sets[0]) is IntSet else ListpackSet(), found, config)
    return _store(c, destination, made, SINTERSTORE)


# Union


@command(
    READONLY,
    group="set",
    keys=key("RO ACCESS", last=-1),
    syntax="key:key...",
    tips=("nondeterministic_output_order",),
)
def sunion(c: Client, key: bytes, *keys: bytes) -> bytes:
    """The members that any of the sets has. O(N) with N members of all sets. Since 1.0.0."""
    return _reply(c, list(_unite([value for value in _sets(c, (key, *keys)) if value is not None])))


def _unite(sets: Sequence[SetValue]) -> dict[bytes, None]:
    found: dict[bytes, None] = {}
    for value in sets:
        for bucket in value.buckets if isinstance(value, SetTable) else (dict.fromkeys(members(value)),):
            found.update(bucket)
    return found


@command(
    WRITE | DENYOOM,
    group="set",
    keys=(key("OW UPDATE"), key("RO ACCESS", at=2, last=-1)),
    syntax="destination:key key:key@1...",
)
def sunionstore(c: Client, destination: bytes, key: bytes, *keys: bytes) -> bytes:
    """Stores the members that any of the sets has, and replies how many.
    O(N) with N members of all sets. Since 1.0.0.
    """
    config = c.server.config
    sets = [value for value in _sets(c, (key, *keys)) if value is not None]
    largest = max(sets, key=len, default=None)
    small = max(config.set_max_intset_entries, config.set_max_listpack_entries)
    made: SetValue
    if isinstance(largest, SetTable) and len(largest) > small:
        made = largest.copy()
        for value in sets:
            if value is not largest:
                for member in value:
                    made.add(member, None)
    else:
        made = gather(IntSet(), list(_unite(sets)), config)
    return _store(c, destination, made, SUNIONSTORE)


# Difference


def _work(sets: Sequence[SetValue | None]) -> tuple[int, int]:
    """What a difference costs: looking for each member of the first set in the others; walking over all sets."""
    sizes = [len(value) for value in sets if value is not None]
    return sizes[0] * len(sizes) // 2, sum(sizes)


def _subtract(sets: Sequence[SetValue | None]) -> list[bytes]:
    """The members of the first set that none of the others has."""
    first, *rest = sets
    others = [value for value in rest if value]
    if not first or any(value is first for value in others):
        return []
    found = members(first)
    looks, walk = _work(sets)
    if looks > walk:
        excluded = _unite(others)
        return [member for member in found if member not in excluded]
    for value in sorted(others, key=len, reverse=True):
        found = missing(value, found)
    return found


@command(
    READONLY,
    group="set",
    keys=key("RO ACCESS", last=-1),
    syntax="key:key...",
    tips=("nondeterministic_output_order",),
)
def sdiff(c: Client, key: bytes, *keys: bytes) -> bytes:
    """The members of the first set that none of the others has. O(N) with N members of all sets. Since 1.0.0."""
    return _reply(c, _subtract(_sets(c, (key, *keys))))


@command(
    WRITE | DENYOOM,
    group="set",
    keys=(key("OW UPDATE"), key("RO ACCESS", at=2, last=-1)),
    syntax="destination:key key:key@1...",
)
def sdiffstore(c: Client, destination: bytes, key: bytes, *keys: bytes) -> bytes:
    """Stores the members of the first set that none of the others has, and replies how many.
    O(N) with N members of all sets. Since 1.0.0.

    Where walking over all sets is cheaper, Redis fills the result with all of the first set and takes the others'
    members out again: the result keeps the encoding that it had to have for all.
    """
    config = c.server.config
    sets = _sets(c, (key, *keys))
    found = _subtract(sets)
    if not found or sets[0] is None:
        return _store(c, destination, None, SDIFFSTORE)
    looks, walk = _work(sets)
    if looks <= walk:
        return _store(c, destination, gather(IntSet(), found, config), SDIFFSTORE)
    first, kept = members(sets[0]), dict.fromkeys(found)
    made = gather(IntSet(), first, config)
    for member in first:
        if member not in kept:
            made.pop(member, None)
    return _store(c, destination, made, SDIFFSTORE)
