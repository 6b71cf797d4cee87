"""Lines such as `web → app 9090/tcp: allow`: what a lab's author claims, to be compared with all three answers.

A name stands for a workload, or for all replicas of one: `web`, `web-0`, `shop/web`; a Service is `service:shop/web`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from typing import TypeVar

from msgspec import Struct

from sdn.model import Disposition, Expectation, Protocol, Service, Workload, unsendable

T = TypeVar("T")
VERDICTS = tuple(disposition.value for disposition in Disposition)
_LINE = re.compile(r"(\S+)\s*(?:→|->)\s*(\S+)\s+(\S+?)\s*:\s+(\S+)")
_SHAPE = "write it as `web → app 9090/tcp: allow` or `web → app icmp: deny`"
_SERVICE = "service:"


class Line(Struct, frozen=True):
    """One line as written, names not yet looked up. `port` is 0 for ICMP; a name is looked up at the destination."""

    source: str
    destination: str
    protocol: Protocol
    port: int | str
    disposition: Disposition

    @property
    def is_service(self) -> bool:
        """Whether the destination is a Service."""
        return self.destination.startswith(_SERVICE)


def parse_line(text: str) -> Line:
    """ValueError says what is wrong and how a line is written."""
    found = _LINE.fullmatch(text.strip())
    if not found:
        raise ValueError(f'"{text[:80]}" cannot be read; {_SHAPE}')
    source, destination, what, verdict = found.groups()
    if verdict not in VERDICTS:
        near = get_close_matches(verdict, VERDICTS, 1)
        hint = f'did you mean "{near[0]}"? ' if near else ""
        raise ValueError(f'verdict "{verdict}" is not known ({hint}there are: {", ".join(VERDICTS)})')
    protocol, port = _port(what)
    return Line(source, destination, protocol, port, Disposition(verdict))


def _port(text: str) -> tuple[Protocol, int | str]:
    if text == Protocol.ICMP:
        return Protocol.ICMP, 0
    port, slash, protocol = text.partition("/")
    if not slash or protocol not in ("tcp", "udp", "sctp"):
        raise ValueError(f'"{text}" is not a port; write 9090/tcp, 53/udp, http/tcp or icmp')
    if not (port.isascii() and port.isdigit()):
        return Protocol(protocol), port
    if not 1 <= int(port) <= 65535:
        raise ValueError(f"{port} is not a port; ports go from 1 to 65535")
    return Protocol(protocol), int(port)


class Directory:
    """Everything that a line can name: workloads that have an endpoint, groups of replicas, and Services."""

    def __init__(self, workloads: Iterable[Workload], services: Iterable[Service]) -> None:
        self._workloads: dict[str, dict[str, list[Workload]]] = {}
        self._services: dict[str, dict[str, Service]] = {}
        self._unreachable: set[str] = set()
        for workload in workloads:
            if workload.host_network or not workload.segment:
                self._unreachable |= {workload.name, workload.key}
                continue
            names = dict.fromkeys((workload.name, workload.owner[1] or workload.name))
            for name in names:
                self._workloads.setdefault(name, {}).setdefault(workload.namespace, []).append(workload)
        for service in services:
            self._services.setdefault(service.name, {})[service.namespace] = service

    def expectations(self, line: Line, at: str = "") -> list[Expectation]:
        """What a line claims, pair by pair; a replica is not paired with itself. ValueError names what is not there."""
        sources = self._find(line.source)
        if line.is_service:
            service = self._service(line.destination.removeprefix(_SERVICE))
            port = _service_port(service, line)
            return [_expectation(one.key, service.key, port, line, at) for one in sources]
        if _is_address(line.destination):
            if why := unsendable(line.destination):
                raise ValueError(f"{line.destination} {why}")
            port = _number(line)
            return [_expectation(one.key, line.destination, port, line, at) for one in sources]
        destinations = [(one, _workload_port(one, line)) for one in self._find(line.destination)]
        alone = len(sources) == len(destinations) == 1
        return [
            _expectation(source.key, one.key, port, line, at)
            for source in sources
            for one, port in destinations
            if alone or source.key != one.key
        ]

    def _find(self, text: str) -> list[Workload]:
        """The workload of that name, or else the replicas of that name."""
        namespace, _, name = text.rpartition("/")
        homes = self._workloads.get(name, {})
        found = _one_home(text, namespace, homes)
        if found is not None:
            exact = [one for one in found if one.name == name]
            return exact or sorted(found, key=lambda one: one.name)
        if text in self._unreachable:
            raise ValueError(f'"{text}" has no address of its own, so nothing can be asked; name another workload')
        service = next((one.key for one in self._services.get(name, {}).values()), None)
        if service is not None:
            raise ValueError(f'"{text}" is no workload but a service; as destination, write service:{service}')
        raise ValueError(f'workload "{text}" is not defined{self._nearest(text, self._workloads)}')

    def _service(self, text: str) -> Service:
        namespace, _, name = text.rpartition("/")
        found = _one_home(text, namespace, self._services.get(name, {}))
        if found is None:
            raise ValueError(f'service "{text}" is not defined{self._nearest(text, self._services)}')
        return found

    def _nearest(self, text: str, names: Iterable[str]) -> str:
        known = sorted(names)
        near = get_close_matches(text.rpartition("/")[2], known, 1)
        hint = f'did you mean "{near[0]}"? ' if near else ""
        shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        return f" ({hint}there are: {shown})" if known else " (there are none)"


def _one_home(text: str, namespace: str, homes: Mapping[str, T]) -> T | None:
    """What is meant among things of one name in several namespaces; None if there is no such thing."""
    if namespace:
        return homes.get(namespace)
    if len(homes) > 1:
        name = text.rpartition("/")[2]
        full = " or ".join(f"{home}/{name}" for home in sorted(homes))
        raise ValueError(f'"{text}" is in several namespaces; write {full}')
    return next(iter(homes.values()), None)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _number(line: Line) -> int:
    """The port towards an address, which gives no names."""
    if isinstance(line.port, int):
        return line.port
    raise ValueError(f'{line.destination} gives no port the name "{line.port}"; write the number')


def _workload_port(workload: Workload, line: Line) -> int:
    if isinstance(line.port, int):
        return line.port
    for port in workload.ports:
        if port.name == line.port and port.protocol == line.protocol:
            return port.number
    raise ValueError(f'{workload.key} has no {line.protocol} port called "{line.port}"; write its number')


def _service_port(service: Service, line: Line) -> int:
    if line.protocol is Protocol.ICMP:
        raise ValueError("a service answers no icmp; write one of its ports")
    if isinstance(line.port, int):
        return line.port
    for port in service.ports:
        if port.name == line.port and port.protocol == line.protocol:
            return port.port
    raise ValueError(f'service {service.key} has no {line.protocol} port called "{line.port}"; write its number')


def _expectation(source: str, destination: str, port: int, line: Line, at: str) -> Expectation:
    return Expectation(source, destination, line.protocol, port, line.disposition, line.is_service, at)
