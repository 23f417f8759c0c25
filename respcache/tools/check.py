"""`respcache check`: a verdict on an RDB file or an append-only file, what is in it, and the cut of a torn end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from respcache.persistence import disk
from respcache.persistence.aof_manifest import ManifestError
from respcache.persistence.aof_read import AofError
from respcache.persistence.source import ForeignError, Source
from respcache.tools.layout import LayoutError, find
from respcache.tools.reading import DAMAGED, SOUND, UNREADABLE, Outcome, Progress, exit_code, read, verdict
from respcache.tools.statistics import Entries, Log, count

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Mending:
    """What may be cut off: only commands, and only of the last file."""

    fix: bool
    """What is behind the last sound command."""
    until: int | None
    """What was written after this moment, in seconds since the epoch, as far as notes of the time tell."""
    agree: Callable[[str], bool]
    """Is asked before."""


NONE = Mending(False, None, lambda _: False)


@dataclass(frozen=True, slots=True)
class _Examined:
    """A file that was read."""

    path: str
    size: int
    entries: Entries
    log: Log
    outcome: Outcome

    @property
    def good(self) -> int:
        """Up to which offset its commands are sound."""
        error = self.outcome.error
        return self.log.good(error) if isinstance(error, AofError) else self.size


def check(path: str, out: TextIO, errors: TextIO, mending: Mending = NONE) -> int:
    """Prints a verdict on a file, or on all files that a manifest names, and what is in them; the progress goes to
    `errors`. Returns the exit code.

    Keys that stand twice in a database are not looked for: that would take memory for all of them. Raises OSError.
    """
    try:
        layout = find(path)
    except LayoutError as error:
        out.write(f"{error}\n")
        return UNREADABLE
    except ManifestError as error:
        out.write(f"{path}: damaged: {error}\n")
        return DAMAGED
    found: list[_Examined] = []
    codes: list[int] = []
    lines: list[str] = []
    for file in layout.files:
        try:
            examined = _examine(file, layout.log, errors, mending.until)
        except FileNotFoundError:
            if layout.manifest is None:
                raise
            lines.append(f"{file}: missing")
            codes.append(DAMAGED)
            continue
        found.append(examined)
        codes.append(exit_code(examined.outcome.error))
        lines += _report(examined)
    if layout.manifest is not None:
        bad = sum(code != SOUND for code in codes)
        lines.insert(
            0,
            f"{layout.manifest}: " + (f"{bad} of {count(len(codes), 'file')} not sound" if bad else "sound"),
        )
    out.write("\n".join(lines) + "\n")
    if len(found) == len(layout.files):
        return _mend(found, max(codes), mending, out)
    return max(codes)


def _examine(path: str, log: bool, errors: TextIO, until: int | None) -> _Examined:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        entries, commands = Entries(time.time_ns() // 1_000_000), Log(until)
        source = Source(file.read, checksum=True)
        outcome = read(source, size, entries, commands, Progress(errors, size, errors.isatty()), log)
    return _Examined(path, size, entries, commands, outcome)


def _report(found: _Examined) -> Iterator[str]:
    outcome, error = found.outcome, found.outcome.error
    line = _line_at(found.path, error.offset) if isinstance(error, AofError) else 0
    yield verdict(found.path, error, found.size, line)
    rdb = bool(found.entries.version)
    if isinstance(error, AofError):
        yield f"  sound before: offset {found.good}, {count(found.size - found.good, 'byte')} from the end"
    if rdb:
        if outcome.preamble:
            yield f"  checksum: {'ok' if outcome.checksum else 'absent'}"
        else:
            yield f"  readable before: {count(found.entries.keys, 'key')}"
        yield f"  version: {found.entries.version}"
    if rdb or not isinstance(error, ForeignError):
        yield f"  size: {count(found.size, 'byte')}"
    if rdb:
        yield from found.entries.lines()
    if found.log.seen or (not rdb and not isinstance(error, ForeignError)):
        yield from found.log.lines()
    if outcome.left:
        yield f"  behind the end of the data: {count(outcome.left, 'byte')}, not looked at"


def _line_at(path: str, offset: int) -> int:
    """The number of the line that has a certain byte of a file, from 1 on."""
    number = 1
    with open(path, "rb") as file:
        while offset > 0 and (piece := file.read(min(offset, _PIECE))):
            number += piece.count(b"\n")
            offset -= len(piece)
    return number


def _mend(found: Sequence[_Examined], code: int, mending: Mending, out: TextIO) -> int:
    """Cuts off the end of the last file if that is wanted and agreed to. Returns the exit code."""
    if mending.until is not None:
        return _cut_later(found, code, mending, out)
    if not mending.fix or code == SOUND:
        return code
    *before, last = found
    if not isinstance(last.outcome.error, AofError) or any(each.outcome.error for each in before):
        out.write("Only the commands at the end of the last file can be cut off: nothing is changed.\n")
        return code
    return _cut(last, last.good, mending, out)


def _cut_later(found: Sequence[_Examined], code: int, mending: Mending, out: TextIO) -> int:
    *before, last = found
    if code != SOUND:
        out.write("Not all is sound: nothing is changed.\n")
    elif any(each.log.later is not None for each in before):
        out.write(
            "An earlier file has something later, and only the last one can be cut: nothing is changed.\n"
        )
        return DAMAGED
    elif last.log.later is None:
        out.write("There is nothing later: nothing is changed.\n")
    else:
        return _cut(last, last.log.later, mending, out)
    return code


def _cut(last: _Examined, size: int, mending: Mending, out: TextIO) -> int:
    what = (
        f"{last.path}: {last.size} bytes are cut to {size}, {count(last.size - size, 'byte')} will be gone."
    )
    if not mending.agree(what):
        out.write("Nothing is changed.\n")
        return DAMAGED if last.outcome.error else SOUND
    fd = disk.open_append(last.path)
    try:
        disk.truncate(fd, size)
        disk.sync(fd)
    finally:
        disk.close(fd)
    out.write(f"{last.path}: cut to {count(size, 'byte')}\n")
    return SOUND
