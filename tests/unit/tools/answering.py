"""A server that gives fixed answers, for clients under test."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from tests.wire import encode


class Answering:
    """Answers each command that it knows, as `GET a`, with the bytes that stand for it; `-ERR unknown` else."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()[:2]

    def serve(self) -> None:
        """Serves one connection after another until the listener is closed."""
        known = {encode(*command.split(" ")): command for command in self.answers}
        while True:
            try:
                made, _ = self._listener.accept()
            except OSError:
                return
            with made, contextlib.suppress(ConnectionError):
                while data := made.recv(1 << 16):
                    command = known.get(data, "")
                    self.asked.append(command or data.decode())
                    answer = self.answers.get(command, b"-ERR unknown\r\n")
                    if not answer:
                        break
                    made.sendall(answer)

    def close(self) -> None:
        """Wakes `serve` and ends it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextlib.contextmanager
def answering(answers: dict[str, bytes]) -> Iterator[Answering]:
    """A server in a thread. An empty answer closes the connection."""
    server = Answering(answers)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(5)
