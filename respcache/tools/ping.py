"""`respcache ping`: whether a server is well, as an exit code, for the health checks of containers and services."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from respcache.tools.asking import Asker, Trouble, password_given

TIMEOUT = 3.0

HELP = """\
Usage: respcache ping [HOST:PORT | -h HOST -p PORT | --unix PATH] [--timeout 3] [--loading-ok]

Asks a server PING. Exit code 0: it answered PONG; 1: it did not, and standard error has the reason in one line; 2: the
arguments make no sense.

  -h 127.0.0.1     host
  -p 6379          port
  --unix PATH      a Unix socket instead
  --timeout 3      seconds for each step: connecting, and each answer
  --loading-ok     a server that is still loading its data is well, too
  --help           print this help

The password is taken from the environment: RESPCACHE_PASSWORD, or REDISCLI_AUTH."""

_VALUES = {"-h": "host", "--host": "host", "-p": "port", "--port": "port", "--unix": "unix", "--timeout": "timeout"}


def main(words: Sequence[str]) -> int:
    """Runs `ping` with the words behind it. Returns the exit code: 0 well, 1 not, 2 for wrong arguments."""
    if "--help" in words:
        print(HELP)
        return 0
    try:
        asker, loading_ok = read(words)
    except ValueError as error:
        sys.stderr.write(f"respcache ping: {error}; see respcache ping --help\n")
        return 2
    with asker:
        try:
            reply = asker.ask("PING")
        except Trouble as trouble:
            if loading_ok and trouble.code == "LOADING":
                return 0
            sys.stderr.write(f"{trouble}\n")
            return 1
    if reply != b"PONG":
        sys.stderr.write(f"{asker}: PING was answered with {reply!r}\n")
        return 1
    print("PONG")
    return 0


def read(words: Sequence[str]) -> tuple[Asker, bool]:
    """Whom to ask, and whether one that loads is well. Raises ValueError with a text for people.

    Written out, as argparse takes longer to import than the rest of the program to run.
    """
    given = {"host": "127.0.0.1", "port": "6379", "unix": "", "timeout": str(TIMEOUT)}
    told = set()
    loading_ok = False
    rest = iter(words)
    for word in rest:
        if word == "--loading-ok":
            loading_ok = True
        elif word in _VALUES:
            value = next(rest, None)
            if value is None:
                raise ValueError(f"{word} wants a value")
            given[_VALUES[word]] = value
            told.add(_VALUES[word])
        elif ":" in word and "/" not in word and not told & {"host", "port"}:
            host, _, given["port"] = word.rpartition(":")
            given["host"] = host.removeprefix("[").removesuffix("]")
            told |= {"host", "port"}
        else:
            raise ValueError(f"unknown argument {word!r}")
    if "unix" in told and told & {"host", "port"}:
        raise ValueError("--unix stands for host and port")
    try:
        timeout = float(given["timeout"])
    except ValueError:
        timeout = 0.0
    if not 0 < timeout < 1e6:
        raise ValueError(f"bad timeout {given['timeout']!r}")
    if not (given["port"].isascii() and given["port"].isdigit() and 0 < int(given["port"]) < 65536):
        raise ValueError(f"bad port {given['port']!r}")
    address = given["unix"] or (given["host"], int(given["port"]))
    return Asker(address, password=password_given(), timeout=timeout), loading_ok
