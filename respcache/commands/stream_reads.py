"""Reading what is new in streams, and waiting for it: XREAD, XREADGROUP."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.arguments import timeout_ms
from respcache.commands.stream_arguments import as_stream, greet_consumer, id_reply, need_group, parse_id
from respcache.keyspec import after
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import array, bulk
from respcache.registry import BLOCKING, READONLY, WRITE, command
from respcache.state import Client
from respcache.store.events import READ, XGROUP_CREATECONSUMER
from respcache.store.stream import Stream
from respcache.store.stream_block import MAX_ID
from respcache.store.stream_groups import Consumer, Group

NEW = MAX_ID
"""The id that `>` stands for: what the group was not given yet. The greatest id itself means the same."""

_WHERE = b" in XREADGROUP with GROUP option"
_NO_GROUP_OPTION = ReplyError(b"ERR Missing GROUP option for XREADGROUP")
_ONLY_GROUPS = ReplyError(
    b"ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
)


def _meaningless(id: bytes) -> ReplyError:
    text = (
        b"ERR The %b ID is meaningless in the context of XREADGROUP: you want to read the history of this "
        b"consumer by specifying a proper ID, or use the > ID to get new messages. The %b ID would just return "
        b"an empty result set."
    )
    return ReplyError(text % (id, id))


class _Request:
    """The arguments of a read."""

    __slots__ = ("count", "group", "ids", "keys", "no_ack", "timeout")

    def __init__(self, words: Sequence[bytes], groups: bool) -> None:
        self.timeout: int | None = None
        """Milliseconds to wait, 0 for ever; None: do not."""
        self.count = 0
        """Entries of each stream, 0: all."""
        self.group: tuple[bytes, bytes] | None = None
        """The names of group and consumer."""
        self.no_ack = False
        at, end = 0, len(words)
        while at < end:
            option, more = words[at].upper(), end - at - 1
            if option == b"BLOCK" and more:
                self.timeout = timeout_ms(words[at + 1])
                at += 2
            elif option == b"COUNT" and more:
                self.count = max(parse_integer(words[at + 1]), 0)
                at += 2
            elif option == b"STREAMS" and more:
                break
            elif option == b"GROUP" and more >= 2:
                if not groups:
                    raise _only_for_groups(option)
                self.group = (words[at + 1], words[at + 2])
                at += 3
            elif option == b"NOACK":
                if not groups:
                    raise _only_for_groups(option)
                self.no_ack = True
                at += 1
            else:
                raise SYNTAX
        if at == end:
            raise SYNTAX
        streams, odd = divmod(end - at - 1, 2)
        if odd:
            text = (
                b"ERR Unbalanced '%b' list of streams: for each stream key an ID or '%b' must be specified."
            )
            raise ReplyError(text % ((b"xreadgroup", b">") if groups else (b"xread", b"$")))
        if groups and self.group is None:
            raise _NO_GROUP_OPTION
        self.keys = words[at + 1 : at + 1 + streams]
        self.ids = words[at + 1 + streams :]


def _only_for_groups(option: bytes) -> ReplyError:
    return ReplyError(
        b"ERR The %b option is only supported by XREADGROUP. You called XREAD instead." % option
    )


def _reply(c: Client, found: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """Streams and their entries, both encoded; None if there are none."""
    if not found:
        return None
    if c.resp.version == 2:
        return array([array(pair) for pair in found])
    return c.resp.map([part for pair in found for part in pair])


def _run(c: Client, request: _Request, attempt: Callable[[], bytes | None]) -> bytes:
    reply = attempt()
    if reply is not None:
        return reply
    if request.timeout is None:
        return c.resp.null_array
    nothing = c.resp.null_array
    if request.group is None:
        return c.block(b"stream", request.keys, request.timeout, attempt, nothing)
    team = (request.group[0], tuple(request.keys))  # the consumers of a group, which is given an entry once
    return c.block(b"stream", request.keys, request.timeout, attempt, nothing, gone=True, team=team)


@command(
    READONLY | BLOCKING,
    group="stream",
    keys=after("RO ACCESS", b"STREAMS", 1, last=-1, limit=2),
    syntax="[COUNT count:integer] [BLOCK milliseconds:integer] STREAMS streams=(key:key... id...)",
)
def xread(c: Client, first: bytes, second: bytes, third: bytes, *rest: bytes) -> bytes:
    """The entries of streams behind given ids, which it may wait for. O(N) with N entries replied. Since 5.0.0."""
    request = _Request((first, second, third, *rest), groups=False)
    db = c.db
    after_ids = [
        _read_after(as_stream(db.get(key)), id) for key, id in zip(request.keys, request.ids, strict=True)
    ]

    def attempt() -> bytes | None:
        found = []
        for key, id in zip(request.keys, after_ids, strict=True):
            stream = as_stream(db.get(key))
            if stream is not None and stream.length and stream.last_id > id:
                entries = stream.replies(id + 1, MAX_ID, request.count)
                if entries:
                    found.append((bulk(key), array(entries)))
        return _reply(c, found)

    return _run(c, request, attempt)


def _read_after(stream: Stream | None, id: bytes) -> int:
    """The id behind which to read."""
    if id == b"$":
        return 0 if stream is None else stream.last_id
    if id == b"+":
        return 0 if stream is None or not stream.length else stream.last_living - 1
    if id == b">":
        raise _ONLY_GROUPS
    return parse_id(id)


@command(
    WRITE | BLOCKING,
    group="stream",
    keys=after("RO ACCESS", b"STREAMS", 4, last=-1, limit=2),
    syntax=(
        "GROUP group_consumer=(group consumer) [COUNT count:integer] [BLOCK milliseconds:integer] "
        "[NOACK] STREAMS streams=(key:key... id...)"
    ),
)
def xreadgroup(
    c: Client,
    word1: bytes,
    word2: bytes,
    word3: bytes,
    word4: bytes,
    word5: bytes,
    word6: bytes,
    *rest: bytes,
) -> bytes:
    """What is new for a consumer group, or what is pending for a consumer of it; it may wait.

    O(N) with N entries replied. Since 5.0.0.
    """
    request = _Request((word1, word2, word3, word4, word5, word6, *rest), groups=True)
    assert request.group is not None
    group_name, consumer_name = request.group
    db = c.db
    ids: list[int] = []
    again = False

    def attempt() -> bytes | None:
        groups = []
        for at, key in enumerate(request.keys):
            groups.append(need_group(db.get(key), key, group_name, _WHERE))
            if at == len(ids):
                ids.append(_history_after(request.ids[at]))
        nonlocal again
        again, waited = True, again
        now = c.server.clock.ms()
        found = []
        for key, id, (stream, group) in zip(request.keys, ids, groups, strict=True):
            if waited and not _has_new(stream, group):
                continue  # woken by a change that brings nothing, which is no attempt of the consumer
            db.get(key)  # counted as the second use that it is in Redis
            consumer, is_new = greet_consumer(group, consumer_name, now)
            if is_new:
                db.touch(key, XGROUP_CREATECONSUMER)
            if id != NEW:
                entries = _history(c, stream, group, consumer, id, request.count, now)
            else:
                entries = _deliver(stream, group, consumer, request, now)
                if not entries:
                    continue
                db.touch(key, READ)
            found.append((bulk(key), array(entries)))
        return _reply(c, found)

    return _run(c, request, attempt)


def _history_after(id: bytes) -> int:
    if id in (b"$", b"+"):
        raise _meaningless(id)
    return NEW if id == b">" else parse_id(id)


def _has_new(stream: Stream, group: Group) -> bool:
    """Whether there may be something that the group was not given yet."""
    return stream.length > 0 and group.last_id < stream.last_id


def _deliver(stream: Stream, group: Group, consumer: Consumer, request: _Request, now: int) -> list[bytes]:
    """New entries for a consumer, encoded."""
    if not _has_new(stream, group):
        return []
    entries: list[bytes] = []
    ids: list[int] = []
    for block, positions in stream.spans(group.last_id + 1, MAX_ID, request.count):
        ids += block.ids(positions)
        entries += block.replies(positions)
    if ids:
        stream.advance(group, ids)
        if not request.no_ack:
            group.deliver(ids, consumer, now)
            consumer.active = now
    return entries


def _history(
    c: Client, stream: Stream, group: Group, consumer: Consumer, id: int, count: int, now: int
) -> list[bytes]:
    """What is pending for a consumer, encoded, and delivered once more. An entry that was deleted is shown as null."""
    entries: list[bytes] = []
    for pending in consumer.pending.between(id + 1, MAX_ID):
        reply = stream.reply(pending)
        if reply is None:
            entries.append(array((id_reply(pending), c.resp.null_array)))
        else:
            found = group.pending[pending]
            found.delivered = now
            found.count += 1
            entries.append(reply)
        if len(entries) == count:
            break
    return entries
