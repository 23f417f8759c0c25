"""What is in a file, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from operator import itemgetter

from respcache.persistence.aof_read import AofError, Command
from respcache.persistence.rdb_read import Handler, Value
from respcache.store.types import type_name
from respcache.tools.reading import LogHandler

_NAMES = 1000
"""Names of commands that are told apart, as a file may hold any number of nonsensical ones."""
_SHOWN = 12
_name_of = itemgetter(0)


class Entries(Handler):
    """Counts what is in an RDB file. `now` is in milliseconds since the epoch."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._notes: list[tuple[bytes, bytes]] = []
        self._types: dict[int, Counter[str]] = {}
        self._mortal: Counter[int] = Counter()
        self._expired: Counter[int] = Counter()
        self._functions = 0
        self._empty = 0

    @property
    def keys(self) -> int:
        """How many there are, in all databases."""
        return sum(counter.total() for counter in self._types.values())

    def aux(self, name: bytes, value: bytes) -> None:
        """To be shown."""
        self._notes.append((name, value))

    def function(self, code: bytes) -> None:
        """Counted."""
        self._functions += 1

    def strings(self, db: int, keys: list[bytes], values: list[bytes], deadlines: dict[bytes, int]) -> None:
        """Counted."""
        self._types.setdefault(db, Counter())["string"] += len(keys)
        self._mortal[db] += len(deadlines)
        self._expired[db] += sum(deadline <= self._now for deadline in deadlines.values())

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        """Counted."""
        self._types.setdefault(db, Counter())[type_name(value).decode()] += 1
        if deadline is not None:
            self._mortal[db] += 1
            self._expired[db] += deadline <= self._now

    def empty(self, db: int, key: bytes) -> None:
        """Counted."""
        self._empty += 1

    def lines(self) -> Iterator[str]:
        """What was found."""
        for name, value in self._notes:
            yield f"  {printable(name)}: {printable(value)}"
        if self._functions:
            yield f"  libraries of functions: {self._functions:,}"
        if self._empty:
            yield f"  left out since empty: {count(self._empty, 'key')}"
        for db, types in sorted(self._types.items()):
            kinds = ", ".join(f"{kind} {number:,}" for kind, number in sorted(types.items()))
            mortal = f"{self._mortal[db]:,} with a deadline, {self._expired[db]:,} of them expired"
            yield f"  db {db}: {count(types.total(), 'key')} ({kinds}); {mortal}"
        yield f"  all: {count(self.keys, 'key')}, {self._mortal.total():,} with a deadline, " + (
            f"{self._expired.total():,} of them expired"
        )


class Log(LogHandler):
    """Counts commands, follows transactions, and finds where a certain time begins.

    That is the first note of a time, in seconds since the epoch, that is later than `until`.
    """

    def __init__(self, until: int | None = None) -> None:
        super().__init__()
        self._until = until
        self._names: Counter[bytes] = Counter()
        self._times: list[int] = []  # the first and the last one
        self.later: int | None = None
        """The offset of what came after `until`; of its transaction, if it is inside of one."""

    @property
    def commands(self) -> int:
        """How many there are, MULTI and EXEC included."""
        return self._names.total()

    @property
    def seen(self) -> bool:
        """Whether there is anything of a log."""
        return bool(self._names or self._times or self.begun is not None)

    def batch(self, at: int, commands: list[Command]) -> None:
        """Counted. Raises AofError where transactions make no sense."""
        names = Counter(map(_name_of, commands))
        if self.begun is not None or any(name.lower() in (b"multi", b"exec") for name in names):
            self.follow(at, commands)
        for name, number in names.items():
            name = name[:40].upper()
            if len(self._names) >= _NAMES and name not in self._names:
                name = b"others"
            self._names[name] += number

    def note(self, at: int, text: bytes) -> None:
        """The times are remembered."""
        if not text.startswith(b"#TS:") or not text[4:].isdigit() or len(text) > 20:
            return
        when = int(text[4:])
        self._times = [self._times[0] if self._times else when, when]
        if self.later is None and self._until is not None and when > self._until:
            self.later = at if self.begun is None else self.begun

    def good(self, error: AofError) -> int:
        """Up to which offset all is well; before a transaction that the error interrupts."""
        return error.good if self.begun is None else min(self.begun, error.good)

    def lines(self) -> Iterator[str]:
        """What was found."""
        most = self._names.most_common(_SHOWN)
        shown = [f"{printable(name)} {number:,}" for name, number in most]
        if len(self._names) > _SHOWN:
            shown.append(f"{len(self._names) - _SHOWN:,} others")
        yield f"  commands: {self.commands:,}" + (f" ({', '.join(shown)})" if shown else "")
        if self.transactions:
            yield f"  transactions: {self.transactions:,}"
        if self._times:
            first, last = map(_moment, self._times)
            yield f"  times: {first} to {last}"


def count(number: int, what: str) -> str:
    """A number of things."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def printable(data: bytes) -> str:
    """Text without control characters: a file may not move the cursor."""
    text = data[:200].decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _moment(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)
