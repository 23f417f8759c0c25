"""Who owns which slot: the claims of other masters, and what follows from them.

The claim with the greater config epoch wins; of two with the same the first one stays. A slot that is on its way to
us changes hands by CLUSTER SETSLOT only.
"""

from __future__ import annotations

from collections.abc import Callable

from respcache.cluster.nodes import Node, View
from respcache.cluster.services import Services, Todo
from respcache.cluster.slots import difference, members
from respcache.log import logger as log


class Ownership:
    """The owners of slots, as others claim them. `follow` makes this node a replica of another one."""

    def __init__(self, view: View, services: Services, follow: Callable[[Node], None]) -> None:
        self._view = view
        self._services = services
        self.follow = follow
        self._given_up: dict[int, Node] = {}
        """Slots that their owner claims no longer. They stay its own, since a slot without owner stops the cluster;
        but anybody may have them, and nobody is told that they are its own."""

    def claim(self, node: Node, epoch: int, slots: bytes | bytearray) -> None:
        """A master says which slots are its own.

        Those that it thereby gets from us are lost: we become its replica if these were our last ones, else their
        keys are deleted.
        """
        view, services = self._view, self._services
        me = view.myself
        ours = me if me.is_master else me.master
        claimed, before = bytes(slots), bytes(node.slots)
        for slot in difference(before, claimed):
            self._given_up[slot] = node
        for slot in [slot for slot, owner in self._given_up.items() if owner is node]:
            if claimed[slot >> 3] & 1 << (slot & 7):
                del self._given_up[slot]
        lost: list[int] = []
        from_us = 0
        changed = False
        for slot in difference(claimed, before):
            owner = view.owners[slot]
            if slot in view.importing or not self._may_have(slot, owner, epoch):
                continue
            if owner is not None and owner is ours:
                from_us += 1
                if owner is me:
                    view.mark_migrating(slot, None)
                    lost.append(slot)
            self._given_up.pop(slot, None)
            view.assign(slot, node)
            changed = True
        if changed:
            services.soon(Todo.STATE | Todo.SAVE)
        if from_us and ours is not None:
            self._lost(ours, node, lost, from_us == len(members(claimed)))

    def _may_have(self, slot: int, owner: Node | None, epoch: int) -> bool:
        return owner is None or owner.config_epoch < epoch or self._given_up.get(slot) is owner

    def _lost(self, ours: Node, node: Node, lost: list[int], all_from_us: bool) -> None:
        """Slots of ours, or of our master, went to another node; `lost` are those that were ours."""
        services = self._services
        if not ours.slot_count and (services.config.cluster_allow_replica_migration or all_from_us):
            log.info("Configuration change detected. Reconfiguring myself as a replica of %s", node.name)
            self.follow(node)
            return
        for slot in lost:
            if services.count_keys(slot):
                services.delete_keys(slot)

    def better_owner(self, node: Node, epoch: int, slots: bytes | bytearray) -> Node | None:
        """The owner, with a greater epoch, of one of the slots that a node claims: the claim is outdated then."""
        for slot in difference(slots, node.slots):
            owner = self._view.owners[slot]
            if owner is not None and owner.config_epoch > epoch and self._given_up.get(slot) is not owner:
                return owner
        return None

    def move(self, node: Node, heir: Node) -> int:
        """Gives all slots of a node to another one that has its data. Returns how many they were."""
        slots = members(node.slots)
        for slot in slots:
            self._given_up.pop(slot, None)
            self._view.assign(slot, heir)
        return len(slots)

    def clear(self) -> None:
        """Forgets what was given up: nobody owns anything any more."""
        self._given_up.clear()
