"""The load balancers of all Hosts while workloads and Services come, go and change: who is behind what."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import ChainMap, defaultdict
from collections.abc import Callable, Iterable, Iterator

from sdn.model import Endpoint, Placed, Service, ServicePort, Workload, connected, family_of
from sdn.plan.live_changes import Ledger
from sdn.plan.live_overlay import LiveOverlay
from sdn.plan.loadbalancer import gateways_of, target_of
from sdn.plan.parts import TABLE, Hairpin, Identity, Part
from sdn.plan.state import Backend, LoadBalancer, Virtual

PortKey = tuple[str, ServicePort, int]
"""Key of the Service, its port, and a family."""

Where = tuple[Workload, Endpoint]
FAMILIES = (4, 6)


class LiveServices:
    """The backends of every Service, and what Hosts know of them."""

    def __init__(self, placed: Placed) -> None:
        self._placed = placed
        self._connected = connected(placed.model.applications)
        self._gateways = gateways_of(placed.model.applications)
        self._by_place: dict[tuple[str, str], list[Service]] = defaultdict(list)
        self._of: dict[str, list[Service]] = defaultdict(list)
        self._services: dict[str, Service] = {}
        for service in placed.model.services:
            self._enter(service)
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

    def follow(
        self,
        gone: Iterable[Service],
        come: Iterable[Service],
        there: Callable[[str], Iterable[Where]],
        overlay: LiveOverlay,
        ledger: Ledger,
    ) -> None:
        """These Services are no more, and these are new; `there` says who has an endpoint in a namespace."""
        spaces = sorted({service.namespace for service in (*gone, *come)})
        changing = [*gone, *come]
        near = [w for space in spaces for w in there(space) if any(_means(service, w[0]) for service in changing)]
        old = [(where, set(self._hairpin(where))) for where in near]
        seen = [self._seen_of(service) for service in gone]
        for service in gone:
            self._leave(service)
        for service in come:
            self._enter(service)
        for service in come:
            self._fill(service, near)
        _share(seen, [self._seen_of(service) for service in come], overlay, ledger)
        for where, before in old:
            after = set(self._hairpin(where))
            for entry in before - after:
                ledger.note(where[1].host, Part.HAIRPIN, entry, None)
            for entry in after - before:
                ledger.note(where[1].host, Part.HAIRPIN, None, entry)

    def _enter(self, service: Service) -> None:
        self._services[service.key] = service
        if service.addresses:
            self._by_place[service.namespace, service.application].append(service)
            self._of[service.application].append(service)

    def _leave(self, service: Service) -> None:
        del self._services[service.key]
        for port in service.ports:
            for family in FAMILIES:
                self._backends.pop((service.key, port, family), None)
        if service.addresses:
            self._by_place[service.namespace, service.application].remove(service)
            self._of[service.application].remove(service)

    def _fill(self, service: Service, there: Iterable[Where]) -> None:
        """Who is behind a Service that is new."""
        for where in there:
            if _means(service, where[0]):
                for key, backend in self._behind_one(service, where):
                    self._backends[key].append(backend)
        for port in service.ports:
            for family in FAMILIES:
                if (service.key, port, family) in self._backends:
                    self._backends[service.key, port, family].sort()

    def _seen_of(self, service: Service) -> dict[tuple[str, Identity], Virtual]:
        """One Service as the Applications see it that are connected to its own."""
        found = {}
        for application in self._connected.get(service.application, ()):
            for virtual in self._virtuals(application, service):
                found[application, TABLE[Part.VIRTUAL].identity(virtual)] = virtual
        return found

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
                yield from self._virtuals(application, service)

    def _virtuals(self, application: str, service: Service) -> Iterator[Virtual]:
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
        services = self._by_place.get((where[0].namespace, where[0].application), ())
        return [entry for service in services for entry in self._behind_one(service, where)]

    def _behind_one(self, service: Service, where: Where) -> Iterator[tuple[PortKey, Backend]]:
        """The same of one Service of its place."""
        workload, endpoint = where
        for port in service.ports if _selects(service, workload) else ():
            number = target_of(workload, port)
            for family in {family_of(address) for address in service.addresses} if number is not None else ():
                address = endpoint.address(family)
                if address is not None and number is not None:
                    yield (service.key, port, family), Backend(address, number, workload.key)

    def _hairpin(self, where: Where) -> Iterator[Hairpin]:
        """Its addresses that are behind a Service, at which it may meet itself."""
        endpoint = where[1]
        zone, judged = self._placed.zones[endpoint.application], self._placed.model.options.judge_hairpin
        for address in sorted({backend.address for _, backend in self._behind(where)}):
            gateway = self._gateways[endpoint.application, endpoint.segment, family_of(address)]
            yield Hairpin(zone, address, gateway, judged)


def _share(
    old: Iterable[dict[tuple[str, Identity], Virtual]],
    new: Iterable[dict[tuple[str, Identity], Virtual]],
    overlay: LiveOverlay,
    ledger: Ledger,
) -> None:
    """What is seen of Services is the new one; an address may have gone from one to the other."""
    before, after = ChainMap(*old), ChainMap(*new)
    for application, identity in sorted(before.keys() | after.keys()):
        was, now = before.get((application, identity)), after.get((application, identity))
        ledger.share((Part.VIRTUAL, was, now), overlay.hosts_with(application))


def _means(service: Service, workload: Workload) -> bool:
    """Whether a workload, wherever it is, may be one of the Service's backends."""
    place = (workload.namespace, workload.application)
    return place == (service.namespace, service.application) and _selects(service, workload)


def _selects(service: Service, workload: Workload) -> bool:
    """An empty selector selects nobody."""
    wanted = service.selector
    return bool(wanted) and all(workload.labels.get(key) == value for key, value in wanted.items())
