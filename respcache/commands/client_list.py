"""CLIENT LIST, INFO and KILL: who is connected, and who shall not be."""

from __future__ import annotations

from respcache.clock import monotonic
from respcache.commands.arguments import integer
from respcache.commands.client import CLIENT, choice
from respcache.features.blocking import Disconnect
from respcache.features.pubsub import CHANNEL, PATTERN, SHARD
from respcache.protocol.errors import SYNTAX, ReplyError
from respcache.protocol.reply import OK
from respcache.protocol.reply import integer as integer_reply
from respcache.registry import ADMIN, LOADING, NOSCRIPT, STALE, command
from respcache.state import Client

TYPES = {
    b"normal": "normal",
    b"slave": "replica",
    b"replica": "replica",
    b"pubsub": "pubsub",
    b"master": "master",
}
"""The words by which LIST and KILL know the types of clients."""

INVALID_ID = ReplyError(b"ERR Invalid client ID")
ID_RANGE = ReplyError(b"ERR client-id should be greater than 0")
NO_SUCH_CLIENT = ReplyError(b"ERR No such client")
MAXAGE_NOT_INTEGER = ReplyError(b"ERR maxage is not an integer or out of range")
MAXAGE_RANGE = ReplyError(b"ERR maxage should be greater than 0")


def _type_named(word: bytes) -> str:
    found = TYPES.get(word.lower())
    if found is None:
        raise ReplyError(b"ERR Unknown client type '%b'" % word)
    return found


def describe(client: Client, now: float, own: bool) -> bytes:
    """A line of CLIENT LIST, without its end; `own` of the client that asks, which is not idle.

    Of memory it tells what waits in the two buffers. Fields about the inside of Redis's buffers (`qbuf-free`,
    `rbs` and the like) are 0, and so is `obl`: all that waits to be sent is in `omem`.
    """
    link = client.connection
    received, unsent = link.input_pending, link.output_pending
    names = client.subscriber.names if client.subscriber is not None else ((), (), ())
    flags = [
        (b"O", client.monitors),
        (b"S", client.is_replica),
        (b"M", client.kind == "master"),
        (b"P", client.subscriber is not None),
        (b"x", client.transaction is not None),
        (b"b", client.paused),
        (b"d", client.watch is not None and client.watch.broken),
        (b"U", client.unix),
        (b"r", client.readonly),
        (b"e", client.no_evict),
        (b"T", client.no_touch),
    ]
    fields = (
        (b"id", client.id),
        (b"addr", client.peer),
        (b"laddr", client.local),
        (b"fd", link.fd),
        (b"name", client.name),
        (b"age", int(now - client.created)),
        (b"idle", 0 if own else int(now - client.seen)),
        (b"flags", b"".join(flag for flag, is_set in flags if is_set) or b"N"),
        (b"db", client.db.index),
        (b"sub", len(names[CHANNEL])),
        (b"psub", len(names[PATTERN])),
        (b"ssub", len(names[SHARD])),
        (b"multi", -1 if client.transaction is None else len(client.transaction.queued)),
        (b"watch", 0 if client.watch is None else len(client.watch.keys)),
        (b"qbuf", received),
        (b"qbuf-free", 0),
        (b"argv-mem", 0),
        (b"multi-mem", 0),
        (b"rbs", 0),
        (b"rbp", 0),
        (b"obl", 0),
        (b"oll", int(unsent > 0)),
        (b"omem", unsent),
        (b"tot-mem", received + unsent),
        (b"events", b"rw" if unsent else b"r"),
        (b"cmd", client.last.command.name.encode() if client.last else b"NULL"),
        (b"user", client.user),
        (b"redir", -1),
        (b"resp", client.resp.version),
        (b"lib-name", client.lib_name),
        (b"lib-ver", client.lib_version),
    )
    return b" ".join(b"%b=%b" % (name, b"%d" % v if isinstance(v, int) else v) for name, v in fields)


@command(
    NOSCRIPT | LOADING | STALE,
    group="connection",
    container=CLIENT,
    tips=("nondeterministic_output",),
)
def client_info(c: Client) -> bytes:
    """The line of CLIENT LIST about this connection. O(1). Since 6.2.0."""
    return c.resp.verbatim(describe(c, monotonic(), True) + b"\n")


@command(
    ADMIN | NOSCRIPT | LOADING | STALE,
    group="connection",
    container=CLIENT,
    syntax=(
        "[TYPE normal_master_replica_pubsub=<NORMAL | MASTER | REPLICA | PUBSUB>{5.0.0}] "
        "[ID id=(client-id:integer...){6.2.0}]"
    ),
    tips=("nondeterministic_output",),
    history=(
        ("2.8.12", "Field `id`."),
        ("5.0.0", "Filter `TYPE`."),
        ("6.0.0", "Field `user`."),
        ("6.2.0", "Fields `argv-mem`, `tot-mem`, `laddr` and `redir`; filter `ID`."),
        ("7.0.0", "Fields `resp`, `multi-mem`, `rbs` and `rbp`."),
        ("7.0.3", "Field `ssub`."),
        ("7.2.0", "Fields `lib-name` and `lib-ver`."),
        ("7.4.0", "Field `watch`."),
    ),
)
def client_list(c: Client, *filters: bytes) -> bytes:
    """One line about each connection. O(N) with N the number of connections. Since 2.4.0."""
    clients = c.server.clients
    option = filters[0].lower() if filters else b""
    if not filters:
        chosen = list(clients.values())
    elif option == b"type" and len(filters) == 2:
        wanted = _type_named(filters[1])
        chosen = [client for client in clients.values() if client.kind == wanted]
    elif option == b"id" and len(filters) > 1:
        ids = [integer(word, INVALID_ID) for word in filters[1:]]
        chosen = [clients[number] for number in ids if number in clients]
    else:
        raise SYNTAX
    now = monotonic()
    return c.resp.verbatim(b"".join(describe(client, now, client is c) + b"\n" for client in chosen))


@command(
    ADMIN | NOSCRIPT | LOADING | STALE,
    group="connection",
    container=CLIENT,
    syntax=(
        'filter=<"ip:port"{until 2.8.12} | new-format=<[ID client-id:integer{2.8.12}] | [TYPE '
        "client-type=<NORMAL | MASTER{3.2.0} | SLAVE | REPLICA{5.0.0} | PUBSUB>{2.8.12}] | [USER "
        'username] | [ADDR "ip:port"] | [LADDR "ip:port"{6.2.0}] | [SKIPME skipme=<YES | NO>] | [MAXAGE '
        "maxage:integer{7.4.0}]>...>"
    ),
    history=(
        ("2.8.12", "Filters by keyword."),
        ("2.8.12", "Option `ID`."),
        ("3.2.0", "Type `master`."),
        ("5.0.0", "Type `replica`, with `slave` as its old name."),
        ("6.2.0", "Option `LADDR`."),
        ("7.4.0", "Filter `MAXAGE`; `ID` may be repeated."),
    ),
)
def client_kill(c: Client, word: bytes, *rest: bytes) -> bytes:
    """Closes the connections that all filters fit. O(N) with N the number of connections. Since 2.4.0."""
    if not rest:
        found = [client for client in c.server.clients.values() if client.peer == word]
        if not found:
            raise NO_SUCH_CLIENT
        return _kill(c, found, OK)
    wanted = _Filter(c, (word, *rest))
    found = [client for client in c.server.clients.values() if wanted.fits(client)]
    return _kill(c, found, integer_reply(len(found)))


class _Filter:
    """The arguments of CLIENT KILL; of those that come twice the last one counts. Raises their errors."""

    def __init__(self, asking: Client, words: tuple[bytes, ...]) -> None:
        if len(words) % 2:
            words = (*words[:-1], b"", b"")  # judged behind the pairs before it
        self.spared: Client | None = asking
        self.id = self.max_age = 0
        self.type = ""
        self.peer: bytes | None = None
        self.local: bytes | None = None
        self.user: bytes | None = None
        for option, value in zip(words[::2], words[1::2], strict=True):
            self._take(asking, option.lower(), value)

    def _take(self, asking: Client, option: bytes, value: bytes) -> None:
        if option == b"id":
            self.id = integer(value, ID_RANGE, low=1)
        elif option == b"maxage":
            self.max_age = integer(value, MAXAGE_NOT_INTEGER)
            if self.max_age <= 0:
                raise MAXAGE_RANGE
        elif option == b"type":
            self.type = _type_named(value)
        elif option == b"addr":
            self.peer = value
        elif option == b"laddr":
            self.local = value
        elif option == b"user":
            if value != b"default":
                raise ReplyError(b"ERR No such user '%b'" % value)
            self.user = value
        elif option == b"skipme":
            self.spared = asking if choice(value, b"yes", b"no") else None
        else:
            raise SYNTAX

    def fits(self, client: Client) -> bool:
        """Whether this client is meant."""
        return (
            client is not self.spared
            and (not self.id or client.id == self.id)
            and (not self.type or client.kind == self.type)
            and (self.peer in (None, client.peer))
            and (self.local in (None, client.local))
            and (self.user in (None, client.user))
            and (not self.max_age or int(monotonic() - client.created) >= self.max_age)
        )


def _kill(c: Client, clients: list[Client], reply: bytes) -> bytes:
    """Closes clients, the asking one behind its reply."""
    for client in clients:
        if client is not c:
            client.connection.close(flush=False)
    if c in clients:
        raise Disconnect(reply)
    return reply
