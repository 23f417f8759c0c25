"""The gate of replies: none leaves before the write that it tells of is in the file.

While the append-only file has something to write, the replies of all clients wait here, in their order: those of
reads too, for what they saw must not be lost either. What opens it is the end of the write, or of the fsync.
"""

from __future__ import annotations

from collections.abc import Callable

Send = Callable[[bytes], None]
Held = list[tuple[Send, bytes]]


class Gate:
    """Replies on their way out."""

    __slots__ = ("_held", "shut", "size")

    def __init__(self) -> None:
        self.shut = False
        """What comes is held back."""
        self.size = 0
        """Bytes held back, those that `cut` gave away included until they are released."""
        self._held: Held = []

    def write(self, send: Send, data: bytes) -> None:
        """Sends data, or holds it back."""
        if self.shut:
            self._held.append((send, data))
            self.size += len(data)
        else:
            send(data)

    def after(self, act: Callable[[], None]) -> None:
        """Does something behind all that is held back: closes a connection."""
        if self.shut:
            self._held.append((lambda _: act(), b""))
        else:
            act()

    def cut(self) -> Held:
        """What is held so far. It is to be given to `release`, in order; the gate stays shut."""
        held, self._held = self._held, []
        return held

    def release(self, held: Held) -> None:
        """Sends what was cut off."""
        for send, data in held:
            self.size -= len(data)
            send(data)

    def drop(self, held: Held) -> None:
        """Forgets what was cut off, which must never be sent. What was to be done behind it is done."""
        for send, data in held:
            self.size -= len(data)
            if not data:
                send(data)

    def open(self) -> None:
        """Sends all that is held and holds nothing more."""
        self.shut = False
        while self._held:
            self.release(self.cut())
