"""What lies between two labs, as events of single workloads; a lab that differs in more than that has to be planned.

What only the scheduler reads (sizes, constraints, maintenance) and what only people assert is no difference.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from sdn.model import Constraints, HostState, Model, Placement, Workload


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

    `workloads` are those of the lab as it is; of `old` everything else counts.
    """
    if _plain(old) != _plain(new):
        return None
    wanted = {workload.key: workload for workload in new.workloads}
    events = [Event(key, None) for key in sorted(workloads.keys() - wanted.keys())]
    changed: list[Event] = []
    for key, workload in wanted.items():
        was = workloads.get(key)
        host, node = placement.hosts.get(key, ""), placement.nodes.get(key, "")
        if was is None:
            continue
        if was is not workload and was != workload and _wiring(was) != _wiring(workload):
            return None
        if (placed.hosts.get(key, ""), placed.nodes.get(key, "")) != (host, node) or was != workload:
            changed.append(Event(key, workload, host, node))
    events += sorted(changed, key=lambda event: event.key)
    for key in sorted(wanted.keys() - workloads.keys()):
        events.append(Event(key, wanted[key], placement.hosts.get(key, ""), placement.nodes.get(key, "")))
    return events


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
