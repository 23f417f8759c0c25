"""Verdicts on files of every length and with every byte changed, and statistics."""

from __future__ import annotations

from pathlib import Path

from tests.unit.tools.files import checked, rdb


def test_a_sound_file(file: Path) -> None:
    data = rdb()
    code, lines = checked(file, data)
    assert code == 0
    assert lines == [
        f"{file}: sound",
        "  checksum: ok",
        "  version: 12",
        f"  size: {len(data):,} bytes",
        r"  redis-ver: 7.4.0\x1b[2J",
        "  db 3: 9 keys (hash 3, list 1, set 1, stream 1, string 2, zset 1); 3 with a deadline, 1 of them expired",
        "  all: 9 keys, 3 with a deadline, 1 of them expired",
    ]


def test_no_checksum_and_more_behind(file: Path) -> None:
    code, lines = checked(file, rdb([], checksum=False) + b"XX")
    assert code == 0
    assert "  checksum: absent" in lines
    assert lines[-1] == "  behind the end of the data: 2 bytes, not looked at"


def test_every_truncation_is_found(file: Path) -> None:
    data = rdb()
    for size in range(len(data)):
        code, lines = checked(file, data[:size])
        assert code == (2 if size < 5 else 1), size
        if code == 1:
            assert lines[0].startswith(f"{file}: damaged at offset "), lines[0]
            assert int(lines[0].split("offset ")[1].split()[0]) <= size


def test_every_flip_is_found(file: Path) -> None:
    data = rdb()
    for at in range(len(data) - 8):
        code, lines = checked(file, data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        assert code, (at, lines)


def test_a_wrong_checksum(file: Path) -> None:
    data = rdb()
    code, lines = checked(file, data[:-1] + bytes([data[-1] ^ 1]))
    assert code == 1
    assert lines[0].startswith(f"{file}: damaged at offset {len(data) - 8} of {len(data)}: the checksum is ")
    assert lines[1] == "  readable before: 9 keys"
