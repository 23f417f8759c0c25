"""MODULE: none is there, none can be loaded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import Error, Wire, arity_error

NOT_ALLOWED = Error(
    'ERR MODULE command not allowed. If the enable-module-command option is set to "local", you can run it '
    "from a local connection, otherwise you need to set this option in the configuration file, and then "
    "restart the server."
)


def test_list(c: Wire) -> None:
    assert c("MODULE", "LIST") == []
    assert c("MODULE", "LIST", "x") == arity_error("module|list")


@pytest.mark.parametrize("words", [("LOAD", "x"), ("LOAD", "x", "y"), ("LOADEX", "x"), ("UNLOAD", "x")])
def test_not_allowed(c: Wire, words: tuple[str, ...]) -> None:
    assert c("MODULE", *words) == NOT_ALLOWED


@pytest.mark.parametrize("allowed", ["yes", "local"])
@pytest.mark.parametrize("start", [start_respcache, *([start_redis] if HAVE_ORACLE else [])])
def test_allowed(start: Callable[..., Server], allowed: str) -> None:
    cannot = Error("ERR Error loading the extension. Please check the server logs.")
    with start("--enable-module-command", allowed) as server, Wire(server.port) as c:
        assert c("MODULE", "LOAD", "nothing.so") == cannot
        assert c("MODULE", "LOADEX", "nothing.so") == cannot
        assert c("MODULE", "UNLOAD", "x") == Error(
            "ERR Error unloading module: no such module with that name"
        )


def test_arity_and_unknown(c: Wire) -> None:
    assert c("MODULE") == arity_error("module")
    assert c("MODULE", "LOAD") == arity_error("module|load")
    assert c("MODULE", "UNLOAD", "a", "b") == arity_error("module|unload")
    assert c("MODULE", "Foo") == Error("ERR unknown subcommand 'Foo'. Try MODULE HELP.")


def test_help(c: Wire) -> None:
    lines = [line.text for line in c("MODULE", "HELP")]
    assert lines[0] == "MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    for name in ("LIST", "LOAD", "LOADEX", "UNLOAD", "HELP"):
        assert any(line.split()[0] == name for line in lines[1:])
