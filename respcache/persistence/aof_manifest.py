r"""The manifest of an append-only file: which files make it up, in the order in which they are loaded.

    file appendonly.aof.2.base.rdb seq 2 type b        the data set at some moment
    file appendonly.aof.1.incr.aof seq 1 type h        history: replaced, and not deleted yet
    file appendonly.aof.2.incr.aof seq 2 type i        the commands since

A line for each file, ended by `\n`; a line that begins with `#` is skipped. Bases and incremental files are
numbered separately, from 1 on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from respcache.config import encode, quote, split_words

BASE, HISTORY, INCREMENTAL = "b", "h", "i"

LONGEST_LINE = 1024
"""Bytes, line end included."""

_KINDS = (BASE, HISTORY, INCREMENTAL)
_PLAIN = re.compile(r"[!#-&(-~]+")
"""What is written without quotes: neither blanks nor quotes nor bytes that cannot be printed."""
_OWN_NAME = re.compile(r"([1-9]\d{0,17})\.(base\.rdb|base\.aof|incr\.aof)")
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_LARGEST = 2**63 - 1


class ManifestError(ValueError):
    """A manifest that makes no sense. The message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file. The name is without its directory, decoded as the configuration is."""

    name: str
    seq: int
    kind: str

    def line(self) -> bytes:
        """Its line of the manifest."""
        name = self.name if _PLAIN.fullmatch(self.name) else quote(self.name)
        return encode(f"file {name} seq {self.seq} type {self.kind}\n")


@dataclass(slots=True)
class Manifest:
    """The files of an append-only file whose names begin with `stem`. Changed by copies: see `copy`."""

    stem: str
    base: Part | None = None
    increments: list[Part] = field(default_factory=list)
    """By their numbers, which increase; the last one is written to."""
    history: list[Part] = field(default_factory=list)
    base_seq: int = 0
    """The number of the last base there was."""
    increment_seq: int = 0

    @property
    def file_name(self) -> str:
        """The name of the manifest itself."""
        return f"{self.stem}.manifest"

    @property
    def temporary_name(self) -> str:
        """Under which it is written before it takes that name."""
        return f"temp-{self.stem}.manifest"

    def number(self, name: str) -> tuple[bool, int] | None:
        """Whether a file of this name is a base, and its number; None if it is none of these files."""
        rest = name.removeprefix(f"{self.stem}.")
        found = _OWN_NAME.fullmatch(rest) if rest != name else None
        return None if found is None else (found[2] != "incr.aof", int(found[1]))

    @property
    def parts(self) -> list[Part]:
        """What is to be loaded, in this order."""
        return [*([self.base] if self.base else []), *self.increments]

    def copy(self) -> Manifest:
        """One to be changed and, once it is safely written, to take the place of this one."""
        return replace(self, increments=list(self.increments), history=list(self.history))

    def add_base(self, rdb: bool) -> Part:
        """Takes in a new base, an RDB file or one of commands; the one before becomes history."""
        if self.base is not None:
            self.history.insert(0, replace(self.base, kind=HISTORY))
        self.base_seq += 1
        name = f"{self.stem}.{self.base_seq}.base.{'rdb' if rdb else 'aof'}"
        self.base = Part(name, self.base_seq, BASE)
        return self.base

    def add_increment(self) -> Part:
        """Takes in a new incremental file, the one to write to."""
        self.increment_seq += 1
        made = Part(f"{self.stem}.{self.increment_seq}.incr.aof", self.increment_seq, INCREMENTAL)
        self.increments.append(made)
        return made

    def retire(self, keep: int) -> None:
        """All incremental files but the last so many become history: a new base has what they hold."""
        split = max(len(self.increments) - keep, 0)
        self.history[:0] = [replace(part, kind=HISTORY) for part in reversed(self.increments[:split])]
        del self.increments[:split]

    def format(self) -> bytes:
        """The text of the file."""
        parts = [*([self.base] if self.base else []), *self.history, *self.increments]
        return b"".join(part.line() for part in parts)


def legacy(stem: str) -> Manifest:
    """That of a single file as Redis wrote it before 7.0: it is the base, under its own name."""
    return Manifest(stem, base=Part(stem, 1, BASE), base_seq=1)


def parse(text: bytes, stem: str, path: str) -> Manifest:
    """The manifest that a text is; `path` is for messages. Raises ManifestError."""
    manifest = Manifest(stem)
    lines = text.split(b"\n")
    if lines.pop():
        raise ManifestError(f"{path}, line {len(lines) + 1}: the line has no end")
    found = False
    for number, line in enumerate(lines, 1):
        if line.startswith(b"#"):
            continue
        try:
            _take(manifest, _part(line))
        except ValueError as error:
            raise ManifestError(f"{path}, line {number}: {error}") from None
        found = True
    if not found:
        raise ManifestError(f"{path}, line 1: the manifest is empty")
    return manifest


def _part(line: bytes) -> Part:
    """The file that a line names. Raises ValueError."""
    if len(line) >= LONGEST_LINE:
        raise ValueError(f"the line is longer than {LONGEST_LINE} bytes")
    if not line.strip(b" \t\r"):
        raise ValueError("the line is blank")
    words = split_words(line)
    if words is None:
        raise ValueError("unbalanced quotes")
    if len(words) % 2:
        raise ValueError("there should be names and values, two by two")
    values = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}
    missing = [name for name in ("file", "seq", "type") if name not in values]
    if missing:
        raise ValueError(f"there is no '{missing[0]}'")
    name, seq, kind = values["file"], values["seq"], values["type"]
    if not name or "/" in name or "\\" in name or name in (".", ".."):
        raise ValueError(f"a file in the directory should be named, not {quote(name)}")
    if not (_NUMBER.fullmatch(seq) and int(seq) <= _LARGEST):
        raise ValueError(f"{quote(seq)} is no number of a file")
    if kind not in _KINDS:
        raise ValueError(f"there is no type {quote(kind)}")
    return Part(name, int(seq), kind)


def _take(manifest: Manifest, part: Part) -> None:
    if part.kind == HISTORY:
        manifest.history.append(part)
    elif part.kind == BASE:
        if manifest.base is not None:
            raise ValueError("there is a base already")
        manifest.base = part
        manifest.base_seq = part.seq
    else:
        if part.seq <= manifest.increment_seq:
            raise ValueError("the numbers of the incremental files do not increase")
        manifest.increments.append(part)
        manifest.increment_seq = part.seq
