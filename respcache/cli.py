"""The command line: `respcache [conf-file | -] [--port 6379 --bind 127.0.0.1 ...]`, in redis-server's style.

`respcache check`, `cluster`, `dump` and `ping` are those of `respcache.tools`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from respcache import log, tools
from respcache.config import Arguments, Config, ConfigError, parse_args
from respcache.directives import DIRECTIVES
from respcache.protocol.errors import ReplyError
from respcache.version import REDIS_VERSION, __version__

if TYPE_CHECKING:  # its import takes time, which `--help` need not wait for
    from respcache.server import Server

RESERVED_FILES = 32
"""Open files beside those of the clients."""

HELP = """\
Usage: respcache [conf-file | -] [--directive value ...] [-]
       respcache check FILE [--fix | --truncate-to-timestamp SECONDS] [--yes]
       respcache dump FILE --json|--resp
       respcache cluster [--nodes 6] [--replicas 1] [--dir DIR] [--base-port 7000] [--directive value ...]
       respcache ping [-h HOST] [-p PORT]

Starts a Redis-compatible server. Every directive of redis.conf may follow as --directive value;
`-` reads more of them from standard input.

Examples:
  respcache                                  serve on port 6379
  respcache --port 7777 --bind 127.0.0.1     on another port, for this machine only
  respcache --port 0 --unixsocket /run/r.sock
  respcache redis.conf --loglevel verbose    with a configuration file; arguments win over it
  echo 'maxmemory 64mb' | respcache -        with a configuration from standard input

Directives used most:
  --port 6379             TCP port; 0 for none
  --bind 127.0.0.1 ::1    addresses to listen on; all of them unless given
  --unixsocket PATH       listen on a Unix socket too
  --requirepass PASSWORD  clients must authenticate
  --maxclients 10000      connections at once
  --timeout 0             close clients that are idle for so many seconds; 0 never
  --databases 16          number of databases
  --dir PATH              where data is kept; the working directory unless given
  --save ""               no snapshots; `--save 60 1000`: after 60 seconds, if 1000 keys have changed
  --appendonly yes        keep every change; --appendfsync always: before it is acknowledged
  --maxmemory 64mb        a limit; --maxmemory-policy allkeys-lru says what goes when it is reached
  --loglevel notice       debug, verbose, notice or warning
  --logfile PATH          log there instead of standard output
  --daemonize yes         run in the background

Other options:
  -h, --help              print this help
  -v, --version           print the versions
  --check-system          say whether this machine is fit for a server

RDB files, append-only files, their manifests and directories:
  check FILE              say whether it is sound, and what is in it; see check --help for exit codes
  check FILE --fix        cut off the torn end of an append-only file, after asking
  dump FILE --json        print what is in it, a line for each key or command
  dump FILE --resp        print the commands that make it, for redis-cli --pipe

Clusters, and health:
  cluster                 start a cluster on this machine; see cluster --help, also for --join
  ping                    say whether a server answers, by the exit code; see ping --help

A configuration file of such a name is ./check, ./cluster, ./dump or ./ping.

From Python: `async with respcache.Server(port=0) as server:` or `server = respcache.start(port=0)`."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command line and exits: 0 after a clean shutdown, 1 with one clear message after an error."""
    try:
        words = sys.argv[1:] if argv is None else argv
        if words and words[0] in tools.WORDS:
            sys.exit(tools.main(words))
        arguments = parse_args(words)
        if arguments.action == "help":
            print(HELP)
        elif arguments.action == "version":
            print(version())
        elif arguments.action == "check-system":
            sys.exit(check_system())
        else:
            serve(read_config(arguments), arguments.path)
    except ConfigError as error:
        sys.exit(f"{error}")
    except OSError as error:
        sys.exit(f"respcache: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
    except KeyboardInterrupt:
        sys.exit(130)


def version() -> str:
    """What `--version` prints."""
    return f"respcache v={__version__} redis={REDIS_VERSION} python={platform.python_version()} bits=64"


def read_config(arguments: Arguments) -> Config:
    """The configuration that a command line asks for. Raises ConfigError."""
    config = Config(DIRECTIVES)
    if arguments.path is not None and arguments.path.isalpha() and not os.path.exists(arguments.path):
        words = ", ".join(tools.WORDS)
        raise ConfigError(f"'{arguments.path}' is no configuration file, and none of {words}; see respcache --help")
    if arguments.path is not None:
        config.load_file(arguments.path)
    if arguments.stdin:
        config.load_text(sys.stdin.buffer.read(), "standard input")
    config.load_arguments(arguments.overrides)
    if not config.port and not config.unixsocket:
        raise ConfigError("Configured to not listen anywhere, exiting.")
    return config


def serve(config: Config, path: str | None = None) -> None:
    """Runs a server in this process until a signal or SHUTDOWN.

    Raises OSError and ConfigError if it cannot start.
    """
    from respcache.loading import LoadError
    from respcache.loop import run
    from respcache.server import Server

    server = Server(config=config, own_process=True)  # what it refuses is told before the terminal is gone
    server.state.config_path = os.path.abspath(path) if path else ""
    if config.daemonize:
        _daemonize()
    log.configure(config.loglevel, config.logfile, lambda: "S" if server.state.following.on else "M")
    _make_room(config)
    try:
        run(_serve(server, config))
    except (OSError, LoadError):
        sys.exit(1)  # the log has said why


async def _serve(server: Server, config: Config) -> None:
    config.on_change("loglevel", lambda: log.set_level(config.loglevel))
    _follow_signals(server)
    await server.start()
    pid_file = config.pidfile or ("/var/run/redis.pid" if config.daemonize else "")
    try:
        if pid_file:
            _write_pid(pid_file)
        await server.wait_stopped()
    finally:
        if pid_file:
            with contextlib.suppress(OSError):
                os.unlink(pid_file)


def _follow_signals(server: Server) -> None:
    """SIGTERM and SIGINT end the server, a second SIGINT at once; the end of a terminal does not."""
    import asyncio

    loop, config = asyncio.get_running_loop(), server.config

    def insist(_number: int, _frame: object) -> None:
        log.logger.warning("You insist... exiting now.")
        os._exit(1)

    def stop(number: signal.Signals) -> None:
        log.logger.warning("Received %s scheduling shutdown...", number.name)
        asked = config.shutdown_on_sigint if number == signal.SIGINT else config.shutdown_on_sigterm
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, insist)  # which is heard while the loop is saving, too
        try:
            save = {"save": True, "nosave": False}.get(asked)
            server.state.saving.prepare_end(save, asked == "force")
        except ReplyError:
            loop.add_signal_handler(signal.SIGINT, stop, signal.SIGINT)  # it could not save: the next one asks again
        else:
            server.state.shutdown()

    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows: the default handlers stay
            loop.add_signal_handler(number, stop, number)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def check_system() -> int:
    """Prints what would slow a server down on this machine. Returns an exit code."""
    from respcache.loop import loop_factory

    found = [
        ("uvloop is installed", loop_factory() is not None, "pip install uvloop: it takes a third less CPU"),
        ("more than 10000 open files allowed", _open_files()[1] >= 10032, "raise it with ulimit -Hn"),
    ]
    for what, good, hint in found:
        print(f"[{'OK' if good else 'WARNING'}] {what}" + ("" if good else f": {hint}"))
    return 0 if all(good for _, good, _ in found) else 1


def _open_files() -> tuple[int, int]:
    """How many files this process may open now, and how many it may allow itself to open."""
    try:
        import resource
    except ImportError:
        return 1 << 20, 1 << 20
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    return (1 << 30 if soft == endless else soft), (1 << 30 if hard == endless else hard)


def _make_room(config: Config) -> None:
    """Lets the process open as many files as `maxclients` needs; if that is refused, lowers `maxclients`."""
    needed = config.maxclients + RESERVED_FILES
    now, most = _open_files()
    if now >= needed:
        return
    import resource

    allowed = min(needed, most)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    except (OSError, ValueError):  # macOS allows less than it says
        allowed = now
    if allowed < needed:
        log.logger.warning(
            "maxclients %d needs %d open files, and the system allows %d: it is %d now. See ulimit -n.",
            config.maxclients,
            needed,
            allowed,
            max(allowed - RESERVED_FILES, 1),
        )
        config.load({"maxclients": max(allowed - RESERVED_FILES, 1)})


def _write_pid(path: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(f"{os.getpid()}\n")
    except OSError as error:
        log.logger.warning("Can't write the pid file %s: %s", path, error.strerror)


def _daemonize() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
