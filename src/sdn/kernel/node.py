"""One node's planned state as netlink messages, in the order in which they must be sent.

Pure: indexes of links are chosen here, descriptors of namespaces come in, messages come out. Rules before links: the
caller has filled the firewall before any of this is sent, and ports of workloads come up last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from sdn.kernel import links, routing
from sdn.kernel.dumps import UNSAID_METRIC6
from sdn.kernel.messages import Message
from sdn.kernel.owned import UNDERLAY, alias
from sdn.plan.state import (
    GATEWAY_MAC,
    LOCAL,
    VXLAN_PORT,
    Bridge,
    Fdb,
    Neighbour,
    NodeState,
    Port,
    Route,
    Sink,
    Veth,
    Vxlan,
)

LOOPBACK = 1
"""The index of `lo` in every namespace."""

WORKLOAD_LINK = 2
"""The index of `eth0` in a workload's namespace."""

MARK_PRIORITY = 10
LOCAL_PRIORITY = 100
"""Workloads' packets see their Application's table and never get as far as the Host's own addresses (table local)."""

_LOCAL_TABLE = routing.LOCAL_TABLE
_PORT = links.PortFlags(hairpin=True)
_TUNNEL = links.PortFlags(neigh_suppress=True)


class Indexes(dict[str, int]):
    """Name → index of a node's links; asking for a new name gives it the next index."""

    def __init__(self, existing: Mapping[str, int] | None = None) -> None:
        super().__init__(existing or {"lo": LOOPBACK})
        self._last = max(self.values())

    def __missing__(self, name: str) -> int:
        self._last += 1
        self[name] = self._last
        return self._last


def base(state: NodeState) -> Iterator[Message]:
    """Loopback addresses, and for a Host the order of routing tables."""
    yield from loopback(state.loopback)
    if state.role == "host":
        for family in (4, 6):
            yield routing.rule(family, routing.Rule(LOCAL_PRIORITY, _LOCAL_TABLE))
            yield routing.rule(family, routing.Rule(0, _LOCAL_TABLE), remove=True)


def loopback(addresses: Iterable[str], *, remove: bool = False) -> Iterator[Message]:
    """The node's own addresses."""
    for address in addresses:
        single = address if "/" in address else f"{address}/{128 if ':' in address else 32}"
        yield routing.address(LOOPBACK, single, remove=remove)


def cable(veth: Veth, far: Veth, index: int, far_index: int, far_netns: int) -> Message:
    """Both ends of an underlay cable, made by the end whose node sorts first; both still down."""
    return links.veth(
        links.Device(veth.name, index, veth.mac, veth.mtu),
        links.Device(far.name, far_index, far.mac, far.mtu, far_netns),
    )


def uplink(veth: Veth, index: int) -> Iterator[Message]:
    """This end of a cable that exists: named, and up unless it has failed."""
    yield links.set_link(index, alias=alias(veth.alias), group=UNDERLAY, link_local=False)
    if veth.up:
        yield links.set_up(index)


def overlay_links(state: NodeState, index: Indexes) -> Iterator[Message]:
    """Bridges first, since tunnels are ports of them."""
    for bridge in (link for link in state.links if isinstance(link, Bridge)):
        yield from bridge_link(bridge, index)
    for tunnel in (link for link in state.links if isinstance(link, Vxlan)):
        yield from tunnel_link(tunnel, index)
    for sink in (link for link in state.links if isinstance(link, Sink)):
        yield from sink_link(sink, index)


def bridge_link(bridge: Bridge, index: Indexes) -> Iterator[Message]:
    """A bridge with the gateway's MAC and addresses.

    It is up before it has addresses, as are all links here: when a link with an IPv6 address comes up, the kernel makes
    a route in a context that may not wait for memory, and where there is none at once, it drops the address.
    """
    own = index[bridge.name]
    yield links.bridge(links.Device(bridge.name, own, bridge.mac, bridge.mtu))
    yield links.set_link(own, alias=alias(bridge.alias), link_local=False)
    yield links.set_up(own)
    yield from (routing.address(own, address) for address in bridge.addresses)


def sink_link(sink: Sink, index: Indexes) -> Iterator[Message]:
    """A device that is up and leads nowhere."""
    own = index[sink.name]
    far = links.Device(sink.far, index[sink.far], mtu=sink.mtu)
    yield links.veth(links.Device(sink.name, own, GATEWAY_MAC, sink.mtu), far)
    yield links.set_link(own, alias=alias(sink.alias), link_local=False)
    yield links.set_up(own)


def tunnel_link(tunnel: Vxlan, index: Indexes) -> Iterator[Message]:
    """A tunnel end, in its bridge if it has one; ARP and ND are answered before it, never sent through it."""
    own = index[tunnel.name]
    yield links.vxlan(links.Device(tunnel.name, own, tunnel.mac, tunnel.mtu), tunnel.vni, tunnel.local, VXLAN_PORT)
    master = index[tunnel.bridge] if tunnel.bridge else -1
    yield links.set_link(own, master=master, alias=alias(tunnel.alias), link_local=False)
    if tunnel.bridge:
        yield links.set_port(own, _TUNNEL)
    yield links.set_up(own)
    yield from (routing.address(own, address) for address in tunnel.addresses)


def port_link(port: Port, index: Indexes, netns: int) -> Iterator[Message]:
    """The Host's end of a workload's cable, up at once: the other end is still down, and the rules are in place."""
    own = index[port.name]
    here = links.Device(port.name, own, GATEWAY_MAC if not port.bridge else "", port.mtu)
    yield links.veth(here, links.Device("eth0", WORKLOAD_LINK, port.mac, port.mtu, netns))
    yield from attached(port, index)


def attached(port: Port, index: Indexes) -> Iterator[Message]:
    """The Host's end of a cable that exists, and is down: in its bridge if it has one, named, and up."""
    own = index[port.name]
    master = index[port.bridge] if port.bridge else -1
    yield links.set_link(own, master=master, alias=alias(port.workload), link_local=False)
    if port.bridge:
        yield links.set_port(own, _PORT)
    yield links.set_up(own)


def workload(port: Port) -> Iterator[Message]:
    """Everything inside the workload's own namespace."""
    yield links.set_up(LOOPBACK)
    yield links.set_link(WORKLOAD_LINK, alias=alias(port.workload), link_local=False)
    yield links.set_up(WORKLOAD_LINK)
    yield from (routing.address(WORKLOAD_LINK, a, prefix_route=bool(port.bridge)) for a in port.addresses)
    for gateway in port.gateways:
        default = "::/0" if ":" in gateway else "0.0.0.0/0"
        yield routing.neighbour(WORKLOAD_LINK, gateway, GATEWAY_MAC)
        yield routing.route(default, [routing.Hop(WORKLOAD_LINK, gateway, onlink=True)])
    yield from (_peer(address, mac) for address, mac in port.peers)


def forgotten(addresses: Iterable[str]) -> Iterator[Message]:
    """What a workload may have learnt of neighbours that are gone; whoever has the address next has another MAC."""
    return (routing.neighbour(WORKLOAD_LINK, address, remove=True) for address in addresses)


def workload_peers(before: Port, after: Port) -> Iterator[Message]:
    """What changes of the neighbours in a workload's namespace while its link stays."""
    if before.peers == after.peers:
        return
    kept, known = dict(after.peers), frozenset(before.peers)
    yield from forgotten(address for address, _ in before.peers if address not in kept)
    yield from (_peer(*peer) for peer in after.peers if peer not in known)


@lru_cache(maxsize=16_384)
def _peer(address: str, mac: str) -> Message:
    """One peer's entry is the same in every workload of its Segment, so it is encoded once and not once per pair."""
    return routing.neighbour(WORKLOAD_LINK, address, mac)


def rules(state: NodeState, *, remove: bool = False) -> Iterator[Message]:
    """One rule per Application and family."""
    for rule in state.rules:
        marked = routing.Rule(MARK_PRIORITY, rule.table, rule.mark, ~LOCAL & 0xFFFFFFFF)
        yield routing.rule(rule.family, marked, remove=remove)


class Entries:
    """Messages of routes, neighbours and forwarding entries; those that many Hosts share are encoded once for all.

    Shared is what is the same object, on links of the same index. It is kept, so no other object gets its identity.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], tuple[object, Message]] = {}

    def routes(self, wanted: Iterable[Route], index: Indexes) -> Iterator[Message]:
        """Routes of any table."""
        known = self._known
        for one in wanted:
            key = (id(one), *[index[hop.dev] for hop in one.nexthops])
            found = known.get(key)
            if found is None:
                found = known[key] = (one, _route(one, index))
            yield found[1]

    def neighbours(self, wanted: Iterable[Neighbour], index: Indexes) -> Iterator[Message]:
        """Permanent neighbours."""
        known = self._known
        for one in wanted:
            key = (id(one), index[one.dev])
            found = known.get(key)
            if found is None:
                found = known[key] = (one, routing.neighbour(index[one.dev], one.address, one.mac))
            yield found[1]

    def fdb(self, wanted: Iterable[Fdb], state: NodeState, index: Indexes) -> Iterator[Message]:
        """Forwarding entries of a whole node."""
        known, routed = self._known, _routed(state)
        for one in wanted:
            key = (id(one), index[one.dev], one.dev in routed)
            found = known.get(key)
            if found is None:
                found = known[key] = (one, _forwarding(one, index, routed))
            yield found[1]


def routes(wanted: Iterable[Route], index: Indexes) -> Iterator[Message]:
    """Routes of any table."""
    return (_route(one, index) for one in wanted)


def _route(route: Route, index: Indexes) -> Message:
    hops = [routing.Hop(index[hop.dev], hop.via, hop.onlink) for hop in route.nexthops]
    return routing.route(route.prefix, hops, table=route.table, kind=route.kind, metric=route.metric)


def removed_routes(unwanted: Iterable[Route]) -> Iterator[Message]:
    """In reverse, and with the metric that the kernel gave where none was said: without one it takes the first."""
    for route in reversed(tuple(unwanted)):
        metric = route.metric or (UNSAID_METRIC6 if ":" in route.prefix else 0)
        yield routing.delete_route(route.prefix, table=route.table, metric=metric)


def neighbours(wanted: Iterable[Neighbour], index: Indexes, *, remove: bool = False) -> Iterator[Message]:
    """Permanent neighbours."""
    return (routing.neighbour(index[n.dev], n.address, n.mac, remove=remove) for n in wanted)


def fdb(wanted: Iterable[Fdb], state: NodeState, index: Indexes, *, remove: bool = False) -> Iterator[Message]:
    """Forwarding entries of ports and tunnel ends of a whole node."""
    routed = _routed(state)
    return (_forwarding(one, index, routed, remove=remove) for one in wanted)


def _routed(state: NodeState) -> frozenset[str]:
    """Tunnel ends without a bridge above them."""
    return frozenset(link.name for link in state.links if isinstance(link, Vxlan) and not link.bridge)


def _forwarding(entry: Fdb, index: Indexes, routed: frozenset[str], *, remove: bool = False) -> Message:
    return routing.fdb(index[entry.dev], entry.mac, dst=entry.dst, bridged=entry.dev not in routed, remove=remove)
