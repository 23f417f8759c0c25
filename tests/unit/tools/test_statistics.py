"""Counting."""

from __future__ import annotations

import pytest

from respcache.persistence.aof_read import AofError
from respcache.tools.statistics import Entries, Log, count, printable


def test_names_of_commands_are_counted_up_to_a_number() -> None:
    log = Log()
    for number in range(3000):
        log.batch(0, [[b"name%d" % number]])
    log.batch(0, [[b"NAME1"], [b"x" * 1000]])
    (line,) = log.lines()
    assert log.commands == 3002
    assert line.startswith("  commands: 3,002 (others 2,001, NAME1 2, ")
    assert line.endswith(", 989 others)")


def test_a_transaction_that_an_error_interrupts() -> None:
    log = Log()
    log.batch(0, [[b"SET", b"a", b"b"], [b"MULTI"], [b"DEL", b"a"]])
    assert log.good(AofError("", 62, 60)) == 27
    log.batch(62, [[b"EXEC"]])
    assert log.good(AofError("", 76, 76)) == 76
    log.batch(76, [[b"Multi"]])
    with pytest.raises(AofError, match="MULTI without EXEC"):
        log.end(91)


def test_times_inside_of_a_transaction() -> None:
    log = Log(until=5)
    log.note(0, b"#TS:5")
    log.batch(10, [[b"MULTI"]])
    log.note(25, b"#TS:6")
    log.note(35, b"#TS:x")
    assert log.later == 10
    assert list(log.lines())[-1] == "  times: 1970-01-01 00:00:05Z to 1970-01-01 00:00:06Z"


def test_entries() -> None:
    entries = Entries(now=10)
    entries.strings(0, [b"a", b"b"], [b"", b""], {b"a": 10})
    entries.entry(3, b"c", {b"f": b"v"}, 11, None, None)
    entries.empty(3, b"d")
    entries.function(b"")
    assert entries.keys == 3
    assert list(entries.lines()) == [
        "  libraries of functions: 1",
        "  left out since empty: 1 key",
        "  db 0: 2 keys (string 2); 1 with a deadline, 1 of them expired",
        "  db 3: 1 key (hash 1); 1 with a deadline, 0 of them expired",
        "  all: 3 keys, 2 with a deadline, 1 of them expired",
    ]


def test_texts() -> None:
    assert (count(1, "key"), count(1234, "key")) == ("1 key", "1,234 keys")
    assert printable(b"a\x1b\xff") == r"a\x1b\xff"
