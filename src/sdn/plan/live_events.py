"""What lies between two labs, as events of single workloads; a lab that differs in more than that has to be planned.

What only the scheduler reads (sizes, constraints, maintenance) and what only people assert is no difference.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from sdn.model import Constraints, HostState, Model, Placement, Workload
from sdn.model.differing import differing, moved


class Event(Struct, frozen=True, gc=False):
    """A workload is this now, there; None: it is gone. Without a Host it runs nowhere."""

    key: str
    workload: Workload | None
    host: str = ""
    node: str = ""


def events_between(
    old: Model, workloads: Mapping[str, Workload], placed: Placement, new: Model, placement: Placement
) -> list[Event] | None:
    """First those that leave, then those that change, then those that come, each by key; None if that is not all.

    `workloads` are all of `old`, by key.
    """
    if old is not new and _plain(old) != _plain(new):
        return None
    differ = differing(old.workloads, new.workloads)
    gone: list[Event] = []
    changed: list[Event] = []
    come: list[Event] = []
    for key in sorted(differ.keys() | moved(placed.hosts, placement.hosts) | moved(placed.nodes, placement.nodes)):
        was, now = differ.get(key) or (workloads.get(key), workloads.get(key))
        where = placement.hosts.get(key, ""), placement.nodes.get(key, "")
        if was is None or now is None:
            if was is not None:
                gone.append(Event(key, None))
            elif now is not None:
                come.append(Event(key, now, *where))
        elif was is not now and _wiring(was) != _wiring(now):
            return None
        else:
            changed.append(Event(key, now, *where))
    return [*gone, *changed, *come]


def _plain(model: Model) -> tuple[object, ...]:
    """All that a plan is made of but the workloads."""
    underlay = model.underlay
    hosts = [(host.name, host.pods, host.state is HostState.FAILED) for host in underlay.hosts]
    rest = replace(
        model,
        underlay=replace(underlay, hosts=()),
        workloads=(),
        expectations=(),
        constraints=Constraints(),
        running=None,
    )
    return hosts, rest


def _wiring(workload: Workload) -> tuple[object, ...]:
    """What its interface, its addresses and its processes are made of."""
    where = (workload.application, workload.segment, workload.kind, workload.host_network)
    return *where, workload.ip, workload.ports, workload.command
