"""Services of NSX as ports: which of our protocols an entry means, and in which address family.

What we cannot speak of (source ports, other IP protocols) is never widened for an ALLOW: it matches nothing there, and
everything where the rule refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sdn.model import PortRange, Protocol
from sdn.spec.mistakes import Site, nearest
from sdn.spec.nsx import schema
from sdn.spec.nsx.collect import Item, Objects
from sdn.spec.nsx.fields import ANY, Notes, piece, read_strictly

MOST_PORTS = 15
"""Of one entry and side; a range counts as two (Policy API, L4PortSetServiceEntry)."""
ECHO = {"ICMPv4": (4, 8), "ICMPv6": (6, 128)}
"""Protocol → family and the type of an echo request."""
NUMBERS = {1: "ICMPv4", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}
ALGS = {
    "FTP": Protocol.TCP,
    "TFTP": Protocol.UDP,
    "ORACLE_TNS": Protocol.TCP,
    "SUN_RPC_TCP": Protocol.TCP,
    "SUN_RPC_UDP": Protocol.UDP,
    "MS_RPC_TCP": Protocol.TCP,
    "MS_RPC_UDP": Protocol.UDP,
    "NBNS_BROADCAST": Protocol.UDP,
    "NBDG_BROADCAST": Protocol.UDP,
}
DELIVERED: dict[str, tuple[tuple[Protocol, int], ...]] = {
    "HTTP": ((Protocol.TCP, 80),),
    "HTTPS": ((Protocol.TCP, 443),),
    "SSH": ((Protocol.TCP, 22),),
    "DNS": ((Protocol.TCP, 53),),
    "DNS-UDP": ((Protocol.UDP, 53),),
    "NTP": ((Protocol.UDP, 123),),
    "RDP": ((Protocol.TCP, 3389),),
    "SMTP": ((Protocol.TCP, 25),),
    "MySQL": ((Protocol.TCP, 3306),),
    "LDAP": ((Protocol.TCP, 389),),
    "LDAP-over-SSL": ((Protocol.TCP, 636),),
    "IMAP": ((Protocol.TCP, 143),),
    "POP3": ((Protocol.TCP, 110),),
    "SMB": ((Protocol.TCP, 445),),
    "FTP": ((Protocol.TCP, 21),),
    "TFTP": ((Protocol.UDP, 69),),
    "DHCP-Server": ((Protocol.UDP, 67),),
    "DHCP-Client": ((Protocol.UDP, 68),),
    "CIM-HTTP": ((Protocol.TCP, 5988),),
    "CIM-HTTPS": ((Protocol.TCP, 5989),),
}
"""Services that NSX comes with and that exports of one's own objects leave out: `/infra/services/HTTPS`."""


@dataclass(frozen=True)
class Match:
    """One thing that a service matches; `family` is 0 for both. `source`: only from some source ports."""

    family: int
    port: PortRange
    source: bool = False


class Services:
    """All services of an export; each is read once, and its mistakes are said once."""

    def __init__(self, objects: Objects) -> None:
        self._items = objects.of("Service")
        self._trees = objects.entries
        self._broken = objects.broken
        self._notes: Notes = objects.notes
        self._read: dict[str, tuple[Match, ...]] = {}
        self._open: list[str] = []
        for path, item in self._items.items():
            self.at(path, item.site)

    def of(self, rule: schema.Rule, site: Site) -> tuple[Match, ...] | None:
        """What a rule's services match together; None: everything."""
        paths = rule.services
        if any(path.upper() == ANY for path in paths):
            if len(paths) > 1:
                site.at("services").report("ANY stands alone; remove it or the others")
            # What NSX's own pages write beside entries of a rule means those entries.
            paths = []
        if not paths and not rule.service_entries:
            return None
        found = [one for index, path in enumerate(paths) for one in self.at(path, site.at("services", index))]
        for index, entry in enumerate(rule.service_entries):
            found += self._entry(entry, site.at("service_entries", index))
        return tuple(dict.fromkeys(found))

    def at(self, path: str, site: Site) -> tuple[Match, ...]:
        """What the service at a path matches; `site` is who asks for it."""
        item = self._items.get(path)
        if item is None:
            return self._delivered(path, site)
        if path in self._open:
            site.report(f"service {item.content.name} contains itself; remove it from one of its nested services")
            return ()
        if path not in self._read:
            self._open.append(path)
            self._read[path] = tuple(dict.fromkeys(self._entries(item)))
            self._open.pop()
        return self._read[path]

    def _delivered(self, path: str, site: Site) -> tuple[Match, ...]:
        name = path.rpartition("/")[2]
        if path.startswith("/infra/services/") and name in DELIVERED:
            return tuple(Match(0, PortRange(protocol, port)) for protocol, port in DELIVERED[name])
        if path.startswith("/infra/services/") and name in ("ICMPv4-ALL", "ICMPv6-ALL"):
            return (Match(ECHO[name.removesuffix("-ALL")][0], PortRange(Protocol.ICMP)),)
        if path in self._broken:
            return ()
        known = nearest(name, (one.rpartition("/")[2] for one in self._items))
        site.report(f'service "{path}" is not in the export{known or "; add the answer of GET /infra/services to it"}')
        return ()

    def _entries(self, item: Item) -> Iterator[Match]:
        for index, entry in enumerate(item.content.service_entries):
            yield from self._entry(entry, item.site.at("service_entries", index))
        for entry, site in self._trees.get(item.path, ()):
            yield from self._entry(
                entry, Site(site.document, (*site.root, *site.steps), item.site.title, site.problems)
            )

    def _entry(self, entry: Mapping[str, Any], site: Site) -> list[Match]:
        kind = piece(entry)
        match kind:
            case "L4PortSetServiceEntry":
                return _ports(read_strictly(schema.PortSet, entry, site, self._notes), site)
            case "ICMPTypeServiceEntry":
                return _icmp(read_strictly(schema.Icmp, entry, site, self._notes), site)
            case "IPProtocolServiceEntry":
                found = read_strictly(schema.IpProtocol, entry, site, self._notes)
                return _numbered(found.protocol_number) if found is not None else []
            case "ALGTypeServiceEntry":
                return self._alg(read_strictly(schema.Alg, entry, site, self._notes), site)
            case "IGMPTypeServiceEntry" | "EtherTypeServiceEntry":
                return []
            case "NestedServiceServiceEntry":
                nested = read_strictly(schema.NestedService, entry, site, self._notes)
                return (
                    [] if nested is None else list(self.at(nested.nested_service_path, site.at("nested_service_path")))
                )
        known = "L4PortSetServiceEntry, ICMPTypeServiceEntry, IPProtocolServiceEntry, ALGTypeServiceEntry, ..."
        site.at("resource_type").report(f'"{kind}" is no service entry (there are: {known})')
        return []

    def _alg(self, entry: schema.Alg | None, site: Site) -> list[Match]:
        if entry is None:
            return []
        if entry.alg not in ALGS:
            site.at("alg").report(
                f'"{entry.alg}" is not known (there are: {", ".join(ALGS)}){nearest(entry.alg, ALGS)}'
            )
            return []
        if not entry.destination_ports:
            site.report('"destination_ports" is missing; add the control port')
        self._notes.once(site, "only the control connection of an ALG is judged, not what NSX opens for its data")
        return _matches(ALGS[entry.alg], entry.source_ports, entry.destination_ports, site)


def _numbered(number: int) -> list[Match]:
    name = NUMBERS.get(number)
    if name is None:
        return []
    return [
        Match(ECHO[name][0], PortRange(Protocol.ICMP)) if name in ECHO else Match(0, PortRange(Protocol(name.lower())))
    ]


def _icmp(entry: schema.Icmp | None, site: Site) -> list[Match]:
    if entry is None:
        return []
    if entry.protocol not in ECHO:
        site.at("protocol").report(f'"{entry.protocol}" is not known (there are: {", ".join(ECHO)})')
        return []
    family, echo = ECHO[entry.protocol]
    is_echo = entry.icmp_type in (None, echo) and entry.icmp_code in (None, 0)
    return [Match(family, PortRange(Protocol.ICMP))] if is_echo else []


def _ports(entry: schema.PortSet | None, site: Site) -> list[Match]:
    if entry is None:
        return []
    if entry.l4_protocol not in ("TCP", "UDP"):
        site.at("l4_protocol").report(f'"{entry.l4_protocol}" is not known (there are: TCP, UDP)')
        return []
    return _matches(Protocol(entry.l4_protocol.lower()), entry.source_ports, entry.destination_ports, site)


def _matches(protocol: Protocol, sources: list[str | int], targets: list[str | int], site: Site) -> list[Match]:
    for name, ports in (("source_ports", sources), ("destination_ports", targets)):
        if (count := sum(2 if "-" in str(port) else 1 for port in ports)) > MOST_PORTS:
            site.at(name).report(f"has {count} ports, a range counts two; write at most {MOST_PORTS}, or two entries")
    limited = [_range(port, site.at("source_ports", index)) for index, port in enumerate(sources)]
    source = bool(limited) and not any(one is not None and one[0] <= 1 and one[1] == 65535 for one in limited)
    if not targets:
        return [Match(0, PortRange(protocol), source)]
    found = [_range(port, site.at("destination_ports", index)) for index, port in enumerate(targets)]
    return [_match(protocol, *one, source) for one in found if one is not None]


def _match(protocol: Protocol, first: int, last: int, source: bool) -> Match:
    return Match(0, PortRange(protocol, max(1, first), last if last > first else None), source)


def _range(port: str | int, site: Site) -> tuple[int, int] | None:
    first, dash, last = (part.strip() for part in str(port).partition("-"))
    if not (first.isascii() and first.isdigit() and (not dash or (last.isascii() and last.isdigit()))):
        site.report(f'"{str(port)[:40]}" is no port; write "8080" or "8000-8100"')
        return None
    low, high = int(first[:9]), int(last[:9]) if dash else int(first[:9])
    if not (0 <= low <= 65535 and 1 <= high <= 65535):
        site.report(f"{port} is no port; ports go from 1 to 65535")
        return None
    if high < low:
        site.report(f'range "{port}" ends before it begins; write "{high}-{low}"')
        return None
    return low, high
