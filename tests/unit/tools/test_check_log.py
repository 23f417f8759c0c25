"""Verdicts on append-only files, and what is cut off of them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from respcache.tools.check import NONE, Mending, check
from tests.unit.tools.files import aof, checked, log, rdb

SOME = aof("SELECT 0", "SET a 1", "multi", "DEL a", "set b 2", "EXEC")
TORN = aof("SET a 1")[:-3]


def run(path: Path, mending: Mending = NONE) -> tuple[int, list[str]]:
    out = io.StringIO()
    return check(str(path), out, io.StringIO(), mending), out.getvalue().splitlines()


def fix(answer: bool = True) -> tuple[Mending, list[str]]:
    asked: list[str] = []

    def agree(what: str) -> bool:
        asked.append(what)
        return answer

    return Mending(True, None, agree), asked


def test_a_sound_log(file: Path) -> None:
    code, lines = checked(file, b"#TS:1700000000\r\n" + SOME + b"#TS:1700000061\r\n")
    assert code == 0
    assert lines == [
        f"{file}: sound",
        f"  size: {len(SOME) + 32} bytes",
        "  commands: 6 (SET 2, SELECT 1, MULTI 1, DEL 1, EXEC 1)",
        "  transactions: 1",
        "  times: 2023-11-14 22:13:20Z to 2023-11-14 22:14:21Z",
    ]


def test_commands_behind_rdb(file: Path) -> None:
    data = rdb([(b"k", b"v", None)])
    code, lines = checked(file, data + SOME)
    assert code == 0
    assert "  checksum: ok" in lines and "  all: 1 key, 0 with a deadline, 0 of them expired" in lines
    assert lines[-2].startswith("  commands: 6 (")
    code, lines = checked(file, data + SOME + TORN)
    assert code == 1
    size = len(data + SOME + TORN)
    assert lines[0].startswith(f"{file}: torn at offset {size} of {size}, line ")
    assert lines[1] == f"  sound before: offset {len(data + SOME)}, {len(TORN)} bytes from the end"


@pytest.mark.parametrize(
    ("bad", "at", "good", "text"),
    [
        (b"garbage", 0, 0, "damaged at offset {at} of {size}, line {line}: '*' should follow, not b'g'"),
        (b"\0" * 9, 0, 0, "damaged at offset {at} of {size}, line {line}: '*' should follow, not b'\\x00'"),
        (b"*1\r\n$1\r\naXX", 9, 0, "damaged at offset {at} of {size}, line {line}: no CRLF behind a word"),
        (aof("EXEC"), 0, 0, "damaged at offset {at} of {size}, line {line}: EXEC without MULTI"),
        (
            aof("MULTI", "MULTI"),
            15,
            0,
            "damaged at offset {at} of {size}, line {line}: MULTI inside of a transaction",
        ),
        (aof("MULTI", "SET a b"), 42, 0, "torn at offset {at} of {size}, line {line}: MULTI without EXEC"),
        (aof("MULTI", "DEL a") + TORN, 59, 0, "torn at offset {at} of {size}, line {line}: unexpected end"),
    ],
)
@pytest.mark.parametrize("before", [1, 300])
def test_damage(file: Path, bad: bytes, at: int, good: int, text: str, before: int) -> None:
    data = SOME * before
    start = len(data)
    code, lines = checked(file, data + bad)
    line = (data + bad)[: start + at].count(b"\n") + 1
    assert code == 1
    assert lines[0] == f"{file}: " + text.format(at=start + at, size=start + len(bad), line=line)
    assert lines[1].startswith(f"  sound before: offset {start + good}, {len(bad) - good} bytes")


def test_every_truncation_is_found_and_fixed(file: Path) -> None:
    ends = {0, len(aof("SELECT 0")), len(aof("SELECT 0", "SET a 1")), len(SOME)}
    for size in range(1, len(SOME)):
        code, _ = checked(file, SOME[:size])
        assert code == (0 if size in ends else 1), size
        if code:
            mending, asked = fix()
            assert run(file, mending)[0] == 0
            assert len(asked) == 1
            good = max(end for end in ends if end <= size)
            assert file.read_bytes() == SOME[:good]


def test_several_files(tmp_path: Path) -> None:
    manifest = log(tmp_path / "log", rdb([(b"k", b"v", None)]), SOME, SOME)
    for path in (manifest, manifest.parent):
        code, lines = run(path)
        assert code == 0
        assert [line for line in lines if line[0] != " "] == [
            f"{manifest}: sound",
            f"{manifest.parent}/a.aof.1.base.rdb: sound",
            f"{manifest.parent}/a.aof.1.incr.aof: sound",
            f"{manifest.parent}/a.aof.2.incr.aof: sound",
        ]
    last = manifest.parent / "a.aof.2.incr.aof"
    last.write_bytes(SOME + TORN)
    code, lines = run(manifest)
    assert code == 1
    assert lines[0] == f"{manifest}: 1 of 3 files not sound"
    mending, asked = fix(answer=False)
    assert run(manifest, mending)[0] == 1
    size = len(SOME + TORN)
    assert asked == [f"{last}: {size} bytes are cut to {len(SOME)}, {len(TORN)} bytes will be gone."]
    assert last.read_bytes() == SOME + TORN
    mending, _ = fix()
    code, lines = run(manifest, mending)
    assert code == 0
    assert lines[-1] == f"{last}: cut to {len(SOME)} bytes"
    assert last.read_bytes() == SOME
    assert run(manifest)[0] == 0


def test_only_the_last_file_is_cut(tmp_path: Path) -> None:
    manifest = log(tmp_path / "log", rdb([]), SOME + TORN, SOME + TORN)
    mending, asked = fix()
    code, lines = run(manifest, mending)
    assert (code, asked) == (1, [])
    assert lines[-1] == "Only the commands at the end of the last file can be cut off: nothing is changed."


def test_a_missing_part_and_a_damaged_base(tmp_path: Path) -> None:
    manifest = log(tmp_path / "log", rdb()[:-9], SOME)
    (manifest.parent / "a.aof.1.incr.aof").unlink()
    code, lines = run(manifest, fix()[0])
    assert code == 1
    assert lines[0] == f"{manifest}: 2 of 2 files not sound"
    assert lines[-1] == f"{manifest.parent}/a.aof.1.incr.aof: missing"
    mending, asked = fix()
    assert run(manifest.parent / "a.aof.1.base.rdb", mending)[0] == 1
    assert not asked


def test_a_manifest_that_makes_no_sense(file: Path) -> None:
    code, lines = checked(file, b"file a.aof seq 0 type b\n")
    assert code == 1
    assert lines[0].startswith(f"{file}: damaged: ") and "line 1" in lines[0]


@pytest.mark.parametrize("answer", [True, False])
def test_times(tmp_path: Path, answer: bool) -> None:
    first = aof("#TS:100", "SELECT 0", "SET a 1")
    second = aof("#TS:200", "SET a 2")
    manifest = log(tmp_path / "log", rdb([]), first, second + aof("#TS:300", "SET a 3"))
    last = manifest.parent / "a.aof.2.incr.aof"
    whole = last.read_bytes()

    def cut(until: int) -> tuple[int, str]:
        code, lines = run(manifest, Mending(False, until, lambda _: answer))
        return code, lines[-1]

    assert cut(99) == (
        1,
        "An earlier file has something later, and only the last one can be cut: nothing is changed.",
    )
    assert cut(300) == (0, "There is nothing later: nothing is changed.")
    if answer:
        assert cut(250) == (0, f"{last}: cut to {len(second)} bytes")
        assert last.read_bytes() == second
    else:
        assert cut(250) == (0, "Nothing is changed.")
        assert last.read_bytes() == whole
    last.write_bytes(whole + TORN)
    assert cut(250) == (1, "Not all is sound: nothing is changed.")
