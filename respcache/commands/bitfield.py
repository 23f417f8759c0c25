"""BITFIELD: a string as an array of integers of any width, signed or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from respcache.commands.arguments import INT64_MAX
from respcache.commands.arguments import integer as parse_integer
from respcache.commands.bitmaps import data, offset, writable
from respcache.keyspec import bitfield_keys, key
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import array, integer
from respcache.registry import BRIEF, DENYOOM, FAST, READONLY, WRITE, command
from respcache.state import Client
from respcache.store import bits
from respcache.store.events import SETBIT

_TYPE = ReplyError(
    b"ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
)
_OVERFLOW = ReplyError(b"ERR Invalid OVERFLOW type specified")
_ONLY_GET = ReplyError(b"ERR BITFIELD_RO only supports the GET subcommand")


class _Step(NamedTuple):
    """One GET, SET or INCRBY."""

    name: bytes
    signed: bool
    width: int
    at: int
    """The first bit."""
    by: int = 0
    """What is written or added."""
    overflow: bytes = b"WRAP"


def _type(word: bytes) -> tuple[bool, int]:
    """Whether a type as `i16` or `u8` is signed, and its width in bits."""
    kind = word[:1]
    if kind not in (b"i", b"u"):
        raise _TYPE
    return kind == b"i", parse_integer(word[1:], _TYPE, 1, 64 if kind == b"i" else 63)


def _parse(c: Client, words: Sequence[bytes]) -> list[_Step]:
    steps = []
    overflow = b"WRAP"
    place = 0
    while place < len(words):
        name, left = words[place].upper(), len(words) - place - 1
        if name == b"OVERFLOW" and left >= 1:
            overflow = words[place + 1].upper()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                raise _OVERFLOW
            place += 2
            continue
        if not (name == b"GET" and left >= 2) and not (name in (b"SET", b"INCRBY") and left >= 3):
            raise SYNTAX
        signed, width = _type(words[place + 1])
        where = words[place + 2]
        at = offset(c, where[1:], width) if where[:1] == b"#" else offset(c, where)
        by = 0 if name == b"GET" else parse_integer(words[place + 3])
        steps.append(_Step(name, signed, width, at, by, overflow))
        place += 3 if name == b"GET" else 4
    return steps


def _fit(step: _Step, new: int) -> int | None:
    """The value as it is written after its overflow was dealt with; None if that fails."""
    if step.signed:
        low, high = -(1 << (step.width - 1)), (1 << (step.width - 1)) - 1
    else:
        low, high = 0, (1 << step.width) - 1
        if step.name == b"SET" and new < 0:
            new += 1 << 64  # SET takes it for a big unsigned number
    if low <= new <= high:
        return new
    if step.overflow == b"FAIL":
        return None
    if step.overflow == b"SAT":
        # A SET so far below that the distance from the top exceeds 64 bits counts as too big in Redis.
        below = new < low and not (step.name == b"SET" and high - new > INT64_MAX)
        return low if below else high
    wrapped = new & (1 << step.width) - 1
    return wrapped - (1 << step.width) if wrapped > high else wrapped


def _read(c: Client, key: bytes, steps: Sequence[_Step]) -> bytes:
    value = c.db.get(key)
    whole = b"" if value is None else data(value)
    return array([integer(bits.get_field(whole, step.at, step.width, step.signed)) for step in steps])


def _run(c: Client, key: bytes, steps: Sequence[_Step]) -> bytes:
    """GET, SET and INCRBY in turn. The string first grows to hold all that may be written."""
    size = max((step.at + step.width + 7) >> 3 for step in steps if step.name != b"GET")
    old = c.db.peek(key)
    grows = old is None or len(data(old)) < size
    new = writable(old, size)
    changes = 0
    replies = []
    for step in steps:
        was = bits.get_field(new, step.at, step.width, step.signed)
        if step.name == b"GET":
            replies.append(integer(was))
            continue
        value = _fit(step, step.by if step.name == b"SET" else was + step.by)
        if value is None:
            replies.append(c.resp.null)
            continue
        bits.set_field(new, step.at, step.width, value)
        changes += grows or value != was
        replies.append(integer(was if step.name == b"SET" else value))
    if new is old and (changes or grows):
        c.db.touch(key, SETBIT, max(changes, 1))
    elif changes or grows:
        c.db.replace(key, new, SETBIT)
    return array(replies)


@command(
    WRITE | DENYOOM,
    group="bitmap",
    keys=key("RW ACCESS UPDATE variable_flags", notes="reads or writes, by subcommand"),
    getkeys=bitfield_keys,
    syntax=(
        "key:key [operation=<GET encoding_offset=(encoding offset:integer) | write=([OVERFLOW "
        "wrap_sat_fail=<WRAP | SAT | FAIL>] write_operation=<SET encoding_offset_value=(encoding "
        "offset:integer value:integer) | INCRBY encoding_offset_increment=(encoding offset:integer "
        "increment:integer)>)>...]"
    ),
)
def bitfield(c: Client, key: bytes, *operations: bytes) -> bytes:
    """Reads, sets and adds to integers of any width within a string. O(1) for each subcommand. Since 3.2.0."""
    steps = _parse(c, operations)
    reads_only = all(step.name == b"GET" for step in steps)
    return _read(c, key, steps) if reads_only else _run(c, key, steps)


@command(
    READONLY | FAST | BRIEF,
    group="bitmap",
    name="bitfield_ro",
    keys=key("RO ACCESS"),
    syntax="key:key [GET encoding_offset=(encoding offset:integer)]...",
)
def bitfield_ro(c: Client, key: bytes, *operations: bytes) -> bytes:
    """Reads integers of any width within a string. O(1) for each subcommand. Since 6.0.0."""
    steps = _parse(c, operations)
    if any(step.name != b"GET" for step in steps):
        raise _ONLY_GET
    return _read(c, key, steps)
