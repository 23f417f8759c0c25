"""Lazy freeing: what was deleted is taken apart in slices, so that no command waits for it.

CPython frees a container by visiting each of its elements: a million keys hold the loop for a tenth of a
second. A command that drops something big buries it here, and a timer frees a slice of it now and then. Where
much is waiting, who buries helps to free it, so what waits is bounded whatever clients do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sized
from typing import Any

from respcache.clock import monotonic
from respcache.store.hashtable import Table
from respcache.store.types import TYPES

HEAVY = 512
"""Elements from which on a container is worth being freed in slices."""
PLENTY = 100_000
"""Elements from which on who buries more has to help."""
_TOO_MANY = 10_000_000  # elements from which on the help goes without limit
_STEP = 128
_HELP = 3
"""Elements to free for each one that is buried then. An element that is a container is freed in two steps."""
_MOST_HELP = 25_000  # elements, about 2 ms

_PLAIN = frozenset({bytes, int, bytearray, float, str, type(None)})
_CONTAINERS = (dict, list, set, deque, Table)
_bases: dict[type, type | None] = {}


class Graveyard:
    """Discarded things. Who buries a container hands it over: it is emptied, so nobody else may use it."""

    __slots__ = ("_dead", "_waiting", "freed")

    def __init__(self) -> None:
        self._dead: list[Any] = []
        self.freed = 0
        """Number of things that were buried."""
        self._waiting = 0  # the weight of all that is dead

    def __len__(self) -> int:
        return len(self._dead)

    @property
    def waiting(self) -> int:
        """Number of elements that are still to be freed, as far as they are known yet."""
        return self._waiting

    def bury(self, *things: object) -> None:
        """Takes discarded values, or containers of them, of any type."""
        if self._waiting > PLENTY:
            rest = _HELP * sum(map(_weight, things))
            if self._waiting < _TOO_MANY:
                rest = min(rest, _MOST_HELP)
            while rest > 0 and self._dead:
                rest -= self._step()
        self._add(things)
        self.freed += len(things)

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
        base = _base(type(thing))
        freed = _weight(thing)
        self._waiting -= freed
        if base is Table and thing:
            children = thing.take_bucket().values()
            self._add((thing,))
            freed = 1 + len(children)
        elif base is not None and len(thing) > HEAVY:
            children = _take(thing, base)
            self._add((thing,))
            freed = _STEP
        else:
            children = [part for part in _parts(thing) if part is not thing]
            if base is None:
                freed = 1
            else:
                children += thing.values() if base is dict else thing
        self._add([child for child in children if type(child) not in _PLAIN])
        return freed

    def _add(self, things: Collection[Any]) -> None:
        self._dead += things
        self._waiting += sum(map(_weight, things))


def is_heavy(value: Any) -> bool:
    """Whether freeing a value at once would take a noticeable time."""
    kind = type(value)
    if kind in _PLAIN:
        return False
    if _base(kind) is not None and len(value) > HEAVY:
        return True
    return any(len(part) > HEAVY for part in _parts(value))


def _base(kind: type) -> type | None:
    """Which container a class is, or is derived from."""
    try:
        return _bases[kind]
    except KeyError:
        base = _bases[kind] = next((base for base in _CONTAINERS if issubclass(kind, base)), None)
        return base


def _parts(thing: Any) -> Iterable[Sized]:
    """What an instance of our own classes consists of; besides its elements, if it is a container itself."""
    info = TYPES.get(type(thing))
    return () if info is None else info.parts(thing)


def _weight(thing: Any) -> int:
    """Elements of what is buried, itself counted as one. Those of its children show when it is taken apart."""
    if _base(type(thing)) is not None:
        return 1 + len(thing)
    return 1 + sum(map(len, _parts(thing)))


def _take(container: Any, base: type) -> list[Any]:
    """Takes some elements off the end of a container, where that is cheap. Keys of a dict are dropped."""
    if base is list:
        taken = list(container[-_STEP:])
        del container[-_STEP:]
        return taken
    if base is dict:
        return [container.popitem()[1] for _ in range(_STEP)]
    return [container.pop() for _ in range(_STEP)]
