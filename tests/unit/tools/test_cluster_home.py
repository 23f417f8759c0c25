"""What the directory of a cluster holds, and what is remembered in it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from respcache.tools.cluster_home import NOTES, appending, id_in, note, ports_in, recall
from respcache.tools.cluster_options import Options, read

A, B = "a" * 40, "b" * 40


def node(directory: Path, port: int, slots: str = "") -> Path:
    """The directory of a node that knows itself and another one, which has no slots."""
    place = directory / str(port)
    place.mkdir()
    (place / "nodes.conf").write_text(
        f"{B} 127.0.0.1:9@10009 master - 0 0 2 connected\n"
        f"{A} 127.0.0.1:{port}@{port + 10000} myself,master - 0 0 1 connected {slots}\nvars currentEpoch 2\n"
    )
    return place


def started(tmp_path: Path, *words: str) -> Options:
    """What `respcache cluster` makes of these words."""
    return recall(read(["--dir", str(tmp_path), *words]))


def test_the_nodes_of_a_directory(tmp_path: Path) -> None:
    assert ports_in(tmp_path / "none") == ()
    place = node(tmp_path, 7010)
    node(tmp_path, 7002)
    for name in ("7003", "7x", "99999", "0"):
        (tmp_path / name).mkdir()
    (tmp_path / "7004").touch()
    assert ports_in(tmp_path) == (7002, 7010)
    assert (id_in(place), id_in(tmp_path / "7003")) == (A, "")


def test_what_is_remembered(tmp_path: Path) -> None:
    given = ["--nodes", "3", "--base-port", "8000", "--program", "sh -x", "--appendonly", "yes", "--save", ""]
    options = started(tmp_path, *given)
    assert options.found == ()
    note(options)
    assert [path.name for path in tmp_path.iterdir()] == [NOTES]
    assert (tmp_path / NOTES).stat().st_mode & 0o777 == 0o600
    for port in (8000, 8001, 8002):
        node(tmp_path, port)
    found = started(tmp_path, "--Appendonly", "no", "--hz", "5")
    assert (found.found, found.nodes, found.each, found.base_port) == ((8000, 8001, 8002), 3, 0, 8000)
    assert found.program == ("sh", "-x")
    assert found.extra == (("save", ""), ("Appendonly", "no"), ("hz", "5"))
    note(found)
    assert started(tmp_path, "--program", "x").extra == found.extra


def test_more_and_fewer_nodes(tmp_path: Path) -> None:
    note(Options(nodes=3, directory=tmp_path))
    assert started(tmp_path).ports == [7000, 7001, 7002]
    for port in (7000, 7002, 7006):
        node(tmp_path, port)
    assert started(tmp_path).ports == [7000, 7002, 7006]
    assert started(tmp_path, "--nodes", "5").ports == [7000, 7002, 7006, 7007, 7008]
    with pytest.raises(ValueError, match=r"holds 3 nodes: leave --nodes out\. To have fewer, remove some"):
        started(tmp_path, "--nodes", "2")


@pytest.mark.parametrize("words", ["--replicas 1", "--base-port 7001", "--bind ::1"])
def test_what_contradicts(tmp_path: Path, words: str) -> None:
    note(Options(nodes=1, directory=tmp_path))
    node(tmp_path, 7000)
    with pytest.raises(ValueError, match=f"leave {words.split()[0]} out, or choose another --dir"):
        started(tmp_path, *words.split())


def test_without_notes(tmp_path: Path) -> None:
    """The nodes of a first start that was broken off are joined once more; those of a cluster go on."""
    place = node(tmp_path, 7000, "0-5460")
    assert started(tmp_path).found == ()
    (place / "nodes.conf").write_text((place / "nodes.conf").read_text().replace("0-5460", "0-16383"))
    assert started(tmp_path).found == (7000,)
    assert started(tmp_path, "--nodes", "1").found == ()
    node(tmp_path, 8000)
    assert started(tmp_path, "--nodes", "2").found == (7000, 8000)


@pytest.mark.parametrize("text", ["", "[]", '{"nodes":"x"}', '{"directives":[[]]}', '{"directives":[[1]]}'])
def test_notes_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    (tmp_path / NOTES).write_text(text)
    with pytest.raises(ValueError, match="cannot be read"):
        started(tmp_path)


def test_notes_of_before(tmp_path: Path) -> None:
    (tmp_path / NOTES).write_text(json.dumps({"nodes": 3, "replicas": 0, "base-port": 8000, "bind": "::1"}))
    options = started(tmp_path)
    assert (options.ports, options.bind, options.program) == ([8000, 8001, 8002], "::1", ())


def test_nothing_to_remember() -> None:
    note(Options())
    assert recall(Options()) == Options()


def test_a_log_or_an_rdb_file(tmp_path: Path) -> None:
    assert [appending(tmp_path, wanted) for wanted in (None, "yes", "no")] == [None, "yes", "no"]
    (tmp_path / "dump.rdb").touch()
    assert [appending(tmp_path, wanted) for wanted in (None, "yes", "no")] == [None, "no", "no"]
    log = tmp_path / "appendonlydir" / "appendonly.aof.1.incr.aof"
    log.parent.mkdir()
    log.touch()
    os.utime(log, (1, 1))
    assert [appending(tmp_path, wanted) for wanted in (None, "yes", "no")] == [None, "yes", "no"]
    os.utime(tmp_path / "dump.rdb", (0, 0))
    assert [appending(tmp_path, wanted) for wanted in (None, "yes", "no")] == ["yes", "yes", "no"]
