"""What is a request and what is not: each case whole, byte by byte, and with a next request behind it."""

from __future__ import annotations

import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.protocol.errors import ProtocolError
from respcache.protocol.request import Limits, RequestReader, split_inline

PING = b"*1\r\n$4\r\nPING\r\n"
KIB64 = 64 * 1024

MULTIBULK = b"invalid multibulk length"
BULK = b"invalid bulk length"
QUOTES = b"unbalanced quotes in request"

# input -> the requests it holds; what is left over is empty
WHOLE: list[tuple[bytes, list[list[bytes]]]] = [
    (PING, [[b"PING"]]),
    (b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", [[b"GET", b""]]),
    (b"*1\r\n$0\r\n\r\n", [[b""]]),
    (b"*1\r\n$4\r\nPINGxx" + PING, [[b"PING"], [b"PING"]]),  # the two bytes after a bulk
    (b"*1\rx$4\ryPINGzz", [[b"PING"]]),  # the byte after a header's CR
    (b"*1\r\n$6\r\n\r\n\0\r\n*\r\n", [[b"\r\n\0\r\n*"]]),
    (b"*0\r\n", []),
    (b"*-1\r\n", []),
    (b"*-10\r\n", []),
    (b"*-9223372036854775808\r\n", []),
    (b"PING\n", [[b"PING"]]),
    (b"PING\r\n", [[b"PING"]]),
    (b"\n", []),
    (b"\r\n", []),
    (b" \t \r\n", []),
    (b"POST / HTTP/1.1\r\nHost: x\r\n", [[b"POST", b"/", b"HTTP/1.1"], [b"Host:", b"x"]]),
    (b"$4\r\n:1\r\n", [[b"$4"], [b":1"]]),
    (b'ECHO "a b"\r\n' + PING + b"SET\ta  b \n", [[b"ECHO", b"a b"], [b"PING"], [b"SET", b"a", b"b"]]),
    (b"*0\r\n\r\n*-1\r\n" + PING, [[b"PING"]]),
    (b"*70" + b"\r\n" + b"$1\r\na\r\n" * 70, [[b"a"] * 70]),
    (b"*1\r\n$2000\r\n" + b"v" * 2000 + b"\r\n", [[b"v" * 2000]]),
]

# input -> the text after "Protocol error: "
MALFORMED: list[tuple[bytes, bytes]] = [
    *((b"*%b\r\n" % count, MULTIBULK) for count in (b"x", b"1.5", b"+1", b"01", b"00", b" 1", b"1 ", b"1_0")),
    *((b"*%b\r\n" % count, MULTIBULK) for count in (b"", b"-", b"-0", b"-01", b"--1")),
    (b"*2147483648\r\n", MULTIBULK),
    (b"*-9223372036854775809\r\n", MULTIBULK),
    (b"*9223372036854775808\r\n", MULTIBULK),
    (b"*" + b"9" * 5000 + b"\r\n", MULTIBULK),
    (b"*1\n$4\r\n", MULTIBULK),  # no CR: the header runs on to the next one
    *(
        (b"*1\r\n$%b\r\n" % size, BULK)
        for size in (b"x", b"", b"-1", b"-0", b"+4", b"04", b"4 ", b" 4", b"1.0", b"536870913", b"9" * 30)
    ),
    (b"*1\r\n$4\nPING\r\n", BULK),
    (b"*2\r\n$3\r\nGET\r\n$-1\r\n", BULK),
    *(
        (b"*1\r\n%b\r\n" % header, b"expected '$', got '%b'" % header[:1])
        for header in (b":5", b"*1", b"+x", b"-x", b"%1", b"_", b"'", b" $4", b"\xff")
    ),
    (b"*1\r\n\r\n", b"expected '$', got ' '"),
    (b"*1\r\n\n\r\n", b"expected '$', got ' '"),
    (b"*2\r\n$3\r\nGET\r\n:1\r\n", b"expected '$', got ':'"),
    (b'ECHO "a\r\n', QUOTES),
    (b"ECHO 'a\n", QUOTES),
    (b'ECHO "a"b\r\n', QUOTES),
    (b"*" + b"1" * KIB64, b"too big mbulk count string"),
    (b"*1\r\n$" + b"1" * KIB64, b"too big bulk count string"),
    (b"*1\r\n" + b"\n" * (KIB64 + 1), b"too big bulk count string"),
    (b"a" * (KIB64 + 1), b"too big inline request"),
    (b"\0" * (KIB64 + 1), b"too big inline request"),
    (b"PING\0\r\n" + b"\r\n" * (KIB64 // 2), b"too big inline request"),
    (b"*1\0\r\n" + b"\r\n" * (KIB64 // 2), b"too big mbulk count string"),
    (b"*1\r\n$\0\r\n" + b"\r\n" * (KIB64 // 2), b"too big bulk count string"),
]

# input -> no request and no error, however long one waits
WAITING: list[bytes] = [
    b"PING",
    b"PING\r",
    b'ECHO "a',
    b"PING\0\r\n" + PING,
    b"\0\n\n\n",
    b"*",
    b"*x",
    b"*x\r",
    b"*1\0\r\n" + PING,
    b"*1\n$4\n",
    b"*1\r\n",
    b"*1\r\n:",
    b"*1\r\n:\r",
    b"*1\r\n\r",
    b"*1\r\n\0\r\n",
    b"*1\r\n$\0\r\nPING\r\n",
    b"*1\r\n$4\r\nPING\r",
    b"*1\r\n$536870912\r\nabc",
    b"*2147483647\r\n$1\r\na\r\n",
    b"a" * KIB64,
    b"*" + b"1" * (KIB64 - 1),
    b"*1\r\n$" + b"1" * (KIB64 - 1),
]


def shown(value: object) -> str:
    """A short test id."""
    return repr(value)[:40]


def drain(reader: RequestReader) -> list[list[bytes]]:
    """All requests there are."""
    requests = []
    while (request := reader.next()) is not None:
        requests.append(request)
    return requests


def run(
    data: bytes, step: int | None = None, authenticated: bool = True
) -> tuple[list[list[bytes]], bytes | None, RequestReader]:
    """Requests, error text and reader after feeding `data` in pieces of `step` bytes, parsing after each."""
    reader = RequestReader(Limits())
    reader.authenticated = authenticated
    requests: list[list[bytes]] = []
    step = step or len(data)
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
        try:
            while (request := reader.next()) is not None:
                requests.append(request)
        except ProtocolError as error:
            return requests, error.text, reader
    return requests, None, reader


@pytest.mark.parametrize("step", [None, 1, 2, 7])
@pytest.mark.parametrize(("data", "expected"), WHOLE, ids=shown)
def test_whole(data: bytes, expected: list[list[bytes]], step: int | None) -> None:
    requests, error, reader = run(data, step)
    assert (requests, error) == (expected, None)
    assert reader.pending == 0
    assert reader.between_requests
    assert reader.take_rest() == b""


@pytest.mark.parametrize("step", [None, 1, 3])
@pytest.mark.parametrize(("data", "expected"), WHOLE, ids=shown)
def test_whole_then_a_part_of_the_next(data: bytes, expected: list[list[bytes]], step: int | None) -> None:
    requests, error, reader = run(data + PING[:9], step)
    assert (requests, error) == (expected, None)
    assert reader.pending == 9
    reader.feed(PING[9:])
    assert drain(reader) == [[b"PING"]]
    assert reader.pending == 0


@pytest.mark.parametrize("step", [None, 1, 1000])
@pytest.mark.parametrize(("data", "text"), MALFORMED, ids=shown)
def test_malformed(data: bytes, text: bytes, step: int | None) -> None:
    requests, error, reader = run(PING + data, step)
    assert (requests, error) == ([[b"PING"]], text)
    with pytest.raises(ProtocolError) as again:  # spent
        reader.next()
    assert again.value.text == text
    assert b"\n" not in text and b"\r" not in text


@pytest.mark.parametrize("step", [None, 5])
@pytest.mark.parametrize(("data", "text"), [case for case in MALFORMED if not case[1].startswith(b"too big")])
def test_malformed_then_more(data: bytes, text: bytes, step: int | None) -> None:
    assert run(data + PING, step)[:2] == ([], text)


@pytest.mark.parametrize("step", [None, 1, 1000])
@pytest.mark.parametrize("data", WAITING, ids=shown)
def test_waiting(data: bytes, step: int | None) -> None:
    requests, error, reader = run(PING + data, step)
    assert (requests, error) == ([[b"PING"]], None)
    assert reader.pending == len(data)
    assert reader.next() is None
    reader.feed(b"")
    assert reader.next() is None


def test_a_long_line_that_arrives_whole_passes() -> None:
    assert run(b"PING" + b" " * 100_000 + b"\r\n")[0] == [[b"PING"]]
    assert run(b"PING" + b" " * 100_000 + b"\r\n", 16384)[1] == b"too big inline request"


INLINE: list[tuple[bytes, list[bytes] | None]] = [
    (b"", []),
    (b"  \t ", []),
    (b"a b", [b"a", b"b"]),
    (b" a\t\tb ", [b"a", b"b"]),
    (b"a\rb", [b"a", b"b"]),
    (b"a \r", [b"a"]),
    (b"a\vb", [b"a\vb"]),
    (b"a\v", [b"a\v"]),
    (b"a \v", [b"a"]),
    (b"\v\fa", [b"a"]),
    (b"a \vb", [b"a", b"b"]),
    (b'"a"\v', [b"a"]),
    (b'"a"\vb', [b"a", b"b"]),
    (b'a"b"', [b"ab"]),
    (b"a'b'", [b"ab"]),
    (b'a"b" c', [b"ab", b"c"]),
    (b'""', [b""]),
    (b"'' \"\"", [b"", b""]),
    (b'"a b"', [b"a b"]),
    (b'"a\'b"', [b"a'b"]),
    (b"'a\"b'", [b'a"b']),
    (rb'"\n\r\t\b\a\\\""', [b'\n\r\t\b\a\\"']),
    (rb'"\x41\xfF\x0g\xg0\q\x"', [b"A\xffx0gxg0qx"]),
    (rb"'\'\n\\ '", [rb"'\n\\ "]),
    (rb"'\'\n\\'", None),
    (rb"'a\'", None),
    (rb"'a\\'", None),
    (rb'"a\"', None),
    (rb'"a\\"', [b"a\\"]),
    (rb'"a\\\"', None),
    (rb"\x41\n", [rb"\x41\n"]),
    (b"\xa0x\xff", [b"\xa0x\xff"]),
    (b'"', None),
    (b"'", None),
    (b'a"', None),
    (b'"a"b', None),
    (b'"a""b"', None),
    (b"a'b'c", None),
    (b"'a'\"b\"", None),
    (b'a "b', None),
    (b"a\0b", [b"a"]),
    (b'"a\0"', None),
]


@pytest.mark.parametrize(("line", "words"), INLINE, ids=shown)
def test_split_inline(line: bytes, words: list[bytes] | None) -> None:
    assert split_inline(line) == words


def test_split_inline_is_linear() -> None:
    for line in (b'"' + b"\\" * 500_000, b"'" + b"\\'" * 250_000, b"\v" * 500_000, b"a'" * 250_000):
        started = time.perf_counter()
        split_inline(line)
        assert time.perf_counter() - started < 1


def test_limits_of_the_unauthenticated() -> None:
    eleven = b"*11\r\n" + b"$1\r\na\r\n" * 11
    ten = b"*10\r\n" + b"$1\r\na\r\n" * 10
    least, more = (b"*1\r\n$%d\r\n%b\r\n" % (size, b"v" * size) for size in (16384, 16385))
    for step in (None, 1000):
        assert run(ten + least, step, authenticated=False)[:2] == ([[b"a"] * 10, [b"v" * 16384]], None)
        assert run(eleven, step, authenticated=False)[1] == b"unauthenticated multibulk length"
        assert run(more, step, authenticated=False)[1] == b"unauthenticated bulk length"
        assert run(eleven + more, step)[1] is None
    # What nobody may ask for keeps its own text.
    assert run(b"*2147483648\r\n", authenticated=False)[1] == MULTIBULK
    assert run(b"*1\r\n$536870913\r\n", authenticated=False)[1] == BULK
    # An inline request has no such limit.
    assert run(b"a " * 20 + b"\n", authenticated=False)[0] == [[b"a"] * 20]


def test_authentication_counts_from_the_next_request_on() -> None:
    reader = RequestReader(Limits())
    reader.authenticated = False
    reader.feed(PING + b"*11\r\n" + b"$1\r\na\r\n" * 11)
    assert reader.next() == [b"PING"]
    reader.authenticated = True
    assert reader.next() == [b"a"] * 11


def test_limits_are_shared_and_mutable() -> None:
    limits = Limits()
    readers = [RequestReader(limits), RequestReader(limits)]
    limits.max_bulk = 4
    limits.max_multibulk = 2
    limits.max_inline = 8
    for reader in readers:
        reader.feed(PING)
        assert reader.next() == [b"PING"]
    for data, text in (
        (b"*1\r\n$5\r\n", BULK),
        (b"*3\r\n", MULTIBULK),
        (b"123456789", b"too big inline request"),
    ):
        reader = RequestReader(limits)
        reader.feed(data)
        with pytest.raises(ProtocolError) as error:
            reader.next()
        assert error.value.text == text


def test_take_rest_hands_over_what_is_unconsumed() -> None:
    reader = RequestReader(Limits())
    reader.feed(PING + PING)
    reader.feed(b"PI")
    assert reader.next() == [b"PING"]
    assert reader.between_requests
    assert reader.take_rest() == PING + b"PI"
    assert (reader.pending, reader.next()) == (0, None)
    reader.feed(b"*2\r\n$4\r\nECHO\r\n")
    assert reader.next() is None
    assert not reader.between_requests
    with pytest.raises(RuntimeError):
        reader.take_rest()
    reader.feed(b"$1\r\na\r\n*1")
    assert reader.next() == [b"ECHO", b"a"]
    assert reader.next() is None
    assert reader.between_requests
    assert reader.take_rest() == b"*1"


def test_many_requests_in_one_feed_are_linear() -> None:
    set_ = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
    for data, count in ((set_ * 100_000, 100_000), (b"PING\r\n" * 100_000, 100_000), (b"\n" * 300_000, 0)):
        started = time.perf_counter()
        assert len(run(data)[0]) == count
        assert time.perf_counter() - started < 3


def test_feeding_ahead_of_parsing_is_linear() -> None:
    reader = RequestReader(Limits())
    started = time.perf_counter()
    for _ in range(100_000):
        reader.feed(PING)
    assert len(drain(reader)) == 100_000
    assert time.perf_counter() - started < 3


def test_a_long_bulk_is_linear() -> None:
    size = 64 * 1024 * 1024
    piece = b"v" * KIB64
    reader = RequestReader(Limits())
    started = time.perf_counter()
    reader.feed(b"*1\r\n$%d\r\n" % size)
    for _ in range(size // len(piece)):
        reader.feed(piece)
        assert reader.next() is None
    reader.feed(b"\r\n")
    assert reader.next() == [b"v" * size]
    assert time.perf_counter() - started < 3


def test_one_byte_at_a_time_is_linear() -> None:
    size = 300_000
    started = time.perf_counter()
    assert run(b"*1\r\n$%d\r\n%b\r\n" % (size, b"v" * size), 1)[0] == [[b"v" * size]]
    assert run(b"v" * 60_000 + b"\n", 1)[0] == [[b"v" * 60_000]]
    assert time.perf_counter() - started < 3


def test_a_promise_allocates_nothing() -> None:
    tracemalloc.start()
    try:
        for data in (b"*2147483647\r\n", b"*2147483647\r\n$1\r\na\r\n", b"*9\r\n$536870912\r\nabc"):
            assert run(data)[:2] == ([], None)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def quoted(word: bytes) -> bytes:
    """A word in the inline form, every byte escaped."""
    return b'"%b"' % b"".join(b"\\x%02x" % byte for byte in word)


def encoded(request: list[bytes], inline: bool) -> bytes:
    """A request in either form."""
    if inline:
        return b" ".join(map(quoted, request)) + b"\r\n"
    return b"*%d\r\n" % len(request) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in request)


words = st.lists(st.binary(max_size=40), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    requests=st.lists(st.tuples(words, st.booleans()), max_size=6),
    cuts=st.lists(st.integers(0, 2000), max_size=12),
    ahead=st.booleans(),
)
def test_any_split_gives_the_same_requests(
    requests: list[tuple[list[bytes], bool]], cuts: list[int], ahead: bool
) -> None:
    data = b"".join(encoded(request, inline) for request, inline in requests)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    reader = RequestReader(Limits())
    found: list[list[bytes]] = []
    fed = 0
    for start, end in pairwise(edges):
        reader.feed(data[start:end])
        fed += end - start
        if not ahead:
            found += drain(reader)
            used = sum(len(encoded(*request)) for request in requests[: len(found)])
            assert reader.pending == fed - used
    found += drain(reader)
    assert found == [request for request, _ in requests]
    assert reader.pending == 0
