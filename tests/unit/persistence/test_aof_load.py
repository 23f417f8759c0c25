"""persistence/aof_load.py: commands in their order, transactions at EXEC, torn ends cut, and nothing else forgiven."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from respcache.persistence import aof_load, rdb_write
from respcache.persistence.aof_load import Loaded, LoadError, UnknownCommandError
from respcache.persistence.rdb_build import DEFAULTS
from respcache.persistence.rdb_read import Handler, read_file
from respcache.persistence.source import Source
from respcache.protocol.reply import bulks

A, B, C = bulks([b"SET", b"a", b"1"]), bulks([b"INCR", b"b"]), bulks([b"DEL", b"a", b"b"])
MULTI, EXEC = bulks([b"MULTI"]), bulks([b"exec"])


def read_rdb(source: Source) -> Iterator[int]:
    return read_file(source, DEFAULTS, Handler())


def run(path: Path, data: bytes, may_cut: bool = False) -> tuple[list[list[bytes]], Loaded]:
    path.write_bytes(data)
    ran: list[list[bytes]] = []

    def execute(argv: list[bytes]) -> None:
        if argv[0] == b"NOSUCH":
            raise UnknownCommandError("Unknown command 'NOSUCH'")
        ran.append(argv)

    found = Loaded()
    done = list(aof_load.load(str(path), execute, read_rdb, found, may_cut, advice="Mend it."))
    assert done == sorted(done)
    assert found.commands == len(ran)
    return ran, found


def test_commands_in_their_order(tmp_path: Path) -> None:
    ran, found = run(tmp_path / "f", A + b"#TS:1700000000\r\n" + B + b"# a note\n" + C)
    assert ran == [[b"SET", b"a", b"1"], [b"INCR", b"b"], [b"DEL", b"a", b"b"]]
    assert found.cut == -1


def test_an_empty_file(tmp_path: Path) -> None:
    assert run(tmp_path / "f", b"") == ([], Loaded())


def test_many_commands_give_the_caller_turns(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(A * 10000)
    found = Loaded()
    turns = list(aof_load.load(str(tmp_path / "f"), lambda _: None, read_rdb, found))
    assert len(turns) >= 10000 // aof_load.EVERY
    assert turns[-1] == len(A) * 10000
    assert found.commands == 10000


def test_a_transaction_runs_at_exec(tmp_path: Path) -> None:
    ran, _ = run(tmp_path / "f", A + MULTI + B + MULTI + C + EXEC + EXEC + A)
    assert [argv[0] for argv in ran] == [b"SET", b"INCR", b"MULTI", b"DEL", b"exec", b"SET"]


def test_behind_an_rdb_file(tmp_path: Path) -> None:
    data = rdb_write.header() + b"".join(rdb_write.entry_pieces(b"k", b"v"))
    preamble = data + rdb_write.end(None)
    ran, _ = run(tmp_path / "f", preamble + A + B)
    assert len(ran) == 2
    with pytest.raises(
        LoadError, match=rf"append only file {tmp_path}/f: .*offset {len(preamble)}\b.*Mend it"
    ):
        run(tmp_path / "f", preamble + b"x" + A)
    with pytest.raises(LoadError, match=rf"Bad RDB .* {tmp_path}/f: .*offset"):
        run(tmp_path / "f", data, may_cut=True)


@pytest.mark.parametrize("end", range(len(A + B + MULTI + A + B + EXEC + C)))
def test_every_torn_end(tmp_path: Path, end: int) -> None:
    parts = [A, B, MULTI + A + B + EXEC, C]
    data = b"".join(parts)
    whole, kept, ran_before = 0, 0, 0
    for part, count in zip(parts, (1, 1, 2, 1), strict=True):
        if whole + len(part) > end:
            break
        whole += len(part)
        kept, ran_before = whole, ran_before + count
    ran, found = run(tmp_path / "f", data[:end], may_cut=True)
    assert len(ran) == ran_before
    assert found.cut == (-1 if kept == end else kept)
    assert (tmp_path / "f").read_bytes() == data[:kept]
    if kept != end:
        with pytest.raises(LoadError, match="Unexpected end of file"):
            run(tmp_path / "f", data[:end])
        assert (tmp_path / "f").read_bytes() == data[:end]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 16,
        b"*0\r\n",
        b"*-1\r\n",
        b"*x\r\n",
        b"$3\r\nfoo\r\n",
        b"*1\r\n+OK\r\n",
        b"SET a b\r\n",
        b"\r\n",
    ],
)
@pytest.mark.parametrize("behind", [b"", A])
def test_garbage_is_an_error_that_names_file_and_offset(
    tmp_path: Path, garbage: bytes, behind: bytes
) -> None:
    with pytest.raises(LoadError, match=rf"Bad file format .* {tmp_path}/f: .*\(offset \d+\)\. Mend it"):
        run(tmp_path / "f", A + B + garbage + behind, may_cut=True)


def test_an_unknown_command(tmp_path: Path) -> None:
    data = A * 3000
    where = rf"Unknown command 'NOSUCH' reading the append only file {tmp_path}/f at offset"
    with pytest.raises(LoadError, match=rf"{where} {len(data)}$"):
        run(tmp_path / "f", data + bulks([b"NOSUCH", b"x"]) + A)
    with pytest.raises(LoadError, match=where):
        run(tmp_path / "f", data + MULTI + bulks([b"NOSUCH", b"x"]) + EXEC)


@pytest.mark.parametrize("header", [b"*1000000000\r\n", b"*2\r\n$1000000000000\r\n", b"*1\r\n$536870912\r\n"])
def test_what_a_header_promises_costs_nothing(tmp_path: Path, header: bytes) -> None:
    _, found = run(tmp_path / "f", A + header, may_cut=True)
    assert found.cut == len(A)


def test_flipped_bytes_are_read_or_refused(tmp_path: Path) -> None:
    draw = random.Random(1)
    data = bytearray(b"#TS:1700000000\r\n" + (A + B + MULTI + C + EXEC) * 4)
    for _ in range(1500):
        at, bit = draw.randrange(len(data)), 1 << draw.randrange(8)
        data[at] ^= bit
        try:
            run(tmp_path / "f", bytes(data), may_cut=True)
        except LoadError as error:
            assert str(tmp_path / "f") in str(error)
        data[at] ^= bit


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(aof_load.load(str(tmp_path / "none"), lambda _: None, read_rdb, Loaded()))
