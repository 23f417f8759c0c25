"""The buffer of what is propagated: databases, units, who is woken."""

from __future__ import annotations

import pytest

from respcache.clock import Clock
from respcache.features.propagate import Propagator
from respcache.store.keyspace import Keyspace
from tests.wire import encode


class Taker:
    """A propagator that was started, and how often it woke somebody."""

    def __init__(self) -> None:
        self.now = 1000
        self.keyspace = Keyspace(4, Clock(lambda: self.now))
        self.woken = 0
        self.it = Propagator(self.keyspace, self._wake)
        self.it.start()
        self.first, self.second, *_ = self.keyspace.databases

    def _wake(self) -> None:
        self.woken += 1

    def taken(self, *expected: str) -> bool:
        """Whether exactly these commands are there; they are taken."""
        return self.it.take() == b"".join(encode(*line.split()) for line in expected)


@pytest.fixture
def taker() -> Taker:
    return Taker()


def test_select_where_the_database_changes(taker: Taker) -> None:
    taker.it.add(taker.first, b"SET", b"a", b"1")
    taker.it.add(taker.first, b"SET", b"b", b"2")
    taker.it.add(taker.second, b"SET", b"a", b"3")
    assert taker.taken("SELECT 0", "SET a 1", "SET b 2", "SELECT 1", "SET a 3")
    taker.it.add(taker.second, b"DEL", b"a")
    assert taker.taken("DEL a")
    taker.it.reselect()
    taker.it.add(taker.second, b"DEL", b"a")
    assert taker.taken("SELECT 1", "DEL a")


def test_wakes_when_there_is_something_again(taker: Taker) -> None:
    assert taker.it.take() == b"" and taker.woken == 0
    for _ in range(2):
        taker.it.add_all(taker.first, [(b"DEL", b"a"), (b"DEL", b"b")])
    assert taker.woken == 1
    taker.it.take()
    taker.it.add_all(taker.first, [])
    assert taker.woken == 1
    taker.it.add(taker.first, b"DEL", b"a")
    assert taker.woken == 2


def test_the_buffer_stays_the_same_list(taker: Taker) -> None:
    buffer = taker.it.buffer
    taker.it.add(taker.first, b"DEL", b"a")
    taker.it.take()
    assert taker.it.buffer is buffer and not buffer


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_unit_of_more_than_one(taker: Taker, count: int) -> None:
    taker.it.add(taker.first, b"DEL", b"before")
    mark = taker.it.begin()
    for _ in range(count):
        taker.it.add(taker.second, b"DEL", b"a")
    taker.it.end(mark)
    select = ["SELECT 1"] * (count > 0)
    around = (["MULTI"], ["EXEC"]) if count > 1 else ([], [])
    assert taker.taken("SELECT 0", "DEL before", *around[0], *select, *["DEL a"] * count, *around[1])


def test_a_unit_inside_of_another_is_none(taker: Taker) -> None:
    outer = taker.it.begin()
    for _ in range(2):
        inner = taker.it.begin()
        taker.it.add_all(taker.first, [(b"DEL", b"a"), (b"DEL", b"b")])
        taker.it.settle(len(taker.it.buffer) - 2)
        taker.it.end(inner)
    taker.it.end(outer)
    assert taker.taken("MULTI", "SELECT 0", *["DEL a", "DEL b"] * 2, "EXEC")


def test_an_open_unit_is_not_taken(taker: Taker) -> None:
    taker.it.add(taker.first, b"DEL", b"before")
    mark = taker.it.begin()
    taker.it.add(taker.first, b"DEL", b"a")
    assert taker.taken("SELECT 0", "DEL before")
    taker.it.add(taker.first, b"DEL", b"b")
    assert taker.it.take() == b""
    assert taker.woken == 1
    taker.it.end(mark)
    assert taker.woken == 2, "of what was left behind"
    assert taker.taken("MULTI", "DEL a", "DEL b", "EXEC")
    mark = taker.it.begin()
    taker.it.take()
    taker.it.end(mark)
    assert taker.woken == 2


def test_settle_is_told_of_what_others_put_there(taker: Taker) -> None:
    taker.it.buffer.append(encode("DEL", "a"))
    taker.it.settle(0, True)
    assert taker.woken == 1
    taker.it.buffer.append(encode("DEL", "b"))
    taker.it.settle(1, True)
    assert taker.taken("DEL a", "DEL b")
    taker.it.add(taker.first, b"DEL", b"gone")
    taker.it.buffer.append(encode("SET", "gone", "1"))
    taker.it.settle(0)
    assert taker.woken == 2
    assert taker.taken("MULTI", "SELECT 0", "DEL gone", "SET gone 1", "EXEC")


def test_what_databases_do_by_themselves(taker: Taker) -> None:
    taker.second.put(b"k", b"v", 1010)
    taker.now = 1010
    assert taker.second.get(b"k") is None
    assert taker.taken("SELECT 1", "DEL k")
    for tell in taker.keyspace.evicted:
        tell(taker.second, b"e")
    taker.it.fields_deleted(taker.second, b"h", [b"f", b"g"])
    assert taker.taken("DEL e", "HDEL h f", "HDEL h g")


def test_nothing_is_added_while_it_is_stopped(taker: Taker) -> None:
    taker.it.start()  # once more does no harm
    taker.it.add(taker.first, b"DEL", b"a")
    taker.it.stop()
    taker.it.stop()
    taker.it.add(taker.first, b"DEL", b"b")
    assert not taker.keyspace.expired and not taker.keyspace.evicted
    assert all(db.on_fields_expired is None for db in taker.keyspace.databases)
    assert taker.it.database is None
    assert taker.taken("SELECT 0", "DEL a")
    taker.it.start()
    taker.it.add(taker.first, b"DEL", b"c")
    assert taker.taken("SELECT 0", "DEL c")


# Taps


class Tapped:
    """A propagator with two who take from it."""

    def __init__(self) -> None:
        keyspace = Keyspace(2, Clock())
        self.db = keyspace.databases[0]
        self.woken: list[str] = []
        self.it = Propagator(keyspace)
        self.first = self.it.tap(lambda: self.woken.append("first"))
        self.second = self.it.tap(lambda: self.woken.append("second"))

    def add(self, word: str) -> None:
        self.it.add(self.db, word.encode())


def test_each_tap_gets_everything_at_its_own_time() -> None:
    tapped = Tapped()
    tapped.add("A")
    assert tapped.woken == ["first", "second"]
    assert tapped.first.take() == encode("SELECT", "0") + encode("A")
    tapped.add("B")
    assert tapped.first.take() == encode("B")
    tapped.add("C")
    assert tapped.second.size == len(encode("SELECT", "0")) + 3 * len(encode("A"))
    assert tapped.second.take() == b"".join(encode(*words) for words in (("SELECT", "0"), "A", "B", "C"))
    assert tapped.first.take() == encode("C")
    assert (tapped.first.take(), tapped.second.take(), tapped.first.size) == (b"", b"", 0)


def test_a_tap_gets_nothing_of_what_was_before_it() -> None:
    tapped = Tapped()
    tapped.add("A")
    third = tapped.it.tap()
    tapped.add("B")
    assert third.take() == encode("SELECT", "0") + encode("B")
    assert tapped.first.take().endswith(encode("A") + encode("SELECT", "0") + encode("B"))


def test_a_unit_is_not_torn_by_a_tap() -> None:
    tapped = Tapped()
    tapped.add("A")
    mark = tapped.it.begin()
    tapped.add("B")
    assert tapped.first.take() == encode("SELECT", "0") + encode("A")
    tapped.add("C")
    tapped.it.end(mark)
    unit = b"".join(encode(word) for word in ("MULTI", "B", "C", "EXEC"))
    assert tapped.first.take() == unit
    assert tapped.second.take() == encode("SELECT", "0") + encode("A") + unit


def test_the_propagator_runs_while_somebody_takes() -> None:
    tapped = Tapped()
    tapped.first.close()
    tapped.add("A")
    assert tapped.it.on and tapped.second.size
    tapped.second.close()
    tapped.second.close()
    assert not tapped.it.on and not tapped.it.buffer
    tapped.add("B")
    assert not tapped.it.buffer
