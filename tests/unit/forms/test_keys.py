"""Strings and times to live."""

from __future__ import annotations

import pytest

from tests.propagation import START, Origin

SOON = str(START + 5000)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["EX", "5"], f"SET k v PXAT {SOON}"),
        (["px", "5000", "nx", "GET"], f"SET k v PXAT {SOON}"),
        (["PXAT", "7"], "SET k v PXAT 7"),
        (["GET"], "SET k v"),
        (["get", "NX"], "SET k v NX"),
        (["KEEPTTL"], "SET k v KEEPTTL"),
    ],
)
def test_set(origin: Origin, words: list[str], expected: str) -> None:
    assert origin.told("SET", "k", "v", *words) == [expected]


def test_set_in_vain(origin: Origin) -> None:
    assert origin.told("SET", "k", "v", "XX") == []


def test_setex(origin: Origin) -> None:
    assert origin.told("SETEX", "k", "5", "v") == [f"SET k v PXAT {SOON}"]
    assert origin.told("PSETEX", "k", "5000", "v") == [f"SET k v PXAT {SOON}"]


def test_get_and_change(origin: Origin) -> None:
    assert origin.told("GETSET", "k", "v") == ["SET k v"]
    assert origin.told("GETEX", "k") == []
    assert origin.told("GETEX", "k", "EX", "5") == [f"PEXPIREAT k {SOON}"]
    assert origin.told("GETEX", "k", "persist") == ["PERSIST k"]
    assert origin.told("GETEX", "k", "persist") == []
    assert origin.told("GETDEL", "k") == ["DEL k"]
    assert origin.told("GETDEL", "k") == []
    origin.told("SET", "k", "v")
    assert origin.told("GETEX", "k", "PXAT", "1") == ["DEL k"]


def test_expire(origin: Origin) -> None:
    origin.told("SET", "k", "v")
    assert origin.told("EXPIRE", "k", "5") == [f"PEXPIREAT k {SOON}"]
    assert origin.told("PEXPIRE", "k", "5000", "XX", "lt") == []
    assert origin.told("PEXPIREAT", "k", START + 6000, "gt") == [f"PEXPIREAT k {START + 6000} gt"]
    assert origin.told("EXPIREAT", "k", "1") == ["DEL k"]
    assert origin.told("EXPIREAT", "k", "1") == []


def test_incrbyfloat(origin: Origin) -> None:
    assert origin.told("INCRBYFLOAT", "k", "1.50") == ["SET k 1.5 KEEPTTL"]


def test_restore(origin: Origin) -> None:
    origin.told("SET", "k", "v")
    reply = origin("DUMP", "k")
    payload = reply[reply.index(b"\n") + 1 : -2]
    shown = payload.decode("latin-1")
    assert origin.told("RESTORE", "n", "0", payload) == [f"RESTORE n 0 {shown}"]
    assert origin.told("RESTORE", "n", "5000", payload, "REPLACE") == [
        f"RESTORE n {SOON} {shown} REPLACE ABSTTL"
    ]
    assert origin.told("RESTORE", "m", SOON, payload, "absttl") == [f"RESTORE m {SOON} {shown} absttl"]
    assert origin.told("RESTORE-ASKING", "o", "5000", payload) == [f"RESTORE o {SOON} {shown} ABSTTL"]
    assert origin.told("RESTORE", "n", "1", payload, "REPLACE", "ABSTTL") == ["DEL n"]
    assert origin.told("RESTORE", "n", "1", payload, "REPLACE", "ABSTTL") == []
