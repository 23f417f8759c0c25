"""Values as the commands that make them, for who reads a dump and for an append-only file without RDB preamble.

A command has some hundred words at most, so that none holds a server for long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from respcache.persistence.payload import pack
from respcache.store.database import Value
from respcache.store.hash import HashTable, ListpackEx
from respcache.store.list import Listpack, Quicklist
from respcache.store.set import IntSet, ListpackSet, SetTable
from respcache.store.stream import Stream, format_id
from respcache.store.stream_block import MAX_ID, decode
from respcache.store.zset import ZSet

_WORDS = 512
"""Elements to a command: none of them keeps a server busy for long."""

Words = Sequence[bytes]


def commands(key: bytes, value: Value) -> Iterator[Words]:
    """What makes a value, its deadline left out. It must not change until the last command is made."""
    if isinstance(value, bytes | bytearray | int):
        yield [b"SET", key, b"%d" % value if isinstance(value, int) else bytes(value)]
    elif isinstance(value, Listpack | Quicklist):
        yield from _many([b"RPUSH", key], value)
    elif isinstance(value, IntSet | ListpackSet | SetTable):
        yield from _many([b"SADD", key], value)
    elif isinstance(value, ZSet):
        pairs = ((repr(score).encode(), member) for member, score in value.items())
        yield from _many([b"ZADD", key], (word for pair in pairs for word in pair))
    elif isinstance(value, Stream):
        yield from _stream_commands(key, value)
    else:
        yield from _many([b"HSET", key], (word for pair in value.items() for word in pair))
        together: dict[int, list[bytes]] = {}
        for field, when in field_deadlines(value).items():
            together.setdefault(when, []).append(field)
        for when, fields in together.items():
            yield [b"HPEXPIREAT", key, b"%d" % when, b"FIELDS", b"%d" % len(fields), *fields]


def _many(head: list[bytes], words: Iterable[bytes]) -> Iterator[Words]:
    """A command for each `_WORDS` of the words, which is an even number."""
    rest = iter(words)
    while part := list(islice(rest, _WORDS)):
        yield head + part


def _stream_commands(key: bytes, stream: Stream) -> Iterator[Words]:
    if not _is_plain(stream):
        yield [b"RESTORE", key, b"0", pack(stream)]
        return
    last = format_id(stream.last_id)
    for id, words in entries(stream):
        yield [b"XADD", key, format_id(id), *words]
    if not stream.length:
        yield [b"XADD", key, b"MAXLEN", b"0", last if stream.last_id else b"0-1", b"f", b"v"]
    added = b"%d" % max(stream.entries_added, stream.length)
    yield [b"XSETID", key, last, b"ENTRIESADDED", added, b"MAXDELETEDID", format_id(stream.max_deleted_id)]
    for name, group in stream.groups.items():
        read = b"%d" % max(group.entries_read, -1)
        yield [b"XGROUP", b"CREATE", key, name, format_id(group.last_id), b"ENTRIESREAD", read]
        for consumer in group.consumers:
            yield [b"XGROUP", b"CREATECONSUMER", key, name, consumer]
        for id in group.ids:
            found = group.pending[id]
            when = [b"TIME", b"%d" % found.delivered, b"RETRYCOUNT", b"%d" % found.count]
            yield [b"XCLAIM", key, name, found.consumer.name, b"0", format_id(id), *when, b"JUSTID", b"FORCE"]


def _is_plain(stream: Stream) -> bool:
    """Whether commands can make it: XCLAIM takes no entry that is deleted, XADD no id 0, XSETID no id too small."""
    return (
        stream.max_deleted_id <= stream.last_id
        and not (stream.length and stream.first_id == 0)
        and all(id in stream for group in stream.groups.values() for id in group.pending)
    )


def entries(stream: Stream) -> Iterator[tuple[int, list[bytes]]]:
    """Ids, and fields and values."""
    for block, positions in stream.spans(0, MAX_ID):
        for at in positions:
            yield block.id(at), decode(block.body(at))


def field_deadlines(value: Value) -> dict[bytes, int]:
    """Of a hash, in milliseconds since the epoch; empty for all else."""
    if isinstance(value, ListpackEx | HashTable) and value.deadlines:
        return dict(value.deadlines.items())
    return {}
