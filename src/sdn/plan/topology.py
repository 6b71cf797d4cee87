"""The underlay as a graph: its cables with names and MACs, and the racks that make its routes few.

A rack is the Hosts that hang on the same Switches. Seen from anywhere else they are equally far, so one route leads to
all of them. A Host never forwards for others: it runs a firewall, and its operator does not expect strangers' packets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sdn.errors import SdnError
from sdn.model import HostState, Link, Underlay
from sdn.plan.addresses import BITS, Subnet, text_of
from sdn.plan.ids import mac_of, uplink_name
from sdn.plan.state import Veth

Rack = tuple[str, ...]  # the names of its Switches, sorted

SPACES = {4: (("192.168.0.0/16", 8), ("172.16.0.0/12", 8), ("172.16.0.0/12", 0)), 6: (("fd00:192:168::/48", 64),)}
"""Where loopbacks come from, by family, in order of preference; and the fewest host bits of a rack's block there."""


@dataclass(frozen=True)
class Topology:
    """Nodes and cables. `peers`: node → neighbour → its own devices towards it, everything sorted.

    A failure changes no name and no number: racks and cables are as when all was well, `live` has the neighbours to
    whom a cable still leads.
    """

    switches: frozenset[str]
    hosts: tuple[str, ...]
    uplinks: dict[str, tuple[Veth, ...]]
    peers: dict[str, dict[str, tuple[str, ...]]]
    racks: dict[Rack, tuple[str, ...]]
    singles: tuple[str, ...]  # Switches, and Hosts that hang on something else than Switches
    live: dict[str, dict[str, tuple[str, ...]]]
    down: frozenset[str]  # Hosts and Switches without power
    absent: frozenset[str]  # Hosts that need not be reached

    @classmethod
    def of(cls, underlay: Underlay) -> Topology:
        """Raises SdnError for a link to a node that is not there."""
        switches = frozenset(switch.name for switch in underlay.switches)
        hosts = tuple(sorted(host.name for host in underlay.hosts))
        absent = frozenset(host.name for host in underlay.hosts if host.state is HostState.FAILED)
        down = (absent - {*underlay.isolated}) | {switch.name for switch in underlay.switches if switch.failed}
        uplinks = _uplinks((*hosts, *switches), underlay.links, down)
        peers = {node: _devices(veths) for node, veths in uplinks.items()}
        off = {(node, veth.name) for node, veths in uplinks.items() for veth in veths if not veth.up}
        live = {
            node: _devices([v for v in veths if v.up and (v.peer_node, v.peer_name) not in off])
            for node, veths in uplinks.items()
        }
        racks: defaultdict[Rack, list[str]] = defaultdict(list)
        for host in hosts:
            if peers[host] and all(peer in switches for peer in peers[host]):
                racks[tuple(peers[host])].append(host)
        racked = {host for members in racks.values() for host in members}
        return cls(
            switches=switches,
            hosts=hosts,
            uplinks=uplinks,
            peers=peers,
            racks={rack: tuple(racks[rack]) for rack in sorted(racks)},
            singles=tuple(sorted({*hosts, *switches} - racked)),
            live=live if off else peers,
            down=frozenset(down),
            absent=absent,
        )


@dataclass(frozen=True)
class Loopbacks:
    """The address of every node, and the prefixes that hold those of one rack, or of all nodes."""

    space: Subnet
    nodes: dict[str, int]
    blocks: dict[Rack, Subnet]

    def text(self, node: str) -> str:
        """A node's address without a length."""
        return text_of(self.nodes[node], self.space.family)

    def prefix(self, node: str) -> str:
        """A node's address with its length."""
        return f"{self.text(node)}/{BITS[self.space.family]}"


def link_local(mac: str) -> str:
    """The IPv6 link-local address of a MAC (RFC 4291, modified EUI-64)."""
    value = int(mac.replace(":", ""), 16) ^ 1 << 41
    return text_of(0xFE80 << 112 | value >> 24 << 40 | 0xFFFE << 24 | value & 0xFFFFFF, 6)


def loopbacks(topology: Topology, family: int) -> Loopbacks:
    """A block of a power of two for each rack and one for all other nodes, the largest first so that all are aligned.

    Raises SdnError if even the tightest blocks do not fit.
    """
    members: dict[Rack, tuple[str, ...]] = {(): topology.singles, **topology.racks}
    for text, least in SPACES[family]:
        space = Subnet.parse(text)
        bits = {rack: max(least, (len(nodes) + 1).bit_length()) for rack, nodes in members.items()}
        if sum(1 << b for b in bits.values()) <= 1 << space.host_bits:
            return _numbered(space, members, bits)
    raise SdnError(
        f"the underlay has {len(topology.hosts) + len(topology.switches)} nodes in {len(topology.racks)} racks, "
        f"more than {SPACES[family][-1][0]} has addresses for; make it smaller or use `family: ipv6`"
    )


def _numbered(space: Subnet, members: Mapping[Rack, tuple[str, ...]], bits: Mapping[Rack, int]) -> Loopbacks:
    """Blocks one after another; the first address of each stays free."""
    nodes: dict[str, int] = {}
    blocks: dict[Rack, Subnet] = {}
    base = space.base
    for rack in sorted(members, key=lambda rack: (-bits[rack], rack)):
        blocks[rack] = Subnet(space.family, base, BITS[space.family] - bits[rack])
        nodes.update((node, base + index) for index, node in enumerate(members[rack], 1))
        base += 1 << bits[rack]
    return Loopbacks(space, nodes, blocks)


def cut_off(underlay: Underlay) -> tuple[str, ...]:
    """The Hosts with power that the largest part of the others cannot reach; of equal parts the first by name stays.

    Hosts that count as isolated are looked at like all others: they may be reachable again.
    """
    topology = Topology.of(underlay)
    alive = [host for host in topology.hosts if host not in topology.down]
    known: dict[tuple[str, ...], frozenset[str]] = {}
    reach = {}
    for host in alive:
        near = tuple(topology.live[host])
        if not near or not topology.switches.issuperset(near):
            reach[host] = _reached(topology, host)
            continue
        if near not in known:
            known[near] = _reached(topology, host)
        reach[host] = known[near]
    kept: set[str] = set()
    best = max(reach.values(), key=len, default=frozenset[str]())
    for host in sorted(alive, key=lambda name: -len(reach[name])):
        if reach[host] is best or kept <= reach[host]:
            kept.add(host)
    return tuple(host for host in alive if host not in kept)


def _reached(topology: Topology, host: str) -> frozenset[str]:
    """The Hosts to which a packet of this one finds a way; only Switches pass it on."""
    seen, todo = {host}, [host]
    while todo:
        node = todo.pop()
        if node == host or node in topology.switches:
            fresh = topology.live[node].keys() - seen
            seen |= fresh
            todo += fresh
    return frozenset(seen - topology.switches)


def _uplinks(
    nodes: Collection[str], links: Collection[Link], down: Collection[str] = ()
) -> dict[str, tuple[Veth, ...]]:
    """Both ends of every cable, by node; a node's are numbered in order of (peer, index)."""
    ends: dict[str, list[tuple[str, int, Link]]] = {node: [] for node in sorted(nodes)}
    for link in links:
        for node, peer in ((link.a, link.b), (link.b, link.a)):
            if node not in ends:
                raise SdnError(f'link {link.a} – {link.b}: "{node}" is neither a Host nor a Switch; add it or drop it')
            ends[node].append((peer, link.index, link))
    for own in ends.values():
        own.sort(key=lambda end: end[:2])
    names = {(node, *end[:2]): uplink_name(i) for node, own in ends.items() for i, end in enumerate(own)}
    return {
        node: tuple(
            Veth(
                name=names[node, peer, index],
                mac=mac_of(f"uplink {node} {peer} {index}"),
                alias=f"to {peer}",
                peer_node=peer,
                peer_name=names[peer, node, index],
                mtu=link.mtu,
                bandwidth=link.bandwidth,
                loss=link.loss,
                delay=link.delay,
                up=not link.failed and node not in down,
            )
            for peer, index, link in own
        )
        for node, own in ends.items()
    }


def _devices(uplinks: Collection[Veth]) -> dict[str, tuple[str, ...]]:
    """Neighbour → the devices that lead to it."""
    devices: defaultdict[str, list[str]] = defaultdict(list)
    for veth in uplinks:
        devices[veth.peer_node].append(veth.name)
    return {peer: tuple(devices[peer]) for peer in sorted(devices)}
