"""What to ask of a lab so that every pair of workloads, every Service and every Host is heard.

A question is only asked where its answer is certain: between Applications that nobody connected, an address that
means somebody else to the sender is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

from sdn.model import Ask, Endpoint, Expectation, Flow, Model, Placed, Protocol, Question, Service, connected, family_of

FIRST_CLOSED_PORT = 7

Listener = tuple[str, Protocol, int]
"""A port that a workload declares: (workload key, protocol, number)."""


def listening(placed: Placed) -> frozenset[Listener]:
    """Every port on which somebody listens: what workloads with an Endpoint declare."""
    return frozenset(
        (workload.key, port.protocol, port.number)
        for workload in placed.model.workloads
        if workload.key in placed.endpoints
        for port in workload.ports
    )


def closed_port(model: Model) -> int:
    """The first TCP port from 7 on that no workload declares and no Service leads to: the same one for everybody."""
    used = {port.number for workload in model.workloads for port in workload.ports if port.protocol is Protocol.TCP}
    used |= {port.target for service in model.services for port in service.ports if isinstance(port.target, int)}
    return next(number for number in range(FIRST_CLOSED_PORT, 65536) if number not in used)


def questions(placed: Placed) -> tuple[Question, ...]:
    """All pairs by all ports, one closed port and echo, then every Service from every workload of its Application.

    Last each Host: about each workload on itself, by one port that it listens on, and about one that is elsewhere.
    """
    asker = _Asker(placed)
    return (*asker.pairs(), *asker.services(), *asker.hosts())


def expectation_questions(placed: Placed) -> tuple[tuple[Expectation, Question], ...]:
    """Each `expect:` line as questions, one per IP family that its two sides have in common."""
    asker = _Asker(placed)
    return tuple(
        (expected, question) for expected in placed.model.expectations for question in asker.expected(expected)
    )


class _Asker:
    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self._visible = connected(placed.model.applications)
        self._closed = closed_port(placed.model)
        self._services = {service.key: service for service in placed.model.services}
        self._listens: dict[str, list[tuple[Protocol, int]]] = defaultdict(list)
        for key, protocol, number in sorted(listening(placed)):
            self._listens[key].append((protocol, number))
        self._owned: dict[str, dict[str, str]] = defaultdict(dict)  # application → address → endpoint or Service
        for service in placed.model.services:
            self._owned[service.application].update(dict.fromkeys(service.addresses, ""))
        for endpoint in placed.endpoints.values():
            self._owned[endpoint.application].update(dict.fromkeys(endpoint.addresses, endpoint.workload))

    def pairs(self) -> Iterator[Question]:
        """Every ordered pair of different workloads, in every family that both have."""
        endpoints = list(self._placed.endpoints.values())
        for source in endpoints:
            for target in endpoints:
                if source is target:
                    continue
                for address in target.addresses:
                    if source.address(family_of(address)) is not None:
                        yield from self._pair(source, target, address)

    def _pair(self, source: Endpoint, target: Endpoint, address: str) -> Iterator[Question]:
        key = target.workload
        ports = self._listens.get(key, [])
        if target.application not in self._visible[source.application]:
            if self._owner(source, address) is not None:
                return
            protocol, number = ports[0] if ports else (Protocol.TCP, self._closed)
            yield Question(
                Flow(source.workload, address, protocol, number), key, Ask.LISTENING if ports else Ask.CLOSED
            )
        else:
            for protocol, number in ports:
                yield Question(Flow(source.workload, address, protocol, number), key, Ask.LISTENING)
            yield Question(Flow(source.workload, address, Protocol.TCP, self._closed), key, Ask.CLOSED)
        yield Question(Flow(source.workload, address, Protocol.ICMP), key, Ask.ECHO)

    def services(self) -> Iterator[Question]:
        """Every port of every Service that has an address, from every workload of its Application."""
        members: dict[str, list[Endpoint]] = defaultdict(list)
        for endpoint in self._placed.endpoints.values():
            members[endpoint.application].append(endpoint)
        for service in self._placed.model.services:
            for source in members[service.application]:
                for address in _reachable(service, source):
                    for port in service.ports:
                        flow = Flow(source.workload, address, port.protocol, port.port)
                        yield Question(flow, service.key, Ask.SERVICE)

    def hosts(self) -> Iterator[Question]:
        """Each workload from its own Host; and, for each Application on a Host, one workload that is not there."""
        members: dict[str, list[Endpoint]] = defaultdict(list)
        for endpoint in self._placed.endpoints.values():
            members[endpoint.application].append(endpoint)
            yield from self._from_host(endpoint.host, endpoint)
        for several in members.values():
            for host in sorted({endpoint.host for endpoint in several}):
                elsewhere = (endpoint for endpoint in several if endpoint.host != host)
                for endpoint in islice(elsewhere, 1):
                    yield from self._from_host(host, endpoint)

    def _from_host(self, host: str, target: Endpoint) -> Iterator[Question]:
        ports = self._listens.get(target.workload, [])
        protocol, number = ports[0] if ports else (Protocol.ICMP, 0)
        for address in target.addresses:
            flow = Flow(host, address, protocol, number, target.application)
            yield Question(flow, target.workload, Ask.HOST)

    def expected(self, line: Expectation) -> Iterator[Question]:
        """One expectation, in each family; an address that the source lacks the family for is asked all the same."""
        source = self._placed.endpoints.get(line.source)
        if source is None:
            return
        if line.is_service:
            service = self._services[line.destination]
            addresses, target = _reachable(service, source) or service.addresses, service.key
        elif (endpoint := self._placed.endpoints.get(line.destination)) is not None:
            shared = tuple(a for a in endpoint.addresses if source.address(family_of(a)) is not None)
            addresses, target = shared or endpoint.addresses, endpoint.workload
        else:
            addresses, target = (line.destination,), self._owner(source, line.destination) or ""
        for address in addresses:
            yield Question(Flow(source.workload, address, line.protocol, line.port), target, Ask.EXPECT)

    def _owner(self, source: Endpoint, address: str) -> str | None:
        """Whose address it is as `source` sees it: a workload key, "" for a Service, None for nobody."""
        for application in sorted(self._visible[source.application]):
            if address in self._owned[application]:
                return self._owned[application][address]
        return None


def _reachable(service: Service, source: Endpoint) -> tuple[str, ...]:
    return tuple(a for a in service.addresses if source.address(family_of(a)) is not None)
