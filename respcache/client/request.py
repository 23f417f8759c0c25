"""What one node is asked in one go, and what it answered: bytes without I/O.

Replies are parsed by hiredis, the same for threads and for asyncio; redis-py's own parsing would turn errors into
exceptions that differ from version to version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hiredis

from respcache.client.errors import DeadlineError, NodeError, ReplyError
from respcache.client.node import Node

Command = tuple[bytes | int, ...]

NOTHING = object()  # no whole reply yet; hiredis's own False is a value in RESP3

# Errors of a node that cannot serve anybody now: as good as no answer.
UNABLE = ("LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "ERR max number of clients reached")
# Errors of a node that cannot take writes now: what was to be stored is not, and that is no surprise in a cache.
FULL = ("OOM", "READONLY", "MISCONF", "NOREPLICAS")


def new_reader() -> hiredis.Reader:
    """A parser of replies that says NOTHING when it needs more."""
    return hiredis.Reader(notEnoughData=NOTHING)


class Request:
    """Commands for one node, and its replies: one for each, or a failure, or the refusal to let us in."""

    __slots__ = ("failure", "node", "payload", "refusal", "replies", "wanted")

    def __init__(self, node: Node, commands: Sequence[Command]) -> None:
        self.node = node
        # Its stub knows tuples of one word only.
        self.payload = b"".join([hiredis.pack_command(command) for command in commands])  # type: ignore[arg-type]
        self.wanted = len(commands)
        self.replies: list[Any] = []
        self.failure: NodeError | None = None
        self.refusal: ReplyError | None = None

    def twin(self) -> Request:
        """The same question, not yet asked."""
        twin = Request(self.node, ())
        twin.payload, twin.wanted = self.payload, self.wanted
        return twin

    def adopt(self, twin: Request) -> None:
        """Take what the twin was told."""
        self.replies, self.failure, self.refusal = twin.replies, twin.failure, twin.refusal

    @property
    def done(self) -> bool:
        """Whether it was answered, or failed."""
        return self.failure is not None or self.refusal is not None or len(self.replies) == self.wanted

    def read(self, reader: hiredis.Reader) -> bool:
        """Take the replies that are whole; True when all are there. Raises hiredis.ProtocolError."""
        replies = self.replies
        while len(replies) < self.wanted:
            reply = reader.gets()
            if reply is NOTHING:
                return False
            if type(reply) is not hiredis.PushNotification:
                replies.append(reply)
        first = replies[0]
        if isinstance(first, hiredis.ReplyError) and str(first).startswith(UNABLE):
            self.failure = NodeError(self.node.name, str(first))
        return True

    def fail(self, error: BaseException) -> None:
        """The node did not answer, because of this; or it did, with a refusal."""
        name = self.node.name
        if isinstance(error, ReplyError):
            self.refusal = error
        elif isinstance(error, NodeError):
            self.failure = error
        elif isinstance(error, TimeoutError):
            self.failure = DeadlineError(name, "no answer in time")
        else:
            self.failure = NodeError(name, str(error) or type(error).__name__)

    def again(self) -> None:
        """Forget what came: it is asked anew."""
        self.replies.clear()
        self.failure = None

    def refused(self, reply: Any, *, strict: bool) -> bool:
        """Whether a reply says that the node is full. Raises ReplyError for any other error, and if `strict`."""
        if not isinstance(reply, hiredis.ReplyError):
            return False
        message = str(reply)
        if strict or not message.startswith(FULL):
            raise ReplyError(self.node.name, message)
        return True
