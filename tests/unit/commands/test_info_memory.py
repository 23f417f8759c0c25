"""The figures of memory, with and without a limit; what clients are told is in tests/commands."""

from __future__ import annotations

from typing import Any

import pytest

from respcache.commands.info_memory import Figures, memory, readable_size
from respcache.server import Server
from respcache.state import ServerState
from respcache.store.sizes import ENTRY


def state(**settings: Any) -> ServerState:
    return Server(port=0, **settings).state


@pytest.mark.parametrize(("size", "text"), [(1023, "1023B"), (1536, "1.50K"), (3 << 40, "3.00T")])
def test_readable_size(size: int, text: str) -> None:
    assert readable_size(size) == text


def test_without_a_limit_used_is_what_is_resident() -> None:
    figures = Figures.of(state())
    assert figures.used == figures.resident
    assert figures.peak >= figures.used >= figures.overhead
    assert figures.fragmentation == 1
    assert 0 <= figures.data_percent <= 100


def test_with_a_limit_used_is_what_is_accounted() -> None:
    server = state(maxmemory="1gb")
    assert Figures.of(server).used < 1 << 20  # an embedded server counts nothing but data
    db = server.keyspace.databases[0]
    for number in range(1000):
        db.set(b"%d" % number, b"x" * 1000)
    server.memory.tick()
    figures = Figures.of(server)
    assert 1_000_000 < figures.used < 2_000_000
    assert figures.data == server.memory.dataset - 1000 * ENTRY
    assert figures.peak >= figures.used
    shown = memory(server)
    assert (shown["used_memory"], shown["maxmemory"]) == (figures.used, 1 << 30)
