"""CLIENT PAUSE: until when which commands wait, and who waits."""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable


class ClientPause:
    """The pause of all clients. It is a layer around commands while it lasts and costs nothing otherwise."""

    __slots__ = ("_timer", "_waiting", "all_commands", "until")

    def __init__(self) -> None:
        self.until = 0
        """Milliseconds since the epoch; 0: no pause."""
        self.all_commands = False
        """Else only those that may write."""
        self._waiting: dict[int, Callable[[], None]] = {}  # by client id, first come first
        self._timer: TimerHandle | None = None

    @property
    def active(self) -> bool:
        """Whether commands wait now."""
        return self.until > 0

    def start(self, until: int, all_commands: bool) -> None:
        """Begins a pause, or changes the one that lasts: it is never shortened, but may be weakened."""
        self.until = max(self.until, until)
        self.all_commands = all_commands

    def wait(self, client_id: int, release: Callable[[], None]) -> None:
        """Has a client wait: `release` is to be called when the pause ends."""
        self._waiting[client_id] = release

    def forget(self, client_id: int) -> None:
        """A client is gone, whether it waited or not."""
        self._waiting.pop(client_id, None)

    def look_again(self, timer: TimerHandle) -> None:
        """Takes the timer that is to end this pause, in the place of an earlier one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    def end(self) -> list[Callable[[], None]]:
        """Ends the pause. Returns whom to release, in this order."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.until = 0
        self.all_commands = False
        waiting = [*self._waiting.values()]
        self._waiting.clear()
        return waiting
