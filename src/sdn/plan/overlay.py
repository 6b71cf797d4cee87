"""The overlay on every Host: tunnels, bridges, routing tables, and the workloads' ports.

A Host carries an Application from the moment it holds one of its endpoints. Routing is distributed: the sender's Host
routes, in a table of the sender's Application that ends in `unreachable`, so the underlay can never be entered from a
workload. What a Host knows grows with its own endpoints, with the members of the l2 Segments of its own Applications,
and with the number of Hosts; never with all endpoints of a routed Segment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface, ip_network

from sdn.model import Application, Endpoint, Placed, Segment, SegmentKind, Workload, connected, family_of
from sdn.plan.addresses import Subnet, parse_all, value_of
from sdn.plan.addressing import SegmentKey
from sdn.plan.ids import bridge_name, mac_of, namespace_of, port_name, vxlan_name
from sdn.plan.shared import NOTHING, Shared, joined, spliced
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

_METRICS = 1 << 20  # of slices, and all below LAST

WORKLOAD_MTU = 1500
_TUNNEL_OVERHEAD = {4: 50, 6: 70}  # bytes of outer Ethernet, IP, UDP and VXLAN headers

MANY_PEERS = 16
"""From so many members on, the workloads of an l2 Segment get permanent neighbours instead of asking by ARP and ND.

Linux keeps at most 1,024 learned neighbours over all namespaces together (net.ipv4.neigh.default.gc_thresh3), which
a Segment of 33 members that all talk to each other would fill.
"""


@dataclass
class HostOverlay:
    """What the overlay adds to one Host, unsorted; nothing of `without` is there, though others share it."""

    links: dict[str, Link] = field(default_factory=dict)
    interfaces: set[Interface] = field(default_factory=set)
    ports: list[Port] = field(default_factory=list)
    routes: set[Route] = field(default_factory=set)
    rules: set[MarkRule] = field(default_factory=set)
    neighbours: set[Neighbour] = field(default_factory=set)
    fdb: set[Fdb] = field(default_factory=set)
    shared: Shared = NOTHING
    without: set[Route | Neighbour | Fdb] = field(default_factory=set)

    def all_routes(self) -> tuple[Route, ...]:
        """Sorted, as are the others."""
        return spliced(self.shared.routes, (one for one in self.without if isinstance(one, Route)), self.routes)

    def all_neighbours(self) -> tuple[Neighbour, ...]:
        gone = (one for one in self.without if isinstance(one, Neighbour))
        return spliced(self.shared.neighbours, gone, self.neighbours)

    def all_fdb(self) -> tuple[Fdb, ...]:
        return spliced(self.shared.fdb, (one for one in self.without if isinstance(one, Fdb)), self.fdb)


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
        self.members: dict[SegmentKey, Collection[Endpoint]] = {}
        self.local: dict[str, list[Endpoint]] = defaultdict(list)
        members: dict[SegmentKey, list[Endpoint]] = defaultdict(list)
        for endpoint in placed.endpoints.values():
            members[endpoint.application, endpoint.segment].append(endpoint)
            self.local[endpoint.host].append(endpoint)
        self.members.update(members)
        self._shared: dict[tuple[str, ...], Shared] = {}
        self._entries: dict[SegmentKey, tuple[tuple[Neighbour, ...], tuple[Fdb, ...]]] = {}
        self._routes: dict[SegmentKey, dict[int, tuple[Route, ...]]] = {}

    @cached_property
    def workloads(self) -> dict[str, Workload]:
        return {workload.key: workload for workload in self.placed.model.workloads}

    @cached_property
    def hosts_of(self) -> dict[SegmentKey, tuple[str, ...]]:
        """The Hosts that hold members of a Segment."""
        return {key: tuple(sorted({e.host for e in members})) for key, members in self.members.items()}

    @cached_property
    def moved(self) -> dict[SegmentKey, list[Endpoint]]:
        """Endpoints of routed Segments whose address is outside their Host's slice: each needs its own route."""
        found: dict[SegmentKey, list[Endpoint]] = defaultdict(list)
        slices = {key: parse_all(prefixes) for key, prefixes in self.slices.items()}
        for key, members in self.members.items():
            if self._segment(key).kind is SegmentKind.ROUTED:
                found[key] = [e for e in members if not is_inside(e, slices.get((*key, e.host), ()))]
        return found

    @cached_property
    def _moved_names(self) -> set[str]:
        return {endpoint.workload for found in self.moved.values() for endpoint in found}

    def is_moved(self, endpoint: Endpoint) -> bool:
        """Whether other Hosts need a route for it alone."""
        return endpoint.workload in self._moved_names

    def _segment(self, key: SegmentKey) -> Segment:
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
        applications = tuple(sorted({endpoint.application for endpoint in here}))
        for application in applications:
            for owner, segment in self.visible(application):
                self.attach(plan, name, owner, segment)
                self.lead_into(plan, name, self.table(application), segment, (owner.name, segment.name))
            self._isolate(plan, application)
        for endpoint in here:
            plan.ports.append(self.port(endpoint))
            if not self.is_bridged(endpoint):
                plan.neighbours.update(self.port_neighbours(endpoint))
        plan.shared = self._shared_by(applications)
        return plan

    def _shared_by(self, applications: tuple[str, ...]) -> Shared:
        """What is seen of all members on Hosts that have endpoints of just these Applications."""
        if applications not in self._shared:
            tables = {
                name: [(owner.name, segment.name) for owner, segment in self.visible(name)] for name in applications
            }
            keys = dict.fromkeys(key for found in tables.values() for key in found)
            self._shared[applications] = Shared(
                joined(self._routes_to(key, self.table(name)) for name, found in tables.items() for key in found),
                joined(self._entries_of(key)[0] for key in keys),
                joined(self._entries_of(key)[1] for key in keys),
            )
        return self._shared[applications]

    def shared_of(self, key: SegmentKey, tables: Iterable[int]) -> Shared:
        """What is seen of the members of one Segment, in these routing tables."""
        return Shared(joined(self._routes_to(key, table) for table in tables), *self._entries_of(key))

    def forget(self, key: SegmentKey) -> None:
        """What was seen of a Segment may be otherwise now."""
        self._shared.clear()
        self._entries.pop(key, None)
        self._routes.pop(key, None)

    def _entries_of(self, key: SegmentKey) -> tuple[tuple[Neighbour, ...], tuple[Fdb, ...]]:
        """Neighbours and FDB entries of all members, each as seen from a Host that is not its own."""
        if key not in self._entries:
            vni = self.placed.vnis[key]
            tunnel = vxlan_name(vni)
            if self._segment(key).kind is SegmentKind.L2:
                bridge, members = bridge_name(vni), self.members[key]
                neighbours = [Neighbour(bridge, address, one.mac) for one in members for address in one.addresses]
                fdb = [Fdb(tunnel, one.mac, self.vteps[one.host]) for one in members]
            else:
                hosts = self.hosts_of[key]
                neighbours = [entry for other in hosts for entry in self.tunnel_neighbours(key, other, tunnel)]
                fdb = [self._far_end(tunnel, other) for other in hosts]
            self._entries[key] = tuple(sorted(neighbours)), tuple(sorted(fdb))
        return self._entries[key]

    def _routes_to(self, key: SegmentKey, table: int) -> tuple[Route, ...]:
        """Routes of one table to all members, each as seen from a Host that is not its own."""
        tables = self._routes.setdefault(key, {})
        if table not in tables:
            vni = self.placed.vnis[key]
            if self._segment(key).kind is SegmentKind.L2:
                routes = [route for one in self.members[key] for route in self.bridge_routes(table, vni, one)]
            else:
                routes = [route for other in self.hosts_of[key] for route in self.slice_routes(table, key, other)]
                routes += [route for one in self.moved[key] for route in self.moved_routes(table, key, one)]
            tables[table] = tuple(sorted(routes))
        return tables[table]

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
            for member in self._here(host, key):
                plan.without.add(Fdb(tunnel, member.mac, self.vteps[host]))
                plan.fdb.add(self.bridged(member, host, tunnel))
        else:
            plan.without.add(self._far_end(tunnel, host))
            plan.without.update(self.tunnel_neighbours(key, host, tunnel))
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

    def _here(self, host: str, key: SegmentKey) -> Iterator[Endpoint]:
        """The members of a Segment on a Host."""
        return (one for one in self.local.get(host, ()) if (one.application, one.segment) == key)

    def bridged(self, member: Endpoint, host: str, tunnel: str) -> Fdb:
        """Where a Host finds the MAC of a member."""
        if member.host == host:
            return Fdb(port_name(member.workload), member.mac)
        return Fdb(tunnel, member.mac, self.vteps[member.host])

    def _far_end(self, tunnel: str, other: str) -> Fdb:
        return Fdb(tunnel, tunnel_mac(other), self.vteps[other])

    def tunnel_neighbours(self, key: SegmentKey, other: str, tunnel: str) -> Iterator[Neighbour]:
        """The tunnel end of another Host."""
        yield Neighbour(tunnel, self._nexthop(key, other), tunnel_mac(other))

    def _nexthop(self, key: SegmentKey, host: str) -> str:
        """The name of a Host's tunnel end in a routed Segment; it is never looked up beyond its permanent neighbour.

        One for both families: the kernel keeps all neighbours of a machine in one table, Hosts times Hosts of them.
        """
        return _tunnel_end(host, self.vteps[host], max(family_of(subnet) for subnet in self._segment(key).subnets))

    def lead_into(self, plan: HostOverlay, host: str, table: int, segment: Segment, key: SegmentKey) -> None:
        """What a Host's table says of a Segment otherwise than those of all other Hosts."""
        vni = self.placed.vnis[key]
        l2 = segment.kind is SegmentKind.L2
        for gateway in _gateways(segment):
            local = _single(str(gateway))
            plan.routes.add(Route(table, local, (Nexthop(bridge_name(vni) if l2 else vxlan_name(vni)),), kind="local"))
        if l2:
            return
        plan.without.update(self.slice_routes(table, key, host))
        for member in self._here(host, key):
            if self.is_moved(member):
                plan.without.update(self.moved_routes(table, key, member))
            plan.routes.update(self.port_routes(table, member))

    def bridge_routes(self, table: int, vni: int, member: Endpoint) -> Iterator[Route]:
        """A route for each member, not for the subnet: an address that nobody has is "no route" at once, not an ARP
        request that nobody answers."""
        for address in member.addresses:
            yield Route(table, _single(address), (Nexthop(bridge_name(vni)),))

    def slice_routes(self, table: int, key: SegmentKey, other: str) -> Iterator[Route]:
        """To what another Host owns of a routed Segment."""
        for prefix in self.slices.get((*key, other), ()):
            yield Route(table, prefix, (self._hop(key, other),), metric=slice_metric(prefix))

    def moved_routes(self, table: int, key: SegmentKey, member: Endpoint) -> Iterator[Route]:
        """To a member on another Host that its slices do not say."""
        for address in member.addresses:
            yield Route(table, _single(address), (self._hop(key, member.host),))

    def port_routes(self, table: int, member: Endpoint) -> Iterator[Route]:
        """To a local member of a routed Segment."""
        for address in member.addresses:
            yield Route(table, _single(address), (Nexthop(port_name(member.workload)),))

    def _hop(self, key: SegmentKey, host: str) -> Nexthop:
        return Nexthop(vxlan_name(self.placed.vnis[key]), self._nexthop(key, host), onlink=True)

    def port(self, endpoint: Endpoint) -> Port:
        """The workload's interface."""
        workload = self.workloads[endpoint.workload]
        key = (endpoint.application, endpoint.segment)
        segment, l2 = self._segment(key), self.is_bridged(endpoint)
        return Port(
            workload=endpoint.workload,
            namespace=namespace_of(endpoint.workload),
            name=port_name(endpoint.workload),
            mac=endpoint.mac,
            mtu=self.mtu,
            mark=self.placed.marks[endpoint.application],
            zone=self.placed.zones[endpoint.application],
            addresses=_in_subnets(segment, endpoint.addresses) if l2 else tuple(map(_single, endpoint.addresses)),
            gateways=_gateways_for(segment, tuple(map(family_of, endpoint.addresses))),
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
def slice_metric(prefix: str) -> int:
    """A number of its own for each IPv4 slice, so that it takes the kernel no longer to add the last than the first.

    For each new route Linux compares the next hops of all that have the same device, protocol and metric (fib_find_info
    in net/ipv4/fib_semantics.c): with one metric for all, the 5,000th took 0.3 ms, now 16 µs. IPv6 has no such search.
    It depends on nothing but the prefix, and so do all routes to it: whoever owns a slice next replaces the route.
    """
    network, _, length = prefix.partition("/")
    value, family = value_of(network)
    return 1 + (value >> 32 - int(length)) % _METRICS if family == 4 and int(length) < 32 else 0


@lru_cache(maxsize=1 << 14)
def _tunnel_end(host: str, address: str, family: int) -> str:
    """In IPv4 it is the tunnel's own address. In IPv6, and for IPv4 routes beside IPv6 ones, it is link-local: Linux
    refuses a global next hop that a route of the underlay covers, `onlink` or not.
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


@lru_cache(maxsize=4096)
def _gateways_for(segment: Segment, families: tuple[int, ...]) -> tuple[str, ...]:
    """The gateways of a workload that has addresses of these families, without lengths."""
    return tuple(str(gateway.ip) for gateway in _gateways(segment) if gateway.version in families)


def _in_subnets(segment: Segment, addresses: Iterable[str]) -> tuple[str, ...]:
    """Addresses with the lengths of their subnets."""
    lengths = {family_of(subnet): subnet.split("/")[1] for subnet in segment.subnets}
    return tuple(f"{address}/{lengths[family_of(address)]}" for address in addresses)


def _single(address: str) -> str:
    plain = address.split("/", maxsplit=1)[0]
    return f"{plain}/128" if ":" in plain else f"{plain}/32"


def is_inside(endpoint: Endpoint, slices: Sequence[Subnet]) -> bool:
    """Whether one of the slices holds each of its addresses, so that it needs no route of its own."""
    values = [value_of(address) for address in endpoint.addresses]
    return all(any(family == part.family and value in part for part in slices) for value, family in values)
