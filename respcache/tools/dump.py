"""`respcache dump`: what is in an RDB file, in a form for other programs."""

from __future__ import annotations

import os
from typing import BinaryIO, TextIO

from respcache.persistence.source import Source
from respcache.tools.commands import Commands
from respcache.tools.lines import Lines
from respcache.tools.reading import Progress, exit_code, read, verdict


def dump(path: str, out: BinaryIO, errors: TextIO, resp: bool) -> int:
    """Writes what is in an RDB file, as far as it can be read, and to `errors` what is wrong. Returns the exit code.

    As commands if `resp`, else as lines of JSON. Raises OSError.
    """
    handler = Commands(out.write) if resp else Lines(out.write)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        source = Source(file.read, checksum=True)
        # Lines on the same terminal show enough progress.
        shown = errors.isatty() and not out.isatty()
        error = read(source, handler, Progress(errors, size, shown))
    out.flush()
    code = exit_code(error, handler, source)
    if error is not None:
        errors.write(verdict(path, code, error, size) + "\n")
    return code
