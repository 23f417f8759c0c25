from __future__ import annotations

import os
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from respcache import config as module
from respcache.config import (
    Arguments,
    Config,
    ConfigError,
    Line,
    Rename,
    SetError,
    parse_args,
    quote,
    split_words,
)
from respcache.directives import DIRECTIVES

PACKAGE = Path(module.__file__).parent


@pytest.fixture
def config() -> Config:
    return Config(DIRECTIVES)


def glob(pattern: bytes) -> Callable[[bytes], bool]:
    return lambda name: fnmatchcase(name.decode(), pattern.decode())


# Words and quotes


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b" \t ", []),
        (b"a  b\tc ", ["a", "b", "c"]),
        (b'""', [""]),
        (b"a ''", ["a", ""]),
        (b'"a b" c', ["a b", "c"]),
        (b'"\\x41\\n\\r\\t\\a\\b\\q\\\\\\""', ['A\n\r\t\a\bq\\"']),
        (b'"\\x4" "\\xzz"', ["x4", "xzz"]),
        (b"'\\n\\'x'", ["\\n'x"]),
        (b'a"b c"', ["ab c"]),
        (b"caf\xc3\xa9", ["café"]),
        (b"\xff", ["\udcff"]),
        (b'"\\xff"', ["\udcff"]),
        (b'"a', None),
        (b"'a", None),
        (b"'a\\'", None),
        (b'"a"b', None),
        (b'"a""b"', None),
        (b'a "', None),
        (b'"a\\', None),
    ],
)
def test_split_words(line: bytes, words: list[str] | None) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("text", ["", "plain", 'a b"c\n\x01', "café", "\udcff", "\\x", "'", "\t\r\a\b"])
def test_quote_comes_back(text: str) -> None:
    assert quote(text).isascii()
    assert split_words(quote(text).encode()) == [text]


# Values


def test_values_are_attributes_with_types(config: Config) -> None:
    assert config.port == 6379
    assert config.appendonly is False
    assert config.bind == ("*", "-::*")
    assert config.maxmemory_policy == "noeviction"
    assert config.save == ((3600, 1), (300, 100), (60, 10000))
    assert config.replicaof == ()
    assert config.output_limit("replica") == (256 << 20, 64 << 20, 60)
    assert config.dir == os.getcwd()
    assert config.value("SLAVEOF") == ()
    with pytest.raises(AttributeError, match="no directive 'no-such'"):
        _ = config.no_such
    with pytest.raises(KeyError):
        config.value("no-such")


def test_every_attribute_read_in_the_package_is_there(config: Config) -> None:
    read = re.compile(r"\bconfig\.([a-z_0-9]+)\b(?!\.)")
    for path in PACKAGE.rglob("*.py"):
        if path.name in ("config.py", "directives.py"):
            continue
        code = re.sub(r"(?m)^\s*(from|import) .*|#.*|\"\"\".*?\"\"\"", "", path.read_text())
        for name in read.findall(code):
            assert hasattr(config, name) or hasattr(module, name), f"{path.name}: config.{name}"


def test_match(config: Config) -> None:
    assert config.match(b"port", glob) == {"port": "6379"}
    assert config.match(b"PORT", glob) == {"port": "6379"}
    assert config.match(b"SLAVE-read*", glob) == {"slave-read-only": "yes"}
    assert config.match(b"nope", glob) == {}
    assert config.match(b"\xff", glob) == {}
    assert config.match(b"watchdog*", glob) == {}
    assert config.match(b"watchdog-period", glob) == {"watchdog-period": "0"}
    assert set(config.match(b"max[cm]*y", glob)) == {
        "maxmemory",
        "maxmemory-policy",
        "maxmemory-eviction-tenacity",
    }


# CONFIG SET and its listeners


def test_listeners_hear_changes_only(config: Config) -> None:
    heard: list[int] = []
    config.on_change("hz", lambda: heard.append(config.hz))
    config.set_many([("hz", "10"), ("timeout", "5")])
    config.set_many([("hz", "20")])
    assert heard == [20]


def test_a_listener_of_two_directives_hears_once(config: Config) -> None:
    heard: list[tuple[int, int]] = []

    def listener() -> None:
        heard.append((config.hz, config.timeout))

    config.on_change("hz", listener)
    config.on_change("timeout", listener)
    config.set_many([("hz", "20"), ("timeout", "5")])
    assert heard == [(20, 5)]


def test_a_refusal_rolls_all_back(config: Config) -> None:
    heard: list[int] = []

    def refuse() -> None:
        raise ValueError("Unable to listen on this port. Check server logs.")

    config.on_change("slave-priority", lambda: heard.append(config.replica_priority))
    config.on_change("port", refuse)
    with pytest.raises(SetError) as caught:
        config.set_many([("replica-priority", "1"), ("port", "7"), ("hz", "20")])
    assert caught.value.text == (
        b"ERR CONFIG SET failed (possibly related to argument 'port') - "
        b"Unable to listen on this port. Check server logs."
    )
    assert heard == [1, 100]
    assert (config.replica_priority, config.port, config.hz) == (100, 6379, 10)


def test_another_exception_of_a_listener_passes_through(config: Config) -> None:
    def fail() -> None:
        raise OSError("gone")

    config.on_change("hz", fail)
    with pytest.raises(OSError, match="gone"):
        config.set_many([("hz", "20")])
    assert config.hz == 10


def test_a_bad_value_changes_nothing(config: Config) -> None:
    with pytest.raises(SetError):
        config.set_many([("hz", "20"), ("timeout", "x")])
    assert config.hz == 10


def test_bytes_survive(config: Config) -> None:
    config.set_many([("requirepass", "\udcff\x00é")])
    assert config.get_text("requirepass") == "\udcff\x00é"
    with pytest.raises(SetError) as caught:
        config.set_many([("f\udcff", "1")])
    assert caught.value.text.endswith(b"- 'f\xff'")


# Keyword arguments


def test_load(config: Config) -> None:
    config.load(
        {
            "port": 0,
            "bind": "127.0.0.1 ::1",
            "appendonly": True,
            "requirepass": None,
            "save": "",
            "maxmemory": "1gb",
            "replicaof": ("127.0.0.1", 5),
            "client-output-buffer-limit": "normal 1 2 3",
            "server_cpulist": "0-1",
            "latency_tracking_info_percentiles": [50, 99.5],
        }
    )
    assert (config.port, config.bind, config.save) == (0, ("127.0.0.1", "::1"), ())
    assert config.appendonly is True
    assert config.maxmemory == 1 << 30
    assert config.replicaof == ("127.0.0.1", 5)
    assert config.output_limit("normal") == (1, 2, 3)
    assert config.output_limit("pubsub") == (32 << 20, 8 << 20, 60)
    assert config.server_cpulist == "0-1"
    assert config.latency_tracking_info_percentiles == (50.0, 99.5)


@pytest.mark.parametrize("directives", [{"prot": 5}, {"port": "x"}, {"hz": [1, 2]}, {"appendonly": 1}])
def test_load_refuses(config: Config, directives: dict[str, object]) -> None:
    (name,) = directives
    with pytest.raises(ConfigError, match=rf"^{name}=.*: \w+") as caught:
        config.load(directives)
    assert "\n" not in str(caught.value)
    assert "FATAL" not in str(caught.value)


# Files


def test_load_text(config: Config) -> None:
    config.load_text(
        b"# comment\n\n  PORT 7000 \r\nsave 900 1\nsave 300 10\nslave-read-only no\n"
        b'requirepass "a\\x41 b"\nuser alice on +@all\nrename-command CONFIG ""\n'
        b"lua-replicate-commands yes\n",
        "redis.conf",
    )
    assert (config.port, config.save, config.replica_read_only) == (7000, ((900, 1), (300, 10)), False)
    assert config.requirepass == "aA b"
    assert config.users == [("alice", "on", "+@all")]
    line = Line("redis.conf", 9, 'rename-command CONFIG ""')
    assert config.renames == [Rename("CONFIG", "", line)]


def test_save_points_add_up_over_sources(config: Config) -> None:
    config.load_text(b"save 900 1\n", "redis.conf")
    config.load_arguments([("save", "60", "5")])
    assert config.save == ((900, 1), (60, 5))
    config.load_arguments([("save", "")])
    assert config.save == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("foo bar", "Bad directive or wrong number of arguments"),
        ("user", "Bad directive or wrong number of arguments"),
        ("rename-command a", "Bad directive or wrong number of arguments"),
        ("list-max-ziplist-value 3 4", "Bad directive or wrong number of arguments"),
        ("include", "Bad directive or wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ("port 1 2", "wrong number of arguments"),
        ("replicaof a", "wrong number of arguments"),
        ("replicaof a b", "Invalid master port"),
        ('bind "a', "Unbalanced quotes in configuration line"),
        ("maxmemory foo", "argument must be a memory value"),
        ("unixsocketperm 888", "argument couldn't be parsed as an octal number"),
        ("dir /none/such", "No such file or directory"),
        ("appendfilename a/b", "appendfilename can't be a path, just a filename"),
        ('appenddirname ""', "appenddirname can't be empty"),
        ("save 1", "Invalid save parameters"),
        ("loadmodule x.so", "modules are C libraries and cannot be loaded here"),
        ("sentinel monitor a b 1 2", "sentinel directive while not in sentinel mode"),
    ],
)
def test_errors_name_file_line_and_reason(config: Config, line: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load_text(f"port 1\n\n  {line}  \n".encode(), "a.conf")
    expected = f"*** FATAL CONFIG FILE ERROR ***\nReading a.conf, at line 3\n>>> '{line}'\n{reason}"
    assert str(caught.value) == expected


def test_includes(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.conf").write_text("include one.conf\ninclude none*.conf\ninclude d/*.conf\ntimeout 9\n")
    (tmp_path / "one.conf").write_text("hz 20\ntimeout 1\n")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "b.conf").write_text("port 2\n")
    (tmp_path / "d" / "a.conf").write_text("port 1\nmaxclients 7\n")
    config.load_file("main.conf")
    assert (config.hz, config.timeout, config.port, config.maxclients) == (20, 9, 2, 7)


def test_bad_includes(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop.conf").write_text("include loop.conf\n")
    with pytest.raises(ConfigError, match="Too many nested includes"):
        config.load_file("loop.conf")
    with pytest.raises(ConfigError, match=r"at line 1\n>>> 'include x'\nCan't open config file 'x': No such"):
        config.load_text(b"include x", "a.conf")
    with pytest.raises(ConfigError, match=r"Can't open config file 'none\.conf'"):
        config.load_file("none.conf")


def test_given(config: Config) -> None:
    assert not config.given("save")
    config.load_text(b"slave-read-only yes\nsave 1 1", "a.conf")
    assert config.given("save")
    assert config.given("replica-read-only")
    assert not config.given("port")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("save", "60 1", ((60, 1),)),
        ("save", "60 1 30 2", ((60, 1), (30, 2))),
        ("save", "", ()),
        ("bind", "127.0.0.1 ::1", ("127.0.0.1", "::1")),
        ("bind", "", ()),
        ("latency-tracking-info-percentiles", "50 99", (50.0, 99.0)),
        ("oom-score-adj-values", "1 2 3", (1, 2, 3)),
        ("replicaof", "no one", ()),
    ],
)
def test_one_word_may_hold_all(config: Config, name: str, text: str, value: object) -> None:
    config.load_arguments([(name, text)])
    assert config.value(name) == value
    again = Config(DIRECTIVES)
    again.load_text(f'{name} "{text}"\n'.encode(), "a.conf")
    assert again.value(name) == value


def test_one_word_may_hold_an_output_limit(config: Config) -> None:
    config.load_arguments([("client-output-buffer-limit", "normal 10mb 0 0")])
    assert config.output_limit("normal") == (10 << 20, 0, 0)


def test_two_words_are_not_split_further(config: Config) -> None:
    with pytest.raises(ConfigError, match="Invalid save parameters"):
        config.load_arguments([("save", "60 1", "30 2")])
    with pytest.raises(ConfigError, match="Bad directive"):
        config.load_arguments([("rename-command", "get foo")])


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        ([("hz", "1"), ("HZ", "2")], "HZ"),
        ([("DATABASES", "3")], "DATABASES"),
        ([("Dir", ".")], "Dir"),
        ([("HZ", "x")], "hz"),
    ],
)
def test_a_refusal_names_the_argument(config: Config, pairs: list[tuple[str, str]], named: str) -> None:
    with pytest.raises(SetError, match=f"argument '{named}'"):
        config.set_many(pairs)


# Command line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Arguments()),
        ("a.conf", Arguments(path="a.conf")),
        ("-", Arguments(stdin=True)),
        ("a.conf --port 5 -", Arguments(path="a.conf", stdin=True, overrides=(("port", "5"),))),
        ("--port 5 --bind 127.0.0.1 ::1", Arguments(overrides=(("port", "5"), ("bind", "127.0.0.1", "::1")))),
        ("--save --hz 5", Arguments(overrides=(("save", ""), ("hz", "5")))),
        ("--save", Arguments(overrides=(("save", ""),))),
        ("--save 900 1 --save 60 5", Arguments(overrides=(("save", "900", "1"), ("save", "60", "5")))),
        ("--requirepass --x --hz 5", Arguments(overrides=(("requirepass", "--x"), ("hz", "5")))),
        ("--port", Arguments(overrides=(("port",),))),
        ("--help", Arguments("help")),
        ("-h", Arguments("help")),
        ("-v", Arguments("version")),
        ("--version", Arguments("version")),
        ("--check-system", Arguments("check-system")),
    ],
)
def test_parse_args(line: str, expected: Arguments) -> None:
    assert parse_args(line.split()) == expected


def test_one_argument_may_hold_a_line() -> None:
    assert parse_args(["--hz 5", '--save ""', "--port", "6"]).overrides == (
        ("hz", "5"), ("save", ""), ("port", "6"),
    )  # fmt: skip
    assert parse_args(["--save", "", "--hz", "5"]).overrides == (("save", ""), ("hz", "5"))


@pytest.mark.parametrize("argv", [["-x"], ["--"], ['--a "b']])
def test_parse_args_refuses(argv: list[str]) -> None:
    with pytest.raises(ConfigError, match="Bad directive"):
        parse_args(argv)


def test_load_arguments_refuses(config: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        config.load_arguments([("hz", "5"), ("foo", "bar")])
    assert str(caught.value).splitlines()[1:] == [
        "Reading the command line, at line 2",
        ">>> '--foo bar'",
        "Bad directive or wrong number of arguments",
    ]
