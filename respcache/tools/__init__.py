"""`respcache check FILE` and `respcache dump FILE`: what is in an RDB file, and whether it is sound.

Both read a file once, in pieces, and keep one value at a time, or the short strings of one piece, which come
behind what else is in it: a file may be larger than memory.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from respcache.tools.check import check
from respcache.tools.dump import dump
from respcache.tools.reading import SOUND, UNREADABLE


def main(argv: Sequence[str]) -> int:
    """Runs `check` or `dump`, the first of the arguments, and returns the exit code. SystemExit for wrong ones."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "check":
            return check(arguments.file, sys.stdout, sys.stderr)
        return dump(arguments.file, sys.stdout.buffer, sys.stderr, arguments.resp)
    except BrokenPipeError:  # `| head` has seen enough; the interpreter would complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOUND
    except OSError as failure:
        sys.stderr.write(
            f"{failure.filename or arguments.file}: not readable: {failure.strerror or failure}\n"
        )
        return UNREADABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("respcache", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("check", help="say whether an RDB file is sound, and what is in it")
    one.add_argument("file", metavar="FILE")
    one.epilog = "Exit code: 0 sound, 1 damaged, 2 not readable or no RDB file."
    two = commands.add_parser("dump", help="print what is in an RDB file")
    two.add_argument("file", metavar="FILE")
    form = two.add_mutually_exclusive_group(required=True)
    form.add_argument("--json", action="store_true", help="a line of JSON for each key")
    form.add_argument("--resp", action="store_true", help="the commands that make it, for redis-cli --pipe")
    return parser
