"""persistence/worker.py: one after another, in another thread, up to the end of the program."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from respcache.persistence.worker import Worker

ROOT = Path(__file__).resolve().parents[3]


def test_one_after_another_in_another_thread() -> None:
    worker = Worker("test")
    seen: list[tuple[int, str]] = []

    def note(number: int) -> None:
        seen.append((number, threading.current_thread().name))

    futures = [worker.submit(note, number) for number in range(100)]
    worker.shutdown()
    assert seen == [(number, "test") for number in range(100)]
    assert all(future.done() for future in futures)


def test_results_errors_and_what_is_cancelled() -> None:
    worker, go = Worker("test"), threading.Event()
    worker.submit(go.wait, 5)
    good, bad, never = worker.submit(int, "7"), worker.submit(int, "x"), worker.submit(int, "8")
    assert never.cancel()
    go.set()
    assert good.result(5) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        bad.result(5)
    worker.shutdown()
    worker.shutdown()


def test_it_begins_again_after_its_end() -> None:
    worker = Worker("test")
    assert worker.submit(int, "1").result(5) == 1
    worker.shutdown()
    assert worker.submit(int, "2").result(5) == 2
    worker.shutdown()


def test_without_a_thread_the_caller_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: Future[int] = Worker("test").submit(threading.get_ident)
    assert done.result(0) == threading.get_ident()


def test_it_works_when_the_program_ends() -> None:
    program = (
        "import atexit\nfrom respcache.persistence.worker import Worker\nworker = Worker('test')\n"
        "atexit.register(lambda: print(worker.submit(int, '7').result(5)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=10, cwd=ROOT)
    assert (done.stdout, done.stderr) == (b"7\n", b"")
