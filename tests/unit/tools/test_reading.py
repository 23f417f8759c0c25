"""Files that are no RDB files, and the bar."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from respcache.tools import reading
from respcache.tools.dump import dump
from tests.unit.tools.files import checked, rdb


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "this is no RDB file"),
        (b"PING\r\n", "this is no RDB file"),
        (b"REDIS0099" + bytes(9), "Can't handle RDB format version 99"),
        (b"REDIS0012\xfe\x00\x07\x01k\x81" + bytes(20), "a value of the module"),
    ],
)
def test_an_unknown_file(file: Path, data: bytes, text: str) -> None:
    code, lines = checked(file, data)
    assert code == 2
    assert lines[0].startswith(f"{file}: not readable: {text}")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PATIENCE_SECONDS", 0.0)
    file.write_bytes(rdb())
    errors = Terminal()
    dump(str(file), io.BytesIO(), errors, False)
    assert errors.getvalue().startswith("\r[")
    assert "% of " in errors.getvalue()
    assert errors.getvalue().endswith("\r\x1b[K")
