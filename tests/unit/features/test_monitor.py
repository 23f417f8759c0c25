"""The lines of MONITOR and how they leave."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from respcache.features.monitor import Monitors, line, quoted


class Client:
    """Keeps what it was sent; its own connection."""

    def __init__(self) -> None:
        self.muted = self.closing = False
        self.sent: list[bytes] = []
        self.connection = self

    def send(self, data: bytes) -> None:
        self.sent.append(data)


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        (b"", b'""'),
        (b"plain ~!", b'"plain ~!"'),
        (b'a"b\\c', rb'"a\"b\\c"'),
        (b"\n\r\t\a\b", rb'"\n\r\t\a\b"'),
        (b"\x00\x7f\xff", rb'"\x00\x7f\xff"'),
    ],
)
def test_quoted(word: bytes, shown: bytes) -> None:
    assert quoted(word) == shown


def test_line() -> None:
    assert (
        line(1_500_000_000_000_042, b"3 host:1", [b"GET", b"k"])
        == b'+1500000000.000042 [3 host:1] "GET" "k"\r\n'
    )


def test_lines_of_a_turn_leave_together() -> None:
    deferred: list[Callable[[], None]] = []
    monitors = Monitors(deferred.append)
    one, muted, gone = Client(), Client(), Client()
    muted.muted = gone.closing = True
    for client in (one, muted, gone):
        monitors.clients[client] = None
    monitors.feed(1, b"0 a:1", [b"x"])
    monitors.feed(2, b"0 a:1", [b"y"])
    assert len(deferred) == 1
    assert one.sent == []
    deferred.pop()()
    assert one.sent == [b'+0.000001 [0 a:1] "x"\r\n+0.000002 [0 a:1] "y"\r\n']
    assert muted.sent == gone.sent == []
    monitors.deliver()
    assert len(one.sent) == 1
