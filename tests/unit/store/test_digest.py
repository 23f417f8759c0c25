"""Digests. That they are those of a real server is tested in `tests/commands/test_debug.py`."""

from __future__ import annotations

import random

from respcache.clock import Clock
from respcache.store.digest import digest_of_all, digest_of_value
from respcache.store.hash import HashTable, ListpackEx
from respcache.store.keyspace import Keyspace
from respcache.store.list import make_list
from respcache.store.set import IntSet, SetTable
from respcache.store.zset import ZSet

ZEROS = bytes(20)


def test_strings() -> None:
    db = Keyspace(1, Clock()).databases[0]
    assert digest_of_value(db, b"k") == ZEROS
    db.set(b"k", b"v")
    assert digest_of_value(db, b"k").hex() == "d79ee9fe5d5ad902d7f6620efc3b07b75ddd742f"
    seen = set()
    for value in (b"12", 12, bytearray(b"12")):
        db.set(b"k", value)
        seen.add(digest_of_value(db, b"k"))
    assert {found.hex() for found in seen} == {"655ac46b180ad2f61a3cee25f0b1780fa2ec879a"}
    db.expire_at(b"k", 1 << 50)
    assert digest_of_value(db, b"k") not in seen


def test_the_encoding_does_not_matter() -> None:
    db = Keyspace(1, Clock()).databases[0]
    words = {b"%d" % n: b"%d" % (n * n) for n in range(40)}
    scores = {word: float(number) for number, word in enumerate(words)}
    for kinds in (
        (dict(words), ListpackEx(words), HashTable(words)),
        (IntSet.fromkeys(words), SetTable(dict.fromkeys(words))),
        (ZSet.of(scores, 128, 64), ZSet.of(scores, 0, 0)),
        (make_list(list(words), -2), make_list(list(words), 3)),
    ):
        found = set()
        for value in kinds:
            db.set(b"k", value)
            found.add(digest_of_value(db, b"k"))
        assert len(found) == 1


def test_all_data() -> None:
    keyspace = Keyspace(3, Clock())
    assert digest_of_all(keyspace.databases) == ZEROS
    names = [b"%d" % n for n in range(50)]
    found = set()
    for _ in range(2):
        keyspace = Keyspace(3, Clock())
        random.shuffle(names)
        for name in names:
            keyspace.databases[2].set(name, name)
        found.add(digest_of_all(keyspace.databases))
    assert len(found) == 1
    keyspace.databases[2].set(b"7", b"x")
    found.add(digest_of_all(keyspace.databases))
    keyspace.databases[2].swap(keyspace.databases[1])
    found.add(digest_of_all(keyspace.databases))
    assert len(found) == 3


def test_the_dead_do_not_count() -> None:
    now = 1000
    keyspace = Keyspace(1, Clock(lambda: now))
    db = keyspace.databases[0]
    db.set(b"k", b"v")
    seen = digest_of_all(keyspace.databases)
    db.put(b"dead", b"v", 1500)
    assert digest_of_all(keyspace.databases) != seen
    now = 1500
    assert digest_of_all(keyspace.databases) == seen
