"""Clients that wait: a handler raises `Pause`, and the connection holds what comes behind."""

from __future__ import annotations


class Pause(Exception):
    """Raised by a handler or a layer: there is no reply yet.

    With `retry` the same request is run again once the connection is released; without, whoever releases the
    connection gives the reply. Nothing may have been changed when it is raised.
    """

    def __init__(self, retry: bool) -> None:
        super().__init__()
        self.retry = retry


class Disconnect(Exception):
    """Raised by a handler: send this reply, drop the rest of the input, close the connection."""

    def __init__(self, reply: bytes = b"") -> None:
        super().__init__()
        self.reply = reply
