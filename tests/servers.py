"""Servers as processes, for tests: ours and the oracle, a real redis-server.

    with start_respcache("--appendonly", "yes") as server:
        with Wire(server.port) as c: ...
        server.kill(); server.start()       # kill -9, and again on the same port and directory

No process outlives the tests. A server ends with its `with` block; those left at exit are killed; if the
tests themselves are killed, the kernel kills their servers (PR_SET_PDEATHSIG, where there is one).
"""

from __future__ import annotations

import atexit
import functools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from respcache.version import REDIS_VERSION
from tests.wire import TIMEOUT, Wire

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 15.0
STOP_SECONDS = 5.0

Version = tuple[int, ...]

# Of several processes that run tests at once (pytest-xdist), each has ports of its own.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

_running: set[Server] = set()
_given: set[int] = set()


def parse_version(text: str) -> Version:
    """`"7.0.15"` as `(7, 0, 15)`."""
    return tuple(map(int, text.split(".")))


OUR_VERSION = parse_version(REDIS_VERSION)


@functools.cache
def installed_redis() -> Version | None:
    """The version of the redis-server on PATH; None if there is none."""
    if shutil.which("redis-server") is None:
        return None
    told = subprocess.run(["redis-server", "--version"], capture_output=True, timeout=10, check=False).stdout
    found = re.search(r"\bv=(\d+\.\d+\.\d+)", told.decode(errors="replace"))
    return parse_version(found[1]) if found else None


@functools.cache
def oracle_version() -> Version | None:
    """The version of the oracle, None without one.

    A redis-server older than 7.0, or newer than the one we speak like, differs by design: it is no oracle.
    """
    version = installed_redis()
    return version if version and (7, 0) <= version[:2] <= OUR_VERSION[:2] else None


HAVE_ORACLE = oracle_version() is not None


def oracle_line() -> str:
    """One line for the terminal: what the tests are compared with."""
    version = oracle_version()
    if version is not None:
        return f"oracle: redis-server {'.'.join(map(str, version))}"
    installed = installed_redis()
    if installed is None:
        return "oracle: no redis-server on PATH, its half of the tests is left out"
    return (
        f"oracle: redis-server {'.'.join(map(str, installed))} is not of 7.0 to 7.4, "
        "its half of the tests is left out"
    )


def free_port() -> int:
    """A free port whose cluster bus port (10000 above) is free too.

    Both lie below the ports that Linux gives to outgoing connections, so none is taken between this call and
    the server's bind.
    """
    # Not the shared generator: hypothesis seeds that one, and two runs would ask for the same ports.
    candidates = random.Random()
    for attempt in range(1000):
        if attempt == 500:
            _given.clear()  # most of them are free again
        port = candidates.randrange(20000 + _WORKER, 22768, _WORKERS)
        if port not in _given and _can_bind(port) and _can_bind(port + 10000):
            _given.add(port)
            return port
    raise RuntimeError("no free port")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@functools.cache
def _dies_with_us() -> list[str]:
    """A prefix that has the kernel kill the command when the thread that started it ends; empty if none does.

    `setpriv` replaces itself by the command, so the process id is the server's. A `preexec_fn` of subprocess
    would do the same but may deadlock when the tests have threads.
    """
    prefix = ["setpriv", "--pdeathsig", "KILL"]
    if shutil.which("setpriv") is None:
        return []
    works = subprocess.run([*prefix, "true"], capture_output=True, timeout=10, check=False).returncode == 0
    return prefix if works else []


class Server:
    """A server process on a port of the loopback, its directory a temporary one unless given."""

    def __init__(
        self,
        command: list[str],
        *,
        port: int,
        is_oracle: bool = False,
        version: Version = OUR_VERSION,
        directory: Path | None = None,
    ) -> None:
        """Prepare, without starting: `start()` does, as does `with`."""
        self.command = command
        self.host = "127.0.0.1"
        self.port = port
        self.is_oracle = is_oracle
        self.version = version
        self._temporary = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="respcache-test-"))
        self._log = self.directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{'oracle' if self.is_oracle else 'respcache'} on port {self.port}>"

    def start(self, *, loaded: bool = True) -> Server:
        """Run the process until it answers PING, with `loaded` by anything but -LOADING.

        Raises RuntimeError with the end of the log if it ends or takes too long.
        """
        if self.alive:
            return self
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_dies_with_us(), *self.command],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        _running.add(self)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(loaded):
            late = time.monotonic() > deadline
            if late or not self.alive:
                state = "does not answer" if late else f"ended with {self._process.returncode}"
                self.kill()
                raise RuntimeError(f"{' '.join(self.command)} {state}; its log ends:\n{self.log[-3000:]}")
            time.sleep(0.01)
        return self

    def _answers(self, loaded: bool) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"*1\r\n$4\r\nPING\r\n")
                reply = probe.recv(64)
        except OSError:
            return False
        if reply.startswith(b"-ERR The server is shutting down"):  # it could not load its data
            return False
        return bool(reply) and not (loaded and reply.startswith(b"-LOADING"))

    def connect(self, timeout: float = TIMEOUT) -> Wire:
        """A new connection, whose waits take at most so many seconds."""
        return Wire(self.port, timeout=timeout)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, "the server was never started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """All that the server wrote to its standard output and error, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def wait_log(self, text: str, seconds: float = 5.0) -> None:
        """Wait until the log contains the text; TimeoutError with the end of the log."""
        deadline = time.monotonic() + seconds
        while text not in self.log:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self!r} did not log {text!r}; its log ends:\n{self.log[-3000:]}")
            time.sleep(0.01)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for the process to end by itself; its exit status, negative if a signal killed it."""
        assert self._process is not None, "the server was never started"
        status = self._process.wait(seconds)
        _running.discard(self)
        return status

    def stop(self) -> int:
        """Ask the process to end (SIGTERM), kill it if it does not, and return its exit status."""
        if self.alive:
            self._signal(signal.SIGTERM)
            try:
                return self.wait()
            except subprocess.TimeoutExpired:
                return self.kill()
        return self.wait()

    def kill(self) -> int:
        """kill -9, and wait for the end."""
        self._signal(signal.SIGKILL)
        return self.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server was never started"
        self._process.send_signal(number)

    def close(self) -> None:
        """Stop the process and remove the temporary directory."""
        if self._process is not None:
            self.stop()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Server:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()


@atexit.register
def _kill_all() -> None:
    for server in list(_running):
        server.kill()
        server.close()


def start_respcache(*args: str | int, port: int | None = None, directory: Path | None = None) -> Server:
    """Our server with these arguments, running; to be used in `with`, or closed.

    Without `--save` it saves nothing. A first argument that is not an option is a configuration file.
    """
    port = port or free_port()
    command = _command([sys.executable, "-m", "respcache"], port, args)
    return _started(Server(command, port=port, directory=directory))


def start_redis(*args: str | int, port: int | None = None, directory: Path | None = None) -> Server:
    """The oracle with these arguments, as `start_respcache`."""
    version = oracle_version()
    assert version is not None, oracle_line()
    port = port or free_port()
    command = _command(["redis-server"], port, args)
    return _started(Server(command, port=port, is_oracle=True, version=version, directory=directory))


def _started(server: Server) -> Server:
    try:
        return server.start()
    except BaseException:
        server.close()
        raise


def _command(program: list[str], port: int, args: tuple[str | int, ...]) -> list[str]:
    texts = [str(arg) for arg in args]
    file = texts[:1] if texts and not texts[0].startswith("-") else []
    save = [] if "--save" in texts else ["--save", ""]
    return [*program, *file, "--port", str(port), "--bind", "127.0.0.1", *save, *texts[len(file) :]]
