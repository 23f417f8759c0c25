"""FUNCTION: this server has no scripting, so there are no functions, and none can be loaded.

What asks for them gets the answers of a server that has none: redis-cli asks before it adds a node to a cluster, and
takes the functions of the old nodes along.
"""

from __future__ import annotations

import re

from respcache.commands.help import help_reply
from respcache.persistence.payload import unseal
from respcache.persistence.source import RdbError, Source
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import EMPTY_ARRAY, OK, bulk
from respcache.registry import ALLOW_BUSY, DENYOOM, LOADING, NOSCRIPT, STALE, WRITE, command, container
from respcache.state import Client

NO_LIBRARY = ReplyError(b"ERR Library not found")
NOT_BUSY = ReplyError(b"NOTBUSY No scripts in execution right now.")
BAD_FLUSH = ReplyError(b"ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
NO_NAME = ReplyError(b"ERR library name argument was not given")
BAD_PAYLOAD = ReplyError(b"ERR DUMP payload version or checksum are wrong")
BAD_POLICY = ReplyError(b"ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
NOT_A_FUNCTION = ReplyError(b"ERR given type is not a function")
BAD_LIBRARY = ReplyError(b"ERR Failed loading library payload")
TOO_MANY_FOR_FLUSH = ReplyError(
    b"ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP."
)
TOO_MANY_FOR_RESTORE = ReplyError(
    b"ERR unknown subcommand or wrong number of arguments for 'RESTORE'. Try FUNCTION HELP."
)
NO_METADATA = ReplyError(b"ERR Missing library metadata")
BAD_METADATA = ReplyError(b"ERR Invalid library metadata")

_FUNCTION_2 = 0xF5  # an opcode of RDB files: the code of a library follows
_EMPTY_DUMP = bytes.fromhex("0a005d9b5c400f7fa2da")
"""What is left of a payload that holds nothing: version 10 and the checksum. A test seals nothing to prove it."""

FUNCTION = container(
    "function",
    group="scripting",
    doc="Manages libraries of functions. Since 7.0.0.",
    categories="-scripting",
)
_EVERYWHERE = ("request_policy:all_shards", "response_policy:all_succeeded")


@command(
    WRITE | NOSCRIPT,
    group="scripting",
    container=FUNCTION,
    syntax="library-name",
    tips=_EVERYWHERE,
)
def function_delete(_c: Client, _library_name: bytes) -> bytes:
    """Deletes a library: there is none. O(1). Since 7.0.0."""
    raise NO_LIBRARY


@command(NOSCRIPT, group="scripting", container=FUNCTION)
def function_dump(_c: Client) -> bytes:
    """All libraries as bytes that FUNCTION RESTORE understands. O(N) with N their number. Since 7.0.0."""
    return bulk(_EMPTY_DUMP)


@command(
    WRITE | NOSCRIPT,
    group="scripting",
    container=FUNCTION,
    syntax="[async=<ASYNC | SYNC>]",
    tips=_EVERYWHERE,
)
def function_flush(_c: Client, *mode: bytes) -> bytes:
    """Deletes all libraries. O(N) with N their number. Since 7.0.0."""
    if len(mode) > 1:
        raise TOO_MANY_FOR_FLUSH
    if mode and mode[0].lower() not in (b"sync", b"async"):
        raise BAD_FLUSH
    return OK


@command(LOADING | STALE, group="scripting", container=FUNCTION)
def function_help(_c: Client) -> bytes:
    """The subcommands of FUNCTION. O(1). Since 7.0.0."""
    return help_reply(FUNCTION)


@command(
    NOSCRIPT | ALLOW_BUSY,
    group="scripting",
    container=FUNCTION,
    tips=("request_policy:all_shards", "response_policy:one_succeeded"),
)
def function_kill(_c: Client) -> bytes:
    """Ends the function that is running: none is. O(1). Since 7.0.0."""
    raise NOT_BUSY


@command(
    NOSCRIPT,
    group="scripting",
    container=FUNCTION,
    syntax="[LIBRARYNAME library-name-pattern] [WITHCODE]",
    tips=("nondeterministic_output_order",),
)
def function_list(_c: Client, *options: bytes) -> bytes:
    """What there is of libraries: none. O(N) with N functions. Since 7.0.0."""
    named = coded = False
    rest = iter(options)
    for word in rest:
        match word.lower():
            case b"withcode" if not coded:
                coded = True
            case b"libraryname" if not named:
                named = True
                if next(rest, None) is None:
                    raise NO_NAME
            case _:
                raise ReplyError(b"ERR Unknown argument " + word)
    return EMPTY_ARRAY


@command(
    WRITE | DENYOOM | NOSCRIPT,
    group="scripting",
    container=FUNCTION,
    syntax="[REPLACE] function-code",
    tips=_EVERYWHERE,
)
def function_load(_c: Client, word: bytes, *more: bytes) -> bytes:
    """Refuses to load a library. O(1). Since 7.0.0."""
    *options, code = word, *more
    for option in options:
        if option.lower() != b"replace":
            raise ReplyError(b"ERR Unknown option given: " + option)
    raise _refusal(code)


@command(
    WRITE | DENYOOM | NOSCRIPT,
    group="scripting",
    container=FUNCTION,
    syntax="serialized-value [policy=<FLUSH | APPEND | REPLACE>]",
    tips=_EVERYWHERE,
)
def function_restore(_c: Client, serialized_value: bytes, *policy: bytes) -> bytes:
    """Makes libraries of what FUNCTION DUMP replied, if that are none. O(N) with N functions. Since 7.0.0."""
    if len(policy) > 1:
        raise TOO_MANY_FOR_RESTORE
    if policy and policy[0].lower() not in (b"flush", b"append", b"replace"):
        raise BAD_POLICY
    try:
        libraries = unseal(serialized_value)
    except ValueError:
        raise BAD_PAYLOAD from None
    if not libraries:
        return OK
    source = Source.of(libraries)
    if source.byte() != _FUNCTION_2:
        raise NOT_A_FUNCTION
    try:
        code = source.string()
    except RdbError:
        raise BAD_LIBRARY from None
    raise _refusal(code)


@command(
    NOSCRIPT | ALLOW_BUSY,
    group="scripting",
    container=FUNCTION,
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)
def function_stats(c: Client) -> bytes:
    """Which function is running, and which engines there are: none. O(1). Since 7.0.0."""
    return c.resp.map([bulk(b"running_script"), c.resp.null, bulk(b"engines"), c.resp.map([])])


def _refusal(code: bytes) -> ReplyError:
    """Why a library is not loaded. Its first line names the language: `#!lua name=...`."""
    if code[:2] != b"#!":
        return NO_METADATA
    first, end, _ = code[2:].partition(b"\n")
    if not end:
        return BAD_METADATA
    engine = re.split(rb"\s", first, maxsplit=1)[0]
    return ReplyError(b"ERR Engine '%b' not found: this server does not support scripting" % engine)
