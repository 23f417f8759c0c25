"""XINFO: what a stream, its groups and their consumers are like."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.help import help_reply
from respcache.commands.stream_arguments import as_stream, id_reply
from respcache.commands.stream_groups import no_such_group, wrong_words
from respcache.keyspec import key
from respcache.protocol.errors import NO_SUCH_KEY
from respcache.protocol.reply import array, bulk, integer
from respcache.registry import LOADING, READONLY, STALE, command, container
from respcache.state import Client
from respcache.store.stream import Stream
from respcache.store.stream_block import MAX_ID
from respcache.store.stream_groups import NEVER, UNKNOWN, Consumer, Group

FULL_COUNT = 10
"""How many entries, and how many pending ones, FULL shows of each list unless told."""

XINFO = container(
    "xinfo",
    group="stream",
    doc="""Tells about streams, their groups and consumers. Since 5.0.0.""",
    categories="-stream",
)


def _need_stream(c: Client, key: bytes) -> Stream:
    stream = as_stream(c.db.get(key))
    if stream is None:
        raise NO_SUCH_KEY
    return stream


def _map(c: Client, **fields: bytes) -> bytes:
    """A map of encoded values; `_` in a name is `-`."""
    return c.resp.map([part for name, value in fields.items() for part in (_name(name), value)])


def _name(name: str) -> bytes:
    return bulk(name.replace("_", "-").encode())


def _number(c: Client, value: int | None) -> bytes:
    """An integer, or null for one that nobody can tell."""
    return c.resp.null if value is None or value == UNKNOWN else integer(value)


@command(
    READONLY,
    group="stream",
    container=XINFO,
    keys=key("RO ACCESS", at=2),
    syntax="key:key [FULL full=([COUNT count:integer])]",
    history=(
        ("6.0.0", "Option `FULL`."),
        (
            "7.0.0",
            "Fields `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and `lag`.",
        ),
        ("7.2.0", "Field `active-time` and precise `seen-time`."),
    ),
)
def xinfo_stream(c: Client, key: bytes, *options: bytes) -> bytes:
    """What a stream is like; in full with its entries and what is pending. O(1). Since 5.0.0."""
    words = [option.lower() for option in options]
    count = FULL_COUNT
    if words:
        if len(words) == 3 and words[:2] == [b"full", b"count"]:
            count = parse_integer(options[2])
            count = FULL_COUNT if count < 0 else count
        elif words != [b"full"]:
            raise wrong_words(b"XINFO", b"STREAM")
    stream = _need_stream(c, key)
    common = {
        "length": integer(stream.length),
        "radix_tree_keys": integer(len(stream.blocks)),
        "radix_tree_nodes": integer(stream.radix_nodes()),
        "last_generated_id": id_reply(stream.last_id),
        "max_deleted_entry_id": id_reply(stream.max_deleted_id),
        "entries_added": integer(stream.entries_added),
        "recorded_first_entry_id": id_reply(stream.first_id),
    }
    if words:
        groups = array(
            [_full_group(c, stream, name, one, count) for name, one in sorted(stream.groups.items())]
        )
        return _map(c, **common, entries=array(stream.replies(0, MAX_ID, count)), groups=groups)
    first, last = (stream.replies(0, MAX_ID, 1, backwards) for backwards in (False, True))
    edges = {"first_entry": (first or [c.resp.null])[0], "last_entry": (last or [c.resp.null])[0]}
    return _map(c, **common, groups=integer(len(stream.groups)), **edges)


def _full_group(c: Client, stream: Stream, name: bytes, group: Group, count: int) -> bytes:
    pending = [
        array((id_reply(id), bulk(entry.consumer.name), integer(entry.delivered), integer(entry.count)))
        for id in _few(group.ids, count)
        if (entry := group.pending[id])
    ]
    return _map(
        c,
        name=bulk(name),
        last_delivered_id=id_reply(group.last_id),
        entries_read=_number(c, group.entries_read),
        lag=_number(c, stream.lag(group)),
        pel_count=integer(len(group.pending)),
        pending=array(pending),
        consumers=array([_full_consumer(c, group, one, count) for _, one in sorted(group.consumers.items())]),
    )


def _full_consumer(c: Client, group: Group, consumer: Consumer, count: int) -> bytes:
    pending = [
        array((id_reply(id), integer(entry.delivered), integer(entry.count)))
        for id in _few(consumer.pending, count)
        if (entry := group.pending[id])
    ]
    return _map(
        c,
        name=bulk(consumer.name),
        seen_time=integer(consumer.seen),
        active_time=integer(consumer.active),
        pel_count=integer(len(consumer.pending)),
        pending=array(pending),
    )


def _few(ids: Iterable[int], count: int) -> Iterable[int]:
    """The first ids; all of them if `count` is 0."""
    return islice(ids, count) if count else ids


@command(
    READONLY,
    group="stream",
    container=XINFO,
    keys=key("RO ACCESS", at=2),
    syntax="key:key",
    history=(("7.0.0", "Fields `entries-read` and `lag`."),),
)
def xinfo_groups(c: Client, key: bytes) -> bytes:
    """The consumer groups of a stream. O(1). Since 5.0.0."""
    stream = _need_stream(c, key)
    return array(
        [
            _map(
                c,
                name=bulk(name),
                consumers=integer(len(group.consumers)),
                pending=integer(len(group.pending)),
                last_delivered_id=id_reply(group.last_id),
                entries_read=_number(c, group.entries_read),
                lag=_number(c, stream.lag(group)),
            )
            for name, group in sorted(stream.groups.items())
        ]
    )


@command(
    READONLY,
    group="stream",
    container=XINFO,
    keys=key("RO ACCESS", at=2),
    syntax="key:key groupname",
    tips=("nondeterministic_output",),
    history=(("7.2.2", "Field `inactive`."),),
)
def xinfo_consumers(c: Client, key: bytes, name: bytes) -> bytes:
    """The consumers of a group; times are milliseconds. O(1). Since 5.0.0."""
    group = _need_stream(c, key).groups.get(name)
    if group is None:
        raise no_such_group(key, name)
    now = c.server.clock.ms()
    return array(
        [
            _map(
                c,
                name=bulk(consumer.name),
                pending=integer(len(consumer.pending)),
                idle=integer(max(now - consumer.seen, 0)),
                inactive=integer(NEVER if consumer.active == NEVER else now - consumer.active),
            )
            for _, consumer in sorted(group.consumers.items())
        ]
    )


@command(LOADING | STALE, group="stream", container=XINFO)
def xinfo_help(_c: Client) -> bytes:
    """Lists the subcommands. O(1). Since 5.0.0."""
    return help_reply(XINFO)
