"""Dispatch: compiles the registry and the features that are on into the tables of `respcache.table`.

A layer wraps the handlers it applies to. Layers that are on are applied in the order in which they are listed in
`Dispatcher.layers`, the last one outermost. A wrapper that acts before its handler, or in its place, checks the
arity first, because a wrong number of arguments is otherwise found by the call of the handler itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from respcache.config import ConfigError, Rename, encode
from respcache.features.blocking import Disconnect, Pause
from respcache.features.stats import CommandStats, Stats
from respcache.protocol.errors import NOAUTH, wrong_arity
from respcache.registry import BRIEF, MAY_REPLICATE, NO_AUTH, WRITE, Command, Handler, Registry
from respcache.state import Client
from respcache.table import Entry, Mode

Layer = Callable[[Command, Handler], Handler]
"""Wraps a handler, or returns it as it is if the layer does not apply to the command."""


class Dispatcher:
    """All modes of a server, and the layers that are on."""

    def __init__(self, registry: Registry, stats: Stats, renames: Iterable[Rename] = ()) -> None:
        self.commands = renamed(registry, renames)
        """By the names they have here, in lower case."""
        self.stats = stats
        self.exact_timing = False
        """Every call is timed by itself: the slow log or the latency monitor asks for less than runs can tell."""
        self.layers: dict[str, Layer] = {}
        """The layers that are on, innermost first."""
        self.normal = Mode("normal")
        self.unauthenticated = Mode("unauthenticated")
        self._base: dict[str, Layer] = {"unauthenticated": require_auth}
        self._muted: dict[str, Mode] = {}
        self._modes = [self.normal, self.unauthenticated]
        self.compile()

    def mute(self, mode: Mode) -> Mode:
        """The mode in which the same commands run and nothing is replied."""
        if mode.name.startswith("muted "):
            return mode
        found = self._muted.get(mode.name)
        if found is None:
            found = self._muted[mode.name] = Mode(f"muted {mode.name}")
            self._compile(found)
        return found

    def pause(self, all_commands: bool | None) -> None:
        """Makes all commands wait, or only those that may write, or none."""
        self.switch("pause", None if all_commands is None else pausing(all_commands))

    def switch(self, name: str, layer: Layer | None) -> None:
        """Turns a layer on, or off with None, for all clients at once."""
        if layer is None:
            self.layers.pop(name, None)
        else:
            self.layers[name] = layer
        self.compile()

    def compile(self) -> None:
        """Compiles all tables again, in place: a client's table stays the same object."""
        for mode in (*self._modes, *self._muted.values()):
            self._compile(mode)

    def _compile(self, mode: Mode) -> None:
        base = mode.name.removeprefix("muted ")
        layers = [*self.layers.values()]
        if base in self._base:
            layers.append(self._base[base])
        if base != mode.name:
            layers.append(silence)
        for name, command in self.commands.items():
            entry = self._entry(mode.entries, name, command, layers)
            if command.subcommands:
                home = mode.subcommands.setdefault(name, {})
                for subname, subcommand in (command.subcommands | command.unlisted).items():
                    self._entry(home, subname, subcommand, layers)
            else:
                mode.table[name] = mode.table[name.upper()] = entry

    def _entry(self, home: dict[bytes, Entry], name: bytes, command: Command, layers: list[Layer]) -> Entry:
        run = command.handler
        for layer in layers:
            run = layer(command, run)
        lone = self.exact_timing or not command.flags & BRIEF
        entry = home.get(name)
        if entry is None:
            stats = self.stats.commands.setdefault(command.name, CommandStats())
            entry = home[name] = Entry(command, run, stats, lone)
        entry.run = run
        entry.lone = lone
        return entry


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


def _check_arity(command: Command, arguments: int) -> None:
    if not command.accepts(arguments + (1 if command.parent is None else 2)):
        raise wrong_arity(command.name)


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


def pausing(all_commands: bool) -> Layer:
    """The layer that makes commands wait during CLIENT PAUSE: all of them, or those that may write."""

    def layer(command: Command, handler: Handler) -> Handler:
        if not all_commands and not command.flags & (WRITE | MAY_REPLICATE):
            return handler

        def wait(client: Client, *arguments: bytes) -> bytes:
            _check_arity(command, len(arguments))
            client.paused = True
            client.server.pause.wait(client.id, client.connection.release)
            raise Pause(retry=True)

        return wait

    return layer
