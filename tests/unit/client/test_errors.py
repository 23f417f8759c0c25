"""Errors of the client fit where callers expect those of Python."""

from __future__ import annotations

from respcache.client import (
    CacheError,
    DeadlineError,
    NodeError,
    ReplyError,
    StoredValueError,
    ValueTypeError,
)


def test_families() -> None:
    assert issubclass(DeadlineError, NodeError | TimeoutError)
    assert issubclass(NodeError, ConnectionError)
    assert issubclass(ValueTypeError, TypeError)
    assert issubclass(StoredValueError, ValueError)
    assert all(
        issubclass(each, CacheError) for each in (NodeError, ReplyError, ValueTypeError, StoredValueError)
    )


def test_texts() -> None:
    error = DeadlineError("a:1", "no answer in time")
    assert (str(error), error.node, error.reason) == ("a:1: no answer in time", "a:1", "no answer in time")
    reply = ReplyError("a:1", "WRONGTYPE Operation against a key")
    assert (str(reply), reply.node, reply.code) == (
        "a:1: WRONGTYPE Operation against a key",
        "a:1",
        "WRONGTYPE",
    )
