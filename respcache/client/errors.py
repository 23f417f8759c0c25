"""What a cache client may raise. A node that is down raises nothing unless `errors="raise"` asks for it."""

from __future__ import annotations


class CacheError(Exception):
    """The base of all of them."""


class NodeError(CacheError, ConnectionError):
    """A node does not answer, or is ejected. Only with `errors="raise"`; otherwise its keys are misses."""

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(f"{node}: {reason}")
        self.node = node
        self.reason = reason


class DeadlineError(NodeError, TimeoutError):
    """A node did not answer in time. Only with `errors="raise"`."""


class LocalError(NodeError):
    """This process cannot open a connection: it has no file, port or thread left. It says nothing of the node."""


class ReplyError(CacheError):
    """A node answered with an error that is no sign of trouble there: a wrong type, a wrong password.

    `code` is the error's first word: `WRONGTYPE`, `ERR`, `NOAUTH`.
    """

    def __init__(self, node: str, message: str) -> None:
        super().__init__(f"{node}: {message}")
        self.node = node
        self.code = message.partition(" ")[0]


class ValueTypeError(CacheError, TypeError):
    """A value of a type that is stored only with a codec, or a key that is not str, bytes or int."""


class StoredValueError(CacheError, ValueError):
    """A stored value that this client cannot read: an object without its codec, or one that the codec refuses.

    Only with `errors="raise"`; otherwise it is a miss, and a line in the log.
    """


class ValueSizeError(CacheError, ValueError):
    """A value too big for any node: more than 512 MB as it is stored."""
