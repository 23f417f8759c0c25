"""The handshake of a replica, against the bytes that real servers exchange."""

from __future__ import annotations

import pytest

from respcache.replication.handshake import (
    LONGEST,
    SYNC,
    Continued,
    Full,
    Greeting,
    Handshake,
    RefusedError,
    Unnamed,
)

ID = "0123456789abcdef0123456789abcdef01234567"
PING = b"*1\r\n$4\r\nPING\r\n"
PORT = b"*3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$3\r\n777\r\n"
ADDRESS = b"*3\r\n$8\r\nREPLCONF\r\n$10\r\nip-address\r\n$7\r\n9.8.7.6\r\n"
CAPA = b"*5\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$4\r\ncapa\r\n$6\r\npsync2\r\n"
ASK_ALL = b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"


def asked(greeting: Greeting | None = None) -> Handshake:
    """A handshake of which only the answer to PSYNC is missing."""
    made = Handshake(greeting or Greeting(777))
    made.begin()
    made.feed(b"+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n"[: 7 + 5 * made_answers(made)])
    assert made.awaited == "PSYNC"
    return made


def made_answers(handshake: Handshake) -> int:
    greeting = handshake._greeting
    return 2 + bool(greeting.password) + bool(greeting.address)


def test_the_words_of_a_whole_handshake() -> None:
    made = Handshake(Greeting(777, b"9.8.7.6", b"u", b"pw", ID, 1))
    assert made.begin() == PING
    auth = b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$2\r\npw\r\n"
    assert made.feed(b"+PONG\r\n") == auth + PORT + ADDRESS + CAPA
    assert made.feed(b"+OK\r\n+OK\r\n+OK\r\n") == b""
    assert made.awaited == "REPLCONF capa"
    assert made.feed(b"+OK\r\n") == b"*3\r\n$5\r\nPSYNC\r\n$40\r\n" + ID.encode() + b"\r\n$1\r\n1\r\n"
    assert made.feed(b"\n\n+FULLRESYNC " + ID.encode() + b" 269\r\n$EOF:x") == b""
    assert made.outcome == Full(ID, 269)
    assert made.rest == b"$EOF:x"
    assert made.complaints == []


def test_byte_by_byte() -> None:
    made = Handshake(Greeting(777))
    talk = b"\n+PONG\r\n+OK\r\n-ERR no\r\n\n+CONTINUE " + ID.encode() + b"\r\n"
    out = [sent for at in range(len(talk)) if (sent := made.feed(talk[at : at + 1]))]
    assert out == [PORT + CAPA, ASK_ALL]
    assert made.outcome == Continued(ID)
    assert made.rest == b""
    assert len(made.complaints) == 1


def test_a_password_without_a_user() -> None:
    made = Handshake(Greeting(777, password=b"pw"))
    assert made.feed(b"-NOAUTH Authentication required.\r\n").startswith(b"*2\r\n$4\r\nAUTH\r\n$2\r\npw\r\n")
    with pytest.raises(RefusedError, match="Unable to AUTH"):
        made.feed(b"-WRONGPASS no\r\n")


@pytest.mark.parametrize("line", [b"+PONG", b"-NOAUTH x", b"-NOPERM x", b"-ERR operation not permitted"])
def test_what_answers_a_ping(line: bytes) -> None:
    assert Handshake(Greeting(777)).feed(line + b"\r\n") == PORT + CAPA


@pytest.mark.parametrize("line", [b"-ERR other", b"-LOADING x", b"$5", b"hello"])
def test_what_does_not(line: bytes) -> None:
    with pytest.raises(RefusedError):
        Handshake(Greeting(777)).feed(line + b"\r\n")


def test_nothing_to_continue() -> None:
    made = Handshake(Greeting(777, history="", wanted=7))
    assert made.feed(b"+PONG\r\n+OK\r\n+OK\r\n").endswith(ASK_ALL)


def test_failover() -> None:
    made = Handshake(Greeting(777, history=ID, wanted=8, failover=True))
    assert made.feed(b"+PONG\r\n+OK\r\n+OK\r\n").endswith(b"$1\r\n8\r\n$8\r\nFAILOVER\r\n")
    with pytest.raises(RefusedError):
        made.feed(b"-ERR PSYNC FAILOVER can't be sent to a master.\r\n")


@pytest.mark.parametrize("line", [b"+CONTINUE", b"+CONTINUE  ", b"+CONTINUE short"])
def test_the_same_history(line: bytes) -> None:
    made = asked()
    made.feed(line + b"\r\n*1\r\n")
    assert made.outcome == Continued("")
    assert made.rest == b"*1\r\n"


@pytest.mark.parametrize(
    "line", [b"-NOMASTERLINK Can't SYNC", b"-LOADING Redis", b"+FULLRESYNC x 1", b"+FULLRESYNC"]
)
def test_later(line: bytes) -> None:
    made = asked()
    with pytest.raises(RefusedError):
        made.feed(line + b"\r\n")
    assert made.outcome is None


@pytest.mark.parametrize("line", [b"-ERR unknown command 'PSYNC'", b"?", b"-NOPERM x"])
def test_a_master_without_psync(line: bytes) -> None:
    made = asked()
    assert made.feed(line + b"\r\n") == SYNC
    assert made.outcome == Unnamed()
    assert made.complaints


def test_an_answer_without_an_end() -> None:
    made = Handshake(Greeting(777))
    with pytest.raises(RefusedError):
        for _ in range(LONGEST // 1000 + 2):
            made.feed(b"x" * 1000)
