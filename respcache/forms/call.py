"""A command that ran, and the table of those that are propagated in another form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import hiredis

from respcache.state import Client
from respcache.store.database import Value
from respcache.store.slot import hash_slot

Words = Sequence[bytes]
"""A command to be propagated."""


class Call:
    """A call that changed something, as it is found when it is over."""

    __slots__ = ("arguments", "changes", "client", "db", "reply")

    def __init__(self, client: Client, arguments: Words, reply: bytes, changes: int) -> None:
        self.client = client
        self.db = client.db
        self.arguments = arguments
        """The words behind the name."""
        self.reply = reply
        """In the protocol of the client."""
        self.changes = changes
        """How many there were, see `Database.dirty`."""

    def parsed(self) -> Any:
        """The reply as Python values; a map is a flat list, since it may name a key twice."""
        reply = self.reply
        if reply[:1] == b"%":
            head, end, rest = reply.partition(b"\r\n")
            reply = b"*%d%b%b" % (2 * int(head[1:]), end, rest)
        reader = hiredis.Reader()
        reader.feed(reply)
        return reader.gets()

    def value(self, key: bytes) -> Value | None:
        """The value of a key. It is not looked up: a key that is due by now was not when the command ran."""
        return self.db.shards[hash_slot(key)].get(key)

    def deadline(self, key: bytes) -> bytes:
        """When a key dies, in milliseconds since the epoch; it must have a deadline."""
        when = self.db.deadline(key)
        assert when is not None
        return b"%d" % when


Form = Callable[[Call], Iterable[Words]]
"""Tells what is propagated instead of a call."""

FORMS: dict[str, Form] = {}
"""By the names of the commands."""


def form(*names: str) -> Callable[[Form], Form]:
    """Declares the form of some commands."""

    def declare(made: Form) -> Form:
        for name in names:
            if name in FORMS:
                raise ValueError(f"{name!r} has two forms")
            FORMS[name] = made
        return made

    return declare
