"""The small texts of a lab file as values: ports, quantities, addresses. ValueError says what to write instead."""

from __future__ import annotations

import re
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from sdn.model import IPBlock, Port, PortRange, Protocol, ServicePort
from sdn.spec.kubernetes import fields
from sdn.spec.mistakes import kind, show

PROTOCOLS = tuple(protocol.value for protocol in Protocol)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_MEMORY = re.compile(r"[0-9]{1,12}(\.[0-9]{1,3})?([KMGT]i|[kMGT])", re.ASCII)
_CPU = re.compile(r"[0-9]{1,9}m|[0-9]{1,6}(\.[0-9]{1,3})?", re.ASCII)

LEAST_INTERVAL = 20
"""Milliseconds between two heartbeats, at least."""

Network = IPv4Network | IPv6Network


def name(value: Any) -> str:
    """A DNS-1123 label: it becomes part of namespaces' and interfaces' names."""
    return fields.dns_label(_text(value, "a name"))


def label_key(value: Any) -> str:
    """Kubernetes' label key: `name` or `prefix/name`."""
    return fields.label_key(_text(value, "a label key"))


def label_value(value: Any) -> str:
    """Kubernetes' label value; empty is legal."""
    return fields.label_value(_text(value, "a label value"))


def _text(value: Any, what: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        written = str(value).lower() if isinstance(value, bool) else str(value)
        raise ValueError(f'{what} is text; write "{written}" in quotes')
    raise ValueError(f"{what} is text, not {kind(value)}")


_RULE_NAME = re.compile(r"(?=.*[^0-9])[A-Za-z0-9][-\w .,:;/()+=@#*]{0,59}", re.ASCII)


def rule_name(value: Any) -> str:
    """Stands for the rule in verdicts, nft comments and logs, where a plain number is the rule's position."""
    text = _text(value, "a rule's name")
    if _RULE_NAME.fullmatch(text):
        return text
    raise ValueError(
        f"{show(text)} is no name of a rule; use up to 60 letters, digits, blanks and -_.,:;/()+=@#*, not digits only"
    )


def workload_key(value: Any) -> str:
    """`application/name`, or `namespace/name` of a Kubernetes manifest."""
    text = _text(value, "a workload")
    namespace, slash, own = text.partition("/")
    if not slash:
        raise ValueError(f"{show(text)} is not a workload; write application/name, such as shop/{text[:40] or 'web'}")
    fields.dns_label(namespace)
    fields.dns_subdomain(own)
    return text


def workload_port(value: Any) -> Port:
    """`80`, `80/tcp`, `http=8080/tcp`: what a workload listens on."""
    text = _port_text(value, "80/tcp or http=8080/tcp")
    label, equals, rest = text.rpartition("=")
    number, protocol = _split(rest)
    if protocol is Protocol.ICMP or number == Protocol.ICMP:
        raise ValueError("icmp has no ports and is always answered; leave it out")
    return Port(port_number(number), protocol, port_name(label) if equals else "")


def service_port(value: Any) -> ServicePort:
    """`80`, `80:8080/tcp`, `http=80:web/tcp`: clients' port, the backend's port or its name (the same if left out)."""
    text = _port_text(value, "80:8080/tcp or http=80:web/tcp")
    label, equals, rest = text.rpartition("=")
    numbers, protocol = _split(rest)
    if protocol is Protocol.ICMP:
        raise ValueError("a service has no icmp port; use tcp, udp or sctp")
    front, colon, back = numbers.partition(":")
    port = port_number(front)
    target: int | str = port if not colon else port_number(back) if _NUMBER.fullmatch(back) else port_name(back)
    return ServicePort(port, target, protocol, port_name(label) if equals else "")


def rule_port(value: Any) -> PortRange:
    """`5432/tcp`, `8000-8100/tcp`, `http/tcp`, `udp` (all ports of it), `icmp` (echo): what a rule talks about."""
    text = _port_text(value, "5432/tcp, 8000-8100/tcp, http/tcp, udp or icmp")
    if text in PROTOCOLS:
        return PortRange(Protocol(text))
    number, protocol = _split(text)
    if protocol is Protocol.ICMP:
        raise ValueError(f"{show(text)}: icmp has no ports; write icmp alone")
    first, dash, last = number.partition("-")
    if dash and _NUMBER.fullmatch(first) and _NUMBER.fullmatch(last):
        port, end = port_number(first), port_number(last)
        if end < port:
            raise ValueError(f"range {port}-{end} ends before it begins; write {end}-{port}")
        return PortRange(protocol, port, end)
    return PortRange(protocol, port_number(number) if _NUMBER.fullmatch(number) else port_name(number))


def port_number(text: str) -> int:
    """1 to 65535."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{show(text)} is not a port number; write one from 1 to 65535")
    return fields.port_number(int(text))


def port_name(text: str) -> str:
    """An IANA service name."""
    return fields.port_name(text)


def _port_text(value: Any, example: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise ValueError(f"a port is text, not {kind(value)}; write {example}")
    return value


def _split(text: str) -> tuple[str, Protocol]:
    """Number and protocol; tcp where none is written, as in Kubernetes."""
    number, slash, protocol = text.partition("/")
    if not slash:
        return number, Protocol.TCP
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {show(protocol)} is not known (there are: {', '.join(PROTOCOLS)})")
    return number, Protocol(protocol)


def cpu(value: Any) -> int:
    """Millicores, from cores (`2`, `0.5`, `"2"`) or `500m`."""
    if not isinstance(value, int | float | str) or isinstance(value, bool) or not _CPU.fullmatch(str(value)):
        raise ValueError(f"{show(value)} is not an amount of CPU; write cores (2, 0.5) or millicores (500m)")
    return fields.rounded_up(fields.quantity(value), Decimal("0.001"))


def memory(value: Any) -> int:
    """MiB, rounded up, from Kubernetes' units (`256Mi`, `4Gi`, `1G`); plain bytes are most often a forgotten unit."""
    if not isinstance(value, str) or not _MEMORY.fullmatch(value):
        raise ValueError(f"{show(value)} is not an amount of memory; write it with its unit (256Mi, 4Gi, 1G)")
    return fields.rounded_up(fields.quantity(value), Decimal(2**20))


def bandwidth(value: Any) -> int:
    """Mbit/s from `100Mbit` or `10Gbit`."""
    return _measure(value, {"Mbit": 1, "Gbit": 1000}, "a bandwidth", "100Mbit or 10Gbit", 1_000_000)


def loss(value: Any) -> int:
    """Percent of packets, each way, from `1%`."""
    return _measure(value, {"%": 1}, "a loss", "whole percent such as 1%", 100)


def percent(value: Any) -> int:
    """Whole percent, from `200%`."""
    amount = _measure(value, {"%": 1}, "a share", "whole percent such as 120%", 1_000)
    if amount < 1:
        raise ValueError(f"{show(value)} is too small; the least is 1%")
    return amount


def delay(value: Any) -> int:
    """Milliseconds, each way, from `5ms` or `1s`."""
    return _measure(value, {"ms": 1, "s": 1000}, "a delay", "5ms or 1s", 60_000)


def interval(value: Any) -> int:
    """Milliseconds between two heartbeats, from `1s` or `200ms`."""
    found = _measure(value, {"ms": 1, "s": 1000}, "an interval", "1s or 200ms", 60_000)
    if found < LEAST_INTERVAL:
        raise ValueError(f"{show(value)} is too short to be kept by any machine; write {LEAST_INTERVAL}ms or more")
    return found


def moment(value: Any) -> int:
    """Milliseconds since a scenario began, from `500ms`, `2s`, `1m` or `1h`."""
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
    return _measure(value, units, "a time", "2s or 500ms", 1_000_000_000)


def _measure(value: Any, units: dict[str, int], what: str, example: str, most: int) -> int:
    found = re.fullmatch(r"([0-9]{1,9}) ?([A-Za-z%]+)", value, re.ASCII) if isinstance(value, str) else None
    if not found or found[2] not in units:
        raise ValueError(f"{show(value)} is not {what}; write {example}")
    amount = int(found[1]) * units[found[2]]
    if amount > most:
        smallest = next(iter(units))
        raise ValueError(f"{show(value)} is more than the most that makes sense ({most}{smallest}); write {example}")
    return amount


def subnet(value: Any) -> str:
    """A prefix in canonical text, its host bits zero."""
    network = _network(value, "10.1.1.0/24 or fd00:1:1::/64")
    if "/" not in value:
        raise ValueError(f"{show(value)} has no prefix length; write it as 10.1.1.0/24 or fd00:1:1::/64")
    return str(network)


def block(value: Any) -> str:
    """A prefix, or an address as the prefix of its own."""
    return str(_network(value, "203.0.113.0/24, fd00::/8 or an address"))


def ip_block(cidr: str, excepts: list[str]) -> IPBlock:
    """`cidr` without `excepts`, which must lie inside it."""
    whole = ip_network(cidr)
    for text in excepts:
        if not inside(ip_network(text), whole):
            raise ValueError(f"except {text} is not inside {cidr}; leave it out or widen the address")
    return IPBlock(cidr, tuple(sorted(excepts)))


def address(value: Any) -> str:
    """One IP address in canonical text."""
    try:
        if not isinstance(value, str) or "%" in value:
            raise ValueError
        return str(ip_address(value))
    except ValueError:
        raise ValueError(f"{show(value)} is not an IP address; write one such as 10.1.1.5 or fd00:1:1::5") from None


def inside(part: Network, whole: Network) -> bool:
    """Whether a prefix lies in another of the same family."""
    if isinstance(part, IPv4Network):
        return isinstance(whole, IPv4Network) and part.subnet_of(whole)
    return isinstance(whole, IPv6Network) and part.subnet_of(whole)


def _network(value: Any, example: str) -> Network:
    if not isinstance(value, str) or "%" in value:
        raise ValueError(f"{show(value)} is not a network; write {example}")
    try:
        return ip_network(value)
    except ValueError:
        try:
            right = ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f"{show(value)} is not a network; write {example}") from None
    raise ValueError(f"{show(value)} has bits set after its prefix; the network is {right}")
