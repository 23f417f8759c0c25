"""CLIENT PAUSE, and what else makes clients wait: until when which commands do, and who waits."""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable
from typing import Literal

Who = Literal["client", "failover"]
"""Who wants a pause: they do not end each other's."""


class ClientPause:
    """The pause of all clients. It is a layer around commands while it lasts and costs nothing otherwise."""

    __slots__ = ("_pauses", "_timer", "_waiting")

    def __init__(self) -> None:
        self._pauses: dict[Who, tuple[int, bool]] = {}  # until when, and whether all commands wait
        self._waiting: dict[int, Callable[[], None]] = {}  # by client id, first come first
        self._timer: TimerHandle | None = None

    @property
    def active(self) -> bool:
        """Whether commands wait now."""
        return bool(self._pauses)

    @property
    def all_commands(self) -> bool:
        """Whether all commands wait; else only those that may write."""
        return any(all_commands for _, all_commands in self._pauses.values())

    @property
    def until(self) -> int:
        """When the next of the pauses ends, in milliseconds since the epoch; 0: there is none."""
        return min((until for until, _ in self._pauses.values()), default=0)

    def start(self, until: int, all_commands: bool, who: Who = "client") -> None:
        """Begins a pause, or changes the one that lasts: it is never shortened, but may be weakened."""
        before, _ = self._pauses.get(who, (0, False))
        self._pauses[who] = (max(before, until), all_commands)

    def wait(self, client_id: int, release: Callable[[], None]) -> None:
        """Has a client wait: `release` is to be called when the pause ends, or another one is left."""
        self._waiting[client_id] = release

    def forget(self, client_id: int) -> None:
        """A client is gone, whether it waited or not."""
        self._waiting.pop(client_id, None)

    def look_again(self, timer: TimerHandle) -> None:
        """Takes the timer that is to end this pause, in the place of an earlier one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    def expired(self, now: int) -> list[Who]:
        """The pauses whose time is over."""
        return [who for who, (until, _) in self._pauses.items() if until <= now]

    def end(self, *which: Who) -> list[Callable[[], None]]:
        """Ends pauses, all if none is named. Returns whom to release, in this order: they try again."""
        for who in which or (*self._pauses,):
            self._pauses.pop(who, None)
        if self._timer is not None and not self._pauses:
            self._timer.cancel()
            self._timer = None
        waiting = [*self._waiting.values()]
        self._waiting.clear()
        return waiting
