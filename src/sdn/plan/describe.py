"""One line for each thing of a plan, in the words of `ip`, `bridge` and `nft`, for people who read a delta."""

from __future__ import annotations

from sdn.plan.parts import Element, Hairpin, Loopback, Role, Thing
from sdn.plan.state import (
    AddressSet,
    Bridge,
    Chain,
    Dispatch,
    Fdb,
    Firewall,
    Interface,
    LoadBalancer,
    MarkRule,
    Neighbour,
    Nexthop,
    NodeState,
    Port,
    ProfileChain,
    Route,
    Sink,
    Veth,
    Virtual,
    Vxlan,
)


def title(thing: Thing) -> str:  # noqa: PLR0911 - one line per kind of thing, and mypy sees that none is missing
    """What identifies a thing on its node."""
    match thing:
        case Veth() | Bridge() | Vxlan() | Sink() | Interface() | Chain() | ProfileChain() | Port():
            return thing.name
        case AddressSet():
            return f"{thing.name} (IPv{thing.family})"
        case Loopback():
            return thing.address
        case Element():
            return f"{thing.address} zone {thing.zone} in set {thing.set}"
        case Dispatch() | Hairpin():
            return f"{thing.address} zone {thing.zone}"
        case Virtual():
            return f"{thing.service} {thing.address} {thing.port}/{thing.protocol} mark {thing.mark}"
        case MarkRule():
            return f"fwmark {thing.mark} IPv{thing.family}"
        case Fdb():
            return f"{thing.mac} dev {thing.dev}"
        case Neighbour():
            return f"{thing.address} dev {thing.dev}"
        case Route():
            return f"{thing.prefix} table {thing.table}" + (f" metric {thing.metric}" if thing.metric else "")
        case Role() | Firewall() | LoadBalancer() | NodeState():
            return ""


def detail(thing: Thing) -> str:  # noqa: PLR0911, PLR0912 - as above
    """What about it can change, as far as a line holds it."""
    match thing:
        case NodeState():
            return f"{thing.role} with {len(thing.ports)} ports, {len(thing.links)} links, {len(thing.routes)} routes"
        case Role():
            return thing.role
        case Veth():
            return f"{thing.alias}, mtu {thing.mtu}" + ("" if thing.up else ", down")
        case Sink():
            return thing.alias
        case Bridge():
            return f"{thing.alias}, {' '.join(thing.addresses)}"
        case Vxlan():
            return f"{thing.alias}, id {thing.vni} local {thing.local}"
        case Port():
            return f"{thing.workload} {' '.join(thing.addresses)} {thing.mac}"
        case Interface():
            return f"mark {thing.mark} zone {thing.zone}"
        case Chain():
            return f"{len(thing.rules)} rules"
        case ProfileChain():
            return f"jumps to {', '.join(thing.tiers) or 'nothing'}, then {thing.default}"
        case Dispatch():
            return thing.profile
        case Virtual():
            return ", ".join(f"{b.workload} at {b.address}:{b.port}" for b in thing.backends) or "no backend"
        case Hairpin():
            return f"from {thing.gateway}" + ("" if thing.judged else ", not judged")
        case MarkRule():
            return f"table {thing.table} of {thing.application}"
        case Fdb():
            return f"dst {thing.dst}" if thing.dst else "local"
        case Neighbour():
            return f"lladdr {thing.mac}"
        case Route():
            return " ".join((*_kind(thing), *(_hop(hop) for hop in thing.nexthops)))
        case Firewall() | LoadBalancer() | AddressSet() | Element() | Loopback():
            return ""


def _kind(route: Route) -> tuple[str, ...]:
    return () if route.kind == "unicast" else (route.kind,)


def _hop(hop: Nexthop) -> str:
    return (f"via {hop.via} " if hop.via else "") + f"dev {hop.dev}" + (" onlink" if hop.onlink else "")
