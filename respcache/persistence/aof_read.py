"""The commands of an append-only file, read.

    file      record ...
    record    *words CRLF ($size CRLF word CRLF) ...   a command: an array of bulk strings, of at least one word
              # text LF                                a note, skipped; #TS:1700000000 is the time of what follows

Two ways lead from bytes to commands, as in a connection: hiredis parses pieces that look well-formed (0.4 us for
a SET), and whatever it is not to be shown, or cannot be trusted with, is read word by word (2 us). Both give the same.
The reader knows no commands and no transactions: it says where each command stands, so that those who do may cut
a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import hiredis

from respcache.persistence.source import PIECE, RdbError, Source
from respcache.protocol.guard import has_arrays, has_huge_count, has_strings
from respcache.protocol.reply import bulks

Command = list[bytes]

_SLICE = 16 * 1024
"""Bytes handed to hiredis at once: it moves what is left of its buffer after each command."""
_NIL = b"_\r\n"  # comes back as None only if what was fed before it is complete
_STAR, _HASH, _DOLLAR = b"*#$"
_LONGEST_NOTE = 1024
_SHORT = "unexpected end"

_NUMBER = re.compile(rb"(0|[1-9][0-9]{0,18})\r\n").match
_BEGUN = re.compile(rb"(?:(?:0|[1-9][0-9]{0,18})\r?)?\Z").match
_HEADER = 24
"""Bytes from which on a header is whole, if it is one."""


class AofError(RdbError):
    """What is wrong with an append-only file, and where."""

    def __init__(self, text: str, offset: int, good: int, torn: bool = False) -> None:
        super().__init__(text, offset)
        self.good = good
        """Bytes before the command in which it is: up to there all is well, but perhaps for a MULTI without EXEC."""
        self.torn = torn
        """Whether the file just ends too early, as after a crash."""


class _Sizes(dict[int, int]):
    """How many bytes a word of so many takes in a file."""

    def __missing__(self, size: int) -> int:
        return size + 5 + len(str(size))


_SIZES = _Sizes({size: size + 5 + len(str(size)) for size in range(2048)})
_word_size = _SIZES.__getitem__


def size_of(commands: Sequence[Command]) -> int:
    """How many bytes these commands take in a file."""
    words = sum(map(_word_size, map(len, chain.from_iterable(commands))))
    return words + sum([3 + len(str(len(command))) for command in commands])


def read_commands(
    source: Source,
    strict: bool = False,
    note: Callable[[int, bytes], None] | None = None,
    end: int | None = None,
) -> Iterator[tuple[int, list[Command]]]:
    """Gives the commands, many at a time: the offset of the first, and commands that follow each other without gaps.

    So the offset of any other one is that of the first and the `size_of` those between. A batch takes a few times
    the memory of its bytes: 256 KB of them, or one command. `strict` wants a CRLF behind each word, which Redis skips
    unseen when it loads a file. `note` is told of the offset and text of each line that begins with `#`, its line end
    left out, between the batches before and behind it. `end` is the size of the file, if it is known: then a word that
    would reach beyond it costs no memory.

    Raises AofError, when all before has been given away.
    """
    seen = b""
    trusted = False
    while source.at < len(source.data) or source.fill(1):
        data, at = source.data, source.at
        if data[at] == _HASH:
            start = source.offset
            text = _note(source)
            if note is not None:
                note(start, text)
            continue
        if data is not seen:
            seen = data
            trusted = not (has_huge_count(data) or has_strings(data) or has_arrays(data))
        if trusted:
            commands, size = _parse(data, at, strict)
            if commands:
                start = source.offset
                source.at += size
                yield start, commands
                continue
            held = len(data) - at
            if held < _SLICE:  # perhaps its last command is not whole
                source.fill(PIECE)
                if len(source.data) > held:
                    continue
        yield from _read_carefully(source, strict, end)


def _parse(data: bytes, at: int, strict: bool) -> tuple[list[Command], int]:
    """Commands from here on, and how many bytes they take; none if this is not sure.

    What may be the last command is left out, unless it is followed by a note.
    """
    behind = data.rfind(b"\r\n*", at, at + _SLICE) + 2
    note = data.find(b"\n#", at, behind if behind > at else at + _SLICE) + 1
    if note:
        behind = note
    if behind <= at:
        return [], 0
    piece = data[at:behind]
    reader = hiredis.Reader()
    gets = reader.gets
    reader.feed(piece)
    try:
        commands: list[Command] = list(iter(gets, False))
        reader.feed(_NIL)
        if gets() is not None or reader.has_data() or not all(commands) or set(map(type, commands)) != {list}:
            return [], 0
        b"".join(chain.from_iterable(commands))  # refuses words that are no bytes
    except (hiredis.ProtocolError, MemoryError, TypeError):
        return [], 0
    if size_of(commands) != len(piece) or (strict and b"".join(map(bulks, commands)) != piece):
        return [], 0
    return commands, len(piece)


def _read_carefully(source: Source, strict: bool, end: int | None) -> Iterator[tuple[int, list[Command]]]:
    """A slice of commands, which begin here: as many as a piece for hiredis has."""
    start = source.offset
    commands: list[Command] = []
    try:
        while source.offset - start < _SLICE and (source.at < len(source.data) or source.fill(1)):
            if source.data[source.at] == _HASH:
                break
            commands.append(_read_one(source, strict, end))
    except AofError:
        if commands:
            yield start, commands
        raise
    yield start, commands


def _read_one(source: Source, strict: bool, end: int | None) -> Command:
    good = source.offset
    words: Command = []
    try:
        count = _number(source, _STAR, good)
        if not count:
            raise AofError("a command without words", good, good)
        for _ in range(count):
            size = _number(source, _DOLLAR, good)
            if end is not None and source.offset + size + 2 > end:
                raise AofError(_SHORT, source.offset, good, torn=True)
            words.append(source.take(size))
            tail = source.take(2)
            if strict and tail != b"\r\n":
                raise AofError("no CRLF behind a word", source.offset - 2, good)
    except AofError:
        raise
    except RdbError as error:
        raise AofError(_SHORT, error.offset, good, torn=True) from None
    return words


def _number(source: Source, sign: int, good: int) -> int:
    """What a header promises; `sign` is its first byte."""
    if len(source.data) - source.at < _HEADER:
        source.fill(_HEADER)
    data, at = source.data, source.at
    if at == len(data):
        raise AofError(_SHORT, source.offset, good, torn=True)
    if data[at] != sign:
        raise AofError(f"{chr(sign)!r} should follow, not {data[at : at + 1]!r}", source.offset, good)
    found = _NUMBER(data, at + 1)
    if found:
        source.at = found.end()
        return int(found[1])
    if len(data) - at < _HEADER and _BEGUN(data, at + 1):
        raise AofError(_SHORT, source.offset, good, torn=True)
    raise AofError(f"no number follows {chr(sign)!r}", source.offset, good)


def _note(source: Source) -> bytes:
    """A line that begins with `#`; without its end when the file ends."""
    start = source.offset
    if len(source.data) - source.at < _LONGEST_NOTE:
        source.fill(_LONGEST_NOTE)
    data, at = source.data, source.at
    behind = data.find(b"\n", at, at + _LONGEST_NOTE)
    if behind < 0:
        if len(data) - at < _LONGEST_NOTE:
            # Redis takes it; but what is appended next would become a part of it.
            raise AofError(_SHORT, start, start, torn=True)
        raise AofError(f"a note of more than {_LONGEST_NOTE} bytes", start, start)
    source.at = behind + 1
    return data[at:behind].rstrip(b"\r")
