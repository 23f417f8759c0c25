"""The layer that propagates what commands change, see `respcache.features.propagate`.

Most commands are propagated as they came; `respcache.forms` has those that are not, since they depend on the time, on
chance, or on who waited. Nothing is asked of the handlers: `db.dirty` tells whether something was changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from respcache.features.blocking import Pause, Waiter
from respcache.forms import FORMS, Call
from respcache.protocol.reply import CRLF, HEADERS, bulks
from respcache.registry import MAY_REPLICATE, WRITE, Command, Handler
from respcache.state import Client, ServerState

VERBATIM = frozenset(
    {
        *("append", "bitfield", "bitop", "copy", "decr", "decrby", "del", "flushall", "flushdb"),
        *("function|delete", "function|flush", "function|load", "function|restore"),
        *("georadius", "georadiusbymember", "geosearchstore", "hdel", "hincrby", "hmset", "hpersist"),
        *("hset", "hsetnx", "incr", "incrby", "linsert", "lmove", "lpop", "lpush", "lpushx", "lrem"),
        *("lset", "ltrim", "move", "mset", "msetnx", "persist", "pfadd", "pfcount", "pfdebug"),
        *("pfmerge", "rename", "renamenx", "rpop", "rpoplpush", "rpush", "rpushx", "sadd"),
        *("sdiffstore", "setbit", "setnx", "setrange", "sinterstore", "smove", "sort", "srem"),
        *("sunionstore", "swapdb", "unlink", "xack", "xdel", "xgroup|create", "xgroup|createconsumer"),
        *("xgroup|delconsumer", "xgroup|destroy", "xgroup|setid", "xsetid", "zadd", "zdiffstore"),
        *("zincrby", "zinterstore", "zpopmax", "zpopmin", "zrangestore", "zrem", "zremrangebylex"),
        *("zremrangebyrank", "zremrangebyscore", "zunionstore"),
    }
)
"""Commands whose effect follows from their words and the data alone: they are propagated as they came."""

FOR_REPLICAS = frozenset({"publish", "spublish"})
"""Commands that change no data. They are not for files; replicas have subscribers of their own, who must be told. In a
cluster it is the bus that tells them."""

_ALWAYS = frozenset({"flushall", "flushdb"})
"""What is propagated even if it found nothing to change."""

_ELSEWHERE = frozenset({"copy", "move", "swapdb"})
"""What may change other databases than the one that is selected."""

_PLAIN = {"set": 2}
"""Commands that have a form, and are propagated as they came if they have so few arguments."""

_QUICK = 3
"""As many arguments the quick way takes."""

_NIL = b"*-1\r\n"


class _Missing(bytes):
    """An argument that was not given."""


_MISSING: bytes = _Missing()
_NEXT = tuple(CRLF + header for header in HEADERS)


def _given(*words: bytes) -> list[bytes]:
    return [word for word in words if word is not _MISSING]


def propagating(command: Command, handler: Handler) -> Handler:
    """The layer that propagates what a command changed. It is on while somebody wants to know."""
    name = command.name
    if name == "exec":
        return _unit(handler)
    if name in FOR_REPLICAS:
        return _for_replicas(command, handler)
    if not command.flags & (WRITE | MAY_REPLICATE):
        return handler
    careful = _careful(command, handler)
    if name in _ALWAYS | _ELSEWHERE or (name in FORMS and name not in _PLAIN):
        return careful
    return _quick(command, handler, careful)


def _names(command: Command) -> list[bytes]:
    """The words of a command's name. It is that of Redis, also where it goes by another one."""
    return [word.upper() for word in command.name.encode().split(b"|")]


def _unit(handler: Handler) -> Handler:
    """Makes one unit of all that the commands inside of this one change."""

    def run(client: Client, *arguments: bytes) -> bytes:
        propagator = client.server.propagator
        mark = propagator.begin()
        try:
            return handler(client, *arguments)
        finally:
            propagator.end(mark)

    return run


def _for_replicas(command: Command, handler: Handler) -> Handler:
    """Tells replicas, and nobody else, of a command."""
    (name,) = _names(command)

    def run(client: Client, *arguments: bytes) -> bytes:
        reply = handler(client, *arguments)
        if client.server.cluster is None:
            client.server.mastering.publish(name, *arguments)
        return reply

    return run


def _quick(command: Command, handler: Handler, careful: Handler) -> Handler:
    """Propagates a command with few arguments as it came, and leaves the others to the careful way.

    This is the hot path of writers, which allows for no more than two counters, looked at before and after the call,
    and one string that is joined from pieces.
    """
    names = _names(command)
    head = b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in names])
    one, two, three = (b"*%d\r\n%b" % (len(names) + count, head) for count in (1, 2, 3))
    most = _PLAIN.get(command.name, _QUICK)

    def run(
        client: Client,
        first: bytes = _MISSING,
        second: bytes = _MISSING,
        third: bytes = _MISSING,
        *more: bytes,
    ) -> bytes:
        db = client.db
        propagator = client.server.propagator
        if more:
            return careful(client, first, second, third, *more)
        if propagator.database is not db or (third is not _MISSING and most < _QUICK):
            return careful(client, *_given(first, second, third))
        buffer = propagator.buffer
        mark = len(buffer)
        before = db.dirty
        try:
            if second is _MISSING:
                reply = handler(client) if first is _MISSING else handler(client, first)
            elif third is _MISSING:
                reply = handler(client, first, second)
            else:
                reply = handler(client, first, second, third)
        except Exception:
            if db.dirty != before:  # it came to grief half-way
                buffer.append(bulks([*names, *_given(first, second, third)]))
                propagator.settle(mark, True)
            raise
        if db.dirty != before:
            try:
                if second is _MISSING:
                    parts: tuple[bytes, ...] = (one, HEADERS[len(first)], first, CRLF)
                elif third is _MISSING:
                    parts = (two, HEADERS[len(first)], first, _NEXT[len(second)], second, CRLF)
                else:
                    head = _NEXT[len(second)]
                    parts = (three, HEADERS[len(first)], first, head, second, _NEXT[len(third)], third, CRLF)
            except IndexError:  # a word that is longer than those that HEADERS knows
                parts = (bulks([*names, *_given(first, second, third)]),)
            buffer.append(b"".join(parts))
            if len(buffer) != mark + 1 or not mark:
                propagator.settle(mark, True)
        return reply

    return run


def _careful(command: Command, handler: Handler) -> Handler:
    """Propagates any command that may write, in its form."""
    name, names = command.name, _names(command)
    form = FORMS.get(name)
    always, elsewhere = name in _ALWAYS, name in _ELSEWHERE
    plain = _PLAIN.get(name, 0)

    def tell(client: Client, arguments: Sequence[bytes], reply: bytes, changes: int) -> None:
        propagator = client.server.propagator
        if form is None or len(arguments) <= plain:
            propagator.add(client.db, *names, *arguments)
        else:
            propagator.add_all(client.db, form(Call(client, arguments, reply, changes)))

    def run(client: Client, *arguments: bytes) -> bytes:
        counter = client.server.keyspace if elsewhere else client.db
        before = counter.dirty
        propagator = client.server.propagator
        buffer = propagator.buffer
        mark = len(buffer)
        try:
            reply = handler(client, *arguments)
        except Pause:
            if counter.dirty != before:
                tell(client, arguments, _NIL, counter.dirty - before)
                propagator.settle(mark)
            raise
        except Exception:
            if counter.dirty != before:  # it came to grief half-way
                propagator.add(client.db, *names, *arguments)
                propagator.settle(mark)
            raise
        changes = counter.dirty - before
        if changes or always:
            tell(client, arguments, reply, changes)
            if len(buffer) > mark + 1:
                propagator.settle(mark)
        return reply

    return run


def attempt(server: ServerState, waiter: Waiter) -> bytes | None:
    """Runs a waiting command again, and propagates what it changed as a unit of its own. None: it waits on."""
    propagator = server.propagator
    client = waiter.client
    assert isinstance(client, Client)
    if not propagator.on or client.last is None:
        return waiter.attempt()
    db = client.db
    before = db.dirty
    mark = propagator.begin()
    try:
        reply = waiter.attempt()
        if db.dirty != before:
            form = FORMS[client.last.command.name]
            call = Call(client, waiter.arguments, _NIL if reply is None else reply, db.dirty - before)
            propagator.add_all(db, form(call))
        return reply
    finally:
        propagator.end(mark)
