"""Random worlds and flows that look for their edges: `@given(placed_and_flow())`.

A world comes from one seed, ten times faster than drawn piece by piece; which of its policies and rules are kept is
drawn, so hypothesis still shrinks a failure to the few that matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from msgspec.structs import replace

from sdn.model import (
    Endpoint,
    Flow,
    Placed,
    ServicePort,
)
from strategies_world import ICMP, SCTP, TCP, UDP, world

T = TypeVar("T")

ASKED = (
    *((TCP, port) for port in (1, 53, 78, 79, 80, 81, 82, 5353, 8078, 8079, 8080, 8081, 65535)),
    *((UDP, port) for port in (52, 53, 54, 80)),
    *((SCTP, port) for port in (9, 79, 80, 81)),
    *((ICMP, 0),) * 3,
)
"""(protocol, port) of flows: each edge of the policies' ranges, and one beyond it."""

KINDS = ("near", "near", "near", "listener", "listener", "service", "service", "any", "nobody")
"""Where flows lead: a workload that can be reached, at a port it listens on, a Service, anybody's address, nobody's."""


@st.composite
def placed_and_flow(draw: DrawFn) -> tuple[Placed, Flow]:
    """One world and one flow in it."""
    placed = draw(worlds())
    return placed, draw(flows(placed))


@st.composite
def placed_and_flows(draw: DrawFn, most: int = 20) -> tuple[Placed, list[Flow]]:
    """One world and several flows."""
    placed = draw(worlds())
    return placed, draw(st.lists(flows(placed), min_size=1, max_size=most))


@st.composite
def worlds(draw: DrawFn) -> Placed:
    """A lab with addresses, policies and services."""
    placed = world(draw(st.integers(0, 2**24 - 1)))
    return thinned(placed, draw(masks(13)), draw(masks(20)) << 20 | draw(masks(20)))


def masks(bits: int) -> SearchStrategy[int]:
    """Most bits set, but shrinking towards none."""
    word = st.integers(0, 2**bits - 1)
    return st.builds(lambda a, b, c: a | b | c, word, word, word)


def thinned(placed: Placed, objects: int, rules: int) -> Placed:
    """Without the policies, services and rules whose bit is 0: what hypothesis shrinks."""
    model = placed.model

    def kept(things: Sequence[T], mask: int) -> tuple[T, ...]:
        return tuple(thing for bit, thing in enumerate(things) if mask >> bit & 1)

    def some(rules_of: tuple[T, ...]) -> tuple[T, ...]:
        nonlocal rules
        chosen = kept(rules_of, rules)
        rules >>= len(rules_of)
        return chosen

    count = len(model.network_policies)
    policies = kept(model.policies, objects)
    network = kept(model.network_policies, objects >> 4)
    services = kept(model.services, objects >> (4 + count))
    model = replace(
        model,
        policies=tuple(replace(policy, rules=some(policy.rules)) for policy in policies),
        network_policies=tuple(replace(p, ingress=some(p.ingress), egress=some(p.egress)) for p in network),
        services=services,
    )
    return replace(placed, model=model)


@st.composite
def flows(draw: DrawFn, placed: Placed) -> Flow:
    """Mostly to where a network leads; also to itself, to foreign Applications, to other families and to nobody."""
    source = placed.endpoints[draw(st.sampled_from(sorted(placed.endpoints)))]
    kind = draw(st.sampled_from(KINDS))
    protocol, port = draw(st.sampled_from(ASKED))
    near = neighbours(placed, source)
    if kind == "service" and (virtual := service_ports(placed, source)):
        address, wanted = draw(st.sampled_from(virtual))
        if draw(st.integers(0, 4)):
            protocol, port = wanted.protocol, wanted.port
        return Flow(source.workload, address, protocol, port)
    if kind in {"near", "listener"} and near:
        target, address = draw(st.sampled_from(near))
        listened = next(w.ports for w in placed.model.workloads if w.key == target)
        if kind == "listener" and listened:
            listener = draw(st.sampled_from(listened))
            protocol, port = listener.protocol, listener.number
        return Flow(source.workload, address, protocol, port)
    owned = sorted({address for endpoint in placed.endpoints.values() for address in endpoint.addresses})
    address = draw(st.sampled_from(nobodys(placed, source, owned) if kind == "nobody" else owned))
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
