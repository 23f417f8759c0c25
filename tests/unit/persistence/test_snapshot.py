"""persistence/snapshot.py: a file holds what was there at one moment, whatever is done while it is written."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.clock import Clock
from respcache.execute import execute
from respcache.features.blocking import Disconnect, Pause
from respcache.persistence import rdb_write, snapshot
from respcache.persistence.encode import CommandEncoder, RdbEncoder
from respcache.persistence.rdb_build import Limits
from respcache.persistence.rdb_read import Handler, Value, read_file
from respcache.persistence.snapshot import Snapshot
from respcache.persistence.source import Read, Source
from respcache.server import Server
from respcache.state import Client
from respcache.store import lazyfree
from respcache.store.digest import digest_of_all
from respcache.store.hashtable import Table
from respcache.store.keyspace import Keyspace
from respcache.store.preserved import PreservedDatabase
from respcache.store.set import SetTable
from tests.differential.machine import Command, command, differential, sequences
from tests.differential.test_bitmaps_machine import BITMAPS
from tests.differential.test_geo_machine import GEO
from tests.differential.test_hashes_machine import HASHES
from tests.differential.test_hyperloglog_machine import HYPERLOGLOGS
from tests.differential.test_keys_machine import BASE, DATABASES, NAMES, TIMES
from tests.differential.test_lists_machine import LISTS
from tests.differential.test_sets_machine import ALGEBRA, CHANCE, SETS
from tests.differential.test_sort_machine import SORTS
from tests.differential.test_streams_machine import ENTRIES, READERS
from tests.differential.test_strings_machine import COUNTERS, STRINGS
from tests.differential.test_zsets_machine import CHANGES
from tests.unit.test_state import FakeLink
from tests.wire import encode

CROWD = [command("SET", st.sampled_from([b"{t}%d" % number for number in range(6)]), "x")]
EVERYTHING = (
    *(BITMAPS, GEO, HASHES, HYPERLOGLOGS, BASE, DATABASES, NAMES, TIMES, LISTS, ALGEBRA, CHANCE, SETS, SORTS),
    *(ENTRIES, READERS, COUNTERS, STRINGS, CHANGES, CROWD),
)


class Loaded(Handler):
    """A keyspace made of a file."""

    def __init__(self, clock: Clock) -> None:
        self.keyspace = Keyspace(16, clock)
        self.keys = 0

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        assert key not in self.keyspace.databases[db], "twice in the file"
        self.keys += 1
        shard = self.keyspace.databases[db]
        shard.put(key, value, deadline)


def loaded(data: bytes, clock: Clock) -> Loaded:
    handler = Loaded(clock)
    source = Source(reader(data), checksum=True)
    for _ in read_file(source, Limits(), handler):
        pass
    return handler


def reader(data: bytes) -> Read:
    rest = [data]

    def read(_count: int) -> bytes:
        return rest.pop() if rest else b""

    return read


def contents(keyspace: Keyspace) -> tuple[bytes, list[dict[bytes, int | None]]]:
    """The digest of all data, and all deadlines, which it does not tell apart."""
    deadlines = [{key: db.deadline(key) for key in db.keys()} for db in keyspace.databases]
    return digest_of_all(keyspace.databases), deadlines


def finished(taken: Snapshot, process: Process) -> Keyspace:
    """What the file holds."""
    out: list[bytes] = []
    taken.run_now(out.append)
    return loaded(b"".join(out), process.state.clock).keyspace


class Process:
    """A server without sockets, and one client."""

    def __init__(self) -> None:
        self.now = 1_790_000_000_000
        self.state = Server(port=0, clock=Clock(lambda: self.now), enable_debug_command="yes").state
        self.state.loop = asyncio.new_event_loop()
        self.client = Client(self.state, FakeLink(), b"127.0.0.1:1", b"127.0.0.1:2", False)

    def __call__(self, *words: object) -> bytes:
        argv = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        try:
            reply = execute(self.client, argv)
        except (Pause, Disconnect):
            if self.client.waiter is not None:
                self.state.waiting.remove(self.client.waiter)
            self.client.paused = False
            reply = b""
        if self.state.waiting.ready:
            self.state.waiting.ready.clear()
        return reply

    @property
    def keyspace(self) -> Keyspace:
        return self.state.keyspace

    def snapshot(self) -> Snapshot:
        version = rdb_write.file_version(self.keyspace.databases)
        return Snapshot(self.keyspace, RdbEncoder(rdb_write.Format(version)))


@pytest.fixture
def process() -> Iterator[Process]:
    made = Process()
    yield made
    made.state.loop.close()


def words(made: Command) -> list[bytes]:
    return [word if isinstance(word, bytes) else str(word).encode() for word in made]


@given(sequences(*EVERYTHING), sequences(*EVERYTHING), st.integers(0, 1 << 30))
@differential(examples=60)
def test_whatever_is_done_meanwhile(before: list[Command], after: list[Command], seed: int) -> None:
    few = pytest.MonkeyPatch()
    few.setattr(lazyfree, "HEAVY", 3)
    few.setattr(snapshot, "_MANY", 2)
    process, chance = Process(), random.Random(seed)
    try:
        for made in before:
            process(*made)
        while after:
            expected = contents(process.keyspace)
            taken = process.snapshot()
            for made in after[:4]:
                if chance.random() < 0.3:
                    next(taken._walk, None)
                process(*made)
            del after[:4]
            assert contents(finished(taken, process)) == expected
            assert not any(isinstance(db, PreservedDatabase) for db in process.keyspace.databases)
    finally:
        process.state.loop.close()
        few.undo()
