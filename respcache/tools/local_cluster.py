"""`respcache cluster`: a cluster on this machine, each node a process, until Ctrl-C; or running nodes, joined."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import respcache
from respcache.tools.asking import Asker, Trouble, name_of, password_given
from respcache.tools.cluster_options import BUS, DEFAULTS, HELP, Options, check, note, read, recall
from respcache.tools.joining import Joining, Late, Row, join
from respcache.tools.processes import Ended, Processes, Stopped, supported

LOG = "node.log"
"""The log of a node, in its directory."""

LAST_LINES = 5
"""So much of the log of a node that ended too early is shown."""


class Progress:
    """What is being waited for: one line that changes on a terminal, a line for each step elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._said = ""

    def tell(self, text: str) -> None:
        """Shows the text, of which only the part before a colon is a step of its own."""
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{text[:width]}")
        elif (step := text.partition(":")[0]) != self._said:
            self._said = step
            self._stream.write(f"{step}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Takes the line away."""
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def say(self, text: str) -> None:
        """Shows a text that stays."""
        self.clear()
        self._stream.write(f"{text}\n")
        self._stream.flush()


def main(words: Sequence[str]) -> int:
    """Runs `cluster` with the words behind it. Returns the exit code: 0, 1 after a failure, 2 for wrong arguments."""
    if words and words[0] in ("-h", "--help"):
        print(HELP)
        return 0
    progress = Progress(sys.stderr)
    try:
        options, resumed = recall(read(words))
        if options.join:
            return _join(options, progress)
        check(options)
    except ValueError as error:
        sys.stderr.write(f"respcache cluster: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"respcache cluster: {error.filename}: {error.strerror}\n")
        return 1
    try:
        with _directory(options) as directory:
            return LocalCluster(options, directory, progress).run(resumed)
    except Stopped:
        return 0
    except (Trouble, Ended) as trouble:
        progress.say(f"respcache cluster: {trouble}")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        progress.say(f"respcache cluster: {error.strerror or error}{where}")
    return 1


@contextlib.contextmanager
def _directory(options: Options) -> Iterator[Path]:
    """The directory of the cluster, removed in the end if nobody asked for one."""
    if options.directory is not None:
        options.directory.mkdir(parents=True, exist_ok=True)
        yield options.directory
    else:
        with tempfile.TemporaryDirectory(prefix="respcache-cluster-", ignore_cleanup_errors=True) as name:
            yield Path(name)


class LocalCluster:
    """The nodes of a cluster, as processes in directories below `directory` that are named after their ports."""

    def __init__(self, options: Options, directory: Path, progress: Progress) -> None:
        self.options = options
        self._root = directory
        self._progress = progress
        self._password = options.directive("requirepass") or password_given()
        self._pids: dict[int, int] = {}

    def run(self, resumed: bool) -> int:
        """Starts the cluster, tells where it is, and watches it until a signal. Returns the exit code.

        Raises Trouble and Ended if it cannot be had, Stopped if a signal comes before it is ready.
        """
        if not supported():
            raise Trouble("this system has no process groups; use the Windows Subsystem for Linux, or docker/")
        self._warn()
        check_ports(self.options)
        program = self._program()
        began = time.monotonic()
        with Processes() as processes:
            try:
                for port in self.options.ports:
                    self._start(processes, program, port)
                rows = self._join(processes, resumed)
                note(self.options)
                self._progress.clear()
                print(self._table(rows), self._hints(time.monotonic() - began), sep="\n\n", flush=True)
                return self._watch(processes)
            except Stopped:
                return 0
            except Ended as ended:
                raise Trouble(f"{ended}. Its log ends:\n{self._last_lines(ended.name)}") from None
            finally:
                self._stop(processes)

    def _warn(self) -> None:
        masters = self.options.nodes // (self.options.each + 1)
        if masters < 3 and self.options.each:
            self._progress.say(
                f"Warning: with {masters} {'master' if masters == 1 else 'masters'} no replica takes over by itself: "
                "that takes the votes of most masters, so three at least."
            )

    def _program(self) -> list[str]:
        """The command that starts a node, without directives."""
        if not self.options.program:
            return [sys.executable, "-P", "-m", "respcache"]
        found = shutil.which(self.options.program[0])
        if found is None:
            raise Trouble(f"no such program: {self.options.program[0]}")
        return [str(Path(found).absolute()), *self.options.program[1:]]

    def _start(self, processes: Processes, program: Sequence[str], port: int) -> None:
        place = self._place(port)
        place.mkdir(exist_ok=True)
        command = [*program, *self.directives(port)]
        self._pids[port] = processes.start(
            self._name(port), command, directory=place, log=place / LOG, environment=environment()
        )

    def directives(self, port: int) -> list[str]:
        """The arguments of the node on this port."""
        options = self.options
        made = [("port", str(port)), ("bind", options.bind), ("dir", str(self._place(port)))]
        made += [("cluster-enabled", "yes"), ("cluster-config-file", "nodes.conf")]
        defaults = [*DEFAULTS]
        if options.host == options.bind:  # which a node alone would not learn from anybody
            defaults.append(("cluster-announce-ip", options.bind))
        if options.directory is None:
            defaults.append(("save", ""))
        if password := options.directive("requirepass"):
            defaults.append(("masterauth", password))
        made += [pair for pair in defaults if options.directive(pair[0]) is None]
        words = [word for name, value in made for word in (f"--{name}", value)]
        return words + [word for name, *values in options.extra for word in (f"--{name}", *values)]

    def _join(self, processes: Processes, resumed: bool) -> list[Row]:
        options = self.options
        askers = [Asker((options.host, port), password=self._password) for port in options.ports]
        joining = Joining(
            askers, options.each, pause=processes.pause, tell=self._progress.tell, seconds=options.timeout
        )
        try:
            if not resumed:
                joining.run()
            else:
                self._resume(joining)
            return joining.rows()
        finally:
            for asker in askers:
                asker.close()

    def _resume(self, joining: Joining) -> None:
        """Waits for a cluster that was well once. If it does not become so again, its owner is to mend it."""
        joining.wait_answers()
        try:
            joining.wait_well()
        except Late as late:
            self._progress.say(f"Warning: the cluster is not ok, {late}")

    def _watch(self, processes: Processes) -> int:
        """Sleeps until a signal; tells who has ended."""
        while processes.names:
            for ended in processes.wait():
                self._progress.say(f"{ended}. Its log: {self._place(_port(ended.name)) / LOG}")
        self._progress.say("All nodes have ended.")
        return 1

    def _stop(self, processes: Processes) -> None:
        running = len(processes.names)
        if running:
            self._progress.tell(f"stopping {running} {'node' if running == 1 else 'nodes'}")
            well = processes.stop()
            self._progress.say("Stopped." if well else "Killed.")

    def _table(self, rows: Sequence[Row]) -> str:
        lines = [("node", "role", "slots", "pid", "directory")]
        for row, port in zip(rows, self.options.ports, strict=True):
            role = f"replica of {row.master}" if row.master else "master"
            lines.append((row.address, role, row.slots or "-", str(self._pids[port]), str(self._place(port))))
        return columns(lines)

    def _hints(self, seconds: float) -> str:
        host, port = self.options.host, self.options.base_port
        cli = f"redis-cli -c -p {port}" if host == "127.0.0.1" else f"redis-cli -c -h {host} -p {port}"
        secret = ', password="..."' if self._password else ""
        stop = f"Ready after {seconds:.1f} seconds. Ctrl-C stops it"
        if self.options.directory is None:
            stop += " and removes its data."
        else:
            stop += f"; respcache cluster --dir {self.options.directory} goes on with its data."
        return (
            f"  {'REDISCLI_AUTH=... ' if secret else ''}{cli}\n"
            f'  python: redis.cluster.RedisCluster("{host}", {port}{secret})\n\n{stop}'
        )

    def _place(self, port: int) -> Path:
        return self._root / str(port)

    def _name(self, port: int) -> str:
        return name_of(self.options.host, port)

    def _last_lines(self, name: str) -> str:
        with contextlib.suppress(OSError):
            lines = (self._place(_port(name)) / LOG).read_text(errors="replace").splitlines()
            return "\n".join(f"  {line}" for line in lines[-LAST_LINES:])
        return "  (no log)"


def columns(lines: Sequence[Sequence[str]]) -> str:
    """A table as text, its first line the names of the columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def environment() -> dict[str, str]:
    """The environment in which `python -P -m respcache` finds this very package, installed or not.

    -P keeps what lies in the working directory from standing in for modules of the same name.
    """
    given = dict(os.environ)
    root = Path(respcache.__file__).resolve().parents[1]
    if root.name not in ("site-packages", "dist-packages"):
        given["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), given.get("PYTHONPATH", "")]))
    return given


def check_ports(options: Options) -> None:
    """Raises Trouble if not all ports of all nodes are free, or the address is none of this machine."""
    taken = [port for each in options.ports for port in (each, each + BUS) if not _is_free(options.bind, port)]
    if taken:
        text = f"{'this port is' if len(taken) == 1 else 'these ports are'} taken: {', '.join(map(str, taken))}"
        if sys.platform == "darwin" and 7000 in taken:
            text += " (7000 is AirPlay's on macOS)"
        raise Trouble(f"{text}. Nothing was started; choose others with --base-port")


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("" if host == "*" else host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise Trouble(f"cannot listen on {host}: {os.strerror(error.errno or 0).lower()}") from None
    return True


def _port(name: str) -> int:
    return int(name.rpartition(":")[2])


def _join(options: Options, progress: Progress) -> int:
    """`--join`. Returns the exit code."""
    try:
        new, rows = join(
            options.join,
            options.replicas,
            password=password_given(),
            tell=progress.tell,
            seconds=options.timeout,
        )
    except Trouble as trouble:
        progress.say(f"respcache cluster: {trouble}")
        return 1
    progress.clear()
    lines = [("node", "role", "slots")]
    lines += [(row.address, f"replica of {row.master}" if row.master else "master", row.slots or "-") for row in rows]
    print(columns(lines), f"The cluster {'is made' if new else 'was there already'}, and ok.", sep="\n\n", flush=True)
    return 0
