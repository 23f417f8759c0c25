"""The types of directives: how each is read from words, printed by CONFIG GET and written by CONFIG REWRITE.

Each kind says what its values look like. Error texts are those of Redis.
"""

# ruff: noqa: D102 - what the methods do is said once, by `Kind`.

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from respcache.config import Kind, quote

INT, LONG = 2**31 - 1, 2**63 - 1
_INTEGER = re.compile(r"-?[1-9][0-9]{0,18}|0")
_MEMORY = re.compile(r"([0-9]*)(b|k|kb|m|mb|g|gb)?", re.IGNORECASE)
_UNITS = {"b": 1, "k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}
_ALL_EVENTS = "g$lshzxetd"
_EVENTS = _ALL_EVENTS + "nKEm"

Lines = list[tuple[str, bool]]


def parse_memory(text: str, reason: str = "argument must be a memory value") -> int:
    """Bytes of `64mb`, `1k` (1000), `1kb` (1024), at most 2**64 - 1; nothing is 0. ValueError(reason)."""
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise ValueError(reason)
    return min(int(found[1][:40] or "0") * _UNITS[(found[2] or "b").lower()], 2**64 - 1)


def show_memory(size: int) -> str:
    """The shortest exact form with a binary unit: `1gb`, `1500`, `64mb`."""
    for unit in ("gb", "mb", "kb"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)


class Single(Kind):
    """One word, and a value that prints as `str` does."""

    multi = False
    appends = False

    def show(self, value: Any) -> str:
        return str(value)

    def lines(self, value: Any, default: Any) -> Lines:
        return [(self.show(value), value != default)]


class YesNo(Single):
    """A bool."""

    def parse(self, words: Sequence[str], old: Any) -> object:
        if words[0].lower() not in ("yes", "no"):
            raise ValueError("argument must be 'yes' or 'no'")
        return words[0].lower() == "yes"

    def show(self, value: Any) -> str:
        return "yes" if value else "no"


@dataclass(frozen=True)
class Number(Single):
    """An int from `low` to `high`; what is allowed but of no use is pulled into `clamp` without a word."""

    low: int
    high: int
    clamp: tuple[int, int] | None = None

    def _read(self, text: str) -> int:
        if not _INTEGER.fullmatch(text) or not -LONG - 1 <= int(text) <= LONG:
            raise ValueError("argument couldn't be parsed into an integer")
        return int(text)

    def parse(self, words: Sequence[str], old: Any) -> object:
        value = self._read(words[0])
        if not self.low <= value <= self.high:
            raise ValueError(f"argument must be between {self.low} and {self.high} inclusive")
        return value if self.clamp is None else min(max(value, self.clamp[0]), self.clamp[1])


class Memory(Number):
    """An int, bytes. CONFIG GET prints it without a unit, CONFIG REWRITE with one."""

    def _read(self, text: str) -> int:
        return parse_memory(text)

    def lines(self, value: Any, default: Any) -> Lines:
        return [(show_memory(value), value != default)]


class MemoryOrPercent(Single):
    """An int: bytes, or `5%` as -5."""

    def parse(self, words: Sequence[str], old: Any) -> object:
        if not re.fullmatch("[0-9]+%", words[0]):
            return parse_memory(words[0], "argument must be a memory or percent value")
        if int(words[0][:20].rstrip("%")) > 100:
            raise ValueError("percentage argument must be less or equal to 100")
        return -int(words[0][:-1])

    def show(self, value: Any) -> str:
        return f"{-value}%" if value < 0 else str(value)

    def lines(self, value: Any, default: Any) -> Lines:
        return [(self.show(value) if value < 0 else show_memory(value), value != default)]


class Choice(Single):
    """One of these words, in lower case."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def parse(self, words: Sequence[str], old: Any) -> object:
        if words[0].lower() not in self.words:
            raise ValueError(f"argument(s) must be one of the following: {', '.join(self.words)}")
        return words[0].lower()


@dataclass(frozen=True)
class Text(Single):
    """A str. `optional`: empty means not given, such a line goes. `refuse`: patterns and reasons."""

    optional: bool = False
    refuse: tuple[tuple[str, str], ...] = ()

    def parse(self, words: Sequence[str], old: Any) -> object:
        for pattern, reason in self.refuse:
            if re.search(pattern, words[0]):
                raise ValueError(reason)
        return words[0]

    def lines(self, value: Any, default: Any) -> Lines:
        return [] if self.optional and not value else [(quote(self.show(value)), value != default)]


class Directory(Text):
    """A str: the absolute path of a directory that exists.

    redis-server changes its working directory. An embedded server must not, so paths are joined to this one.
    """

    def parse(self, words: Sequence[str], old: Any) -> object:
        try:
            os.scandir(words[0]).close()
        except OSError as error:
            raise ValueError(error.strerror) from None
        return os.path.abspath(words[0])

    def lines(self, value: Any, default: Any) -> Lines:
        return super().lines(value, None)  # always: the next start may be in another directory


class Octal(Single):
    """An int: a file mode."""

    def parse(self, words: Sequence[str], old: Any) -> object:
        if not re.fullmatch(r"0*[0-7]{1,3}", words[0]):
            raise ValueError("argument couldn't be parsed as an octal number")
        return int(words[0], 8)

    def show(self, value: Any) -> str:
        return f"{value:o}"


class Events(Text):
    """A str: the letters of `_EVENTS`, in that order, with `A` spelled out."""

    def parse(self, words: Sequence[str], old: Any) -> object:
        letters = words[0].replace("A", _ALL_EVENTS)
        if not set(letters) <= set(_EVENTS):
            raise ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        return "".join(letter for letter in _EVENTS if letter in letters)

    def show(self, value: Any) -> str:
        others = str(value).removeprefix(_ALL_EVENTS)
        return others if others == value else "A" + others.replace("n", "")  # `A` swallows `n`, as in Redis


@dataclass(frozen=True)
class Words(Single):
    """A tuple that `read` makes of the words. CONFIG REWRITE may `always` write it, or `drop` a default."""

    read: Callable[[Sequence[str]], tuple[object, ...]]
    always: bool = False
    drop: bool = False
    multi = True

    def parse(self, words: Sequence[str], old: Any) -> object:
        return self.read(words)

    def show(self, value: Any) -> str:
        return " ".join(f"{each:.15g}" if isinstance(each, float) else str(each) for each in value)

    def lines(self, value: Any, default: Any) -> Lines:
        gone = self.drop and value == default
        return [] if gone else [(self.show(value) or '""', self.always or value != default)]


class SavePoints(Words):
    """((seconds, changes), ...); none means never. Lines of a file add up until one is empty."""

    appends = True

    def parse(self, words: Sequence[str], old: Any) -> object:
        points = self.read(words)
        return (*old, *points) if points else ()

    def show(self, value: Any) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def lines(self, value: Any, default: Any) -> Lines:
        return [(self.show((point,)), True) for point in value] or [('""', True)]


class OutputLimits(Words):
    """((class, (hard, soft, seconds)), ...) for normal, replica and pubsub; sizes in bytes."""

    def parse(self, words: Sequence[str], old: Any) -> object:
        return tuple((dict(old) | dict(self.read(words))).items())  # type: ignore[arg-type]

    def show(self, value: Any) -> str:
        # CONFIG GET still has the old name of the replicas' class.
        return " ".join(f"{name} {a} {b} {c}" for name, (a, b, c) in value).replace("replica", "slave")

    def lines(self, value: Any, default: Any) -> Lines:
        shown = (f"{name} {show_memory(hard)} {show_memory(soft)} {s}" for name, (hard, soft, s) in value)
        return [(text, limit not in default) for text, limit in zip(shown, value, strict=True)]


def addresses(words: Sequence[str]) -> tuple[object, ...]:
    """What `bind` takes: at most 16 addresses."""
    if len(words) > 16:
        raise ValueError("Too many bind addresses specified.")
    return tuple(words)


def _integers(words: Sequence[str], reason: str) -> list[int]:
    # Stricter than int(): no blanks, no underscores.
    if not all(re.fullmatch(r"[+-]?[0-9]{1,19}", word) for word in words):
        raise ValueError(reason)
    return [int(word) for word in words]


def save_points(words: Sequence[str]) -> tuple[object, ...]:
    """((seconds, changes), ...) of pairs of numbers."""
    numbers = _integers(words, "Invalid save parameters")
    points = tuple(zip(numbers[::2], numbers[1::2], strict=False))
    if len(numbers) % 2 or any(seconds < 1 or changes < 0 for seconds, changes in points):
        raise ValueError("Invalid save parameters")
    return points


def output_limits(words: Sequence[str]) -> tuple[object, ...]:
    """((class, (hard, soft, seconds)), ...) of words in fours; sizes in bytes."""
    if len(words) % 4:
        raise ValueError("Wrong number of arguments in buffer limit configuration.")
    reason, limits = "Error in hard, soft or soft_seconds setting in buffer limit configuration.", []
    for at in range(0, len(words), 4):
        name = {"slave": "replica"}.get(words[at].lower(), words[at].lower())
        if name not in ("normal", "replica", "pubsub"):
            raise ValueError("Invalid client class specified in buffer limit configuration.")
        hard, soft = parse_memory(words[at + 1], reason), parse_memory(words[at + 2], reason)
        (seconds,) = _integers(words[at + 3 : at + 4], reason)
        if seconds < 0:
            raise ValueError(reason)
        limits.append((name, (hard, soft, seconds)))
    return tuple(limits)


def oom_scores(words: Sequence[str]) -> tuple[object, ...]:
    """Three numbers from -2000 to 2000."""
    if len(words) != 3:
        raise ValueError("wrong number of arguments")
    reason = "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
    scores = tuple(_integers(words, reason))
    if not all(-2000 <= score <= 2000 for score in scores):
        raise ValueError(reason)
    return scores


def percentiles(words: Sequence[str]) -> tuple[object, ...]:
    """Numbers from 0 to 100."""
    name = "latency-tracking-info-percentiles"
    try:
        values = tuple(float(word) for word in words)
    except ValueError:
        raise ValueError(f"Invalid {name} parameters") from None
    if not all(0 <= value <= 100 for value in values):
        raise ValueError(f"{name} parameters should sit between [0.0,100.0]")
    return values


def master(words: Sequence[str]) -> tuple[object, ...]:
    """(host, port), or nothing for `no one`."""
    if len(words) != 2:
        raise ValueError("wrong number of arguments")
    if [word.lower() for word in words] == ["no", "one"]:
        return ()
    if not re.fullmatch("[0-9]{1,5}", words[1]) or int(words[1]) > 65535:
        raise ValueError("Invalid master port")
    return words[0], int(words[1])
