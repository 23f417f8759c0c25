"""What the commands on streams share: ids and ranges of them, looking for streams and groups."""

from __future__ import annotations

import re
from collections.abc import Sequence

from respcache.commands.arguments import INT64_MAX
from respcache.protocol.errors import WRONGTYPE, ReplyError
from respcache.protocol.reply import bulk
from respcache.store.stream import Stream, format_id
from respcache.store.stream_block import MASK, MAX_ID
from respcache.store.stream_groups import Consumer, Group

INVALID_ID = ReplyError(b"ERR Invalid stream ID specified as stream command argument")
_INVALID_START = ReplyError(b"ERR invalid start ID for the interval")
_INVALID_END = ReplyError(b"ERR invalid end ID for the interval")

_HALF = re.compile(rb"[ \t\n\v\f\r]*([+-]?\d+)")


def _half(word: bytes) -> int:
    """One half of an id, unsigned: what C's strtoull reads, less negative numbers in their canonical form."""
    if word.isdigit() and len(word) < 20:
        return int(word)
    match = _HALF.fullmatch(word)
    if match is None:
        raise INVALID_ID
    value = int(match[1]) if len(match[1]) < 4000 else MAX_ID
    canonical = value < 0 and value >= ~INT64_MAX and b"%d" % value == word
    if abs(value) > MASK or canonical:
        raise INVALID_ID
    return value & MASK


def partial_id(word: bytes) -> tuple[int, int | None]:
    """The two halves of an id, the second of them None for `ms-*`; without a second half that is 0."""
    if len(word) > 127:
        raise INVALID_ID
    first, dash, second = word.partition(b"\0")[0].partition(b"-")
    if not dash:
        return _half(first), 0
    return _half(first), None if second == b"*" else _half(second)


def parse_id(word: bytes, sequence: int = 0) -> int:
    """A complete id, or milliseconds to which `sequence` is the second half. Raises INVALID_ID."""
    if len(word) > 127:
        raise INVALID_ID
    first, dash, second = word.partition(b"\0")[0].partition(b"-")
    return _half(first) << 64 | (_half(second) if dash else sequence)


def open_id(word: bytes, sequence: int = 0) -> int:
    """As `parse_id`, where `-` and `+` are the smallest and the greatest id."""
    if word == b"-":
        return 0
    return MAX_ID if word == b"+" else parse_id(word, sequence)


def start_of_range(word: bytes) -> int:
    """The first id of a range; `(` in front excludes it."""
    if word[:1] != b"(" or len(word) == 1:
        return open_id(word)
    id = parse_id(word[1:])
    if id == MAX_ID:
        raise _INVALID_START
    return id + 1


def end_of_range(word: bytes) -> int:
    """The last id of a range; `(` in front excludes it."""
    if word[:1] != b"(" or len(word) == 1:
        return open_id(word, MASK)
    id = parse_id(word[1:], MASK)
    if not id:
        raise _INVALID_END
    return id - 1


def as_stream(value: object) -> Stream | None:
    """The stream that a key holds, or None if there is no key. Raises WRONGTYPE."""
    if value is None or type(value) is Stream:
        return value
    raise WRONGTYPE


def no_group(key: bytes, group: bytes, where: bytes = b"") -> ReplyError:
    """The error for a missing key or group, of commands that want both."""
    return ReplyError(b"NOGROUP No such key '%b' or consumer group '%b'%b" % (cut(key), cut(group), where))


def cut(word: bytes) -> bytes:
    """A word as it stands in an error: C prints it up to the first null."""
    return word.partition(b"\0")[0]


def need_group(value: object, key: bytes, name: bytes, where: bytes = b"") -> tuple[Stream, Group]:
    """A stream and one of its groups. Raises WRONGTYPE or NOGROUP."""
    stream = as_stream(value)
    group = None if stream is None else stream.groups.get(name)
    if stream is None or group is None:
        raise no_group(key, name, where)
    return stream, group


def greet_consumer(group: Group, name: bytes, now: int) -> tuple[Consumer, bool]:
    """The consumer of a name, seen now; whether it is new, of which the caller tells the database."""
    consumer = group.consumers.get(name)
    if consumer is not None:
        consumer.seen = now
        return consumer, False
    consumer = group.consumers[name] = Consumer(name, now)
    return consumer, True


def id_reply(id: int) -> bytes:
    """An encoded id."""
    return bulk(format_id(id))


def parse_ids(words: Sequence[bytes]) -> list[int]:
    """Complete ids. Raises INVALID_ID."""
    return [parse_id(word) for word in words]
