"""FUNCTION of a server without functions: the answers of one that has none, and of one that can have none."""

from __future__ import annotations

import pytest

from respcache.persistence.payload import seal
from respcache.persistence.rdb_strings import string
from tests.servers import Server
from tests.wire import OK, Error, Map, Wire, arity_error, pairs

NOTHING = bytes.fromhex("0a005d9b5c400f7fa2da")
"""What the oracle makes of no libraries."""
LIBRARY = b"#!lua name=lib\nredis.register_function('f', function() return 1 end)"
BAD_PAYLOAD = Error("ERR DUMP payload version or checksum are wrong")


def test_list(c: Wire) -> None:
    for words in ("", "WITHCODE", "libraryname *", "LIBRARYNAME x withcode", "WITHCODE LIBRARYNAME withcode"):
        assert c("FUNCTION", "LIST", *words.split()) == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("nonsense", "ERR Unknown argument nonsense"),
        ("LIBRARYNAME", "ERR library name argument was not given"),
        ("WITHCODE WITHCODE", "ERR Unknown argument WITHCODE"),
        ("LIBRARYNAME a LIBRARYNAME b", "ERR Unknown argument LIBRARYNAME"),
        ("LIBRARYNAME a WITHCODE more", "ERR Unknown argument more"),
    ],
)
def test_list_errors(c: Wire, words: str, error: str) -> None:
    assert c("FUNCTION", "LIST", *words.split()) == Error(error)


def test_dump_and_restore_nothing(c: Wire) -> None:
    assert c("FUNCTION", "DUMP") == NOTHING
    for policy in ((), ("FLUSH",), ("append",), ("Replace",)):
        assert c("FUNCTION", "RESTORE", NOTHING, *policy) == OK
    assert c("FUNCTION", "DUMP") == NOTHING


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", BAD_PAYLOAD),
        (b"123456789", BAD_PAYLOAD),
        (NOTHING[:-1] + b"x", BAD_PAYLOAD),
        (bytes.fromhex("0b005d9b5c400f7fa2da"), BAD_PAYLOAD),
        (b"\1" + NOTHING, BAD_PAYLOAD),
        ((0, b"\1a"), Error("ERR given type is not a function")),
        ((0xF5, b""), Error("ERR Failed loading library payload")),
        ((0xF5, b"\x05abc"), Error("ERR Missing library metadata")),
        ((0xF5, b"\x0e#!foo name=x"), Error("ERR Invalid library metadata")),
    ],
)
def test_restore_errors(c: Wire, payload: bytes | tuple[int, bytes], error: Error) -> None:
    made = payload if isinstance(payload, bytes) else seal(*payload)
    if isinstance(payload, tuple) and payload[1] in (b"\x05abc", b"\x0e#!foo name=x"):
        made = seal(payload[0], string(payload[1][1:]))
    assert c("FUNCTION", "RESTORE", made) == error


def test_a_payload_that_is_too_new(c: Wire) -> None:
    assert c("FUNCTION", "RESTORE", seal(0xF5, string(LIBRARY), 99)) == BAD_PAYLOAD


def test_policies(c: Wire) -> None:
    assert c("FUNCTION", "RESTORE", "x", "nonsense") == Error(
        "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
    )
    assert c("FUNCTION", "RESTORE", NOTHING, "FLUSH", "x") == Error(
        "ERR unknown subcommand or wrong number of arguments for 'RESTORE'. Try FUNCTION HELP."
    )
    assert c("FUNCTION", "RESTORE") == arity_error("function|restore")


def test_flush(c: Wire) -> None:
    for words in ("", "SYNC", "async"):
        assert c("FUNCTION", "FLUSH", *words.split()) == OK
    assert c("FUNCTION", "FLUSH", "now") == Error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    assert c("FUNCTION", "FLUSH", "SYNC", "x") == Error(
        "ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP."
    )


def test_delete_and_kill(c: Wire) -> None:
    assert c("FUNCTION", "DELETE", "lib") == Error("ERR Library not found")
    assert c("FUNCTION", "DELETE") == arity_error("function|delete")
    assert c("FUNCTION", "KILL") == Error("NOTBUSY No scripts in execution right now.")


def test_stats(c: Wire, server: Server) -> None:
    stats = pairs(c("FUNCTION", "STATS"))
    assert stats[b"running_script"] == c.null
    if not server.is_oracle:
        assert stats[b"engines"] == c.as_map({})
        assert isinstance(c("FUNCTION", "STATS"), Map) == (c.protocol == 3)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("code",), "ERR Missing library metadata"),
        (("REPLACE",), "ERR Missing library metadata"),
        (("replace", "code"), "ERR Missing library metadata"),
        (("nonsense", "code"), "ERR Unknown option given: nonsense"),
        (("#!lua name=x",), "ERR Invalid library metadata"),
        (("#!",), "ERR Invalid library metadata"),
    ],
)
def test_load_errors(c: Wire, words: tuple[str, ...], error: str) -> None:
    assert c("FUNCTION", "LOAD", *words) == Error(error)


def test_load(c: Wire, server: Server) -> None:
    assert c("FUNCTION", "LOAD") == arity_error("function|load")
    if server.is_oracle:
        return
    error = Error("ERR Engine 'lua' not found: this server does not support scripting")
    assert c("FUNCTION", "LOAD", LIBRARY) == error
    assert c("FUNCTION", "RESTORE", seal(0xF5, string(LIBRARY))) == error
    assert c("FUNCTION", "RESTORE", seal(0xF5, string(LIBRARY)), "FLUSH") == error


def test_help(c: Wire) -> None:
    lines = [line.text for line in c("FUNCTION", "HELP")]
    assert lines[0] == "FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert lines[-2:] == ["HELP", "    Prints this help."]
    assert {"DUMP", "KILL", "STATS"} <= set(lines)


def test_nothing_else(c: Wire) -> None:
    assert c("FUNCTION") == arity_error("function")
    assert c("FUNCTION", "x") == Error("ERR unknown subcommand 'x'. Try FUNCTION HELP.")
