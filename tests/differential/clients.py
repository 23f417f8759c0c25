"""Several clients at once, the same on both servers: who is blocked, who is served, who may run a transaction.

A sequence is made of (number of a client, command). Commands are sent one by one; a client that is blocked says
nothing until somebody serves it. After each command both servers must have replied to the same clients, the same.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from hypothesis import strategies as st

from tests.differential.machine import Command, Table
from tests.wire import Error, Pair, Reply, Wire

Turn = tuple[int, Command]

CLIENTS = 4

BLOCKING = frozenset(
    {"BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "XREAD", "XREADGROUP"}
)


def turns(*tables: Table, length: int) -> st.SearchStrategy[list[Turn]]:
    """Sequences of turns."""
    forms = [form for table in tables for form in table]
    turn = st.tuples(st.integers(0, CLIENTS - 1), st.one_of(forms))
    return st.lists(turn, min_size=length * 9 // 10, max_size=length * 11 // 10)


class Side:
    """One server: its clients, and an observer that is never blocked."""

    def __init__(self, observer: Wire) -> None:
        self.observer = observer
        self.clients = [Wire(observer.port, protocol=observer.protocol) for _ in range(CLIENTS)]
        self.ids = [client("CLIENT", "ID") for client in self.clients]
        self.blocked: set[int] = set()

    def close(self) -> None:
        """Closes the clients."""
        for client in self.clients:
            client.close()

    def run(self, number: int, command: Command) -> list[tuple[int, Reply]]:
        """Sends a command of a client that is not blocked. Returns who got which reply, that client first."""
        client = self.clients[number]
        client.send(*command)
        said: list[tuple[int, Reply]] = []
        if command[0] in BLOCKING and self._blocks(number):
            self.blocked.add(number)
        else:
            said.append((number, client.read()))
        return said + self.served()

    def served(self) -> list[tuple[int, Reply]]:
        """Who of the blocked ones has got a reply by now."""
        self.observer("PING")  # when this is replied, all that came before is sent
        served = [(each, self.clients[each].read()) for each in sorted(self.blocked) if self.clients[each].readable]
        self.blocked -= {each for each, _ in served}
        return served

    def _blocks(self, number: int) -> bool:
        """Whether a client that was sent a command now is blocked and not about to reply."""
        client, give_up = self.clients[number], time.monotonic() + 5
        while not client.readable:
            text = _text(self.observer("CLIENT", "LIST", "ID", self.ids[number]))
            if b"b" in dict(field.split(b"=", 1) for field in text.split())[b"flags"]:
                return not client.readable
            assert time.monotonic() < give_up, "neither blocked nor replied"
        return False


def run_turns(pair: Pair, sequence: Sequence[Turn]) -> int:
    """Runs the turns on both servers, from nothing, and compares. Returns how many commands ran."""
    for wire in pair:
        wire("FLUSHALL")
    ours, oracle = Side(pair.ours), Side(pair.oracle)
    history: list[Turn] = []
    try:
        for number, command in sequence:
            if number in oracle.blocked:
                command = ("CLIENT", "UNBLOCK", oracle.ids[number])
                said = [_unblock(side, number) for side in (ours, oracle)]
            else:
                said = [side.run(number, command) for side in (ours, oracle)]
            history.append((number, command))
            assert _same(*said), f"ours: {said[0]}\noracle: {said[1]}\nafter:\n{_shown(history)}"
        assert sorted(pair.ours("KEYS", "*")) == sorted(pair.oracle("KEYS", "*")), _shown(history)
    finally:
        ours.close()
        oracle.close()
        for wire in pair:
            while _text(wire("CLIENT", "LIST")).count(b"\n") > 1:
                time.sleep(0.0002)
    return len(history)


def _text(reply: Reply) -> bytes:
    """A bulk string or a verbatim string."""
    return reply if isinstance(reply, bytes) else bytes(reply.data)


def _unblock(side: Side, number: int) -> list[tuple[int, Reply]]:
    """Has a blocked client stop to wait."""
    side.observer("CLIENT", "UNBLOCK", side.ids[number])
    return side.served()


# Redis 7.0 tells a reader of a group whose stream or group is gone in words of its own.
_GONE = ("UNBLOCKED", "NOGROUP", "WRONGTYPE")


def _same(ours: list[tuple[int, Reply]], oracle: list[tuple[int, Reply]]) -> bool:
    if len(ours) != len(oracle):
        return False
    for (one, mine), (other, theirs) in zip(ours, oracle, strict=True):
        gone = isinstance(mine, Error) and isinstance(theirs, Error) and theirs.text.startswith(_GONE)
        if one != other or (mine != theirs and not gone):
            return False
    return True


def _shown(history: Sequence[Turn]) -> str:
    return "\n".join(f"  {number}: " + " ".join(map(repr, command)) for number, command in history)


