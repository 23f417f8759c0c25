"""Streams in RDB files: listpacks of entries, and the consumer groups.

    listpack    count  deleted  fields  field ... 0  entry entry ...
    entry       flags  milliseconds  sequence  [fields]  value ... or field value ...  elements before this one

The id of an entry is given as the distance to the one under which its listpack stands. Flags: 1 deleted, 2 the
same fields as those at the head of the listpack, and then only the values follow.
"""

from __future__ import annotations

from respcache.persistence import listpack
from respcache.persistence.source import Source
from respcache.store.stream import Stream
from respcache.store.stream_block import MASK, Block
from respcache.store.stream_groups import Consumer, Group, Pending

_DELETED = 1
_SAME_FIELDS = 2
_ID_BYTES = 16


def read_stream(source: Source, version: int) -> Stream:
    """A stream in one of the three versions of its encoding. Raises ValueError."""
    stream = Stream()
    last = -1
    for _ in range(source.length()):
        name = source.string()
        if len(name) != _ID_BYTES:
            raise ValueError(f"the id of a part of a stream has {len(name)} bytes")
        start = int.from_bytes(name, "big")
        block, last = _read_block(start, listpack.decode(source.string()), last)
        if block.live:
            if stream.blocks:
                stream.blocks[-1].pack()
            stream.blocks.append(block)
            stream.starts.append(start)
            stream.length += block.live
    length = source.length()
    if length != stream.length:
        raise ValueError(f"a stream of {stream.length} entries that claims {length}")
    stream.last_id = _read_id(source)
    if stream.last_id < last:
        raise ValueError("a stream whose last id is not the last one")
    for block in stream.blocks[:1]:
        stream.first_id = block.id(block.first_living())
    if version >= 2:
        _read_id(source)  # the first id, which is known
        stream.max_deleted_id = _read_id(source)
        stream.entries_added = source.length()
    else:
        stream.entries_added = length
    for _ in range(source.length()):
        group_name = source.string()
        if group_name in stream.groups:
            raise ValueError(f"a stream that has the group {group_name[:40]!r} twice")
        stream.groups[group_name] = _read_group(source, version, stream)
    return stream


def _read_id(source: Source) -> int:
    return source.length() << 64 | source.length()


def _read_block(start: int, words: list[bytes], last: int) -> tuple[Block, int]:
    """The entries of a listpack, and the id of the last of them; `last` is that of the one before."""
    first_millis, first_sequence = start >> 64, start & MASK
    at = 0
    try:
        live, deleted, count = int(words[0]), int(words[1]), int(words[2])
        names = words[3 : 3 + count]
        at = 3 + count
        if count < 0 or words[at] != b"0":
            raise ValueError
        at += 1
        block = Block(tuple(names))
        while at < len(words):
            entry = at
            flags = int(words[at])
            millis = (first_millis + int(words[at + 1])) & MASK
            id = millis << 64 | (first_sequence + int(words[at + 2])) & MASK
            at += 3
            if flags & _SAME_FIELDS:
                values = words[at : at + count]
                at += count
                pairs = [word for pair in zip(names, values, strict=True) for word in pair]
            else:
                size = 2 * int(words[at])
                at += 1
                if size < 0:
                    raise ValueError
                pairs = words[at : at + size]
                at += size
            if int(words[at]) != at - entry or id <= last:
                raise ValueError
            at += 1
            last = id
            block.append(id, pairs)
            if flags & _DELETED:
                block.kill(len(block) - 1)
    except (ValueError, IndexError):
        raise ValueError(f"a part of a stream is wrong at its element {at}") from None
    if block.live != live or len(block) - live != deleted:
        told = f"{live} of {live + deleted}"
        raise ValueError(f"{block.live} of {len(block)} entries of a stream live, not {told}")
    return block, last


def _read_group(source: Source, version: int, stream: Stream) -> Group:
    group = Group(_read_id(source))
    if version >= 2:
        read = source.length()
        group.entries_read = read - (1 << 64) if read >> 63 else read
    else:
        group.entries_read = stream.entries_until(group.last_id)
    pending: dict[int, tuple[int, int]] = {}
    for _ in range(source.length()):
        id = int.from_bytes(source.take(_ID_BYTES), "big")
        if id in pending:
            raise ValueError("an entry that is pending twice")
        pending[id] = source.integer(8), source.length()
    for _ in range(source.length()):
        name = source.string()
        if name in group.consumers:
            raise ValueError(f"a group that has the consumer {name[:40]!r} twice")
        consumer = group.consumers[name] = Consumer(name, source.integer(8))
        consumer.active = source.integer(8) if version >= 3 else consumer.seen
        for _ in range(source.length()):
            id = int.from_bytes(source.take(_ID_BYTES), "big")
            if id in group.pending or id not in pending:
                raise ValueError("an entry pending for a consumer that is not so, or twice, for the group")
            group.pending[id] = Pending(consumer, *pending[id])
            consumer.pending.add(id)
    if len(group.pending) != len(pending):
        raise ValueError("an entry is pending for no consumer")
    for id in sorted(pending):
        group.ids.add(id)
    return group
