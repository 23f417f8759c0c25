"""The handshake: what a replica says to its master until the data comes, and what the answers mean.

    PING                                            +... or an error that only asks for AUTH
    AUTH [user] password                            +...
    REPLCONF listening-port, ip-address, capa       anything
    PSYNC id next-offset [FAILOVER]                 +FULLRESYNC id offset | +CONTINUE [id] | -...
    SYNC                                            nothing: to a master that knows no PSYNC

Each answer is a line. AUTH and REPLCONF are sent in one, and answered in order. Empty lines mean that the master is
alive. Nothing here touches a socket.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from respcache.protocol.reply import bulks

SYNC = b"SYNC\r\n"
LONGEST = 64 * 1024
"""Bytes of an answer; whoever says more is no master."""

_WANTS_AUTH = (b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted")
_NOT_NOW = (b"-NOMASTERLINK", b"-LOADING")


class RefusedError(Exception):
    """The master will not go on, or is none; the text is for the log. It is to be asked again later."""


@dataclass(frozen=True, slots=True)
class Full:
    """All data is going to be sent, as it is at an offset of a history."""

    history: str
    offset: int


@dataclass(frozen=True, slots=True)
class Continued:
    """The stream goes on where it was asked for. `history` is its name now, or empty if that is what it was."""

    history: str


@dataclass(frozen=True, slots=True)
class Unnamed:
    """All data is going to be sent, by a master that does not say which history it is of."""


Outcome = Full | Continued | Unnamed


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a replica tells of itself, and what it asks for."""

    port: int
    """Where its own clients reach it."""
    address: bytes = b""
    """The same, if that is not what the master sees."""
    user: bytes = b""
    password: bytes = b""
    """Empty: the master wants none."""
    history: str = ""
    """The history of which it has a copy; empty: of none."""
    wanted: int = -1
    """The offset of the next byte of it."""
    failover: bool = False
    """The master is to become one by this."""


class Handshake:
    """One handshake. What `feed` returns is to be sent; when `outcome` is there it is over."""

    def __init__(self, greeting: Greeting) -> None:
        self._greeting = greeting
        self._expected: deque[tuple[str, Callable[[bytes], bytes]]] = deque([("PING", self._greeted)])
        self._line = b""  # the beginning of an answer
        self.outcome: Outcome | None = None
        self.rest = b""
        """What came behind the last answer."""
        self.complaints: list[str] = []
        """Answers for the log: the master did not like something that does not matter."""

    def begin(self) -> bytes:
        """What is to be sent first."""
        return bulks([b"PING"])

    def feed(self, data: bytes) -> bytes:
        """Takes what the master has sent. Returns what to send to it. Raises RefusedError."""
        out: list[bytes] = []
        data = self._line + data
        at = 0
        while self.outcome is None and (end := data.find(b"\n", at)) >= 0:
            line = data[at:end].rstrip(b"\r")
            at = end + 1
            if line:
                out.append(self._expected.popleft()[1](line))
        if self.outcome is None:
            self._line = data[at:]
            if len(self._line) > LONGEST:
                raise RefusedError("the answer has no end")
        else:
            self.rest = data[at:]
        return b"".join(out)

    @property
    def awaited(self) -> str:
        """What the next answer is to."""
        return self._expected[0][0] if self._expected else ""

    # Answers, in their order. Each returns what to send next.

    def _greeted(self, line: bytes) -> bytes:
        if not line.startswith((b"+", *_WANTS_AUTH)):
            raise RefusedError(f"Error reply to PING from master: '{_text(line)}'")
        greeting = self._greeting
        commands: list[list[bytes]] = []
        if greeting.password:
            commands.append([b"AUTH", *([greeting.user] if greeting.user else []), greeting.password])
            self._expected.append(("AUTH", self._admitted))
        options = [[b"listening-port", b"%d" % greeting.port]]
        if greeting.address:
            options.append([b"ip-address", greeting.address])
        options.append([b"capa", b"eof", b"capa", b"psync2"])
        for option in options:
            commands.append([b"REPLCONF", *option])
            self._expected.append((f"REPLCONF {option[0].decode()}", self._noted))
        return b"".join(map(bulks, commands))

    def _admitted(self, line: bytes) -> bytes:
        if not line.startswith(b"+"):
            raise RefusedError(f"Unable to AUTH to MASTER: {_text(line)}")
        return b""

    def _noted(self, line: bytes) -> bytes:
        if line.startswith(b"-"):
            self.complaints.append(f"(Non critical) Master does not understand REPLCONF: {_text(line)}")
        if self._expected:
            return b""
        self._expected.append(("PSYNC", self._answered))
        greeting = self._greeting
        history = greeting.history.encode() or b"?"
        wanted = greeting.wanted if greeting.history else -1
        return bulks([b"PSYNC", history, b"%d" % wanted, *([b"FAILOVER"] if greeting.failover else [])])

    def _answered(self, line: bytes) -> bytes:
        words = line.split()
        if words[0] == b"+FULLRESYNC":
            if len(words) != 3 or len(words[1]) != 40 or not words[2].isdigit():
                raise RefusedError("Master replied with wrong +FULLRESYNC syntax.")
            self.outcome = Full(words[1].decode("latin-1").lower(), int(words[2]))
        elif words[0] == b"+CONTINUE":
            named = len(words) > 1 and len(words[1]) == 40
            self.outcome = Continued(words[1].decode("latin-1").lower() if named else "")
        elif line.startswith(_NOT_NOW) or self._greeting.failover:
            raise RefusedError(
                f"Master is currently unable to PSYNC but should be in the future: {_text(line)}"
            )
        else:
            if not line.startswith(b"-ERR"):
                self.complaints.append(f"Unexpected reply to PSYNC from master: {_text(line)}")
            self.complaints.append("Master does not support PSYNC or is in error state")
            self.outcome = Unnamed()
            return SYNC
        return b""


def _text(line: bytes) -> str:
    return line[:512].decode("utf-8", "backslashreplace")
