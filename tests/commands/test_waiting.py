"""WAIT and WAITAOF, without replicas and without an append-only file."""

from __future__ import annotations

import time

import pytest

from tests.commands.conftest import Connect
from tests.wire import OK, Error, Status, Wire, arity_error


def test_nobody_to_wait_for(c: Wire) -> None:
    c("SET", "k", "v")
    assert c("WAIT", 0, 0) == 0
    assert c("WAIT", -1, 100_000) == 0


def test_waiting_in_vain(c: Wire) -> None:
    since = time.monotonic()
    assert c("WAIT", 1, 50) == 0
    assert 0.04 < time.monotonic() - since < 3


def test_for_ever_until_unblocked(c: Wire, connect: Connect) -> None:
    other = connect()
    number = c("CLIENT", "ID")
    for reason, reply in (("TIMEOUT", 0), ("ERROR", Error("UNBLOCKED client unblocked via CLIENT UNBLOCK"))):
        c.send("WAIT", 1, 0)
        while other("CLIENT", "UNBLOCK", number, reason) == 0:
            pass
        assert c.read() == reply


def test_not_in_a_transaction(c: Wire) -> None:
    assert c("MULTI") == OK
    assert c("WAIT", 1, 0) == Status("QUEUED")
    assert c("EXEC") == [0]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("x", 0), "ERR value is not an integer or out of range"),
        ((1, "x"), "ERR timeout is not an integer or out of range"),
        ((1, "1.5"), "ERR timeout is not an integer or out of range"),
        ((1, -1), "ERR timeout is negative"),
    ],
)
def test_bad_arguments(c: Wire, arguments: tuple[str | int, ...], error: str) -> None:
    assert c("WAIT", *arguments) == Error(error)
    assert c("WAIT", 1) == arity_error("wait")


@pytest.mark.since("7.2")
def test_waitaof(c: Wire) -> None:
    assert c("WAITAOF", 0, 0, 0) == [0, 0]
    assert c("WAITAOF", 0, 1, 10) == [0, 0]
    disabled = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
    assert c("WAITAOF", 1, 0, 0) == Error(disabled)
    assert c("WAITAOF", 2, 0, 0) == Error("ERR value is out of range, value must between 0 and 1")
    assert c("WAITAOF", 0, -1, 0) == Error("ERR value is out of range, must be positive")
    assert c("WAITAOF", "x", 0, 0) == Error("ERR value is not an integer or out of range")
    assert c("WAITAOF", 0, 0, -1) == Error("ERR timeout is negative")
