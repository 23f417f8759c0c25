"""What a tool shows while it works, and tables."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TextIO


class Progress:
    """What is being waited for: one line that changes on a terminal, a line for each step elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._said = ""

    def tell(self, text: str) -> None:
        """Shows the text, of which only the part before a colon is a step of its own."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{text[:width]}")
        elif (step := text.partition(":")[0]) != self._said:
            self._said = step
            self._stream.write(f"{step}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Takes the line away."""
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def say(self, text: str) -> None:
        """Shows a text that stays."""
        self.clear()
        self._stream.write(f"{text}\n")
        self._stream.flush()


def columns(lines: Sequence[Sequence[str]]) -> str:
    """A table as text, its first line the names of the columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
