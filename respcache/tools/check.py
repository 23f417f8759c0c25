"""`respcache check`: a verdict on an RDB file, and what is in it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import TextIO

from respcache.persistence.rdb_read import Handler, Value
from respcache.persistence.source import Source
from respcache.store.types import type_name
from respcache.tools.reading import Progress, exit_code, read, verdict

_CHECKSUM = 8


class _Statistics(Handler):
    def __init__(self, now: int) -> None:
        self.now = now
        self.notes: list[tuple[bytes, bytes]] = []
        self.types: dict[int, Counter[str]] = {}
        self.mortal: Counter[int] = Counter()
        self.expired: Counter[int] = Counter()
        self.functions = 0
        self.empty_keys = 0

    @property
    def keys(self) -> int:
        return sum(counter.total() for counter in self.types.values())

    def aux(self, name: bytes, value: bytes) -> None:
        self.notes.append((name, value))

    def function(self, code: bytes) -> None:
        self.functions += 1

    def strings(self, db: int, keys: list[bytes], values: list[bytes], deadlines: dict[bytes, int]) -> None:
        self.types.setdefault(db, Counter())["string"] += len(keys)
        self.mortal[db] += len(deadlines)
        self.expired[db] += sum(deadline <= self.now for deadline in deadlines.values())

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        self.types.setdefault(db, Counter())[type_name(value).decode()] += 1
        if deadline is not None:
            self.mortal[db] += 1
            self.expired[db] += deadline <= self.now

    def empty(self, db: int, key: bytes) -> None:
        self.empty_keys += 1


def check(path: str, out: TextIO, errors: TextIO) -> int:
    """Prints a verdict on an RDB file and what is in it; the progress goes to `errors`. Returns the exit code.

    Keys that stand twice in a database are not looked for: that would take memory for all of them. Raises OSError.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        found = _Statistics(time.time_ns() // 1_000_000)
        source = Source(file.read, checksum=True)
        error = read(source, found, Progress(errors, size, errors.isatty()))
        left = max(size - source.offset, 0)
    code = exit_code(error, found, source)
    lines = [verdict(path, code, error, size)]
    if found.version:
        if error is None:
            # The checksum was the last thing taken, in one piece.
            kept = found.version >= 5 and any(source.data[source.at - _CHECKSUM : source.at])
            lines.append(f"  checksum: {'ok' if kept else 'absent'}")
        else:
            lines.append(f"  readable before: {_count(found.keys, 'key')}")
        lines += _statistics(found, size)
        if error is None and left:
            lines.append(f"  behind the end of the data: {_count(left, 'byte')}, not looked at")
    out.write("\n".join(lines) + "\n")
    return code


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _statistics(found: _Statistics, size: int) -> Iterator[str]:
    yield f"  version: {found.version}"
    yield f"  size: {_count(size, 'byte')}"
    for name, value in found.notes:
        yield f"  {_printable(name)}: {_printable(value)}"
    if found.functions:
        yield f"  libraries of functions: {found.functions:,}"
    if found.empty_keys:
        yield f"  left out since empty: {_count(found.empty_keys, 'key')}"
    for db, types in sorted(found.types.items()):
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(types.items()))
        mortal = f"{found.mortal[db]:,} with a deadline, {found.expired[db]:,} of them expired"
        yield f"  db {db}: {_count(types.total(), 'key')} ({kinds}); {mortal}"
    yield f"  all: {_count(found.keys, 'key')}, {found.mortal.total():,} with a deadline, " + (
        f"{found.expired.total():,} of them expired"
    )


def _printable(data: bytes) -> str:
    """Text without control characters: a file may not move the cursor."""
    text = data[:200].decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
