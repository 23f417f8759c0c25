"""SCAN, and the arguments that the scans of all types share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from respcache.commands.arguments import integer
from respcache.protocol.errors import INVALID_CURSOR, SYNTAX, ReplyError
from respcache.protocol.reply import array, bulk, bulks
from respcache.registry import READONLY, command
from respcache.state import Client
from respcache.store.glob import Matcher, compile_glob
from respcache.store.types import type_name

_CURSOR = re.compile(rb"[+-]?\d+|")
_UNSIGNED = 1 << 64
_NO_VALUES = ReplyError(b"ERR NOVALUES option can only be used in HSCAN")


@dataclass(slots=True)
class ScanOptions:
    """What SCAN, HSCAN, SSCAN and ZSCAN may be told besides the cursor."""

    count: int = 10
    match: Matcher | None = None
    type_name: bytes | None = None
    no_values: bool = False


def scan_cursor(word: bytes) -> int:
    """A cursor as C's strtoul reads it: signs and leading zeros pass, and a negative one wraps around."""
    word = word.partition(b"\0")[0]
    if not _CURSOR.fullmatch(word):
        raise INVALID_CURSOR
    cursor = int(word or b"0")
    if abs(cursor) >= _UNSIGNED:
        raise INVALID_CURSOR
    return cursor % _UNSIGNED


def scan_options(
    words: Sequence[bytes], takes_type: bool = False, takes_no_values: bool = False
) -> ScanOptions:
    """The options of a scan: MATCH and COUNT, TYPE and NOVALUES where they are known. The last one counts."""
    options = ScanOptions()
    rest = iter(words)
    for word in rest:
        name = word.upper()
        if name == b"NOVALUES":
            if not takes_no_values:
                raise _NO_VALUES
            options.no_values = True
            continue
        value = next(rest, None)
        if value is None:
            raise SYNTAX
        if name == b"COUNT":
            options.count = integer(value)
            if options.count < 1:
                raise SYNTAX
        elif name == b"MATCH":
            options.match = None if value == b"*" else compile_glob(value)
        elif takes_type and name == b"TYPE":
            options.type_name = value.lower()
        else:
            raise SYNTAX
    return options


def scan_reply(cursor: int, items: Sequence[bytes]) -> bytes:
    """The reply of a scan: the next cursor, 0 at the end, and what was found."""
    return array([bulk(b"%d" % cursor), bulks(items)])


@command(
    READONLY,
    group="generic",
    syntax="cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [TYPE type{6.0.0}]",
    tips=("nondeterministic_output", "request_policy:special"),
    history=(("6.0.0", "Option `TYPE`."),),
)
def scan(c: Client, cursor: bytes, *rest: bytes) -> bytes:
    """Walks over the keys of the database, some at each call.
    O(1) for each call, O(N) for the whole walk, N being the number of keys. Since 2.8.0.
    """
    at = scan_cursor(cursor)
    options = scan_options(rest, takes_type=True)
    following, found = c.db.scan(at, options.count, options.match)
    if options.type_name is not None:
        look, name = c.db.look, options.type_name
        found = [key for key in found if type_name(look(key)) == name]
    return scan_reply(following, found)
