"""Sorted sets: members taken off either end, at once or when there are some."""

from __future__ import annotations

from collections.abc import Sequence

from respcache.commands.arguments import INT64_MAX, timeout
from respcache.commands.arguments import integer as parse_integer
from respcache.commands.zsets import scored, scored_pairs, zset
from respcache.keyspec import counted, key
from respcache.protocol.errors import MUST_BE_POSITIVE, SYNTAX, ReplyError
from respcache.protocol.reply import CRLF, EMPTY_ARRAY, HEADERS, array, bulk
from respcache.registry import BLOCKING, BRIEF, FAST, WRITE, command
from respcache.state import Client
from respcache.store.events import ZPOPMAX, ZPOPMIN
from respcache.store.zset import Span, ZSet

_NUMKEYS = ReplyError(b"ERR numkeys should be greater than 0")
_COUNT = ReplyError(b"ERR count should be greater than 0")


def _take(c: Client, key: bytes, found: ZSet, lowest: bool, count: int) -> Span:
    """Takes some members off a sorted set under a key, at least one."""
    event = ZPOPMIN if lowest else ZPOPMAX
    size = len(found)
    count = min(count, size)
    if lowest:
        members, scores = found.slice(0, count)
        start = 0
    else:
        start = size - count
        members, scores = found.slice(start, size)
        members.reverse()
        scores.reverse()
    if count == size:
        c.db.emptied(key, event, count)
    else:
        found.remove_slice(start, start + count)
        c.db.touch(key, event, count)
    return members, scores


def _pop(c: Client, key: bytes, lowest: bool, rest: Sequence[bytes]) -> bytes:
    """ZPOPMIN and ZPOPMAX; without a count the reply is flat in RESP3 too."""
    if len(rest) > 1:
        raise SYNTAX
    count = parse_integer(rest[0], MUST_BE_POSITIVE, 0, INT64_MAX) if rest else 1
    found = zset(c.db.peek(key))
    if found is None or not count:
        return EMPTY_ARRAY
    if rest:
        return scored(c, *_take(c, key, found, lowest, count))
    member, score = found.pop_min() if lowest else found.pop_max()
    event = ZPOPMIN if lowest else ZPOPMAX
    if found.scores:
        c.db.touch(key, event)
    else:
        c.db.emptied(key, event)
    return b"*2\r\n" + bulk(member) + c.resp.double(score)


@command(
    WRITE | FAST | BRIEF,
    group="sorted-set",
    keys=key("RW ACCESS DELETE"),
    syntax="key:key [count:integer]",
)
def zpopmin(c: Client, key: bytes, *rest: bytes) -> bytes:
    """Takes the members with the lowest scores off a sorted set. O(log(N)*M). Since 5.0.0."""
    found = c.db.peek(key)
    if rest or type(found) is not ZSet:
        return _pop(c, key, True, rest)
    member, score = found.pop_min()
    scores = found.scores
    if scores if type(scores) is dict else scores.size:  # type: ignore[union-attr]
        c.db.touch(key, ZPOPMIN)
    else:
        c.db.emptied(key, ZPOPMIN)
    size = len(member)
    taken = HEADERS[size] + member + CRLF if size < 1024 else c.bulk(member)
    return b"*2\r\n" + taken + c.resp.double(score)


@command(
    WRITE | FAST | BRIEF,
    group="sorted-set",
    keys=key("RW ACCESS DELETE"),
    syntax="key:key [count:integer]",
)
def zpopmax(c: Client, key: bytes, *rest: bytes) -> bytes:
    """Takes the members with the highest scores off a sorted set. O(log(N)*M). Since 5.0.0."""
    return _pop(c, key, False, rest)


def _pop_from(c: Client, keys: Sequence[bytes], lowest: bool, count: int) -> tuple[bytes, Span] | None:
    """Takes members off the first of the keys that holds any. Raises WRONGTYPE for what stands before it."""
    for name in keys:
        found = zset(c.db.peek(name))
        if found is not None:
            return name, _take(c, name, found, lowest, count)
    return None


# Several keys


def _several(words: Sequence[bytes]) -> tuple[Sequence[bytes], bool, int]:
    """Reads `numkeys key... MIN|MAX [COUNT count]`: the keys, whether the lowest are wanted, how many."""
    size = parse_integer(words[0], _NUMKEYS, 1, INT64_MAX)
    if size + 1 >= len(words):
        raise SYNTAX
    keys, where, options = words[1 : size + 1], words[size + 1].upper(), words[size + 2 :]
    if where not in (b"MIN", b"MAX"):
        raise SYNTAX
    count = 1
    if options:
        if options[0].upper() != b"COUNT" or len(options) == 1:
            raise SYNTAX
        count = parse_integer(options[1], _COUNT, 1, INT64_MAX)
        if len(options) > 2:
            raise SYNTAX
    return keys, where == b"MIN", count


def _pop_several(c: Client, keys: Sequence[bytes], lowest: bool, count: int) -> bytes | None:
    popped = _pop_from(c, keys, lowest, count)
    return None if popped is None else array([bulk(popped[0]), scored_pairs(c, *popped[1])])


@command(
    WRITE,
    group="sorted-set",
    keys=counted("RW ACCESS DELETE", 1),
    syntax="numkeys:integer key:key... where=<MIN | MAX> [COUNT count:integer]",
)
def zmpop(c: Client, numkeys: bytes, key: bytes, where: bytes, *rest: bytes) -> bytes:
    """Takes members off the first of several sorted sets that has any. O(K) + O(M*log(N)). Since 7.0.0."""
    return _pop_several(c, *_several((numkeys, key, where, *rest))) or c.resp.null_array


# Waiting


@command(
    WRITE | BLOCKING,
    group="sorted-set",
    keys=counted("RW ACCESS DELETE", 2),
    syntax="timeout:double numkeys:integer key:key... where=<MIN | MAX> [COUNT count:integer]",
)
def bzmpop(c: Client, seconds: bytes, numkeys: bytes, key: bytes, where: bytes, *rest: bytes) -> bytes:
    """Takes members off the first of several sorted sets that has any, or waits for them.

    O(K) + O(M*log(N)). Since 7.0.0.
    """
    keys, lowest, count = _several((numkeys, key, where, *rest))
    wait = timeout(seconds)

    def attempt() -> bytes | None:
        return _pop_several(c, keys, lowest, count)

    return attempt() or c.block(b"zset", keys, wait, attempt, c.resp.null_array)


def _pop_waiting(c: Client, words: Sequence[bytes], lowest: bool) -> bytes:
    """BZPOPMIN and BZPOPMAX; the last word is the timeout."""
    keys, wait = words[:-1], timeout(words[-1])

    def attempt() -> bytes | None:
        popped = _pop_from(c, keys, lowest, 1)
        if popped is None:
            return None
        name, (members, scores) = popped
        return array([bulk(name), bulk(members[0]), c.resp.double(scores[0])])

    return attempt() or c.block(b"zset", keys, wait, attempt, c.resp.null_array)


@command(
    WRITE | BLOCKING | FAST,
    group="sorted-set",
    keys=key("RW ACCESS DELETE", last=-2),
    syntax="key:key... timeout:double",
    history=(("6.0.0", "`timeout` may have a fraction."),),
)
def bzpopmin(c: Client, key: bytes, word: bytes, *rest: bytes) -> bytes:
    """Takes the member with the lowest score off the first sorted set that has any, or waits for one.

    O(log(N)). Since 5.0.0.
    """
    return _pop_waiting(c, (key, word, *rest), True)


@command(
    WRITE | BLOCKING | FAST,
    group="sorted-set",
    keys=key("RW ACCESS DELETE", last=-2),
    syntax="key:key... timeout:double",
    history=(("6.0.0", "`timeout` may have a fraction."),),
)
def bzpopmax(c: Client, key: bytes, word: bytes, *rest: bytes) -> bytes:
    """Takes the member with the highest score off the first sorted set that has any, or waits for one.

    O(log(N)). Since 5.0.0.
    """
    return _pop_waiting(c, (key, word, *rest), False)
