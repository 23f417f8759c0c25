"""The slow log: newest first, cut, bounded."""

from __future__ import annotations

from respcache.features.slowlog import SlowLog


def _add(log: SlowLog, *argv: bytes) -> None:
    log.add(1_700_000_000, 20_000, argv, b"127.0.0.1:1", b"name")


def test_newest_first_and_bounded() -> None:
    log = SlowLog(2)
    for word in (b"a", b"b", b"c"):
        _add(log, word)
    assert [(entry.id, entry.argv) for entry in log.entries] == [(2, (b"c",)), (1, (b"b",))]
    first = log.entries[0]
    assert (first.unix_seconds, first.microseconds) == (1_700_000_000, 20_000)
    assert (first.peer, first.client_name) == (b"127.0.0.1:1", b"name")


def test_numbers_go_on_after_a_reset() -> None:
    log = SlowLog(4)
    _add(log, b"a")
    log.entries.clear()
    _add(log, b"b")
    assert [entry.id for entry in log.entries] == [1]


def test_resize_keeps_the_newest() -> None:
    log = SlowLog(3)
    for word in (b"a", b"b", b"c"):
        _add(log, word)
    log.resize(2)
    assert [entry.id for entry in log.entries] == [2, 1]
    log.resize(4)
    _add(log, b"d")
    assert [entry.id for entry in log.entries] == [3, 2, 1]
    log.resize(0)
    _add(log, b"e")
    assert not log.entries


def test_long_words_are_cut() -> None:
    log = SlowLog(1)
    _add(log, b"SET", b"x" * 128, b"y" * 129)
    assert log.entries[0].argv == (b"SET", b"x" * 128, b"y" * 128 + b"... (1 more bytes)")


def test_many_words_are_cut() -> None:
    log = SlowLog(2)
    _add(log, *[b"w"] * 32)
    _add(log, *[b"w"] * 40)
    assert log.entries[1].argv == (b"w",) * 32
    assert log.entries[0].argv == (*[b"w"] * 31, b"... (9 more arguments)")
