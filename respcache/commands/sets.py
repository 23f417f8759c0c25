"""Sets: members that come in, are asked for, and go.

The handlers of the busiest commands know the class of a set; the others ask `respcache.store.set`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from respcache.commands.arguments import INT64_MAX
from respcache.commands.arguments import integer as parse_integer
from respcache.commands.scan import scan_cursor, scan_options, scan_reply
from respcache.keyspec import key
from respcache.protocol.errors import MUST_BE_POSITIVE, OUT_OF_RANGE, SYNTAX, WRONGTYPE, ReplyError
from respcache.protocol.reply import EMPTY_ARRAY, ONE, ZERO, array, bulk, bulks, integer
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import SADD, SPOP, SREM
from respcache.store.hashtable import MOST_REPEATS, random_key, repeated_keys, sample_keys
from respcache.store.set import (
    SETS,
    IntSet,
    ListpackSet,
    SetTable,
    SetValue,
    expect,
    fits,
    gather,
    insert,
    members,
    new_set,
)

_COUNT_RANGE = ReplyError(
    b"ERR value is out of range, value must between %d and %d" % (-INT64_MAX, INT64_MAX)
)
_REBUILT = 5  # members to pop for each one that stays, from which on the set is made anew


def set_at(value: object) -> SetValue | None:
    """The set that a key holds, None if it holds nothing. Raises WRONGTYPE."""
    if value is None or type(value) in SETS:
        return value  # type: ignore[return-value]
    raise WRONGTYPE


# Adding and removing


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="set",
    keys=key("RW INSERT"),
    syntax="key:key member...",
    history=(("2.4.0", "Takes more than one `member`."),),
)
def sadd(c: Client, key: bytes, member: bytes, *more: bytes) -> bytes:
    """Adds members to a set, and replies how many of them are new. O(1) for each element. Since 1.0.0."""
    db = c.db
    value: Any = db.peek(key)
    if not more:
        kind = type(value)
        if kind is SetTable:
            if value.add(member, None):
                db.touch(key, SADD)
                return ONE
            return ZERO
        if kind is ListpackSet or kind is IntSet:
            if member in value:
                return ZERO
            if fits(value, member, c.server.config):
                value[member] = None
                db.touch(key, SADD)
                return ONE
    return integer(_add(c, key, value, (member, *more)))


def _add(c: Client, key: bytes, value: object, new: Sequence[bytes]) -> int:
    """Adds members to what a key holds. Returns how many are new. Raises WRONGTYPE."""
    config = c.server.config
    old = set_at(value)
    grown = new_set(new[0], len(new), config) if old is None else expect(old, len(new), config)
    before = len(grown)
    for member in new:
        grown = insert(grown, member, config)
    count = len(grown) - before
    if grown is old:
        if count:
            c.db.touch(key, SADD, count)
    elif count:
        c.db.replace(key, grown, SADD)
        c.db.dirty += count - 1
    return count


@command(
    WRITE | FAST | BRIEF,
    group="set",
    keys=key("RW DELETE"),
    syntax="key:key member...",
    history=(("2.4.0", "Takes more than one `member`."),),
)
def srem(c: Client, key: bytes, member: bytes, *more: bytes) -> bytes:
    """Removes members from a set, and replies how many were there. O(N) with N members given. Since 1.0.0."""
    value = set_at(c.db.peek(key))
    if value is None:
        return ZERO
    if more:
        count = sum([value.pop(each, 0) is None for each in (member, *more)])
    else:
        count = 1 if value.pop(member, 0) is None else 0
    if not count:
        return ZERO
    if value:
        c.db.touch(key, SREM, count)
    else:
        c.db.emptied(key, SREM, count)
    return integer(count)


@command(
    WRITE | FAST | BRIEF,
    group="set",
    keys=(key("RW ACCESS DELETE"), key("RW INSERT", at=2)),
    syntax="source:key destination:key@1 member",
)
def smove(c: Client, source: bytes, destination: bytes, member: bytes) -> bytes:
    """Moves a member from one set to another, and replies whether it was there. O(1). Since 1.0.0."""
    value = set_at(c.db.peek(source))
    if value is None:
        return ZERO
    target = set_at(c.db.peek(destination))
    if value is target:
        return ONE if member in value else ZERO
    if value.pop(member, 0) is not None:
        return ZERO
    if value:
        c.db.touch(source, SREM)
    else:
        c.db.emptied(source, SREM)
    _add(c, destination, target, (member,))
    return ONE


@command(
    WRITE | FAST | BRIEF,
    group="set",
    keys=key("RW ACCESS DELETE"),
    syntax="key:key [count:integer{3.2.0}]",
    tips=("nondeterministic_output",),
    history=(("3.2.0", "Argument `count`."),),
)
def spop(c: Client, key: bytes, *count: bytes) -> bytes:
    """Takes random members out of a set and replies them: one, or as many as asked for.
    O(N) with the number of members taken. Since 1.0.0.
    """
    if count:
        return _pop_many(c, key, count)
    value: Any = c.db.peek(key)
    kind = type(value)
    if kind is SetTable:
        member: bytes = value.pop_random()
    elif kind is ListpackSet or kind is IntSet:
        member = random_key(value)
        del value[member]
    elif value is None:
        return c.resp.null
    else:
        raise WRONGTYPE
    if value:
        c.db.touch(key, SPOP)
    else:
        c.db.emptied(key, SPOP)
    return c.bulk(member)


def _pop_many(c: Client, key: bytes, words: Sequence[bytes]) -> bytes:
    """SPOP with a count: all members; or few; or nearly all, and then those that stay become a new set."""
    if len(words) > 1:
        raise SYNTAX
    count = parse_integer(words[0], MUST_BE_POSITIVE, 0)
    value = set_at(c.db.peek(key))
    if value is None or not count:
        return c.resp.set(())
    left = len(value) - count
    if left <= 0:
        popped = members(value)
        c.db.emptied(key, SPOP, len(popped))
    elif count < left * _REBUILT:
        popped = _pop_few(value, count)
        c.db.touch(key, SPOP, count)
    else:
        kept = dict.fromkeys(sample_keys(value, left))
        popped = [member for member in members(value) if member not in kept]
        blank = IntSet() if type(value) is IntSet else ListpackSet()
        c.db.replace(key, gather(blank, list(kept), c.server.config), SPOP)
        c.db.dirty += count - 1
    return c.resp.set([bulk(member) for member in popped])


def _pop_few(value: SetValue, count: int) -> list[bytes]:
    if isinstance(value, SetTable):
        return [value.pop_random() for _ in range(count)]
    popped = sample_keys(value, count)
    for member in popped:
        del value[member]
    return popped


# Reading


@command(READONLY | FAST | BRIEF, group="set", keys=key("RO"), syntax="key:key member")
def sismember(c: Client, key: bytes, member: bytes) -> bytes:
    """Whether a set has a member. O(1). Since 1.0.0."""
    value = c.db.get(key)
    if value is None:
        return ZERO
    if type(value) in SETS:
        return ONE if member in value else ZERO
    raise WRONGTYPE


@command(READONLY | FAST | BRIEF, group="set", keys=key("RO ACCESS"), syntax="key:key member...")
def smismember(c: Client, key: bytes, member: bytes, *more: bytes) -> bytes:
    """Whether a set has each of several members. O(N) with N members asked for. Since 6.2.0."""
    value = set_at(c.db.get(key))
    if value is None:
        return array([ZERO] * (1 + len(more)))
    return array([ONE if each in value else ZERO for each in (member, *more)])


@command(READONLY | FAST | BRIEF, group="set", keys=key("RO"), syntax="key:key")
def scard(c: Client, key: bytes) -> bytes:
    """The number of members of a set. O(1). Since 1.0.0."""
    value = set_at(c.db.get(key))
    return ZERO if value is None else integer(len(value))


@command(
    READONLY,
    group="set",
    keys=key("RO ACCESS"),
    syntax="key:key",
    tips=("nondeterministic_output_order",),
)
def smembers(c: Client, key: bytes) -> bytes:
    """All members of a set. O(N) with N members. Since 1.0.0."""
    value = set_at(c.db.get(key))
    return c.resp.set(() if value is None else [bulk(member) for member in members(value)])


@command(
    READONLY,
    group="set",
    keys=key("RO ACCESS"),
    syntax="key:key [count:integer{2.6.0}]",
    tips=("nondeterministic_output",),
    history=(("2.6.0", "Argument `count`."),),
)
def srandmember(c: Client, key: bytes, *count: bytes) -> bytes:
    """Random members of a set: one; so many different ones; or, with a negative count, any that often.
    O(N) with N members replied. Since 1.0.0.
    """
    if len(count) > 1:
        raise SYNTAX
    wanted = parse_integer(count[0]) if count else 1
    if wanted < -INT64_MAX:
        raise _COUNT_RANGE
    value = set_at(c.db.get(key))
    if not count:
        return c.resp.null if value is None else bulk(random_key(value))
    if value is None or not wanted:
        return EMPTY_ARRAY
    if wanted < -MOST_REPEATS:
        raise OUT_OF_RANGE  # where Redis goes on until its memory ends
    if wanted < 0:
        return bulks(repeated_keys(value, -wanted))
    return bulks(members(value) if wanted >= len(value) else sample_keys(value, wanted))


@command(
    READONLY,
    group="set",
    keys=key("RO ACCESS"),
    syntax="key:key cursor:integer [MATCH pattern:pattern] [COUNT count:integer]",
    tips=("nondeterministic_output",),
)
def sscan(c: Client, key: bytes, cursor: bytes, *rest: bytes) -> bytes:
    """Walks over the members of a set, some at each call.
    O(1) for each call, O(N) for the whole walk, N being the number of members. Since 2.8.0.
    """
    at = scan_cursor(cursor)
    value = set_at(c.db.get(key))
    if value is None:
        return scan_reply(0, ())
    options = scan_options(rest)
    if isinstance(value, SetTable):
        following, found = value.scan(at, options.count)
    else:
        following, found = 0, members(value)
    match = options.match
    return scan_reply(following, found if match is None else [member for member in found if match(member)])
