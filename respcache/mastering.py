"""A master's side of replication: its replicas, what they get, and what they say that they have.

What clients change is taken from the propagator at the end of the loop's turn, appended to the history, and sent to all
replicas that are online: nobody's reply waits for that. A replica that is getting all data (`respcache.full_sync`) has
it held. A server that is a replica itself passes on what it is sent, byte by byte, to replicas of its own.

Without replicas, and without the backlog that the first one leaves behind, none of this is in anybody's way.

For the server:
    state.mastering = Mastering(state)   when the state is made
    mastering.turn()                     when the server has become a master or a replica
    mastering.gone(id)                   when a client has gone
    mastering.cron()                     once a second
    mastering.stop()                     when it ends, before the connections are closed
"""

from __future__ import annotations

from respcache.clock import monotonic
from respcache.failover import Failover
from respcache.features.blocking import Waiter
from respcache.features.propagate import Tap
from respcache.full_sync import FullSync, limit, start_stream
from respcache.log import logger as log
from respcache.protocol.reply import array, bulks, integer
from respcache.replicated import Replica
from respcache.state import ServerState

PING = b"*1\r\n$4\r\nping\r\n"
GETACK = bulks([b"REPLCONF", b"GETACK", b"*"])


REST = 0.001
"""Seconds from one time that the stream is sent to the next: under load, many small writes go in one."""


class _Wait:
    """Somebody who waits for replicas."""

    def __init__(self, waiter: Waiter, offset: int, replicas: int, mark: int | None, local: bool) -> None:
        self.waiter = waiter
        self.offset = offset
        self.replicas = replicas
        self.mark = mark  # of WAITAOF: what our own file is to have
        self.local = local  # whether that is waited for


class Mastering:
    """The replicas of a server. Implements `respcache.replicated.Mastering`."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self.replicas: dict[int, Replica] = {}
        self.good = 0
        self.sent = 0
        """Bytes of the stream, and of RDB files, sent to replicas so far."""
        self.full_syncs = 0
        self.partial_syncs = 0
        self.partial_refused = 0
        self._tap: Tap | None = None  # of what clients change, if that is the history
        self._scheduled = False  # `flush` will be called
        self._flushed = 0.0  # when it was, monotonic
        self._messages: list[bytes] = []  # for replicas only; they come behind what was changed
        self._written = 0  # offset of what clients have done; behind it may be PING and the like
        self._waits: list[_Wait] = []
        self._asked = False  # GETACK is on its way
        self._seconds = 0
        self._alone_since = monotonic()
        self._full_sync = FullSync(server, self.replicas, self.flush)
        self._full_sync.changed = self._count_good
        self._failover = Failover(server, self.replicas)
        config = server.config
        config.on_change("repl-backlog-size", lambda: server.history.resize(config.repl_backlog_size))
        for name in ("min-replicas-to-write", "min-replicas-max-lag"):
            config.on_change(name, self._set_gate)
        config.on_change("client-output-buffer-limit", self._set_limits)
        config.on_change("repl-diskless-sync-delay", self._full_sync.look)
        self._set_gate()

    # The stream

    def turn(self) -> None:
        """From now on what clients change is the history of this server, or is not."""
        server = self._server
        wanted = not server.following.on and (server.history.backlog is not None or bool(self.replicas))
        if wanted and self._tap is None:
            self._tap = server.propagator.tap(self._wake)
        elif not wanted and self._tap is not None:
            self.flush()
            self._tap.close()
            self._tap = None
        server.modes.switch("propagate", server.propagator.on)
        self._written = server.history.offset
        self._set_gate()

    def _wake(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            left = self._flushed + REST - monotonic()
            if left <= 0:
                self._server.loop.call_soon(self._flush_soon)
            else:
                self._server.loop.call_later(left, self._flush_soon)

    def _flush_soon(self) -> None:
        self._scheduled = False
        self.flush()
        self._flushed = monotonic()

    def flush(self) -> None:
        """Puts what commands have changed so far into the history."""
        tap = self._tap
        if tap is None:
            return
        data = tap.take()
        if self._messages:
            data += b"".join(self._messages)
            self._messages.clear()
        if data:
            self._feed(data)
            self._written = self._server.history.offset

    @property
    def selected(self) -> int:
        """The database that the stream has selected for what comes next."""
        db = self._server.propagator.database
        return db.index if db is not None else 0

    def forward(self, data: bytes) -> None:
        """Appends to the history what this server, a replica, has just applied, and sends it on."""
        self._feed(data)

    def publish(self, *words: bytes) -> None:
        """Tells replicas of a message, behind what was changed before."""
        if self._tap is not None:
            self._messages.append(bulks(words))
            self._wake()

    def _feed(self, data: bytes) -> None:
        self._server.history.feed(data)
        for replica in [*self.replicas.values()]:
            if replica.held is not None:
                self._hold(replica, data)
            elif replica.state == "online" and not replica.link.closing:
                self.sent += len(data)
                replica.link.send(data)

    def _hold(self, replica: Replica, data: bytes) -> None:
        """Keeps for a replica what it gets behind its data; one that is too slow for that must begin again."""
        assert replica.held is not None
        replica.held.append(data)
        replica.held_size = size = replica.held_size + len(data)
        hard, soft, seconds = limit(self._server)
        now = monotonic()
        replica.soft_since = (replica.soft_since or now) if soft and size >= soft else 0.0
        if (hard and size >= hard) or (replica.soft_since and now - replica.soft_since > seconds):
            log.warning(
                "Client %s scheduled to be closed ASAP for overcoming of output buffer limits.", replica.name
            )
            self._server.stats.output_limit_disconnections += 1
            replica.link.close(flush=False)

    # Replicas

    def continue_sync(self, replica: Replica, history: bytes, offset: int) -> None:
        """PSYNC, after the checks: sends the stream from there, or all data."""
        self.flush()
        mine = self._server.history
        asked = history.decode("latin-1")
        if not mine.can_continue(asked, offset):
            self._explain(replica, asked, offset)
            self.partial_refused += asked != "?"
            self.full_sync(replica)
            return
        self.partial_syncs += 1
        missed = mine.since(offset)
        self._attach(replica)
        replica.come_online()
        start_stream(self._server, replica)
        name = b" " + mine.id.encode() if replica.knows_psync else b""
        replica.link.send(b"+CONTINUE%b\r\n%b" % (name, missed))
        self._count_good()
        log.info(
            "Partial resynchronization request from %s accepted. Sending %d bytes of backlog starting from offset %d.",
            replica.name,
            len(missed),
            offset,
        )

    def full_sync(self, replica: Replica) -> None:
        """SYNC: sends all data."""
        server, history = self._server, self._server.history
        self.full_syncs += 1
        replica.enter("wait_bgsave")
        self._attach(replica)
        if history.backlog is None:
            history.renew()
            history.create_backlog(server.config.repl_backlog_size)
            log.info(
                "Replication backlog created, my new replication IDs are '%s' and '%s'",
                history.id,
                history.id2,
            )
            self.turn()
        self._full_sync.look()

    def _explain(self, replica: Replica, asked: str, offset: int) -> None:
        """Logs why a replica cannot continue."""
        mine, name = self._server.history, replica.name
        if asked == "?":
            log.info("Full resync requested by replica %s", name)
        elif asked.lower() not in (mine.id, mine.id2):
            text = (
                "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '%s', my "
            )
            log.info(text + "replication IDs are '%s' and '%s')", asked, mine.id, mine.id2)
        elif not mine.same(asked, offset):
            text = "Partial resynchronization not accepted: Requested offset for second ID was %d, "
            log.info(text + "but I can reply up to %d", offset, mine.second_offset)
        else:
            text = "Unable to partial resync with replica %s for lack of backlog (Replica request was: %d)."
            log.info(text, name, offset)

    def _attach(self, replica: Replica) -> None:
        replica.acked_at = monotonic()
        self.replicas[replica.id] = replica

    def drop_replicas(self) -> None:
        """Disconnects all replicas: they shall ask anew what they may continue."""
        for replica in [*self.replicas.values()]:
            replica.link.close(flush=False)

    def gone(self, client_id: int) -> None:
        """A client has gone, which may have been a replica."""
        replica = self.replicas.pop(client_id, None)
        if replica is not None:
            log.warning("Connection with replica %s lost.", replica.name)
            replica.held = None
            replica.state = ""
            if not self.replicas:
                self._alone_since = monotonic()
            self._count_good()

    def _set_limits(self) -> None:
        for replica in self.replicas.values():
            streams = replica.held is None and replica.state == "online"
            replica.link.output_limit = limit(self._server) if streams else (0, 0, 0)

    # What they have

    def acknowledged(self, replica: Replica, offset: int, synced: int | None) -> None:
        """REPLCONF ACK."""
        replica.acked_at = monotonic()
        replica.acked = max(replica.acked, offset)
        if synced is not None:
            replica.synced = max(replica.synced, synced)
        if replica.starts_at_ack:
            start_stream(self._server, replica)
        if self._waits:
            self._look_at_waits()
        self._failover.look()

    @property
    def written(self) -> int:
        """The offset of what clients have written so far."""
        self.flush()
        return self._written

    def acked(self, offset: int) -> int:
        """How many replicas have everything up to that offset."""
        return sum(
            replica.state == "online" and replica.acked >= offset for replica in self.replicas.values()
        )

    def synced(self, offset: int) -> int:
        """How many replicas have that in their append-only files."""
        return sum(
            replica.state == "online" and replica.synced >= offset for replica in self.replicas.values()
        )

    def wait(
        self, waiter: Waiter, offset: int, replicas: int, mark: int | None = None, local: bool = False
    ) -> None:
        """Asks replicas what they have, and ends the waiter of WAIT or WAITAOF when enough have it."""
        self._waits.append(_Wait(waiter, offset, replicas, mark, local))
        writer = self._server.appending.writer
        if mark is not None and writer is not None:
            writer.when_synced = self._look_at_waits
        if not self._asked and self.replicas and not self._stands_still:
            self._asked = True
            self._server.loop.call_soon(self._ask)

    def _ask(self) -> None:
        self._asked = False
        self.flush()
        self._feed(GETACK)

    def _look_at_waits(self) -> None:
        """Ends the waits that are over; the others would end with what there is now."""
        server = self._server
        rest: list[_Wait] = []
        for wait in self._waits:
            waiter = wait.waiter
            if waiter.client.waiter is not waiter:
                continue
            if wait.mark is None:
                count = self.acked(wait.offset)
                waiter.nothing, done = integer(count), count >= wait.replicas
            else:
                writer = server.appending.writer
                count, here = self.synced(wait.offset), writer is not None and writer.synced >= wait.mark
                waiter.nothing = array([integer(int(here)), integer(count)])
                done = count >= wait.replicas and (here or not wait.local)
            if done:
                server.end_wait(waiter, waiter.nothing)
            else:
                rest.append(wait)
        self._waits = rest

    def _count_good(self) -> None:
        lag = self._server.config.min_replicas_max_lag
        now = monotonic()
        self.good = sum(
            replica.state == "online" and int(now - replica.acked_at) <= lag
            for replica in self.replicas.values()
        )

    def _set_gate(self) -> None:
        """Writes are refused for want of replicas only where that is asked for."""
        server, config = self._server, self._server.config
        on = config.min_replicas_to_write and config.min_replicas_max_lag and not server.following.on
        self._count_good()
        server.modes.switch("few-replicas", bool(on))

    # Failover

    @property
    def failover_state(self) -> str:
        """As INFO prints it."""
        return self._failover.state

    def fail_over(self, target: tuple[str, int] | None, milliseconds: int, force: bool) -> None:
        """FAILOVER. Raises ReplyError."""
        self._failover.begin(target, milliseconds, force)
        self.flush()
        self._failover.look()

    @property
    def _stands_still(self) -> bool:
        """Whether somebody who takes over waits for the last byte of the stream."""
        cluster = self._server.cluster
        return self._failover.state != "no-failover" or (cluster is not None and cluster.view.paused)

    def abort_failover(self) -> None:
        """FAILOVER ABORT. Raises ReplyError."""
        self._failover.abort()

    def failed_over(self, well: bool) -> None:
        """Tells how PSYNC ... FAILOVER went."""
        self._failover.ended(well)

    # Time

    def cron(self) -> None:
        """What is due each second."""
        server, config, now = self._server, self._server.config, monotonic()
        self._seconds += 1
        if not self.replicas:
            self._free_backlog(now)
            return
        leads = not server.following.on and not self._stands_still
        if leads and self._seconds % config.repl_ping_replica_period == 0:
            self.flush()
            self._feed(PING)
        for replica in [*self.replicas.values()]:
            self._look_at(replica, now)
        self._full_sync.look()
        self._count_good()

    def _look_at(self, replica: Replica, now: float) -> None:
        """Tells one that waits that we are still here, and drops one that is not; any byte is a sign of life."""
        client = self._server.clients.get(replica.id)
        if client is not None:
            replica.acked_at = max(replica.acked_at, client.seen)
        if replica.state == "wait_bgsave" and (replica.held is None or self._full_sync.preparing):
            replica.link.send(b"\n")
        silent = now - replica.acked_at > self._server.config.repl_timeout
        if replica.state == "online" and not replica.is_old and silent:
            log.warning("Disconnecting timedout replica (streaming sync): %s", replica.name)
            replica.link.close(flush=False)

    def _free_backlog(self, now: float) -> None:
        """A master that has had no replicas for long forgets what they might have missed."""
        server, history = self._server, self._server.history
        after = server.config.repl_backlog_ttl
        if self._tap is not None and after and now - self._alone_since > after:
            self.flush()
            history.renew()
            history.free_backlog()
            self.turn()
            log.info("Replication backlog freed after %d seconds without connected replicas.", after)

    def stop(self) -> None:
        """Sends what there is, and nothing more."""
        self.flush()
        self._full_sync.stop()

    def memory(self) -> dict[str, int]:
        """Bytes of the backlog and of what waits for replicas, by the names of INFO memory."""
        backlog = self._server.history.backlog
        kept = backlog.memory if backlog is not None else 0
        waiting = sum(replica.held_size + replica.link.output_pending for replica in self.replicas.values())
        return {
            "mem_replication_backlog": kept,
            "mem_total_replication_buffers": kept + waiting,
            "mem_clients_slaves": waiting,
        }
