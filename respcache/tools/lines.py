"""A dump as lines of JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable

from respcache.persistence.aof_read import Command, size_of
from respcache.persistence.commands import entries, field_deadlines
from respcache.persistence.rdb_read import Handler, Value
from respcache.store.list import Listpack, Quicklist
from respcache.store.set import IntSet, ListpackSet, SetTable
from respcache.store.stream import Stream, format_id
from respcache.store.types import type_name
from respcache.store.zset import ZSet
from respcache.tools.reading import LogHandler


class Lines(Handler):
    """A line of JSON for each key. Bytes that are not UTF-8 are `{"base64": "..."}`."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        """A line."""
        shown: dict[str, object] = {"db": db, "key": _text(key)}
        shown |= {"type": type_name(value).decode(), "ttl_at": deadline}
        shown["value"] = _json_value(value)
        if fields := field_deadlines(value):
            shown["fields_ttl_at"] = _mapping(fields.items())
        line = json.dumps(shown, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self._write(line.encode() + b"\n")


class LogLines(LogHandler):
    """A line of JSON for each command of an append-only file, with its offset, and its file if there are several."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__()
        self._write = write
        self._file: dict[str, object] = {}

    def file(self, name: str) -> None:
        """To be named."""
        self._file = {"file": name}

    def batch(self, at: int, commands: list[Command]) -> None:
        """Lines."""
        where = at
        for command in commands:
            shown = self._file | {"offset": where, "command": [_text(word) for word in command]}
            line = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
            self._write(line.encode() + b"\n")
            where += size_of([command])
        super().batch(at, commands)


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _mapping(pairs: Iterable[tuple[bytes, bytes | int]]) -> object:
    """An object; an array of pairs if not all names are UTF-8, as those of an object must be strings."""
    shown = [(_text(name), _text(each) if isinstance(each, bytes) else each) for name, each in pairs]
    if all(isinstance(name, str) for name, _ in shown):
        return dict(shown)
    return shown


def _json_value(value: Value) -> object:
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, Stream):
        return _json_stream(value)
    if isinstance(value, ZSet):
        # JSON has no infinity: it is a string.
        return [
            (_text(member), score if abs(score) < float("inf") else str(score))
            for member, score in value.items()
        ]
    if isinstance(value, Listpack | Quicklist | IntSet | ListpackSet | SetTable):
        return [_text(element) for element in value]
    return _mapping(value.items())


def _json_stream(stream: Stream) -> object:
    return {
        "entries": [
            {"id": _id(id), "fields": [_text(word) for word in words]} for id, words in entries(stream)
        ],
        "last_id": _id(stream.last_id),
        "max_deleted_id": _id(stream.max_deleted_id),
        "entries_added": stream.entries_added,
        "groups": [
            {
                "name": _text(name),
                "last_id": _id(group.last_id),
                "entries_read": group.entries_read if group.entries_read >= 0 else None,
                "consumers": [
                    {"name": _text(each.name), "seen_at": each.seen, "active_at": each.active}
                    for each in group.consumers.values()
                ],
                "pending": [
                    {
                        "id": _id(id),
                        "consumer": _text(group.pending[id].consumer.name),
                        "delivered_at": group.pending[id].delivered,
                        "deliveries": group.pending[id].count,
                    }
                    for id in group.ids
                ],
            }
            for name, group in stream.groups.items()
        ],
    }


def _id(id: int) -> str:
    return format_id(id).decode()
