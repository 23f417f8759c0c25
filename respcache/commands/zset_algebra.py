"""Sorted sets: unions, intersections and differences, in which plain sets may take part with scores of 1."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isnan
from typing import Protocol

from respcache.commands.arguments import INT64_MAX, double
from respcache.commands.arguments import integer as parse_integer
from respcache.commands.zset_ranges import store
from respcache.commands.zsets import scored
from respcache.keyspec import counted, key
from respcache.protocol.errors import SYNTAX, WRONGTYPE, ReplyError
from respcache.protocol.reply import bulks, integer
from respcache.registry import DENYOOM, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import ZDIFFSTORE, ZINTERSTORE, ZUNIONSTORE
from respcache.store.types import type_name
from respcache.store.zset import ZSet

_WEIGHT = ReplyError(b"ERR weight value is not a float")
_NEGATIVE_LIMIT = ReplyError(b"ERR LIMIT can't be negative")
_CHUNK = 1024  # members looked at between two looks at the limit


class _Scores(Protocol):
    """The scores of one input."""

    def __len__(self) -> int: ...

    def get(self, member: bytes, /) -> float | None:
        """The score of a member, None if it is not there."""

    def items(self) -> Iterable[tuple[bytes, float]]:
        """Members and scores."""


class _Ones:
    """A plain set, seen as scores."""

    __slots__ = ("_members",)

    def __init__(self, members: Collection[bytes]) -> None:
        self._members = members

    def __len__(self) -> int:
        return len(self._members)

    def get(self, member: bytes, /) -> float | None:
        return 1.0 if member in self._members else None

    def items(self) -> Iterable[tuple[bytes, float]]:
        return ((member, 1.0) for member in self._members)


_NOTHING: dict[bytes, float] = {}


def _input(c: Client, key: bytes) -> _Scores:
    value = c.db.get(key)
    if type(value) is ZSet:
        return value.scores
    if value is None:
        return _NOTHING
    if type_name(value) == b"set":
        return _Ones(value)
    raise WRONGTYPE


def _sum(one: float, other: float) -> float:
    total = one + other
    return 0.0 if isnan(total) else total  # inf - inf


# A weight of zero makes NaN of an infinite score; like Redis these leave it where the comparison is false.
def _min(one: float, other: float) -> float:
    return other if other < one else one


def _max(one: float, other: float) -> float:
    return other if other > one else one


_AGGREGATES: dict[bytes, Callable[[float, float], float]] = {b"SUM": _sum, b"MIN": _min, b"MAX": _max}


@dataclass(slots=True)
class _Request:
    """The inputs and options of a command."""

    inputs: list[_Scores]
    weights: list[float]
    aggregate: Callable[[float, float], float] = _sum
    with_scores: bool = False
    limit: int = 0

    def by_size(self) -> list[tuple[_Scores, float]]:
        """The inputs and their weights, the smallest first: the order in which Redis adds up scores."""
        return sorted(zip(self.inputs, self.weights, strict=True), key=lambda pair: len(pair[0]))


def _parse(c: Client, name: str, words: Sequence[bytes], takes: frozenset[bytes]) -> _Request:
    """Reads `numkeys key... options`, of which those in `takes` are known.

    The inputs are looked up before the options are read, as errors show in Redis.
    """
    count = parse_integer(words[0])
    if count < 1:
        raise ReplyError(b"ERR at least 1 input key is needed for '%b' command" % name.encode())
    if count > len(words) - 1:
        raise SYNTAX
    asked = _Request([_input(c, key) for key in words[1 : count + 1]], [1.0] * count)
    rest = list(reversed(words[count + 1 :]))
    while rest:
        option = rest.pop().upper()
        if option not in takes:
            raise SYNTAX
        if option == b"WEIGHTS" and len(rest) >= count:
            asked.weights = [double(rest.pop(), _WEIGHT) for _ in range(count)]
        elif option == b"AGGREGATE" and rest and (how := rest.pop().upper()) in _AGGREGATES:
            asked.aggregate = _AGGREGATES[how]
        elif option == b"WITHSCORES":
            asked.with_scores = True
        elif option == b"LIMIT" and rest:
            asked.limit = parse_integer(rest.pop(), _NEGATIVE_LIMIT, 0, INT64_MAX)
        else:
            raise SYNTAX
    return asked


_READS = frozenset({b"WEIGHTS", b"AGGREGATE", b"WITHSCORES"})
_STORES = frozenset({b"WEIGHTS", b"AGGREGATE"})
_DIFF = frozenset({b"WITHSCORES"})
_CARD = frozenset({b"LIMIT"})


def _weighted(score: float, weight: float) -> float:
    product = score * weight
    return 0.0 if isnan(product) else product


def _union(asked: _Request) -> dict[bytes, float]:
    made: dict[bytes, float] = {}
    aggregate = asked.aggregate
    for scores, weight in asked.by_size():
        for member, score in scores.items():
            value = score if weight == 1 else _weighted(score, weight)
            old = made.get(member)
            made[member] = value if old is None else aggregate(old, value)
    return made


def _inter(asked: _Request) -> dict[bytes, float]:
    (smallest, first), *others = asked.by_size()
    made: dict[bytes, float] = {}
    for member, score in smallest.items():
        total = _weighted(score, first)
        for scores, weight in others:
            other = scores.get(member)
            if other is None:
                break
            total = asked.aggregate(total, other * weight)
        else:
            made[member] = total
    return made


def _diff(asked: _Request) -> dict[bytes, float]:
    first, *others = asked.inputs
    left = dict(first.items())
    total = sum(map(len, others))
    if len(left) * len(others) // 2 > len(left) + total:  # as Redis decides: walking over all is less work
        for scores in others:
            for member, _ in scores.items():
                left.pop(member, None)
    else:
        for scores in sorted(others, key=len, reverse=True):
            left = {member: score for member, score in left.items() if scores.get(member) is None}
    return left


def _reply(c: Client, made: dict[bytes, float], with_scores: bool) -> bytes:
    """The members of a result in order."""
    order = sorted(zip(made.values(), made, strict=True))
    members = [member for _, member in order]
    return scored(c, members, [score for score, _ in order]) if with_scores else bulks(members)


@command(
    READONLY,
    group="sorted-set",
    keys=counted("RO ACCESS", 1),
    syntax=(
        "numkeys:integer key:key... [WEIGHTS weight:integer...] [AGGREGATE aggregate=<SUM | MIN | MAX>] "
        "[WITHSCORES]"
    ),
)
def zunion(c: Client, numkeys: bytes, key: bytes, *rest: bytes) -> bytes:
    """The members of any of several sorted sets, their scores added up. O(N)+O(M*log(M)). Since 6.2.0."""
    asked = _parse(c, "zunion", (numkeys, key, *rest), _READS)
    return _reply(c, _union(asked), asked.with_scores)


@command(
    READONLY,
    group="sorted-set",
    keys=counted("RO ACCESS", 1),
    syntax=(
        "numkeys:integer key:key... [WEIGHTS weight:integer...] [AGGREGATE aggregate=<SUM | MIN | MAX>] "
        "[WITHSCORES]"
    ),
)
def zinter(c: Client, numkeys: bytes, key: bytes, *rest: bytes) -> bytes:
    """The members that several sorted sets share, their scores added up.

    O(N*K)+O(M*log(M)) with N members in the smallest of K sets. Since 6.2.0.
    """
    asked = _parse(c, "zinter", (numkeys, key, *rest), _READS)
    return _reply(c, _inter(asked), asked.with_scores)


@command(
    READONLY,
    group="sorted-set",
    keys=counted("RO ACCESS", 1),
    syntax="numkeys:integer key:key... [WITHSCORES]",
)
def zdiff(c: Client, numkeys: bytes, key: bytes, *rest: bytes) -> bytes:
    """The members of a sorted set that no other of several has. O(L + (N-K)log(N)). Since 6.2.0."""
    asked = _parse(c, "zdiff", (numkeys, key, *rest), _DIFF)
    return _reply(c, _diff(asked), asked.with_scores)


@command(
    READONLY,
    group="sorted-set",
    keys=counted("RO ACCESS", 1),
    syntax="numkeys:integer key:key... [LIMIT limit:integer]",
)
def zintercard(c: Client, numkeys: bytes, key: bytes, *rest: bytes) -> bytes:
    """The number of members that several sorted sets share, counted up to a limit.

    O(N*K) worst case with N members in the smallest of K sets. Since 7.0.0.
    """
    asked = _parse(c, "zintercard", (numkeys, key, *rest), _CARD)
    (smallest, _), *others = asked.by_size()
    count = 0
    members = (member for member, _ in smallest.items())
    while (not asked.limit or count < asked.limit) and (chunk := list(islice(members, _CHUNK))):
        for scores, _ in others:
            chunk = [member for member in chunk if scores.get(member) is not None]
        count += len(chunk)
    return integer(min(count, asked.limit or count))


@command(
    WRITE | DENYOOM,
    group="sorted-set",
    keys=(key("OW UPDATE"), counted("RO ACCESS", 2)),
    syntax=(
        "destination:key numkeys:integer key:key@1... [WEIGHTS weight:integer...] [AGGREGATE "
        "aggregate=<SUM | MIN | MAX>]"
    ),
)
def zunionstore(c: Client, destination: bytes, numkeys: bytes, key: bytes, *rest: bytes) -> bytes:
    """Stores the union of several sorted sets; replies its size. O(N + M*log(M)). Since 2.0.0."""
    asked = _parse(c, "zunionstore", (numkeys, key, *rest), _STORES)
    return store(c, destination, _union(asked), ZUNIONSTORE)


@command(
    WRITE | DENYOOM,
    group="sorted-set",
    keys=(key("OW UPDATE"), counted("RO ACCESS", 2)),
    syntax=(
        "destination:key numkeys:integer key:key@1... [WEIGHTS weight:integer...] [AGGREGATE "
        "aggregate=<SUM | MIN | MAX>]"
    ),
)
def zinterstore(c: Client, destination: bytes, numkeys: bytes, key: bytes, *rest: bytes) -> bytes:
    """Stores the intersection of several sorted sets; replies its size.

    O(N*K)+O(M*log(M)) with N members in the smallest of K sets. Since 2.0.0.
    """
    asked = _parse(c, "zinterstore", (numkeys, key, *rest), _STORES)
    return store(c, destination, _inter(asked), ZINTERSTORE)


@command(
    WRITE | DENYOOM,
    group="sorted-set",
    keys=(key("OW UPDATE"), counted("RO ACCESS", 2)),
    syntax="destination:key numkeys:integer key:key@1...",
)
def zdiffstore(c: Client, destination: bytes, numkeys: bytes, key: bytes, *rest: bytes) -> bytes:
    """Stores the difference of a sorted set and others; replies its size. O(L + (N-K)log(N)). Since 6.2.0."""
    asked = _parse(c, "zdiffstore", (numkeys, key, *rest), frozenset())
    return store(c, destination, _diff(asked), ZDIFFSTORE)
