"""Sorted sets: members added, removed and asked for one by one; random members and scans."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from math import isnan

from respcache.commands.arguments import INT64_MAX, double
from respcache.commands.arguments import integer as parse_integer
from respcache.commands.scan import scan_cursor, scan_options, scan_reply
from respcache.keyspec import key
from respcache.protocol.errors import SYNTAX, WRONGTYPE, ReplyError, wrong_arity
from respcache.protocol.reply import EMPTY_ARRAY, ONE, ZERO, array, bulk, bulks, format_double, integer
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import ZADD, ZINCR, ZREM
from respcache.store.hashtable import MOST_REPEATS
from respcache.store.zset import ZSet

_NX_XX = ReplyError(b"ERR XX and NX options at the same time are not compatible")
_GT_LT_NX = ReplyError(b"ERR GT, LT, and/or NX options at the same time are not compatible")
_ONE_PAIR = ReplyError(b"ERR INCR option supports a single increment-element pair")
_RESULT_NAN = ReplyError(b"ERR resulting score is not a number (NaN)")
_COUNT_RANGE = ReplyError(
    b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)
_COUNT_HALF = ReplyError(b"ERR value is out of range")


def zset(value: object) -> ZSet | None:
    """A sorted set, or None for a missing key. Raises WRONGTYPE for the other types."""
    if value is None or type(value) is ZSet:
        return value
    raise WRONGTYPE


def scored(c: Client, members: Sequence[bytes], scores: Iterable[float]) -> bytes:
    """Members with their scores: a flat array, in RESP3 one of pairs."""
    score = c.resp.double
    if c.resp.version == 2:
        items = [bulk(member) + score(value) for member, value in zip(members, scores, strict=True)]
        return b"*%d\r\n%b" % (2 * len(items), b"".join(items))
    return scored_pairs(c, members, scores)


def scored_pairs(c: Client, members: Sequence[bytes], scores: Iterable[float]) -> bytes:
    """Members with their scores as an array of pairs."""
    score = c.resp.double
    pairs = [b"*2\r\n" + bulk(member) + score(value) for member, value in zip(members, scores, strict=True)]
    return array(pairs)


def loosen(c: Client, made: ZSet, member: bytes) -> None:
    """Before a new member comes to a packed set: one that it makes too big is packed no longer."""
    config = c.server.config
    if len(made) >= config.zset_max_listpack_entries or len(member) > config.zset_max_listpack_value:
        made.packed = False


# Adding


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="sorted-set",
    keys=key("RW UPDATE"),
    syntax=(
        "key:key [condition=<NX | XX>{3.0.2}] [comparison=<GT | LT>{6.2.0}] [change=CH{3.0.2}] "
        "[increment=INCR{3.0.2}] score_member=(score:double member)..."
    ),
    history=(
        ("2.4.0", "Takes more than one element."),
        ("3.0.2", "Options `XX`, `NX`, `CH` and `INCR`."),
        ("6.2.0", "Options `GT` and `LT`."),
    ),
)
def zadd(c: Client, key: bytes, score: bytes, member: bytes, *rest: bytes) -> bytes:
    """Adds members to a sorted set, or changes their scores. O(log(N)) for each item. Since 1.2.0."""
    if rest:
        return _add_with(c, key, (score, member, *rest))
    value = float(score) if score.isdigit() and len(score) < 16 else _score(score)
    made = c.db.peek(key)
    if type(made) is not ZSet:
        return _add(c, key, frozenset(), [(value, member)])
    old = made.scores.get(member)
    if old is None:
        if made.packed:
            loosen(c, made, member)
        made.insert(member, value)
        c.db.touch(key, ZADD)
        return ONE
    if old != value:
        made.move(member, old, value)
        c.db.touch(key, ZADD)
    return ZERO


_OPTIONS = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})
_INCR = frozenset({b"INCR"})
_plain = re.compile(rb"-?\d{1,15}(?:\.\d{1,15})?").fullmatch  # the usual numbers, three times as fast as all


def _score(word: bytes) -> float:
    """The score of a single pair. Redis takes an option for one of ZADD or ZINCRBY, and then misses the pair."""
    if _plain(word):
        return float(word)
    if word.upper() in _OPTIONS:
        raise SYNTAX
    return double(word)


def _add_with(c: Client, key: bytes, words: Sequence[bytes]) -> bytes:
    """ZADD with options or several members."""
    options: set[bytes] = set()
    at = 0
    while at < len(words) and (option := words[at].upper()) in _OPTIONS:
        options.add(option)
        at += 1
    pairs = words[at:]
    if not pairs or len(pairs) % 2:
        raise SYNTAX
    if options >= {b"NX", b"XX"}:
        raise _NX_XX
    if len(options & {b"NX", b"GT", b"LT"}) > 1:
        raise _GT_LT_NX
    if b"INCR" in options and len(pairs) > 2:
        raise _ONE_PAIR
    parsed = [(double(score), member) for score, member in zip(pairs[::2], pairs[1::2], strict=True)]
    return _add(c, key, frozenset(options), parsed)


def _add(c: Client, key: bytes, options: frozenset[bytes], pairs: Sequence[tuple[float, bytes]]) -> bytes:
    """ZADD and ZINCRBY once their arguments are parsed."""
    increments = b"INCR" in options
    value = c.db.peek(key)
    made = zset(value)
    entries = c.server.config.zset_max_listpack_entries
    if made is None:
        if b"XX" in options:
            return c.resp.null if increments else ZERO
        # As Redis decides: by the number of pairs, even of equal ones, and the first member.
        first = pairs[0][1]
        made = ZSet(len(pairs) <= entries and len(first) <= c.server.config.zset_max_listpack_value)
    elif len(pairs) > entries:
        made.packed = False
    added = changed = 0
    reply = c.resp.null
    for score, member in pairs:
        old = made.scores.get(member)
        if old is None:
            if b"XX" in options:
                continue
            if made.packed:
                loosen(c, made, member)
            made.insert(member, score)
            added += 1
        else:
            if b"NX" in options:
                continue
            if increments:
                score += old
                if isnan(score):
                    raise _RESULT_NAN
            if (b"GT" in options and score <= old) or (b"LT" in options and score >= old):
                continue
            if score != old:
                made.move(member, old, score)
                changed += 1
        if increments:
            reply = c.resp.double(score)
    if added or changed:
        event = ZINCR if increments else ZADD
        if value is None:
            c.db.set(key, made, event)
        else:
            c.db.touch(key, event, added + changed)
    if increments:
        return reply
    return integer(added + changed if b"CH" in options else added)


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="sorted-set",
    keys=key("RW ACCESS UPDATE"),
    syntax="key:key increment:integer member",
)
def zincrby(c: Client, key: bytes, increment: bytes, member: bytes) -> bytes:
    """Adds to the score of a member, which is 0 if it is not there; replies the sum.

    O(log(N)). Since 1.2.0.
    """
    amount = _score(increment)
    made = c.db.peek(key)
    if type(made) is not ZSet or (old := made.scores.get(member)) is None:
        return _add(c, key, _INCR, ((amount, member),))
    score = old + amount
    if score != old:
        if isnan(score):
            raise _RESULT_NAN
        made.move(member, old, score)
        c.db.touch(key, ZINCR)
    return c.resp.double(score)


@command(
    WRITE | FAST | BRIEF,
    group="sorted-set",
    keys=key("RW DELETE"),
    syntax="key:key member...",
    history=(("2.4.0", "Takes more than one element."),),
)
def zrem(c: Client, key: bytes, member: bytes, *members: bytes) -> bytes:
    """Removes members from a sorted set; replies how many were there. O(M*log(N)). Since 1.2.0."""
    found = zset(c.db.peek(key))
    if found is None:
        return ZERO
    gone = int(found.remove(member))
    for name in members:
        gone += found.remove(name)
    if not gone:
        return ZERO
    if found.scores:
        c.db.touch(key, ZREM, gone)
    else:
        c.db.emptied(key, ZREM, gone)
    return integer(gone)


# Asking


@command(READONLY | FAST | BRIEF, group="sorted-set", keys=key("RO"), syntax="key:key")
def zcard(c: Client, key: bytes) -> bytes:
    """The number of members of a sorted set, 0 if the key is missing. O(1). Since 1.2.0."""
    found = zset(c.db.get(key))
    return ZERO if found is None else integer(len(found))


@command(READONLY | FAST | BRIEF, group="sorted-set", keys=key("RO ACCESS"), syntax="key:key member")
def zscore(c: Client, key: bytes, member: bytes) -> bytes:
    """The score of a member. O(1). Since 1.2.0."""
    found = zset(c.db.get(key))
    score = None if found is None else found.scores.get(member)
    return c.resp.null if score is None else c.resp.double(score)


@command(READONLY | FAST | BRIEF, group="sorted-set", keys=key("RO ACCESS"), syntax="key:key member...")
def zmscore(c: Client, key: bytes, member: bytes, *members: bytes) -> bytes:
    """The scores of several members, null for those that are not there. O(N). Since 6.2.0."""
    found = zset(c.db.get(key))
    scores = [None if found is None else found.scores.get(name) for name in (member, *members)]
    return array([c.resp.null if score is None else c.resp.double(score) for score in scores])


@command(
    READONLY | FAST | BRIEF,
    group="sorted-set",
    keys=key("RO ACCESS"),
    syntax="key:key member [WITHSCORE{7.2.0}]",
    history=(("7.2.0", "Option `WITHSCORE`."),),
)
def zrank(c: Client, key: bytes, member: bytes, *rest: bytes) -> bytes:
    """The place of a member in the order of scores, the lowest being 0. O(log(N)). Since 2.0.0."""
    return _rank(c, key, member, rest, "zrank")


@command(
    READONLY | FAST | BRIEF,
    group="sorted-set",
    keys=key("RO ACCESS"),
    syntax="key:key member [WITHSCORE{7.2.0}]",
    history=(("7.2.0", "Option `WITHSCORE`."),),
)
def zrevrank(c: Client, key: bytes, member: bytes, *rest: bytes) -> bytes:
    """The place of a member in the order of scores, the highest being 0. O(log(N)). Since 2.0.0."""
    return _rank(c, key, member, rest, "zrevrank")


def _rank(c: Client, key: bytes, member: bytes, rest: Sequence[bytes], name: str) -> bytes:
    if len(rest) > 1:
        raise ReplyError(wrong_arity(name).text)
    if rest and rest[0].upper() != b"WITHSCORE":
        raise SYNTAX
    found = zset(c.db.get(key))
    rank = None if found is None else found.rank(member)
    if found is None or rank is None:
        return c.resp.null_array if rest else c.resp.null
    if name == "zrevrank":
        rank = len(found) - 1 - rank
    return array([integer(rank), c.resp.double(found.scores[member])]) if rest else integer(rank)


@command(
    READONLY,
    group="sorted-set",
    keys=key("RO ACCESS"),
    syntax="key:key [options=(count:integer [WITHSCORES])]",
    tips=("nondeterministic_output",),
)
def zrandmember(c: Client, key: bytes, *rest: bytes) -> bytes:
    """Random members of a sorted set: different ones, or with a negative count any.

    O(N) with N members replied. Since 6.2.0.
    """
    if not rest:
        found = zset(c.db.get(key))
        return c.resp.null if found is None else bulk(found.at(random.randrange(len(found)))[0])
    count = parse_integer(rest[0])
    if count < -INT64_MAX:
        raise _COUNT_RANGE
    if len(rest) > 2 or (len(rest) == 2 and rest[1].upper() != b"WITHSCORES"):
        raise SYNTAX
    if len(rest) == 2 and abs(count) > INT64_MAX // 2:
        raise _COUNT_HALF
    found = zset(c.db.get(key))
    if found is None or not count:
        return EMPTY_ARRAY
    if count < -MOST_REPEATS:
        raise _COUNT_HALF  # where Redis goes on until its memory ends
    size = len(found)
    if count >= size:
        members, scores = found.slice(0, size)
    else:
        ranks = random.sample(range(size), count) if count > 0 else random.choices(range(size), k=-count)
        # A member costs a search for its rank, a tenth of that if all are taken out in order.
        at = list(found.items()).__getitem__ if len(ranks) > size // 8 else found.at
        chosen = list(map(at, ranks))
        members, scores = [member for member, _ in chosen], [score for _, score in chosen]
    return scored(c, members, scores) if len(rest) == 2 else bulks(members)


@command(
    READONLY,
    group="sorted-set",
    keys=key("RO ACCESS"),
    syntax="key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]",
    tips=("nondeterministic_output",),
)
def zscan(c: Client, key: bytes, cursor: bytes, *rest: bytes) -> bytes:
    """Walks over members and scores, some at each call. O(1) for each call, O(N) for the whole walk. Since 2.8.0."""
    at = scan_cursor(cursor)
    found = zset(c.db.get(key))
    if found is None:
        return scan_reply(0, ())  # whatever the options are, as in Redis
    options = scan_options(rest)
    following, names = (0, list(found)) if found.packed else found.scan(at, options.count)
    if options.match is not None:
        names = list(filter(options.match, names))
    # Scores of a skiplist have 17 digits here, even in Redis 7.4.
    text = format_double if found.packed else b"%.17g".__mod__
    scores = found.scores
    return scan_reply(following, [word for name in names for word in (name, text(scores[name]))])
