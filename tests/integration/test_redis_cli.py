"""The real redis-cli: its commands, its tools, and an interactive session on a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server, start_respcache
from tests.wire import OK, Wire, encode

fcntl = pytest.importorskip("fcntl")
pty = pytest.importorskip("pty")
termios = pytest.importorskip("termios")

pytestmark = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="no redis-cli on PATH")

COMPLAINT = re.compile(r"\b(?:WARNING|ERR|AUTH failed|Error|Unknown|Unrecognized|Invalid)\b")


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with start_respcache("--enable-debug-command", "yes") as server:
        yield server
        assert "Traceback" not in server.log


@pytest.fixture
def server(running: Server) -> Server:
    with Wire(running.port) as c:
        assert c("FLUSHALL") == OK
    return running


def run(server: Server, *args: str | float, stdin: bytes = b"", status: int = 0) -> str:
    """What `redis-cli args` prints, errors behind; its exit status is checked."""
    command = ["redis-cli", "-p", str(server.port), *map(str, args)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=60)
    told = (done.stdout + done.stderr).decode()
    assert done.returncode == status, told
    return told


def clean(text: str) -> str:
    assert not COMPLAINT.search(text), text
    return text


# One command


@pytest.mark.parametrize("options", [[], ["-3"], ["-2"]], ids=["default", "resp3", "resp2"])
def test_commands(server: Server, options: list[str]) -> None:
    def cli(*args: str | float) -> str:
        return clean(run(server, *options, *args))

    assert cli("PING") == "PONG\n"
    assert cli("SET", "k", "hello world") == "OK\n"
    assert cli("GET", "k") == "hello world\n"
    assert cli("GET", "nothing") == "\n"
    assert cli("--no-raw", "GET", "nothing") == "(nil)\n"
    assert cli("--no-raw", "STRLEN", "k") == "(integer) 11\n"
    assert cli("--no-raw", "MGET", "k", "nothing") == '1) "hello world"\n2) (nil)\n'
    assert cli("--csv", "MGET", "k", "nothing") == '"hello world",NULL\n'
    assert cli("-r", 3, "-i", 0.001, "INCR", "n") == "1\n2\n3\n"
    assert cli("-n", 5, "SET", "five", 1) == "OK\n"
    assert cli("-n", 5, "DBSIZE") == "1\n"
    assert cli("EXISTS", "five") == "0\n"
    assert "redis_version:7.4" in cli("INFO", "server")
    assert "addr=127.0.0.1:" in cli("CLIENT", "LIST")


def test_resp3_shapes(server: Server) -> None:
    assert run(server, "-3", "--no-raw", "CONFIG", "GET", "maxclients") == '1# "maxclients" => "10000"\n'
    assert run(server, "-3", "--no-raw", "DEBUG", "PROTOCOL", "double") == "(double) 3.141\n"
    assert run(server, "-3", "--no-raw", "DEBUG", "PROTOCOL", "true") == "(true)\n"


def test_errors_and_exit_codes(server: Server) -> None:
    assert run(server, "NOPE").startswith("ERR unknown command 'NOPE', with args beginning with: \n")
    assert run(server, "-e", "NOPE", status=1).startswith("ERR unknown command 'NOPE'")
    assert run(server, "-e", "PING") == "PONG\n"
    assert run(server, "GET") == "ERR wrong number of arguments for 'get' command\n\n"


def test_a_server_that_is_not_there(server: Server) -> None:
    done = subprocess.run(["redis-cli", "-p", "1", "PING"], capture_output=True, timeout=10)
    assert done.returncode == 1


def test_a_password(server: Server) -> None:
    with start_respcache("--requirepass", "s3cret") as locked:
        assert run(locked, "PING") == "NOAUTH Authentication required.\n\n"
        assert clean(run(locked, "--no-auth-warning", "-a", "s3cret", "PING")) == "PONG\n"
        assert (
            clean(run(locked, "--no-auth-warning", "-3", "--user", "default", "--pass", "s3cret", "PING"))
            == "PONG\n"
        )
        assert "WRONGPASS" in run(locked, "--no-auth-warning", "-a", "wrong", "PING")


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "our.sock"
    with start_respcache("--unixsocket", str(path)):
        done = subprocess.run(["redis-cli", "-s", str(path), "PING"], capture_output=True, timeout=10)
        assert done.stdout == b"PONG\n"


# Standard input


def test_commands_from_standard_input(server: Server) -> None:
    assert run(server, stdin=b'SET k "a b"\nGET k\n\nINCR n\n') == "OK\na b\n1\n"


def test_the_last_argument_from_standard_input(server: Server) -> None:
    assert run(server, "-x", "SET", "k", stdin=b"from\nstdin\0") == "OK\n"
    with Wire(server.port) as c:
        assert c("GET", "k") == b"from\nstdin\0"
    assert run(server, "-X", "tag", "SET", "tag", "v", stdin=b"name") == "OK\n"
    assert run(server, "GET", "name") == "v\n"


@pytest.mark.parametrize("size", [3, 3000])
def test_pipe(server: Server, size: int) -> None:
    count = 100_000 if size == 3 else 2000
    requests = b"".join(encode("SET", f"key:{number}", b"v" * size) for number in range(count))
    told = clean(run(server, "--pipe", stdin=requests).replace("errors: 0", ""))
    assert told.endswith(f", replies: {count}\n")
    assert run(server, "DBSIZE") == f"{count}\n"


def test_pipe_with_errors(server: Server) -> None:
    told = run(
        server, "--pipe", stdin=encode("SET", "k", "v") + encode("INCR", "k") + encode("GET", "k"), status=1
    )
    assert "value is not an integer" in told
    assert "\nerrors: 1, replies: 3\n" in told


def test_pipe_with_inline_commands(server: Server) -> None:
    told = run(server, "--pipe", stdin=b"SET a 1\r\nSET b 2\r\nINCR a\r\n")
    assert told.endswith("errors: 0, replies: 3\n")


# Tools


def test_scan(server: Server) -> None:
    with Wire(server.port) as c:
        c("MSET", *[part for number in range(1000) for part in (f"user:{number}", 1, f"item:{number}", 1)])
    found = run(server, "--scan", "--pattern", "user:*").splitlines()
    assert sorted(found) == sorted(f"user:{number}" for number in range(1000))
    assert len(run(server, "--scan").splitlines()) == 2000


@pytest.mark.parametrize(
    ("tool", "line"),
    [
        ("--bigkeys", 'Biggest string found "big" has 5000 bytes'),
        ("--memkeys", 'Biggest string found "big" has '),
    ],
)
def test_big_keys(server: Server, tool: str, line: str) -> None:
    with Wire(server.port) as c:
        assert c("MSET", "big", "x" * 5000, "small", "x", "other", "y") == OK
    told = clean(run(server, tool))
    assert "Sampled 3 keys in the keyspace!" in told
    assert line in told.replace("'", "").replace('""', '"')
    assert "3 strings with " in told


def test_latency(server: Server) -> None:
    with session(server, "--latency", "-i", "0.05") as screen:
        screen.wait(r"min: \d+, max: \d+, avg: [\d.]+ \(\d\d+ samples\)")


def test_stat(server: Server) -> None:
    with Wire(server.port) as c:
        assert c("MSET", "a", 1, "b", 2) == OK
    with session(server, "--stat", "-i", "0.02") as screen:
        screen.wait(r"------- data ------ -+ load -+ - child -")
        screen.wait(r"\n2 +[\d.]+[MG] +\d+ +0 +\d+ \(\+\d+\) +\d+")


# An interactive session


class Screen:
    """What a program shows on a terminal of 80 columns, as it comes."""

    def __init__(self, terminal: int) -> None:
        self.terminal = terminal
        self.shown = ""

    def type(self, keys: str) -> None:
        """Presses these keys; what was shown before is forgotten. To be called once the prompt is there."""
        self.shown = ""
        os.write(self.terminal, keys.encode())

    def wait(self, pattern: str, seconds: float = 10.0) -> str:
        """Waits until what is shown matches; returns it. What only moves and colours the text is left out."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.shown):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} was not shown, but {self.shown[-2000:]!r}"
            if select.select([self.terminal], [], [], left)[0]:
                new = os.read(self.terminal, 1 << 16).decode(errors="replace")
                self.shown = re.sub(r"\x1b\[[\d;]*[A-Za-z]|\r(?=\r*\n)", "", self.shown + new)
        return clean(self.shown)


@contextlib.contextmanager
def session(server: Server, *options: str) -> Iterator[Screen]:
    """redis-cli on a terminal of its own, ended with the block."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, b"\x18\0\x50\0\0\0\0\0")  # 24 lines, 80 columns
    environment = {
        **os.environ,
        "TERM": "xterm",
        "HOME": str(server.directory),
        "REDISCLI_HISTFILE": os.devnull,
    }
    environment.pop("NO_COLOR", None)
    command = ["redis-cli", "-p", str(server.port), *options]
    process = subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True
    )
    os.close(its)
    try:
        yield Screen(ours)
    finally:
        process.kill()
        process.wait(5)
        os.close(ours)


@pytest.fixture
def screen(server: Server) -> Iterator[Screen]:
    with session(server) as screen:
        screen.wait(rf"127\.0\.0\.1:{server.port}> ")
        yield screen


def test_an_interactive_session(server: Server, screen: Screen) -> None:
    prompt = rf"\n127\.0\.0\.1:{server.port}> "
    screen.type("set greeting 'hello world'\r")
    screen.wait("\nOK" + prompt)
    screen.type("get greeting\r")
    screen.wait('\n"hello world"' + prompt)
    screen.type("get nothing\r")
    screen.wait(r"\n\(nil\)" + prompt)
    screen.type("incr n\r")
    screen.wait(r"\n\(integer\) 1" + prompt)
    screen.type("keys *\r")
    screen.wait(r'\n1\) "\w+"\n2\) "\w+"' + prompt)
    screen.type("3 incr n\r")  # three times
    screen.wait(r"\n\(integer\) 2\n\(integer\) 3\n\(integer\) 4" + prompt)
    screen.type("select 3\r")
    screen.wait(rf"\nOK\n127\.0\.0\.1:{server.port}\[3\]> ")
    screen.type("hello 3\r")
    screen.wait(r'1# "server" => "redis"\n(.|\n)*\[3\]> $')
    screen.type("help @connection\r")
    screen.wait("CLIENT ID(.|\n)*SELECT index(.|\n)*" + r"\[3\]> $")
    screen.type("help set\r")
    screen.wait(r"SET key value \[(.|\n)*summary: (.|\n)*since: 1\.0\.0\n *group: string\n")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("get ", "key"),
        ("set ", r"key value \[NX\|XX\] \[GET\]"),
        ("set k ", r"value \[NX\|XX\] \[GET\]"),
        ("mset ", r"key value \[key value \.\.\.\]"),
        ("config get ", r"parameter \[parameter \.\.\.\]"),
        ("expire k ", r"seconds \[NX\|XX\|GT\|LT\]"),
        ("client setname ", "connection-name"),
    ],
)
def test_hints(screen: Screen, typed: str, hint: str) -> None:
    screen.type(typed)
    shown = screen.wait(hint + r"(?=\W|$)")
    assert max(len(line) for line in re.split(r"[\r\n]", shown)) <= 80


@pytest.mark.parametrize(("typed", "completed"), [("getr", "GETRANGE|getrange"), ("conf", "CONFIG|config")])
def test_tab_completion(screen: Screen, typed: str, completed: str) -> None:
    screen.type(typed + "\t")
    screen.wait(f"> (?:{completed})")
