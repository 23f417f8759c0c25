"""Values taken apart."""

from __future__ import annotations

from respcache.persistence.commands import entries, field_deadlines
from respcache.store.hash import HashTable, ListpackEx
from tests.unit.persistence.test_rdb_write import LATE, example_stream, mortal


def test_entries() -> None:
    found = [(id >> 64, words) for id, words in entries(example_stream())]
    assert found == [(1000, [b"f", b"v", b"g", b"1"]), (1002, [b"k", b"z"])]


def test_field_deadlines() -> None:
    for kind in (ListpackEx, HashTable):
        assert field_deadlines(mortal(kind, [(b"f", b"v"), (b"g", b"w")], {b"g": LATE})) == {b"g": LATE}
        assert field_deadlines(kind({b"f": b"v"})) == {}
    assert field_deadlines(b"text") == field_deadlines({b"f": b"v"}) == {}
