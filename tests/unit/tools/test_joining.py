"""Joining, with nodes that are made up. Real ones are in `tests/integration/test_local_cluster.py`."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from respcache.tools.asking import Asker, Trouble
from respcache.tools.joining import Joining, Late, Row, join


@dataclass
class Net:
    """What all made-up nodes know at once, as no real ones do."""

    nodes: list[Fake] = field(default_factory=list)


class Fake(Asker):
    """A node of cluster mode that answers what joining asks."""

    def __init__(self, net: Net, host: str = "127.0.0.1") -> None:
        self.net = net
        self.id = f"{len(net.nodes):040x}"
        super().__init__((host, 7000 + len(net.nodes)))
        net.nodes.append(self)
        self.known = {self.id}
        self.slots: tuple[int, int] | None = None
        self.master = ""
        self.epoch = 0
        self.keys = 0
        self.info = {"cluster_enabled": "1", "loading": "0", "master_link_status": "up"}
        self.announced = b""
        self.flags: dict[str, str] = {}
        self.unlinked: set[str] = set()
        self.hides: set[str] = set()
        self.said: list[str] = []
        self.trouble: list[Trouble] = []

    def ip(self) -> str:
        assert isinstance(self.address, tuple)
        return self.address[0]

    def ask(self, *words: str | int) -> object:
        if self.trouble:
            raise self.trouble.pop()
        line = " ".join(map(str, words))
        match [str(word) for word in words]:
            case ["INFO", *_]:
                return "".join(f"{name}:{value}\r\n" for name, value in self.info.items()).encode()
            case ["CLUSTER", "INFO"]:
                state = "ok" if sum(node.slots is not None for node in self.net.nodes) else "fail"
                known = f"cluster_known_nodes:{len(self.known)}\r\ncluster_my_epoch:{self.epoch}\r\n"
                return f"cluster_state:{state}\r\n{known}".encode()
            case ["CLUSTER", "NODES"]:
                return "".join(self._line(node) for node in self.net.nodes if node.id in self.known).encode()
            case ["CLUSTER", "SLOTS"]:
                return [
                    [*master.slots, *self._places(master)]
                    for master in self.net.nodes
                    if master.slots and master.id in self.known
                ]
            case ["DBSIZE"]:
                return self.keys
            case ["CONFIG", *_]:
                return [b"cluster-announce-ip", self.announced]
        self.said.append(line)
        match [str(word) for word in words]:
            case ["CLUSTER", "ADDSLOTSRANGE", first, last]:
                self.slots = (int(first), int(last))
            case ["CLUSTER", "SET-CONFIG-EPOCH", number]:
                self.epoch = int(number)
            case ["CLUSTER", "MEET", *_]:
                joined = self.known | self.net.nodes[0].known
                for node in self.net.nodes:
                    if node.id in joined:
                        node.known = joined
            case ["CLUSTER", "REPLICATE", master]:
                self.master = master
            case _:
                raise AssertionError(line)
        return b"OK"

    def _places(self, master: Fake) -> list[list[object]]:
        mine = [node for node in self.net.nodes if master.id in (node.id, node.master) and node.id not in self.hides]
        return [[b"127.0.0.1", 7000, node.id.encode(), []] for node in mine]

    def _line(self, node: Fake) -> str:
        flags = ("myself," if node is self else "") + ("slave" if node.master else "master")
        flags += self.flags.get(node.id, "")
        slots = f" {node.slots[0]}-{node.slots[1]}" if node.slots else ""
        assert isinstance(node.address, tuple)
        port = node.address[1]
        place = f"{node.address[0]}:{port}@{port + 10000}"
        link = "disconnected" if node.id in self.unlinked else "connected"
        return f"{node.id} {place} {flags} {node.master or '-'} 0 0 {node.epoch} {link}{slots}\n"


def made(count: int) -> list[Fake]:
    net = Net()
    return [Fake(net) for _ in range(count)]


def quick(nodes: list[Fake], replicas: int | None = None, seconds: float = 0.0) -> Joining:
    return Joining(nodes, replicas, pause=lambda _: None, seconds=seconds)


def test_six_new_ones() -> None:
    nodes = made(6)
    joining = quick(nodes)
    assert joining.run()
    first = nodes[0]
    assert first.said == ["CLUSTER ADDSLOTSRANGE 0 5460", "CLUSTER SET-CONFIG-EPOCH 1"]
    assert nodes[5].said == [
        "CLUSTER SET-CONFIG-EPOCH 6",
        "CLUSTER MEET 127.0.0.1 7000 17000",
        f"CLUSTER REPLICATE {nodes[2].id}",
    ]
    assert joining.rows()[0] == Row("127.0.0.1:7000", "0-5460", "")
    assert joining.rows()[5] == Row("127.0.0.1:7005", "", "127.0.0.1:7002")


def test_a_second_time_nothing_is_done() -> None:
    nodes = made(6)
    quick(nodes).run()
    said = [len(node.said) for node in nodes]
    assert not quick(nodes).run()
    assert [len(node.said) for node in nodes] == said


@pytest.mark.parametrize("steps", range(14))
def test_broken_off_and_run_again(steps: int) -> None:
    """After any number of commands: the same cluster in the end."""
    nodes = made(6)
    left = iter(range(steps))

    class Broken(Exception):
        pass

    def limited(node: Fake) -> None:
        ask = node.ask

        def asks(*words: str | int) -> object:
            asking = words[0] in ("INFO", "DBSIZE", "CONFIG") or words[1] in ("INFO", "NODES", "SLOTS")
            if not asking and next(left, None) is None:
                raise Broken
            return ask(*words)

        node.ask = asks  # type: ignore[method-assign]

    for node in nodes:
        limited(node)
    with pytest.raises(Broken):
        quick(nodes).run()
    for node in nodes:
        del node.ask
    assert quick(nodes).run()
    for node in nodes:
        assert len(node.said) == len(set(node.said))
    assert [node.master for node in nodes] == ["", "", "", *(node.id for node in nodes[:3])]
    assert not quick(nodes).run()


def test_a_cluster_that_was_changed_is_left_alone() -> None:
    nodes = made(6)
    quick(nodes).run()
    nodes[0].master, nodes[3].master = nodes[3].id, ""
    nodes[0].slots, nodes[3].slots = None, nodes[0].slots
    added = Fake(nodes[0].net)
    for node in nodes[0].net.nodes:
        node.known = nodes[0].known | {added.id}
    assert not quick(nodes).run()


def spoil(nodes: list[Fake], how: str) -> None:
    match how:
        case "keys":
            nodes[1].keys = 1
        case "slots":
            nodes[1].slots = (0, 5)
        case "strangers":
            nodes[1].known = {nodes[1].id, Fake(nodes[1].net).id}
        case "replica":
            nodes[1].master = nodes[2].id
        case "twice":
            nodes[1] = nodes[0]
        case "off":
            nodes[1].info["cluster_enabled"] = "0"
        case "password":
            nodes[1].trouble.append(Trouble("127.0.0.1:7001: NOAUTH Authentication required.", "NOAUTH"))


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("keys", "127.0.0.1:7001: cannot be joined, it holds keys"),
        ("slots", "127.0.0.1:7001: cannot be joined, it has the slots 0-5"),
        ("strangers", "127.0.0.1:7001: cannot be joined, it knows nodes that are not named here"),
        ("replica", "127.0.0.1:7001: cannot be joined, it is a replica of another master"),
        ("twice", "127.0.0.1:7000 and 127.0.0.1:7000 are the same node"),
        ("off", "127.0.0.1:7001: not in cluster mode; start it with --cluster-enabled yes"),
        ("password", "127.0.0.1:7001: NOAUTH Authentication required."),
    ],
)
def test_what_is_refused(how: str, told: str) -> None:
    nodes = made(3)
    spoil(nodes, how)
    with pytest.raises(Trouble) as caught:
        quick(nodes).run()
    assert str(caught.value).startswith(told)
    assert not isinstance(caught.value, Late)
    assert not any(node.said for node in nodes)


def test_a_loopback_address_among_others() -> None:
    net = Net()
    nodes = [Fake(net), Fake(net, "10.0.0.1")]
    with pytest.raises(Trouble, match=r"10\.0\.0\.1:7001 does not reach 127\.0\.0\.1:7000"):
        quick(nodes).run()
    nodes[0].announced = b"10.0.0.2"
    quick(nodes).run()
    assert "CLUSTER MEET 10.0.0.2 7000 17000" in nodes[1].said


def test_too_few_for_the_replicas() -> None:
    with pytest.raises(Trouble, match="2 replicas for each master need at least 3 nodes, not 2"):
        quick(made(2), 2).run()


def test_named_twice() -> None:
    with pytest.raises(Trouble, match="a:1 is named twice"):
        join([("a", 1), ("a", 1)], None, password="", tell=print, seconds=1)


def test_troubles_that_pass() -> None:
    nodes = made(3)
    nodes[0].trouble += [Trouble("refused"), Trouble("LOADING", "LOADING")]
    nodes[1].info["loading"] = "1"
    told: list[str] = []

    def pause(_seconds: float) -> None:
        if "127.0.0.1:7001: loading" in told[-1]:
            nodes[1].info["loading"] = "0"

    assert Joining(nodes, 0, pause=pause, tell=told.append).run()
    assert told[:4] == [
        "waiting for the nodes",
        "waiting for the nodes: LOADING",
        "waiting for the nodes: refused",
        "waiting for the nodes: 127.0.0.1:7001: loading, 0 %",
    ]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("flags", "127.0.0.1:7000 does not reach 127.0.0.1:7001"),
        ("link", "127.0.0.1:7005 has not its master's data yet"),
        (
            "known",
            "127.0.0.1:7004 does not know 127.0.0.1:7002, "
            "which redis-cli -p 7004 CLUSTER MEET 127.0.0.1 7002 mends",
        ),
        ("hidden", "127.0.0.1:7000 does not name 127.0.0.1:7003 to clients yet"),
    ],
)
def test_what_is_not_well_in_time(how: str, told: str) -> None:
    nodes = made(6)
    quick(nodes).run()
    if how == "flags":
        nodes[0].flags[nodes[1].id] = ",fail?"
    elif how == "link":
        nodes[5].info["master_link_status"] = "down"
    elif how == "hidden":
        nodes[0].hides.add(nodes[3].id)
    else:
        nodes[4].known = nodes[4].known - {nodes[2].id}
    with pytest.raises(Late) as caught:
        quick(nodes).run()
    assert str(caught.value) == f"after 0 seconds, see --timeout: {told}"


def resumed(nodes: list[Fake], *, welcome: bool = False, seconds: float = 0.0) -> Joining:
    joining = quick(nodes, seconds=seconds)
    joining.resume(welcome)
    return joining


def test_resuming() -> None:
    nodes = made(6)
    quick(nodes).run()
    said = [len(node.said) for node in nodes]
    joining = resumed(nodes)
    assert [len(node.said) for node in nodes] == said
    assert [row.note for row in joining.rows()] == [""] * 6
    assert joining.remarks() == []


def test_resuming_what_has_forgotten_everything_makes_it_anew() -> None:
    nodes = made(3)
    assert [row.slots for row in resumed(nodes).rows()] == ["0-5460", "5461-10922", "10923-16383"]


def test_a_stranger_is_left_out_or_met() -> None:
    nodes = made(4)
    nodes = [nodes[3], *nodes[:3]]
    quick(nodes[1:]).run()
    joining = resumed(nodes)
    assert [row.note for row in joining.rows()] == ["in no cluster", "", "", ""]
    (remark,) = joining.remarks()
    assert remark.startswith("127.0.0.1:7003 knows none of the others and is in no cluster. To have it in:\n")
    assert "\n  redis-cli -p 7003 CLUSTER MEET 127.0.0.1 7000\n" in remark
    nodes[0].keys = 1
    assert len(resumed(nodes, welcome=True).remarks()) == 1
    nodes[0].keys = 0
    joining = resumed(nodes, welcome=True)
    assert nodes[0].said == ["CLUSTER MEET 127.0.0.1 7000 17000"]
    assert ([row.note for row in joining.rows()], joining.remarks()) == ([""] * 4, [])


def test_one_node_grows() -> None:
    nodes = made(2)
    quick(nodes[:1], 0).run()
    assert [row.slots for row in resumed(nodes, welcome=True).rows()] == ["0-16383", ""]


def test_slots_of_a_node_that_is_not_there() -> None:
    nodes = made(3)
    quick(nodes, 0).run()
    first, second, away = nodes
    assert resumed([first, second]).rows()[2].note == "elsewhere"
    for node in (first, second):
        node.unlinked = {away.id}
    with pytest.raises(Late, match=r"after 0 seconds, .*: \S+:7000 does not reach \S+:7002, which has the"):
        resumed([first, second])
    for node in (first, second):
        node.flags = {away.id: ",fail"}
    joining = quick([first, second], seconds=60)
    with pytest.raises(Late) as caught:
        joining.resume(False)
    assert str(caught.value).startswith("nobody reaches 127.0.0.1:7002, which has the slots 10923-16383. Start what")
    assert joining.rows()[2] == Row("127.0.0.1:7002", "10923-16383", "", "not reached")
    assert joining.remarks() == []


def test_a_replica_that_never_comes_back() -> None:
    nodes = made(6)
    quick(nodes).run()
    for node in nodes[:5]:
        node.flags = {nodes[5].id: ",fail"}
    (remark,) = resumed(nodes[:5]).remarks()
    assert remark.startswith("127.0.0.1:7005, which has no slots, is not reached.")
    assert remark.endswith(f"\n  redis-cli --cluster call 127.0.0.1:7000 CLUSTER FORGET {nodes[5].id}")
