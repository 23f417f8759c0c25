"""Files that are torn or have wrong bytes: a part of what they hold, or a clear error, and never much memory."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from respcache.persistence import aof_read
from respcache.persistence.aof_read import AofError, Command, read_commands, size_of
from respcache.persistence.rdb_build import DEFAULTS
from respcache.persistence.rdb_read import Handler, Value, read_file
from respcache.persistence.source import RdbError, Source
from respcache.protocol.reply import bulks
from tests.golden.make import files
from tests.unit.tools.files import rdb

FLIPS = 10_000
PEAK = 1 << 20
"""Bytes of memory that reading a file of a few hundred bytes may take, whatever it claims."""

RDB = {name: data for name, data in files().items() if len(data) < 1000 and "plain" not in name}
RDB |= {"v10-plain.rdb": files()["v10-plain.rdb"], "v12-everything.rdb": rdb()}

COMMANDS = [
    [b"SELECT", b"0"],
    [b"SET", b"key", b"value"],
    [b"MULTI"],
    [b"RPUSH", b"list", *(b"%d" % number for number in range(20))],
    [b"DEL", b"\r\n*1\r\n"],
    [b"EXEC"],
    [b"SET", b"large", b"x" * 300],
    [b"SET", b"", b""],
]
AOF = b"#TS:1700000000\r\n" + b"".join(map(bulks, COMMANDS))


class Collector(Handler):
    """Keeps the keys."""

    def __init__(self) -> None:
        self.keys: list[tuple[int, bytes]] = []

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        self.keys.append((db, key))


def read_rdb(data: bytes) -> tuple[list[tuple[int, bytes]], RdbError | None]:
    """Keys and error. Without checksum: it would hide all else."""
    found = Collector()
    try:
        for _ in read_file(Source.of(data), DEFAULTS, found):
            pass
    except RdbError as error:
        return found.keys, error
    return found.keys, None


def read_aof(data: bytes) -> tuple[list[Command], AofError | None]:
    """Commands and error."""
    found: list[Command] = []
    try:
        for _, commands in read_commands(Source.of(data)):
            found += commands
    except AofError as error:
        return found, error
    return found, None


@contextmanager
def measured() -> Iterator[Callable[[], int]]:
    """Gives a function that tells the most memory taken since it was called last, in bytes."""

    def peak() -> int:
        now, most = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        used, start[0] = most - start[0], now
        return used

    start = [0]
    tracemalloc.start()
    try:
        start[0] = tracemalloc.get_traced_memory()[0]
        yield peak
    finally:
        tracemalloc.stop()


def flipped(data: bytes, dice: random.Random) -> bytes:
    """With one to three wrong bytes; often of the values that mean something."""
    wrong = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        wrong[dice.randrange(len(wrong))] = dice.choice(
            (dice.randrange(256), 0x80, 0x81, 0xC3, 0xFE, 0xFF, 0x39)
        )
    return bytes(wrong)


@pytest.mark.parametrize("name", RDB)
def test_every_truncation_of_rdb(name: str) -> None:
    data = RDB[name]
    whole, error = read_rdb(data)
    assert error is None
    for size in range(len(data)):
        keys, error = read_rdb(data[:size])
        assert error is not None and error.offset <= size
        assert len(keys) <= len(whole) and set(keys) <= set(whole)


def test_every_truncation_of_commands() -> None:
    for size in range(len(AOF)):
        found, error = read_aof(AOF[:size])
        assert found == COMMANDS[: len(found)]
        good = 16 + size_of(found) if size >= 16 else 0
        assert error is None if size == good else error is not None and error.torn and error.good == good


@pytest.mark.parametrize("name", RDB)
def test_wrong_bytes_in_rdb(name: str) -> None:
    dice = random.Random(name)
    failed = 0
    with measured() as peak:
        for _ in range(FLIPS // len(RDB)):
            data = flipped(RDB[name], dice)
            peak()
            _, error = read_rdb(data)
            assert peak() < PEAK, data.hex()
            if error is not None:
                failed += 1
                assert 0 <= error.offset <= len(data) and error.text
    assert failed


def test_wrong_bytes_in_commands() -> None:
    dice = random.Random(1)
    failed = 0
    with measured() as peak:
        for _ in range(FLIPS):
            data = flipped(AOF, dice)
            peak()
            _, error = read_aof(data)
            assert peak() < PEAK, data
            if error is not None:
                failed += 1
                assert error.good <= error.offset <= len(data) and error.text
    assert failed > FLIPS // 3


def test_both_ways_of_reading_commands_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(3)
    some = [flipped(AOF, dice) for _ in range(3000)]
    fast = [read_aof(data) for data in some]
    monkeypatch.setattr(aof_read, "_parse", lambda *_: ([], 0))
    for data, (commands, error) in zip(some, fast, strict=True):
        slow, slow_error = read_aof(data)
        assert (slow, str(slow_error)) == (commands, str(error)), data


def test_noise() -> None:
    dice = random.Random(2)
    with measured() as peak:
        for _ in range(2000):
            noise = dice.randbytes(dice.randrange(200))
            peak()
            read_rdb(b"REDIS0012" + noise)
            read_rdb(b"REDIS0012\xfe\x00" + bytes([dice.randrange(26)]) + noise)
            read_aof(b"*" + noise)
            read_aof(b"*3\r\n$" + noise)
            assert peak() < PEAK, noise
