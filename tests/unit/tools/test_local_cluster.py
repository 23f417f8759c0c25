"""Parts of `respcache cluster` without nodes. Whole runs are in `tests/integration/test_local_cluster.py`."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

import respcache
from respcache.tools import local_cluster
from respcache.tools.asking import Trouble
from respcache.tools.cluster_options import HELP, read
from respcache.tools.joining import Row
from respcache.tools.local_cluster import LocalCluster, environment
from respcache.tools.progress import Progress


def cluster(*words: str, root: str = "/data") -> LocalCluster:
    return LocalCluster(read(words), Path(root), Progress(io.StringIO()))


def pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help(capsys: pytest.CaptureFixture[str], word: str) -> None:
    assert local_cluster.main([word]) == 0
    assert capsys.readouterr().out == HELP + "\n"


def test_wrong_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert local_cluster.main(["--nodes", "0"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "respcache cluster: --nodes wants a number from 1 to 1000, not '0'\n")


def test_the_arguments_of_a_node() -> None:
    assert pairs(cluster("--appendonly", "yes").directives(7001)) == [
        ("--port", "7001"),
        ("--bind", "127.0.0.1"),
        ("--dir", "/data/7001"),
        ("--cluster-enabled", "yes"),
        ("--cluster-config-file", "nodes.conf"),
        ("--cluster-node-timeout", "5000"),
        ("--repl-diskless-sync-delay", "0"),
        ("--repl-ping-replica-period", "1"),
        ("--cluster-announce-ip", "127.0.0.1"),
        ("--save", ""),
        ("--appendonly", "yes"),
    ]


def test_a_directory_has_the_default_save_points(tmp_path: Path) -> None:
    assert "--save" not in cluster("--dir", str(tmp_path)).directives(7000)


def test_defaults_give_way() -> None:
    words = cluster("--cluster-node-timeout", "100", "--save", "1", "1", "--bind", "0.0.0.0").directives(7000)
    assert words.count("--cluster-node-timeout") == words.count("--save") == 1
    assert words[-5:] == ["--cluster-node-timeout", "100", "--save", "1", "1"]
    assert "--cluster-announce-ip" not in words


def test_a_password_is_for_the_masters_too() -> None:
    words = pairs(cluster("--requirepass", "secret").directives(7000))
    assert {("--requirepass", "secret"), ("--masterauth", "secret")} <= {*words}
    words = pairs(cluster("--requirepass", "secret", "--masterauth", "other").directives(7000))
    assert [value for name, value in words if name == "--masterauth"] == ["other"]


def test_the_program() -> None:
    assert cluster()._program() == [sys.executable, "-P", "-m", "respcache"]
    found = cluster("--program", "sh -x")._program()
    assert Path(found[0]).is_absolute()
    assert found[1:] == ["-x"]
    with pytest.raises(Trouble, match="no such program: no-such-program"):
        cluster("--program", "no-such-program")._program()


def test_a_node_is_started_with_what_it_has(tmp_path: Path) -> None:
    place = tmp_path / "7000"
    place.mkdir()
    (place / "dump.rdb").touch()
    made = cluster("--appendonly", "yes", root=str(tmp_path))
    assert made.directives(7000)[-2:] == ["--appendonly", "no"]
    assert made.directives(7001)[-2:] == ["--appendonly", "yes"]


def test_the_table_and_the_hints() -> None:
    made = cluster("--nodes", "2")
    made._pids = {7000: 1, 7001: 12345}
    rows = [
        Row("127.0.0.1:7000", "0-16382", ""),
        Row("127.0.0.1:7001", "", "127.0.0.1:7000"),
        Row("127.0.0.1:7009", "16383", "", "not reached"),
    ]
    assert made._table(rows).splitlines() == [
        "node            role                       slots    pid    directory",
        "127.0.0.1:7000  master                     0-16382  1      /data/7000",
        "127.0.0.1:7001  replica of 127.0.0.1:7000  -        12345  /data/7001",
        "127.0.0.1:7009  master                     16383    -      not reached",
    ]
    assert made._hints(rows) == (
        '  redis-cli -c -p 7000\n  python: redis.cluster.RedisCluster("127.0.0.1", 7000)'
    )
    assert made._ending() == "Ctrl-C stops it and removes its data."


def test_masters_without_slots_are_told_of() -> None:
    rows = [Row("127.0.0.1:7000", "", "", "in no cluster"), Row("127.0.0.1:7001", "0-16383", "")]
    assert "Without slots" not in cluster()._hints(rows)
    hints = cluster()._hints([*rows, Row("127.0.0.1:7002", "", "")])
    assert "redis-cli -c -p 7001\n" in hints
    assert hints.endswith(
        "Without slots: 127.0.0.1:7002. To give each its share:\n"
        "  redis-cli --cluster rebalance 127.0.0.1:7001 --cluster-use-empty-masters"
    )


def test_the_hints_show_no_password(tmp_path: Path) -> None:
    made = cluster("--requirepass", "secret", "--bind", "::1", "--dir", str(tmp_path / "a b"))
    hints = made._hints([Row("[::1]:7000", "0-16383", "")])
    assert "REDISCLI_AUTH=... redis-cli -c -h ::1 -p 7000" in hints
    assert 'RedisCluster("::1", 7000, password="...")' in hints
    assert made._ending() == f"Ctrl-C stops it; respcache cluster --dir '{tmp_path}/a b' goes on with its data."


def test_how_a_node_is_started_again() -> None:
    line = cluster("--requirepass", "secret", "--save", "", "--nodes", "3")._again(7001)
    assert line.startswith(f"{sys.executable} -m respcache --port 7001 --bind 127.0.0.1 --dir /data/7001 ")
    assert line.endswith("""--masterauth "$REDISCLI_AUTH" --requirepass "$REDISCLI_AUTH" --save ''""")
    assert re.match(r"/\S+/sh -x --port 7000 ", cluster("--program", "sh -x")._again(7000))


def test_the_end_of_a_log(tmp_path: Path) -> None:
    made = cluster(root=str(tmp_path))
    assert made._last_lines("127.0.0.1:7000") == "It has said nothing."
    (tmp_path / "7000").mkdir()
    (tmp_path / "7000" / "node.log").write_text("".join(f"{n}\n" for n in range(7)))
    assert made._last_lines("127.0.0.1:7000") == "Its log ends:\n  2\n  3\n  4\n  5\n  6"


def test_where_the_package_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", "before")
    root = str(Path(local_cluster.__file__).parents[2])
    monkeypatch.setattr(respcache, "__file__", f"{root}/respcache/__init__.py")
    assert environment()["PYTHONPATH"] == f"{root}:before"
    monkeypatch.setattr(respcache, "__file__", "/usr/lib/site-packages/respcache/__init__.py")
    assert environment()["PYTHONPATH"] == "before"
