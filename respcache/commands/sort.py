"""SORT: the elements of a list, a set or a sorted set, in the order of themselves or of values named after them.

A pattern names a value by its `*`, for which the element stands: `weight_*` is the string at `weight_<element>`,
`object_*->field` a field of the hash at `object_<element>`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from sys import float_info
from typing import Any

from respcache.commands.arguments import double, integer
from respcache.commands.hashes import living
from respcache.commands.strings import string
from respcache.keyspec import key, sort_keys, sort_ro_keys, unknown
from respcache.protocol.errors import SYNTAX, WRONGTYPE, ReplyError
from respcache.protocol.reply import ZERO, array, bulk
from respcache.protocol.reply import integer as integer_reply
from respcache.registry import DENYOOM, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import SORTSTORE
from respcache.store.list import make_list
from respcache.store.set import members
from respcache.store.slot import hash_slot
from respcache.store.types import type_name
from respcache.store.zset import ZSet

_WILD = re.compile(rb"[*?\[\\]")
_NOT_NUMBERS = ReplyError(b"ERR One or more scores can't be converted into double")

Lookup = Callable[[bytes], bytes | None]
"""From an element to what a pattern finds for it."""


@dataclass(slots=True)
class _Options:
    by: bytes | None = None
    get: list[bytes] = field(default_factory=list)
    offset: int = 0
    count: int = -1  # negative: all
    descending: bool = False
    alpha: bool = False
    store: bytes | None = None
    sorts: bool = True  # a constant pattern to sort by, at any place, is the way to say no

    def span(self, length: int) -> tuple[int, int]:
        """What LIMIT leaves of so many elements: the first place and that behind the last."""
        start = max(self.offset, 0)
        return start, length if self.count < 0 else start + self.count


def _parse(c: Client, key: bytes, words: Sequence[bytes], stores: bool) -> _Options:
    """The options; the last one of a kind counts, GET excepted."""
    options = _Options()
    home = None if c.server.cluster is None else hash_slot(key)
    left = iter(words)
    try:
        for word in left:
            match word.upper():
                case b"ASC" | b"DESC" as order:
                    options.descending = order == b"DESC"
                case b"ALPHA":
                    options.alpha = True
                case b"LIMIT":
                    first, second = next(left), next(left)
                    options.offset, options.count = integer(first), integer(second)
                case b"STORE" if stores:
                    options.store = next(left)
                case b"BY":
                    options.by = next(left)
                    options.sorts &= b"*" in options.by
                    if b"*" in options.by:
                        _check_home(home, options.by, b"BY")
                case b"GET":
                    options.get.append(next(left))
                    _check_home(home, options.get[-1], b"GET")
                case _:
                    raise SYNTAX
    except StopIteration:
        raise SYNTAX from None
    return options


def _check_home(home: int | None, pattern: bytes, option: bytes) -> None:
    """In a cluster all keys that a pattern may name must be in the slot of the key. Raises ReplyError."""
    if home is not None and pattern_slot(pattern) != home:
        raise ReplyError(
            b"ERR %b option of SORT denied in Cluster mode when keys formed by the pattern may be in different slots."
            % option
        )


def pattern_slot(pattern: bytes) -> int | None:
    """The slot of all keys that a pattern may name; None if they may be in several.

    What stands before the first wildcard decides, if it has a hash tag; else there must be no wildcard.
    """
    wild = _WILD.search(pattern)
    if wild is None:
        return hash_slot(pattern)
    fixed = pattern[: wild.start()]
    start = fixed.find(b"{")
    return hash_slot(fixed) if start >= 0 and fixed.find(b"}", start) > start + 1 else None


def _lookup(c: Client, pattern: bytes) -> Lookup:
    """What a pattern finds for an element: a string, a hash's field, the element itself for `#`, or None."""
    if pattern == b"#":
        return lambda element: element
    before, star, behind = pattern.partition(b"*")
    if not star:
        return lambda _element: None
    behind, arrow, name = behind.partition(b"->")
    if arrow and not name:  # a key that ends in an arrow
        behind, arrow = behind + arrow, b""
    get = c.db.get

    def find(element: bytes) -> bytes | None:
        key = before + element + behind
        value = get(key)
        if value is None:
            return None
        kind = type_name(value)
        if arrow:
            hash_ = living(c, key, value, (name,)) if kind == b"hash" else None
            return None if hash_ is None else hash_.get(name)
        return string(value) if kind == b"string" else None

    return find


def _number(word: bytes) -> float:
    """A weight. As C's strtod reads it: blanks before it are skipped, a zero byte ends it, nothing is 0.

    A decimal too small for a normal double is out of its range.
    """
    if word.isdigit() and len(word) <= float_info.max_10_exp:
        return float(word)
    word = word.partition(b"\0")[0]
    number = double(word.lstrip(b" \t\n\v\f\r"), _NOT_NUMBERS) if word else 0.0
    if 0 < abs(number) < float_info.min and b"x" not in word.lower():
        raise _NOT_NUMBERS
    return number


def _elements(value: Any) -> list[bytes]:
    """The elements of a container in its own order."""
    return members(value) if type_name(value) == b"set" else list(value)


def _part(value: Any, start: int, stop: int, backwards: bool) -> list[bytes]:
    """The elements from one place to before another, counted from the end if that is the order asked for.

    Sorted sets and lists know two directions, sets have none.
    """
    if type_name(value) == b"set":
        return members(value)[start:stop]
    size = len(value)
    start, stop = min(start, size), min(stop, size)
    if backwards:
        start, stop = size - stop, size - start
    found: list[bytes] = value.slice(start, stop)[0] if type(value) is ZSet else value.elements(start, stop)
    if backwards:
        found.reverse()
    return found


def _sorted(c: Client, found: list[bytes], options: _Options) -> list[bytes]:
    """The elements in order. Those of equal weight are ordered by themselves, unless ALPHA compares weights."""
    backwards = options.descending
    if options.by is None:
        if options.alpha:
            return sorted(found, reverse=backwards)
        weights = [_number(element) for element in found]
    else:
        lookup = _lookup(c, options.by)
        if options.alpha:
            # A missing weight comes before all others.
            words = [(word is not None, word or b"") for word in map(lookup, found)]
            order = sorted(range(len(found)), key=words.__getitem__, reverse=backwards)
            return [found[at] for at in order]
        weights = [0.0 if word is None else _number(word) for word in map(lookup, found)]
    return [element for _, element in sorted(zip(weights, found, strict=True), reverse=backwards)]


def _select(c: Client, key: bytes, options: _Options) -> list[bytes | None]:
    """What SORT replies: the elements, or what the GET patterns find for each of them."""
    value = c.db.get(key)
    if value is None:
        return []
    if type_name(value) not in (b"list", b"set", b"zset"):
        raise WRONGTYPE
    if type(value) is ZSet:
        value.packed = False  # as Redis leaves it, which needs its index
    start, stop = options.span(len(value))
    if options.sorts:
        chosen = _sorted(c, _elements(value), options)[start:stop]
    else:
        chosen = _part(value, start, stop, options.descending)
    if not options.get:
        return list(chosen)
    return list(_fetched(chosen, [_lookup(c, pattern) for pattern in options.get]))


def _fetched(elements: Iterable[bytes], lookups: Sequence[Lookup]) -> Iterator[bytes | None]:
    for element in elements:
        for lookup in lookups:
            yield lookup(element)


def _reply(c: Client, found: Sequence[bytes | None]) -> bytes:
    null = c.resp.null
    return array([null if value is None else bulk(value) for value in found])


_PATTERNS = unknown("RO ACCESS", notes="`BY` and `GET` name keys through the values")


@command(
    WRITE | DENYOOM,
    group="generic",
    keys=(key("RO ACCESS"), _PATTERNS, unknown("OW UPDATE", notes="`STORE` may stand anywhere")),
    getkeys=sort_keys,
    categories="dangerous list set sortedset -keyspace",
    syntax=(
        "key:key [BY pattern:pattern@1] [LIMIT offset_count=(offset:integer count:integer)] [GET "
        "pattern:pattern@1]... [order=<ASC | DESC>] [sorting=ALPHA] [STORE destination:key@2]"
    ),
)
def sort(c: Client, key: bytes, *words: bytes) -> bytes:
    """Sorts the elements of a list, a set or a sorted set, and replies them or stores them as a list.

    O(N+M*log(M)) with N elements, M of them replied. Since 1.0.0.
    """
    options = _parse(c, key, words, stores=True)
    if options.store is None:
        return _reply(c, _select(c, key, options))
    if not options.sorts and type_name(c.db.peek(key)) == b"set":
        # What is stored must not depend on the order in which a set happens to be.
        options.by, options.alpha, options.sorts = None, True, True
    found = _select(c, key, options)
    if not found:
        c.db.delete(options.store)
        return ZERO
    made = make_list([value or b"" for value in found], c.server.config.list_max_listpack_size)
    c.db.set(options.store, made, SORTSTORE)
    c.db.dirty += len(found) - 1
    return integer_reply(len(found))


@command(
    READONLY,
    group="generic",
    name="sort_ro",
    keys=(key("RO ACCESS"), _PATTERNS),
    getkeys=sort_ro_keys,
    categories="dangerous list set sortedset -keyspace",
    syntax=(
        "key:key [BY pattern:pattern@1] [LIMIT offset_count=(offset:integer count:integer)] [GET "
        "pattern:pattern@1]... [order=<ASC | DESC>] [sorting=ALPHA]"
    ),
)
def sort_ro(c: Client, key: bytes, *words: bytes) -> bytes:
    """Sorts the elements of a list, a set or a sorted set, as SORT, and can store nothing.

    O(N+M*log(M)) with N elements, M of them replied. Since 7.0.0.
    """
    return _reply(c, _select(c, key, _parse(c, key, words, stores=False)))
