"""What hiredis must not be shown. It reads replies, and more kinds of them than a request may consist of.

Most of the others it returns as objects that are no bytes, which the connection sees. These here it does not give
away, or only when it is too late. Each check looks for one byte before it looks for two: that takes a nanosecond
per request of a pipeline. They may be wrong in one direction only: a value that looks like one of these frames
makes its piece go the careful way, where it is read right.
"""

from __future__ import annotations

import re
from collections.abc import Callable

has_huge_count: Callable[[bytes], object] = re.compile(rb"\*\d{5}").search
"""Finds the header of an array too long for a piece. hiredis reserves as many elements as a header promises and
visits each of them in the end: the twelve bytes of `*1000000000` would hold the loop for 1.5 s. (At 35 ns a request
this is the dearest check. Looking at the last header alone would miss one with stars in its elements.)"""


def has_strings(data: bytes) -> bool:
    """Whether there may be a simple string `+`, a verbatim one `=` or a big number `(`.

    hiredis returns each of them as it returns a bulk string.
    """
    return (
        (43 in data and b"\n+" in data) or (61 in data and b"\n=" in data) or (40 in data and b"\n(" in data)
    )


def has_arrays(data: bytes) -> bool:
    """Whether there may be a push `>`, a set `~` or an attribute `|`.

    hiredis returns each of them as it returns a request. Among the words of a request they give themselves away.
    """
    return (
        (62 in data and b"\n>" in data)
        or (126 in data and b"\n~" in data)
        or (124 in data and b"\n|" in data)
    )
