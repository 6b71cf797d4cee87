"""The underlay's addresses and routes: every loopback reaches every other over all shortest paths.

Links have no addresses of their own, and next hops are permanent neighbours, so there is no ARP to lose. In IPv4 the
next hop is the neighbour's loopback, `onlink`. In IPv6 it is the link-local address of its MAC: Linux refuses an onlink
next hop that another route already leads to over another device, which would make the order of routes matter.
Routes are few: one per rack on a Switch, one default for all on most Hosts. What has failed is led around; a Host of
a rack that has lost a cable on the way has a route of its own then, longer than its rack's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sdn.errors import SdnError
from sdn.model import Underlay
from sdn.plan.addresses import Subnet, value_of
from sdn.plan.state import UPLINK_ROUTES, Neighbour, Nexthop, Route, Veth
from sdn.plan.topology import Loopbacks, Rack, Topology, link_local, loopbacks

Table = list[tuple[int, dict[int, tuple[str, ...]]]]  # (bits to drop, prefix without them → next nodes), longest first


@dataclass(frozen=True)
class Fabric:
    """The underlay's part of every node's state; `space` is the prefix that holds all loopbacks."""

    space: str
    loopback: dict[str, str]  # plain addresses
    uplinks: dict[str, tuple[Veth, ...]]
    routes: dict[str, tuple[Route, ...]]
    neighbours: dict[str, tuple[Neighbour, ...]]
    _tables: dict[str, Table] = field(default_factory=dict, init=False, repr=False, compare=False)

    def path(self, source: str, destination: str) -> list[str]:
        """The nodes from `source` to `destination`, both included: the first of the shortest paths.

        Raises SdnError where the routes do not lead there, which only a Switch without links can cause.
        """
        address, _ = value_of(self.loopback[destination])
        nodes = [source]
        while nodes[-1] != destination:
            following = self.next_nodes(nodes[-1], address)
            if not following or len(nodes) > len(self.loopback):
                raise SdnError(f"the underlay has no route from {source} to {destination}; connect them with links")
            nodes.append(following[0])
        return nodes

    def next_nodes(self, node: str, address: int) -> tuple[str, ...]:
        """Where a node may send a packet to a loopback: the longest prefix that matches; empty if none does."""
        table = self._tables.get(node)
        if table is None:
            table = self._tables.setdefault(node, self._table(node))
        for shift, prefixes in table:
            if following := prefixes.get(address >> shift):
                return following
        return ()

    def _table(self, node: str) -> Table:
        """A node's routes by prefix length."""
        peers = {veth.name: veth.peer_node for veth in self.uplinks[node]}
        by_shift: dict[int, dict[int, tuple[str, ...]]] = {}
        for route in self.routes[node]:
            subnet = Subnet.parse(route.prefix)
            nodes = tuple(sorted({peers[hop.dev] for hop in route.nexthops}))
            by_shift.setdefault(subnet.host_bits, {})[subnet.base >> subnet.host_bits] = nodes
        return sorted(by_shift.items())


def fabric(underlay: Underlay) -> Fabric:
    """Addresses, cables and routes of every Host and Switch.

    Raises SdnError if a Host cannot reach another, or a link leads to a node that is not there.
    """
    topology = Topology.of(underlay)
    numbers = loopbacks(topology, underlay.family)
    loopback = {node: numbers.text(node) for node in sorted(numbers.nodes)}
    macs = {(node, veth.name): veth.mac for node, veths in topology.uplinks.items() for veth in veths}
    far = {
        (node, v.name): loopback[v.peer_node] if underlay.family == 4 else link_local(macs[v.peer_node, v.peer_name])
        for node, veths in topology.uplinks.items()
        for v in veths
    }
    return Fabric(
        space=str(numbers.space),
        loopback=loopback,
        uplinks=topology.uplinks,
        routes=_Router(topology, numbers, far).routes(),
        neighbours={
            node: tuple(
                sorted(
                    Neighbour(v.name, far[node, v.name], macs[v.peer_node, v.peer_name])
                    for v in veths
                    if v.name in topology.live[node].get(v.peer_node, ())
                )
            )
            for node, veths in topology.uplinks.items()
        },
    )


@dataclass(frozen=True)
class _Destination:
    """What one route leads to, and how far each node is from it. `rack` is empty for a single node.

    A rack's own Switches are those of its working ones, at distance 1.
    """

    prefix: str
    name: str  # for sentences
    rack: Rack
    distance: dict[str, int]


def _working(topology: Topology) -> dict[Rack, tuple[Rack, tuple[str, ...]]]:
    """Of each rack the Switches that have power, and the Hosts that have their cables to all of these."""
    found = {}
    for rack, hosts in topology.racks.items():
        up = tuple(switch for switch in rack if switch not in topology.down)
        members = tuple(host for host in hosts if up and tuple(topology.live[host]) == up)
        if members:
            found[rack] = (up, members)
    return found


class _Router:
    """Shortest paths from everywhere to every rack and every single node; `far` is the next hop on each device."""

    def __init__(self, topology: Topology, numbers: Loopbacks, far: dict[tuple[str, str], str]) -> None:
        self._far = far
        self._topology = topology
        self._numbers = numbers
        self._racks = _working(topology)
        racked = {host for members in self._racks.values() for host in members[1]}
        self._singles = sorted(topology.uplinks.keys() - racked)
        core = set(self._singles)
        self._core = {node: [p for p in topology.live[node] if p in core] for node in self._singles}
        self._hops: dict[tuple[str, tuple[str, ...]], tuple[Nexthop, ...]] = {}
        self._routes: dict[str, list[Route]] = {node: [] for node in topology.uplinks}

    def routes(self) -> dict[str, tuple[Route, ...]]:
        """The main table of every node, sorted."""
        destinations = list(self._destinations())
        self._check_connected(destinations)
        for destination in destinations:
            self._lead_to(destination)
        for up, hosts in self._racks.values():
            self._lead_down(up, hosts)
            self._lead_up(up, hosts, destinations)
        return {node: tuple(sorted(routes)) for node, routes in self._routes.items()}

    def _destinations(self) -> Iterator[_Destination]:
        for rack, (up, hosts) in self._racks.items():
            prefix = str(self._numbers.blocks[rack])
            yield _Destination(prefix, hosts[0], up, self._distances(dict.fromkeys(up, 1)))
        for node in self._singles:
            if node in self._topology.down:
                continue
            yield _Destination(self._numbers.prefix(node), node, (), self._distances({node: 0}))

    def _distances(self, start: dict[str, int]) -> dict[str, int]:
        """Breadth first from a rack's Switches, or a node itself; only Switches pass a packet on."""
        distance = dict(start)
        frontier = list(start)
        while frontier:
            following = []
            for node in frontier:
                if distance[node] and node not in self._topology.switches:
                    continue
                for peer in self._core[node]:
                    if peer not in distance:
                        distance[peer] = distance[node] + 1
                        following.append(peer)
            frontier = following
        return distance

    def _check_connected(self, destinations: list[_Destination]) -> None:
        """Every Host must reach every other, but for those that are known to have failed."""
        exempt = self._topology.switches | self._topology.absent
        alone = [node for node in self._singles if node not in exempt]
        racks = [(up, hosts[0]) for up, hosts in self._racks.values() if not self._topology.absent.issuperset(hosts)]
        for destination in destinations:
            if destination.name in exempt:
                continue
            lost = [node for node in alone if node not in destination.distance]
            lost += [host for up, host in racks if not self._closest(up, destination)]
            if lost:
                raise SdnError(
                    f"the underlay falls apart: {min(lost)} cannot reach {destination.name}; "
                    "add links between Switches (a Host does not forward for others)"
                )

    def _lead_to(self, destination: _Destination) -> None:
        """Routes to one destination on every Switch and every Host that is in no rack."""
        distance = destination.distance
        switches = self._topology.switches
        nearest = 1 if destination.rack else 0
        for node, far in distance.items():
            if far > nearest:
                peers = tuple(p for p in self._core[node] if distance.get(p) == far - 1 and (p in switches or far == 1))
                self._add(node, destination.prefix, peers)

    def _lead_down(self, rack: Rack, hosts: tuple[str, ...]) -> None:
        """From a rack's Switches to its Hosts."""
        for host in hosts:
            prefix = self._numbers.prefix(host)
            for switch in rack:
                self._add(switch, prefix, (host,))

    def _lead_up(self, rack: Rack, hosts: tuple[str, ...], destinations: list[_Destination]) -> None:
        """From a rack's Hosts to everything: the commonest next hops as one route, and what differs from it."""
        common: tuple[str, ...] = rack
        others: list[tuple[str, tuple[str, ...]]] = []
        if len(rack) > 1:
            peers = {d.prefix: self._closest(rack, d) for d in destinations}
            counts = Counter(found for found in peers.values() if found)
            common = min(counts, key=lambda found: (-counts[found], found))
            others = [(prefix, found) for prefix, found in peers.items() if found and found != common]
        space = str(self._numbers.space)
        for host in hosts:
            self._add(host, space, common)
            for prefix, found in others:
                self._add(host, prefix, found)

    def _closest(self, rack: Rack, destination: _Destination) -> tuple[str, ...]:
        """Those of a rack's Switches that are nearest to a destination; empty if none reaches it."""
        far = [(destination.distance[switch], switch) for switch in rack if switch in destination.distance]
        return tuple(switch for distance, switch in far if distance == min(far)[0])

    def _add(self, node: str, prefix: str, peers: tuple[str, ...]) -> None:
        """A route over every device that leads to one of `peers`."""
        hops = self._hops.get((node, peers))
        if hops is None:
            devices = self._topology.live[node]
            onlink = self._numbers.space.family == 4
            hops = tuple(sorted(Nexthop(dev, self._far[node, dev], onlink) for p in peers for dev in devices[p]))
            self._hops[node, peers] = hops
        self._routes[node].append(Route(UPLINK_ROUTES, prefix, hops))
