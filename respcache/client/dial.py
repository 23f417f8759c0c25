"""Connections, opened by redis-py: addresses, TLS, credentials, HELLO, SELECT. What it hands over is ours.

Only the bare socket (or the streams) is taken. A connection of redis-py gives each `recv` its time, and no deadline to
an operation; and its parser differs from version to version. The attributes read here are the same in redis-py
5 to 8.
"""

from __future__ import annotations

import asyncio
import difflib
import errno
import inspect
import socket
from collections.abc import Mapping
from typing import Any

import redis.asyncio.connection
import redis.connection
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from respcache.client.errors import DeadlineError, LocalError, NodeError, ReplyError
from respcache.client.node import Node

_KINDS: Mapping[str, type[Any]] = {
    "tcp": redis.connection.Connection,
    "tls": redis.connection.SSLConnection,
    "unix": redis.connection.UnixDomainSocketConnection,
}
_ASYNC_KINDS: Mapping[str, type[Any]] = {
    "tcp": redis.asyncio.connection.Connection,
    "tls": redis.asyncio.connection.SSLConnection,
    "unix": redis.asyncio.connection.UnixDomainSocketConnection,
}

# No CLIENT SETINFO, whose two round trips would double the time to a first reply. RESP2 needs no HELLO either.
_TERSE: Mapping[str, Any] = {
    "protocol": 2,
    **(
        {"driver_info": None}
        if "driver_info" in inspect.signature(redis.connection.AbstractConnection).parameters
        else {"lib_name": None, "lib_version": None}
    ),
}


# What a process lacks, and no node has to do with.
_LACKS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def dial(node: Node, seconds: float) -> socket.socket:
    """A socket to the node, signed in, not blocking.

    Its steps (connecting, TLS, AUTH, ...) may take so many seconds each. Names are looked up without a limit.

    Raises NodeError (a LocalError if the trouble is ours), or ReplyError if the node does not let us in; nothing
    else, whatever a name that is none or a provider of credentials makes redis-py raise.
    """
    connection = _connection(_KINDS, node, seconds)
    try:
        connection.connect()
    except Exception as error:
        raise _told(node, error) from error
    opened: socket.socket = connection._sock
    connection._sock = None  # or it would be closed with the connection
    opened.setblocking(False)
    return opened


async def dial_async(node: Node, seconds: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams to the node, signed in; otherwise as `dial`."""
    connection = _connection(_ASYNC_KINDS, node, seconds)
    try:
        await connection.connect()
    except BaseException as error:  # cancelled, too
        await connection.disconnect(nowait=True)
        if isinstance(error, Exception):
            raise _told(node, error) from error
        raise
    streams = connection._reader, connection._writer
    connection._reader = connection._writer = None
    return streams


def check(node: Node) -> None:
    """Raises TypeError for options that redis-py does not know, and what it raises for others."""
    known = {
        name
        for kind in _KINDS[node.kind].__mro__
        if "__init__" in vars(kind)
        for name in inspect.signature(vars(kind)["__init__"]).parameters
    }
    for name in node.settings.keys() - known:
        close = difflib.get_close_matches(name, [*known, "name", "weight", "url"], 1)
        hint = f": did you mean {close[0]!r}?" if close else ""
        raise TypeError(f"a connection to the node {node.name} has no option {name!r}{hint}")
    _connection(_KINDS, node, 1.0)


def _connection(kinds: Mapping[str, type[Any]], node: Node, seconds: float) -> Any:
    limits = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    return kinds[node.kind](**{**_TERSE, **node.settings, **limits})


def _told(node: Node, error: Exception) -> NodeError | ReplyError:
    """The error of ours for one of redis-py's."""
    refusals = (AuthenticationError, AuthorizationError, NoPermissionError, ResponseError)
    if isinstance(error, refusals) and not isinstance(error, BusyLoadingError):
        return ReplyError(node.name, str(error))
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return DeadlineError(node.name, "no connection in time")
    kind = LocalError if _is_local(error) else NodeError
    return kind(node.name, str(error) or type(error).__name__)


def _is_local(error: BaseException | None) -> bool:
    """Whether this process could not open a socket; redis-py gives its error as the context of its own."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error is not None and error.errno in _LACKS
