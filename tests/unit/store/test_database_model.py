"""Databases beside plain dicts: whatever is done to both, they agree."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from respcache.clock import Clock
from respcache.store.events import RENAME_FROM, SET
from respcache.store.keyspace import Keyspace
from tests.unit.store.test_database import Time

KEYS = st.sampled_from([b"a", b"b", b"c", b"{a}1", b"{a}2", b""])
WHEN = st.integers(-5, 60)


class Model(RuleBasedStateMachine):
    """Two databases beside plain dicts of value and deadline."""

    @initialize()
    def start(self) -> None:
        self.time = Time()
        self.keyspace = Keyspace(2, Clock(self.time))
        self.models: list[dict[bytes, tuple[bytes, int | None]]] = [{}, {}]

    def live(self, number: int) -> dict[bytes, tuple[bytes, int | None]]:
        model = self.models[number]
        for key in [key for key, (_, when) in model.items() if when is not None and when <= self.time.now]:
            del model[key]
        return model

    @rule(number=st.integers(0, 1), key=KEYS, value=st.binary(max_size=2))
    def set(self, number: int, key: bytes, value: bytes) -> None:
        self.keyspace.databases[number].set(key, value)
        self.live(number)[key] = (value, None)

    @rule(number=st.integers(0, 1), key=KEYS, value=st.binary(max_size=2), wait=WHEN)
    def put(self, number: int, key: bytes, value: bytes, wait: int) -> None:
        self.keyspace.databases[number].put(key, value, self.time.now + wait)
        self.live(number)[key] = (value, self.time.now + wait)

    @rule(number=st.integers(0, 1), key=KEYS, value=st.binary(max_size=2))
    def replace(self, number: int, key: bytes, value: bytes) -> None:
        db, model = self.keyspace.databases[number], self.live(number)
        db.peek(key)
        db.replace(key, value, SET)
        model[key] = (value, model.get(key, (b"", None))[1])

    @rule(number=st.integers(0, 1), key=KEYS)
    def get(self, number: int, key: bytes) -> None:
        found = self.live(number).get(key)
        assert self.keyspace.databases[number].get(key) == (found and found[0])

    @rule(number=st.integers(0, 1), key=KEYS)
    def delete(self, number: int, key: bytes) -> None:
        found = self.live(number).pop(key, None)
        assert self.keyspace.databases[number].delete(key) is (found is not None)

    @rule(source=st.integers(0, 1), other=st.integers(0, 1), key=KEYS, newkey=KEYS)
    def move(self, source: int, other: int, key: bytes, newkey: bytes) -> None:
        found = self.live(source).pop(key, None)
        taken = self.keyspace.databases[source].take(key, RENAME_FROM)
        assert taken == found
        if taken is not None:
            self.keyspace.databases[other].put(newkey, *taken)
            self.live(other)[newkey] = taken

    @rule(number=st.integers(0, 1), key=KEYS, wait=WHEN)
    def expire(self, number: int, key: bytes, wait: int) -> None:
        db, model = self.keyspace.databases[number], self.live(number)
        if key in db:
            db.expire_at(key, self.time.now + wait)
            model[key] = (model[key][0], self.time.now + wait)

    @rule(number=st.integers(0, 1), key=KEYS)
    def persist(self, number: int, key: bytes) -> None:
        db, model = self.keyspace.databases[number], self.live(number)
        if key in db:
            assert db.persist(key) is (model[key][1] is not None)
            model[key] = (model[key][0], None)

    @rule(number=st.integers(0, 1))
    def clear(self, number: int) -> None:
        self.keyspace.databases[number].clear()
        self.models[number].clear()

    @rule()
    def swap(self) -> None:
        one, other = self.keyspace.databases
        one.swap(other)
        self.models.reverse()

    @rule(number=st.integers(0, 1))
    def random_key(self, number: int) -> None:
        found = self.keyspace.databases[number].random_key()
        assert found in self.live(number) if found is not None else not self.live(number)

    @rule(wait=st.integers(0, 300))
    def wait(self, wait: int) -> None:
        self.time.now += wait

    @rule()
    def expire_due(self) -> None:
        while self.keyspace.expire_due(0):
            pass
        while self.keyspace.graveyard.free_slice(0):
            pass

    @invariant()
    def the_counters_are_right(self) -> None:
        for number, db in enumerate(self.keyspace.databases):
            model = self.live(number)
            assert sorted(db.keys()) == sorted(model)
            assert db.size == sum(map(len, db.shards)) >= len(model)
            assert bytes(map(bool, db.shards)) == db.used
            deadlines = [when for shard in db.deadlines.slots.values() for when in shard.values()]
            assert (db.deadlines.count, db.deadlines.total) == (len(deadlines), sum(deadlines))
            assert {key: db.deadline(key) for key in model} == {key: when for key, (_, when) in model.items()}


TestModel = Model.TestCase
