"""The history of a data set: its name, how many bytes of it there were, and the last of them.

A history is a stream of commands, of which every byte has a number, its offset; the first byte is 1. Who has the same
history up to an offset has the same data. A server may continue another's copy if it still has the bytes behind that:
they are its backlog. When a replica becomes a master its history gets a new name; the old one remains good up to the
offset at which that happened, so replicas of the same former master can continue with the new one.
"""

from __future__ import annotations

import secrets
from collections import deque

NOBODY = "0" * 40
"""The id of no history."""

BLOCK = 64 * 1024
"""Bytes from which on a block of the backlog takes no more, so that what is old goes without copying the rest."""


def new_id() -> str:
    """A name no history has: 40 hexadecimal digits."""
    return secrets.token_hex(20)


class Backlog:
    """The last `size` bytes of a stream."""

    __slots__ = ("_blocks", "_stored", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        """Bytes that are kept at most."""
        self._blocks: deque[bytearray] = deque((bytearray(),))
        self._stored = 0

    def __len__(self) -> int:
        return min(self._stored, self.size)

    @property
    def memory(self) -> int:
        """Bytes that it holds, those included that are kept only because they stand in one block with others."""
        return self._stored

    def feed(self, data: bytes) -> None:
        """Appends the next bytes of the stream."""
        blocks = self._blocks
        last = blocks[-1]
        if len(last) >= BLOCK:
            last = bytearray()
            blocks.append(last)
        last += data
        self._stored += len(data)
        if self._stored > self.size:
            self._forget()

    def resize(self, size: int) -> None:
        """Keeps more from now on, or less."""
        self.size = size
        self._forget()

    def last(self, count: int) -> bytes:
        """The last so many bytes, of those that are kept."""
        parts: list[memoryview] = []
        for block in reversed(self._blocks):
            if count <= 0:
                break
            part = memoryview(block)
            parts.append(part[-count:] if count < len(block) else part)
            count -= len(block)
        return b"".join(reversed(parts))

    def _forget(self) -> None:
        blocks = self._blocks
        while len(blocks) > 1 and self._stored - len(blocks[0]) >= self.size:
            self._stored -= len(blocks.popleft())


class History:
    """The names and the offset of a server's history, and its backlog."""

    __slots__ = ("backlog", "id", "id2", "offset", "second_offset")

    def __init__(self) -> None:
        self.id = new_id()
        """Of this history: 40 hexadecimal digits in lower case."""
        self.id2 = NOBODY
        """The name that it had before."""
        self.second_offset = -1
        """The first offset for which that name no longer holds; -1: there is none."""
        self.offset = 0
        """Of the last byte: produced, if the server is a master, or processed, if it is a replica."""
        self.backlog: Backlog | None = None
        """A master without replicas needs none, and then its offset does not move."""

    # The stream

    def feed(self, data: bytes) -> None:
        """Appends bytes to the history."""
        self.offset += len(data)
        if self.backlog is not None:
            self.backlog.feed(data)

    def create_backlog(self, size: int) -> None:
        """Remembers bytes from now on, so many at most; forgets those so far."""
        self.backlog = Backlog(size)

    def free_backlog(self) -> None:
        """Remembers nothing."""
        self.backlog = None

    def resize(self, size: int) -> None:
        """Remembers more from now on, or less."""
        if self.backlog is not None:
            self.backlog.resize(size)

    @property
    def length(self) -> int:
        """Bytes that are remembered."""
        return len(self.backlog) if self.backlog is not None else 0

    @property
    def first(self) -> int:
        """The offset of the first byte that is remembered, or of the next byte if there is none; 0 without backlog."""
        return self.offset - len(self.backlog) + 1 if self.backlog is not None else 0

    def can_continue(self, history: str, offset: int) -> bool:
        """Whether a copy of this history can go on here, by its name and the offset of the next byte it wants."""
        return (
            self.same(history, offset)
            and self.backlog is not None
            and self.first <= offset <= self.offset + 1
        )

    def same(self, history: str, offset: int) -> bool:
        """Whether that name meant this history, up to before this offset."""
        history = history.lower()
        return history == self.id or (history == self.id2 and offset <= self.second_offset)

    def since(self, offset: int) -> bytes:
        """The bytes from this offset on, for one for which `can_continue` holds."""
        return self.backlog.last(self.offset - offset + 1) if self.backlog is not None else b""

    # Names

    def renew(self) -> None:
        """Takes a new name; nobody who knows the old ones can continue here."""
        self.id = new_id()
        self._forget_second()

    def shift(self) -> None:
        """The replica is a master now: the history goes its own way from here, under a new name."""
        self.renamed(new_id())

    def renamed(self, history: str) -> None:
        """The same history has another name from the next byte on."""
        self.id2 = self.id
        self.second_offset = self.offset + 1
        self.id = history

    def adopt(self, history: str, offset: int) -> None:
        """The data is now a copy of that history up to that offset. A backlog, if there is one, begins anew."""
        self.id = history
        self.offset = offset
        self._forget_second()
        if self.backlog is not None:
            self.create_backlog(self.backlog.size)

    def restore(self, history: str, offset: int) -> None:
        """A master has loaded data that was a copy of that history up to that offset: that is its past now."""
        self.adopt(self.id, offset)
        self.id2 = history
        self.second_offset = offset + 1

    def _forget_second(self) -> None:
        self.id2 = NOBODY
        self.second_offset = -1
