"""What comes out of a file, what is refused, and how a load is told of and ended."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from respcache import loading as module
from respcache.clock import Clock
from respcache.loading import LoadError, Loading, LoadingStopped, load_dump, reload
from respcache.persistence import crc64, rdb_write
from respcache.server import Server
from respcache.state import ServerState
from respcache.store.access import Frequency, Recency
from respcache.store.digest import digest_of_all
from respcache.store.hash import ListpackEx
from respcache.store.list import make_list

NOW = 1_800_000_000_000
FUNCTION = b"#!lua name=l\n"


def state_of(directory: Path, **directives: Any) -> ServerState:
    state = Server(port=0, clock=Clock(lambda: NOW), dir=str(directory), save="", **directives).state
    state.loop = asyncio.get_event_loop_policy().new_event_loop()
    state.loop.close()
    return state


def entry(key: bytes, value: Any, deadline: int | None = None) -> bytes:
    return b"".join(rdb_write.entry_pieces(key, value, deadline))


def file_of(directory: Path, *parts: bytes, db: int = 0, damage: Callable[[bytes], bytes] = bytes) -> Path:
    data = rdb_write.header(12) + rdb_write.select_db(db, len(parts), 0) + b"".join(parts)
    path = directory / "dump.rdb"
    path.write_bytes(damage(data + rdb_write.end(crc64.update(0, data))))
    return path


def load(state: ServerState) -> None:
    asyncio.run(load_dump(state))


def test_no_file(tmp_path: Path) -> None:
    state = state_of(tmp_path)
    load(state)
    assert state.loading is None
    assert state.keyspace.databases[0].size == 0


def test_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "respcache")
    mortal = ListpackEx({b"f": b"v"})
    mortal.deadlines.set(b"f", NOW + 1)
    path = file_of(
        tmp_path,
        rdb_write.aux(b"redis-ver", b"7.0.15"),
        rdb_write.aux(b"ctime", b"%d" % (NOW // 1000 - 60)),
        rdb_write.aux(b"used-mem", b"1048576"),
        rdb_write.aux(b"unknown", b"x"),
        rdb_write.function(FUNCTION),
        rdb_write.function(FUNCTION),
        entry(b"s", b"v"),
        entry(b"n", 12, NOW + 1),
        entry(b"dead", b"x", NOW),
        entry(b"dead list", make_list([b"a"], -2), NOW - 1),
        entry(b"l", make_list([b"a", b"b"], -2), NOW + 5),
        entry(b"h", mortal),
        b"\x02\x05empty\x00",
        db=3,
    )
    state = state_of(tmp_path)
    load(state)
    db = state.keyspace.databases[3]
    assert sorted(db.keys()) == [b"h", b"l", b"n", b"s"]
    assert db.peek(b"n") == b"12"
    assert [db.deadline(key) for key in (b"s", b"n", b"l")] == [None, NOW + 1, NOW + 5]
    assert db.field_deadlines.count == 1
    assert state.keyspace.dirty == state.saving.changes == state.keyspace.expired_keys == 0
    info = state.saving.info()
    assert (info["rdb_last_load_keys_loaded"], info["rdb_last_load_keys_expired"]) == (4, 2)
    assert state.loading is None
    assert caplog.messages[:3] == [
        "Loading RDB produced by version 7.0.15",
        "RDB age 60 seconds",
        "RDB memory usage when created 1.00 Mb",
    ]
    assert sum("functions" in text for text in caplog.messages) == 1
    assert "Done loading RDB, keys loaded: 4, keys expired: 2." in caplog.messages
    assert caplog.messages[-1].startswith("DB loaded from disk: ")
    assert path.exists()


def test_what_was_loaded_is_what_was_saved(tmp_path: Path) -> None:
    file_of(tmp_path, *(entry(b"key %d" % number, b"v", NOW + number + 1) for number in range(1000)))
    state, other = state_of(tmp_path), state_of(tmp_path)
    load(state)
    state.keyspace.databases[0].delete(b"key 7")
    state.saving.save()
    load(other)
    assert digest_of_all(other.keyspace.databases) == digest_of_all(state.keyspace.databases)
    assert other.keyspace.databases[0].size == 999


BAD: list[tuple[str, list[bytes], dict[str, Any]]] = [
    ("duplicate key b'a' in database 0", [entry(b"a", b"1"), entry(b"a", b"2")], {}),
    ("duplicate key b'a' in database 0", [entry(b"a", b"1"), entry(b"a", make_list([b"x"], -2))], {}),
    ("data of database 16, but there are only 16", [entry(b"a", b"1")], {"db": 16}),
    ("there is no type 200", [entry(b"a", b"1"), b"\xc8\x01a"], {}),
    ("a value of the module 'RAAAAAAAA'", [b"\x07\x01a\x81" + (17 << 58 | 3).to_bytes(8, "big")], {}),
    ("unexpected end", [entry(b"a", b"1"), entry(b"b", b"x" * 500)], {"damage": lambda data: data[:-20]}),
    ("the checksum is", [entry(b"a", b"1")], {"damage": lambda data: data[:-1] + b"x"}),
    ("this is no RDB file", [], {"damage": lambda data: b"hello world"}),
    ("unexpected end", [], {"damage": lambda data: b""}),
    ("Can't handle RDB format version 99", [], {"damage": lambda data: b"REDIS0099" + data[9:]}),
]


@pytest.mark.parametrize(
    ("text", "parts", "options"), BAD, ids=[f"{n} {bad[0]}" for n, bad in enumerate(BAD)]
)
def test_bad_files(tmp_path: Path, text: str, parts: list[bytes], options: dict[str, Any]) -> None:
    path = file_of(tmp_path, *parts, **options)
    state = state_of(tmp_path)
    with pytest.raises(LoadError) as error:
        load(state)
    told = str(error.value)
    assert text in told
    assert str(path) in told
    assert "offset" in told
    assert state.loading is None
    assert "loading" not in state.modes.on  # type: ignore[attr-defined]


def test_without_checksums(tmp_path: Path) -> None:
    file_of(tmp_path, entry(b"a", b"1"), damage=lambda data: data[:-1] + b"x")
    state = state_of(tmp_path, rdbchecksum="no")
    load(state)
    assert state.keyspace.databases[0].size == 1


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").mkdir()
    with pytest.raises(LoadError, match=r"dump\.rdb: Is a directory"):
        load(state_of(tmp_path))


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu"])
def test_uses_are_noted(tmp_path: Path, policy: str) -> None:
    parts = [rdb_write.idle(77) + entry(b"i", b"1"), rdb_write.freq(88) + entry(b"f", make_list([b"x"], -2))]
    file_of(tmp_path, *parts)
    state = state_of(tmp_path, maxmemory="1gb", maxmemory_policy=policy)
    load(state)
    accesses = state.keyspace.databases[0].accesses
    if policy == "allkeys-lru":
        assert isinstance(accesses, Recency)
        assert accesses.idle(b"i") == 77
        assert accesses.idle(b"f") == 0
    else:
        assert isinstance(accesses, Frequency)
        assert accesses.frequency(b"f") == 88


def big(directory: Path) -> Path:
    return file_of(directory, *(entry(b"key %d" % number, b"x" * 100) for number in range(50_000)))


def test_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "respcache")
    monkeypatch.setattr(module, "SLICE", 0)
    monkeypatch.setattr(module, "REPORT_SECONDS", 0)
    path = big(tmp_path)
    state = state_of(tmp_path)
    seen: list[dict[str, Any]] = []

    async def test() -> None:
        task = asyncio.create_task(load_dump(state))
        while not task.done():
            await asyncio.sleep(0)
            if state.loading is not None:
                assert not gc.isenabled()
                seen.append(state.loading.info())
        await task

    asyncio.run(test())
    assert gc.isenabled()
    assert len(seen) > 5
    done = [each["loading_loaded_bytes"] for each in seen]
    assert done == sorted(done)
    assert seen[-1]["loading_total_bytes"] == path.stat().st_size
    assert seen[-1]["loading_start_time"] == NOW // 1000
    assert list(seen[0]) == [
        "loading_start_time",
        "loading_total_bytes",
        "loading_rdb_used_mem",
        "loading_loaded_bytes",
        "loading_loaded_perc",
        "loading_eta_seconds",
    ]
    assert any(text.startswith("Loading: ") and text.endswith("MB") for text in caplog.messages)


def test_it_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE", 0)
    big(tmp_path)
    state = state_of(tmp_path)

    async def test() -> None:
        task = asyncio.create_task(load_dump(state))
        for _ in range(3):
            await asyncio.sleep(0)
        assert isinstance(state.loading, Loading)
        state.loading.stop()
        with pytest.raises(LoadingStopped):
            await task

    asyncio.run(test())
    assert state.loading is None
    assert 0 < state.keyspace.databases[0].size < 50_000


def test_part_of_the_data_is_never_saved(tmp_path: Path) -> None:
    state = state_of(tmp_path)
    state.config.load({"save": "3600 1"})

    async def test() -> None:
        with pytest.raises(LoadingStopped), Loading(state, 100) as loading:
            state.keyspace.databases[0].set(b"k", b"v")
            loading.stop()
            await loading.advance(50)
        await state.saving.close()  # type: ignore[attr-defined]

    asyncio.run(test())
    assert not (tmp_path / "dump.rdb").exists()


def test_reload(tmp_path: Path) -> None:
    file_of(tmp_path, entry(b"a", b"old"), entry(b"b", b"old"))
    state = state_of(tmp_path)
    load(state)
    db = state.keyspace.databases[0]
    db.set(b"a", b"new")
    db.set(b"c", b"new")
    with pytest.raises(LoadError, match="duplicate key"):
        reload(state, save=False, flush=False)
    reload(state, save=False, flush=False, replace=True)
    assert [db.peek(key) for key in (b"a", b"b", b"c")] == [b"old", b"old", b"new"]
    reload(state, save=False)
    assert sorted(db.keys()) == [b"a", b"b"]
    db.set(b"a", b"newer")
    reload(state)
    assert db.peek(b"a") == b"newer"
    assert state.saving.changes == 0
    state.config.load({"dbfilename": "other.rdb"})
    with pytest.raises(LoadError, match="no such file"):
        reload(state, save=False)
    assert db.size == 2


@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
def test_a_limit_holds_only_once_all_is_loaded(tmp_path: Path, policy: str) -> None:
    values = [entry(b"%d" % number, b"x" * 100) for number in range(20_000)]
    file_of(tmp_path, *values, entry(b"hash", {b"f": b"v"}))
    state = state_of(tmp_path, maxmemory="1mb", maxmemory_policy=policy, maxmemory_eviction_tenacity=100)
    db = state.keyspace.databases[0]
    with Loading(state, 0):
        state.memory.tick()
        assert state.memory.make_room()
    load(state)
    assert db.size == 20_001
    counted = state.memory.dataset
    state.keyspace.count_bytes(False)
    state.keyspace.count_bytes(True)
    assert state.memory.dataset == counted > 20_000 * 150
    state.memory.tick()
    assert (db.size < 20_000) == (policy != "noeviction")
    assert state.memory.make_room() == (policy != "noeviction")
