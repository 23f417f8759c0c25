"""Dispatch: compiles the registry and the features that are on into the tables of `respcache.table`.

A layer wraps the handlers it applies to. Those that are on are applied in the order of `LAYERS`, the last one
outermost, and around them the `GATES`. A gate decides whether a command may run at all, so it stands before a command
that is only queued as well; what EXEC then runs it lets through (`server.nested`). A wrapper that acts before its
handler, or in its place, checks the arity first, because a wrong number of arguments is otherwise found by the call of
the handler itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from respcache.config import ConfigError, Rename, encode
from respcache.features.blocking import Disconnect, Pause
from respcache.features.pubsub import restrict
from respcache.features.stats import CommandStats, Stats
from respcache.gates import few_replicas, loading, masterdown, misconf, readonly
from respcache.holding import holding
from respcache.limiting import limiting, sparing
from respcache.monitoring import as_replica, monitoring, replicating
from respcache.propagating import propagating
from respcache.protocol.errors import NOAUTH, NOT_IN_MULTI, wrong_arity
from respcache.protocol.reply import QUEUED
from respcache.registry import BRIEF, MAY_REPLICATE, NO_AUTH, NO_MULTI, WRITE, Command, Handler, Registry
from respcache.routing import once_asked, routing
from respcache.serve import serving
from respcache.state import Client
from respcache.table import Entry, Mode

Layer = Callable[[Command, Handler], Handler]
"""Wraps a handler, or returns it as it is if the layer does not apply to the command."""


def _check_arity(command: Command, arguments: int) -> None:
    if not command.accepts(arguments + (1 if command.parent is None else 2)):
        raise wrong_arity(command.name)


def pausing(all_commands: bool) -> Layer:
    """The layer that makes commands wait during CLIENT PAUSE: all of them, or those that may write."""

    def layer(command: Command, handler: Handler) -> Handler:
        is_exec = command.name == "exec"
        if not all_commands and not is_exec and not command.flags & (WRITE | MAY_REPLICATE):
            return handler

        def wait(client: Client, *arguments: bytes) -> bytes:
            _check_arity(command, len(arguments))
            transaction = client.transaction
            reads = is_exec and not all_commands and (transaction is None or not transaction.writes)
            if reads or client.server.nested:
                return handler(client, *arguments)
            client.paused = True
            client.server.pause.wait(client.id, client.connection.release)
            raise Pause(retry=True)

        return wait

    return layer


LAYERS: dict[str, Layer] = {
    "spare": sparing,
    "propagate": propagating,
    "serve": serving,
    "monitor": monitoring,
}
"""What may be wrapped around commands, innermost first."""

GATES: dict[str, Layer] = {
    "pause": pausing(all_commands=False),
    "pause-all": pausing(all_commands=True),
    "loading": loading,
    "masterdown": masterdown,
    "readonly": readonly,
    "few-replicas": few_replicas,
    "misconf": misconf,
    "memory": limiting,
    "cluster": routing,
    "held": holding,
}
"""What decides whether commands may run, innermost first."""


class Dispatcher:
    """All modes of a server, and the layers that are on."""

    def __init__(
        self,
        registry: Registry,
        stats: Stats,
        renames: Iterable[Rename] = (),
        layers: Mapping[str, Layer] = LAYERS,
        gates: Mapping[str, Layer] = GATES,
    ) -> None:
        self.commands = renamed(registry, renames)
        """By the names they have here, in lower case."""
        self.stats = stats
        self.exact_timing = False
        """Every call is timed by itself: the slow log or the latency monitor asks for less than runs can tell."""
        self.layers = layers
        self.gates = gates
        self.on: set[str] = set()
        """Names of the layers and gates that are on."""
        self.normal = Mode("normal")
        self.queueing = Mode("queueing")
        self._others: dict[str, Mode] = {}  # by name; made when they are first asked for
        self._base: dict[str, Layer] = {
            "asking": once_asked,
            "unauthenticated": require_auth,
            "subscribed": restrict,
            "monitoring": as_replica,
            "replicating": replicating,
        }
        self._uncounted = CommandStats()  # of calls that only queue
        self.compile()

    def mute(self, mode: Mode) -> Mode:
        """The mode in which the same commands run and nothing is replied."""
        return mode if mode.name.startswith("muted ") else self._mode(f"muted {mode.name}")

    @property
    def asking(self) -> Mode:
        """Of clients whose last request was ASKING."""
        return self._mode("asking")

    @property
    def unauthenticated(self) -> Mode:
        """Of clients that have not authenticated."""
        return self._mode("unauthenticated")

    @property
    def subscribed(self) -> Mode:
        """Of RESP2 clients with subscriptions."""
        return self._mode("subscribed")

    @property
    def monitoring(self) -> Mode:
        """Of clients that are sent what others do."""
        return self._mode("monitoring")

    @property
    def replicating(self) -> Mode:
        """Of replicas."""
        return self._mode("replicating")

    def _mode(self, name: str) -> Mode:
        found = self._others.get(name)
        if found is None:
            found = self._others[name] = Mode(name)
            self._compile(found)
        return found

    def pause(self, all_commands: bool | None) -> None:
        """Makes all commands wait, or only those that may write, or none."""
        self.on -= {"pause", "pause-all"}
        if all_commands is not None:
            self.on.add("pause-all" if all_commands else "pause")
        self.compile()

    def switch(self, name: str, on: bool) -> None:
        """Turns a layer or a gate on or off, for all clients at once."""
        if on != (name in self.on):
            self.on ^= {name}
            self.compile()

    def compile(self) -> None:
        """Compiles all tables again, in place: a client's table stays the same object."""
        for mode in (self.normal, self.queueing, *self._others.values()):
            self._compile(mode)

    def _compile(self, mode: Mode) -> None:
        monitored = "monitor" in self.on
        if monitored:
            mode.table.clear()  # all requests take the way on which the spelling of the name is known
        for name, command in self.commands.items():
            entry = self._entry(mode, mode.entries, self.normal.entries, name, command)
            if command.subcommands:
                home = mode.subcommands.setdefault(name, {})
                normal = self.normal.subcommands[name]
                for subname, subcommand in (command.subcommands | command.unlisted).items():
                    self._entry(mode, home, normal, subname, subcommand)
            elif not monitored:
                mode.table[name] = mode.table[name.upper()] = entry

    def _entry(
        self, mode: Mode, home: dict[bytes, Entry], normal: dict[bytes, Entry], name: bytes, command: Command
    ) -> Entry:
        """Makes the entry of a name in a mode what it must be now. Those of the normal mode are made first."""
        base = mode.name.removeprefix("muted ")
        queued = base == "queueing" and command.name not in AT_ONCE
        if mode is self.normal:
            run = self._wrapped(command, command.handler, self.layers)
            run = self._wrapped(command, run, self.gates)
        elif queued:
            run = self._wrapped(command, queueing(normal[name]), self.gates)
        else:
            run = normal[name].run
        if base in self._base:
            run = self._base[base](command, run)
        if base != mode.name:
            run = silence(command, run)
        lone = self.exact_timing or not command.flags & BRIEF
        entry = home.get(name)
        if entry is None:
            stats = (
                self._uncounted if queued else self.stats.commands.setdefault(command.name, CommandStats())
            )
            entry = home[name] = Entry(command, run, stats, lone)
        entry.run = run
        entry.lone = lone and not queued
        entry.queues = queued
        return entry

    def _wrapped(self, command: Command, handler: Handler, layers: Mapping[str, Layer]) -> Handler:
        for name, layer in layers.items():
            if name in self.on:
                handler = layer(command, handler)
        return handler


def renamed(registry: Registry, renames: Iterable[Rename]) -> dict[bytes, Command]:
    """All commands by name, after some were given another one or none. Raises ConfigError."""
    commands = dict(registry.commands)
    for rename in renames:
        old, new = encode(rename.old).lower(), encode(rename.new).lower()
        if old not in commands:
            raise ConfigError("No such command in rename-command", rename.line)
        command = commands.pop(old)
        if new in commands:
            raise ConfigError("Target command name already exists", rename.line)
        if new:
            commands[new] = command
    return commands


def require_auth(command: Command, handler: Handler) -> Handler:
    """The layer of clients that have not authenticated."""
    if command.flags & NO_AUTH:
        return handler

    def refuse(client: Client, *arguments: bytes) -> bytes:
        _check_arity(command, len(arguments))
        if client.server.config.requirepass:
            raise NOAUTH
        client.log_in(client.user)  # the password was taken away meanwhile
        return handler(client, *arguments)

    return refuse


AT_ONCE = frozenset({"multi", "exec", "discard", "watch", "quit", "reset"})
"""What is not queued behind MULTI."""


def queueing(entry: Entry) -> Handler:
    """What stands for a command behind MULTI; `entry` is what EXEC will call."""
    command = entry.command

    def queue(client: Client, *arguments: bytes) -> bytes:
        transaction = client.transaction
        assert transaction is not None
        _check_arity(command, len(arguments))
        if command.flags & NO_MULTI:
            raise NOT_IN_MULTI
        if not (transaction.broken or (client.watch is not None and client.watch.broken)):
            names = client.names if client.server.monitors.clients else ()
            transaction.add(entry, arguments, names)  # else EXEC will run none
        return QUEUED

    return queue


def silence(_command: Command, handler: Handler) -> Handler:
    """The layer of clients that asked for no replies."""

    def run(client: Client, *arguments: bytes) -> bytes:
        try:
            reply = handler(client, *arguments)
        except Disconnect:
            if client.swallow():
                raise Disconnect from None
            raise
        return b"" if client.swallow() else reply

    return run
