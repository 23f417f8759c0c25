"""Every exact error text of Redis, and the exceptions that carry one to the client.

A `ReplyError` is a reply: it is raised by a handler, caught once by the connection loop and sent as it is.
The texts were read off Redis 7.0.15 and 7.4; where the two differ the newer one stands here.
"""

from __future__ import annotations

from collections.abc import Sequence


class ReplyError(Exception):
    """An error reply. `text` is everything between `-` and CRLF, code included."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text

    @property
    def code(self) -> str:
        """The first word of the text, by which INFO errorstats counts it."""
        return self.text.split(b" ", 1)[0].decode("latin-1")

    @property
    def reply(self) -> bytes:
        """The encoded reply; CR and LF inside the text become blanks, as in Redis."""
        return b"-%b\r\n" % self.text.replace(b"\r", b" ").replace(b"\n", b" ")


class Rejection(ReplyError):
    """An error found before the command ran: it counts as a rejected call, not as a failed one."""


class Redirection(Rejection):
    """A rejection that says where a command is to go, or why it can go nowhere. EXEC, too, answers it as it is."""


class ProtocolError(Exception):
    """A malformed request: the client gets `-ERR Protocol error: <text>` and is closed."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text

    @property
    def reply(self) -> bytes:
        """The encoded reply."""
        return b"-ERR Protocol error: %b\r\n" % self.text


WRONGTYPE = ReplyError(b"WRONGTYPE Operation against a key holding the wrong kind of value")
SYNTAX = ReplyError(b"ERR syntax error")
NOT_INTEGER = ReplyError(b"ERR value is not an integer or out of range")
NOT_FLOAT = ReplyError(b"ERR value is not a valid float")
OUT_OF_RANGE = ReplyError(b"ERR value is out of range")
MUST_BE_POSITIVE = ReplyError(b"ERR value is out of range, must be positive")
OVERFLOW = ReplyError(b"ERR increment or decrement would overflow")
DECREMENT_OVERFLOW = ReplyError(b"ERR decrement would overflow")
NAN_OR_INFINITY = ReplyError(b"ERR increment would produce NaN or Infinity")
NO_SUCH_KEY = ReplyError(b"ERR no such key")
SAME_OBJECT = ReplyError(b"ERR source and destination objects are the same")
DB_RANGE = ReplyError(b"ERR DB index is out of range")
INVALID_DB = ReplyError(b"ERR invalid DB index")
STRING_TOO_LONG = ReplyError(b"ERR string exceeds maximum allowed size (proto-max-bulk-len)")
OFFSET_RANGE = ReplyError(b"ERR offset is out of range")
INVALID_CURSOR = ReplyError(b"ERR invalid cursor")
TIMEOUT_NOT_FLOAT = ReplyError(b"ERR timeout is not a float or out of range")
TIMEOUT_NOT_INTEGER = ReplyError(b"ERR timeout is not an integer or out of range")
TIMEOUT_NEGATIVE = ReplyError(b"ERR timeout is negative")
TIMEOUT_RANGE = ReplyError(b"ERR timeout is out of range")
NOT_IN_MULTI = Rejection(b"ERR Command not allowed inside a transaction")
NOAUTH = Rejection(b"NOAUTH Authentication required.")
WRONGPASS = ReplyError(b"WRONGPASS invalid username-password pair or user is disabled.")
NOPROTO = ReplyError(b"NOPROTO unsupported protocol version")
MAX_CLIENTS = ReplyError(b"ERR max number of clients reached")


def wrong_arity(name: str) -> Rejection:
    """The error for a wrong number of arguments; `name` as in `get` or `config|get`."""
    return Rejection(b"ERR wrong number of arguments for '%b' command" % name.encode())


def invalid_expire(name: str) -> ReplyError:
    """The error for a time to live that is not positive or overflows; `name` in lower case."""
    return ReplyError(b"ERR invalid expire time in '%b' command" % name.encode())


def unknown_command(argv: Sequence[bytes]) -> Rejection:
    """The error for a command nobody declared: name and arguments, each list cut at 128 bytes."""
    shown = b""
    for argument in argv[1:]:
        if len(shown) >= 128:
            break
        shown += b"'%b' " % argument[: 128 - len(shown)]
    return Rejection(b"ERR unknown command '%b', with args beginning with: %b" % (argv[0][:128], shown))


def unknown_subcommand(container: str, subcommand: bytes) -> Rejection:
    """The error for an unknown second word of a container such as CONFIG."""
    name = container.upper().encode()
    return Rejection(b"ERR unknown subcommand '%b'. Try %b HELP." % (subcommand[:128], name))
