"""CLIENT PAUSE: until when which commands wait, and who waits."""

from __future__ import annotations

from collections.abc import Callable


class ClientPause:
    """The pause of all clients. It is a layer around commands while it lasts and costs nothing otherwise."""

    __slots__ = ("all_commands", "until", "waiting")

    def __init__(self) -> None:
        self.until = 0
        """Milliseconds since the epoch; 0: no pause."""
        self.all_commands = False
        """Else only those that may write."""
        self.waiting: list[Callable[[], None]] = []
        """Called when the pause ends, first come first served."""

    @property
    def active(self) -> bool:
        """Whether commands wait now."""
        return self.until > 0

    def start(self, until: int, all_commands: bool) -> None:
        """Begins a pause or lengthens the one that lasts; never shortens or weakens it."""
        self.until = max(self.until, until)
        self.all_commands = all_commands or self.all_commands

    def end(self) -> list[Callable[[], None]]:
        """Ends the pause. Returns whom to release."""
        self.until = 0
        self.all_commands = False
        waiting, self.waiting = self.waiting, []
        return waiting
