"""The exact request parser: bytes in, requests out, no I/O.

A request is an array of bulks (`*2 $4 ECHO $2 hi`, each part ended by CRLF) or an inline line (`ECHO hi`).
Its first byte says which. What is not evident, and was read off a real server:

- a header ends at the first CR, and the byte after that CR must have arrived but may be anything;
- the two bytes after a bulk are skipped unseen;
- a header or line with a NUL before its end never ends: more bytes are awaited until it is too big;
- an element's type is judged only when its whole header is there.

Unconsumed bytes live in two places, in this order: `_buf[_pos:]`, immutable and cheap to slice, where
parsing happens; then `_held`, which grows with each feed and becomes `_buf` once that helps the parse on.
So every byte is copied and searched a bounded number of times, whatever the sizes of the feeds. (Rejected: a
list of chunks joined once. A client that sends two bytes at a time would make it hold twenty times as much.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from respcache.protocol.errors import ProtocolError

_STAR = 0x2A

# Decimal integers as Redis reads them: no plus sign, no leading zero, no blank, no -0.
_INTEGER = re.compile(rb"0|-?[1-9][0-9]{0,18}")
_INT64_MAX = 2**63 - 1

# Common headers, by which one look-up replaces the checks; rare and malformed ones are read with care.
_COUNTS = {b"*%d" % n: n for n in range(1, 65)}
_SIZES = {b"$%d" % n: n for n in range(1024)}

# Blanks, then a word of an inline request: a bare part, perhaps one quoted part, then a blank or the end.
# Vertical tabs and form feeds are skipped between words but do not end a bare one. The possessive quantifiers
# keep it linear and never give back a backslash to expose the quote it escapes.
_WORD = re.compile(
    rb"""
    \s*+ ([^ \t\r\n"']*+)
    (?: " ( (?: [^"\\] | \\. )*+ ) "
      | ' ( (?: [^'\\] | \\'?+ )*+ ) ' )?+
    (?= \s | \Z )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


@dataclass(slots=True)
class Limits:
    """What a request may ask for. Mutable and shared: CONFIG SET reaches every connection at once."""

    max_bulk: int = 512 * 1024 * 1024  # bytes of one argument: proto-max-bulk-len
    max_inline: int = 64 * 1024  # bytes of a line or header whose end is not in sight
    max_multibulk: int = 2**31 - 1  # arguments of one request
    unauthenticated_multibulk: int = 10  # the same two before AUTH, where a password is wanted
    unauthenticated_bulk: int = 16384


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if len(code) == 3:
        return bytes((int(code[1:], 16),))
    return _ESCAPED.get(code, code)


def split_inline(line: bytes) -> list[bytes] | None:
    """The words of an inline request, unquoted as Redis does; None if its quotes do not balance.

    `line` comes without its line end, and ends at its first NUL if it has one.
    """
    line = line.partition(b"\0")[0]
    if not (b'"' in line or b"'" in line or b"\v" in line or b"\f" in line):
        return line.split()
    words = []
    pos, end = 0, len(line)
    while pos < end:
        match = _WORD.match(line, pos)
        if match is None:
            return None
        word, double, single = match.groups()
        if double is not None:
            word += _ESCAPE.sub(_unescape, double)
        elif single is not None:
            word += single.replace(b"\\'", b"'")
        elif not word:  # only blanks were left
            break
        words.append(word)
        pos = match.end()
    return words


def _integer(digits: bytes) -> int | None:
    """A signed 64-bit integer in its only spelling, or None."""
    if _INTEGER.fullmatch(digits) is None:
        return None
    value = int(digits)
    return value if -_INT64_MAX - 1 <= value <= _INT64_MAX else None


class RequestReader:
    """Exact, incremental: splits bytes into requests as Redis does.

    Nothing is allocated for what a header only promises. Feed it, then call `next` until it gives None.
    Requests are parsed one by one, so `authenticated` (False: stricter limits hold) may change between two
    of them. After a ProtocolError the reader is spent, and what follows means nothing.
    """

    __slots__ = (
        "_argv",
        "_buf",
        "_held",
        "_missing",
        "_pos",
        "_scan",
        "_size",
        "_taken",
        "authenticated",
        "limits",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.authenticated = True
        self._reset()

    def _reset(self) -> None:
        self._buf = b""
        self._pos = 0
        self._held = bytearray()
        self._scan = 0  # where in _held to look on for the end of a line or header
        self._argv: list[bytes] | None = None  # arguments of the array under way; None between requests
        self._missing = 0  # arguments it still lacks
        self._size = -1  # bytes of the bulk whose header is read; -1 before a header
        self._taken = 0  # bytes of the array under way that are no longer in _buf or _held

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream; not copied when nothing is left of earlier ones."""
        if self._held or self._pos < len(self._buf):
            self._held += data
        else:
            self._buf = data
            self._pos = 0

    def next(self) -> list[bytes] | None:
        """The next request, never empty, or None if more bytes are needed. Raises ProtocolError."""
        while True:
            if self._pos == len(self._buf) and not self._refill():
                return None
            if self._argv is not None or self._buf[self._pos] == _STAR:
                request = self._array()
            else:
                request = self._inline()
            if request:
                return request

    def take_rest(self) -> bytes:
        """All bytes not consumed yet, for another parser; leaves the reader empty. Only between requests."""
        if not self.between_requests:
            raise RuntimeError("take_rest() inside a request")
        rest = self._buf[self._pos :] + self._held
        self._reset()
        return rest

    @property
    def pending(self) -> int:
        """Bytes fed that belong to no returned (or skipped, because empty) request."""
        return self._taken + len(self._buf) - self._pos + len(self._held)

    @property
    def between_requests(self) -> bool:
        """Whether no request is under way: what is left, if anything, begins with a request's first byte."""
        return self._argv is None

    def _refill(self) -> bool:
        """With _buf used up, move _held there if it can take the parse further. Raises ProtocolError."""
        held = self._held
        if self._size >= 0:
            return self._refill_bulk()
        if not held:
            return False
        in_header = self._argv is not None or held[0] == _STAR
        # The NUL first: once there is one, the search ends at `_scan` for good.
        nul = held.find(0, self._scan)
        end = held.find(b"\r" if in_header else b"\n", self._scan, nul if nul >= 0 else len(held))
        if end < 0:
            self._scan = nul if nul >= 0 else len(held)
            if len(held) > self.limits.max_inline:
                raise ProtocolError(self._too_big(held[0]))
            return False
        if in_header and end + 2 > len(held):
            self._scan = end
            return False
        self._buf = bytes(held)
        self._pos = 0
        held.clear()
        self._scan = 0
        return True

    def _refill_bulk(self) -> bool:
        """`_refill` inside a bulk: cut it straight from _held, one copy however long it is."""
        size, argv = self._size, self._argv
        if len(self._held) < size + 2 or argv is None:
            return False
        with memoryview(self._held) as view:
            argv.append(bytes(view[:size]))
            self._buf = bytes(view[size + 2 :])
        self._pos = 0
        self._held = bytearray()
        self._missing -= 1
        self._size = -1
        self._taken += size + 2
        return True

    def _too_big(self, first: int) -> bytes:
        if self._argv is not None:
            return b"too big bulk count string"
        return b"too big mbulk count string" if first == _STAR else b"too big inline request"

    def _hold(self, pos: int) -> None:
        """Nothing can be parsed from `pos` on yet: _held takes it over."""
        self._held[:0] = self._buf[pos:]
        self._buf = b""
        self._pos = 0
        self._scan = 0

    def _inline(self) -> list[bytes] | None:
        """The words of the line at _pos, none if blank, or None if it is not complete."""
        buf, pos = self._buf, self._pos
        end = buf.find(b"\n", pos)
        if end < 0 or buf.find(0, pos, end) >= 0:
            self._hold(pos)
            return None
        words = split_inline(buf[pos : end - 1 if buf[pos:end].endswith(b"\r") else end])
        if words is None:
            raise ProtocolError(b"unbalanced quotes in request")
        self._pos = end + 1
        return words

    def _array(self) -> list[bytes] | None:
        """The array under way or beginning at _pos, empty if its count is not positive, None if incomplete.

        State is written back only where the loop ends, so after a raise the next call raises the same.
        """
        limits = self.limits
        buf, start = self._buf, self._pos
        pos, end = start, len(buf)
        argv, missing, size = self._argv, self._missing, self._size
        if argv is None:
            cr = buf.find(b"\r", pos)
            if cr < 0 or cr + 2 > end:
                self._hold(pos)
                return None
            header = buf[pos:cr]
            count: int | None = _COUNTS.get(header, 0)
            if not count or count > limits.max_multibulk or not self.authenticated:
                count = self._count(header)
                if count is None:
                    self._hold(pos)
                    return None
            pos = cr + 2
            if count <= 0:
                self._pos = pos
                return []
            argv, missing = [], count
        most = limits.max_bulk if self.authenticated else min(limits.max_bulk, limits.unauthenticated_bulk)
        find, sizes, append = buf.find, _SIZES, argv.append
        while missing:
            if size < 0:
                cr = find(b"\r", pos)
                if cr < 0 or cr + 2 > end:
                    break
                header = buf[pos:cr]
                size = sizes.get(header, -1)
                if not 0 <= size <= most:
                    size = self._bulk_size(header, most)
                    if size < 0:
                        break
                pos = cr + 2
            stop = pos + size
            if stop + 2 > end:
                break
            append(buf[pos:stop])
            pos = stop + 2
            size = -1
            missing -= 1
        else:
            self._argv = None
            self._size = -1
            self._pos = pos
            self._taken = 0
            return argv
        self._argv, self._missing, self._size = argv, missing, size
        self._taken += pos - start
        self._hold(pos)
        return None

    def _count(self, header: bytes) -> int | None:
        """The number of arguments a `*` header announces, None if a NUL keeps it from ending."""
        if 0 in header:
            return None
        count = _integer(header[1:])
        if count is None or count > self.limits.max_multibulk:
            raise ProtocolError(b"invalid multibulk length")
        if not self.authenticated and count > self.limits.unauthenticated_multibulk:
            raise ProtocolError(b"unauthenticated multibulk length")
        return count

    def _bulk_size(self, header: bytes, most: int) -> int:
        """The size a `$` header announces, -1 if a NUL keeps it from ending."""
        if 0 in header:
            return -1
        if header[:1] != b"$":
            got = header[:1].strip(b"\n") or b" "  # neither CR (an empty header) nor LF may be sent
            raise ProtocolError(b"expected '$', got '%b'" % got)
        size = _integer(header[1:])
        if size is None or not 0 <= size <= self.limits.max_bulk:
            raise ProtocolError(b"invalid bulk length")
        if size > most:
            raise ProtocolError(b"unauthenticated bulk length")
        return size
