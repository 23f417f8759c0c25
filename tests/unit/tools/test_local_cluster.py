"""Parts of `respcache cluster` without nodes. Whole runs are in `tests/integration/test_local_cluster.py`."""

from __future__ import annotations

import io
import socket
import sys
from pathlib import Path

import pytest

import respcache
from respcache.tools import local_cluster
from respcache.tools.asking import Trouble
from respcache.tools.cluster_options import HELP, Options, read
from respcache.tools.joining import Row
from respcache.tools.local_cluster import LocalCluster, Progress, check_ports, columns, environment
from tests.servers import free_port


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def cluster(*words: str, root: str = "/data") -> LocalCluster:
    return LocalCluster(read(words), Path(root), Progress(io.StringIO()))


def pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=True))


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert local_cluster.main(["--help"]) == 0
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


def test_the_table_and_the_hints() -> None:
    made = cluster("--nodes", "2")
    made._pids = {7000: 1, 7001: 12345}
    rows = [Row("127.0.0.1:7000", "0-16383", ""), Row("127.0.0.1:7001", "", "127.0.0.1:7000")]
    assert made._table(rows).splitlines() == [
        "node            role                       slots    pid    directory",
        "127.0.0.1:7000  master                     0-16383  1      /data/7000",
        "127.0.0.1:7001  replica of 127.0.0.1:7000  -        12345  /data/7001",
    ]
    hints = made._hints(1.26)
    assert "  redis-cli -c -p 7000\n" in hints
    assert '  python: redis.cluster.RedisCluster("127.0.0.1", 7000)\n' in hints
    assert hints.endswith("Ready after 1.3 seconds. Ctrl-C stops it and removes its data.")


def test_the_hints_show_no_password(tmp_path: Path) -> None:
    hints = cluster("--requirepass", "secret", "--bind", "::1", "--dir", str(tmp_path))._hints(1)
    assert "REDISCLI_AUTH=... redis-cli -c -h ::1 -p 7000" in hints
    assert 'RedisCluster("::1", 7000, password="...")' in hints
    assert hints.endswith(f"Ctrl-C stops it; respcache cluster --dir {tmp_path} goes on with its data.")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--nodes 2 --replicas 1", "with 1 master no replica takes over"),
        ("--nodes 4 --replicas 1", "with 2 masters no replica takes over"),
        ("--nodes 6", ""),
        ("--nodes 2", ""),
    ],
)
def test_few_masters(words: str, told: str) -> None:
    stream = io.StringIO()
    LocalCluster(read(words.split()), Path("/data"), Progress(stream))._warn()
    assert stream.getvalue().startswith(f"Warning: {told}" if told else "")
    assert bool(stream.getvalue()) == bool(told)


def test_ports_that_are_taken() -> None:
    port = free_port()
    options = Options(nodes=1, base_port=port)
    check_ports(options)
    with socket.create_server(("127.0.0.1", port + 10000)):
        with pytest.raises(Trouble) as caught:
            check_ports(options)
        assert (
            str(caught.value)
            == f"this port is taken: {port + 10000}. Nothing was started; choose others with --base-port"
        )
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(Trouble, match=f"ports are taken: {port}, {port + 10000}"),
        ):
            check_ports(Options(nodes=1, base_port=port, bind="*"))
    check_ports(options)


def test_an_address_of_somebody_else() -> None:
    with pytest.raises(Trouble, match=r"^cannot listen on 192\.0\.2\.1: cannot assign requested address$"):
        check_ports(Options(bind="192.0.2.1"))


def test_where_the_package_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", "before")
    root = str(Path(local_cluster.__file__).parents[2])
    monkeypatch.setattr(respcache, "__file__", f"{root}/respcache/__init__.py")
    assert environment()["PYTHONPATH"] == f"{root}:before"
    monkeypatch.setattr(respcache, "__file__", "/usr/lib/site-packages/respcache/__init__.py")
    assert environment()["PYTHONPATH"] == "before"


def test_progress_on_a_terminal() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.tell("waiting")
    progress.tell("waiting: a")
    progress.say("done")
    assert stream.getvalue() == "\r\x1b[Kwaiting\r\x1b[Kwaiting: a\r\x1b[Kdone\n"


def test_progress_elsewhere() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for text in ("waiting", "waiting: a", "waiting: b", "next"):
        progress.tell(text)
    progress.clear()
    progress.say("done")
    assert stream.getvalue() == "waiting\nnext\ndone\n"


def test_columns() -> None:
    assert columns([("a", "b"), ("ccc", "")]) == "a    b\nccc"
