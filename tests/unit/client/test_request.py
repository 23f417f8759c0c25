"""Commands as bytes, replies from bytes that come in any pieces."""

from __future__ import annotations

import hiredis
import pytest

from respcache.client import DeadlineError, NodeError, ReplyError
from respcache.client.node import read_nodes
from respcache.client.request import Request, new_reader

(NODE,) = read_nodes(["a:1"], {})


def answered(request: Request, data: bytes) -> Request:
    reader = new_reader()
    reader.feed(data)
    assert request.read(reader)
    return request


def test_commands_are_packed_together() -> None:
    request = Request(NODE, [(b"GET", b"k"), (b"INCRBY", b"n", -5)])
    assert request.payload == b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$6\r\nINCRBY\r\n$1\r\nn\r\n$2\r\n-5\r\n"
    assert request.wanted == 2


def test_replies_in_pieces() -> None:
    request = Request(NODE, [(b"GET", b"k"), (b"MGET", b"a", b"b")])
    data = b"$-1\r\n*2\r\n$1\r\nx\r\n$-1\r\n"
    reader = new_reader()
    for number in range(len(data)):
        assert not request.read(reader)
        reader.feed(data[number : number + 1])
    assert request.read(reader)
    assert request.replies == [None, [b"x", None]]


def test_resp3() -> None:
    request = answered(Request(NODE, [(b"A",), (b"B",)]), b">2\r\n+invalidate\r\n_\r\n#f\r\n_\r\n")
    assert request.replies == [False, None]  # the push is nobody's reply


@pytest.mark.parametrize(
    "error", ["LOADING Redis is loading", "BUSY script", "MASTERDOWN", "ERR max number of clients reached"]
)
def test_a_node_that_cannot_serve_did_not_answer(error: str) -> None:
    request = answered(Request(NODE, [(b"GET", b"k")]), f"-{error}\r\n".encode())
    assert isinstance(request.failure, NodeError)
    assert request.failure.reason == error


def test_refused() -> None:
    request = answered(Request(NODE, [(b"SET", b"k", b"v")]), b"-OOM command not allowed\r\n")
    assert request.failure is None
    assert request.refused(request.replies[0], strict=False)
    assert not request.refused(b"OK", strict=True)
    with pytest.raises(ReplyError, match="OOM"):
        request.refused(request.replies[0], strict=True)
    request = answered(Request(NODE, [(b"SET", b"k", b"v")]), b"-WRONGTYPE x\r\n")
    with pytest.raises(ReplyError, match="WRONGTYPE"):
        request.refused(request.replies[0], strict=False)


def test_what_is_no_reply() -> None:
    reader = new_reader()
    reader.feed(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(hiredis.ProtocolError):
        Request(NODE, [(b"PING",)]).read(reader)


def test_failures() -> None:
    request = Request(NODE, [(b"PING",)])
    request.fail(TimeoutError())
    assert isinstance(request.failure, DeadlineError)
    request.fail(ConnectionResetError("gone"))
    assert str(request.failure) == "a:1: gone"
    request.fail(ConnectionResetError())
    assert str(request.failure) == "a:1: ConnectionResetError"
    told = NodeError("a:1", "why")
    request.fail(told)
    assert request.failure is told
    request.again()
    assert request.failure is None
    request.fail(ReplyError("a:1", "WRONGPASS"))
    assert request.failure is None
    assert request.refusal is not None
