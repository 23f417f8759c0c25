"""Servers that are none: what MIGRATE talks to in tests of what may go wrong."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable


class Target:
    """A server that answers each connection as it is told to; the requests are read and not looked at."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self.connections = 0
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with link:
                self._answer(link)

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def saying(lines: bytes, patience: float = 0.05) -> Callable[[socket.socket], None]:
    """Reads a batch, says this, and closes the connection somewhat later."""

    def answer(link: socket.socket) -> None:
        link.recv(1 << 16)
        link.sendall(lines)
        time.sleep(patience)

    return answer


class Silent:
    """A server that takes what it is sent and answers when it is told to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port: int = self._listener.getsockname()[1]
        self._link: socket.socket | None = None

    def accept(self) -> None:
        """Waits until a batch begins to come."""
        self._link, _ = self._listener.accept()
        self._link.settimeout(10)
        assert self._link.recv(1 << 20)

    def answer(self, lines: bytes) -> None:
        assert self._link is not None
        self._link.sendall(lines)

    def close(self) -> None:
        self._listener.close()
        if self._link is not None:
            self._link.close()
