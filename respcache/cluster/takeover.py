"""A replica takes its master's place: the last step of each way to fail over."""

from __future__ import annotations

from respcache.cluster.nodes import View
from respcache.cluster.sending import Sender
from respcache.cluster.services import Services, Todo
from respcache.cluster.slots import members


def take_over(view: View, services: Services, sender: Sender) -> None:
    """Makes this replica a master with all its master's slots, and tells everybody.

    The caller has seen to its config epoch, which must be greater than the old master's. The old master is not asked:
    it learns it from the PONG, or whenever it comes back. Nothing is done for a node without a master.
    """
    me = view.myself
    master = me.master
    if me.is_master or master is None:
        return
    view.make_master(me)
    services.lead()
    for slot in members(master.slots):
        view.assign(slot, me)
    services.soon(Todo.STATE)
    services.save()
    sender.pong_all()
