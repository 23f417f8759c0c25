"""The slow log: the last commands that took longer than `slowlog-log-slower-than`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

MAX_ARGUMENTS = 32
MAX_BYTES = 128


@dataclass(frozen=True, slots=True)
class SlowCommand:
    """An entry of the slow log."""

    id: int
    unix_seconds: int
    microseconds: int
    argv: tuple[bytes, ...]
    """Cut: at most 32 words of at most 128 bytes, with a remark where something is left out."""
    peer: bytes
    client_name: bytes


class SlowLog:
    """The entries, newest first."""

    __slots__ = ("_next_id", "entries")

    def __init__(self, length: int) -> None:
        self.entries: deque[SlowCommand] = deque(maxlen=length)
        self._next_id = 0

    def resize(self, length: int) -> None:
        """Keeps the newest entries up to a new length."""
        self.entries = deque(list(self.entries)[:length], maxlen=length)

    def add(
        self, unix_seconds: int, microseconds: int, argv: Sequence[bytes], peer: bytes, name: bytes
    ) -> None:
        """Adds an entry; the oldest one goes if the log is full."""
        words = [_cut(word) for word in argv[:MAX_ARGUMENTS]]
        if len(argv) > MAX_ARGUMENTS:
            words[-1] = b"... (%d more arguments)" % (len(argv) - MAX_ARGUMENTS + 1)
        entry = SlowCommand(self._next_id, unix_seconds, microseconds, tuple(words), peer, name)
        self._next_id += 1
        self.entries.appendleft(entry)


def _cut(word: bytes) -> bytes:
    if len(word) <= MAX_BYTES:
        return word
    return b"%b... (%d more bytes)" % (word[:MAX_BYTES], len(word) - MAX_BYTES)
