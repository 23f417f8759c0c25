"""Finding the payload in what a master sends."""

from __future__ import annotations

import random

import pytest

from respcache.replication.transfer import LONGEST, Transfer, TransferError

MARK = b"0123456789abcdef0123456789abcdef01234567"


def taken(transfer: Transfer, data: bytes, size: int) -> bytes:
    """The payload, if the bytes come so many at a time."""
    found = b""
    for at in range(0, len(data), size):
        if transfer.done:
            transfer.rest += data[at : at + size]
        else:
            found += transfer.feed(data[at : at + size])
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 39, 40, 41, 100, 10**6])
@pytest.mark.parametrize(
    "payload", [b"", b"REDIS0011", b"x" * 1000, MARK[:39] * 9, MARK[1:] + MARK[:20], b"\r\n$5\r\n"]
)
@pytest.mark.parametrize("behind", [b"", b"*1\r\n$4\r\nPING\r\n", MARK, MARK[:5]])
def test_both_kinds(size: int, payload: bytes, behind: bytes) -> None:
    marked = Transfer()
    assert taken(marked, b"\n\n$EOF:" + MARK + b"\r\n" + payload + MARK + behind, size) == payload
    assert marked.begun
    assert marked.done
    assert marked.size == -1
    assert marked.read == len(payload)
    assert marked.rest == behind
    sized = Transfer()
    assert taken(sized, b"$%d\r\n" % len(payload) + payload + behind, size) == payload
    assert sized.size == len(payload) or not payload
    if payload or behind:
        assert sized.done
        assert sized.rest == behind


def test_an_empty_payload_of_known_size_is_done_at_once() -> None:
    transfer = Transfer()
    assert transfer.feed(b"$0\r\n") == b""
    assert transfer.done


def test_random_pieces() -> None:
    dice = random.Random(1)
    for _ in range(200):
        payload = bytes(dice.choices(MARK, k=dice.randrange(300)))
        data = b"$EOF:" + MARK + b"\r\n" + payload + MARK
        transfer = Transfer()
        found = b""
        while data:
            count = dice.randrange(1, 60)
            found += transfer.feed(data[:count])
            data = data[count:]
        assert found == payload
        assert transfer.done
        assert transfer.rest == b""


def test_it_holds_no_more_than_a_mark() -> None:
    transfer = Transfer()
    transfer.feed(b"$EOF:" + MARK + b"\r\n")
    for _ in range(100):
        transfer.feed(b"x" * 1000)
        assert len(transfer._held) < len(MARK)


@pytest.mark.parametrize(
    "line",
    [b"-ERR no", b"+OK", b"$", b"$-1", b"$abc", b"$EOF:short", b"*1", b"$EOF:" + MARK + b"0", b"hello"],
)
@pytest.mark.parametrize("size", [1, 100])
def test_garbage(line: bytes, size: int) -> None:
    with pytest.raises(TransferError):
        taken(Transfer(), line + b"\r\n", size)


def test_a_line_without_an_end() -> None:
    with pytest.raises(TransferError):
        taken(Transfer(), b"$" + b"1" * 2 * LONGEST, 100)
