"""A dump of a damaged file, and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from respcache import cli
from tests.unit.tools.files import dumped, rdb


def test_a_damaged_file_is_dumped_up_to_the_damage(file: Path) -> None:
    code, out, errors = dumped(file, rdb()[:-12])
    assert code == 1
    assert len(out.splitlines()) == 8
    assert "damaged at offset" in errors


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
