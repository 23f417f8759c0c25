"""HELP of every container, made from the declarations of its subcommands."""

from __future__ import annotations

from textwrap import wrap

from respcache.protocol.reply import array, status
from respcache.registry import Command
from respcache.syntax import parse, usage

_COLUMNS = 72


def help_reply(container: Command) -> bytes:
    """The lines of HELP as statuses: each subcommand with its arguments, what it does indented below."""
    name = container.name.upper()
    lines = [f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    if container.accepts(1):
        lines += ["(no subcommand)", *_indented(container.summary)]
    for subcommand in container.subcommands.values():
        own = subcommand.name.partition("|")[2].upper()
        if own != "HELP":
            lines += [f"{own} {usage(parse(subcommand.syntax))}".rstrip(), *_indented(subcommand.summary)]
    lines += ["HELP", "    Prints this help."]
    return array([status(line.encode()) for line in lines])


def _indented(summary: str) -> list[str]:
    return wrap(f"{summary}.", _COLUMNS, initial_indent="    ", subsequent_indent="    ")
