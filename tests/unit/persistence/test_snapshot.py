"""persistence/snapshot.py: a file holds what was there at one moment, whatever is done while it is written."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.clock import Clock
from respcache.execute import execute
from respcache.features.blocking import Disconnect, Pause
from respcache.persistence import rdb_write, snapshot
from respcache.persistence.encode import CommandEncoder, Encoder, RdbEncoder
from respcache.persistence.rdb_build import Limits
from respcache.persistence.rdb_read import Handler, Value, read_file
from respcache.persistence.snapshot import Snapshot
from respcache.persistence.source import Read, Source
from respcache.server import Server
from respcache.state import Client
from respcache.store import lazyfree
from respcache.store.digest import digest_of_all
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
    deadlines = [{key: db.deadline(key) for key in list(db.keys())} for db in keyspace.databases]
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

    def snapshot(self, encoder: Encoder | None = None) -> Snapshot:
        version = rdb_write.file_version(self.keyspace.databases)
        return Snapshot(self.keyspace, encoder or RdbEncoder(rdb_write.Format(version)))


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


# One thing after another


def test_a_change_is_not_in_the_file(process: Process) -> None:
    for number in range(100):
        process("SET", b"key:%d" % number, number)
    expected = contents(process.keyspace)
    taken = process.snapshot()
    assert taken.total_keys == 100
    process("DEL", "key:1")
    process("SET", "key:2", "other")
    process("EXPIRE", "key:3", 1000)
    process("SET", "new", "new")
    process("FLUSHALL")
    process("SET", "key:4", "other")
    assert contents(finished(taken, process)) == expected
    assert taken.done_keys == 100


def test_a_flushed_database_is_freed_when_it_is_written(process: Process) -> None:
    for number in range(2000):
        process("SET", b"key:%d" % number, number)
    taken = process.snapshot()
    process("FLUSHALL")
    assert len(process.keyspace.graveyard) == 0
    assert len(loaded(out_of(taken), process.state.clock).keyspace.databases[0].shards) > 0
    assert len(process.keyspace.graveyard) > 0


def out_of(taken: Snapshot) -> bytes:
    out: list[bytes] = []
    taken.run_now(out.append)
    return b"".join(out)


def test_a_big_value_that_is_being_written_is_finished_before_it_changes(process: Process) -> None:
    process("SADD", "big", *range(5000))
    process("SADD", "other", "x")
    expected = contents(process.keyspace)
    taken = process.snapshot()
    for _ in range(4):
        next(taken._walk)
    assert taken.current is not None
    process("SADD", "other", "y")  # goes behind the big one
    process("SADD", "big", "new")
    process("DEL", "big")
    assert contents(finished(taken, process)) == expected


def test_a_big_value_is_copied_once(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    process("SADD", "{t}a", *range(5000))
    expected = contents(process.keyspace)
    taken = process.snapshot()
    copied: list[int] = []
    plain = SetTable.copy

    def copy(table: SetTable) -> SetTable:
        copied.append(len(table))
        return plain(table)

    monkeypatch.setattr(SetTable, "copy", copy)
    for number in range(10):
        process("SADD", "{t}a", b"new%d" % number)
    assert copied == [5000]
    assert contents(finished(taken, process)) == expected


def test_two_databases_that_change_places(process: Process) -> None:
    process("SET", "a", "0")
    process("SELECT", 1)
    process("SET", "b", "1")
    expected = contents(process.keyspace)
    taken = process.snapshot()
    process("SWAPDB", 0, 1)
    process("SET", "a", "changed")
    process("SELECT", 0)
    process("SET", "b", "changed")
    process("FLUSHDB")
    assert contents(finished(taken, process)) == expected


def test_commands_make_the_same_data(process: Process) -> None:
    process("SET", "a", "1", "PX", 10**12)
    process("RPUSH", "l", *range(1000))
    process("SELECT", 3)
    process("HSET", "h", "f", "v")
    process("SADD", "s", *range(2000))
    expected = contents(process.keyspace)
    text = out_of(process.snapshot(CommandEncoder()))
    other = Process()
    requests = hiredis.Reader()
    requests.feed(text)
    while (argv := requests.gets()) is not False:
        assert not other(*argv).startswith(b"-")
    assert contents(other.keyspace) == expected
    other.state.loop.close()


# In the loop


def test_it_runs_beside_others(process: Process) -> None:
    for number in range(20_000):
        process("SET", b"key:%d" % number, b"value:%d" % number)
    expected = contents(process.keyspace)
    out: list[bytes] = []

    async def write(data: bytes) -> None:
        out.append(data)

    async def main() -> None:
        taken = process.snapshot()
        running = asyncio.ensure_future(taken.run(write))
        turns = 0
        while not running.done():
            process("SET", b"key:%d" % (turns * 97 % 20_000), "changed")
            turns += 1
            await asyncio.sleep(0)
        assert turns > 3
        await running

    process.state.loop.run_until_complete(main())
    assert contents(loaded(b"".join(out), process.state.clock).keyspace) == expected


def test_it_takes_a_share_of_a_busy_loop(process: Process) -> None:
    for number in range(50_000):
        process("SET", b"key:%d" % number, b"value:%d" % number)

    async def write(_data: bytes) -> None:
        """Nowhere."""

    async def main() -> tuple[float, float]:
        running = asyncio.ensure_future(process.snapshot().run(write))
        busy, since = 0.0, time.thread_time()
        while not running.done():
            begun = time.thread_time()
            while time.thread_time() - begun < 0.0005:
                process("GET", "key:1")
            busy += time.thread_time() - begun
            await asyncio.sleep(0)
        return busy, time.thread_time() - since

    busy, everything = process.state.loop.run_until_complete(main())
    assert busy / everything > 0.6


def test_what_the_writer_raises_ends_it(process: Process) -> None:
    process("SET", "a", "1")

    async def write(_data: bytes) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        process.state.loop.run_until_complete(process.snapshot().run(write))
    assert process.keyspace.databases[0].keeper is None


def test_a_cancelled_one_lets_go(process: Process) -> None:
    process("SET", "a", "1")

    async def write(_data: bytes) -> None:
        """Nowhere."""

    taken = process.snapshot()
    taken.cancel()
    with pytest.raises(asyncio.CancelledError):
        process.state.loop.run_until_complete(taken.run(write))
    assert process.keyspace.databases[0].keeper is None
