"""Joining nodes to a cluster, over the ordinary protocol: what `redis-cli --cluster create` does, made repeatable.

Each step looks first whether it is done already. So it may be broken off and run again, and on a cluster that exists
it does nothing but wait until all is well.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from respcache.tools.asking import Asker, Trouble, cli_of, name_of
from respcache.tools.members import SLOTS, Member, Place, count, default_replicas, plan, read_members, shown

_PASSING = frozenset(("", "LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"))
"""Codes of troubles that pass; the empty one is that of a connection."""

PERIOD = 0.1
"""Seconds between two looks."""


class Late(Trouble):
    """The cluster was not well in time. It may still become so."""


@dataclass(frozen=True, slots=True)
class View:
    """What a node says: about itself, and about all that it knows but those it only shakes hands with."""

    me: Member
    members: dict[str, Member]
    state: str
    fresh: bool
    """It knows nobody, not even somebody to shake hands with, and has no epoch yet."""


@dataclass(frozen=True, slots=True)
class Row:
    """A node of the finished cluster, for a table.

    `master` is the address of a replica's master; `note` says what is special: that the node is in no cluster, or was
    not named here and is elsewhere, or not reached.
    """

    address: str
    slots: str
    master: str
    note: str = ""


class Joining:
    """Joins the nodes of `askers`, which are to be addressed by TCP.

    `replicas` for each master; None for `default_replicas`. `pause(seconds)` is called while there is nothing to do
    but wait and may raise to end it all; `tell(text)` says what is being waited for. `seconds` bounds each wait,
    apart from that for a node that loads its data. Its methods raise Trouble; Late if that bound is passed.
    """

    def __init__(
        self,
        askers: Sequence[Asker],
        replicas: int | None = None,
        *,
        pause: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = lambda _text: None,
        seconds: float = 60.0,
    ) -> None:
        self._all = askers
        self._askers = askers
        self._strangers: list[tuple[Asker, View]] = []
        self._replicas = default_replicas(len(askers)) if replicas is None else replicas
        self._pause = pause
        self._tell = tell
        self._seconds = seconds
        self._views: list[View] = []

    def run(self) -> bool:
        """Joins them, or finds them joined, and waits until all is well. Returns whether the cluster is new."""
        self.wait_answers()
        places = self._plan()
        self._look()
        new = not self._is_whole(places)
        if new:
            self._make(places)
        self.wait_well()
        return new

    def wait_answers(self) -> None:
        """Waits until every node answers and has loaded its data."""
        waiting = list(self._askers)

        def missing() -> str:
            while waiting:
                info = waiting[0].fields("INFO")
                if info.get("cluster_enabled") != "1":
                    raise Trouble(f"{waiting[0]}: not in cluster mode; start it with --cluster-enabled yes", "ERR")
                if info.get("loading") == "1":
                    raise Trouble(f"{waiting[0]}: loading, {info.get('loading_loaded_perc', '0')} %", "LOADING")
                waiting.pop(0)
            return ""

        self._wait("waiting for the nodes", missing)

    def resume(self, welcome: bool) -> None:
        """Waits until nodes that were a cluster once, and that answer, are well again.

        Who is in it the nodes say. One that knows none of the others is left out; if `welcome`, it is met if it is
        empty, and becomes a master without slots. Late comes early if nothing here can mend it.
        """
        self._look()
        if not self._part():
            self.run()
            return
        if welcome:
            self._welcome()

        def lacking() -> str:
            why = self._unwell()
            if why and (lost := self._lost()):
                raise Late(lost)
            return why

        self._wait("waiting until the cluster is ok", lacking)

    def _part(self) -> bool:
        """Sets the nodes apart that know nobody; whether there is a cluster that the others are in."""
        core = max(self._views, key=lambda view: (len(view.members), count(view.me.slots)))
        if len(core.members) == 1 and not core.me.slots:
            return False
        apart = {view.me.id for view in self._views if len(view.members) == 1 and view is not core}
        both = [*zip(self._askers, self._views, strict=True)]
        self._strangers = [(asker, view) for asker, view in both if view.me.id in apart]
        self._askers = [asker for asker, view in both if view.me.id not in apart]
        self._views = [view for _, view in both if view.me.id not in apart]
        return True

    def _welcome(self) -> None:
        """Makes the strangers that are empty meet the others."""
        new = [asker for asker, view in self._strangers if not view.me.slots and not asker.ask("DBSIZE")]
        if not new:
            return
        meet = self._meeting_point()
        for asker in new:
            asker.ask("CLUSTER", "MEET", *meet)
        self._askers = [asker for asker in self._all if asker in new or asker in self._askers]
        self._strangers = [(asker, view) for asker, view in self._strangers if asker not in new]
        self._look()
        everyone = {view.me.id for view in self._views}
        self._wait("the nodes are getting to know each other", lambda: self._unknown(everyone))

    def rows(self) -> list[Row]:
        """The nodes, in the order in which they were given, as they were at the end of the last wait; then those
        that belong to them and were not named."""
        views = dict(zip(self._askers, self._views, strict=True))
        apart = dict(self._strangers)
        names = {member.id: _name(member) for member in self._views[0].members.values()}
        names |= {view.me.id: str(asker) for asker, view in views.items()}
        rows = []
        for asker in self._all:
            view = views.get(asker) or apart[asker]
            master = names.get(view.me.master, view.me.master)
            rows.append(Row(str(asker), shown(view.me.slots), master, "in no cluster" if asker in apart else ""))
        for member in self._others():
            note = "elsewhere" if member.linked and not member.is_gone else "not reached"
            rows.append(Row(_name(member), shown(member.slots), names.get(member.master, member.master), note))
        return rows

    def remarks(self) -> list[str]:
        """What somebody should do about nodes that are in no cluster, or never come back."""
        first = self._askers[0]
        assert isinstance(first.address, tuple)
        texts = []
        for asker, _ in self._strangers:
            assert isinstance(asker.address, tuple)
            texts.append(
                f"{asker} knows none of the others and is in no cluster. To have it in:\n"
                f"  {cli_of(*asker.address)} CLUSTER MEET {first.address[0]} {first.address[1]}\n"
                "If it was removed, stop it and delete its directory."
            )
        for member in self._others():
            if not member.slots and (member.is_gone or not member.linked):
                texts.append(
                    f"{_name(member)}, which has no slots, is not reached. If it is never to come back:\n"
                    f"  redis-cli --cluster call {first} CLUSTER FORGET {member.id}"
                )
        return texts

    def _others(self) -> list[Member]:
        """Members that the first node knows and that were not named."""
        named = {view.me.id for view in self._views}
        return [member for member in self._views[0].members.values() if member.id not in named]

    def _lost(self) -> str:
        """Says who of the others is gone with slots that no replica can take over; empty if nobody is."""
        lost = []
        for member in self._others():
            seen = (view.members.get(member.id) for view in self._views)
            heirs = (heir for heir in self._views[0].members.values() if heir.master == member.id)
            gone = all(each is None or each.is_gone for each in seen) and all(heir.is_gone for heir in heirs)
            if member.slots and gone:
                lost.append(f"{_name(member)}, which has the slots {shown(member.slots)}")
        if not lost:
            return ""
        return (
            f"nobody reaches {'; '.join(lost)}. Start what is missing; if it is lost for good, its slots go to the "
            f"others, empty, with\n  redis-cli --cluster fix {self._askers[0]} --cluster-fix-with-unreachable-masters"
        )

    def _plan(self) -> list[Place]:
        try:
            return plan([asker.ip() for asker in self._askers], self._replicas)
        except ValueError as error:
            raise Trouble(str(error)) from None

    def _look(self) -> None:
        """Asks all nodes for their views."""
        self._views = [_view(asker) for asker in self._askers]
        ids = [view.me.id for view in self._views]
        for index, each in enumerate(ids):
            if each in ids[:index]:
                raise Trouble(f"{self._askers[ids.index(each)]} and {self._askers[index]} are the same node", "ERR")

    def _is_whole(self, places: Sequence[Place]) -> bool:
        """Whether the nodes are a cluster, perhaps one that was changed since, and not one that is half made."""
        seen = self._views[0].members
        if not all(view.me.id in seen for view in self._views):
            return False
        if sum(count(member.slots) for member in seen.values()) < SLOTS:
            return False
        as_planned = all(view.me.slots == place.slots for view, place in zip(self._views, places, strict=True))
        idle = any(
            place.master is not None and not view.me.is_replica
            for view, place in zip(self._views, places, strict=True)
        )
        return not (as_planned and idle)

    def _make(self, places: Sequence[Place]) -> None:
        for asker, view, place in zip(self._askers, self._views, places, strict=True):
            self._check(asker, view, place)
        meet = self._meeting_point()
        self._tell("giving out the slots")
        for number, (asker, view, place) in enumerate(zip(self._askers, self._views, places, strict=True), 1):
            if place.slots and not view.me.slots:
                asker.ask("CLUSTER", "ADDSLOTSRANGE", *place.slots[0])
            if view.fresh:
                asker.ask("CLUSTER", "SET-CONFIG-EPOCH", number)
        known = self._views[0].members
        for asker, view in zip(self._askers[1:], self._views[1:], strict=True):
            if view.me.id not in known:
                asker.ask("CLUSTER", "MEET", *meet)
        everyone = {view.me.id for view in self._views}
        self._wait("the nodes are getting to know each other", lambda: self._unknown(everyone))
        for asker, view, place in zip(self._askers, self._views, places, strict=True):
            if place.master is not None and not view.me.is_replica:
                asker.ask("CLUSTER", "REPLICATE", self._views[place.master].me.id)

    def _check(self, asker: Asker, view: View, place: Place) -> None:
        """Raises Trouble if the node is neither empty nor as a run that was broken off has left it."""
        ids = [each.me.id for each in self._views]
        planned = "" if place.master is None else ids[place.master]
        what = ""
        if not view.members.keys() <= set(ids):
            what = "it knows nodes that are not named here; to grow a cluster, use redis-cli --cluster add-node"
        elif view.me.master not in ("", planned):
            what = "it is a replica of another master"
        elif view.me.slots not in ((), place.slots):
            what = f"it has the slots {shown(view.me.slots)}"
        elif not (view.me.slots or view.me.is_replica) and asker.ask("DBSIZE"):
            what = "it holds keys"
        if what:
            raise Trouble(f"{asker}: cannot be joined, {what}", "ERR")

    def _meeting_point(self) -> tuple[str, int, int]:
        """Ip, port and bus port at which the nodes meet the first one."""
        first, me = self._askers[0], self._views[0].me
        announced = first.ask("CONFIG", "GET", "cluster-announce-ip")
        if isinstance(announced, list) and len(announced) == 2 and announced[1]:
            return announced[1].decode(), me.port, me.bus_port
        ip = first.ip()
        assert isinstance(first.address, tuple)
        if ipaddress.ip_address(ip).is_loopback:
            others = (asker for asker in self._askers if not ipaddress.ip_address(asker.ip()).is_loopback)
            if other := next(others, None):
                raise Trouble(f"{other} does not reach {first}: name it by another address than the loopback's", "ERR")
        return ip, first.address[1], me.bus_port

    def _unknown(self, everyone: set[str]) -> str:
        self._look()
        for asker, view in zip(self._askers, self._views, strict=True):
            if lacking := everyone - view.members.keys():
                return f"{asker} knows {len(everyone) - len(lacking)} of {len(everyone)}"
        return ""

    def wait_well(self) -> None:
        """Waits until all agree who has which slots, no named node is failed, and the replicas serve.

        A node names a replica to clients when that has told it an offset that is not 0: after the first write of its
        master, or the first PING, within `repl-ping-replica-period`. The first node, at which most clients begin, is
        waited for; the others follow within seconds.
        """
        self._wait("waiting until the cluster is ok", self._unwell)

    def _unwell(self) -> str:
        self._look()
        first = {member.shape for member in self._views[0].members.values()}
        names = {view.me.id: str(asker) for asker, view in zip(self._askers, self._views, strict=True)}
        for asker, view in zip(self._askers, self._views, strict=True):
            for member in view.members.values():
                if member.id in names and member.is_gone:
                    return f"{asker} does not reach {names[member.id]}"
                if member.slots and member.id not in names and (member.is_gone or not member.linked):
                    return f"{asker} does not reach {_name(member)}, which has the slots {shown(member.slots)}"
            if view.state != "ok":
                return f"{asker} says cluster_state:{view.state}"
            if missing := names.keys() - view.members.keys():
                return self._not_known(asker, min(missing))
            if {member.shape for member in view.members.values()} != first:
                return f"{asker} does not agree with {self._askers[0]}"
        for asker, view in zip(self._askers, self._views, strict=True):
            if view.me.is_replica and asker.fields("INFO", "replication").get("master_link_status") != "up":
                return f"{asker} has not its master's data yet"
        if hidden := _replicas(self._views[0]) & names.keys() - _listed(self._askers[0]):
            return f"{self._askers[0]} does not name {names[min(hidden)]} to clients yet"
        return ""

    def _not_known(self, asker: Asker, missing: str) -> str:
        other = next(each for each, view in zip(self._askers, self._views, strict=True) if view.me.id == missing)
        assert isinstance(asker.address, tuple)
        assert isinstance(other.address, tuple)
        meet = f"{cli_of(*asker.address)} CLUSTER MEET {other.address[0]} {other.address[1]}"
        return f"{asker} does not know {other}, which {meet} mends"

    def _wait(self, what: str, lacking: Callable[[], str]) -> None:
        """Calls `lacking` until it returns an empty text, bearing with troubles that pass. Raises Late."""
        deadline = time.monotonic() + self._seconds
        self._tell(what)
        while True:
            try:
                why = lacking()
            except Late:
                raise
            except Trouble as trouble:
                if trouble.code not in _PASSING:
                    raise
                why = str(trouble)
                if trouble.code == "LOADING":
                    deadline = time.monotonic() + self._seconds
            if not why:
                return
            if time.monotonic() > deadline:
                raise Late(f"after {self._seconds:g} seconds, see --timeout: {why}")
            self._tell(f"{what}: {why}")
            self._pause(PERIOD)


def _view(asker: Asker) -> View:
    info = asker.fields("CLUSTER", "INFO")
    try:
        members = read_members(asker.text("CLUSTER", "NODES"))
        me = next(member for member in members if "myself" in member.flags)
    except (ValueError, StopIteration):
        raise Trouble(f"{asker}: an unexpected reply to CLUSTER NODES", "ERR") from None
    known = {member.id: member for member in members if "handshake" not in member.flags}
    fresh = (info.get("cluster_known_nodes"), info.get("cluster_my_epoch")) == ("1", "0")
    return View(me, known, info.get("cluster_state", "fail"), fresh)


def _name(member: Member) -> str:
    """The address of a node, its id if it has lost that."""
    return name_of(member.ip, member.port) if member.ip else member.id


def _replicas(view: View) -> set[str]:
    """Ids of the replicas whose masters have slots."""
    masters = {member.id for member in view.members.values() if member.slots}
    return {member.id for member in view.members.values() if member.master in masters}


def _listed(asker: Asker) -> set[str]:
    """Ids of the nodes that CLUSTER SLOTS names: each row is a first and a last slot, and nodes (ip, port, id, ...)."""
    try:
        rows: Any = asker.ask("CLUSTER", "SLOTS")
        return {node[2].decode() for _, _, *nodes in rows for node in nodes}
    except (TypeError, ValueError, IndexError, AttributeError):
        raise Trouble(f"{asker}: an unexpected reply to CLUSTER SLOTS", "ERR") from None


def join(
    addresses: Sequence[tuple[str, int]],
    replicas: int | None,
    *,
    password: str,
    tell: Callable[[str], None],
    seconds: float,
) -> tuple[bool, list[Row]]:
    """`Joining.run` for addresses: whether the cluster is new, and its rows. Raises Trouble."""
    names = [name_of(*address) for address in addresses]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Trouble(f"{name} is named twice")
    askers = [Asker(address, password=password) for address in addresses]
    try:
        joining = Joining(askers, replicas, tell=tell, seconds=seconds)
        return joining.run(), joining.rows()
    finally:
        for asker in askers:
            asker.close()
