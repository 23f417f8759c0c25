"""How types read, print and write back; test_directives.py compares them with a real server."""

from __future__ import annotations

import pytest

from respcache.config import Kind
from respcache.kinds import (
    Choice,
    Events,
    Memory,
    MemoryOrPercent,
    Number,
    Octal,
    OutputLimits,
    SavePoints,
    Text,
    Words,
    YesNo,
    addresses,
    output_limits,
    parse_memory,
    save_points,
    show_memory,
)


@pytest.mark.parametrize(
    ("text", "size"), [("1k", 1000), ("1kb", 1024), ("64mb", 64 << 20), ("", 0), ("7", 7)]
)
def test_memory(text: str, size: int) -> None:
    assert parse_memory(text) == size
    assert parse_memory(show_memory(size)) == size


@pytest.mark.parametrize(
    ("kind", "word", "value", "shown"),
    [
        (YesNo(), "YES", True, "yes"),
        (Number(0, 9), "7", 7, "7"),
        (Number(0, 900, (1, 500)), "800", 500, "500"),
        (Memory(0, 1 << 40), "1gb", 1 << 30, "1073741824"),
        (MemoryOrPercent(), "5%", -5, "5%"),
        (MemoryOrPercent(), "5mb", 5 << 20, "5242880"),
        (Choice("one", "two"), "TWO", "two", "two"),
        (Text(), "a b", "a b", "a b"),
        (Octal(), "0700", 0o700, "700"),
        (Events(), "Ex", "xE", "xE"),
    ],
)
def test_a_value_of_one_word(kind: Kind, word: str, value: object, shown: str) -> None:
    assert kind.parse([word], ()) == value
    assert kind.show(value) == shown
    ((written, wanted),) = kind.lines(value, None)
    assert wanted
    assert kind.parse([written.strip('"')], ()) == value


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (YesNo(), "maybe"),
        (Number(0, 9), "10"),
        (Number(0, 9), "01"),
        (Memory(0, 9), "1x"),
        (MemoryOrPercent(), "101%"),
        (Choice("one", "two"), "three"),
        (Text(refuse=(("/", "no"),)), "a/b"),
        (Octal(), "8"),
        (Events(), "q"),
    ],
)
def test_a_word_that_is_refused(kind: Kind, word: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        kind.parse([word], ())


def test_values_of_many_words() -> None:
    assert Words(addresses).parse(["a", "b"], ()) == ("a", "b")
    assert Words(addresses).parse([], ("a",)) == ()
    assert Words(addresses).lines((), ("a",)) == [('""', True)]
    points = SavePoints(save_points)
    assert points.parse(["60", "1"], ((900, 1),)) == ((900, 1), (60, 1))
    assert points.parse([], ((900, 1),)) == ()
    assert points.lines(((900, 1), (60, 1)), ()) == [("900 1", True), ("60 1", True)]
    limits = OutputLimits(output_limits)
    assert limits.parse(["slave", "1kb", "2", "3"], (("replica", (0, 0, 0)),)) == (("replica", (1024, 2, 3)),)
    assert limits.show((("replica", (1024, 2, 3)),)) == "slave 1024 2 3"
