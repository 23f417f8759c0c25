"""How a handler says that there is no reply yet, or never will be; and who waits for what."""

from __future__ import annotations

import pytest

from respcache.clock import Clock
from respcache.features.blocking import Disconnect, Pause, Waiter, Waiting
from respcache.store.events import (
    READ,
    RENAME_TO,
    SET,
    XGROUP_CREATE,
    XGROUP_CREATECONSUMER,
    XGROUP_DELCONSUMER,
    XGROUP_DESTROY,
    XGROUP_SETID,
    XSETID,
)
from respcache.store.keyspace import Keyspace


@pytest.mark.parametrize("retry", [True, False])
def test_pause(retry: bool) -> None:
    assert Pause(retry).retry is retry
    assert Pause(retry=retry).args == ()


def test_disconnect() -> None:
    assert Disconnect().reply == b""
    assert Disconnect(b"+OK\r\n").reply == b"+OK\r\n"


def test_neither_is_caught_as_a_reply_error() -> None:
    assert issubclass(Pause, Exception) and issubclass(Disconnect, Exception)
    assert not issubclass(Pause, Disconnect) and not issubclass(Disconnect, Pause)


# Waiting


class Guest:
    """A client that may wait."""

    waiter: Waiter | None = None


def waiter(*keys: bytes, gone: bool = False) -> Waiter:
    return Waiter(Guest(), b"string", [(0, key) for key in keys], 0, lambda: None, b"", gone)


@pytest.fixture
def keyspace() -> Keyspace:
    return Keyspace(2, Clock())


def test_a_change_of_a_key_that_is_waited_for_is_noted(keyspace: Keyspace) -> None:
    waiting, db = Waiting(keyspace), keyspace.databases[0]
    first, second = waiter(b"a", b"b"), waiter(b"b", gone=True)
    waiting.add(first)
    waiting.add(second)
    assert (waiting.count, waiting.keys, waiting.keys_of_seekers) == (2, 2, 1)
    assert (waiting.is_sought((0, b"a")), waiting.is_sought((0, b"b"))) == (False, True)
    for key in (b"c", b"b", b"a", b"b"):
        db.set(key, b"x")
    keyspace.databases[1].set(b"a", b"x")
    assert waiting.ready == {(0, b"b"): True, (0, b"a"): True}
    assert [*waiting.ready] == [(0, b"b"), (0, b"a")]
    assert [*waiting.at((0, b"b"))] == [first, second]
    waiting.remove(second)
    assert not waiting.is_sought((0, b"b"))


def test_what_consumer_groups_note_is_no_change(keyspace: Keyspace) -> None:
    waiting, db = Waiting(keyspace), keyspace.databases[0]
    db.set(b"s", b"x")
    waiting.add(waiter(b"s", b"t"))
    for event in (READ, XSETID, XGROUP_CREATE, XGROUP_SETID, XGROUP_CREATECONSUMER, XGROUP_DELCONSUMER):
        db.touch(b"s", event)
    assert not waiting.ready
    db.touch(b"s", XGROUP_DESTROY)
    db.set(b"t", b"x", XGROUP_CREATE)
    assert [*waiting.ready] == [(0, b"s"), (0, b"t")]


def test_who_waits_no_longer(keyspace: Keyspace) -> None:
    waiting = Waiting(keyspace)
    first, second = waiter(b"a", b"a", b"b"), waiter(b"b")
    waiting.add(first)
    waiting.add(second)
    for _ in range(2):
        waiting.remove(first)
        assert (waiting.count, waiting.keys, [*waiting.at((0, b"b"))]) == (1, 1, [second])
    assert first.client.waiter is None and second.client.waiter is second


def test_it_rests_when_it_is_asked_to(keyspace: Keyspace) -> None:
    waiting, db = Waiting(keyspace), keyspace.databases[0]
    assert waiting.rest()
    one = waiter(b"a")
    waiting.add(one)
    assert not waiting.rest()
    waiting.remove(one)
    assert db.listeners == (waiting,)
    assert waiting.rest() and waiting.rest()
    assert not db.listeners and not keyspace.expired


def test_all_keys_of_a_database_may_have_changed(keyspace: Keyspace) -> None:
    waiting = Waiting(keyspace)
    waiting.add(waiter(b"a"))
    keyspace.databases[0].swap(keyspace.databases[1])
    assert [*waiting.ready] == [(0, b"a")]


def test_a_key_that_expires_has_changed(keyspace: Keyspace) -> None:
    waiting, db = Waiting(keyspace), keyspace.databases[0]
    waiting.add(waiter(b"a"))
    db.put(b"a", b"x", 1)
    waiting.ready.clear()
    assert db.get(b"a") is None
    assert [*waiting.ready] == [(0, b"a")]


def test_what_is_made_anew_is_told_from_what_is_overwritten(keyspace: Keyspace) -> None:
    waiting, db = Waiting(keyspace), keyspace.databases[0]
    db.set(b"a", b"x")
    waiting.add(waiter(b"a"))
    db.set(b"a", b"y")
    assert waiting.ready == {(0, b"a"): False}
    db.put(b"a", b"z", None, RENAME_TO)
    assert waiting.ready == {(0, b"a"): True}
    db.touch(b"a", SET)
    assert waiting.ready == {(0, b"a"): True}
