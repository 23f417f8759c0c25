"""Progress on a terminal and elsewhere, and tables."""

from __future__ import annotations

import io

from respcache.tools.progress import Progress, columns


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.tell("waiting")
    progress.tell("waiting: a")
    progress.say("done")
    assert stream.getvalue() == "\r\x1b[Kwaiting\r\x1b[Kwaiting: a\r\x1b[Kdone\n"


def test_progress_elsewhere() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for text in ("waiting", "waiting: a", "waiting: b", "next"):
        progress.tell(text)
    progress.clear()
    progress.say("done")
    assert stream.getvalue() == "waiting\nnext\ndone\n"


def test_columns() -> None:
    assert columns([("a", "b"), ("ccc", "")]) == "a    b\nccc"
