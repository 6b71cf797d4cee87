"""What lies between two labs, as events of single workloads, policies and Services; a lab that differs in more than
that has to be planned.

What only the scheduler reads (sizes, constraints, maintenance) and what only people assert is no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from sdn.model import Constraints, HostState, Model, NetworkPolicy, Placement, Policy, Service, Workload
from sdn.model.differing import T, differing, differing_by, moved


class Event(Struct, frozen=True, gc=False):
    """A workload is this now, there; None: it is gone. Without a Host it runs nowhere."""

    key: str
    workload: Workload | None
    host: str = ""
    node: str = ""


class Written(Struct, frozen=True):
    """Policies and Services that are no more, and that are new; one that changes is both."""

    gone: tuple[NetworkPolicy | Policy, ...] = ()
    come: tuple[NetworkPolicy | Policy, ...] = ()
    services_gone: tuple[Service, ...] = ()
    services_come: tuple[Service, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, (self.gone, self.come, self.services_gone, self.services_come)))


def written_between(old: Model, new: Model) -> Written | None:
    """What was written otherwise beside the workloads; None if that is not all."""
    if old is new:
        return Written()
    if _plain(old) != _plain(new) or (old.underlay is not new.underlay and _hosts(old) != _hosts(new)):
        return None
    networks = _sides(old.network_policies, new.network_policies, lambda one: f"{one.namespace}/{one.name}")
    policies = _sides(old.policies, new.policies, lambda one: one.name)
    services = _sides(old.services, new.services, lambda one: one.key)
    return Written((*networks[0], *policies[0]), (*networks[1], *policies[1]), *services)


def _sides(before: Sequence[T], after: Sequence[T], key: Callable[[T], str]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """What is no more, and what is new."""
    pairs = differing_by(before, after, key).values()
    return tuple(old for old, _ in pairs if old is not None), tuple(new for _, new in pairs if new is not None)


def events_between(
    old: Model, workloads: Mapping[str, Workload], placed: Placement, new: Model, placement: Placement
) -> list[Event] | None:
    """First those that leave, then those that change, then those that come, each by key; None if that is not all.

    `workloads` are all of `old`, by key. What `written_between` tells is no event.
    """
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


def _hosts(model: Model) -> list[tuple[object, ...]]:
    """What a plan is made of about Hosts."""
    return [(host.name, host.pods, host.state is HostState.FAILED) for host in model.underlay.hosts]


def _plain(model: Model) -> Model:
    """All else that it is made of, but workloads, policies and Services."""
    return replace(
        model,
        underlay=replace(model.underlay, hosts=()),
        workloads=(),
        network_policies=(),
        policies=(),
        services=(),
        expectations=(),
        constraints=Constraints(),
        running=None,
    )


def _wiring(workload: Workload) -> tuple[object, ...]:
    """What its interface, its addresses and its processes are made of."""
    where = (workload.application, workload.segment, workload.kind, workload.host_network)
    return *where, workload.ip, workload.ports, workload.command
