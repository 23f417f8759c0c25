"""Which files to look into: what kind a file is, is told by what is in it, and a manifest names others."""

from __future__ import annotations

import os
from dataclasses import dataclass

from respcache.persistence.aof_manifest import parse
from respcache.tools.reading import MAGIC

_HEAD = 4096


class LayoutError(ValueError):
    """There is nothing to look into, or not only one thing."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Files in the order in which a server would load them."""

    files: list[str]
    """Their paths."""
    manifest: str | None
    """The path of the manifest that names them."""
    log: bool
    """Whether they make up an append-only file; else there is one RDB file, perhaps with commands behind it."""


def find(path: str) -> Layout:
    """What there is at a path: an RDB file, an append-only file or its manifest, or a directory with one manifest.

    Raises OSError, LayoutError, and ManifestError if there is a manifest that makes no sense.
    """
    if os.path.isdir(path):
        names = [
            name for name in sorted(os.listdir(path)) if name.endswith(".manifest") and name[:5] != "temp-"
        ]
        if len(names) != 1:
            raise LayoutError(
                f"{path}: {len(names) or 'no'} manifests are in this directory, there should be one"
            )
        path = os.path.join(path, names[0])
    with open(path, "rb") as file:
        head = file.peek(_HEAD)[:_HEAD]
        if head.startswith(MAGIC):
            return Layout([path], None, log=False)
        first = next((line for line in head.split(b"\n") if not line.startswith(b"#")), b"")
        if first.startswith(b"*") or (path.endswith(".aof") and not first.startswith(b"file ")):
            return Layout([path], None, log=True)
        if not first.startswith(b"file ") and not path.endswith(".manifest"):
            if not first and head.startswith(b"#") and head.endswith(b"\n"):
                return Layout([path], None, log=True)  # nothing but notes
            raise LayoutError(f"{path}: not readable: this is no RDB file, append-only file or manifest")
        manifest = parse(file.read(), os.path.basename(path).removesuffix(".manifest"), path)
    directory = os.path.dirname(path)
    return Layout([os.path.join(directory, part.name) for part in manifest.parts], path, log=True)
