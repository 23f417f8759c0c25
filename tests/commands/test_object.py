"""OBJECT."""

from __future__ import annotations

import time

import pytest

from tests.commands.test_keys import expired
from tests.wire import Argument, Error, Status, Wire, arity_error

NO_LFU = Error(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
    "switching between policies at runtime LRU and LFU data will take some time to adjust."
)


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        ("", b"embstr"),
        ("x", b"embstr"),
        ("x" * 44, b"embstr"),
        ("x" * 45, b"raw"),
        (0, b"int"),
        (-5, b"int"),
        ("-0", b"embstr"),
        ("012", b"embstr"),
        ("1 ", b"embstr"),
        (9223372036854775807, b"int"),
        (-9223372036854775808, b"int"),
        (9223372036854775808, b"embstr"),
        ("1.5", b"embstr"),
    ],
)
def test_encoding_of_a_string(c: Wire, value: Argument, encoding: bytes) -> None:
    c("SET", "k", value)
    assert c("OBJECT", "ENCODING", "k") == encoding


@pytest.mark.parametrize(
    ("commands", "encoding"),
    [
        (["INCR k"], b"int"),
        (["SET k 10", "INCRBYFLOAT k 1.5"], b"embstr"),
        (["APPEND k abc"], b"embstr"),
        (["APPEND k 12"], b"int"),
        (["SET k 12", "APPEND k 3"], b"raw"),
        (["SET k abc", "APPEND k 3"], b"raw"),
        (["SETRANGE k 0 ab"], b"raw"),
        (["SET k abc", "SETRANGE k 0 x"], b"raw"),
        (["SET k abc", "APPEND k d", "GETSET k 5"], b"int"),
        (["SET k abc", "APPEND k d", "COPY k k2", "RENAME k2 k"], b"raw"),
        (["MSET k 5"], b"int"),
    ],
)
def test_encoding_after_changes(c: Wire, commands: list[str], encoding: bytes) -> None:
    for command in commands:
        c(*command.split())
    assert c("OBJECT", "ENCODING", "k") == encoding


@pytest.mark.parametrize("name", ["ENCODING", "FREQ", "IDLETIME", "REFCOUNT"])
def test_missing_keys_and_arity(c: Wire, name: str) -> None:
    assert c("OBJECT", name, "nothing") == c.null
    expired(c, "k")
    assert c("OBJECT", name, "k") == c.null
    error = arity_error(f"object|{name.lower()}")
    assert c("OBJECT", name) == c("OBJECT", name, "a", "b") == error


def test_refcount(c: Wire) -> None:
    c("SET", "k", "text")
    assert c("OBJECT", "REFCOUNT", "k") == 1
    for value, shared in ((0, True), (9999, True), (10_000, False), (-1, False)):
        c("SET", "k", value)
        assert c("OBJECT", "REFCOUNT", "k") == (2147483647 if shared else 1)


def test_freq(c: Wire) -> None:
    c("SET", "k", "v")
    assert c("OBJECT", "FREQ", "k") == NO_LFU


def test_idletime(c: Wire) -> None:
    c("MSET", "k", "v", "used", "v")
    assert c("OBJECT", "IDLETIME", "k") == 0
    time.sleep(2.1)
    assert c("EXISTS", "k") == 1
    assert c("TYPE", "k") == Status("string")
    assert c("TTL", "k") == -1
    assert c("TOUCH", "used") == 1
    assert c("OBJECT", "IDLETIME", "k") in (2, 3)
    assert c("OBJECT", "IDLETIME", "used") in (0, 1)
    assert c("GET", "k") == b"v"
    assert c("OBJECT", "IDLETIME", "k") in (0, 1)


def test_help(c: Wire) -> None:
    lines = c("OBJECT", "HELP")
    assert lines[0] == Status("OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
    assert lines[-2:] == [Status("HELP"), Status("    Prints this help.")]
    for name in ("ENCODING", "FREQ", "IDLETIME", "REFCOUNT"):
        assert Status(f"{name} <key>") in lines
    assert c("OBJECT", "HELP", "x") == arity_error("object|help")


def test_errors(c: Wire) -> None:
    assert c("OBJECT") == arity_error("object")
    assert c("OBJECT", "FOO") == Error("ERR unknown subcommand 'FOO'. Try OBJECT HELP.")
    assert c("OBJECT", "foo", "k") == Error("ERR unknown subcommand 'foo'. Try OBJECT HELP.")
