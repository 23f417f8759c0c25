"""Processes that live and die together: started, watched, told to end.

The parent sleeps in one `recv`: signals, the end of a child among them, are written to a socket by the interpreter
(`signal.set_wakeup_fd`), so nothing is polled and nothing costs CPU.

If the parent is killed, its children must not stay. They share a process group, led by a keeper: a shell that waits
for the end of a pipe whose other end only the parent has, and then sends SIGTERM to the group. This works with any
program on any Unix, lets the nodes save what they have, and costs a process of a megabyte. Rejected: PR_SET_PDEATHSIG,
which only Linux has, which needs code between fork and exec, and which is about the thread that forked; and a pipe that
each child watches, which each program would have to know about. As the group is not the terminal's, Ctrl-C reaches the
parent only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType

_KEEPER = """\
trap '' INT HUP; read -r _; trap '' TERM; kill -TERM 0
tries=0
while [ -n "$1" ] && [ -e "$1" ] && [ $tries -lt 10 ]; do
    sleep 1; rm -rf -- "$1"; tries=$((tries + 1))
done"""
"""Its argument is a directory to remove after a parent that could not: again and again, as the nodes that are just
ending may still write into it. After an orderly end the keeper is killed before it wakes."""

_Handler = Callable[[int, FrameType | None], object] | int | None


class Stopped(Exception):
    """A signal asked this process to end."""


class Ended(Exception):
    """A process that was to go on has ended."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"{name} has ended: {meaning(status)}")
        self.name = name


class Processes:
    """A group of processes, each with a name. Use it as a context manager, in the main thread; leaving it kills
    those that still run.

    `temporary` is a directory that is removed with all that is in it if this process is killed.
    """

    def __init__(self, temporary: Path | None = None) -> None:
        self._temporary = "" if temporary is None else str(temporary.absolute())
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._before: dict[signal.Signals, _Handler] = {}
        self._asked = 0

    def __enter__(self) -> Processes:
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._old_wakeup = signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:  # nohup
                continue
            self._before[number] = signal.signal(number, _nothing)
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "sh", self._temporary],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        for process in (*self._running.values(), self._keeper):
            process.kill()
            process.wait()
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        self._wake.close()
        self._woken.close()

    def start(
        self, name: str, command: Sequence[str], *, directory: Path, log: Path, environment: Mapping[str, str]
    ) -> int:
        """Starts a process, whose output goes to the end of a file, and returns its id. Raises OSError."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=self._keeper.pid,
            )
        self._running[name] = process
        return process.pid

    def pause(self, seconds: float) -> None:
        """Waits. Raises Stopped if this process is told to end, Ended if one of the group has ended."""
        self._sleep(seconds)
        self._heed()
        for ended in self._reap():
            raise ended

    def wait(self) -> list[Ended]:
        """Waits until something happens, and returns who has ended; none is left if `names` is empty then.

        Raises Stopped if this process is told to end.
        """
        self._heed()
        ended = self._reap()
        while not ended and self._running:
            self._sleep(None)
            self._heed()
            ended = self._reap()
        return ended

    @property
    def names(self) -> list[str]:
        """Those that run, as far as is known."""
        return list(self._running)

    def stop(self, slow: Callable[[list[str]], object] = lambda _names: None, patience: float = 2.0) -> bool:
        """Tells all to end and waits until they have; kills them if this process is told to end once more.

        `slow` is called with the names of those that have not ended after `patience` seconds. Returns whether all
        ended by themselves.
        """
        self._asked = 0
        due: float | None = time.monotonic() + patience
        for process in self._running.values():
            process.terminate()
        self._reap()
        while self._running:
            self._sleep(None if due is None else max(due - time.monotonic(), 0.001))
            if self._asked:
                for process in self._running.values():
                    process.kill()
                    process.wait()
                self._running.clear()
                return False
            self._reap()
            if self._running and due is not None and time.monotonic() >= due:
                due = None
                slow(self.names)
        return True

    def _sleep(self, seconds: float | None) -> None:
        self._wake.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            for number in self._wake.recv(4096):
                self._asked += number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def _heed(self) -> None:
        if self._asked:
            raise Stopped

    def _reap(self) -> list[Ended]:
        ended = [name for name, process in self._running.items() if process.poll() is not None]
        return [Ended(name, self._running.pop(name).returncode) for name in ended]


def meaning(status: int) -> str:
    """A status of Popen in words."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def supported() -> bool:
    """Whether this system has process groups."""
    return os.name == "posix"


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """For signals whose numbers are read from the socket."""
