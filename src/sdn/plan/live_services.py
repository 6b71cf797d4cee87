"""The load balancers of all Hosts while workloads come, go and change: whose backends they are."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator

from sdn.model import Endpoint, Placed, Service, ServicePort, Workload, connected, family_of
from sdn.plan.live_changes import Ledger
from sdn.plan.live_overlay import LiveOverlay
from sdn.plan.loadbalancer import gateways_of, target_of
from sdn.plan.parts import Hairpin, Part
from sdn.plan.state import Backend, LoadBalancer, Virtual

PortKey = tuple[str, ServicePort, int]
"""Key of the Service, its port, and a family."""

Where = tuple[Workload, Endpoint]


class LiveServices:
    """The backends of every Service, and what Hosts know of them."""

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self._connected = connected(placed.model.applications)
        self._gateways = gateways_of(placed.model.applications)
        self._by_place: dict[tuple[str, str], list[Service]] = defaultdict(list)
        self._of: dict[str, list[Service]] = defaultdict(list)
        self._services = {service.key: service for service in placed.model.services}
        for service in placed.model.services:
            if service.addresses:
                self._by_place[service.namespace, service.application].append(service)
                self._of[service.application].append(service)
        self._backends: dict[PortKey, list[Backend]] = defaultdict(list)
        for workload in placed.model.workloads:
            endpoint = placed.endpoints.get(workload.key)
            if endpoint is not None:
                for key, backend in self._behind((workload, endpoint)):
                    self._backends[key].append(backend)
        for backends in self._backends.values():
            backends.sort()

    def host(self, applications: Iterable[str], here: Iterable[Where]) -> LoadBalancer:
        """What one Host knows that has endpoints of these Applications, and these."""
        seen = [virtual for application in applications for virtual in self._seen_by(application)]
        hairpin = sorted(entry for where in here for entry in self._hairpin(where))
        return LoadBalancer(
            tuple(sorted(seen, key=lambda v: (v.mark, v.address, v.protocol, v.port))),
            tuple((entry.zone, entry.address, entry.gateway, entry.judged) for entry in hairpin),
        )

    def change(
        self,
        before: Where | None,
        after: Where | None,
        regrouped: dict[str, frozenset[str]],
        overlay: LiveOverlay,
        ledger: Ledger,
    ) -> None:
        """One workload was that and is this; `regrouped` are Hosts with the Applications that they had before."""
        if not self._services:
            return
        old = self._behind(before) if before is not None else []
        new = self._behind(after) if after is not None else []
        for host, applications in regrouped.items():
            for application in applications:
                for virtual in self._seen_by(application):
                    ledger.note(host, Part.VIRTUAL, virtual, None)
        but = frozenset(regrouped)
        for application, was, now in self._take_over(old, new):
            ledger.share((Part.VIRTUAL, was, now), overlay.hosts_with(application), but)
        for host in regrouped:
            for application in overlay.applications_on(host):
                for virtual in self._seen_by(application):
                    ledger.note(host, Part.VIRTUAL, None, virtual)
        if before is not None:
            for entry in self._hairpin(before):
                ledger.note(before[1].host, Part.HAIRPIN, entry, None)
        if after is not None:
            for entry in self._hairpin(after):
                ledger.note(after[1].host, Part.HAIRPIN, None, entry)

    def _take_over(
        self, old: Iterable[tuple[PortKey, Backend]], new: Iterable[tuple[PortKey, Backend]]
    ) -> Iterator[tuple[str, Virtual, Virtual]]:
        """Other backends; what each Application sees of them, before and after."""
        gone, come = set(old), set(new)
        by_port: dict[PortKey, tuple[list[Backend], list[Backend]]] = {}
        for side, entries in enumerate((gone - come, come - gone)):
            for key, backend in entries:
                by_port.setdefault(key, ([], []))[side].append(backend)
        for key, (leaving, joining) in by_port.items():
            backends = self._backends[key]
            before = tuple(backends)
            for backend in leaving:
                del backends[bisect_left(backends, backend)]
            for backend in joining:
                insort(backends, backend)
            after = tuple(backends)
            service, port, family = self._services[key[0]], key[1], key[2]
            for address in service.addresses:
                for name in sorted(self._connected[service.application]) if family_of(address) == family else ():
                    was, now = (self._virtual(name, service, port, address, found) for found in (before, after))
                    yield name, was, now

    def _seen_by(self, application: str) -> Iterator[Virtual]:
        """The Services of an Application and of those directly connected to it."""
        for owner in self._connected[application]:
            for service in self._of.get(owner, ()):
                for port in service.ports:
                    for address in service.addresses:
                        backends = self._backends.get((service.key, port, family_of(address)), ())
                        yield self._virtual(application, service, port, address, tuple(backends))

    def _virtual(
        self, application: str, service: Service, port: ServicePort, address: str, backends: tuple[Backend, ...]
    ) -> Virtual:
        return Virtual(self._placed.marks[application], address, port.protocol, port.port, service.key, backends)

    def _behind(self, where: Where) -> list[tuple[PortKey, Backend]]:
        """The ports of Services that lead to a workload."""
        workload, endpoint = where
        found = []
        for service in self._by_place.get((workload.namespace, workload.application), ()):
            if not _selects(service, workload):
                continue
            for port in service.ports:
                number = target_of(workload, port)
                for family in {family_of(address) for address in service.addresses} if number is not None else ():
                    address = endpoint.address(family)
                    if address is not None and number is not None:
                        found.append(((service.key, port, family), Backend(address, number, workload.key)))
        return found

    def _hairpin(self, where: Where) -> Iterator[Hairpin]:
        """Its addresses that are behind a Service, at which it may meet itself."""
        endpoint = where[1]
        zone, judged = self._placed.zones[endpoint.application], self._placed.model.options.judge_hairpin
        for address in sorted({backend.address for _, backend in self._behind(where)}):
            gateway = self._gateways[endpoint.application, endpoint.segment, family_of(address)]
            yield Hairpin(zone, address, gateway, judged)


def _selects(service: Service, workload: Workload) -> bool:
    """An empty selector selects nobody."""
    wanted = service.selector
    return bool(wanted) and all(workload.labels.get(key) == value for key, value in wanted.items())
