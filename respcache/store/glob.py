"""Glob patterns as KEYS, SCAN, CONFIG GET and PSUBSCRIBE read them.

`*` any bytes, `?` one byte, `[abc]`, `[a-z]`, `[^a]` one byte of a class, `\\x` the byte x. An unclosed class
runs to the end of the pattern. A pattern is compiled to a regular expression in which everything between two
stars is atomic: a star may always take the first fit for what follows it, so matching never backtracks over
stars and a pattern such as `*a*a*a*a*b` takes no more than the product of both lengths.

A regular expression of a megabyte takes seconds to compile, and `re` would keep it. So a long pattern is not
compiled: it is read as far as the longest subject so far needs, and compared byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Matcher = Callable[[bytes], object]
"""Tells by truth whether a subject matches as a whole."""

LONGEST = 1024
"""Bytes up to which a pattern is compiled."""

_STAR, _QUESTION, _CLASS, _BACKSLASH = b"*?[\\"
# A member of a class, a range or a byte that may be escaped; and the members up to the end of the class.
_MEMBER = re.compile(rb"\\(.)|(.)-(.)|(.)", re.DOTALL)
_MEMBERS = re.compile(rb"(?:(?!\])(?:\\.|.-.|.))*+", re.DOTALL)


def compile_glob(pattern: bytes, nocase: bool = False) -> Matcher:
    """The matcher of a pattern; `nocase` folds ASCII letters."""
    if not pattern.strip(b"*") and pattern:
        return lambda _subject: True
    head = pattern.rstrip(b"*")
    if not nocase and not re.search(rb"[*?\[\\]", head):
        if head == pattern:
            return lambda subject: subject == head
        return lambda subject: subject.startswith(head)
    if len(pattern) > LONGEST:
        return _Long(pattern.lower(), True) if nocase else _Long(pattern, False)
    flags = re.DOTALL | (re.IGNORECASE if nocase else 0)
    return re.compile(_regex(pattern), flags).fullmatch


def _regex(pattern: bytes) -> bytes:
    segments: list[bytes] = [b""]  # what stands before, between and behind the stars
    at, end = 0, len(pattern)
    while at < end:
        char = pattern[at : at + 1]
        at += 1
        if char == b"*":
            segments.append(b"")
            while pattern[at : at + 1] == b"*":
                at += 1
        elif char == b"?":
            segments[-1] += b"."
        elif char == b"[":
            negated, ranges, at = _class(pattern, at)
            members = b"".join([b"\\x%02x-\\x%02x" % ends for ends in ranges])
            if members:
                segments[-1] += b"[%b%b]" % (b"^" if negated else b"", members)
            else:
                segments[-1] += b"." if negated else b"(?!)"
        else:
            if char == b"\\" and at < end:
                char = pattern[at : at + 1]
                at += 1
            segments[-1] += re.escape(char)
    if len(segments) == 1:
        return segments[0]
    middle = b"".join(b"(?>.*?%b)" % segment for segment in segments[1:-1] if segment)
    return segments[0] + middle + b".*" + segments[-1]


def _class(pattern: bytes, at: int) -> tuple[bool, list[tuple[int, int]], int]:
    """The class whose `[` stands before `at`: whether it is negated, its ranges, and the index behind it."""
    negated = pattern[at : at + 1] == b"^"
    found = _MEMBERS.match(pattern, at + negated)
    assert found is not None, "it matches nothing at least"
    ranges = []
    for escaped, low, high, single in sorted(set(_MEMBER.findall(found[0]))):
        first, last = sorted((low or escaped or single, high or escaped or single))
        ranges.append((first[0], last[0]))
    return negated, ranges, found.end() + 1


_ALL = bytes(range(256))


class _Long:
    """The matcher of a long pattern: a call for each subject.

    The pattern becomes tokens: the bytes that fit one place of the subject, or b"*"[0] for stars, or None for its
    end. What follows a star is tried at one place after the other, and never again once it has fitted. That
    takes no more than the product of both lengths, and less than the square of the subject's.
    """

    __slots__ = ("_nocase", "_rest", "_tokens")

    def __init__(self, pattern: bytes, nocase: bool) -> None:
        self._rest = _tokens(pattern)
        self._tokens: list[bytes | int | None] = []
        self._nocase = nocase

    def __call__(self, subject: bytes) -> bool:
        if self._nocase:
            subject = subject.lower()
        tokens = self._tokens
        at = place = start = 0
        behind_star = -1
        while True:
            if at == len(tokens):
                tokens.append(next(self._rest))
            token = tokens[at]
            if isinstance(token, int):
                at += 1
                behind_star, start = at, place
            elif place == len(subject):
                return token is None
            elif token is not None and subject[place] in token:
                at += 1
                place += 1
            elif behind_star < 0:
                return False
            else:
                start += 1
                at, place = behind_star, start


def _tokens(pattern: bytes) -> Iterator[bytes | int | None]:
    at, end = 0, len(pattern)
    while at < end:
        char = pattern[at]
        at += 1
        if char == _STAR:
            while pattern[at : at + 1] == b"*":
                at += 1
            yield _STAR
        elif char == _QUESTION:
            yield _ALL
        elif char == _CLASS:
            negated, ranges, at = _class(pattern, at)
            members = {byte for low, high in ranges for byte in range(low, high + 1)}
            yield bytes(set(_ALL) - members if negated else members)
        else:
            if char == _BACKSLASH and at < end:
                char = pattern[at]
                at += 1
            yield _ALL[char : char + 1]
    yield None
