"""Lazy freeing: what was deleted is taken apart in slices, so that no command waits for it.

CPython frees a container by visiting each of its elements: a million keys hold the loop for a tenth of a
second. A command that drops something big buries it here, and a timer frees a slice of it now and then. Where
much is waiting, who buries frees about as much as it brings, so what waits is bounded whatever clients do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from typing import Any

from respcache.clock import monotonic
from respcache.store.types import TYPES

HEAVY = 512
"""Elements from which on a container is worth being freed in slices."""
PLENTY = 100_000
"""Elements from which on who buries more has to help."""
_STEP = 128
_HELP = 3
"""Elements to free for each one that is buried then. An element that is a container is freed in two steps."""

_PLAIN = frozenset({bytes, int, bytearray, float, str, type(None)})
_CONTAINERS = frozenset({dict, list, set, deque})


class Graveyard:
    """Discarded things. Who buries a container hands it over: it is emptied, so nobody else may use it."""

    __slots__ = ("_dead", "_waiting")

    def __init__(self) -> None:
        self._dead: list[Any] = []
        self._waiting = 0  # the weight of all that is dead

    def __len__(self) -> int:
        return len(self._dead)

    def bury(self, *things: object) -> None:
        """Takes discarded values, or containers of them, of any type."""
        if self._waiting > PLENTY:
            rest = _HELP * sum(map(_weight, things))
            while rest > 0 and self._dead:
                rest -= self._step()
        self._add(things)

    def free_slice(self, budget: float) -> bool:
        """Frees what is buried, for about `budget` seconds. Tells whether more of it is left."""
        stop = monotonic() + budget
        while self._dead:
            self._step()
            if monotonic() > stop:
                break
        return bool(self._dead)

    def _step(self) -> int:
        """Frees some elements of what was buried last. Returns how many."""
        thing = self._dead.pop()
        freed = _weight(thing)
        children: Iterable[Any] = ()
        self._waiting -= freed
        if type(thing) not in _CONTAINERS:
            info = TYPES.get(type(thing))
            children = info.parts(thing) if info is not None else ()
            freed = 1
        elif len(thing) > HEAVY:
            children = _take(thing)
            self._add((thing,))
            freed = _STEP
        elif thing:
            children = thing.values() if type(thing) is dict else thing
        self._add([child for child in children if type(child) not in _PLAIN])
        return freed

    def _add(self, things: Collection[Any]) -> None:
        self._dead += things
        self._waiting += sum(map(_weight, things))


def _weight(thing: Any) -> int:
    """Elements of what is buried, itself counted as one. Those of its children show when it is taken apart."""
    if type(thing) in _CONTAINERS:
        return 1 + len(thing)
    info = TYPES.get(type(thing))
    return 1 if info is None else 1 + sum(map(len, info.parts(thing)))


def is_heavy(value: Any) -> bool:
    """Whether freeing a value at once would take a noticeable time."""
    kind = type(value)
    if kind in _PLAIN:
        return False
    if kind in _CONTAINERS:
        return len(value) > HEAVY
    info = TYPES.get(kind)
    return info is not None and any(len(part) > HEAVY for part in info.parts(value))


def _take(container: Any) -> list[Any]:
    """Takes some elements off the end of a container, where that is cheap. Keys of a dict are dropped."""
    if type(container) is list:
        taken = container[-_STEP:]
        del container[-_STEP:]
        return taken
    if type(container) is dict:
        return [container.popitem()[1] for _ in range(_STEP)]
    return [container.pop() for _ in range(_STEP)]
