"""From one Plan to another, as what must be taken away and what must be made; pure, and without the rules.

The kernel has no message for most changes of a link, so a link that changes is made anew, and with it everything that
goes when it goes: the ports of a bridge, the far end of a cable, and every route, neighbour and forwarding entry on it.
A workload keeps its namespace, and the processes in it, as long as it is anywhere in the lab.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from sdn.plan.parts import TABLE, Part
from sdn.plan.state import Fdb, Link, Neighbour, NodeState, Plan, Port, Route, Veth, Vxlan

Device = Veth | Link | Port
D = TypeVar("D", Veth, Link, Port)
E = TypeVar("E", Neighbour, Fdb)

Names = frozenset[str]


class Difference(Struct, frozen=True):
    """`gone` and `come` are nodes of which only what goes and comes is left; nodes without any are left out.

    `removed` and `added` are nodes as a whole, of which everything is in `gone` and `come`.
    """

    gone: Plan
    come: Plan
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def difference(actual: Plan, desired: Plan) -> Difference:
    """What must go and what must come; a node that becomes a Host, or no longer is one, is made anew."""
    kept = [name for name in actual if name in desired and _is_host(actual[name]) == _is_host(desired[name])]
    dead = _dead(actual, {name: desired[name] for name in kept})
    gone = {name: state for name, state in actual.items() if name not in kept}
    come = {name: state for name, state in desired.items() if name not in kept}
    for name in kept:
        if dead[name] or _without_rules(actual[name]) != _without_rules(desired[name]):
            gone[name], come[name] = _parts(actual[name], desired[name], dead[name])
    return Difference(
        gone={name: state for name, state in sorted(gone.items()) if name not in kept or not _is_empty(state)},
        come={name: state for name, state in sorted(come.items()) if name not in kept or not _is_empty(state)},
        removed=tuple(sorted(actual.keys() - set(kept))),
        added=tuple(sorted(desired.keys() - set(kept))),
    )


def _without_rules(state: NodeState) -> tuple[object, ...]:
    """All that is links, or lies on them."""
    return (*_devices(state), state.loopback, state.routes, state.rules, state.neighbours, state.fdb)


def _devices(state: NodeState) -> tuple[tuple[Device, ...], ...]:
    return state.uplinks, state.links, state.ports


def _is_host(state: NodeState) -> bool:
    return state.role == "host"


def _is_empty(state: NodeState) -> bool:
    return state == NodeState(state.name, state.role, ())


def devices(state: NodeState) -> tuple[Device, ...]:
    """All links of a node but `lo`."""
    return (*state.uplinks, *state.links, *state.ports)


def _dead(actual: Plan, desired: Plan) -> dict[str, Names]:
    """The links that go, or change so that they must be made anew; all of those of nodes that go."""
    dead = {name: _changed(state, desired.get(name)) for name, state in actual.items()}
    for name, state in actual.items():
        for uplink in state.uplinks:
            if uplink.name in dead[name]:
                dead[uplink.peer_node].add(uplink.peer_name)
    return {name: frozenset(found) for name, found in dead.items()}


def _changed(state: NodeState, desired: NodeState | None) -> set[str]:
    if desired is not None and _devices(state) == _devices(desired):
        return set()
    wanted = {device.name: _as_made(device) for device in devices(desired)} if desired is not None else {}
    dead = {device.name for device in devices(state) if wanted.get(device.name) != _as_made(device)}
    members: tuple[Link | Port, ...] = (*state.links, *state.ports)
    return dead | {one.name for one in members if isinstance(one, Vxlan | Port) and one.bridge in dead}


def _as_made(device: Device) -> Device:
    """A link without what can change while it is there."""
    if isinstance(device, Port):
        return replace(device, mark=0, zone=0, peers=(), listens=(), command=())
    return device


def _parts(before: NodeState, after: NodeState, dead: Names) -> tuple[NodeState, NodeState]:
    """What goes, without what goes by itself with a link; and what comes."""
    alive = frozenset(device.name for device in devices(before)) - dead
    routes = {TABLE[Part.ROUTE].identity(route) for route in after.routes}
    gone = NodeState(
        before.name,
        before.role,
        tuple(address for address in before.loopback if address not in after.loopback),
        uplinks=tuple(link for link in before.uplinks if link.name in dead),
        links=tuple(link for link in before.links if link.name in dead),
        ports=tuple(port for port in before.ports if port.name in dead),
        routes=tuple(
            route
            for route in before.routes
            if TABLE[Part.ROUTE].identity(route) not in routes and _remains(route, alive)
        ),
        rules=tuple(rule for rule in before.rules if rule not in after.rules),
        neighbours=_lost(before.neighbours, after.neighbours, Part.NEIGHBOUR, alive),
        fdb=_lost(before.fdb, after.fdb, Part.FDB, alive),
    )
    known = frozenset(before.routes)
    come = NodeState(
        after.name,
        after.role,
        tuple(address for address in after.loopback if address not in before.loopback),
        uplinks=tuple(link for link in after.uplinks if link.name not in alive),
        links=tuple(link for link in after.links if link.name not in alive),
        ports=tuple(port for port in after.ports if port.name not in alive),
        routes=tuple(
            route for route in after.routes if route not in known or any(h.dev not in alive for h in route.nexthops)
        ),
        rules=tuple(rule for rule in after.rules if rule not in before.rules),
        neighbours=_fresh(before.neighbours, after.neighbours, alive),
        fdb=_fresh(before.fdb, after.fdb, alive),
    )
    return gone, come


def _remains(route: Route, alive: Names) -> bool:
    """Whether a route is still there when the dead links are gone."""
    return not route.nexthops or any(hop.dev in alive for hop in route.nexthops)


def _lost(before: tuple[E, ...], after: tuple[E, ...], part: Part, alive: Names) -> tuple[E, ...]:
    identity = TABLE[part].identity
    wanted = {identity(entry) for entry in after}
    return tuple(entry for entry in before if entry.dev in alive and identity(entry) not in wanted)


def _fresh(before: tuple[E, ...], after: tuple[E, ...], alive: Names) -> tuple[E, ...]:
    known = frozenset(before)
    return tuple(entry for entry in after if entry not in known or entry.dev not in alive)
