"""The replica's side of replication: the master of this server, if it has one.

For the server:
    state.following = Following(state)      when the state is made
    following.start()                       when the data is loaded: follows whom the directive `replicaof` names
    following.cron()                        once a second: tries again, gives up, tells the master how far this is
    await following.stop()                  at the end

What is applied goes to the history byte by byte as it came (`Mastering.forward`). When the link is lost, the history
and its offset say where to go on; so they do after a restart, since RDB files have them (`restore`).
"""

from __future__ import annotations

import asyncio
from collections import deque

from respcache.applying import Applier
from respcache.clock import monotonic
from respcache.config import encode
from respcache.durable import Fields
from respcache.features.aof_writer import AofWriter
from respcache.loading import Loader
from respcache.log import logger as log
from respcache.master_link import MasterLink
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import array, bulk, integer
from respcache.replication.handshake import Continued, Full, Greeting, Outcome
from respcache.replication.history import new_id
from respcache.state import ServerState

UNBLOCKED = ReplyError(
    b"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
)


class Following:
    """Whom this server follows, and how far."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._host = ""
        self._port = 0
        self._connecting: asyncio.Task[None] | None = None
        self._link: MasterLink | None = None
        self._applier: Applier | None = None  # of the stream, also while the link is down
        self._failover = False  # the next handshake asks for one
        self._full: Full | None = None  # what the data that comes is said to be
        self._nameless = False  # the master does not say, and wants no acknowledgements
        self._selected = 0  # the database that the stream has selected, if there is no applier
        self._down_since = 0.0  # monotonic; 0: the link never was up
        self._writer: AofWriter | None = None  # of which the two below speak
        self._marks: deque[tuple[int, int]] = (
            deque()
        )  # offsets told to the master, and how long the file was then
        self._synced = 0  # the offset up to which the file is made sure of
        self._wants_sync = False  # the master waits for it
        self.on = False
        """This server is a replica."""
        self.hides = False
        """What is due is not deleted here: that is its master's business."""
        self.continues = False
        """The data is that of the master's history, up to our offset."""
        for name in ("replica-read-only", "replica-serve-stale-data", "replica-ignore-maxmemory"):
            server.config.on_change(name, self._judge)

    # Life

    def start(self) -> None:
        """Follows whom the configuration names, or whom this node of a cluster replicates."""
        configured = self._configured()
        if configured is not None:
            self._turn(*configured)

    def _configured(self) -> tuple[str, int] | None:
        cluster = self._server.cluster
        if cluster is not None:
            master = cluster.view.myself.master
            return (master.ip, master.port) if master is not None and master.ip else None
        return self._server.config.replicaof or None

    async def stop(self) -> None:
        """Closes the link. The server still is a replica."""
        task, self._connecting = self._connecting, None
        if task is not None:
            task.cancel()
        link, self._link = self._link, None
        if link is not None:
            if self._server.loading is not None:
                self._server.saving.prepare_end(save=False)  # what is there is not all
            link.drop("")
            await link.ended()

    def restore(self, history: str, offset: int, selected: int) -> None:
        """The data that was loaded at start is that of a history up to an offset."""
        mine = self._server.history
        mine.create_backlog(self._server.config.repl_backlog_size)
        if self._configured() is not None:
            mine.adopt(history, offset)
            self.continues = True
            self._selected = selected
        else:
            mine.restore(history, offset)
            self._server.mastering.turn()

    def follow(self, host: str, port: int, failover: bool = False) -> None:
        """Becomes a replica of that server: all that was here gives way to its data, unless that continues it."""
        server = self._server
        if self.on:
            self._disconnect()
        else:
            log.info(
                "Before turning into a replica, using my own master parameters to synthesize a cached master"
            )
            server.mastering.flush()
            if server.history.backlog is None:  # changes were not counted
                server.history.renew()
                server.history.create_backlog(server.config.repl_backlog_size)
            self.continues = True
            self._applier = None
            self._selected = server.mastering.selected
        self._failover = failover
        server.config.put("replicaof", (host, port))
        self._unblock()
        self._turn(host, port)

    def _turn(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._down_since = 0.0
        if not self.on:
            self.on = True
            self._server.mastering.turn()
        if self._server.history.backlog is None:
            self._server.history.create_backlog(self._server.config.repl_backlog_size)
        self._judge()
        self._connect()

    def lead(self) -> None:
        """Becomes a master, if it is a replica. The history so far is the past of a new one."""
        if self.on:
            self._server.history.shift()
            self._become_master()
            self._server.mastering.drop_replicas()

    def _become_master(self) -> None:
        self._disconnect()
        self.on = self.continues = self._failover = False
        self._applier = None
        self._server.config.put("replicaof", ())
        self._server.mastering.turn()
        self._judge()

    def _disconnect(self) -> None:
        task, self._connecting = self._connecting, None
        if task is not None:
            task.cancel()
        link, self._link = self._link, None
        if link is not None:
            self._forget(link)
            link.drop("")

    def _judge(self) -> None:
        """Has refused, and hidden, what must be now."""
        server, config = self._server, self._server.config
        self.hides = only = self.on and bool(config.replica_read_only)
        server.keyspace.hide(only or server.pause.active)
        exempt = self.on and bool(config.replica_ignore_maxmemory)
        if exempt != server.memory.exempt:
            server.memory.exempt = exempt
            server.memory.follow()
        server.modes.switch("readonly", only)
        server.modes.switch(
            "masterdown", self.on and not self.link_up and not config.replica_serve_stale_data
        )

    def _unblock(self) -> None:
        """Nobody waits any more for what only a master brings about."""
        self._server.held.abandon(UNBLOCKED)
        for client in list(self._server.clients.values()):
            if client.waiter is not None:
                self._server.end_wait(client.waiter, UNBLOCKED.reply)
                client.connection.close()

    # The link

    def _connect(self) -> None:
        if self._connecting is None and self._link is None:
            log.info("Connecting to MASTER %s:%d", self._host, self._port)
            self._connecting = self._server.loop.create_task(self._open(self._host, self._port))

    async def _open(self, host: str, port: int) -> None:
        server, config = self._server, self._server.config
        history = server.history
        greeting = Greeting(
            config.replica_announce_port or server.port,
            encode(config.replica_announce_ip),
            encode(config.masteruser),
            encode(config.masterauth),
            history.id if self.continues else "",
            history.offset + 1,
            self._failover,
        )
        source = str(config.bind_source_addr)
        try:
            async with asyncio.timeout(config.repl_timeout):
                await server.loop.create_connection(
                    lambda: self._made(MasterLink(server, self, greeting)),
                    host,
                    port,
                    local_addr=(source, 0) if source else None,
                )
        except (OSError, TimeoutError) as error:
            self._connecting = self._link = None
            log.warning("Error condition on socket for SYNC: %s", error.strerror or error)
            self._failed()
            return
        self._connecting = None

    def _made(self, link: MasterLink) -> MasterLink:
        self._link = link
        return link

    def answered(self, link: MasterLink, outcome: Outcome) -> None:
        """The handshake is over."""
        server, history = self._server, self._server.history
        if link is not self._link:
            link.drop("")
            return
        if self._failover:
            self._failover = False
            server.mastering.failed_over(True)
        if isinstance(outcome, Continued):
            log.info("Successful partial resynchronization with master.")
            if outcome.history and outcome.history != history.id:
                log.info("Master replication ID changed to %s", outcome.history)
                history.renamed(outcome.history)
                server.mastering.drop_replicas()
            log.info("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.")
            self._start(link)
            return
        self.continues = False
        self._applier = None
        self._full = outcome if isinstance(outcome, Full) else None
        self._nameless = self._full is None
        if self._full is not None:
            log.info("Full resync from master: %s:%d", self._full.history, self._full.offset)

    def begun(self, link: MasterLink) -> None:
        """All data is about to come."""
        server = self._server
        server.mastering.drop_replicas()
        server.appending.suspend()
        log.info("MASTER <-> REPLICA sync: Flushing old data")
        self._down_since = 0.0  # of that data; what comes is none before it is whole
        for db in server.keyspace.databases:
            db.clear()

    def loaded(self, link: MasterLink, loader: Loader) -> None:
        """All data is there."""
        server, history, full = self._server, self._server.history, self._full
        if full is None:
            history.adopt(new_id(), 0)
        else:
            history.adopt(full.history, full.offset)
        server.keyspace.databases[0].dirty += loader.keys or 1  # it is to be saved
        self._selected = loader.origin.selected if loader.origin is not None else 0
        log.info("MASTER <-> REPLICA sync: Finished with success")
        server.appending.follow()
        self._start(link)

    def _start(self, link: MasterLink) -> None:
        """Takes the stream of a link, from the history's offset on."""
        server = self._server
        peer, local = link.addresses
        if self._applier is None:
            self._applier = Applier(server, link, peer, local)
            self._applier.client.db = server.keyspace.databases[self._selected]
        else:
            self._applier.follow(link, peer, local)
        client = self._applier.client
        server.clients[client.id] = client
        self.continues = True
        link.start(self._applier)
        self._judge()
        self._acknowledge(server.history.offset)

    def lost(self, link: MasterLink, reason: str) -> None:
        """The connection is gone."""
        if link.transfer is not None and link.transfer.begun:  # half of the data is no data
            for db in self._server.keyspace.databases:
                db.clear()
            self._server.appending.follow()
        if reason:
            log.warning("%s", reason)
        if link is not self._link:
            return
        self._link = None
        was_up = link.phase == "connected"
        if was_up:
            log.warning("Connection with master lost.")
            log.info("Caching the disconnected master state.")
        self._forget(link)
        self._judge()
        if was_up and self.on:
            log.info("Reconnecting to MASTER %s:%d", self._host, self._port)
            self._connect()
        elif self.on:
            self._failed()

    def _forget(self, link: MasterLink) -> None:
        """Notes that the link is down."""
        if link.phase != "connected" or self._applier is None:
            return
        client, server = self._applier.client, self._server
        self._down_since = monotonic()
        if server.clients.pop(client.id, None) is not None:
            server.stats.net_input += client.net_input
            client.net_input = 0

    def _failed(self) -> None:
        """There was no synchronisation."""
        if self._failover:
            self._become_master()
            self._server.mastering.failed_over(False)

    def cron(self) -> None:
        """Called once a second."""
        if not self.on:
            return
        link = self._link
        if link is None:
            self._connect()
        elif monotonic() - link.heard > self._server.config.repl_timeout and self._server.loading is None:
            log.warning("Timeout of the connection with MASTER: no data nor PING received")
            link.drop("")
        elif link.phase == "connected":
            self._acknowledge(self._server.history.offset)
        elif link.transfer is not None:
            link.send_to_master(b"\n")

    # Acknowledgements

    def asked(self, offset: int) -> None:
        """The master wants to know how far its stream is applied: up to this offset."""
        self._wants_sync = True
        self._acknowledge(offset)

    def _acknowledge(self, offset: int) -> None:
        link = self._link
        if link is None or link.phase != "connected" or self._nameless:
            return
        writer = self._server.appending.writer
        if writer is not self._writer:
            self._writer = writer
            self._synced = 0
            self._marks.clear()
        if writer is None:
            link.acknowledge(offset)
            return
        writer.when_synced = self._file_synced
        if not self._marks or self._marks[-1][0] < offset:
            self._marks.append((offset, writer.mark))
        self._look_at_file(writer)
        link.acknowledge(offset, self._synced)

    def _look_at_file(self, writer: AofWriter) -> bool:
        """Whether more of the stream is made sure of than was told."""
        before = self._synced
        while self._marks and self._marks[0][1] <= writer.synced:
            self._synced = self._marks.popleft()[0]
        return self._synced > before

    def _file_synced(self) -> None:
        """Tells the master, if it has asked, that the append-only file has got there."""
        writer = self._writer
        if self._wants_sync and writer is not None and self._look_at_file(writer):
            self._wants_sync = bool(self._marks)
            self._acknowledge(self._server.history.offset)

    # What there is to know

    @property
    def link_up(self) -> bool:
        """Whether it has all data of its master and gets what changes."""
        return self._link is not None and self._link.phase == "connected"

    @property
    def syncing(self) -> bool:
        """Whether it is getting all data."""
        return self._link is not None and self._link.phase == "sync"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the master."""
        return self._host, self._port

    @property
    def fresh_at(self) -> float:
        """When something came from the master, or when the link to it was lost, monotonic; 0: there never was one."""
        return self._link.heard if self._link is not None and self.link_up else self._down_since

    @property
    def selected(self) -> int:
        """The database that the master's stream has selected for what comes next."""
        return self._applier.client.db.index if self._applier is not None else self._selected

    def info(self) -> Fields:
        """Fields of INFO replication, from master_host to replica_announced."""
        server, config, link, now = self._server, self._server.config, self._link, monotonic()
        applied = server.history.offset
        fields: Fields = {
            "master_host": self._host,
            "master_port": self._port,
            "master_link_status": "up" if self.link_up else "down",
            "master_last_io_seconds_ago": int(now - link.heard) if link is not None and self.link_up else -1,
            "master_sync_in_progress": int(self.syncing),
            "slave_read_repl_offset": self._applier.read if self._applier is not None else applied,
            "slave_repl_offset": applied,
        }
        if self.syncing and link is not None and link.transfer is not None:
            transfer = link.transfer
            total = max(transfer.size, 0)
            fields |= {
                "master_sync_total_bytes": total,
                "master_sync_read_bytes": transfer.read,
                "master_sync_left_bytes": total - transfer.read,
                "master_sync_perc": f"{100 * transfer.read / total if total else 0:.2f}",
                "master_sync_last_io_seconds_ago": int(now - link.heard),
            }
        if not self.link_up:
            down = int(now - self._down_since) if self._down_since else -1
            fields["master_link_down_since_seconds"] = down
        return fields | {
            "slave_priority": config.replica_priority,
            "slave_read_only": int(config.replica_read_only),
            "replica_announced": int(config.replica_announced),
        }

    def role(self) -> bytes:
        """The reply to ROLE."""
        offset = self._server.history.offset if self.link_up else -1
        if self._connecting is not None:
            shown = b"connecting"
        else:
            shown = self._link.phase.encode() if self._link is not None else b"connect"
        return array(
            [bulk(b"slave"), bulk(encode(self._host)), integer(self._port), bulk(shown), integer(offset)]
        )
