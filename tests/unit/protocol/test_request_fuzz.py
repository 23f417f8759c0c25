"""Mutated requests: nothing but ProtocolError, no hang, no growth, and a real server judges them alike."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from respcache.protocol.errors import ProtocolError
from respcache.protocol.request import Limits, RequestReader
from tests.unit.protocol.test_request import INLINE, MALFORMED, WAITING, WHOLE

PING = b"*1\r\n$4\r\nPING\r\n"

# The commands are harmless and give one reply each, and so do the unknown ones they may become.
FRAMES = (
    PING,
    b"*2\r\n$4\r\nECHO\r\n$5\r\nhowdy\r\n",
    b"*3\r\n$4\r\nECHO\r\n$0\r\n\r\n$1\r\n\r\r\n",
    b"*2\r\n$4\r\nECHO\r\n$12\r\n*1\r\n$4\r\nPING\r\n",
    b"*0\r\n" + PING,
    b"*-1\r\nPING\r\n",
    b"PING\r\nECHO a\n\r\n",
    b'ECHO "a\\x41\\n\\"b" \r\n',
    b"ECHO 'it\\'s' \r\n",
    b'ECHO left"right"\r\n' + PING,
    b"*11\r\n$4\r\nECHO\r\n" + b"$1\r\na\r\n" * 10,
    b"*1\r\n$100\r\n" + b"ECHO" * 25 + b"\r\n",
)
TOKENS = (
    *(b"\r", b"\n", b"\r\n", b"\0", b"*", b"$", b'"', b"'", b"\\", b"\\x", b" ", b"\t", b"\v", b"\f", b"-"),
    *(b"0", b"1", b"4", b"9" * 9, b"9" * 19, b"2147483647", b"2147483648", b"536870912", b"536870913"),
    *(b"*1\r\n", b"*0\r\n", b"*-1\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"$4\r\n", b"*2147483647\r\n"),
    *(b"+", b":", b"%", b"(", b"\xff", b"a" * 40),
)


def mutant(rng: random.Random) -> bytes:
    """One to three frames with up to four wounds."""
    data = bytearray(b"".join(rng.choices(FRAMES, k=rng.randint(1, 3))))
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at:at] = rng.choice(TOKENS)
            case 1:
                del data[at : at + rng.randint(1, 6)]
            case 2:
                data[at : at + 1] = bytes((rng.randrange(256),))
            case 3:
                data[at : at + 1] = rng.choice(TOKENS)
            case _:
                data[at:at] = data[at : at + rng.randint(1, 12)]
    return bytes(data)


def judge(pieces: list[bytes], authenticated: bool = True) -> tuple[list[list[bytes]], bytes | None]:
    """Requests and error text, with the bounds every input must keep."""
    reader = RequestReader(Limits())
    reader.authenticated = authenticated
    requests: list[list[bytes]] = []
    fed = 0
    for piece in pieces:
        reader.feed(piece)
        fed += len(piece)
        try:
            while (request := reader.next()) is not None:
                requests.append(request)
                assert request and len(requests) <= fed
        except ProtocolError as error:
            assert b"\r" not in error.text and b"\n" not in error.text
            assert reader.pending <= fed
            return requests, error.text
        assert reader.pending <= fed
    assert sum(map(len, requests)) + sum(len(word) for request in requests for word in request) <= 2 * fed
    return requests, None


def fuzz(seed: int, count: int) -> None:
    """`count` mutants, each fed whole and in pieces: the judgement is the same."""
    rng = random.Random(seed)
    for _ in range(count):
        data = mutant(rng)
        authenticated = rng.random() < 0.8
        step = rng.choice((1, 2, 3, 5, 8, 13, 21))
        pieces = [data[start : start + step] for start in range(0, len(data), step)]
        assert judge([data], authenticated) == judge(pieces, authenticated), data


def test_fuzz() -> None:
    fuzz(seed=1, count=50_000)


@pytest.mark.long
def test_fuzz_long() -> None:
    fuzz(seed=2, count=1_000_000)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Path]:
    """The socket of a real server."""
    program = shutil.which("redis-server")
    if program is None or not hasattr(socket, "AF_UNIX"):
        pytest.skip("no redis-server on PATH")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        options = ["--port", "0", "--unixsocket", str(path), "--dir", folder, "--save", ""]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            yield path
        finally:
            server.terminate()
            server.wait()


def ask(path: Path, data: bytes) -> bytes:
    """All that the server answers. It parses what it has read before it sees that we closed our half."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def replies(answer: bytes) -> list[bytes]:
    """The top-level replies: lines, and bulks without their header."""
    found = []
    while answer:
        line, _, answer = answer.partition(b"\r\n")
        if line[:1] == b"$" and line != b"$-1":
            size = int(line[1:])
            line, answer = b"$" + answer[:size], answer[size + 2 :]
        found.append(line)
    return found


def expected(request: list[bytes]) -> bytes | None:
    """The reply to a request, where it shows how the request was read."""
    name = request[0].upper()
    if name == b"ECHO" and len(request) == 2:
        return b"$" + request[1]
    return b"+PONG" if name == b"PING" and len(request) == 1 else None


def compare(path: Path, data: bytes, authenticated: bool = True) -> bool:
    """Whether `data` is malformed, to both."""
    requests, error = judge([data], authenticated)
    answers = replies(ask(path, data))
    if error is not None:
        assert answers.pop() == b"-ERR Protocol error: " + error, data
    assert len(answers) == len(requests), data
    for request, answer in zip(requests, answers, strict=True):
        assert not answer.startswith(b"-ERR Protocol error"), data
        assert not authenticated or expected(request) in (None, answer), data
    return error is not None


def test_the_real_server_judges_mutants_alike(oracle: Path) -> None:
    rng = random.Random(3)
    assert sum(compare(oracle, mutant(rng) + PING) for _ in range(800)) > 100


def test_the_real_server_judges_the_tables_alike(oracle: Path) -> None:
    for data, _ in MALFORMED:
        assert compare(oracle, data)
    for data in WAITING:
        assert not compare(oracle, PING + data)
    for data, _ in WHOLE:
        # Web requests are the connection's business: it hangs up on them without a word.
        assert data.startswith(b"POST") or not compare(oracle, data + PING)


def test_the_real_server_unquotes_alike(oracle: Path) -> None:
    for line, words in INLINE:
        if b"\0" in line:
            continue
        answer = b"-ERR Protocol error: unbalanced quotes in request\r\n"
        if words is not None:
            bulks = (b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
            answer = b"*%d\r\n" % len(words) + b"".join(bulks)
        assert ask(oracle, b'EVAL "return ARGV" 0 %b\n' % line) == answer, line


def test_the_real_server_limits_the_unauthenticated_alike(oracle: Path) -> None:
    rng = random.Random(4)
    ask(oracle, b"CONFIG SET requirepass secret\r\n")
    try:
        assert compare(oracle, b"*11\r\n" + PING, authenticated=False)
        assert compare(oracle, b"*1\r\n$16385\r\n" + PING, authenticated=False)
        assert not compare(oracle, b"*10\r\n$16384\r\n" + PING, authenticated=False)
        for _ in range(200):
            compare(oracle, mutant(rng) + PING, authenticated=False)
    finally:
        ask(oracle, b'AUTH secret\r\nCONFIG SET requirepass ""\r\n')
