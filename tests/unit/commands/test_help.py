"""HELP as it is made from declarations."""

from __future__ import annotations

from typing import Any

import pytest

from respcache import registry as module
from respcache.commands.help import help_reply
from respcache.registry import Registry, command, container


def lines(reply: bytes) -> list[str]:
    count, *rest = reply.decode().split("\r\n")[:-1]
    assert count == f"*{len(rest)}"
    assert all(line.startswith("+") for line in rest)
    return [line[1:] for line in rest]


def test_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REGISTRY", Registry())
    some = container("some", group="server", doc="Something. O(1). Since 1.0.0.")

    @command(group="server", container=some)
    def some_help(_c: Any) -> bytes:
        """Helps. O(1). Since 1.0.0."""
        return help_reply(some)

    @command(group="server", container=some, syntax="key:key [LIMIT count:integer]")
    def some_list(_c: Any, _key: bytes, *_rest: bytes) -> bytes:
        """Lists what a key has, in a sentence that is so long that it does not fit into a single line. O(N).
        Since 1.0.0.
        """
        return b""

    assert lines(some_help(None)) == [
        "SOME <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LIST <key> [LIMIT <count>]",
        "    Lists what a key has, in a sentence that is so long that it does not",
        "    fit into a single line.",
        "HELP",
        "    Prints this help.",
    ]


def test_help_of_a_container_that_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REGISTRY", Registry())

    def everything(_c: Any, *_rest: bytes) -> bytes:
        """Everything. O(N). Since 1.0.0."""
        return b""

    some = container("some", group="server", doc="Everything. O(N). Since 1.0.0.", bare=everything)
    assert lines(help_reply(some))[1:3] == ["(no subcommand)", "    Everything."]
