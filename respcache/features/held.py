"""Keys that are on their way to another server, and who waits until it is known where they are.

Redis stands still while MIGRATE runs. Here only those wait who want one of its keys, or what concerns all keys; who it
is that wants one is for the gate `respcache.holding` to say, and for `respcache.serve`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from respcache.protocol.errors import ReplyError


class Held:
    """The keys that are held. Most often there are none."""

    __slots__ = ("_postponed", "_waiting", "abandon", "keys")

    def __init__(self) -> None:
        self.keys: set[bytes] = set()
        """Whatever database they are in: who waits for the key of the same name in another one waits for nothing, and
        that is all."""
        self._waiting: dict[int, Callable[[], None]] = {}  # by client id, first come first
        self._postponed: dict[tuple[int, bytes], bool] = {}
        self.abandon: Callable[[ReplyError], None] = lambda error: None
        """Ends all moves with this error and deletes nothing: this server's data is no longer its own."""

    def hold(self, keys: Iterable[bytes]) -> None:
        """Holds keys, none of which is held yet."""
        self.keys.update(keys)

    def concerns(self, words: Iterable[bytes]) -> bool:
        """Whether a held key is among the words of a request. One may be a value that reads like it: see `keys`."""
        return not self.keys.isdisjoint(words)

    def wait(self, client_id: int, release: Callable[[], None]) -> None:
        """Has a client wait: `release` is to be called when keys are let go. Nothing happens if it is gone then."""
        self._waiting[client_id] = release

    def postpone(self, where: tuple[int, bytes], arrived: bool) -> None:
        """Has clients that wait for this key in this database be served later, see `Waiting.ready`."""
        self._postponed[where] = arrived or self._postponed.get(where, False)

    def let_go(self, keys: Iterable[bytes]) -> tuple[list[Callable[[], None]], dict[tuple[int, bytes], bool]]:
        """Lets keys go. Returns whom to release, in this order, and what was postponed.

        All are released, also those who want other keys that are held: they come back.
        """
        self.keys.difference_update(keys)
        waiting, postponed = [*self._waiting.values()], self._postponed
        self._waiting.clear()
        self._postponed = {}
        return waiting, postponed
