"""A live migration taken apart: what is made before, what changes hands at once, and what goes afterwards. Pure.

Everything that says where a workload is names its MAC, its addresses or its port. That is the cut; all else is made
before it, or is no longer needed after it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from sdn.kernel.apply_links import Device, devices, difference
from sdn.plan.narrow import Narrow
from sdn.plan.state import Bridge, Fdb, Firewall, Link, LoadBalancer, Neighbour, NodeState, Plan, Port, Route

Identities = frozenset[tuple[object, ...]]


class Cut(Struct, frozen=True):
    """What says where the workloads are, on one node: before (`home`) and after (`away`); `stale` is only in `home`."""

    home: NodeState
    away: NodeState
    stale: NodeState


class Parts(Struct, frozen=True):
    """One migration: workloads that leave `source` together and arrive at `target` as they are.

    `staged` is what comes without them, `late` what goes when they have left; `cuts` are by node, the target's first,
    since that is where everybody's packets shall arrive.
    """

    source: str
    target: str
    ports: tuple[Port, ...]
    staged: Plan
    cuts: dict[str, Cut]
    late: Plan

    @property
    def owned(self) -> frozenset[tuple[int, str]]:
        """(zone, address) of all that moves."""
        return frozenset((port.zone, address) for port in self.ports for address in port.plain)


def moving(actual: Plan, desired: Plan) -> tuple[str, str, tuple[Port, ...]] | None:
    """From where to where, and which ports, if that is all that happens to any workload or cable; else None."""
    changed = [n for n in actual if n in desired and actual[n] is not desired[n]]
    if actual.keys() != desired.keys() or any(actual[n].uplinks != desired[n].uplinks for n in changed):
        return None
    old, new = (
        {port.namespace: (name, port) for name in changed for port in plan[name].ports} for plan in (actual, desired)
    )
    if old.keys() != new.keys() or any(old[one][1] != new[one][1] for one in old):
        return None
    moved = sorted(one for one in old if old[one][0] != new[one][0])
    ways = {(old[one][0], new[one][0]) for one in moved}
    if len(ways) != 1:
        return None
    ((source, target),) = ways
    return source, target, tuple(new[one][1] for one in moved)


def parts(actual: Plan, desired: Plan, narrow: Narrow | None = None) -> Parts | None:
    """The migration that leads from one plan to the other, None where it takes more than one, or something else.

    `narrow` are nodes without what is alike in both, where somebody knows that.
    """
    found = moving(actual, desired)
    if found is None:
        return None
    source, target, ports = found
    mine = _Mine(ports)
    touched = {name: (actual[name], desired[name]) for name in actual if actual[name] is not desired[name]}
    touched |= narrow or {}
    whole = difference({n: pair[0] for n, pair in touched.items()}, {n: pair[1] for n, pair in touched.items()})
    cuts = {name: _cut(*pair, mine) for name, pair in touched.items()}
    order = sorted(cuts, key=lambda name: (name != target, name != source, name))
    return Parts(
        source,
        target,
        ports,
        staged=_filled({name: mine.others(come) for name, come in whole.come.items()}),
        cuts={name: cuts[name] for name in order if cuts[name].home != cuts[name].away},
        late=_filled({name: mine.others(gone) for name, gone in whole.gone.items()}),
    )


def fenced(state: NodeState, ports: Iterable[Port]) -> NodeState:
    """The state with all rules that these ports need, and without what leads to any of them: nothing passes."""
    names = {port.name for port in ports}
    owned = {(port.zone, address) for port in ports for address in port.plain}
    firewall, balancer = state.firewall or Firewall(), state.loadbalancer or LoadBalancer()
    egress, ingress = (
        tuple(entry for entry in entries if (entry.zone, entry.address) not in owned)
        for entries in (firewall.egress, firewall.ingress)
    )
    return replace(
        state,
        ports=tuple(port for port in state.ports if port.name not in names),
        firewall=replace(firewall, egress=egress, ingress=ingress),
        loadbalancer=replace(balancer, hairpin=tuple(one for one in balancer.hairpin if (one[0], one[1]) not in owned)),
    )


def entries(
    state: NodeState, *, routes: Iterable[Route] = (), neighbours: Iterable[Neighbour] = (), fdb: Iterable[Fdb] = ()
) -> NodeState:
    """A node with these alone."""
    return NodeState(
        state.name, state.role, (), links=(), routes=tuple(routes), neighbours=tuple(neighbours), fdb=tuple(fdb)
    )


class _Mine:
    """What names the workloads that move."""

    def __init__(self, ports: tuple[Port, ...]) -> None:
        self._names = {port.name for port in ports}
        self._macs = {port.mac for port in ports}
        self._prefixes = {f"{a}/{128 if ':' in a else 32}" for port in ports for a in port.plain}

    def is_named(self, entry: Neighbour | Fdb | Route) -> bool:
        """Whether an entry says where one of them is."""
        if isinstance(entry, Fdb):
            return entry.mac in self._macs
        if isinstance(entry, Neighbour):
            return entry.dev in self._names
        return entry.prefix in self._prefixes

    def of(self, state: NodeState) -> NodeState:
        """The entries that say where they are."""
        return entries(
            state,
            routes=filter(self.is_named, state.routes),
            neighbours=filter(self.is_named, state.neighbours),
            fdb=filter(self.is_named, state.fdb),
        )

    def others(self, state: NodeState) -> NodeState:
        """All but their ports and the entries that say where they are."""
        return replace(
            state,
            ports=tuple(port for port in state.ports if port.name not in self._names),
            routes=tuple(one for one in state.routes if not self.is_named(one)),
            neighbours=tuple(one for one in state.neighbours if not self.is_named(one)),
            fdb=tuple(one for one in state.fdb if not self.is_named(one)),
        )


def _cut(before: NodeState, after: NodeState, mine: _Mine) -> Cut:
    """Entries under one identity are replaced; what the second state does not replace has to be taken away."""
    home, away = mine.of(before), mine.of(after)
    return Cut(home, away, _without(home, away))


def _without(state: NodeState, other: NodeState) -> NodeState:
    """What the other state has no entry for. A forwarding entry goes even if it has another one on another device."""
    routes, neighbours, fdb = identities(other)
    return entries(
        state,
        routes=(one for one in state.routes if (one.table, one.prefix, one.metric) not in routes),
        neighbours=(one for one in state.neighbours if (one.dev, one.address) not in neighbours),
        fdb=(one for one in state.fdb if (one.dev, one.mac) not in fdb),
    )


def identities(state: NodeState) -> tuple[Identities, Identities, Identities]:
    """Under what the kernel keeps each route, neighbour and forwarding entry: another one replaces it."""
    return (
        frozenset((route.table, route.prefix, route.metric) for route in state.routes),
        frozenset((one.dev, one.address) for one in state.neighbours),
        frozenset((one.dev, one.mac) for one in state.fdb),
    )


def _filled(plan: Plan) -> Plan:
    return {name: state for name, state in plan.items() if state != NodeState(state.name, state.role, ())}


def tunnels_first(state: NodeState) -> list[Device]:
    """The links of a node in the order in which they are removed."""
    links: list[Link] = sorted(state.links, key=lambda link: isinstance(link, Bridge))
    return [*links, *(one for one in devices(state) if one not in state.links)]
