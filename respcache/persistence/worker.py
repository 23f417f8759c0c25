"""One thread for system calls that take long, such as those that make sure of a file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Worker(Executor):
    """Runs what it is given, one after another, in a thread of its own that is made when it is first needed.

    Unlike the executors of the standard library it works up to the end of the program: a server that `atexit` stops
    still saves its data. Where Python starts no thread any more, the caller does the work.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, act: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Has something done; what comes of it is in the future."""
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(act(*args, **kwargs))
                except BaseException as error:
                    future.set_exception(error)

        if self._thread is None:
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                run()
                return future
            self._thread = thread
        self._tasks.put(run)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the thread when it has done all that it was given, whatever `cancel_futures` says."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._tasks.put(None)
            if wait:
                thread.join()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
