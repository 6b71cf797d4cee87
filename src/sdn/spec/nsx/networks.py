"""T1 gateways and segments of NSX as Applications, and who is connected with whom.

T1 gateways of one T0 route to one another, so their Applications are all connected. A gateway that does not advertise
its segments (`route_advertisement_types` without TIER1_CONNECTED) is reached by nobody. A segment without a gateway
is a network of its own; one with VLANs is routed by the physical network, as far as addresses let it be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network

from sdn.model import Application, Segment
from sdn.spec.nsx.addresses import fitting, generated, overlaps
from sdn.spec.nsx.collect import Item, Objects
from sdn.spec.nsx.fields import Names, Network, Notes

EVERYWHERE = "everywhere"
"""The domain of networks that the physical network routes."""


@dataclass
class Net:
    """One segment of NSX, or interfaces whose segment the export does not name: Segments of one Application.

    A segment with two prefixes of one family is two Segments; `names` and `subnets` belong together.
    """

    application: str
    label: str
    subnets: list[list[Network]]
    names: list[str] = field(default_factory=list)

    def place(self, addresses: Iterable[str]) -> int:
        """Which of its Segments an interface with these addresses is on."""
        for text in addresses:
            address = ip_address(text)
            for index, networks in enumerate(self.subnets):
                if any(network.version == address.version and address in network for network in networks):
                    return index
        return 0


class Networks:
    """Everything that interfaces may be on."""

    def __init__(self, objects: Objects) -> None:
        self._segments = objects.of("Segment")
        self._gateways = {**objects.of("Tier1"), **objects.of("Tier0")}
        self._notes: Notes = objects.notes
        self._names = Names()
        self._applications: dict[str, str] = {}  # gateway or segment path → Application
        self._domains: dict[str, str] = {}  # Application → what routes for it; empty for nobody
        self.nets: dict[str, Net] = {path: self._net(path, item) for path, item in self._segments.items()}
        self._prefixes: dict[tuple[int, int, int], set[str]] = defaultdict(set)
        for path, net in self.nets.items():
            for network in (network for group in net.subnets for network in group):
                base = int(network.network_address) >> network.max_prefixlen - network.prefixlen
                self._prefixes[network.version, network.prefixlen, base].add(path)
        self._lengths = {(version, length) for version, length, _ in self._prefixes}

    @property
    def known(self) -> list[Network]:
        """Every prefix that somebody wrote down or that was found."""
        return [network for net in self.nets.values() for group in net.subnets for network in group]

    def by_address(self, address: str) -> str:
        """The path of the only segment that an address can be of; empty where there is none, or several."""
        value = ip_address(address)
        number = int(value)
        found: set[str] = set()
        for version, length in self._lengths:
            if version == value.version:
                shift = value.max_prefixlen - length
                found |= self._prefixes.get((version, length, number >> shift), set())
        return next(iter(found)) if len(found) == 1 else ""

    def stray(self, label: str) -> str:
        """The path of a network for interfaces whose segment nobody names."""
        path = f"unknown/{label}"
        if path not in self.nets:
            if "unknown" not in self._applications:
                self._applications["unknown"] = self._names.take("nsx", "nsx")
                self._domains[self._applications["unknown"]] = EVERYWHERE
            self.nets[path] = Net(self._applications["unknown"], label, [])
        return path

    def complete(self, addresses: Mapping[str, Sequence[str]], cards: Mapping[str, int]) -> None:
        """Give a prefix to every network that has none: around the addresses on it, with room for all its cards."""
        pool = generated([*self.known])
        for path, net in sorted(self.nets.items()):
            if not net.subnets:
                own = fitting(addresses.get(path, ()), cards.get(path, 0), self.known)
                if not any(network.version == 4 for network in own):
                    own.insert(0, pool(cards.get(path, 0)))
                net.subnets = [own]

    def applications(self) -> list[Application]:
        """Every Application with its Segments; the names of Segments are settled here."""
        segments: dict[str, list[Segment]] = defaultdict(list)
        names: dict[str, Names] = defaultdict(Names)
        for _, net in sorted(self.nets.items()):
            net.names = [names[net.application].take(net.label, "segment") for _ in net.subnets]
            for name, group in zip(net.names, net.subnets, strict=True):
                segments[net.application].append(Segment(name, tuple(str(network) for network in group)))
        connects = self._connects(sorted(segments))
        return [Application(name, tuple(segments[name]), tuple(connects[name])) for name in sorted(segments)]

    def _net(self, path: str, item: Item) -> Net:
        return Net(self._application(path, item), item.content.name, _subnets(item, self._notes))

    def _application(self, path: str, item: Item) -> str:
        """The Application of a segment: its gateway's, or one of its own."""
        gateway = item.content.connectivity_path or _parent_gateway(path)
        key = gateway or path
        if key in self._applications:
            return self._applications[key]
        known = self._gateways.get(gateway)
        label = known.content.name if known else gateway.rpartition("/")[2] or item.content.name
        name = self._applications[key] = self._names.take(label, "network")
        self._domains[name] = self._domain(gateway, known, item)
        return name

    def _domain(self, gateway: str, known: Item | None, item: Item) -> str:
        if not gateway:
            return self._without_gateway(item)
        if known is None:
            self._notes.once(
                item.site, f"its gateway {gateway} is not in the export; taken as connected with all others"
            )
            return EVERYWHERE
        if known.kind == "Tier0":
            return gateway
        advertised = known.content.route_advertisement_types
        if advertised is not None and "TIER1_CONNECTED" not in advertised:
            self._notes.warn(
                known.site, "does not advertise its segments (TIER1_CONNECTED), so no other network reaches them"
            )
            return ""
        if not known.content.tier0_path:
            self._notes.warn(known.site, "has no tier0_path, so no other network reaches its segments")
        return str(known.content.tier0_path)

    def _without_gateway(self, item: Item) -> str:
        if item.content.vlan_ids:
            self._notes.once(item.site, "is routed by the physical network; taken as connected with all others")
            return EVERYWHERE
        self._notes.warn(item.site, "has no connectivity_path, so no other network reaches it")
        return ""

    def _connects(self, names: Sequence[str]) -> dict[str, list[str]]:
        """Pairs are written at the first name; a connection holds in both directions."""
        everywhere = self._joinable(names)
        result: dict[str, list[str]] = {}
        for position, name in enumerate(names):
            own = self._domains[name]
            result[name] = [
                other
                for other in names[position + 1 :]
                if own
                and (
                    self._domains[other] == own != EVERYWHERE
                    or (everywhere and EVERYWHERE in (own, self._domains[other]))
                )
                and self._domains[other]
            ]
        return result

    def _joinable(self, names: Sequence[str]) -> bool:
        """Whether all that is routed can be joined: between two T0 gateways, addresses may overlap."""
        routed = [name for name in names if self._domains[name]]
        if not any(self._domains[name] == EVERYWHERE for name in routed):
            return False
        networks = [
            (network, net.application)
            for net in self.nets.values()
            if net.application in routed
            for group in net.subnets
            for network in group
        ]
        clash = overlaps(networks)
        if clash:
            self._notes.say(
                f"{clash}: networks whose gateway the export does not name are not connected with any other, "
                "for their addresses could not be told apart"
            )
        return not clash


def _parent_gateway(path: str) -> str:
    """A segment below a T1 needs no connectivity_path."""
    parts = path.split("/")
    return "/".join(parts[: parts.index("tier-1s") + 2]) if "tier-1s" in parts else ""


def _subnets(item: Item, notes: Notes) -> list[list[Network]]:
    """The prefixes of a segment, grouped so that each group has at most one per family."""
    groups: list[list[Network]] = []
    for index, subnet in enumerate(item.content.subnets):
        site = item.site.at("subnets", index)
        text = subnet.gateway_address or subnet.network
        try:
            network: Network = ip_interface(text).network if "/" in text else ip_network("")
        except ValueError:
            site.report(
                f'"{text[:60]}" is no gateway address; write the address with its prefix length, as 10.0.0.1/24'
            )
            continue
        if subnet.gateway_address and ip_interface(text).ip != network.network_address + 1:
            notes.warn(
                item.site,
                f"its gateway is {text}, here it is {network.network_address + 1}, the first address; "
                "who talks to the gateway itself is not judged alike",
            )
        group = next((one for one in groups if all(other.version != network.version for other in one)), None)
        if group is None:
            groups.append([network])
        else:
            group.append(network)
    return [sorted(group, key=lambda network: network.version) for group in groups]
