"""MONITOR: who is sent a line about each command that runs.

It is a layer around all commands, which is on only while somebody monitors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

_SHOWN = [bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte for byte in range(256)]
_SHOWN[ord("\\")] = b"\\\\"
_SHOWN[ord('"')] = b'\\"'
for _byte, _escape in zip(b"\n\r\t\a\b", (b"\\n", b"\\r", b"\\t", b"\\a", b"\\b"), strict=True):
    _SHOWN[_byte] = _escape
_PLAIN = bytes(byte for byte in range(256) if len(_SHOWN[byte]) == 1)


class Link(Protocol):
    """What lines are sent by."""

    @property
    def closing(self) -> bool:
        """Whether nothing more is to be sent."""

    def send(self, data: bytes) -> None:
        """Sends encoded messages behind what was already replied."""


class Monitor(Protocol):
    """A client that monitors."""

    @property
    def connection(self) -> Link:
        """Its connection."""

    @property
    def muted(self) -> bool:
        """Whether it wants no replies, and then no lines either."""


class Monitors:
    """Who monitors. `defer` calls a function in the next turn of the loop: the lines of one turn leave together."""

    __slots__ = ("_defer", "_lines", "clients")

    def __init__(self, defer: Callable[[Callable[[], None]], object]) -> None:
        self._defer = defer
        self._lines: list[bytes] = []
        self.clients: dict[Monitor, None] = {}

    def switch(self, client: Monitor, on: bool) -> None:
        """Adds a client, which is told only what comes from now on, or takes it away."""
        self.deliver()
        if on:
            self.clients[client] = None
        else:
            self.clients.pop(client, None)

    def feed(self, us: int, where: bytes, argv: Sequence[bytes]) -> None:
        """Tells of a command that ran at this time, in microseconds since the epoch, for `where`: the number of the
        database and the client's address."""
        if not self._lines:
            self._defer(self.deliver)
        self._lines.append(line(us, where, argv))

    def deliver(self) -> None:
        """Sends what has been gathered to all who monitor now."""
        if self._lines:
            lines = b"".join(self._lines)
            self._lines.clear()
            for client in [*self.clients]:
                if not client.muted and not client.connection.closing:
                    client.connection.send(lines)


def line(us: int, where: bytes, argv: Iterable[bytes]) -> bytes:
    """A line of MONITOR, encoded."""
    words = b" ".join([quoted(word) for word in argv])
    return b"+%d.%06d [%b] %b\r\n" % (us // 1_000_000, us % 1_000_000, where, words)


def quoted(word: bytes) -> bytes:
    """A word in double quotes, with escapes for all but printable ASCII."""
    if word.translate(None, _PLAIN):
        word = b"".join([_SHOWN[byte] for byte in word])
    return b'"%b"' % word
