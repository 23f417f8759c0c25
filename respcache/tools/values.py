"""Parts of values that both forms of a dump take apart."""

from __future__ import annotations

from collections.abc import Iterator

from respcache.persistence.rdb_read import Value
from respcache.store.hash import HashTable, ListpackEx
from respcache.store.stream import Stream
from respcache.store.stream_block import MAX_ID, decode


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
