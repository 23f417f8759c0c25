"""Lazy freeing: what was deleted is taken apart in slices, so that no command waits for it.

CPython frees a container by visiting each of its elements: a million keys hold the loop for a tenth of a
second. A command that drops something big buries it here, and a timer frees a slice of it now and then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from respcache.clock import monotonic
from respcache.store.types import TYPES

HEAVY = 512
"""Elements from which on a container is worth being freed in slices."""
_STEP = 128

_PLAIN = frozenset({bytes, int, bytearray, float, str, type(None)})
_CONTAINERS = frozenset({dict, list, set, deque})


class Graveyard:
    """Discarded things. Who buries a container hands it over: it is emptied, so nobody else may use it."""

    __slots__ = ("_dead",)

    def __init__(self) -> None:
        self._dead: list[Any] = []

    def __len__(self) -> int:
        return len(self._dead)

    def bury(self, thing: object) -> None:
        """Takes a discarded value, or a container of them, of any type."""
        self._dead.append(thing)

    def free_slice(self, budget: float) -> bool:
        """Frees what is buried, for about `budget` seconds. Tells whether more of it is left."""
        dead = self._dead
        stop = monotonic() + budget
        while dead:
            thing = dead.pop()
            children: Iterable[Any] = ()
            if type(thing) not in _CONTAINERS:
                info = TYPES.get(type(thing))
                children = info.parts(thing) if info is not None else ()
            elif len(thing) > HEAVY:
                children = _take(thing)
                dead.append(thing)
            elif thing:
                children = thing.values() if type(thing) is dict else thing
            dead += [child for child in children if type(child) not in _PLAIN]
            if monotonic() > stop:
                break
        return bool(dead)


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
