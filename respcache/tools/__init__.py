"""The tools beside the server, each a word behind `respcache`. A tool is imported when it is asked for.

`check FILE` and `dump FILE`: what is in an RDB or append-only file, and whether it is sound. Both read a file once, in
pieces, and keep one value at a time, or the short strings of one piece, which come behind what else is in it: a file
may be larger than memory.
`cluster`: a cluster on this machine (`local_cluster`). `ping`: whether a server is well.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

WORDS = ("check", "cluster", "dump", "ping")


def main(argv: Sequence[str]) -> int:
    """Runs the tool that the first of the arguments names, one of WORDS, and returns the exit code.

    SystemExit for wrong arguments of `check` and `dump`.
    """
    if argv[0] == "ping":
        from respcache.tools import ping

        return ping.main(argv[1:])
    if argv[0] == "cluster":
        from respcache.tools import local_cluster

        return local_cluster.main(argv[1:])
    return _look(argv)


def _look(argv: Sequence[str]) -> int:
    from respcache.tools.check import Mending, check
    from respcache.tools.dump import dump
    from respcache.tools.reading import SOUND, UNREADABLE

    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "check":
            agree = _agree if not arguments.yes else lambda _: True
            mending = Mending(arguments.fix, arguments.truncate_to_timestamp, agree)
            return check(arguments.file, sys.stdout, sys.stderr, mending)
        return dump(arguments.file, sys.stdout.buffer, sys.stderr, arguments.resp)
    except BrokenPipeError:  # `| head` has seen enough; the interpreter would complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOUND
    except OSError as failure:
        sys.stderr.write(
            f"{failure.filename or arguments.file}: not readable: {failure.strerror or failure}\n"
        )
        return UNREADABLE


def _agree(what: str) -> bool:
    """Asks, on a terminal or not: where there is nobody to answer, the input ends, and that is a no."""
    sys.stdout.write(f"{what}\nContinue? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stdout.write("\n")
    return answer.strip().lower() in ("y", "yes")


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("respcache", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    kinds = (
        "an RDB file, an append-only file, its manifest, or the directory of one; what is in it tells which"
    )
    one = commands.add_parser("check", help="say whether a file is sound, and what is in it")
    one.add_argument("file", metavar="FILE", help=kinds)
    mend = one.add_mutually_exclusive_group()
    mend.add_argument(
        "--fix", action="store_true", help="cut off what is behind the last sound command, after asking"
    )
    mend.add_argument(
        "--truncate-to-timestamp",
        metavar="SECONDS",
        type=int,
        help="cut off what was written after this Unix time, after asking; aof-timestamp-enabled notes the times",
    )
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.epilog = (
        "Exit code: 0 sound, or cut so that it is; 1 damaged or torn, or a part is missing; 2 not readable: "
        "no such file, another kind of file, or values of modules. Only the last of several files is ever cut."
    )
    two = commands.add_parser("dump", help="print what is in a file")
    two.add_argument("file", metavar="FILE", help=kinds)
    form = two.add_mutually_exclusive_group(required=True)
    form.add_argument("--json", action="store_true", help="a line of JSON for each key, and for each command")
    form.add_argument("--resp", action="store_true", help="the commands that make it, for redis-cli --pipe")
    two.epilog = "Exit code: as that of check; what is sound before the damage is printed."
    return parser
