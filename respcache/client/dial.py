"""Connections, opened by redis-py: addresses, TLS, credentials, HELLO, SELECT. What it hands over is ours.

Only the bare socket (or the streams) is taken. A connection of redis-py gives each `recv` its time, and no deadline to
an operation; and its parser differs from version to version. The attributes read here are the same in redis-py
5 to 8.
"""

from __future__ import annotations

import asyncio
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

from respcache.client.errors import DeadlineError, NodeError, ReplyError
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


def dial(node: Node, seconds: float) -> socket.socket:
    """A socket to the node, signed in, not blocking.

    Its steps (connecting, TLS, AUTH, ...) may take so many seconds each. Names are looked up without a limit.

    Raises NodeError, or ReplyError if the node does not let us in; nothing else, whatever a name that is none or a
    provider of credentials makes redis-py raise.
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
    """Raises what redis-py raises for options that it does not know."""
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
    return NodeError(node.name, str(error) or type(error).__name__)
