"""Glob patterns as KEYS, SCAN, CONFIG GET and PSUBSCRIBE read them.

`*` any bytes, `?` one byte, `[abc]`, `[a-z]`, `[^a]` one byte of a class, `\\x` the byte x. An unclosed class
runs to the end of the pattern. A pattern is compiled to a regular expression in which everything between two
stars is atomic: a star may always take the first fit for what follows it, so matching never backtracks over
stars and a pattern such as `*a*a*a*a*b` takes no more than the product of both lengths.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Matcher = Callable[[bytes], object]
"""Tells by truth whether a subject matches as a whole."""


def compile_glob(pattern: bytes, nocase: bool = False) -> Matcher:
    """The matcher of a pattern; `nocase` folds ASCII letters."""
    if not pattern.strip(b"*") and pattern:
        return lambda _subject: True
    head = pattern.rstrip(b"*")
    if not nocase and not re.search(rb"[*?\[\\]", head):
        if head == pattern:
            return lambda subject: subject == head
        return lambda subject: subject.startswith(head)
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
            piece, at = _class(pattern, at)
            segments[-1] += piece
        else:
            if char == b"\\" and at < end:
                char = pattern[at : at + 1]
                at += 1
            segments[-1] += re.escape(char)
    if len(segments) == 1:
        return segments[0]
    middle = b"".join(b"(?>.*?%b)" % segment for segment in segments[1:-1] if segment)
    return segments[0] + middle + b".*" + segments[-1]


def _class(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The class whose `[` stands before `at`, as a regular expression, and the index behind it."""
    negated = pattern[at : at + 1] == b"^"
    at += negated
    members = b""
    while at < len(pattern):
        char = pattern[at]
        if char == 0x5D:  # ]
            at += 1
            break
        if char == 0x5C and at + 1 < len(pattern):  # backslash
            members += b"\\x%02x" % pattern[at + 1]
            at += 2
        elif pattern[at + 1 : at + 2] == b"-" and at + 2 < len(pattern):
            low, high = sorted((char, pattern[at + 2]))
            members += b"\\x%02x-\\x%02x" % (low, high)
            at += 3
        else:
            members += b"\\x%02x" % char
            at += 1
    if not members:
        return (b"." if negated else b"(?!)"), at
    return b"[%b%b]" % (b"^" if negated else b"", members), at
