"""The server as a whole: its clock, its role, its end, its art."""

from __future__ import annotations

import random

from respcache.commands.arguments import integer as parse_integer
from respcache.features.blocking import Disconnect
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import bulks
from respcache.registry import (
    ADMIN,
    ALLOW_BUSY,
    BRIEF,
    FAST,
    LOADING,
    NO_MULTI,
    NOSCRIPT,
    READONLY,
    STALE,
    command,
)
from respcache.saving import CANNOT_END
from respcache.state import Client
from respcache.version import REDIS_VERSION

NO_SHUTDOWN = ReplyError(b"ERR No shutdown in progress.")

ART_WIDTH = 48
ART_HEIGHT = 12


@command(LOADING | STALE | FAST | BRIEF, group="server", tips=("nondeterministic_output",))
def time(c: Client) -> bytes:
    """The time of the server: seconds since the epoch, and microseconds. O(1). Since 2.6.0."""
    now = c.server.clock.us()
    return bulks([b"%d" % (now // 1_000_000), b"%d" % (now % 1_000_000)])


@command(
    ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY,
    group="server",
    syntax="[nosave_save=<NOSAVE | SAVE>] [NOW{7.0.0}] [FORCE{7.0.0}] [ABORT{7.0.0}]",
    history=(("7.0.0", "Options `NOW`, `FORCE` and `ABORT`."),),
)
def shutdown(c: Client, *options: bytes) -> bytes:
    """Stops the server, having saved the data if there are save points. O(N) when saving. Since 1.0.0."""
    asked = {option.upper() for option in options}
    if asked - {b"NOSAVE", b"SAVE", b"NOW", b"FORCE", b"ABORT"} or asked >= {b"NOSAVE", b"SAVE"}:
        raise SYNTAX
    if b"ABORT" in asked:
        raise SYNTAX if len(asked) > 1 else NO_SHUTDOWN
    save = True if b"SAVE" in asked else False if b"NOSAVE" in asked else None
    if c.server.appending.refuses_end and b"FORCE" not in asked:
        raise CANNOT_END
    c.server.saving.prepare_end(save, b"FORCE" in asked)
    c.server.shutdown()
    raise Disconnect


@command(READONLY | FAST | BRIEF, group="server", syntax="[VERSION version:integer]")
def lolwut(c: Client, *arguments: bytes) -> bytes:
    """Draws something, and tells the version. Since 5.0.0."""
    if len(arguments) > 1 and arguments[0].lower() == b"version":
        numbers = {5: 3, 6: 2}.get(parse_integer(arguments[1]), 0)  # those versions read so many numbers more
        for word in arguments[2 : 2 + numbers]:
            parse_integer(word)
    return c.resp.verbatim(f"{_maze(b' '.join(arguments))}\nRedis ver. {REDIS_VERSION}\n".encode())


def _maze(seed: bytes) -> str:
    """A maze of diagonals after the one-line program `10 PRINT`: the same seed draws the same one."""
    strokes = random.Random(seed).choices("╱╲", k=ART_WIDTH * ART_HEIGHT)
    return "".join(
        "".join(strokes[start : start + ART_WIDTH]) + "\n" for start in range(0, len(strokes), ART_WIDTH)
    )
