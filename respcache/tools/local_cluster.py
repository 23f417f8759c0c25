"""`respcache cluster`: a cluster on this machine, each node a process, until Ctrl-C; or running nodes, joined."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import respcache
from respcache.tools.asking import PASSWORDS, Asker, Trouble, cli_of, name_of, password_given
from respcache.tools.cluster_home import appending, note, recall
from respcache.tools.cluster_options import DEFAULTS, HELP, Options, check, doubts, read
from respcache.tools.cluster_ports import check_ports
from respcache.tools.joining import Joining, Late, Row, join
from respcache.tools.processes import Ended, Processes, Stopped, supported
from respcache.tools.progress import Progress, columns

LOG = "node.log"
"""The log of a node, in its directory."""

LAST_LINES = 5
"""So much of the log of a node that ended too early is shown."""


def main(words: Sequence[str]) -> int:
    """Runs `cluster` with the words behind it. Returns the exit code: 0, 1 after a failure, 2 for wrong arguments."""
    if words and words[0] in ("-h", "--help", "help"):
        print(HELP)
        return 0
    progress = Progress(sys.stderr)
    try:
        options = recall(read(words))
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
            return LocalCluster(options, directory, progress).run()
    except (Stopped, KeyboardInterrupt):
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
        self._unlogged: set[int] = set()

    def run(self) -> int:
        """Starts the cluster, tells where it is, and watches it until a signal. Returns the exit code.

        Raises Trouble and Ended if it cannot be had, Stopped if a signal comes before it is ready.
        """
        if not supported():
            raise Trouble("this system has no process groups; use the Windows Subsystem for Linux, or docker/")
        for doubt in doubts(self.options):
            self._progress.say(f"Warning: {doubt}")
        check_ports(self.options, self._password)
        program = self._program()
        began = time.monotonic()
        with Processes(self._root if self.options.directory is None else None) as processes:
            try:
                for port in self.options.ports:
                    self._start(processes, program, port)
                rows, well = self._join(processes)
                note(self.options)
                self._progress.clear()
                ready = f"Ready after {time.monotonic() - began:.1f} seconds." if well else "Started, but not ok."
                print(self._table(rows), self._hints(rows), f"{ready} {self._ending()}", sep="\n\n", flush=True)
                return self._watch(processes)
            except Stopped:
                return 0
            except Ended as ended:
                raise Trouble(f"{ended}. {self._last_lines(ended.name)}") from None
            finally:
                self._stop(processes)

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
        if self._appendonly(port) == "no" != self.options.directive("appendonly"):
            self._unlogged.add(port)
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
        words += [word for name, *values in options.extra for word in (f"--{name}", *values)]
        wanted, log = options.directive("appendonly"), self._appendonly(port)
        return words if log == wanted else [*words, "--appendonly", str(log)]

    def _appendonly(self, port: int) -> str | None:
        """`appendonly` with which this node loads what it has."""
        folder = self.options.directive("appenddirname") or "appendonlydir"
        dump = self.options.directive("dbfilename") or "dump.rdb"
        return appending(self._place(port), self.options.directive("appendonly"), folder, dump)

    def _join(self, processes: Processes) -> tuple[list[Row], bool]:
        """Makes a cluster of the nodes, or waits until they are one again. Its rows, and whether it is well."""
        options = self.options
        askers = [Asker((options.host, port), password=self._password) for port in options.ports]
        joining = Joining(
            askers, options.each, pause=processes.pause, tell=self._progress.tell, seconds=options.seconds
        )
        try:
            if options.found:
                joining.wait_answers()
                for asker, port in zip(askers, options.ports, strict=True):
                    if port in self._unlogged:
                        asker.ask("CONFIG", "SET", "appendonly", "yes")
                well = self._resume(joining)
            else:
                well = True
                joining.run()
            return joining.rows(), well
        finally:
            for asker in askers:
                asker.close()

    def _resume(self, joining: Joining) -> bool:
        """Waits for a cluster that was well once. If it does not become so again, its owner is to mend it."""
        well = True
        try:
            joining.resume(welcome="nodes" in self.options.given)
        except Late as late:
            self._progress.say(f"Warning: the cluster is not ok: {late}")
            well = False
        for remark in joining.remarks():
            self._progress.say(f"Warning: {remark}")
        return well

    def _watch(self, processes: Processes) -> int:
        """Sleeps until a signal; tells who has ended, and how it is started again."""
        while processes.names:
            for ended in processes.wait():
                port = _port(ended.name)
                self._progress.say(f"{ended}. Its log: {self._place(port) / LOG}")
                if processes.names:
                    self._progress.say(f"To start it again, in another terminal:\n  {self._again(port)}")
        self._progress.say("All nodes have ended.")
        return 1

    def _again(self, port: int) -> str:
        """The line that starts a node by hand. A password is not shown, but taken from the environment."""
        if self.options.program:
            program = self._program()
        elif Path(sys.argv[0]).name == "respcache":
            program = ["respcache"]
        else:
            program = [sys.executable, "-m", "respcache"]
        words = self.directives(port)
        secrets = {at + 1 for at, word in enumerate(words) if word.lower() in ("--requirepass", "--masterauth")}
        shown = [f'"${PASSWORDS[-1]}"' if at in secrets else shlex.quote(word) for at, word in enumerate(words)]
        return " ".join([shlex.join(program), *shown])

    def _stop(self, processes: Processes) -> None:
        running = len(processes.names)
        if running:
            self._progress.tell(f"stopping {running} {'node' if running == 1 else 'nodes'}")
            well = processes.stop(self._slow)
            self._progress.say("Stopped." if well else "Killed.")

    def _slow(self, names: Sequence[str]) -> None:
        self._progress.say(f"Still waiting for {', '.join(names)}. Ctrl-C once more kills.")

    def _table(self, rows: Sequence[Row]) -> str:
        lines = [("node", "role", "slots", "pid", "directory")]
        for row, port in itertools.zip_longest(rows, self.options.ports):
            role = f"replica of {row.master}" if row.master else "master"
            if port is None:
                lines.append((row.address, role, row.slots or "-", "-", row.note))
            else:
                role = row.note or role
                lines.append((row.address, role, row.slots or "-", str(self._pids[port]), str(self._place(port))))
        return columns(lines)

    def _hints(self, rows: Sequence[Row]) -> str:
        host = self.options.host
        inside = [row for row in rows if not row.note]
        port = _port(inside[0].address)
        secret = ', password="..."' if self._password else ""
        cli = cli_of(host, port).replace("redis-cli", "redis-cli -c", 1)
        text = f'  {"REDISCLI_AUTH=... " if secret else ""}{cli}\n'
        text += f'  python: redis.cluster.RedisCluster("{host}", {port}{secret})'
        if idle := [row.address for row in inside if not row.slots and not row.master]:
            text += f"\n\nWithout slots: {', '.join(idle)}. To give each its share:\n"
            text += f"  redis-cli --cluster rebalance {inside[0].address} --cluster-use-empty-masters"
        return text

    def _ending(self) -> str:
        if self.options.directory is None:
            return "Ctrl-C stops it and removes its data."
        again = f"respcache cluster --dir {shlex.quote(str(self.options.directory))}"
        return f"Ctrl-C stops it; {again} goes on with its data."

    def _place(self, port: int) -> Path:
        return self._root / str(port)

    def _name(self, port: int) -> str:
        return name_of(self.options.host, port)

    def _last_lines(self, name: str) -> str:
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = (self._place(_port(name)) / LOG).read_text(errors="replace").splitlines()
        if not lines:
            return "It has said nothing."
        return "\n".join(["Its log ends:", *(f"  {line}" for line in lines[-LAST_LINES:])])


def environment() -> dict[str, str]:
    """The environment in which `python -P -m respcache` finds this very package, installed or not.

    -P keeps what lies in the working directory from standing in for modules of the same name.
    """
    given = dict(os.environ)
    root = Path(respcache.__file__).resolve().parents[1]
    if root.name not in ("site-packages", "dist-packages"):
        given["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), given.get("PYTHONPATH", "")]))
    return given


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
            seconds=options.seconds,
        )
    except Trouble as trouble:
        progress.say(f"respcache cluster: {trouble}")
        return 1
    progress.clear()
    lines = [("node", "role", "slots")]
    for row in rows:
        role = f"replica of {row.master}" if row.master else "master"
        lines.append((row.address, f"{role}, {row.note}" if row.note else role, row.slots or "-"))
    print(columns(lines), f"The cluster {'is made' if new else 'was there already'}, and ok.", sep="\n\n", flush=True)
    return 0
