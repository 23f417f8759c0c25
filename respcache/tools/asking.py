"""A small blocking client, for tools that ask a few servers a few things.

It speaks RESP2 and imports next to nothing, so that `respcache ping` is quick. Whatever is wrong with a server becomes
one `Trouble`, whose text is a sentence without an end for a person.
"""

from __future__ import annotations

import os
import socket
from types import TracebackType

import hiredis

PASSWORDS = ("RESPCACHE_PASSWORD", "REDISCLI_AUTH")
"""Variables of the environment that may hold the password; the first that is not empty counts."""


class Trouble(Exception):
    """A server that cannot be asked, or refuses. The text is for people; `code` is the first word of its error."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


def password_given() -> str:
    """The password from the environment, empty if there is none."""
    return next((found for name in PASSWORDS if (found := os.environ.get(name))), "")


class Asker:
    """A connection to a server, made when it is first used, and again after it broke.

    `address` is a path of a Unix socket or (host, port). `timeout` holds for each step, in seconds.
    """

    def __init__(self, address: str | tuple[str, int], *, password: str = "", timeout: float = 3.0) -> None:
        self.address = address
        self._password = password
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._reader = hiredis.Reader()

    def __str__(self) -> str:
        return self.address if isinstance(self.address, str) else name_of(*self.address)

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, *words: str | int) -> object:
        """The reply to a command: bytes, int, None or lists of these. Raises Trouble, for an error reply too."""
        try:
            if self._socket is None:
                self._connect()
            return self._exchange(words)
        except OSError as error:
            self.close()
            raise Trouble(f"{self}: {_reason(error)}") from None
        except hiredis.ProtocolError:
            self.close()
            raise Trouble(f"{self}: what answers there does not speak RESP") from None

    def text(self, *words: str | int) -> str:
        """The reply to a command that answers with one string."""
        reply = self.ask(*words)
        if not isinstance(reply, bytes):
            raise Trouble(f"{self}: an unexpected reply to {words[0]}: {reply!r}")
        return reply.decode("utf-8", "replace")

    def fields(self, *words: str | int) -> dict[str, str]:
        """The `name:value` lines of INFO and CLUSTER INFO."""
        lines = (line.partition(":") for line in self.text(*words).splitlines())
        return {name: value for name, colon, value in lines if colon}

    def ip(self) -> str:
        """The address of the server as this end sees it, for one that is reached by TCP. Raises Trouble."""
        if self._socket is None:
            self.ask("PING")
        assert self._socket is not None
        return str(self._socket.getpeername()[0])

    def _connect(self) -> None:
        self._reader = hiredis.Reader()
        if isinstance(self.address, str):
            made = socket.socket(socket.AF_UNIX)
            try:
                made.settimeout(self._timeout)
                made.connect(self.address)
            except BaseException:
                made.close()
                raise
        else:
            try:
                made = socket.create_connection(self.address, self._timeout)
            except UnicodeError:
                raise OSError("no name of a host") from None
        self._socket = made
        if self._password:
            try:
                self._exchange(("AUTH", self._password))
            except Trouble as trouble:
                if "without any password configured" not in str(trouble):
                    self.close()
                    raise

    def _exchange(self, words: tuple[str | int, ...]) -> object:
        assert self._socket is not None
        parts = [str(word).encode("utf-8", "surrogateescape") for word in words]
        self._socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts))
        while (reply := self._reader.gets()) is False:
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionResetError("closed the connection")
            self._reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise Trouble(f"{self}: {reply}", str(reply).partition(" ")[0])
        return reply


def name_of(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def cli_of(host: str, port: int) -> str:
    """How redis-cli is called for this address."""
    return f"redis-cli -p {port}" if host == "127.0.0.1" else f"redis-cli -h {host} -p {port}"


def address_of(text: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[ipv6]:port`; ValueError with a text for people."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error.strerror or error).lower()
