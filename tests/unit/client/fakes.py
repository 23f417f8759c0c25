"""Nodes of a test's own making: each connection is given to a function."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

Serve = Callable[[socket.socket], None]


class FakeNode:
    """A listening socket on the loopback; `serve` runs in a thread for each connection, which ends with it."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.name = f"127.0.0.1:{self.port}"
        self.accepted = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.append(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        try:
            self._serve(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._open):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()


def answering(*replies: bytes) -> Serve:
    """One reply for each piece of input, the last for all that follow."""

    def serve(connection: socket.socket) -> None:
        number = 0
        while connection.recv(1 << 16):
            connection.sendall(replies[min(number, len(replies) - 1)])
            number += 1

    return serve


def gated() -> tuple[threading.Event, Serve, list[bytes]]:
    """A node that answers when the event is set, and remembers the last word of each command in the list."""
    gate = threading.Event()
    heard: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while data := connection.recv(1 << 16):
            heard.append(data.split(b"\r\n")[-2])
            gate.wait(10.0)
            connection.sendall(b"+PONG\r\n")

    return gate, serve, heard


def silent(connection: socket.socket) -> None:
    """Reads, and never answers."""
    while connection.recv(1 << 16):
        pass


def trickling(connection: socket.socket) -> None:
    """Answers a byte at a time, for ever."""
    connection.recv(1 << 16)
    connection.sendall(b"$1000000\r\n")
    pause = threading.Event()
    while True:
        connection.sendall(b"x")
        pause.wait(0.01)


def swallowing(connection: socket.socket) -> None:
    """Reads as fast as it can."""
    while connection.recv(1 << 20):
        pass


def pouring(connection: socket.socket) -> None:
    """Answers as fast as it can, with more than anybody reads."""
    connection.recv(1 << 16)
    connection.sendall(b"$500000000\r\n")
    while True:
        connection.sendall(bytes(1 << 20))


def hasty(connection: socket.socket) -> None:
    """Answers before it has heard all, and hears no more."""
    connection.recv(1)
    connection.sendall(b"-ERR too long\r\n")
    threading.Event().wait(10.0)


def hanging_up(connection: socket.socket) -> None:
    """Closes when it is asked."""
    connection.recv(1)


def hesitating(connection: socket.socket) -> None:
    """Answers in time to each step of signing in, but never comes to an end."""
    pause = threading.Event()
    while connection.recv(1 << 16):
        for letter in b"+O" + b"O" * 1000:
            connection.sendall(bytes([letter]))
            pause.wait(0.02)


@contextmanager
def no_files() -> Iterator[None]:
    """This process can open no file and no socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
