"""A dump as commands, in RESP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from respcache.persistence.payload import pack
from respcache.persistence.rdb_read import Handler, Value
from respcache.protocol.reply import bulks
from respcache.store.list import Listpack, Quicklist
from respcache.store.set import IntSet, ListpackSet, SetTable
from respcache.store.stream import Stream, format_id
from respcache.store.zset import ZSet
from respcache.tools.values import entries, field_deadlines

_WORDS = 512
"""Elements to a command: none of them keeps a server busy for long."""

_Words = Sequence[bytes]


class Commands(Handler):
    """The commands that make the same keys in an empty server, without their idle times and frequencies."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._db: int | None = None

    def function(self, code: bytes) -> None:
        """FUNCTION LOAD."""
        self._write(bulks([b"FUNCTION", b"LOAD", b"REPLACE", code]))

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        """SELECT if the database is another one, what makes the value, PEXPIREAT."""
        if db != self._db:
            self._write(bulks([b"SELECT", b"%d" % db]))
            self._db = db
        for command in _commands(key, value):
            self._write(bulks(command))
        if deadline is not None:
            self._write(bulks([b"PEXPIREAT", key, b"%d" % deadline]))


def _commands(key: bytes, value: Value) -> Iterator[_Words]:
    if isinstance(value, bytes):
        yield [b"SET", key, value]
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


def _many(head: list[bytes], words: Iterable[bytes]) -> Iterator[_Words]:
    """A command for each `_WORDS` of the words, which is an even number."""
    rest = iter(words)
    while part := list(islice(rest, _WORDS)):
        yield head + part


def _stream_commands(key: bytes, stream: Stream) -> Iterator[_Words]:
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
