"""Tables: what an entry and a mode hold, and the table of who is gone."""

from __future__ import annotations

import pytest

from respcache.features.blocking import Disconnect
from respcache.features.stats import CommandStats
from respcache.registry import REGISTRY
from respcache.table import Entry, Gone, Mode


def test_an_entry_holds_what_it_was_given() -> None:
    command = REGISTRY.find("ping")
    assert command is not None
    stats = CommandStats()
    entry = Entry(command, command.handler, stats, True)
    assert (entry.command, entry.run, entry.lone) == (command, command.handler, True)
    assert entry.stats is stats
    assert not hasattr(entry, "__dict__")


def test_a_mode_begins_empty() -> None:
    mode = Mode("normal")
    assert (mode.name, mode.table, mode.entries, mode.subcommands) == ("normal", {}, {}, {})
    assert not hasattr(mode, "__dict__")


def test_any_request_of_one_who_is_gone_ends_it() -> None:
    for name in (b"get", b"GET", b"nothing", b""):
        with pytest.raises(Disconnect) as ended:
            Gone()[name]
        assert ended.value.reply == b""
    assert Gone().get(b"get") is None
