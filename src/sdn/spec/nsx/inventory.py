"""VMs of the fabric as Workloads: one for each network card that is plugged in, for the firewall judges each of them.

A card is on the segment of the port that it is plugged into; where the export has no ports, on the only segment that
its address is of; else on a network of its own that is connected with all others. Tags become labels: see `tag_key`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from sdn.model import Application, Kind, Selector, Workload
from sdn.spec.mistakes import Site
from sdn.spec.nsx import schema
from sdn.spec.nsx.addresses import usable
from sdn.spec.nsx.collect import Item, Objects
from sdn.spec.nsx.fields import Names, Network, Notes
from sdn.spec.nsx.networks import Networks
from sdn.spec.parts import place_key

NAME, OS, COMPUTER = "nsx/name", "nsx/os", "nsx/computer"
"""Labels: the name as NSX has it, where ours had to differ; what the tools in the guest say."""


def tag_key(tag: schema.Tag) -> str:
    """The label `tag/SCOPE/TAG` of a tag, in lower case as conditions compare, for one scope may have several tags."""
    scope, name = (part.casefold().replace("%", "%25").replace("/", "%2F") for part in (tag.scope, tag.tag))
    return f"tag/{scope}/{name}"


@dataclass(frozen=True)
class Card:
    """A network card, or the only one of a VM of which no card is known."""

    vm: Item
    interface: schema.Interface | None
    identity: str
    port: Item | None
    net: str  # path of the segment
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """A Workload and all that conditions of groups can ask of it."""

    workload: Workload
    vm: schema.VirtualMachine
    segment: schema.Segment | None
    port: schema.SegmentPort | None

    @property
    def key(self) -> str:
        """The Workload's."""
        return self.workload.key


class Inventory:
    """Applications and Workloads of an export, and how its groups find them."""

    def __init__(self, objects: Objects) -> None:
        self._notes: Notes = objects.notes
        self.broken = objects.broken
        self._segments = objects.of("Segment")
        self._networks = Networks(objects)
        self.subjects: list[Subject] = []
        self.where: dict[str, str] = {}
        self.by_vm: dict[str, list[str]] = defaultdict(list)
        self.by_interface: dict[str, list[str]] = defaultdict(list)
        self.by_port: dict[str, list[str]] = defaultdict(list)
        cards = _cards(objects, self._networks)
        addresses: dict[str, list[str]] = defaultdict(list)
        for card in cards:
            addresses[card.net] += card.addresses
        self._networks.complete(addresses, Counter(card.net for card in cards))
        self.applications: list[Application] = self._networks.applications()
        self._place(cards)
        self.families = {network.version for network in self._networks.known}

    @property
    def workloads(self) -> list[Workload]:
        """All of them."""
        return [subject.workload for subject in self.subjects]

    def segment(self, path: str) -> Selector | None:
        """The workloads of a segment; None where the export has no such segment."""
        net = self._networks.nets.get(path)
        if net is None:
            return None
        return Selector(applications=(net.application,), segments=tuple(sorted(net.names)))

    def _place(self, cards: list[Card]) -> None:
        names: dict[str, Names] = defaultdict(Names)
        taken: set[tuple[str, str]] = set()
        dropped: list[str] = []
        for card in cards:
            net = self._networks.nets[card.net]
            index = net.place(card.addresses)
            name = names[net.application].take(card.vm.content.name, "vm")
            fixed = _fixed(card, net.subnets[index], net.application, taken)
            dropped += [f"{text} of {name}" for text in card.addresses if text not in fixed]
            workload = Workload(
                namespace=net.application,
                name=name,
                kind=Kind.VM,
                application=net.application,
                segment=net.names[index],
                labels=_labels(card.vm.content, name),
                ip=fixed,
            )
            self._add(card, workload)
        if dropped:
            shown = ", ".join(dropped[:3]) + (", ..." if len(dropped) > 3 else "")
            self._notes.say(
                f"{len(dropped)} addresses of VMs are not kept, rules that name them may be judged wrongly: {shown} "
                "(outside of the segment, its gateway's, somebody else's, or a second one of the card)"
            )

    def _add(self, card: Card, workload: Workload) -> None:
        segment = self._segments.get(card.net)
        self.subjects.append(
            Subject(
                workload,
                card.vm.content,
                segment.content if segment else None,
                card.port.content if card.port else None,
            )
        )
        self.where[place_key("workload", workload.key)] = card.vm.site.line
        self.by_vm[card.vm.path].append(workload.key)
        if card.interface is not None:
            self.by_interface[card.identity].append(workload.key)
            for name in {card.interface.external_id, card.interface.lport_attachment_id} - {"", card.identity}:
                self.by_interface[name].append(workload.key)
        if card.port is not None:
            self.by_port[card.port.path].append(workload.key)


def _labels(vm: schema.VirtualMachine, name: str) -> dict[str, str]:
    labels = {tag_key(tag): "" for tag in vm.tags}
    labels |= {OS: vm.os} if vm.os else {}
    labels |= {NAME: vm.name} if vm.name != name else {}
    labels |= {COMPUTER: vm.computer} if vm.computer not in ("", vm.name) else {}
    return dict(sorted(labels.items()))


def _fixed(card: Card, subnets: list[Network], application: str, taken: set[tuple[str, str]]) -> tuple[str, ...]:
    """At most one address of each family, that the segment has room for and nobody else has."""
    found: dict[int, str] = {}
    for text in card.addresses:
        version = ip_address(text).version
        free = (application, text) not in taken
        if version not in found and free and any(usable(network, text) for network in subnets):
            found[version] = text
            taken.add((application, text))
    return tuple(found[version] for version in sorted(found))


def _cards(objects: Objects, networks: Networks) -> list[Card]:
    """Cards in an order that does not depend on the order of the export."""
    ports = {
        item.content.attachment.id: item for item in objects.of("SegmentPort").values() if item.content.attachment.id
    }
    interfaces: dict[str, list[tuple[str, Item]]] = defaultdict(list)
    vms = objects.of("VirtualMachine")
    for path, item in objects.of("VirtualNetworkInterface").items():
        if item.content.owner_vm_id in vms:
            interfaces[item.content.owner_vm_id].append((path, item))
        else:
            objects.notes.once(item.site, "is an interface of a VM that is not in the export; it is left out")
    result = []
    for vm in sorted(vms.values(), key=lambda item: (item.content.name.casefold(), item.path)):
        own = sorted(interfaces[vm.path], key=lambda pair: (pair[1].content.device_key, pair[0]))
        plugged = [pair for pair in own if pair[1].content.lport_attachment_id] or own[:1]
        result += [_card(vm, path, item, ports, networks) for path, item in plugged] or [
            _blind(vm, networks, objects.notes)
        ]
    return result


def _blind(vm: Item, networks: Networks, notes: Notes) -> Card:
    notes.once(vm.site, "no interface of it is known; it is taken as connected with all others, at an unknown address")
    return Card(vm, None, "", None, networks.stray("unknown"), ())


def _card(vm: Item, path: str, item: Item, ports: dict[str, Item], networks: Networks) -> Card:
    interface: schema.Interface = item.content
    addresses = tuple(dict.fromkeys(_addresses(interface, item.site)))
    port = ports.get(interface.lport_attachment_id)
    net = port.path.rpartition("/ports/")[0] if port is not None else ""
    if net not in networks.nets:
        net = next((found for text in addresses if (found := networks.by_address(text))), "")
    if not net:
        net = networks.stray(_around(addresses))
    identity = interface.external_id or interface.lport_attachment_id or path
    return Card(vm, interface, identity, port, net, addresses)


def _around(addresses: Iterable[str]) -> str:
    """A label for interfaces that are probably neighbours."""
    first = min(addresses, key=lambda text: (":" in text, text), default="")
    if not first:
        return "unknown"
    return "net-" + ("-".join(first.split(".")[:3]) if "." in first else ip_address(first).exploded[:19])


def _addresses(interface: schema.Interface, site: Site) -> Iterable[str]:
    for info, one in enumerate(interface.ip_address_info):
        for index, text in enumerate(one.ip_addresses):
            try:
                address = ip_address(text.partition("/")[0])
            except ValueError:
                site.at("ip_address_info", info, "ip_addresses", index).report(f'"{text[:60]}" is no IP address')
                continue
            # Every IPv6 interface has a link-local address; it is nobody's in the overlay.
            if not address.is_link_local and not address.is_loopback and not address.is_unspecified:
                yield str(address)
