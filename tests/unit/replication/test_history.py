"""Names, offsets and the backlog."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.replication.history import BLOCK, NOBODY, Backlog, History

X = "a" * 40
Y = "b" * 40


def _history(size: int = 100, offset: int = 0) -> History:
    history = History()
    history.create_backlog(size)
    history.adopt(X, offset)
    return history


def test_a_new_history_is_named_and_empty() -> None:
    history = History()
    assert re.fullmatch("[0-9a-f]{40}", history.id)
    assert (history.id2, history.second_offset, history.offset) == (NOBODY, -1, 0)
    assert (history.backlog, history.first, history.length) == (None, 0, 0)
    assert History().id != history.id


def test_without_backlog_nothing_can_be_continued() -> None:
    history = History()
    assert not history.can_continue(history.id, 1)
    history.feed(b"abc")
    assert history.offset == 3
    assert not history.can_continue(history.id, 4)
    assert history.since(2) == b""


def test_bytes_are_counted_from_one() -> None:
    history = _history()
    history.feed(b"abc")
    assert (history.offset, history.first, history.length) == (3, 1, 3)
    assert [history.since(offset) for offset in (1, 2, 3, 4)] == [b"abc", b"bc", b"c", b""]


@pytest.mark.parametrize(
    ("offset", "good"),
    [(-1, False), (0, False), (10, False), (11, True), (13, True), (14, True), (15, False)],
)
def test_what_is_remembered_can_be_continued(offset: int, good: bool) -> None:
    history = _history(offset=10)
    history.feed(b"abc")
    assert history.can_continue(X, offset) is good
    assert history.can_continue(X.upper(), offset) is good
    assert not history.can_continue(Y, offset)


def test_a_backlog_keeps_as_much_as_it_should() -> None:
    history = _history(size=4)
    history.feed(b"abcdef")
    assert (history.offset, history.first, history.length) == (6, 3, 4)
    assert history.since(3) == b"cdef"
    assert not history.can_continue(X, 2)
    history.resize(2)
    assert (history.first, history.since(5)) == (5, b"ef")
    history.resize(100)
    history.feed(b"g")
    assert history.since(5) == b"efg"
    history.free_backlog()
    assert history.first == 0


def test_promotion_renames_the_history() -> None:
    history = _history()
    history.feed(b"x" * 100)
    history.shift()
    assert (history.id2, history.second_offset, history.offset) == (X, 101, 100)
    assert history.id not in (X, NOBODY)
    history.feed(b"own")
    assert history.can_continue(X, 101)
    assert not history.can_continue(X, 102)
    assert history.can_continue(history.id, 102)
    assert history.since(101) == b"own"


def test_a_master_may_tell_of_a_new_name() -> None:
    history = _history(offset=7)
    history.renamed(Y)
    assert (history.id, history.id2, history.second_offset) == (Y, X, 8)


def test_a_full_sync_leaves_nothing_of_what_was() -> None:
    history = _history()
    history.feed(b"abc")
    history.shift()
    history.adopt(Y, 500)
    assert (history.id, history.id2, history.second_offset, history.offset) == (Y, NOBODY, -1, 500)
    assert (history.first, history.length) == (501, 0)
    assert history.can_continue(Y, 501)


def test_what_a_file_knew_is_the_past_of_a_master() -> None:
    history = History()
    history.create_backlog(100)
    own = history.id
    history.restore(X, 50)
    assert (history.id, history.id2, history.second_offset, history.offset) == (own, X, 51, 50)
    assert history.can_continue(X, 51)


def test_a_new_name_ends_the_past() -> None:
    history = _history(offset=9)
    history.shift()
    history.renew()
    assert (history.id2, history.second_offset, history.offset) == (NOBODY, -1, 9)
    assert history.id != X


def test_old_blocks_go() -> None:
    backlog = Backlog(3 * BLOCK)
    for _ in range(100):
        backlog.feed(b"x" * (BLOCK // 4))
    assert len(backlog) == 3 * BLOCK
    assert backlog.memory <= 4 * BLOCK + BLOCK // 4


@given(
    size=st.integers(1, 300_000),
    pieces=st.lists(st.integers(0, 100_000), max_size=12),
    again=st.integers(1, 300_000),
)
def test_a_backlog_is_the_end_of_the_stream(size: int, pieces: list[int], again: int) -> None:
    backlog, stream = Backlog(size), b""
    for number, count in enumerate(pieces):
        piece = bytes([number]) * count
        backlog.feed(piece)
        stream += piece
        kept = len(backlog)
        assert kept == min(len(stream), size)
        assert backlog.last(kept) == stream[len(stream) - kept :]
    backlog.resize(again)
    kept = len(backlog)
    assert kept <= again
    assert backlog.last(kept) == stream[len(stream) - kept :]
