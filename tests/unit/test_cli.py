"""The command line, in this process: what it makes of its arguments. Whole runs are in `test_process`."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from respcache import cli
from respcache.config import Arguments, Config, ConfigError
from respcache.version import REDIS_VERSION, __version__


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    assert capsys.readouterr().out == cli.HELP + "\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["-v"])
    assert capsys.readouterr().out.startswith(f"respcache v={__version__} redis={REDIS_VERSION} python=3.")


def test_the_directives_of_the_help_exist() -> None:
    from respcache.directives import DIRECTIVES

    named = {line.split()[0].removeprefix("--") for line in cli.HELP.splitlines() if line.startswith("  --")}
    assert named - {"check-system"} <= DIRECTIVES.keys()
    assert len(named) > 8


def test_the_order_of_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = tmp_path / "our.conf"
    conf.write_text("timeout 1\nhz 11\nmaxclients 100\n")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"timeout 2\nhz 12\n")))
    config = cli.read_config(Arguments("run", str(conf), True, (("timeout", "3"),)))
    assert (config.timeout, config.hz, config.maxclients) == (3, 12, 100)


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--no-such-thing", "1"], "Bad directive or wrong number of arguments"),
        (["--port", "many"], "argument couldn't be parsed into an integer"),
        (["clutser"], "and none of check, cluster, dump, ping; see respcache --help"),
        (["no-such.conf"], "Can't open config file 'no-such.conf': No such file or directory"),
    ],
)
def test_a_bad_command_line(argv: list[str], text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert str(ended.value.code).endswith(text)
    with pytest.raises(ConfigError):
        raise_of(argv)


def raise_of(argv: list[str]) -> None:
    from respcache.config import parse_args

    cli.read_config(parse_args(argv))


def test_an_error_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: Config, path: str | None = None) -> None:
        raise FileNotFoundError(2, "No such file or directory", "there")

    monkeypatch.setattr(cli, "serve", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == "respcache: No such file or directory: there"


def test_an_interrupt_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(config: Config, path: str | None = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "serve", interrupt)
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 130


@pytest.mark.parametrize(
    ("uvloop", "files", "status"),
    [(object, 20_000, 0), (None, 20_000, 1), (object, 1024, 1), (None, 1024, 1)],
)
def test_check_system(
    uvloop: object,
    files: int,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("respcache.loop.loop_factory", lambda: uvloop)
    monkeypatch.setattr(cli, "_open_files", lambda: (1024, files))
    with pytest.raises(SystemExit) as ended:
        cli.main(["--check-system"])
    assert ended.value.code == status
    told = capsys.readouterr().out
    assert ("[WARNING] uvloop" in told, "[WARNING] more than" in told) == (uvloop is None, files == 1024)
    assert len(told.splitlines()) == 2
