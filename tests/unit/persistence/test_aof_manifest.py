"""persistence/aof_manifest.py: the grammar of manifests, and how they change."""

from __future__ import annotations

import pytest

from respcache.persistence import aof_manifest
from respcache.persistence.aof_manifest import Manifest, ManifestError, Part, parse

STEM = "appendonly.aof"
TEXT = (
    b"file appendonly.aof.2.base.rdb seq 2 type b\n"
    b"file appendonly.aof.1.incr.aof seq 1 type h\n"
    b"file appendonly.aof.2.incr.aof seq 2 type i\n"
    b"file appendonly.aof.3.incr.aof seq 3 type i\n"
)
LINE = b"file a seq 1 type i\n"


def test_a_manifest_is_read_and_written() -> None:
    manifest = parse(TEXT, STEM, "m")
    assert manifest.base == Part("appendonly.aof.2.base.rdb", 2, "b")
    assert [part.seq for part in manifest.increments] == [2, 3]
    assert [part.name for part in manifest.history] == ["appendonly.aof.1.incr.aof"]
    assert [part.seq for part in manifest.parts] == [2, 2, 3]
    assert (manifest.base_seq, manifest.increment_seq) == (2, 3)
    assert manifest.format() == TEXT


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"# a note\n" + LINE + b"#\n", ["a"]),
        (b"  file a seq 1 type i \r\n", ["a"]),
        (b"TYPE i FILE a Seq 1\n", ["a"]),
        (b"file a seq 1 type i startoffset 12 more words\n", ["a"]),
        (b'file "a b" seq 1 type i\n', ["a b"]),
        (b"file 'a\"b' seq 1 type i\n", ['a"b']),
        (b'file "\\xff\\x00" seq 1 type i\n', ["\udcff\0"]),
        (b"file a seq 1 type i pad " + b"x" * 999 + b"\n", ["a"]),
        (b"file a seq 3 type i\nfile b seq 7 type i\n", ["a", "b"]),
    ],
)
def test_what_is_accepted(text: bytes, names: list[str]) -> None:
    assert [part.name for part in parse(text, STEM, "m").parts] == names


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (b"", 1, "empty"),
        (b"# only a note\n", 1, "empty"),
        (b"\n" + LINE, 1, "blank"),
        (LINE + b" \t\r\n", 2, "blank"),
        (LINE + b"file b seq 2 type i", 2, "no end"),
        (b"file a seq 1 type i pad " + b"x" * 1000 + b"\n", 1, "1024"),
        (b"file a seq 1 type\n", 1, "two by two"),
        (b'file "a seq 1 type i\n', 1, "quotes"),
        (b"file a seq 1 kind i\n", 1, "'type'"),
        (b"seq 1 type i\n", 1, "'file'"),
        (b"file a seq 0 type i\n", 1, "number"),
        (b"file a seq -1 type i\n", 1, "number"),
        (b"file a seq 1x type i\n", 1, "number"),
        (b"file a seq 9223372036854775808 type i\n", 1, "number"),
        (b"file a seq 1 type x\n", 1, "no type"),
        (b"file d/a seq 1 type i\n", 1, "directory"),
        (b"file .. seq 1 type i\n", 1, "directory"),
        (b"file a seq 1 type b\nfile b seq 2 type b\n", 2, "base already"),
        (b"file a seq 2 type i\nfile b seq 2 type i\n", 2, "increase"),
        (b"file a seq 2 type i\n#\nfile b seq 1 type i\n", 3, "increase"),
    ],
)
def test_what_is_refused_and_where(text: bytes, line: int, what: str) -> None:
    with pytest.raises(ManifestError, match=what) as refused:
        parse(text, STEM, "some/manifest")
    assert str(refused.value).startswith(f"some/manifest, line {line}: ")


@pytest.mark.parametrize("stem", ["plain", "with blank", 'with"quote', "it's", "gr\u00fcn", "\udcff\n"])
def test_names_come_back(stem: str) -> None:
    manifest = Manifest(stem)
    manifest.add_base(rdb=True)
    manifest.add_increment()
    again = parse(manifest.format(), stem, "m")
    assert again == manifest
    assert manifest.format().isascii()


def test_a_rewrite_changes_it_step_by_step() -> None:
    manifest = Manifest(STEM)
    assert manifest.add_base(rdb=True).name == "appendonly.aof.1.base.rdb"
    assert manifest.add_increment().name == "appendonly.aof.1.incr.aof"
    before = manifest.copy()
    manifest.add_increment()
    assert manifest.add_base(rdb=False).name == "appendonly.aof.2.base.aof"
    manifest.retire(keep=1)
    assert manifest.format() == (
        b"file appendonly.aof.2.base.aof seq 2 type b\n"
        b"file appendonly.aof.1.incr.aof seq 1 type h\n"
        b"file appendonly.aof.1.base.rdb seq 1 type h\n"
        b"file appendonly.aof.2.incr.aof seq 2 type i\n"
    )
    assert len(before.increments) == 1
    assert not before.history


def test_a_legacy_file_keeps_its_name() -> None:
    assert aof_manifest.legacy(STEM).format() == b"file appendonly.aof seq 1 type b\n"


def test_names_of_the_manifest_itself() -> None:
    manifest = Manifest("x")
    assert (manifest.file_name, manifest.temporary_name) == ("x.manifest", "temp-x.manifest")
