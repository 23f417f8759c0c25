"""Sums in hashes, and the lives of fields."""

from __future__ import annotations

from tests.propagation import START, Origin

SOON = START + 5000


def test_hincrbyfloat(origin: Origin) -> None:
    assert origin.told("HINCRBYFLOAT", "h", "f", "2.50") == ["HSET h f 2.5"]
    origin.told("HPEXPIRE", "h", "5000", "FIELDS", "1", "f")
    again = f"HPEXPIREAT h {SOON} FIELDS 1 f"
    assert origin.told("HINCRBYFLOAT", "h", "f", "1") == ["MULTI", "HSET h f 3.5", again, "EXEC"]
    assert origin.told("HINCRBYFLOAT", "h", "g", "1") == ["HSET h g 1"]


def test_hexpire(origin: Origin) -> None:
    origin.told("HSET", "h", "f", "1", "g", "2", "i", "3")
    assert origin.told("HEXPIRE", "h", "5", "FIELDS", "3", "f", "none", "g") == [
        f"HPEXPIREAT h {SOON} FIELDS 2 f g"
    ]
    assert origin.told("HPEXPIRE", "h", "9", "XX", "FIELDS", "1", "i") == []
    assert origin.told("HPEXPIREAT", "h", SOON, "NX", "FIELDS", "2", "f", "i") == [
        f"HPEXPIREAT h {SOON} FIELDS 1 i"
    ]
    assert origin.told("HEXPIREAT", "h", "1", "FIELDS", "2", "f", "f") == ["HDEL h f"]
    assert origin.told("HPEXPIRE", "h", "0", "FIELDS", "3", "g", "x", "i") == [
        "MULTI",
        "HDEL h g",
        "HDEL h i",
        "EXEC",
    ]
    assert origin.told("EXISTS", "h") == []


def test_fields_that_expire(origin: Origin) -> None:
    for how in (("HGET", "h", "f"), ("HSET", "h", "f", "3")):
        origin.told("HSET", "h", "f", "1", "g", "2")
        origin.told("HPEXPIRE", "h", "5", "FIELDS", "1", "f")
        origin.now += 6
        lines = origin.told(*how)
        assert lines == (["HDEL h f"] if how[0] == "HGET" else ["MULTI", "HDEL h f", "HSET h f 3", "EXEC"])
    origin.told("HPEXPIRE", "h", "5", "FIELDS", "2", "f", "g")
    origin.now += 1000
    origin.expire()
    assert sorted(origin.lines()) == ["HDEL h f", "HDEL h g"]
