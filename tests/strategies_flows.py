"""Random flows of a world, made from a seeded `Dice`, that look for the edges of its policies."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from sdn.model import Endpoint, Flow, Placed, ServicePort
from strategies_words import ICMP, SCTP, TCP, UDP, Dice

ASKED = (
    *((TCP, port) for port in (1, 53, 78, 79, 80, 81, 82, 5353, 8078, 8079, 8080, 8081, 65535)),
    *((UDP, port) for port in (52, 53, 54, 80)),
    *((SCTP, port) for port in (9, 79, 80, 81)),
    *((ICMP, 0),) * 3,
)
"""(protocol, port) of flows: each edge of the policies' ranges, and one beyond it."""

KINDS = ("near", "near", "near", "listener", "listener", "service", "service", "any", "nobody")
"""Where flows lead: a workload that can be reached, at a port it listens on, a Service, anybody's address, nobody's."""


def flow(dice: Dice, placed: Placed) -> Flow:
    """Mostly to where a network leads; also to itself, to foreign Applications, to other families and to nobody."""
    source = placed.endpoints[dice.pick(sorted(placed.endpoints))]
    kind = dice.pick(KINDS)
    protocol, port = dice.pick(ASKED)
    near = neighbours(placed, source)
    if kind == "service" and (virtual := service_ports(placed, source)):
        address, wanted = dice.pick(virtual)
        if not dice.one_in(5):
            protocol, port = wanted.protocol, wanted.port
        return Flow(source.workload, address, protocol, port)
    if kind in {"near", "listener"} and near:
        target, address = dice.pick(near)
        listened = next(w.ports for w in placed.model.workloads if w.key == target)
        if kind == "listener" and listened:
            listener = dice.pick(listened)
            protocol, port = listener.protocol, listener.number
        return Flow(source.workload, address, protocol, port)
    owned = sorted({address for endpoint in placed.endpoints.values() for address in endpoint.addresses})
    address = dice.pick(nobodys(placed, source, owned) if kind == "nobody" else owned)
    return Flow(source.workload, address, protocol, port)


def nobodys(placed: Placed, source: Endpoint, owned: list[str]) -> list[str]:
    """Addresses that nobody has: outside, of Services that are not there, gateways, and those beside workloads'."""
    within = near_applications(placed, source)
    subnets = [
        ip_network(n) for a in placed.model.applications if a.name in within for s in a.segments for n in s.subnets
    ]
    gateways = [str(subnet[1]) for subnet in subnets]
    beside = {str(ip_address(address) + offset) for address in owned for offset in (-1, 1)}
    return ["203.0.113.7", "2001:db8::7", "10.96.0.200", "fd00:10:96::200", *gateways, *sorted(beside - set(owned))]


def neighbours(placed: Placed, source: Endpoint) -> list[tuple[str, str]]:
    """(workload, address) of everybody else whom a network leads to, in a family that the source has."""
    within = near_applications(placed, source)
    return [
        (endpoint.workload, address)
        for endpoint in placed.endpoints.values()
        if endpoint is not source and endpoint.application in within
        for address in endpoint.addresses
        if source.address(6 if ":" in address else 4)
    ]


def service_ports(placed: Placed, source: Endpoint) -> list[tuple[str, ServicePort]]:
    """(address, port) of the Services that the source can see, in a family that it has."""
    within = near_applications(placed, source)
    return [
        (address, port)
        for s in placed.model.services
        if s.application in within
        for address in s.addresses
        if source.address(6 if ":" in address else 4)
        for port in s.ports
    ]


def near_applications(placed: Placed, source: Endpoint) -> set[str]:
    """Its own, and those connected to it."""
    own = source.application
    connected = {a.name for a in placed.model.applications if own in a.connects}
    return {own, *connected, *(name for a in placed.model.applications if a.name == own for name in a.connects)}


def host_flow(dice: Dice, placed: Placed) -> Flow:
    """From a Host in some Application: mostly to who is in it, on that Host or another; also to anybody and nobody."""
    target = placed.endpoints[dice.pick(sorted(placed.endpoints))]
    owned = sorted({address for endpoint in placed.endpoints.values() for address in endpoint.addresses})
    services = [address for service in placed.model.services for address in service.addresses]
    address = {
        "its": dice.pick(target.addresses),
        "any": dice.pick(owned),
        "nobody": dice.pick([*nobodys(placed, target, owned), *services]),
    }[dice.pick(("its", "its", "its", "any", "nobody"))]
    hosts = sorted(host.name for host in placed.model.underlay.hosts)
    protocol, port = dice.pick(ASKED)
    return Flow(dice.pick((target.host, *hosts)), address, protocol, port, target.application)
