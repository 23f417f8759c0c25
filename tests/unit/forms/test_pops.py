"""What was popped, from where."""

from __future__ import annotations

import pytest

from tests.propagation import Origin


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("BLPOP none l 0", "LPOP l"),
        ("BRPOP l 0", "RPOP l"),
        ("BRPOPLPUSH l m 0", "RPOPLPUSH l m"),
        ("BLMOVE l m left Right 0", "LMOVE l m LEFT RIGHT"),
        ("LMPOP 2 none l left COUNT 2", "LPOP l 2"),
        ("LMPOP 1 l RIGHT", "RPOP l 1"),
        ("BLMPOP 0 1 l RIGHT COUNT 9", "RPOP l 3"),
        ("BZPOPMIN none z 0", "ZPOPMIN z"),
        ("BZPOPMAX z 0", "ZPOPMAX z"),
        ("ZMPOP 2 none z max COUNT 9", "ZPOPMAX z 2"),
        ("BZMPOP 0 1 z MIN", "ZPOPMIN z 1"),
    ],
)
def test_at_once_and_later(origin: Origin, command: str, expected: str) -> None:
    make = [("RPUSH", "l", "1", "2", "3"), ("ZADD", "z", "1", "a", "2", "b")]
    for each in make:
        origin.told(*each)
    assert origin.told(*command.split()) == [expected]
    origin.told("FLUSHALL")
    if command[0] == "B":
        sock = origin.connect(*command.split())
        assert origin.lines() == [] and not sock.told
        lines = [line for each in make for line in origin.told(*each)]
        assert [line for line in lines if line not in map(" ".join, make)] == [expected]
        assert lines.index(expected) > 0 and sock.told


def test_members_that_chance_took(origin: Origin) -> None:
    origin.told("SADD", "s", *map(str, range(3000)))
    (one,) = origin.told("SPOP", "s")
    assert one.split()[:2] == ["SREM", "s"] and len(one.split()) == 3
    lines = origin.told("SPOP", "s", "2500")
    assert (lines[0], lines[-1]) == ("MULTI", "EXEC")
    assert [len(line.split()) - 2 for line in lines[1:-1]] == [1024, 1024, 452]
    assert len({member for line in lines[1:-1] for member in line.split()[2:]}) == 2500
    assert origin.told("SPOP", "s", "0") == []
    assert origin.told("SPOP", "s", "1000") == ["DEL s"]
    assert origin.told("SPOP", "s") == []


def test_the_last_member(origin: Origin) -> None:
    origin.told("SADD", "s", "a")
    assert origin.told("SPOP", "s") == ["SREM s a"]
