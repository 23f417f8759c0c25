"""Keys that are loaded: they are there, and nothing happened."""

from __future__ import annotations

import pytest

from respcache.clock import Clock
from respcache.store.database import Database
from respcache.store.events import Event
from respcache.store.hash import HashTable, ListpackEx
from respcache.store.keyspace import Keyspace
from respcache.store.load import DuplicateKeyError, load_strings, load_value
from respcache.store.slot import hash_slot

LATE = 4102444800000
KEYS = [b"key:%d" % number for number in range(1000)] + [b"{tag}%d" % number for number in range(100)]


class Ear:
    """Hears what it should not."""

    def changed(self, db: Database, key: bytes, event: Event, fresh: bool) -> None:
        assert not event.name, "a loaded key is no event"

    def missed(self, db: Database, key: bytes) -> None:
        raise AssertionError

    def cleared(self, db: Database, touched: object) -> None:
        raise AssertionError


def check(db: Database, deadlines: dict[bytes, int]) -> None:
    assert db.size == len(KEYS) == len(list(db.keys()))
    assert all(db.shards[hash_slot(key)][key] == b"value of " + key for key in KEYS)
    assert all(db.used[hash_slot(key)] for key in KEYS)
    assert {key: when for key in KEYS if (when := db.deadline(key)) is not None} == deadlines
    assert db.dirty == db.hits == db.misses == 0
    assert db.random_key() in KEYS


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("batch", [1, 7, 5000])
def test_strings(heard: bool, batch: int) -> None:
    keyspace = Keyspace(2, Clock())
    if heard:
        keyspace.listen(Ear())
    db = keyspace.databases[1]
    deadlines = dict.fromkeys(KEYS[::7], LATE)
    for start in range(0, len(KEYS), batch):
        keys = KEYS[start : start + batch]
        values = [b"value of " + key for key in keys]
        load_strings(db, keys, values, {key: deadlines[key] for key in keys if key in deadlines})
    check(db, deadlines)
    assert keyspace.databases[0].size == 0


@pytest.mark.parametrize("key", [KEYS[0], KEYS[-1]])
def test_a_key_that_is_there(key: bytes) -> None:
    db = Keyspace(1, Clock()).databases[0]
    load_strings(db, KEYS, [b"value of " + each for each in KEYS], {})
    with pytest.raises(DuplicateKeyError, match=key.decode()):
        load_strings(db, [b"new", key, b"other"], [b"1", b"2", b"3"], {})
    assert db.size == len(list(db.keys())) == len(KEYS) + 1
    assert db.peek(key) == b"value of " + key
    with pytest.raises(DuplicateKeyError):
        load_value(db, key, b"", None)


def test_the_same_key_twice() -> None:
    db = Keyspace(1, Clock()).databases[0]
    with pytest.raises(DuplicateKeyError, match="'a' in database 0"):
        load_strings(db, [b"a", b"a"], [b"1", b"2"], {})
    assert db.peek(b"a") == b"1"


def test_other_values() -> None:
    db = Keyspace(1, Clock()).databases[0]
    load_value(db, b"h", HashTable({b"f": b"v"}), LATE)
    mortal = ListpackEx({b"f": b"v"})
    mortal.deadlines.set(b"f", LATE)
    load_value(db, b"m", mortal, None)
    assert db.deadline(b"h") == LATE
    assert db.field_deadlines.count == 1
    assert db.dirty == 0
