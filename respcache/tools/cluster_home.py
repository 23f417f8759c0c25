"""The directory of a cluster: DIR/7000, DIR/7001 ..., one for each of its nodes, and cluster.json.

Which nodes there are the directories say, and who they are their own nodes.conf. cluster.json holds only what was
chosen when they were started, so that it need not be given again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from respcache.persistence import disk
from respcache.tools.cluster_options import BUS, Options, read
from respcache.tools.members import SLOTS, Member, count, read_members

NOTES = "cluster.json"
NODES = "nodes.conf"


def ports_in(directory: Path) -> tuple[int, ...]:
    """The ports after which the nodes' directories are named, in order; an empty directory is no node's.

    Raises OSError.
    """
    if not directory.exists():
        return ()
    return tuple(
        sorted(
            int(place.name)
            for place in directory.iterdir()
            if place.name.isascii()
            and place.name.isdigit()
            and 0 < int(place.name) <= 65535 - BUS
            and place.is_dir()
            and next(place.iterdir(), None)
        )
    )


def id_in(place: Path) -> str:
    """The id of the node whose directory this is; empty if it has none yet."""
    return next((member.id for member in _members(place) if "myself" in member.flags), "")


def appending(place: Path, wanted: str | None, folder: str = "appendonlydir", dump: str = "dump.rdb") -> str | None:
    """The `appendonly` with which a node is started so that it loads what it has; `wanted` is the directive.

    A server with `appendonly yes` looks into its log only, and begins empty if there is none, one with `no` only into
    its RDB file. So a node with an RDB file alone is started without, to be switched on later (CONFIG SET); and one
    of which nobody said anything, as it was started by hand, is started with it if its log is the newer.
    """
    logs = [file.stat().st_mtime for file in (place / folder).glob("*") if file.is_file()]
    saved = (place / dump).stat().st_mtime if (place / dump).exists() else None
    if wanted == "yes" and not logs and saved is not None:
        return "no"
    if wanted is None and logs and (saved is None or max(logs) >= saved):
        return "yes"
    return wanted


def _members(place: Path) -> list[Member]:
    """Whom a node knew when it wrote nodes.conf: the lines of CLUSTER NODES, and one that begins with `vars`."""
    with contextlib.suppress(OSError, ValueError):
        lines = (place / NODES).read_text(errors="replace").splitlines()
        return read_members("\n".join(line for line in lines if not line.startswith("vars ")))
    return []


def recall(options: Options) -> Options:
    """The options completed by what the directory holds; `found` are its nodes, none if the cluster is to be made.

    Raises ValueError if some were given that contradict what it holds, OSError if it cannot be read.
    """
    if options.directory is None:
        return options
    found = ports_in(options.directory)
    held = _read(options.directory / NOTES)
    if held is None:
        if _is_unfinished(options, found):
            return options
        held = replace(options, base_port=found[0])
    if found:
        _agree(options, held, len(found))
    kept = {name: getattr(held, name) for name in _kept(options)}
    if found and "nodes" not in options.given:
        kept["nodes"] = len(found)
    named = {words[0].lower() for words in options.extra}
    extra = tuple(words for words in held.extra if words[0].lower() not in named)
    return replace(options, **kept, extra=extra + options.extra, found=found)


def _is_unfinished(options: Options, found: tuple[int, ...]) -> bool:
    """Whether there is nothing, or what a first start with these options leaves that was broken off."""
    assert options.directory is not None
    if not {*found} <= {*options.ports}:
        return False
    whole = any(
        sum(count(member.slots) for member in _members(options.directory / str(port))) == SLOTS for port in found
    )
    return len(found) == options.nodes or not whole


def _kept(options: Options) -> Iterator[str]:
    """The names of the fields that are taken from the notes, as they were not given."""
    for name in ("nodes", "replicas", "base-port", "bind", "program"):
        if name not in options.given:
            yield name.replace("-", "_")


def _agree(options: Options, held: Options, nodes: int) -> None:
    for name, now, then in (
        ("replicas", options.each, held.each),
        ("base-port", options.base_port, held.base_port),
        ("bind", options.bind, held.bind),
    ):
        if name in options.given and now != then:
            raise ValueError(
                f"{options.directory} holds a cluster with --{name} {then}: leave --{name} out, "
                "or choose another --dir"
            )
    if "nodes" in options.given and options.nodes < nodes:
        raise ValueError(
            f"{options.directory} holds {nodes} nodes: leave --nodes out. To have fewer, remove some from the running "
            "cluster (redis-cli --cluster del-node), stop it, and delete their directories"
        )


def _read(notes: Path) -> Options | None:
    try:
        text = notes.read_text()
    except FileNotFoundError:
        return None
    try:
        held = json.loads(text)
        names = [name for name in ("nodes", "replicas", "base-port", "bind", "program") if held.get(name) is not None]
        made = read([word for name in names for word in (f"--{name}", str(held[name]))])
        directives = tuple(tuple(words) for words in held.get("directives", ()))
        if not all(words and all(isinstance(word, str) for word in words) for words in directives):
            raise ValueError("a directive is no list of words")
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{notes} cannot be read: {error}. Without it the nodes start with the defaults") from None
    return replace(made, extra=directives)


def note(options: Options) -> None:
    """Writes down in the directory, if there is one, what was chosen for its nodes. Raises OSError.

    A power cut leaves the old file or the new one. Nobody else may read it: a password may be among the directives.
    """
    if options.directory is None:
        return
    chosen = {
        "nodes": options.nodes,
        "replicas": options.each,
        "base-port": options.base_port,
        "bind": options.bind,
        "program": shlex.join(options.program) or None,
        "directives": options.extra,
    }
    fd, name = tempfile.mkstemp(prefix=f"{NOTES}.", dir=options.directory)
    try:
        try:
            disk.write_all(fd, json.dumps(chosen, indent=1).encode() + b"\n")
            disk.sync(fd)
        finally:
            disk.close(fd)
        disk.rename(name, str(options.directory / NOTES))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    disk.sync_directory(str(options.directory))
