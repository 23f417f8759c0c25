"""A group of processes: told of, ended, killed, and not left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from respcache.tools.processes import Ended, Processes, Stopped, meaning
from tests.servers import ROOT

SLEEP = ["sleep", "60"]
DEAF = ["sh", "-c", "trap '' TERM; while :; do sleep 60; done"]


def start(processes: Processes, name: str, command: list[str], place: Path) -> int:
    return processes.start(name, command, directory=place, log=place / "log", environment=os.environ)


def soon(seconds: float, *signals: signal.Signals) -> None:
    """Sends signals to this process, one after another."""

    def send() -> None:
        for number in signals:
            time.sleep(seconds)
            os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_dead(*pids: int, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, "it lives"
        time.sleep(0.02)


def test_who_has_ended(tmp_path: Path) -> None:
    with Processes() as processes:
        start(processes, "long", SLEEP, tmp_path)
        start(processes, "short", ["sh", "-c", "echo hello; exit 3"], tmp_path)
        (ended,) = processes.wait()
        assert (ended.name, str(ended)) == ("short", "short has ended: exit code 3")
        assert processes.names == ["long"]
        assert (tmp_path / "log").read_text() == "hello\n"
        start(processes, "killed", ["sh", "-c", "kill -9 $$"], tmp_path)
        with pytest.raises(Ended, match="killed has ended: killed by SIGKILL"):
            processes.pause(5)
        processes.pause(0.01)
        assert processes.stop()
        assert processes.names == []
        assert processes.wait() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_for_the_end(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Processes() as processes:
        pid = start(processes, "a", SLEEP, tmp_path)
        soon(0.05, number)
        with pytest.raises(Stopped):
            processes.wait()
        assert processes.stop()
        assert not alive(pid)
    assert signal.getsignal(number) == before


def test_a_second_signal_kills(tmp_path: Path) -> None:
    with Processes() as processes:
        pid = start(processes, "deaf", DEAF, tmp_path)
        time.sleep(0.2)
        soon(0.05, signal.SIGINT)
        with pytest.raises(Stopped):
            processes.pause(5)
        soon(0.5, signal.SIGINT)  # two that come at the same time are one
        slow: list[list[str]] = []
        assert not processes.stop(slow.append, patience=0.1)
        assert slow == [["deaf"]]
        assert not alive(pid)


def test_what_is_left_is_killed(tmp_path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError), Processes() as processes:
        pid = start(processes, "deaf", DEAF, tmp_path)
        raise ZeroDivisionError
    assert not alive(pid)
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    with Processes() as processes, pytest.raises(FileNotFoundError):
        start(processes, "a", ["no-such-program"], tmp_path)


PARENT = """
import os, sys
from pathlib import Path
from respcache.tools.processes import Processes
here = Path(sys.argv[1])
with Processes(here / "temporary") as processes:
    pids = [
        processes.start(name, ["sleep", "60"], directory=here, log=here / "log", environment=os.environ)
        for name in "ab"
    ]
    print(processes._keeper.pid, *pids, flush=True)
    processes.wait()
"""


def test_nobody_outlives_a_parent_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert all(map(alive, pids))
        assert {os.getpgid(pid) for pid in pids} == {pids[0]}
        (tmp_path / "temporary").mkdir()
        (tmp_path / "temporary" / "file").touch()
        parent.kill()
        wait_dead(*pids)
        assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells how often a process was woken")
def test_the_parent_sleeps(tmp_path: Path) -> None:
    def woken(pid: int) -> list[str]:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return [line for line in lines if "ctxt_switches" in line]

    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        time.sleep(0.3)
        before = woken(parent.pid)
        time.sleep(1)
        assert woken(parent.pid) == before
        parent.terminate()
        assert parent.wait(5) == 1  # Stopped, which this program does not catch


def test_meanings() -> None:
    assert [meaning(1), meaning(-9), meaning(-63)] == [
        "exit code 1",
        "killed by SIGKILL",
        "killed by signal 63",
    ]
