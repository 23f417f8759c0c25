"""Hosts with addresses of their own whose network is cut: network namespaces, joined by a bridge.

    @needs_namespaces
    def test(tmp_path):
        with Network(tmp_path, "ooorrr", options) as network:   # o: ours, r: redis-server, one to each host
            network.cut(*network.hosts[:2])                     # these two see each other, and nobody else
            network.heal()

Tests talk to a server by a Unix socket in its directory, which no cut concerns: they are clients on either side.
Nothing is told of a cut: connections stay, and are silent.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.servers import OUR_VERSION, Server, oracle_line, oracle_version
from tests.wire import TIMEOUT, Status, Wire

PORT = 6379
_PREFIX = "respcache-"
_numbers = itertools.count()


def ip(words: str) -> bool:
    """Runs `ip` with these words; whether that went well."""
    command = ["ip", *words.split()]
    return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0


def may_divide() -> bool:
    """Whether this machine lets us make network namespaces and links between them."""
    if shutil.which("ip") is None:
        return False
    name = f"{_PREFIX}{os.getpid()}-try"
    try:
        return (
            ip(f"netns add {name}")
            and ip(f"-n {name} link add name try type bridge")
            and ip(f"netns exec {name} true")
        )
    finally:
        ip(f"netns del {name}")


MAY_DIVIDE = may_divide()

needs_namespaces = pytest.mark.skipif(not MAY_DIVIDE, reason="may not make network namespaces")


class Host(Server):
    """A server in a network of its own: `kind` is o for ours, r for redis-server."""

    def __init__(
        self, name: str, number: int, directory: Path, kind: str = "o", options: Sequence[str | int] = ()
    ) -> None:
        directory.mkdir()
        self.name = name
        self.socket = str(directory / "s")
        ours = kind == "o"
        version = OUR_VERSION if ours else oracle_version()
        assert version is not None, oracle_line()
        program = [sys.executable, "-m", "respcache"] if ours else ["redis-server"]
        listening = ["--port", str(PORT), "--unixsocket", self.socket, "--protected-mode", "no"]
        super().__init__(
            ["ip", "netns", "exec", name, *program, *listening, "--save", "", *map(str, options)],
            port=PORT,
            is_oracle=not ours,
            version=version,
            directory=directory,
        )
        self.host = f"10.99.0.{number}"

    def __repr__(self) -> str:
        return f"<{'oracle' if self.is_oracle else 'respcache'} at {self.host}>"

    def connect(self, timeout: float = TIMEOUT) -> Wire:
        """A connection that is there during a cut too."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        try:
            sock.connect(self.socket)
        except OSError:
            sock.close()
            raise
        return Wire(PORT, timeout=timeout, sock=sock)

    def _answers(self, loaded: bool) -> bool:
        try:
            with self.connect(1) as c:
                reply = c("PING")
        except (OSError, EOFError):
            return False
        return isinstance(reply, Status) or not loaded


class Network:
    """Hosts on one bridge, which is in a namespace of its own; to be used in `with`."""

    def __init__(self, directory: Path, kinds: str, options: Sequence[str | int] = ()) -> None:
        """Prepares; `options` are those of all servers."""
        prefix = f"{_PREFIX}{os.getpid()}-{next(_numbers)}"
        self._hub = f"{prefix}-hub"
        self.hosts = [
            Host(f"{prefix}-{n}", n + 1, directory / str(n), kind, options) for n, kind in enumerate(kinds)
        ]

    def __enter__(self) -> Network:
        try:
            self._build()
            for host in self.hosts:
                host.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self) -> None:
        _sweep()
        self._do(f"netns add {self._hub}")
        for bridge in ("hub", "island"):
            self._do(f"-n {self._hub} link add name {bridge} type bridge")
            self._do(f"-n {self._hub} link set {bridge} up")
        for number, host in enumerate(self.hosts):
            self._do(f"netns add {host.name}")
            self._do(f"-n {self._hub} link add name port{number} type veth peer name net netns {host.name}")
            self._do(f"-n {self._hub} link set port{number} master hub up")
            self._do(f"-n {host.name} address add {host.host}/24 dev net")
            self._do(f"-n {host.name} link set net up")
            self._do(f"-n {host.name} link set lo up")

    def __exit__(self, *_: object) -> None:
        for host in self.hosts:
            if host.alive:
                host.kill()
            host.close()
        for name in (*(host.name for host in self.hosts), self._hub):
            ip(f"netns del {name}")

    def _do(self, words: str) -> None:
        assert ip(words), words

    def cut(self, *hosts: Server) -> None:
        """Puts hosts on an island: nothing passes between them and those that are not."""
        self._move("island", hosts)

    def heal(self, *hosts: Server) -> None:
        """Ends the cut for these hosts; without any, for all."""
        self._move("hub", hosts or self.hosts)

    def _move(self, bridge: str, hosts: Sequence[Server]) -> None:
        for number, host in enumerate(self.hosts):
            if host in hosts:
                self._do(f"-n {self._hub} link set port{number} master {bridge}")


def _sweep() -> None:
    """Removes namespaces of test runs that were killed before they could; the kernel has killed their servers."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, timeout=10, check=False)
    for name in (line.split()[0] for line in listed.stdout.splitlines() if line.startswith(_PREFIX)):
        pid = name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            ip(f"netns del {name}")
