"""The two layers of MONITOR: around all commands while somebody monitors, and around those of who does."""

from __future__ import annotations

from respcache.features.blocking import Disconnect, Pause
from respcache.log import logger as log
from respcache.protocol.errors import Rejection, ReplyError, wrong_arity
from respcache.registry import ADMIN, MAY_REPLICATE, READONLY, SKIP_MONITOR, WRITE, Command, Handler
from respcache.state import Client

NO_KEYSPACE = Rejection(b"ERR Replica can't interact with the keyspace")


def monitoring(command: Command, handler: Handler) -> Handler:
    """Tells the monitors of each call that ran, be it in vain. A command that waits did run; one that is made to wait
    by CLIENT PAUSE did not."""
    if command.flags & (ADMIN | SKIP_MONITOR):
        return handler
    # As most spell it: of a command that was queued before anybody monitored.
    names = [word.upper() for word in command.name.encode().split(b"|")]

    def tell(client: Client, arguments: tuple[bytes, ...]) -> None:
        server = client.server
        peer = b"unix:" + client.peer.removesuffix(b":0") if client.unix else client.peer
        argv = [*(client.names or names), *arguments]
        server.monitors.feed(server.clock.us(), b"%d %b" % (client.db.index, peer), command.redacted(argv))

    def run(client: Client, *arguments: bytes) -> bytes:
        try:
            reply = handler(client, *arguments)
        except Pause as pause:
            if not pause.retry:
                tell(client, arguments)
            raise
        except Rejection:
            raise
        except Exception:
            if command.accepts(len(names) + len(arguments)):
                tell(client, arguments)
            raise
        tell(client, arguments)
        return reply

    return run


def replicating(command: Command, handler: Handler) -> Handler:
    """The layer of replicas. A reply would be taken for a part of the stream: who asks for one is disconnected."""
    refuse = as_replica(command, handler)

    def run(client: Client, *arguments: bytes) -> bytes:
        try:
            reply = refuse(client, *arguments)
        except ReplyError as error:
            reply = error.reply
        if reply:
            log.warning("Replica generated a reply to command '%s', disconnecting it", command.name)
            raise Disconnect
        return b""

    return run


def as_replica(command: Command, handler: Handler) -> Handler:
    """The layer of clients that monitor, which Redis treats as replicas: they have nothing to do with keys."""
    if not command.flags & (WRITE | READONLY | MAY_REPLICATE):
        return handler

    def refuse(_client: Client, *arguments: bytes) -> bytes:
        if not command.accepts(len(arguments) + (1 if command.parent is None else 2)):
            raise wrong_arity(command.name)
        raise NO_KEYSPACE

    return refuse
