"""`respcache ping`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from respcache.tools import ping
from tests.servers import Server, start_respcache
from tests.unit.tools.answering import answering


def port_of(address: tuple[str, int]) -> list[str]:
    return ["-p", str(address[1])]


@pytest.mark.parametrize(
    ("answer", "words", "status", "told"),
    [
        (b"+PONG\r\n", [], 0, ""),
        (b"-LOADING Redis is loading the dataset in memory\r\n", [], 1, ": LOADING Redis is loading"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", ["--loading-ok"], 0, ""),
        (b"-NOAUTH Authentication required.\r\n", ["--loading-ok"], 1, ": NOAUTH Authentication required."),
        (b"+HELLO\r\n", [], 1, ": PING was answered with b'HELLO'"),
        (b"", [], 1, ": closed the connection"),
    ],
)
def test_answers(
    answer: bytes, words: list[str], status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering({"PING": answer}) as server:
        assert ping.main([*port_of(server.address), *words]) == status
    out, err = capsys.readouterr()
    assert told in err
    assert len(err.splitlines()) == (1 if status else 0)
    assert out == ("PONG\n" if answer == b"+PONG\r\n" else "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["-p"], "-p wants a value"),
        (["-p", "0"], "bad port '0'"),
        (["-p", "x"], "bad port 'x'"),
        (["--timeout", "soon"], "bad timeout 'soon'"),
        (["--timeout", "0"], "bad timeout '0'"),
        (["--timeout", "nan"], "bad timeout 'nan'"),
        (["now"], "unknown argument 'now'"),
        (["127.0.0.1:x"], "bad port 'x'"),
        (["-p", "1", "127.0.0.1:2"], "unknown argument '127.0.0.1:2'"),
        (["--unix", "s", "-p", "1"], "--unix stands for host and port"),
    ],
)
def test_wrong_arguments(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ping.main(words) == 2
    assert capsys.readouterr().err == f"respcache ping: {told}; see respcache ping --help\n"


def test_an_address_in_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    with answering({"PING": b"+PONG\r\n"}) as server:
        host, port = server.address
        assert ping.main([f"{host}:{port}"]) == 0
    assert capsys.readouterr().out == "PONG\n"
    asker, _ = ping.read(["[::1]:7"])
    assert str(asker) == "[::1]:7"


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert ping.main(["--help"]) == 0
    assert capsys.readouterr().out == ping.HELP + "\n"


def test_where_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESPCACHE_PASSWORD", raising=False)
    assert ping.read([])[0].address == ("127.0.0.1", 6379)
    assert ping.read(["-h", "::1", "--port", "1", "--loading-ok"])[0].address == ("::1", 1)
    assert ping.read(["--unix", "/run/s"])[0].address == "/run/s"


def run(server: Server, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "respcache", "ping", *words],
        capture_output=True,
        text=True,
        timeout=10,
        env={**os.environ, **environment},
    )


def test_a_server() -> None:
    with start_respcache("--requirepass", "secret", "--unixsocket", "s") as server:
        port = str(server.port)
        assert run(server, "-p", port, RESPCACHE_PASSWORD="secret").stdout == "PONG\n"
        assert run(server, "--unix", str(server.directory / "s"), REDISCLI_AUTH="secret").returncode == 0
        refused = run(server, "-p", port, RESPCACHE_PASSWORD="")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "NOAUTH" in refused.stderr
    gone = run(server, "-p", port)
    assert (gone.returncode, gone.stderr) == (1, f"127.0.0.1:{port}: connection refused\n")


def test_it_imports_little() -> None:
    code = (
        "import sys, respcache.cli\n"
        "try: respcache.cli.main(['ping', '-p', '1'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'asyncio', 'argparse', 'subprocess', 'uvloop', 'respcache.server', 'respcache.store'}"
        " & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=10)
    assert done.stdout == "[]\n"
