"""The server as a process: how it starts, what it says, and how it ends."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from respcache.version import REDIS_VERSION, __version__
from tests.servers import ROOT, Server, free_port, start_respcache
from tests.wire import OK, PONG, Error, Wire, encode

LOG_LINE = re.compile(r"\d+:M \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d\.\d{3} [.*#-] \S.*")
MB = 1 << 20


def respcache(
    *args: str | int | Path,
    stdin: bytes = b"",
    cwd: Path | None = None,
    program: Sequence[str] = (sys.executable, "-m", "respcache"),
) -> subprocess.CompletedProcess[str]:
    """Runs a command line that ends by itself."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [*program, *map(str, args)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        timeout=10,
        env={**os.environ, "PYTHONPATH": path},
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def fails(*args: str | int, stdin: bytes = b"") -> str:
    """What a command line that cannot work says to standard error; it says nothing else, and its status is 1."""
    done = respcache(*args, stdin=stdin)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


# Options that only print


def test_version() -> None:
    for option in ("--version", "-v"):
        done = respcache(option)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(
            rf"respcache v={re.escape(__version__)} redis={REDIS_VERSION} python=[\d.]+\S* bits=64\n",
            done.stdout,
        )


def test_help() -> None:
    for option in ("--help", "-h"):
        done = respcache(option)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: respcache [conf-file | -]")
        assert max(map(len, done.stdout.splitlines())) <= 120


def test_check_system() -> None:
    done = respcache("--check-system")
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(("[OK] ", "[WARNING] ")) for line in lines)
    assert done.returncode == any(line.startswith("[WARNING] ") for line in lines)


# What cannot work


def test_a_port_in_use() -> None:
    with start_respcache() as server:
        done = respcache("--port", server.port, "--bind", "127.0.0.1")
        assert done.returncode == 1
        assert done.stderr == ""
        *_, last = done.stdout.splitlines()
        assert last.endswith(
            f" # Could not create server TCP listening socket 127.0.0.1:{server.port}: Address already in use"
        )
        assert "Traceback" not in done.stdout
        assert "Ready" not in done.stdout
        with Wire(server.port) as c:
            assert c("PING") == PONG


def test_an_address_that_is_not_ours() -> None:
    done = respcache("--port", free_port(), "--bind", "192.0.2.1")
    assert done.returncode == 1
    assert "192.0.2.1" in done.stdout.splitlines()[-1]
    done = respcache(
        "--port", free_port(), "--bind", "-192.0.2.1"
    )  # may be missing, but then nothing is left
    assert done.returncode == 1
    assert "None of the addresses of 'bind' is available" in done.stdout


def test_a_bad_directive() -> None:
    assert fails("--no-such-thing", "1") == (
        "*** FATAL CONFIG FILE ERROR ***\nReading the command line, at line 1\n>>> '--no-such-thing 1'\n"
        "Bad directive or wrong number of arguments\n"
    )
    assert fails("--databases", "many").endswith("\nargument couldn't be parsed into an integer\n")
    assert fails("--port").endswith("\nwrong number of arguments\n")
    assert fails("-", stdin=b"port 1\nnonsense\n").startswith(
        "*** FATAL CONFIG FILE ERROR ***\nReading standard input, at line 2\n>>> 'nonsense'\n"
    )


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert fails(str(tmp_path / "none.conf")).endswith("none.conf': No such file or directory\n")
    assert "Is a directory" in fails(str(tmp_path))


def test_unbalanced_quotes(tmp_path: Path) -> None:
    conf = tmp_path / "bad.conf"
    conf.write_text('port 1\nrequirepass "half\n')
    assert fails(str(conf)) == (
        f"*** FATAL CONFIG FILE ERROR ***\nReading {conf}, at line 2\n>>> 'requirepass \"half'\n"
        "Unbalanced quotes in configuration line\n"
    )


def test_a_log_file_that_cannot_be_written(tmp_path: Path) -> None:
    told = fails("--logfile", str(tmp_path / "none" / "log"))
    assert told.count("\n") == 1
    assert "No such file or directory" in told


# Where the configuration comes from


def test_a_file_and_arguments_that_override_it(tmp_path: Path) -> None:
    conf = tmp_path / "our.conf"
    conf.write_text("# a comment\nmaxclients 77\ntimeout 5\nport 1\n")
    with start_respcache(str(conf), "--timeout", 6) as server, Wire(server.port) as c:
        assert c("CONFIG", "GET", "maxclients") == [b"maxclients", b"77"]
        assert c("CONFIG", "GET", "timeout") == [b"timeout", b"6"]
        assert f"config_file:{conf}\r\n".encode() in c("INFO", "server")
        assert c("CONFIG", "SET", "timeout", 7) == c("CONFIG", "REWRITE") == OK
    assert "timeout 7\n" in conf.read_text()


@pytest.mark.parametrize("order", [("-",), ("--maxclients", "78", "-")])
def test_standard_input(order: tuple[str, ...], tmp_path: Path) -> None:
    port = free_port()
    done = subprocess.Popen(
        [sys.executable, "-m", "respcache", *order],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert done.stdin is not None
    with done:
        try:
            done.stdin.write(f"port {port}\nbind 127.0.0.1\nsave ''\ntimeout 8\n".encode())
            done.stdin.close()
            with connected(port) as c:
                assert c("CONFIG", "GET", "timeout") == [b"timeout", b"8"]
        finally:
            done.terminate()
            assert done.wait(5) == 0


def connected(port: int, seconds: float = 5.0) -> Wire:
    """A connection to a server that may not listen yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return Wire(port)
        except ConnectionError:
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.005)


def test_the_installed_command() -> None:
    program = shutil.which("respcache", path=str(Path(sys.executable).parent))
    if program is not None:  # not so in a checkout that is not installed
        assert respcache("--version", program=[program]).stdout.startswith("respcache v=")


# How it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with start_respcache() as server, Wire(server.port) as c:
        os.kill(server.pid, number)
        assert server.wait() == 0
        assert c.closed()
        assert f"# Received {number.name} scheduling shutdown...\n" in server.log
        assert server.log.endswith("Bye bye\n")
        assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (signal.SIGINT, signal.SIGINT, 1),
        (signal.SIGTERM, signal.SIGINT, 1),
        (signal.SIGTERM, signal.SIGTERM, 0),  # supervisors send it more than once
    ],
)
def test_a_second_signal(first: signal.Signals, second: signal.Signals, status: int) -> None:
    with start_respcache() as server, stuck(server):
        os.kill(server.pid, first)
        server.wait_log(f"Received {first.name}")
        os.kill(server.pid, second)
        assert server.wait() == status
        assert ("You insist... exiting now." in server.log) == (status == 1)


@contextlib.contextmanager
def stuck(server: Server) -> Iterator[None]:
    """A client that does not take its reply: the server waits for it for a moment before it ends."""
    with Wire(server.port) as c:
        assert c("SET", "k", b"x" * (16 * MB)) == OK
        c.send("GET", "k")
        assert c.read_exactly(1) == b"$"
        yield


def test_shutdown() -> None:
    with start_respcache() as server, Wire(server.port) as c, Wire(server.port) as other:
        assert c("SHUTDOWN", "NOPE") == Error("ERR syntax error")
        c.send("SHUTDOWN", "NOSAVE")
        assert c.closed()
        assert other.closed()
        assert server.wait() == 0
        assert "User requested shutdown..." in server.log


def test_what_was_replied_is_sent_before_the_end() -> None:
    with start_respcache() as server, Wire(server.port) as c:
        assert c("SET", "k", b"x" * (4 * MB)) == OK
        c.raw(encode("GET", "k") + encode("SHUTDOWN"))
        assert c.read() == b"x" * (4 * MB)
        assert c.closed()
        assert server.wait() == 0


# Sockets and files


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.parametrize("bind", [("127.0.0.1", "::1"), ("*", "-::*"), ("*", "::*"), ("::1", "127.0.0.1")])
def test_both_families(bind: tuple[str, ...]) -> None:
    with start_respcache("--bind", *bind) as server:
        for host in ("127.0.0.1", "::1"):
            with Wire(0, sock=socket.create_connection((host, server.port), 5)) as c:
                assert c("PING") == PONG
                shown = f"[{host}]" if ":" in host else host
                assert f" addr={shown}:".encode() in c("CLIENT", "INFO")


def test_an_optional_address_that_is_missing() -> None:
    with start_respcache("--bind", "127.0.0.1", "-192.0.2.1") as server, Wire(server.port) as c:
        assert c("PING") == PONG


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets on this machine")
def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "our.sock"
    with start_respcache("--unixsocket", str(path), "--unixsocketperm", "700") as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        with Wire(0, sock=unix(path)) as c, Wire(server.port) as tcp:
            assert c("PING") == tcp("PING") == PONG
            assert f" addr={path}:0 laddr={path}:0 ".encode() in c("CLIENT", "INFO")
        server.kill()  # which leaves the socket behind
        server.start()
        with Wire(0, sock=unix(path)) as c:
            assert c("PING") == PONG
        assert server.stop() == 0
        assert not path.exists()


def unix(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(path))
    return made


def test_a_file_where_the_unix_socket_should_be(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    done = respcache("--port", 0, "--unixsocket", path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith(
        f"# Failed opening Unix socket {path}: Address already in use"
    )
    assert path.read_text() == "data"


def test_config_set_port_and_bind() -> None:
    with start_respcache() as server, Wire(server.port) as c:
        new = free_port()
        assert c("CONFIG", "SET", "port", new) == OK
        with Wire(new) as moved:
            assert moved("PING") == c("PING") == PONG
            assert f"tcp_port:{new}\r\n".encode() in moved("INFO", "server")
        with pytest.raises(ConnectionRefusedError):
            Wire(server.port)
        with start_respcache() as another:
            refused = c("CONFIG", "SET", "port", another.port)
            assert refused == Error(
                "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. "
                "Check server logs."
            )
        assert c("CONFIG", "GET", "port") == [b"port", b"%d" % new]
        assert c("CONFIG", "SET", "bind", "*") == OK
        with Wire(new) as still:
            assert still("PING") == PONG
        assert c("CONFIG", "SET", "port", 0) == OK
        with pytest.raises(ConnectionRefusedError):
            Wire(new)
        assert c("CONFIG", "SET", "port", server.port) == OK
        with Wire(server.port) as back:
            assert back("PING") == PONG


def test_pid_and_log_files(tmp_path: Path) -> None:
    pid, log = tmp_path / "our.pid", tmp_path / "our.log"
    with start_respcache("--pidfile", str(pid), "--logfile", str(log), "--loglevel", "debug") as server:
        assert pid.read_text() == f"{server.pid}\n"
        assert server.stop() == 0
        assert not pid.exists()
        assert server.log == ""
    lines = log.read_text().splitlines()
    assert len(lines) >= 4
    assert [line for line in lines if not LOG_LINE.fullmatch(line)] == []
    assert all(line.startswith(f"{server.pid}:M ") for line in lines)


def test_loglevel() -> None:
    with start_respcache("--loglevel", "warning") as server, Wire(server.port) as c:
        assert server.log == ""
        assert c("CONFIG", "SET", "loglevel", "debug") == OK
        with Wire(server.port) as bad:
            bad.raw(b"*1\r\n$x\r\n")
            assert bad.read() == Error("ERR Protocol error: invalid bulk length")
        server.wait_log("Protocol error (invalid bulk length) from client: 127.0.0.1:")


def test_few_open_files_allowed() -> None:
    """`maxclients` is what the system allows, and a flood of connections harms nobody."""
    if (prlimit := shutil.which("prlimit")) is None:
        pytest.skip("no prlimit on this machine")
    port = free_port()
    command = [
        prlimit,
        "--nofile=64:64",
        sys.executable,
        "-m",
        "respcache",
        "--port",
        str(port),
        "--save",
        "",
    ]
    with Server([*command, "--bind", "127.0.0.1"], port=port) as server, Wire(port) as c:
        assert c("CONFIG", "GET", "maxclients") == [b"maxclients", b"32"]
        assert (
            "# maxclients 10000 needs 10032 open files, and the system allows 64: it is 32 now." in server.log
        )
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", port))))
            assert c("PING") == PONG
        assert "Traceback" not in server.log


# Costs


def test_startup_time() -> None:
    """From the start of the process to the first PONG: near 0.2 s on a machine that is not busy."""
    seconds = []
    for _ in range(5):
        since = time.monotonic()
        with start_respcache():
            seconds.append(time.monotonic() - since)
    median = statistics.median(seconds)
    print(f"from start to PONG: {median:.3f} s")
    assert median < 1.0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell")
def test_an_idle_server_costs_next_to_nothing() -> None:
    def busy() -> float:
        fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with start_respcache() as server, Wire(server.port) as c:
        assert c("PING") == PONG
        before = busy()
        time.sleep(1.0)  # nothing happens: that is what is measured
        assert busy() - before <= 0.05
