"""What a transaction remembers."""

from __future__ import annotations

from respcache.registry import REGISTRY
from respcache.server import Server
from respcache.transaction import Transaction


def test_what_is_queued() -> None:
    normal = Server(port=0).state.modes.normal
    transaction = Transaction()
    transaction.add(normal.entries[b"get"], (b"k",))
    assert not transaction.writes and not transaction.broken
    transaction.add(normal.entries[b"set"], (b"k", b"v"))
    assert transaction.writes
    assert [(entry.command, arguments) for entry, arguments, _ in transaction.queued] == [
        (REGISTRY.find("get"), (b"k",)),
        (REGISTRY.find("set"), (b"k", b"v")),
    ]
