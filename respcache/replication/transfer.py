r"""The transfer of all data: where it begins in what a master sends, and where it ends.

    $<size>\r\n  payload                          exactly so many bytes, and no line end behind them
    $EOF:<mark>\r\n  payload  <mark>              40 random characters, which were not known before the payload was made

Empty lines may come first: the master is not ready yet, but alive. An error line may come instead.
"""

from __future__ import annotations

MARK = 40
"""Bytes of a mark."""
LONGEST = 1024
"""Bytes of the line before the payload."""


class TransferError(Exception):
    """There will be no data; the text is for the log."""


class Transfer:
    """A transfer, piece by piece. It keeps no more of the payload than the length of a mark."""

    def __init__(self) -> None:
        self.begun = False
        """The line before the payload has come."""
        self.done = False
        """All of the payload was given."""
        self.size = -1
        """Bytes of the payload; -1: not known."""
        self.read = 0
        """Bytes of the payload given so far."""
        self.rest = b""
        """What came behind it."""
        self._held = b""  # of the line, or what may be the beginning of the mark
        self._mark = b""

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes. Returns those that belong to the payload. Raises TransferError."""
        if not self.begun:
            data = self._begin(self._held + data)
        if not self.begun:
            return b""
        if self._mark:
            data = self._until_mark(self._held + data)
        elif self.read + len(data) >= self.size:
            self.done = True
            left = self.size - self.read
            data, self.rest = data[:left], data[left:]
        self.read += len(data)
        return data

    def _begin(self, data: bytes) -> bytes:
        """Looks for the line. Returns what comes behind it."""
        data = data.lstrip(b"\r\n")
        line, ended, behind = data.partition(b"\n")
        if not ended:
            if len(line) > LONGEST:
                raise TransferError("Bad protocol from MASTER, the line before the payload has no end")
            self._held = data
            return b""
        line = line.rstrip(b"\r")
        shown = line[:128].decode("utf-8", "backslashreplace")
        if line.startswith(b"-"):
            raise TransferError(f"MASTER aborted replication with an error: {shown[1:]}")
        if line.startswith(b"$EOF:") and len(line) == 5 + MARK:
            self._mark = line[5:]
        elif line.startswith(b"$") and line[1:].isdigit():
            self.size = int(line[1:])
        else:
            raise TransferError(
                f"Bad protocol from MASTER, the first byte is not '$' (we received '{shown}')"
            )
        self._held = b""
        self.begun = True
        return behind

    def _until_mark(self, data: bytes) -> bytes:
        """Holds back what may be the beginning of the mark, until more is known."""
        at = data.find(self._mark)
        if at >= 0:
            self.done = True
            self._held, self.rest = b"", data[at + MARK :]
            return data[:at]
        sure = max(len(data) - MARK + 1, 0)
        self._held = data[sure:]
        return data[:sure]
