"""Entries that a consumer left pending go to another one: XCLAIM, XAUTOCLAIM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from respcache.commands.arguments import INT64_MAX
from respcache.commands.arguments import integer as parse_integer
from respcache.commands.stream_arguments import (
    greet_consumer,
    id_reply,
    need_group,
    parse_id,
    start_of_range,
)
from respcache.keyspec import key
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import array
from respcache.registry import BRIEF, FAST, WRITE, command
from respcache.state import Client
from respcache.store.events import READ, XGROUP_CREATECONSUMER
from respcache.store.stream_block import MAX_ID
from respcache.store.stream_groups import Pending

AUTO_COUNT = 100
"""How many entries XAUTOCLAIM claims unless told."""
_ATTEMPTS = 10
"""How many entries it looks at for each one that it may claim."""
_MAX_COUNT = INT64_MAX // 16

_BAD_COUNT = ReplyError(b"ERR COUNT must be > 0")
_BAD_AUTO_IDLE = ReplyError(b"ERR Invalid min-idle-time argument for XAUTOCLAIM")


def _bad(what: bytes) -> ReplyError:
    return ReplyError(b"ERR Invalid %b argument for XCLAIM" % what)


class _Claim:
    """What XCLAIM is to do: the ids and the options behind them."""

    __slots__ = ("count", "delivered", "force", "ids", "just_id", "last_id")

    def __init__(self, words: Sequence[bytes], now: int) -> None:
        self.ids: list[int] = []
        self.force = self.just_id = False
        self.count = -1
        """The number of deliveries to set, negative: none."""
        self.last_id = 0
        delivered: int | None = None
        at = 0
        while at < len(words):
            try:
                self.ids.append(parse_id(words[at]))
            except ReplyError:
                break  # the first option
            at += 1
        options = iter(words[at:])
        left = len(words) - at
        for word in options:
            left -= 1
            option = word.upper()
            if option == b"FORCE":
                self.force = True
            elif option == b"JUSTID":
                self.just_id = True
            elif left and option == b"IDLE":
                delivered = now - parse_integer(next(options), _bad(b"IDLE option"))
                left -= 1
            elif left and option == b"TIME":
                delivered = parse_integer(next(options), _bad(b"TIME option"))
                left -= 1
            elif left and option == b"RETRYCOUNT":
                self.count = parse_integer(next(options), _bad(b"RETRYCOUNT option"))
                left -= 1
            elif left and option == b"LASTID":
                self.last_id = parse_id(next(options))
                left -= 1
            else:
                raise ReplyError(b"ERR Unrecognized XCLAIM option '%b'" % word.partition(b"\0")[0])
        self.delivered = now if delivered is None or not 0 <= delivered <= now else delivered
        """When the entries count as delivered; times that make no sense are now, as clocks differ."""


@command(
    WRITE | FAST | BRIEF,
    group="stream",
    keys=key("RW UPDATE"),
    syntax=(
        "key:key group consumer min-idle-time id... [IDLE ms:integer] [TIME "
        "unix-time-milliseconds:unix-time] [RETRYCOUNT count:integer] [FORCE] [JUSTID] [LASTID id]"
    ),
    tips=("nondeterministic_output",),
)
def xclaim(
    c: Client, key: bytes, name: bytes, taker: bytes, min_idle: bytes, id: bytes, *rest: bytes
) -> bytes:
    """Makes a consumer the owner of pending entries. O(log N) with N entries pending. Since 5.0.0."""
    stream, group = need_group(c.db.get(key), key, name)
    idle = parse_integer(min_idle, _bad(b"min-idle-time"))
    now = c.server.clock.ms()
    claim = _Claim((id, *rest), now)
    moved = claim.last_id > group.last_id
    if moved:
        group.last_id = claim.last_id
    consumer, is_new = greet_consumer(group, taker, now)
    found: list[bytes] = []
    changes = 0
    for id_ in claim.ids:
        entry = group.pending.get(id_)
        reply = stream.reply(id_)
        if reply is None:
            changes += group.drop(id_)
            continue
        if entry is None:
            if not claim.force:
                continue
            entry = group.pending[id_] = Pending(consumer, now)
            group.ids.add(id_)
            consumer.pending.add(id_)
        elif idle > 0 and now - entry.delivered < idle:
            continue
        entry.delivered = claim.delivered
        if claim.count >= 0:
            entry.count = claim.count
        elif not claim.just_id:
            entry.count += 1
        group.assign(id_, entry, consumer)
        consumer.active = now
        changes += 1
        found.append(id_reply(id_) if claim.just_id else reply)
    _tell(c, key, is_new, changes or moved)
    return array(found)


@command(
    WRITE | FAST | BRIEF,
    group="stream",
    keys=key("RW DELETE"),
    syntax="key:key group consumer min-idle-time start [COUNT count:integer] [JUSTID]",
    tips=("nondeterministic_output",),
    history=(("7.0.0", "Replies with the ids of deleted entries too."),),
)
def xautoclaim(
    c: Client, key: bytes, name: bytes, taker: bytes, min_idle: bytes, start: bytes, *options: bytes
) -> bytes:
    """Makes a consumer the owner of entries that have been pending for long. O(1) if COUNT is small. Since 6.2.0."""
    idle = parse_integer(min_idle, _BAD_AUTO_IDLE)
    first = start_of_range(start)
    count, just_id = AUTO_COUNT, False
    words = iter(options)
    for word in words:
        option = word.lower()
        if option == b"justid":
            just_id = True
        elif option == b"count" and (number := next(words, None)) is not None:
            count = parse_integer(number, _BAD_COUNT, 1, _MAX_COUNT)
        else:
            raise SYNTAX
    stream, group = need_group(c.db.get(key), key, name)
    now = c.server.clock.ms()
    consumer, is_new = greet_consumer(group, taker, now)
    found: list[bytes] = []
    gone: list[int] = []
    ids: Iterator[int] = group.ids.between(first, MAX_ID)
    attempts = count * _ATTEMPTS
    while attempts and len(found) + len(gone) < count:
        attempts -= 1
        id = next(ids, -1)
        if id < 0:
            break
        reply = stream.reply(id)
        if reply is None:
            gone.append(id)
            continue
        entry = group.pending[id]
        if idle > 0 and now - entry.delivered < idle:
            continue
        entry.delivered = now
        entry.count += not just_id
        group.assign(id, entry, consumer)
        consumer.active = now
        found.append(id_reply(id) if just_id else reply)
    cursor = id_reply(next(ids, 0))
    for id in gone:
        group.drop(id)
    _tell(c, key, is_new, len(found) + len(gone))
    return array((cursor, array(found), array([id_reply(id) for id in gone])))


def _tell(c: Client, key: bytes, is_new: bool, changes: int) -> None:
    """Tells the database of a new consumer and of changed ownership."""
    if is_new:
        c.db.touch(key, XGROUP_CREATECONSUMER)
    if changes:
        c.db.touch(key, READ, int(changes))
