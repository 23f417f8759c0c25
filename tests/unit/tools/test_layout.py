"""What kind a file is."""

from __future__ import annotations

from pathlib import Path

import pytest

from respcache.tools.layout import LayoutError, find
from tests.unit.tools.files import aof, log, rdb


@pytest.mark.parametrize(
    ("name", "data", "is_log"),
    [
        ("a", rdb([]), False),
        ("a", rdb([]) + aof("PING"), False),
        ("a", b"VALKEY080", False),
        ("a", aof("PING"), True),
        ("a", aof("#TS:1", "# file a seq 1 type b", "PING"), True),
        ("a", aof("#TS:1"), True),
        ("a.aof", b"", True),
        ("a.aof", b"\0\0", True),
    ],
)
def test_one_file(tmp_path: Path, name: str, data: bytes, is_log: bool) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    found = find(str(path))
    assert (found.files, found.manifest, found.log) == ([str(path)], None, is_log)


@pytest.mark.parametrize("data", [b"", b"\n", b"PING\r\n", b"\0" * 5000, b"#" * 5000])
def test_none_of_ours(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.rdb"
    path.write_bytes(data)
    with pytest.raises(LayoutError, match="not readable: this is no RDB file"):
        find(str(path))


def test_manifests(tmp_path: Path) -> None:
    manifest = log(tmp_path / "log", b"", b"", b"")
    files = [str(manifest.parent / f"a.aof.{name}") for name in ("1.base.rdb", "1.incr.aof", "2.incr.aof")]
    other = manifest.parent / "temp-a.aof.manifest"
    other.write_bytes(b"")
    for path in (manifest, manifest.parent):
        found = find(str(path))
        assert (found.files, found.manifest, found.log) == (files, str(manifest), True)
    renamed = manifest.rename(manifest.parent / "other")
    renamed.write_bytes(b"# a comment\n" + renamed.read_bytes())
    assert find(str(renamed)).files == files
    with pytest.raises(LayoutError, match="no manifests"):
        find(str(manifest.parent))
    for name in ("b.manifest", "c.manifest"):
        (manifest.parent / name).write_bytes(b"")
    with pytest.raises(LayoutError, match="2 manifests"):
        find(str(manifest.parent))
