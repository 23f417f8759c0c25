"""`respcache dump`: what is in an RDB file or an append-only file, in a form for other programs."""

from __future__ import annotations

import os
from typing import BinaryIO, TextIO

from respcache.persistence.aof_manifest import ManifestError
from respcache.persistence.source import Source
from respcache.tools.commands import Commands, LogCommands
from respcache.tools.layout import LayoutError, find
from respcache.tools.lines import Lines, LogLines
from respcache.tools.reading import DAMAGED, SOUND, UNREADABLE, LogHandler, Progress, exit_code, read, verdict


def dump(path: str, out: BinaryIO, errors: TextIO, resp: bool) -> int:
    """Writes what is in a file, as far as it can be read, and to `errors` what is wrong. Returns the exit code.

    As commands if `resp`, else as lines of JSON. What a manifest names is taken in the order in which it would be
    loaded; after a file that is damaged no other is looked at. Raises OSError.
    """
    try:
        layout = find(path)
    except LayoutError as error:
        errors.write(f"{error}\n")
        return UNREADABLE
    except ManifestError as error:
        errors.write(f"{path}: damaged: {error}\n")
        return DAMAGED
    entries = Commands(out.write) if resp else Lines(out.write)
    commands: LogHandler = LogCommands(out.write) if resp else LogLines(out.write)
    for name in layout.files:
        if layout.manifest is not None:
            commands.file(os.path.basename(name))
        with open(name, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            # Lines on the same terminal show enough progress.
            progress = Progress(errors, size, errors.isatty() and not out.isatty())
            found = read(Source(file.read, checksum=True), size, entries, commands, progress, layout.log)
        out.flush()
        if found.error is not None:
            errors.write(verdict(name, found.error, size) + "\n")
            return exit_code(found.error)
    return SOUND
