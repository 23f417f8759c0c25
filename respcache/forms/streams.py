"""Streams: the ids that were made, what trimming left, and who was given which entries, when and how often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from respcache.forms.call import Call, Words, form
from respcache.store.stream import Stream, format_id
from respcache.store.stream_block import MASK, MAX_ID
from respcache.store.stream_groups import Group

# Trimming


@form("xadd")
def xadd(call: Call) -> Iterator[Words]:
    """With the id that was made, and as XTRIM."""
    key, *words = call.arguments
    options, size = _exact(call, key, words, adding=True)
    id = words[size]
    yield b"XADD", key, *options, call.parsed() if id.endswith(b"*") else id, *words[size + 1 :]


@form("xtrim")
def xtrim(call: Call) -> Iterator[Words]:
    """`~` becomes `=`, with the length or the first id that is really left, and without LIMIT, which `=` forbids."""
    key, *words = call.arguments
    yield b"XTRIM", key, *_exact(call, key, words, adding=False)[0]


def _exact(call: Call, key: bytes, words: list[bytes], adding: bool) -> tuple[list[bytes], int]:
    """The options that `words` begin with, made exact; and how many words they were."""
    options: list[bytes] = []
    at = 0
    while at < len(words) and not (adding and words[at] == b"*"):
        option = words[at].lower()
        if option == b"limit":
            at += 2
        elif option == b"nomkstream":
            options.append(words[at])
            at += 1
        elif option in (b"maxlen", b"minid"):
            size = 3 if words[at + 1] in (b"~", b"=") else 2
            options += words[at : at + size]
            if words[at + 1] == b"~":
                options[-2:] = b"=", _left(call.value(key), option == b"minid") or options[-1]
            at += size
        else:
            break
    return options, at


def _left(stream: Stream | None, by_id: bool) -> bytes:
    """The length of a stream, or its first id; empty if there is none, and then what was asked for is exact."""
    assert stream is not None
    if not by_id:
        return b"%d" % stream.length
    return format_id(stream.first_id) if stream.length else b""


# Groups


def _group(call: Call, key: bytes, name: bytes) -> tuple[Stream, Group]:
    stream: Stream | None = call.value(key)
    assert stream is not None
    return stream, stream.groups[name]


def _claims(
    key: bytes, name: bytes, group: Group, ids: Iterable[int], last: int | None = None
) -> Iterator[Words]:
    """One XCLAIM for each of the entries that are pending, as it is now; `last` is the last id of the group, if it is
    not that of the entry itself."""
    for id in ids:
        found = group.pending.get(id)
        if found is not None:
            word = format_id(id)
            yield (
                *(b"XCLAIM", key, name, found.consumer.name, b"0", word, b"TIME", b"%d" % found.delivered),
                *(b"RETRYCOUNT", b"%d" % found.count, b"FORCE", b"JUSTID"),
                *(b"LASTID", word if last is None else format_id(last)),
            )


def _set_id(key: bytes, name: bytes, group: Group) -> Words:
    read = b"%d" % group.entries_read
    return b"XGROUP", b"SETID", key, name, format_id(group.last_id), b"ENTRIESREAD", read


@form("xreadgroup")
def xreadgroup(call: Call) -> Iterator[Words]:
    """For each stream: XCLAIM of all entries that were delivered, then `XGROUP SETID key group id ENTRIESREAD n`.

    A consumer that was made is made by the first XCLAIM; if there is none, by XGROUP CREATECONSUMER.
    """
    words = call.arguments
    at, no_ack = 0, False
    name = consumer = b""
    while (option := words[at].upper()) != b"STREAMS":
        if option == b"GROUP":
            name, consumer = words[at + 1 : at + 3]
        no_ack |= option == b"NOACK"
        at += {b"GROUP": 3, b"NOACK": 1}.get(option, 2)
    count = (len(words) - at - 1) // 2
    keys, ids = words[at + 1 : at + 1 + count], words[at + 1 + count :]
    delivered: dict[bytes, list[int]] = {}
    new = {key for key, id in zip(keys, ids, strict=True) if id == b">" or _id(id) == MAX_ID}
    for key, entries in _streams(call.parsed()):
        if key in new:  # else what is pending was shown once more, which is not propagated
            delivered.setdefault(key, []).extend(_id(entry[0]) for entry in entries)
    made = call.changes > len(delivered)
    for key in dict.fromkeys(keys):
        group = _group(call, key, name)[1]
        given = delivered.get(key)
        if made and (no_ack or not given):
            yield b"XGROUP", b"CREATECONSUMER", key, name, consumer
        if given:
            if not no_ack:
                yield from _claims(key, name, group, given)
            yield _set_id(key, name, group)


def _streams(reply: Any) -> Iterable[tuple[bytes, list[list[bytes]]]]:
    """The streams of a reply and their entries, which stand in pairs in RESP2 and in turn in RESP3."""
    if reply and isinstance(reply[0], bytes):
        return zip(reply[::2], reply[1::2], strict=True)
    return reply or ()


@form("xclaim")
def xclaim(call: Call) -> Iterator[Words]:
    """XCLAIM of each entry that was claimed, and XACK of those that are deleted; if there are none, what else changed:
    the last id of the group, and a consumer that was made."""
    key, name, consumer, _, *words = call.arguments
    options = next((at for at, word in enumerate(words) if word.upper() in _CLAIM_OPTIONS), len(words))
    stream, group = _group(call, key, name)
    claimed = [_id(item if isinstance(item, bytes) else item[0]) for item in call.parsed()]
    gone = [word for word in words[:options] if _id(word) not in stream]
    yield from _taken(key, name, consumer, group, claimed, gone)
    if not claimed and b"LASTID" in [word.upper() for word in words[options:]]:
        yield _set_id(key, name, group)


_CLAIM_OPTIONS = frozenset({b"IDLE", b"TIME", b"RETRYCOUNT", b"FORCE", b"JUSTID", b"LASTID"})


@form("xautoclaim")
def xautoclaim(call: Call) -> Iterator[Words]:
    """As XCLAIM."""
    key, name, consumer, *_ = call.arguments
    group = _group(call, key, name)[1]
    _, found, gone = call.parsed()
    claimed = [_id(item if isinstance(item, bytes) else item[0]) for item in found]
    yield from _taken(key, name, consumer, group, claimed, gone)


def _taken(
    key: bytes, name: bytes, consumer: bytes, group: Group, claimed: list[int], gone: list[bytes]
) -> Iterator[Words]:
    """What a consumer took over, and entries that are pending no more since they are deleted."""
    if not claimed:
        yield b"XGROUP", b"CREATECONSUMER", key, name, consumer
    yield from _claims(key, name, group, dict.fromkeys(claimed), group.last_id)
    if gone:
        yield b"XACK", key, name, *gone


def _id(word: bytes) -> int:
    """An id that was accepted, as a number: what C reads as unsigned, up to the first null."""
    first, _, second = word.partition(b"\0")[0].partition(b"-")
    return (int(first) & MASK) << 64 | (int(second or b"0") & MASK)
