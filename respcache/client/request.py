"""What one node is asked in one go, and what it answered: bytes without I/O.

Replies are parsed by hiredis, the same for threads and for asyncio; redis-py's own parsing would turn errors into
exceptions that differ from version to version.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

import hiredis

from respcache.client.errors import DeadlineError, LocalError, NodeError, ReplyError
from respcache.client.node import Node

Command = tuple[bytes | int, ...]

NOTHING = object()  # no whole reply yet; hiredis's own False is a value in RESP3

# Errors of a node that cannot serve anybody now: as good as no answer.
UNABLE = ("LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "ERR max number of clients reached")
# Errors of a node that cannot take writes now: what was to be stored is not, and that is no surprise in a cache.
FULL = ("OOM", "READONLY", "MISCONF", "NOREPLICAS")
# And that of a key that holds a list or the like: to read it is a miss, as it is for MGET.
NO_VALUE = (*FULL, "WRONGTYPE")

BIG = 1 << 20  # bytes; sending more may take longer than a deadline, on a node that is well
ENOUGH = 0.9  # of the time that a node may take


def new_reader() -> hiredis.Reader:
    """A parser of replies that says NOTHING when it needs more."""
    return hiredis.Reader(notEnoughData=NOTHING)


class Request:
    """Commands for one node, and its replies: one for each, or a failure, or the refusal to let us in.

    `asked` is when, by `time.monotonic()`, the node got to do with it; 0 if it never did.
    """

    __slots__ = ("_ended", "_heard", "asked", "failure", "node", "payload", "refusal", "replies", "wanted")

    def __init__(self, node: Node, commands: Sequence[Command]) -> None:
        self.node = node
        # Its stub knows tuples of one word only.
        self.payload = b"".join([hiredis.pack_command(command) for command in commands])  # type: ignore[arg-type]
        self.wanted = len(commands)
        self.replies: list[Any] = []
        self.failure: NodeError | None = None
        self.refusal: ReplyError | None = None
        self.asked = 0.0
        self._ended = 0.0
        self._heard = False  # a part of the replies

    def twin(self) -> Request:
        """The same question, not yet asked."""
        twin = Request(self.node, ())
        twin.payload, twin.wanted = self.payload, self.wanted
        return twin

    def adopt(self, twin: Request) -> None:
        """Take what the twin was told."""
        self.replies, self.failure, self.refusal = twin.replies, twin.failure, twin.refusal
        self.asked, self._ended, self._heard = twin.asked, twin._ended, twin._heard

    def read(self, reader: hiredis.Reader) -> bool:
        """Take the replies that are whole; True when all are there. Raises hiredis.ProtocolError."""
        replies = self.replies
        while len(replies) < self.wanted:
            reply = reader.gets()
            if reply is NOTHING:
                self._heard = True
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
        self._ended = monotonic()
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
        self._heard = False

    def excuse(self) -> None:
        """It came too late to the node, or its answer to us, by our own fault."""
        self.asked = 0.0

    def blames(self, patience: float) -> bool:
        """Whether the failure speaks against its node, which may take so many seconds.

        A deadline does only if the node had that time, and did nothing at all: none of a wait for a free connection,
        of a value that is big, or of a reply half of which is here says that it is not well.
        """
        if not self.asked or isinstance(self.failure, LocalError):
            return False
        if not isinstance(self.failure, DeadlineError):
            return True
        had_its_time = self._ended - self.asked >= ENOUGH * patience
        return had_its_time and not self._heard and len(self.payload) <= BIG

    def refused(self, reply: Any, *, strict: bool, mild: tuple[str, ...] = FULL) -> bool:
        """Whether a reply is an error that is as good as none. Raises ReplyError for any other, and if `strict`."""
        if not isinstance(reply, hiredis.ReplyError):
            return False
        message = str(reply)
        if strict or not message.startswith(mild):
            raise ReplyError(self.node.name, message)
        return True
