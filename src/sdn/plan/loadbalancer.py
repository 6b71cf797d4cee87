"""The distributed load balancer of each Host: the Services that its endpoints' Applications see, as maps for DNAT.

Policy has no say here: it judges the backend's address and port, after the translation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sdn.model import Application, Endpoint, LabelSelector, Placed, Service, ServicePort, Workload, connected, family_of
from sdn.plan.addresses import parse_all, text_of
from sdn.plan.state import Backend, LoadBalancer, Virtual
from sdn.policy.selector import LabelIndex, positions_of


def host_loadbalancer(placed: Placed, host: str) -> LoadBalancer:
    """The load balancer of one Host; use `LoadBalancerPlanner` for several."""
    return LoadBalancerPlanner(placed).host(host)


class LoadBalancerPlanner:
    """Load balancers of any number of Hosts; backends and each Application's Services are looked up once."""

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self._endpoints: dict[str, list[Endpoint]] = defaultdict(list)
        for endpoint in placed.endpoints.values():
            self._endpoints[endpoint.host].append(endpoint)
        self._connected = connected(placed.model.applications)
        self._gateways = gateways_of(placed.model.applications)
        self._finder = _BackendFinder(placed)
        self._services: dict[str, list[Service]] = defaultdict(list)
        for service in placed.model.services:
            if service.addresses:
                self._services[service.application].append(service)
        self._virtuals: dict[str, list[Virtual]] = {}
        self._seen: dict[tuple[str, ...], tuple[Virtual, ...]] = {}
        self._behind: dict[str, set[tuple[str, str]]] = {}

    def host(self, name: str) -> LoadBalancer:
        """The Services seen from this Host; nothing at all where it has no endpoint."""
        endpoints = self._endpoints.get(name, [])
        applications = tuple(sorted({endpoint.application for endpoint in endpoints}))
        return LoadBalancer(self._seen_from(applications), self._hairpin(endpoints))

    def _seen_from(self, applications: tuple[str, ...]) -> tuple[Virtual, ...]:
        """What a Host with endpoints of these Applications needs; most Hosts share one answer."""
        if applications not in self._seen:
            seen = [virtual for application in applications for virtual in self._seen_by(application)]
            self._seen[applications] = tuple(sorted(seen, key=_key))
        return self._seen[applications]

    def _seen_by(self, application: str) -> list[Virtual]:
        """The Services of an Application and of those directly connected to it, with its mark."""
        if application not in self._virtuals:
            mark = self._placed.marks[application]
            self._virtuals[application] = [
                Virtual(mark, address, port.protocol, port.port, service.key, backends)
                for owner in sorted(self._connected[application])
                for service in self._services.get(owner, ())
                for port in service.ports
                for address in service.addresses
                for backends in (self._finder.backends(service, port, family_of(address)),)
            ]
        return self._virtuals[application]

    def _hairpin(self, endpoints: Iterable[Endpoint]) -> tuple[tuple[int, str, str, bool], ...]:
        """Local backends: only these can meet themselves, for a Service's backends are of its own Application."""
        found = set()
        judged = self._placed.model.options.judge_hairpin
        for endpoint in endpoints:
            for address in endpoint.addresses:
                if (endpoint.workload, address) in self._backends_of(endpoint.application):
                    gateway = self._gateways[endpoint.application, endpoint.segment, family_of(address)]
                    found.add((self._placed.zones[endpoint.application], address, gateway, judged))
        return tuple(sorted(found))

    def _backends_of(self, application: str) -> set[tuple[str, str]]:
        """(workload, address) of everything behind a Service that this Application sees."""
        if application not in self._behind:
            self._behind[application] = {
                (backend.workload, backend.address)
                for virtual in self._seen_by(application)
                for backend in virtual.backends
            }
        return self._behind[application]


class _BackendFinder:
    """The workloads behind Services, by namespace and Application."""

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self._members: dict[tuple[str, str], list[Workload]] = defaultdict(list)
        for workload in placed.model.workloads:
            if workload.key in placed.endpoints:
                self._members[workload.namespace, workload.application].append(workload)
        self._indexes: dict[tuple[str, str], LabelIndex] = {}
        self._selected: dict[str, list[Workload]] = {}
        self._known: dict[tuple[str, ServicePort, int], tuple[Backend, ...]] = {}

    def backends(self, service: Service, port: ServicePort, family: int) -> tuple[Backend, ...]:
        """The backends of one port in one family, sorted; those without the address or the named port are none."""
        key = (service.key, port, family)
        if key not in self._known:
            found = []
            for workload in self._behind(service):
                address = self._placed.endpoints[workload.key].address(family)
                number = target_of(workload, port)
                if address is not None and number is not None:
                    found.append(Backend(address, number, workload.key))
            self._known[key] = tuple(sorted(found))
        return self._known[key]

    def _behind(self, service: Service) -> list[Workload]:
        if service.key not in self._selected:
            place = (service.namespace, service.application)
            members = self._members.get(place, [])
            if place not in self._indexes:
                self._indexes[place] = LabelIndex([workload.labels for workload in members])
            selector = LabelSelector(tuple(sorted(service.selector.items())))
            mask = self._indexes[place].match(selector) if service.selector else 0
            self._selected[service.key] = [members[position] for position in positions_of(mask)]
        return self._selected[service.key]


def target_of(workload: Workload, port: ServicePort) -> int | None:
    """The port on this backend; of two with the same name and protocol the first, as Kubernetes does."""
    if isinstance(port.target, int):
        return port.target
    named = (p.number for p in workload.ports if p.name == port.target and p.protocol is port.protocol)
    return next(named, None)


def gateways_of(applications: Iterable[Application]) -> dict[tuple[str, str, int], str]:
    """(application, segment, family) → the first address of that subnet."""
    return {
        (application.name, segment.name, subnet.family): text_of(subnet.gateway, subnet.family)
        for application in applications
        for segment in application.segments
        for subnet in parse_all(segment.subnets)
    }


def _key(virtual: Virtual) -> tuple[int, str, str, int]:
    return virtual.mark, virtual.address, virtual.protocol, virtual.port
