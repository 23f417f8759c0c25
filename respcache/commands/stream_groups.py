"""Consumer groups: XGROUP, XACK, XPENDING."""

from __future__ import annotations

from collections.abc import Sequence

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.help import help_reply
from respcache.commands.stream_arguments import (
    as_stream,
    cut,
    end_of_range,
    id_reply,
    need_group,
    open_id,
    parse_id,
    parse_ids,
    start_of_range,
)
from respcache.keyspec import key
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import EMPTY_ARRAY, OK, ONE, ZERO, array, bulk, integer
from respcache.registry import BRIEF, DENYOOM, FAST, LOADING, READONLY, STALE, WRITE, command, container
from respcache.state import Client
from respcache.store.events import (
    READ,
    XGROUP_CREATE,
    XGROUP_CREATECONSUMER,
    XGROUP_DELCONSUMER,
    XGROUP_DESTROY,
    XGROUP_SETID,
)
from respcache.store.stream import Stream
from respcache.store.stream_groups import UNKNOWN, Consumer, Group

NEEDS_KEY = ReplyError(
    b"ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
    b"MKSTREAM option to create an empty stream automatically."
)
BUSY = ReplyError(b"BUSYGROUP Consumer Group name already exists")
NEGATIVE_READ = ReplyError(b"ERR value for ENTRIESREAD must be positive or -1")

XGROUP = container(
    "xgroup",
    group="stream",
    doc="""Manages the consumer groups of streams. Since 5.0.0.""",
    categories="-stream",
)


def wrong_words(container: bytes, subcommand: bytes) -> ReplyError:
    """The error for arguments that a subcommand does not know."""
    text = b"ERR unknown subcommand or wrong number of arguments for '%b'. Try %b HELP."
    return ReplyError(text % (subcommand, container))


def no_such_group(key: bytes, name: bytes) -> ReplyError:
    """The error for a missing group of a stream that is there."""
    return ReplyError(b"NOGROUP No such consumer group '%b' for key name '%b'" % (cut(name), cut(key)))


def _options(subcommand: bytes, words: Sequence[bytes]) -> tuple[bool, int]:
    """MKSTREAM, which only CREATE has, and ENTRIESREAD."""
    makes, read, at = False, UNKNOWN, 0
    while at < len(words):
        option = words[at].lower()
        if option == b"mkstream" and subcommand == b"CREATE":
            makes = True
            at += 1
        elif option == b"entriesread" and at + 1 < len(words):
            read = parse_integer(words[at + 1])
            if read < 0 and read != UNKNOWN:
                raise NEGATIVE_READ
            at += 2
        else:
            raise wrong_words(b"XGROUP", subcommand)
    return makes, read


def _need_stream(c: Client, key: bytes) -> Stream:
    stream = as_stream(c.db.peek(key))
    if stream is None:
        raise NEEDS_KEY
    return stream


def _need_group(c: Client, key: bytes, name: bytes) -> tuple[Stream, Group]:
    stream = _need_stream(c, key)
    group = stream.groups.get(name)
    if group is None:
        raise no_such_group(key, name)
    return stream, group


@command(
    WRITE | DENYOOM,
    group="stream",
    container=XGROUP,
    keys=key("RW INSERT", at=2),
    syntax="key:key groupname id=<id | new_id='$'> [MKSTREAM] [ENTRIESREAD entries_read:integer]",
    history=(("7.0.0", "Argument `entries_read`."),),
)
def xgroup_create(c: Client, key: bytes, name: bytes, id: bytes, *options: bytes) -> bytes:
    """Creates a consumer group. O(1). Since 5.0.0."""
    makes, read = _options(b"CREATE", options)
    old = as_stream(c.db.peek(key))
    if old is None and not makes:
        raise NEEDS_KEY
    if len(options) > 3:
        raise wrong_words(b"XGROUP", b"CREATE")
    stream = Stream() if old is None else old
    last = stream.last_id if id == b"$" else parse_id(id)
    if name in stream.groups:
        raise BUSY
    stream.groups[name] = Group(last, read)
    if old is None:
        c.db.set(key, stream, XGROUP_CREATE)
    else:
        c.db.touch(key, XGROUP_CREATE)
    return OK


@command(
    WRITE,
    group="stream",
    container=XGROUP,
    keys=key("RW UPDATE", at=2),
    syntax="key:key groupname id=<id | new_id='$'> [ENTRIESREAD entries_read:integer]",
    history=(("7.0.0", "Argument `entries_read`."),),
)
def xgroup_setid(c: Client, key: bytes, name: bytes, id: bytes, *options: bytes) -> bytes:
    """Sets the last id delivered to a consumer group. O(1). Since 5.0.0."""
    _, read = _options(b"SETID", options)
    stream, group = _need_group(c, key, name)
    if len(options) > 2:
        raise wrong_words(b"XGROUP", b"SETID")
    group.last_id = stream.last_id if id == b"$" else open_id(id)
    group.entries_read = read
    c.db.touch(key, XGROUP_SETID)
    return OK


@command(
    WRITE,
    group="stream",
    container=XGROUP,
    keys=key("RW DELETE", at=2),
    syntax="key:key groupname",
)
def xgroup_destroy(c: Client, key: bytes, name: bytes) -> bytes:
    """Destroys a consumer group. O(N) with N entries pending in it. Since 5.0.0."""
    stream = _need_stream(c, key)
    group = stream.groups.pop(name, None)
    if group is None:
        return ZERO
    c.db.graveyard.bury(*group.parts())
    c.db.touch(key, XGROUP_DESTROY)
    return ONE


@command(
    WRITE | DENYOOM,
    group="stream",
    container=XGROUP,
    keys=key("RW INSERT", at=2),
    syntax="key:key groupname consumername",
)
def xgroup_createconsumer(c: Client, key: bytes, name: bytes, consumer: bytes) -> bytes:
    """Creates a consumer in a consumer group. O(1). Since 6.2.0."""
    _, group = _need_group(c, key, name)
    if consumer in group.consumers:
        return ZERO
    group.consumers[consumer] = Consumer(consumer, c.server.clock.ms())
    c.db.touch(key, XGROUP_CREATECONSUMER)
    return ONE


@command(
    WRITE,
    group="stream",
    container=XGROUP,
    keys=key("RW DELETE", at=2),
    syntax="key:key groupname consumername",
)
def xgroup_delconsumer(c: Client, key: bytes, name: bytes, consumer: bytes) -> bytes:
    """Deletes a consumer and forgets what is pending for it. O(1). Since 5.0.0."""
    _, group = _need_group(c, key, name)
    if consumer not in group.consumers:
        return ZERO
    pending = group.remove_consumer(consumer)
    c.db.touch(key, XGROUP_DELCONSUMER)
    return integer(pending)


@command(LOADING | STALE, group="stream", container=XGROUP)
def xgroup_help(_c: Client) -> bytes:
    """Lists the subcommands. O(1). Since 5.0.0."""
    return help_reply(XGROUP)


@command(WRITE | FAST | BRIEF, group="stream", keys=key("RW UPDATE"), syntax="key:key group id...")
def xack(c: Client, key: bytes, name: bytes, id: bytes, *more: bytes) -> bytes:
    """Acknowledges entries, which are pending no more. O(1) for each of them. Since 5.0.0."""
    stream = as_stream(c.db.get(key))
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        return ZERO
    done = sum(map(group.drop, parse_ids((id, *more))))
    if done:
        c.db.touch(key, READ, done)
    return integer(done)


@command(
    READONLY,
    group="stream",
    keys=key("RO ACCESS"),
    syntax="key:key group [filters=([IDLE min-idle-time:integer{6.2.0}] start end count:integer [consumer])]",
    tips=("nondeterministic_output",),
    history=(("6.2.0", "Option `IDLE`; ranges may exclude their ends."),),
)
def xpending(c: Client, key: bytes, name: bytes, *filters: bytes) -> bytes:
    """Tells which entries are pending, in sum or each of them. O(N) with N entries replied. Since 5.0.0."""
    if not filters:
        _, group = need_group(c.db.get(key), key, name)
        return _summary(c, group)
    if not 3 <= len(filters) <= 6:
        raise SYNTAX
    idle = 0
    if filters[0].lower() == b"idle":
        idle = parse_integer(filters[1])
        filters = filters[2:]
        if len(filters) < 3:
            raise SYNTAX
    count = parse_integer(filters[2])
    first, last = start_of_range(filters[0]), end_of_range(filters[1])
    _, group = need_group(c.db.get(key), key, name)
    ids = group.ids
    if len(filters) > 3:
        consumer = group.consumers.get(filters[3])
        if consumer is None:
            return EMPTY_ARRAY
        ids = consumer.pending
    now = c.server.clock.ms()
    found: list[bytes] = []
    for id in ids.between(first, last):
        if len(found) >= count:
            break
        entry = group.pending[id]
        elapsed = now - entry.delivered
        if elapsed < idle and idle:
            continue
        parts = (id_reply(id), bulk(entry.consumer.name), integer(max(elapsed, 0)), integer(entry.count))
        found.append(array(parts))
    return array(found)


def _summary(c: Client, group: Group) -> bytes:
    if not group.pending:
        return array((ZERO, c.resp.null, c.resp.null, c.resp.null_array))
    owners = [
        array((bulk(name), bulk(b"%d" % len(consumer.pending))))
        for name, consumer in sorted(group.consumers.items())
        if len(consumer.pending)
    ]
    edges = (id_reply(group.ids.first), id_reply(group.ids.last))
    return array((integer(len(group.pending)), *edges, array(owners)))
