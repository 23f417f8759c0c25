"""Clients whose writes wait for a replica, and the book that is kept of them.

    with ReplicatedLoad(cluster.nodes, seed) as load:
        ... kill, pause, cut, heal, until the cluster is well again ...
        load.check()        # each write that was acknowledged and replicated is there; the load goes on

A write *counts* if it was acknowledged and WAIT 1 told that a replica has it. With one replica to each master that
replica is the only one that can be elected, so what counts must be there for ever, whatever single nodes go through,
if only nodes find their data again when they are started (appendonly yes, appendfsync always). What was acknowledged
alone may be lost, and what got no reply may be done at any time, but nothing may be done twice.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack

from tests.router import Refused, Router, Unknown
from tests.servers import Server
from tests.wire import NULL_BULK, Error

KEYS = 40
"""Of each kind, for each writer."""

PAUSE = 0.002
"""Seconds between two writes of a writer: nodes are to have time for each other."""

WRITE_SECONDS = 0.3
"""How long a writer insists on one write before it goes on with another key."""

READ_SECONDS = 10.0


class Book:
    """What is known of one key: writes have the numbers 1, 2, 3 .. in the order they were sent."""

    def __init__(self) -> None:
        self.sent = 0
        self.possible: set[int] = set()
        """Writes that may be there."""
        self.counting: set[int] = set()
        """Of them, those that must be."""
        self.unknown: set[int] = set()
        """Of them, those without a reply: a later write may have come before them."""
        self.least = 0
        """Of a counter: the greatest value that must have been reached."""

    def check_list(self, found: list[int]) -> str:
        """What is wrong with these elements of a list, an empty text if nothing is."""
        if len({*found}) != len(found):
            return "doubled"
        if strange := {*found} - self.possible:
            return f"holds {sorted(strange)[:5]}, which were refused or never sent"
        if lost := self.counting - {*found}:
            return f"lacks {sorted(lost)[:5]}"
        known = [number for number in found if number not in self.unknown]
        return "in another order than written" if known != sorted(known) else ""

    def check_counter(self, found: int) -> str:
        """The same for the value of a counter."""
        least = max(self.least, len(self.counting))
        return (
            "" if least <= found <= len(self.possible) else f"is {found}, not {least} to {len(self.possible)}"
        )

    def check_string(self, found: int) -> str:
        """The same for a string, which holds the number of its last write, 0 if there is none."""
        last = max(self.counting, default=0)
        if found == last or found in self.unknown or (found > last and found in self.possible):
            return ""
        return f"is of write {found}; write {last} counted"

    def settle_list(self, found: list[int]) -> None:
        """From now on all that was found counts: master and replica have it."""
        self.counting |= {*found}

    def settle_counter(self, found: int) -> None:
        """The same for a counter."""
        self.least = max(self.least, found)

    def settle_string(self, found: int) -> None:
        """The same for a string."""
        if found > max(self.counting, default=0):
            self.counting.add(found)


class Writer(threading.Thread):
    """One client and its keys, of which nobody else writes one."""

    def __init__(self, number: int, servers: Sequence[Server], seed: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.turn = threading.Lock()
        """Held while a write is under way."""
        self.acknowledged = self.counted = self.unknown = self.refused = 0
        self.errors: list[str] = []
        self._number = number
        self._dice = random.Random(seed)
        self._router = Router(servers, seed)
        self._stop_event = stop
        self._books: dict[str, Book] = {}

    def run(self) -> None:
        """Writes until told to stop."""
        while not self._stop_event.is_set():
            with self.turn:
                try:
                    self._write()
                except Exception as error:
                    self.errors.append(repr(error))
                    break
            time.sleep(PAUSE)
        self._router.close()

    def _write(self) -> None:
        kind = self._dice.choice(("list", "counter", "string"))
        key = f"{kind}:{self._number}:{self._dice.randrange(KEYS)}"
        book = self._books.setdefault(key, Book())
        book.sent += 1
        number = book.sent
        words = {"list": ("RPUSH", key, number), "counter": ("INCR", key), "string": ("SET", key, number)}[
            kind
        ]
        try:
            reply, replicas = self._router.write(key, *words, seconds=WRITE_SECONDS)
        except Refused:
            self.refused += 1
            return
        except Unknown:
            self.unknown += 1
            book.possible.add(number)
            book.unknown.add(number)
            return
        assert not isinstance(reply, Error), f"{words}: {reply}"
        self.acknowledged += 1
        book.possible.add(number)
        if replicas:
            self.counted += 1
            book.counting.add(number)
            if kind == "counter":
                book.least = max(book.least, reply)

    def check(self) -> list[str]:
        """What is wrong with its keys; it is not its turn meanwhile."""
        wrong = []
        for key, book in self._books.items():
            if key.startswith("list"):
                items = [
                    int(each) for each in self._router.read(key, "LRANGE", key, 0, -1, seconds=READ_SECONDS)
                ]
                problem = book.check_list(items)
                book.settle_list(items)
            else:
                found = self._router.read(key, "GET", key, seconds=READ_SECONDS)
                value = 0 if found is NULL_BULK else int(found)
                counter = key.startswith("counter")
                problem = (book.check_counter if counter else book.check_string)(value)
                (book.settle_counter if counter else book.settle_string)(value)
            if problem:
                wrong.append(f"{key} on {self._router.owner(key)!r} {problem}")
        return wrong


class ReplicatedLoad:
    """All writers, from `with` until its end."""

    def __init__(self, servers: Sequence[Server], seed: int, writers: int = 3) -> None:
        self._over = threading.Event()
        self.writers = [Writer(number, servers, seed + number, self._over) for number in range(writers)]

    def __enter__(self) -> ReplicatedLoad:
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for writer in self.writers:
            writer.join(30)

    def rest(self) -> ExitStack:
        """A `with` block in which nobody writes."""
        stack = ExitStack()
        for writer in self.writers:
            stack.enter_context(writer.turn)
        return stack

    def check(self) -> None:
        """Compares the cluster with the books; within `rest`. Raises AssertionError."""
        wrong = [each for writer in self.writers for each in (*writer.errors, *writer.check())]
        assert not wrong, f"{len(wrong)} keys: {wrong[:6]}"

    @property
    def counted(self) -> int:
        """Writes so far that were acknowledged and replicated."""
        return sum(writer.counted for writer in self.writers)

    def __str__(self) -> str:
        names = ("acknowledged", "counted", "unknown", "refused")
        return ", ".join(f"{sum(getattr(each, name) for each in self.writers)} {name}" for name in names)
