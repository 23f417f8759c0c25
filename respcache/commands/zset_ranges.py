"""Sorted sets: ranges by rank, by score and by member; they are read, counted, stored and removed.

The end of a range is read as a `Cut`, which tells between which members of a sorted set it falls: how many stand
before it. So any range becomes one of ranks, and LIMIT costs nothing, however far its offset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isnan

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.zsets import scored, zset
from respcache.keyspec import key
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import EMPTY_ARRAY, ZERO, bulks, integer
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import (
    ZRANGESTORE,
    ZREMRANGEBYLEX,
    ZREMRANGEBYRANK,
    ZREMRANGEBYSCORE,
    Event,
)
from respcache.store.zset import Span, ZSet

_NOT_SCORE = ReplyError(b"ERR min or max is not a float")
_NOT_LEX = ReplyError(b"ERR min or max not valid string range item")
_LIMIT = ReplyError(b"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
_WITHSCORES = ReplyError(b"ERR syntax error, WITHSCORES not supported in combination with BYLEX")

Cut = Callable[[ZSet], int]
"""How many members of a sorted set stand before the end of a range."""

_NUMBER = re.compile(
    rb"[ \t-\r]*([+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"
    rb"|(0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?)))?"
)

_ENDS = {b"-inf": -inf, b"+inf": inf, b"inf": inf}


def _number(word: bytes) -> float:
    """A double as plain strtod reads it, which is laxer than other arguments: blanks in front, overflow to
    infinity, and 0 for nothing at all."""
    try:
        if word.isdigit():
            return float(word)
        if word in _ENDS:
            return _ENDS[word]
        match = _NUMBER.fullmatch(word.partition(b"\0")[0])
        if match is None or (not match[1] and match[0]):
            raise _NOT_SCORE
        text = match[1] or b"0"
        return float.fromhex(text.decode()) if b"x" in text.lower() else float(text)
    except OverflowError:
        return -inf if word.lstrip()[:1] == b"-" else inf


def score_cut(word: bytes, upper: bool) -> Cut:
    """One end of a range of scores: `5`, or `(5` if 5 does not belong to it. Raises ReplyError."""
    excluded = word[:1] == b"("
    score = _number(word[1:] if excluded else word)
    if isnan(score):
        raise _NOT_SCORE
    behind = excluded != upper
    return lambda found: found.below(score, behind)


def lex_cut(word: bytes, upper: bool) -> Cut:
    """One end of a range of members: `[m`, `(m`, or `-` and `+` for the first and the last. Raises ReplyError."""
    if word == b"-":
        return lambda found: 0
    if word == b"+":
        return len
    if word[:1] not in (b"(", b"["):
        raise _NOT_LEX
    member, behind = word[1:], (word[:1] == b"(") != upper
    return lambda found: found.before(member, behind)


def _from_rank(rank: int) -> Cut:
    return lambda found: max(rank + len(found), 0) if rank < 0 else rank


def _to_rank(rank: int) -> Cut:
    return lambda found: rank + len(found) + 1 if rank < 0 else rank + 1


_CUTS = {b"BYSCORE": score_cut, b"BYLEX": lex_cut}


@dataclass(slots=True)
class _Range:
    """What a command asks for."""

    low: Cut
    high: Cut
    reverse: bool = False
    by_rank: bool = False
    offset: int = 0
    count: int = -1
    with_scores: bool = False

    def ranks(self, found: ZSet) -> tuple[int, int]:
        """The ranks of the members asked for, the second not included."""
        low, high = self.low(found), min(self.high(found), len(found))
        if self.by_rank:
            return (len(found) - high, len(found) - low) if self.reverse else (low, high)
        if self.offset < 0:
            return 0, 0
        if self.reverse:
            high -= self.offset
            return (low if self.count < 0 else max(high - self.count, low)), high
        low += self.offset
        return low, (high if self.count < 0 else min(low + self.count, high))

    def of(self, found: ZSet) -> Span:
        """The members asked for and their scores, in the order of the reply."""
        start, stop = self.ranks(found)
        members, scores = found.slice(max(start, 0), stop)
        if self.reverse:
            members.reverse()
            scores.reverse()
        return members, scores


def _parse(
    start: bytes,
    stop: bytes,
    words: Sequence[bytes],
    by: bytes | None = None,
    reverse: bool | None = None,
    stores: bool = False,
) -> _Range:
    """Reads a range; `by` and `reverse` are what the command's name says already."""
    asked = _Range(len, len)
    order, backwards = by, reverse
    rest = list(reversed(words))
    while rest:
        option = rest.pop().upper()
        if option == b"WITHSCORES" and not stores:
            asked.with_scores = True
        elif option == b"LIMIT" and len(rest) >= 2:
            asked.offset, asked.count = parse_integer(rest.pop()), parse_integer(rest.pop())
        elif option == b"REV" and backwards is None:
            backwards = True
        elif option in _CUTS and order is None:
            order = option
        else:
            raise SYNTAX
    asked.reverse = bool(backwards)
    if asked.count != -1 and order not in _CUTS:
        raise _LIMIT
    if asked.with_scores and order == b"BYLEX":
        raise _WITHSCORES
    if order in _CUTS:
        cut = _CUTS[order]
        if asked.reverse:
            start, stop = stop, start
        asked.low, asked.high = cut(start, False), cut(stop, True)
    else:
        asked.by_rank = True
        asked.low, asked.high = _from_rank(parse_integer(start)), _to_rank(parse_integer(stop))
    return asked


def _reply(c: Client, key: bytes, asked: _Range) -> bytes:
    found = zset(c.db.get(key))
    if found is None:
        return EMPTY_ARRAY
    members, scores = asked.of(found)
    return scored(c, members, scores) if asked.with_scores else bulks(members)


_RANK = b"BYRANK"  # what the old commands say without an option


@command(
    READONLY,
    group="sorted-set",
    keys=key("RO ACCESS"),
    syntax=(
        "key:key start stop [sortby=<BYSCORE | BYLEX>{6.2.0}] [REV{6.2.0}] [LIMIT "
        "offset_count=(offset:integer count:integer){6.2.0}] [WITHSCORES]"
    ),
    history=(("6.2.0", "Options `REV`, `BYSCORE`, `BYLEX` and `LIMIT`."),),
)
def zrange(c: Client, key: bytes, start: bytes, stop: bytes, *rest: bytes) -> bytes:
    """The members of a range of ranks, scores or members. O(log(N)+M) with M members replied. Since 1.2.0."""
    return _reply(c, key, _parse(start, stop, rest))


@command(
    READONLY,
    group="sorted-set",
    keys=key("RO ACCESS"),
    syntax="key:key start:integer stop:integer [WITHSCORES]",
    deprecated=("6.2.0", "`ZRANGE` with `REV`"),
)
def zrevrange(c: Client, key: bytes, start: bytes, stop: bytes, *rest: bytes) -> bytes:
    """The members of a range of ranks, counted from the highest score.

    O(log(N)+M) with M members replied. Since 1.2.0.
    """
    return _reply(c, key, _parse(start, stop, rest, _RANK, True))


@command(
    READONLY,
    group="sorted-set",
    keys=key("RO ACCESS"),
    syntax=(
        "key:key min:double max:double [WITHSCORES{2.0.0}] [LIMIT offset_count=(offset:integer "
        "count:integer)]"
    ),
    history=(("2.0.0", "Option `WITHSCORES`."),),
    deprecated=("6.2.0", "`ZRANGE` with `BYSCORE`"),
)
def zrangebyscore(c: Client, key: bytes, minimum: bytes, maximum: bytes, *rest: bytes) -> bytes:
    """The members of a range of scores. O(log(N)+M) with M members replied. Since 1.0.5."""
    return _reply(c, key, _parse(minimum, maximum, rest, b"BYSCORE", False))


@command(
    READONLY,
    group="sorted-set",
    keys=key("RO ACCESS"),
    syntax="key:key max:double min:double [WITHSCORES] [LIMIT offset_count=(offset:integer count:integer)]",
    history=(("2.1.6", "`min` and `max` may be excluded."),),
    deprecated=("6.2.0", "`ZRANGE` with `REV` and `BYSCORE`"),
)
def zrevrangebyscore(c: Client, key: bytes, maximum: bytes, minimum: bytes, *rest: bytes) -> bytes:
    """The members of a range of scores, the highest first. O(log(N)+M) with M members replied. Since 2.2.0."""
    return _reply(c, key, _parse(maximum, minimum, rest, b"BYSCORE", True))


@command(
    READONLY,
    group="sorted-set",
    keys=key("RO ACCESS"),
    syntax="key:key min max [LIMIT offset_count=(offset:integer count:integer)]",
    deprecated=("6.2.0", "`ZRANGE` with `BYLEX`"),
)
def zrangebylex(c: Client, key: bytes, minimum: bytes, maximum: bytes, *rest: bytes) -> bytes:
    """The members between two others, as bytes; all scores must be equal.

    O(log(N)+M) with M members replied. Since 2.8.9.
    """
    return _reply(c, key, _parse(minimum, maximum, rest, b"BYLEX", False))


@command(
    READONLY,
    group="sorted-set",
    keys=key("RO ACCESS"),
    syntax="key:key max min [LIMIT offset_count=(offset:integer count:integer)]",
    deprecated=("6.2.0", "`ZRANGE` with `REV` and `BYLEX`"),
)
def zrevrangebylex(c: Client, key: bytes, maximum: bytes, minimum: bytes, *rest: bytes) -> bytes:
    """The members between two others, as bytes and backwards; all scores must be equal.

    O(log(N)+M) with M members replied. Since 2.8.9.
    """
    return _reply(c, key, _parse(maximum, minimum, rest, b"BYLEX", True))


@command(
    WRITE | DENYOOM,
    group="sorted-set",
    keys=(key("OW UPDATE"), key("RO ACCESS", at=2)),
    syntax=(
        "dst:key src:key@1 min max [sortby=<BYSCORE | BYLEX>] [REV] [LIMIT offset_count=(offset:integer "
        "count:integer)]"
    ),
)
def zrangestore(c: Client, dst: bytes, src: bytes, minimum: bytes, maximum: bytes, *rest: bytes) -> bytes:
    """Stores a range of a sorted set as another one; replies its size.

    O(log(N)+M) with M members stored. Since 6.2.0.
    """
    asked = _parse(minimum, maximum, rest, stores=True)
    found = zset(c.db.get(src))
    members, scores = ([], []) if found is None else asked.of(found)
    return store(c, dst, dict(zip(members, scores, strict=True)), ZRANGESTORE)


def store(c: Client, key: bytes, scores: dict[bytes, float], event: Event) -> bytes:
    """Stores members and scores under a key, or deletes it if there are none; replies their number."""
    if not scores:
        c.db.delete(key)
        return ZERO
    config = c.server.config
    made = ZSet.of(scores, config.zset_max_listpack_entries, config.zset_max_listpack_value)
    c.db.put(key, made, None, event)
    return integer(len(scores))


# Counting and removing


@command(
    READONLY | FAST | BRIEF, group="sorted-set", keys=key("RO ACCESS"), syntax="key:key min:double max:double"
)
def zcount(c: Client, key: bytes, minimum: bytes, maximum: bytes) -> bytes:
    """The number of members in a range of scores. O(log(N)). Since 2.0.0."""
    return _count(c, key, score_cut(minimum, False), score_cut(maximum, True))


@command(READONLY | FAST | BRIEF, group="sorted-set", keys=key("RO ACCESS"), syntax="key:key min max")
def zlexcount(c: Client, key: bytes, minimum: bytes, maximum: bytes) -> bytes:
    """The number of members between two others, as bytes; all scores must be equal. O(log(N)). Since 2.8.9."""
    return _count(c, key, lex_cut(minimum, False), lex_cut(maximum, True))


def _count(c: Client, key: bytes, low: Cut, high: Cut) -> bytes:
    found = zset(c.db.get(key))
    return ZERO if found is None else integer(max(high(found) - low(found), 0))


@command(WRITE, group="sorted-set", keys=key("RW DELETE"), syntax="key:key start:integer stop:integer")
def zremrangebyrank(c: Client, key: bytes, start: bytes, stop: bytes) -> bytes:
    """Removes the members of a range of ranks; replies how many.

    O(log(N)+M) with M members removed. Since 2.0.0.
    """
    low, high = _from_rank(parse_integer(start)), _to_rank(parse_integer(stop))
    return _remove(c, key, low, high, ZREMRANGEBYRANK)


@command(WRITE, group="sorted-set", keys=key("RW DELETE"), syntax="key:key min:double max:double")
def zremrangebyscore(c: Client, key: bytes, minimum: bytes, maximum: bytes) -> bytes:
    """Removes the members of a range of scores; replies how many.

    O(log(N)+M) with M members removed. Since 1.2.0.
    """
    return _remove(c, key, score_cut(minimum, False), score_cut(maximum, True), ZREMRANGEBYSCORE)


@command(WRITE, group="sorted-set", keys=key("RW DELETE"), syntax="key:key min max")
def zremrangebylex(c: Client, key: bytes, minimum: bytes, maximum: bytes) -> bytes:
    """Removes the members between two others, as bytes; all scores must be equal. Replies how many.

    O(log(N)+M) with M members removed. Since 2.8.9.
    """
    return _remove(c, key, lex_cut(minimum, False), lex_cut(maximum, True), ZREMRANGEBYLEX)


def _remove(c: Client, key: bytes, low: Cut, high: Cut, event: Event) -> bytes:
    found = zset(c.db.peek(key))
    if found is None:
        return ZERO
    start, stop = low(found), high(found)
    if start == 0 and stop >= len(found):
        gone = len(found)
        c.db.emptied(key, event, gone)
        return integer(gone)
    gone = found.remove_slice(start, stop)
    if gone:
        c.db.touch(key, event, gone)
    return integer(gone)
