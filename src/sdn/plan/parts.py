"""A node's state taken apart into things with an identity, and put together again.

One table says for every part where it lies, what identifies a thing of it, and how the plan sorts them. The order of
`Part` is the order in which a node is built: the firewall and the load balancer before anything that they guard, and
last what refers to devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

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
    NodeState,
    Port,
    ProfileChain,
    Route,
    Sink,
    Veth,
    Virtual,
    Vxlan,
)

Identity = tuple[Any, ...]


class Part(StrEnum):
    """The kinds of things on a node, in the order in which they are made; they go in reverse."""

    NODE = "node"
    LOOPBACK = "loopback"
    UPLINK = "uplink"
    FIREWALL = "firewall"
    SET = "set"
    ELEMENT = "element"
    CHAIN = "chain"
    PROFILE = "profile"
    EGRESS = "egress"
    INGRESS = "ingress"
    LOADBALANCER = "load balancer"
    VIRTUAL = "virtual"
    HAIRPIN = "hairpin"
    INTERFACE = "interface"
    LINK = "link"
    RULE = "rule"
    PORT = "port"
    FDB = "fdb"
    NEIGHBOUR = "neighbour"
    ROUTE = "route"


class Role(Struct, frozen=True, gc=False):
    """What a node is; all that changes of a node as such."""

    role: str


class Loopback(Struct, frozen=True, gc=False, order=True):
    """One of the node's own addresses."""

    address: str


class Element(Struct, frozen=True, gc=False, order=True):
    """One member of an address set."""

    set: str
    family: int
    zone: int
    address: str


class Hairpin(Struct, frozen=True, gc=False, order=True):
    """A local backend that may meet itself, the gateway's address that it then sees, and whether policy judges it."""

    zone: int
    address: str
    gateway: str
    judged: bool = True


Thing = (
    NodeState
    | Role
    | Loopback
    | Veth
    | Firewall
    | AddressSet
    | Element
    | Chain
    | ProfileChain
    | Dispatch
    | LoadBalancer
    | Virtual
    | Hairpin
    | Interface
    | Bridge
    | Vxlan
    | Sink
    | MarkRule
    | Port
    | Fdb
    | Neighbour
    | Route
)
"""What can be added, removed or changed. A NodeState is a whole node; Firewall and LoadBalancer stand for the empty
one, whose contents follow; an AddressSet is without its elements, which follow, too."""


class Row(NamedTuple):
    """`things`: of a node, leaving out what another node has exactly so where that saves work."""

    things: Callable[[NodeState, NodeState], Iterable[Any]]
    identity: Callable[[Any], Identity]
    order: Callable[[Any], Any]


def _itself(thing: Any) -> Any:
    return thing


def _name(thing: Any) -> Identity:
    return (thing.name,)


def _uplink_number(veth: Veth) -> Identity:
    """up2 comes before up10."""
    return (len(veth.name), veth.name)


def _fdb_identity(entry: Fdb) -> Identity:
    """A MAC is in one place, except the all-zeros one, which lists every place that unknown frames go to."""
    return (entry.dev, entry.mac, entry.dst if entry.mac == "00:00:00:00:00:00" else "")


def _virtual_identity(virtual: Virtual) -> Identity:
    return (virtual.mark, virtual.address, virtual.protocol, virtual.port)


def _address_order(loopback: Loopback) -> Identity:
    """IPv4 before IPv6."""
    return (":" in loopback.address, loopback.address)


def _elements(state: NodeState, other: NodeState) -> Iterable[Element]:
    """Members of the sets in which the two nodes differ: the others may hold 100,000 addresses."""
    same = {(s.name, s.family): s for s in other.firewall.sets} if other.firewall and other is not state else {}
    for one in state.firewall.sets if state.firewall else ():
        if same.get((one.name, one.family)) != one:
            for zone, address in one.elements:
                yield Element(one.name, one.family, zone, address)


def _of_firewall(field: str) -> Callable[[NodeState, NodeState], Iterable[Any]]:
    return lambda state, other: getattr(state.firewall, field) if state.firewall else ()


def _of_node(field: str) -> Callable[[NodeState, NodeState], Iterable[Any]]:
    return lambda state, other: getattr(state, field)


TABLE: Mapping[Part, Row] = {
    Part.NODE: Row(lambda s, o: (Role(s.role),), lambda t: (), _itself),
    Part.LOOPBACK: Row(lambda s, o: map(Loopback, s.loopback), lambda t: (t.address,), _address_order),
    Part.UPLINK: Row(_of_node("uplinks"), _uplink_number, _uplink_number),
    Part.FIREWALL: Row(lambda s, o: (Firewall(),) if s.firewall else (), lambda t: (), _itself),
    Part.SET: Row(
        lambda s, o: (AddressSet(a.name, a.family, ()) for a in s.firewall.sets) if s.firewall else (),
        lambda t: (t.name, t.family),
        lambda t: (t.name, t.family),
    ),
    Part.ELEMENT: Row(_elements, lambda t: (t.set, t.family, t.zone, t.address), _itself),
    Part.CHAIN: Row(_of_firewall("chains"), _name, _name),
    Part.PROFILE: Row(_of_firewall("profiles"), _name, _name),
    Part.EGRESS: Row(_of_firewall("egress"), lambda t: (t.zone, t.address), _itself),
    Part.INGRESS: Row(_of_firewall("ingress"), lambda t: (t.zone, t.address), _itself),
    Part.LOADBALANCER: Row(lambda s, o: (LoadBalancer(),) if s.loadbalancer else (), lambda t: (), _itself),
    Part.VIRTUAL: Row(
        lambda s, o: s.loadbalancer.virtuals if s.loadbalancer else (), _virtual_identity, _virtual_identity
    ),
    Part.HAIRPIN: Row(
        lambda s, o: (Hairpin(*h) for h in s.loadbalancer.hairpin) if s.loadbalancer else (),
        lambda t: (t.zone, t.address),
        _itself,
    ),
    Part.INTERFACE: Row(_of_node("interfaces"), _name, _itself),
    Part.LINK: Row(_of_node("links"), _name, _name),
    Part.RULE: Row(_of_node("rules"), lambda t: (t.mark, t.family), _itself),
    Part.PORT: Row(_of_node("ports"), _name, _name),
    Part.FDB: Row(_of_node("fdb"), _fdb_identity, _itself),
    Part.NEIGHBOUR: Row(_of_node("neighbours"), lambda t: (t.dev, t.address), _itself),
    Part.ROUTE: Row(_of_node("routes"), lambda t: (t.table, t.prefix, t.metric), _itself),
}

NODE_FIELDS = {
    Part.UPLINK: "uplinks",
    Part.INTERFACE: "interfaces",
    Part.LINK: "links",
    Part.RULE: "rules",
    Part.PORT: "ports",
    Part.FDB: "fdb",
    Part.NEIGHBOUR: "neighbours",
    Part.ROUTE: "routes",
}
"""Part → the field of a NodeState that holds its things as they are."""

FIREWALL_FIELDS = {
    Part.CHAIN: "chains",
    Part.PROFILE: "profiles",
    Part.EGRESS: "egress",
    Part.INGRESS: "ingress",
}
"""The same of a Firewall."""


def with_parts(state: NodeState, parts: Mapping[Part, Iterable[Any]]) -> NodeState:
    """The node with these parts replaced, each sorted as the plan sorts it."""
    things = {part: tuple(sorted(found, key=TABLE[part].order)) for part, found in parts.items()}
    fields: dict[str, Any] = {NODE_FIELDS[part]: found for part, found in things.items() if part in NODE_FIELDS}
    if Part.NODE in things:
        fields["role"] = things[Part.NODE][0].role
    if Part.LOOPBACK in things:
        fields["loopback"] = tuple(loopback.address for loopback in things[Part.LOOPBACK])
    fields["firewall"] = _with_firewall(state.firewall, things)
    fields["loadbalancer"] = _with_loadbalancer(state.loadbalancer, things)
    return msgspec.structs.replace(state, **fields)


def _with_firewall(firewall: Firewall | None, things: Mapping[Part, tuple[Any, ...]]) -> Firewall | None:
    if Part.FIREWALL in things:
        if not things[Part.FIREWALL]:
            return None
        firewall = firewall or Firewall()
    if firewall is None:
        return None
    fields = {FIREWALL_FIELDS[part]: found for part, found in things.items() if part in FIREWALL_FIELDS}
    if Part.SET in things or Part.ELEMENT in things:
        fields["sets"] = _sets(firewall, things)
    return msgspec.structs.replace(firewall, **fields)


def _sets(firewall: Firewall, things: Mapping[Part, tuple[Any, ...]]) -> tuple[AddressSet, ...]:
    """Sets with their members; what is not replaced stays."""
    members: dict[Identity, list[tuple[int, str]]] = {}
    if Part.ELEMENT in things:
        for element in things[Part.ELEMENT]:
            members.setdefault((element.set, element.family), []).append((element.zone, element.address))
    else:
        members = {(one.name, one.family): list(one.elements) for one in firewall.sets}
    return tuple(
        AddressSet(one.name, one.family, tuple(members.get((one.name, one.family), ())))
        for one in things.get(Part.SET, firewall.sets)
    )


def _with_loadbalancer(balancer: LoadBalancer | None, things: Mapping[Part, tuple[Any, ...]]) -> LoadBalancer | None:
    if Part.LOADBALANCER in things:
        if not things[Part.LOADBALANCER]:
            return None
        balancer = balancer or LoadBalancer()
    if balancer is None:
        return None
    return LoadBalancer(
        virtuals=things.get(Part.VIRTUAL, balancer.virtuals),
        hairpin=tuple((h.zone, h.address, h.gateway, h.judged) for h in things[Part.HAIRPIN])
        if Part.HAIRPIN in things
        else balancer.hairpin,
    )
