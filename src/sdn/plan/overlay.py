"""The overlay on every Host: tunnels, bridges, routing tables, and the workloads' ports.

A Host carries an Application from the moment it holds one of its endpoints. Routing is distributed: the sender's Host
routes, in a table of the sender's Application that ends in `unreachable`, so the underlay can never be entered from a
workload. What a Host knows grows with its own endpoints, with the members of the l2 Segments of its own Applications,
and with the number of Hosts; never with all endpoints of a routed Segment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface, ip_network

from sdn.model import Application, Endpoint, Placed, Segment, SegmentKind, Workload, connected, family_of
from sdn.plan.addresses import Subnet, parse_all, value_of
from sdn.plan.ids import bridge_name, mac_of, namespace_of, port_name, vxlan_name
from sdn.plan.state import (
    GATEWAY_MAC,
    NOWHERE,
    Bridge,
    Fdb,
    Interface,
    Link,
    MarkRule,
    Neighbour,
    Nexthop,
    Port,
    Route,
    Sink,
    Vxlan,
)
from sdn.plan.topology import link_local

TABLES = 1000
"""The routing table of an Application is its mark plus this."""

LAST = 4_000_000
"""Metric of the unreachable route that ends each table, in case the device of the route before it is gone."""

WORKLOAD_MTU = 1500
_TUNNEL_OVERHEAD = {4: 50, 6: 70}  # bytes of outer Ethernet, IP, UDP and VXLAN headers

MANY_PEERS = 16
"""From so many members on, the workloads of an l2 Segment get permanent neighbours instead of asking by ARP and ND.

Linux keeps at most 1,024 learned neighbours over all namespaces together (net.ipv4.neigh.default.gc_thresh3), which
a Segment of 33 members that all talk to each other would fill.
"""


@dataclass
class HostOverlay:
    """What the overlay adds to one Host, unsorted."""

    links: dict[str, Link] = field(default_factory=dict)
    interfaces: set[Interface] = field(default_factory=set)
    ports: list[Port] = field(default_factory=list)
    routes: set[Route] = field(default_factory=set)
    rules: set[MarkRule] = field(default_factory=set)
    neighbours: set[Neighbour] = field(default_factory=set)
    fdb: set[Fdb] = field(default_factory=set)


class OverlayPlanner:
    """Plans one Host at a time from indexes that are built once. `vteps`: Host → tunnel address, of either family."""

    def __init__(self, placed: Placed, vteps: dict[str, str], mtu: int) -> None:
        self.placed = placed
        self.vteps = vteps
        self.family = placed.model.underlay.family
        self.mtu = min(WORKLOAD_MTU, mtu - _TUNNEL_OVERHEAD[self.family])
        self.applications = {application.name: application for application in placed.model.applications}
        self.connected = connected(placed.model.applications)
        self.segments = {(a.name, s.name): s for a in placed.model.applications for s in a.segments}
        self.slices = placed.slices
        self.members: dict[tuple[str, str], Collection[Endpoint]] = {}
        self.local: dict[str, list[Endpoint]] = defaultdict(list)
        members: dict[tuple[str, str], list[Endpoint]] = defaultdict(list)
        for endpoint in placed.endpoints.values():
            members[endpoint.application, endpoint.segment].append(endpoint)
            self.local[endpoint.host].append(endpoint)
        self.members.update(members)

    @cached_property
    def workloads(self) -> dict[str, Workload]:
        return {workload.key: workload for workload in self.placed.model.workloads}

    @cached_property
    def hosts_of(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """The Hosts that hold members of a Segment."""
        return {key: tuple(sorted({e.host for e in members})) for key, members in self.members.items()}

    @cached_property
    def moved(self) -> dict[tuple[str, str], list[Endpoint]]:
        """Endpoints of routed Segments whose address is outside their Host's slice: each needs its own route."""
        found: dict[tuple[str, str], list[Endpoint]] = defaultdict(list)
        slices = {key: parse_all(prefixes) for key, prefixes in self.slices.items()}
        for key, members in self.members.items():
            if self._segment(key).kind is SegmentKind.ROUTED:
                found[key] = [e for e in members if not is_inside(e, slices.get((*key, e.host), ()))]
        return found

    def _segment(self, key: tuple[str, str]) -> Segment:
        return self.segments[key]

    def visible(self, application: str) -> Iterator[tuple[Application, Segment]]:
        """The Segments with members that an Application's workloads have a path to: its own and its peers'."""
        for name in (application, *sorted(self.connected[application] - {application})):
            for segment in self.applications[name].segments:
                if (name, segment.name) in self.members:
                    yield self.applications[name], segment

    def host(self, name: str) -> HostOverlay:
        """Everything of the overlay on one Host."""
        plan = HostOverlay()
        here = self.local.get(name, [])
        if here:
            plan.links[NOWHERE] = Sink(NOWHERE, f"{NOWHERE}.far", "destinations without a network", self.mtu)
        for application in sorted({endpoint.application for endpoint in here}):
            for owner, segment in self.visible(application):
                self.attach(plan, name, owner, segment)
                plan.routes.update(self.routes(name, self.table(application), owner, segment))
            self._isolate(plan, application)
        for endpoint in here:
            plan.ports.append(self.port(endpoint))
            if not self.is_bridged(endpoint):
                plan.neighbours.update(self.port_neighbours(endpoint))
        return plan

    def port_neighbours(self, endpoint: Endpoint) -> Iterator[Neighbour]:
        """Of the port of a routed Segment's member."""
        for address in endpoint.addresses:
            yield Neighbour(port_name(endpoint.workload), address, endpoint.mac)

    def table(self, application: str) -> int:
        """The routing table of an Application."""
        return TABLES + self.placed.marks[application]

    def is_bridged(self, endpoint: Endpoint) -> bool:
        """Whether it is in an l2 Segment."""
        return self._segment((endpoint.application, endpoint.segment)).kind is SegmentKind.L2

    def _isolate(self, plan: HostOverlay, application: str) -> None:
        """All packets of an Application see its own table and nothing else, not even the Host's own addresses."""
        for family, default in ((4, "0.0.0.0/0"), (6, "::/0")):
            plan.rules.add(MarkRule(self.placed.marks[application], self.table(application), family, application))
            plan.routes.add(Route(self.table(application), default, (Nexthop(NOWHERE),)))
            plan.routes.add(Route(self.table(application), default, kind="unreachable", metric=LAST))

    def attach(self, plan: HostOverlay, host: str, owner: Application, segment: Segment) -> None:
        """The Host's end of a Segment, once."""
        key = (owner.name, segment.name)
        vni = self.placed.vnis[key]
        bridge, tunnel = bridge_name(vni), vxlan_name(vni)
        if tunnel in plan.links:
            return
        label = f"{owner.name}/{segment.name}"
        l2 = segment.kind is SegmentKind.L2
        entry = bridge if l2 else tunnel
        plan.interfaces.add(Interface(entry, self.placed.marks[owner.name], self.placed.zones[owner.name]))
        gateways = tuple(str(g) for g in _gateways(segment))
        if l2:
            plan.links[bridge] = Bridge(bridge, GATEWAY_MAC, label, self.mtu, gateways)
            self._bridge_entries(plan, host, key, bridge, tunnel)
        else:
            self._tunnel_entries(plan, host, key, tunnel)
        # A tunnel end even where all members are local: Hosts of the same Application without a member route into it.
        plan.links[tunnel] = Vxlan(
            tunnel,
            tunnel_mac(host),
            label,
            self.mtu,
            vni,
            self.vteps[host],
            bridge if l2 else "",
            () if l2 else tuple(_single(g) for g in gateways),
        )

    def _bridge_entries(self, plan: HostOverlay, host: str, key: tuple[str, str], bridge: str, tunnel: str) -> None:
        for member in self.members[key]:
            plan.neighbours.update(Neighbour(bridge, address, member.mac) for address in member.addresses)
            plan.fdb.add(self.bridged(member, host, tunnel))

    def bridged(self, member: Endpoint, host: str, tunnel: str) -> Fdb:
        """Where a Host finds the MAC of a member."""
        if member.host == host:
            return Fdb(port_name(member.workload), member.mac)
        return Fdb(tunnel, member.mac, self.vteps[member.host])

    def _tunnel_entries(self, plan: HostOverlay, host: str, key: tuple[str, str], tunnel: str) -> None:
        for other in self.hosts_of[key]:
            if other != host:
                plan.fdb.add(Fdb(tunnel, tunnel_mac(other), self.vteps[other]))
                plan.neighbours.update(self.tunnel_neighbours(key, other, tunnel))

    def tunnel_neighbours(self, key: tuple[str, str], other: str, tunnel: str) -> Iterator[Neighbour]:
        """The tunnel end of another Host, in each family of a routed Segment."""
        for family in {family_of(subnet) for subnet in self._segment(key).subnets}:
            yield Neighbour(tunnel, self._nexthop(other, family), tunnel_mac(other))

    def _nexthop(self, host: str, family: int) -> str:
        """The name of a Host's tunnel end in a routed Segment; it is never looked up beyond its permanent neighbour."""
        return _tunnel_end(host, self.vteps[host], family)

    def routes(self, host: str, table: int, owner: Application, segment: Segment) -> Iterator[Route]:
        """What one Host's table says of a Segment."""
        key = (owner.name, segment.name)
        vni = self.placed.vnis[key]
        l2 = segment.kind is SegmentKind.L2
        for gateway in _gateways(segment):
            local = _single(str(gateway))
            yield Route(table, local, (Nexthop(bridge_name(vni) if l2 else vxlan_name(vni)),), kind="local")
        if l2:
            for member in self.members[key]:
                yield from self.bridge_routes(table, vni, member)
            return
        for other in self.hosts_of[key]:
            if other != host:
                yield from self.slice_routes(table, key, other)
        for member in self.moved[key]:
            if member.host != host:
                yield from self.moved_routes(table, vni, member)
        for member in self.local.get(host, ()):
            if (member.application, member.segment) == key:
                yield from self.port_routes(table, member)

    def bridge_routes(self, table: int, vni: int, member: Endpoint) -> Iterator[Route]:
        """A route for each member, not for the subnet: an address that nobody has is "no route" at once, not an ARP
        request that nobody answers."""
        for address in member.addresses:
            yield Route(table, _single(address), (Nexthop(bridge_name(vni)),))

    def slice_routes(self, table: int, key: tuple[str, str], other: str) -> Iterator[Route]:
        """To what another Host owns of a routed Segment."""
        for prefix in self.slices.get((*key, other), ()):
            yield Route(table, prefix, (self._hop(self.placed.vnis[key], other, prefix),))

    def moved_routes(self, table: int, vni: int, member: Endpoint) -> Iterator[Route]:
        """To a member on another Host that its slices do not say."""
        for address in member.addresses:
            yield Route(table, _single(address), (self._hop(vni, member.host, address),))

    def port_routes(self, table: int, member: Endpoint) -> Iterator[Route]:
        """To a local member of a routed Segment."""
        for address in member.addresses:
            yield Route(table, _single(address), (Nexthop(port_name(member.workload)),))

    def _hop(self, vni: int, host: str, prefix: str) -> Nexthop:
        return Nexthop(vxlan_name(vni), self._nexthop(host, family_of(prefix)), onlink=True)

    def port(self, endpoint: Endpoint) -> Port:
        """The workload's interface."""
        workload = self.workloads[endpoint.workload]
        key = (endpoint.application, endpoint.segment)
        segment, l2 = self._segment(key), self.is_bridged(endpoint)
        lengths = {family_of(subnet): subnet.split("/")[1] for subnet in segment.subnets}
        return Port(
            workload=endpoint.workload,
            namespace=namespace_of(endpoint.workload),
            name=port_name(endpoint.workload),
            mac=endpoint.mac,
            mtu=self.mtu,
            mark=self.placed.marks[endpoint.application],
            zone=self.placed.zones[endpoint.application],
            addresses=tuple(f"{a}/{lengths[6 if ':' in a else 4]}" if l2 else _single(a) for a in endpoint.addresses),
            gateways=tuple(str(g.ip) for g in _gateways(segment) if endpoint.address(g.version)),
            bridge=bridge_name(self.placed.vnis[key]) if l2 else "",
            peers=self.permanent(endpoint) if l2 else (),
            listens=tuple((str(port.protocol), port.number) for port in workload.ports),
            command=workload.command,
        )

    def permanent(self, endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
        """The neighbours that it is told for good, see MANY_PEERS."""
        members = self.members[endpoint.application, endpoint.segment]
        if len(members) < MANY_PEERS:
            return ()
        return tuple((a, m.mac) for m in members if m is not endpoint for a in m.addresses)


def tunnel_mac(host: str) -> str:
    """The MAC of a Host's tunnel ends, the same in every Segment."""
    return mac_of(f"vtep {host}")


@lru_cache(maxsize=1 << 14)
def _tunnel_end(host: str, address: str, family: int) -> str:
    """In IPv4 it is the tunnel's own address. In IPv6 it is link-local, also for the IPv4 routes over an IPv6
    underlay: Linux refuses a global next hop that a route of the underlay covers, `onlink` or not.
    """
    vtep = ip_address(address)
    if vtep.version == family == 4:
        return address
    if vtep.version == 6:  # Hosts of two racks differ in its upper half alone
        return link_local(tunnel_mac(host))
    return str(IPv6Address((0xFE80 << 112) | int(vtep)))


@lru_cache(maxsize=4096)
def _gateways(segment: Segment) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """The gateway of each subnet with its prefix length: the first address."""
    networks = [ip_network(subnet) for subnet in segment.subnets]
    return tuple(ip_interface(f"{network.network_address + 1}/{network.prefixlen}") for network in networks)


def _single(address: str) -> str:
    plain = address.split("/", maxsplit=1)[0]
    return f"{plain}/128" if ":" in plain else f"{plain}/32"


def is_inside(endpoint: Endpoint, slices: Sequence[Subnet]) -> bool:
    """Whether one of the slices holds each of its addresses, so that it needs no route of its own."""
    values = [value_of(address) for address in endpoint.addresses]
    return all(any(family == part.family and value in part for part in slices) for value, family in values)
