"""A dump of a damaged file, and the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from respcache import cli
from respcache.tools.dump import dump
from tests.unit.tools.files import aof, dumped, log, rdb


def test_a_damaged_file_is_dumped_up_to_the_damage(file: Path) -> None:
    code, out, errors = dumped(file, rdb()[:-12])
    assert code == 1
    assert len(out.splitlines()) == 8
    assert "damaged at offset" in errors


BASE = rdb([(b"k", b"v", None)])
FIRST = aof("SET a 1", "#TS:1", "SELECT 2", "set b 2")
SECOND = aof("SELECT 0", "MULTI", "DEL a", "EXEC")


def test_the_commands_of_several_files(tmp_path: Path) -> None:
    manifest = log(tmp_path / "log", BASE, FIRST, SECOND)
    out, errors = io.BytesIO(), io.StringIO()
    assert dump(str(manifest), out, errors, True) == 0
    head = aof("SELECT 3", "SET k v", "SELECT 0")  # each file begins in database 0
    assert out.getvalue() == head + aof("SET a 1", "SELECT 2", "set b 2") + SECOND
    assert errors.getvalue() == ""


def test_the_lines_of_several_files(tmp_path: Path) -> None:
    manifest = log(tmp_path / "log", BASE, FIRST, SECOND)
    out = io.BytesIO()
    assert dump(str(manifest.parent), out, io.StringIO(), False) == 0
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert lines[0] == {"db": 3, "key": "k", "type": "string", "ttl_at": None, "value": "v"}
    assert lines[1:4] == [
        {"file": "a.aof.1.incr.aof", "offset": 0, "command": ["SET", "a", "1"]},
        {"file": "a.aof.1.incr.aof", "offset": 34, "command": ["SELECT", "2"]},
        {"file": "a.aof.1.incr.aof", "offset": 57, "command": ["set", "b", "2"]},
    ]
    assert [line["file"][6:7] for line in lines[4:]] == ["2"] * 4


def test_a_torn_log_is_dumped_up_to_there(tmp_path: Path) -> None:
    manifest = log(tmp_path / "log", BASE, FIRST[:-1], SECOND)
    out, errors = io.BytesIO(), io.StringIO()
    assert dump(str(manifest), out, errors, True) == 1
    assert out.getvalue() == aof("SELECT 3", "SET k v", "SELECT 0", "SET a 1", "SELECT 2")
    part = manifest.parent / "a.aof.1.incr.aof"
    assert errors.getvalue().startswith(f"{part}: torn at offset {len(FIRST) - 3} of {len(FIRST) - 1}: ")


def test_one_log(file: Path) -> None:
    code, out, _ = dumped(file, aof("SET \xff 1").replace("\xff".encode(), b"\xfe\xff"))
    assert code == 0
    assert out == b'{"offset":0,"command":["SET",{"base64":"/v8="},"1"]}\n'
    assert dumped(file, b"?", resp=True)[0] == 2
    assert dumped(file, b"file a\n", resp=True)[0] == 1


@pytest.mark.parametrize("resp", [False, True])
def test_transactions_that_make_no_sense(file: Path, resp: bool) -> None:
    for data, said in (
        (aof("SET a 1", "MULTI", "DEL a"), "torn at offset {size} of {size}: MULTI without EXEC"),
        (aof("SET a 1", "EXEC"), "damaged at offset 27 of {size}: EXEC without MULTI"),
    ):
        code, out, errors = dumped(file, data, resp=resp)
        assert code == 1
        assert out.count(b"SET") == 1
        assert errors == f"{file}: {said.format(size=len(data))}\n"


@pytest.mark.parametrize(
    ("answer", "words", "fixed"),
    [("y\n", (), True), ("", (), False), ("n\n", (), False), ("\n", (), False), ("", ("--yes",), True)],
)
def test_fixing_from_the_command_line(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    words: tuple[str, ...],
    fixed: bool,
) -> None:
    file.write_bytes(SECOND + b"*1\r\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", str(file), "--fix", *words])
    assert ended.value.code == (0 if fixed else 1)
    assert file.read_bytes() == (SECOND if fixed else SECOND + b"*1\r\n")
    assert ("Continue? [y/N] " in capsys.readouterr().out) == (not words)


def test_the_command_line(file: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    def ran(*words: str) -> tuple[object, bytes, bytes]:
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        return ended.value.code, *capfdbinary.readouterr()

    file.write_bytes(rdb([(b"k", b"v", None)]))
    assert ran("check", str(file))[:2][0] == 0
    assert ran("dump", str(file), "--json")[:2] == (
        0,
        b'{"db":3,"key":"k","type":"string","ttl_at":null,"value":"v"}\n',
    )
    assert ran("dump", "--resp", str(file))[1].startswith(b"*2\r\n$6\r\nSELECT")
    assert ran("dump", str(file))[0] == 2
    assert ran("check")[0] == 2
    gone = str(file) + ".gone"
    assert ran("check", gone) == (2, b"", f"{gone}: not readable: No such file or directory\n".encode())
    assert ran("dump", str(file.parent), "--json")[0] == 2
