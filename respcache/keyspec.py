"""Key specs: where the keys of a command stand among its words, declared as COMMAND INFO shows it.

A spec says where its keys begin (an index, or a word after a keyword) and how they go on (a range, or a
number of keys that the request itself names). Where a spec cannot say it, a `KeyFinder` reads the request.
Source: the Redis documentation, "Key specifications".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Index:
    """Keys begin at this word; the command's name is word 0."""

    at: int


@dataclass(frozen=True, slots=True)
class Keyword:
    """Keys begin after this word, in upper case, looked for from word `start` on.

    A negative `start` counts from the end, and the search goes backwards.
    """

    word: bytes
    start: int


@dataclass(frozen=True, slots=True)
class Range:
    """Every `step`-th word up to `last`, counted from the first key, or from the end if negative.

    If `last` is negative, a `limit` of 2 or more keeps that fraction of the words left (2: the first half).
    """

    last: int = 0
    step: int = 1
    limit: int = 0


@dataclass(frozen=True, slots=True)
class KeyNum:
    """The word `at` is the number of keys, the word `first` the first of them; both from the start."""

    at: int = 0
    first: int = 1
    step: int = 1


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing can be said without knowing the command."""


@dataclass(frozen=True, slots=True)
class KeySpec:
    """One group of keys and what the command does with them."""

    flags: tuple[str, ...]
    """RO, RW, OW or RM; ACCESS, UPDATE, INSERT or DELETE; not_key, incomplete, variable_flags."""
    begin: Index | Keyword | Unknown
    find: Range | KeyNum | Unknown
    notes: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The flags as COMMAND INFO writes them: the kind of access in capitals, the rest small."""
        return tuple(flag if flag in ("RO", "RW", "OW", "RM") else flag.lower() for flag in self.flags)

    @property
    def fixed(self) -> bool:
        """Whether it says the same of every request."""
        return isinstance(self.begin, Index) and isinstance(self.find, Range)


FoundKey = tuple[int, KeySpec]
"""The index of a word that is a key, and the spec that tells what is done to it."""

KeyFinder = Callable[[Sequence[bytes]], list[FoundKey]]
"""Finds the keys of a request (its name is word 0), none if the arguments make no sense."""


def key(flags: str, at: int = 1, last: int = 0, step: int = 1, limit: int = 0, notes: str = "") -> KeySpec:
    """The usual spec: keys from word `at` on; `flags` separated by blanks."""
    return KeySpec(tuple(flags.split()), Index(at), Range(last, step, limit), notes)


def counted(flags: str, at: int, notes: str = "") -> KeySpec:
    """Keys that follow their number, which is the word `at`, as in ZUNION and EVAL."""
    return KeySpec(tuple(flags.split()), Index(at), KeyNum(), notes)


def after(flags: str, word: bytes, start: int, last: int = 0, limit: int = 0) -> KeySpec:
    """Keys that follow the keyword `word`, looked for from word `start` on."""
    return KeySpec(tuple(flags.split()), Keyword(word, start), Range(last, 1, limit))


def unknown(flags: str, notes: str = "") -> KeySpec:
    """Keys that only the command itself can find."""
    return KeySpec(tuple(flags.split()), Unknown(), Unknown(), notes)


def is_movable(specs: Sequence[KeySpec]) -> bool:
    """Whether the legacy range does not tell all keys, so that old clients have to ask COMMAND GETKEYS."""
    return any(not spec.fixed for spec in specs)


def legacy_range(specs: Sequence[KeySpec]) -> tuple[int, int, int]:
    """First key, last key, step, as Redis before 7 described keys; zeros without a fixed first key."""
    first, last, step = 0, 0, 0
    for spec in specs:
        if not isinstance(spec.begin, Index) or not isinstance(spec.find, Range):
            continue
        end = spec.find.last if spec.find.last < 0 else spec.begin.at + spec.find.last
        if not first:
            first, last, step = spec.begin.at, end, spec.find.step
        elif spec.begin.at == last + 1:  # adjoining specs (RENAME key newkey) make one range
            last = end
    return first, last, step


def positions(specs: Sequence[KeySpec], argv: Sequence[bytes]) -> list[FoundKey]:
    """All keys of a request in the order of the specs; `argv` begins with the command's name.

    Channels (`not_key`) are left out. As in Redis one spec that does not fit the request spoils it all:
    nothing is found then.
    """
    found: list[FoundKey] = []
    for spec in specs:
        if "not_key" in spec.flags:
            continue
        span = _span(spec, argv)
        if span is None or "incomplete" in spec.flags:
            return []
        found += [(at, spec) for at in span]
    return found


def _span(spec: KeySpec, argv: Sequence[bytes]) -> range | None:
    """The words a spec selects; None if it does not fit."""
    first, words, find = _begin(spec.begin, argv), len(argv), spec.find
    if first is None or first >= words or isinstance(find, Unknown):
        return None
    if isinstance(find, KeyNum):
        at = first + find.at
        if at >= words or (number := _count(argv[at])) is None:
            return None
        first += find.first
        last = first + (number - 1) * find.step
    elif find.last >= 0:
        last = first + find.last
    elif find.limit < 2:
        last = words + find.last
    else:
        last = first + (words - first) // find.limit + find.last
    if not first <= last < words:
        return None
    return range(first, last + 1, find.step)


def _begin(begin: Index | Keyword | Unknown, argv: Sequence[bytes]) -> int | None:
    if isinstance(begin, Index):
        return begin.at
    if isinstance(begin, Unknown):
        return None
    search = range(begin.start, len(argv)) if begin.start > 0 else range(len(argv) + begin.start, 0, -1)
    return next((at + 1 for at in search if argv[at].upper() == begin.word), None)


def _count(word: bytes) -> int | None:
    """A number of keys in the canonical form of Redis: no sign, no leading zero."""
    return int(word) if word.isdigit() and len(word) < 19 and (word == b"0" or word[:1] != b"0") else None


_READS = KeySpec(("RO", "ACCESS"), Index(1), Range())
_CHANGES = KeySpec(("RW", "ACCESS", "UPDATE"), Index(1), Range())
_OVERWRITES = KeySpec(("OW", "UPDATE"), Index(1), Range())
_MOVES_AWAY = KeySpec(("RW", "ACCESS", "DELETE"), Index(1), Range())


def set_keys(argv: Sequence[bytes]) -> list[FoundKey]:
    """SET reads the old value only with GET."""
    return [(1, _CHANGES if any(word.upper() == b"GET" for word in argv[3:]) else _OVERWRITES)]


def bitfield_keys(argv: Sequence[bytes]) -> list[FoundKey]:
    """BITFIELD only reads if all its subcommands are GET; OVERFLOW alone changes nothing."""
    at = 2
    while at < len(argv):
        word, left = argv[at].upper(), len(argv) - at - 1
        if word == b"GET" and left >= 2:
            at += 3
        elif word == b"OVERFLOW" and left >= 1:
            at += 2
        else:
            return [(1, _CHANGES)]
    return [(1, _READS)]


def _stored(
    argv: Sequence[bytes], start: int, stores: frozenset[bytes], takes: dict[bytes, int]
) -> list[FoundKey]:
    """The key that the last store option names; `takes` tells how many words other options take."""
    found: list[FoundKey] = []
    at = start
    while at < len(argv):
        word = argv[at].upper()
        if word in stores and at + 1 < len(argv):
            found = [(at + 1, _OVERWRITES)]
            at += 1
        at += 1 + takes.get(word, 0)
    return found


def sort_keys(argv: Sequence[bytes]) -> list[FoundKey]:
    """SORT reads its key and writes the one after STORE; those made from patterns nobody can tell."""
    return [(1, _READS), *_stored(argv, 2, frozenset({b"STORE"}), {b"LIMIT": 2, b"GET": 1, b"BY": 1})]


def sort_ro_keys(_argv: Sequence[bytes]) -> list[FoundKey]:
    """SORT_RO reads its key."""
    return [(1, _READS)]


def georadius_keys(argv: Sequence[bytes]) -> list[FoundKey]:
    """GEORADIUS and GEORADIUSBYMEMBER read their key and may store into another."""
    return [(1, _READS), *_stored(argv, 5, frozenset({b"STORE", b"STOREDIST"}), {})]


def migrate_keys(argv: Sequence[bytes]) -> list[FoundKey]:
    """MIGRATE moves one key, or those after KEYS if that one is empty."""
    at = 6
    while at < len(argv):
        word = argv[at].upper()
        if word == b"KEYS" and not argv[3]:
            return [(place, _MOVES_AWAY) for place in range(at + 1, len(argv))]
        at += 1 + {b"AUTH": 1, b"AUTH2": 2}.get(word, 0)
    return [(3, _MOVES_AWAY)]
