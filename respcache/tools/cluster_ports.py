"""Whether the ports of a cluster's nodes are free; if not, who has them."""

from __future__ import annotations

import errno
import os
import socket
import sys

from respcache.tools.asking import Asker, Trouble, cli_of, name_of
from respcache.tools.cluster_home import id_in
from respcache.tools.cluster_options import BUS, Options


def check_ports(options: Options, password: str = "") -> None:
    """Raises Trouble if not all ports of all nodes are free, or the address is none of this machine."""
    taken = [port for each in options.ports for port in (each, each + BUS) if not _is_free(options.bind, port)]
    if not taken:
        return
    running = [(port, pid) for port in options.found if port in taken and (pid := _process(options, port, password))]
    if running:
        names = ", ".join(f"{name_of(options.host, port)} (process {pid})" for port, pid in running)
        one = len(running) == 1
        raise Trouble(
            f"{names} {'runs' if one else 'run'} already, with {'its' if one else 'their'} data in "
            f"{options.directory}. Nothing was started; end {'it' if one else 'them'} first, where "
            f"{'it was' if one else 'they were'} started or with {cli_of(options.host, running[0][0])} SHUTDOWN"
        )
    text = f"{'this port is' if len(taken) == 1 else 'these ports are'} taken: {', '.join(map(str, taken))}"
    if sys.platform == "darwin" and 7000 in taken:
        text += " (7000 is AirPlay's on macOS)"
    advice = f"the nodes in {options.directory} need them" if options.found else "choose others with --base-port"
    raise Trouble(f"{text}. Nothing was started; {advice}")


def _process(options: Options, port: int, password: str) -> str:
    """The process id of what listens on this port, if that is the node whose directory we have; else empty."""
    assert options.directory is not None
    try:
        with Asker((options.host, port), password=password, timeout=1.0) as asker:
            if asker.text("CLUSTER", "MYID") != id_in(options.directory / str(port)):
                return ""
            return asker.fields("INFO", "server").get("process_id", "unknown")
    except Trouble:
        return ""


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
