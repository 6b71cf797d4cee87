"""The overlay of all Hosts while workloads come, go and move: what each Host must learn and forget.

What one Host sees of a workload is nearly always what all others see of it; the workload's own Host before and after
is told apart. A Host that gains or loses an Application is planned whole, before and after.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from sdn.model import Endpoint, Placed, SegmentKind, Workload
from sdn.plan.addressing import SegmentKey
from sdn.plan.ids import bridge_name, vxlan_name
from sdn.plan.live_addresses import LiveAddresses, SliceKey, parsed
from sdn.plan.live_changes import Ledger, difference
from sdn.plan.live_hosts import Hosts
from sdn.plan.overlay import MANY_PEERS, HostOverlay, OverlayPlanner, is_inside, tunnel_mac
from sdn.plan.parts import Part
from sdn.plan.state import Fdb, Neighbour, Port

Things = Iterator[tuple[Part, Any]]


class LiveOverlay(OverlayPlanner):
    """An OverlayPlanner whose indexes follow; `host` plans a Host as it is now."""

    def __init__(
        self, placed: Placed, vteps: dict[str, str], mtu: int, workloads: dict[str, Workload], addresses: LiveAddresses
    ) -> None:
        super().__init__(placed, vteps, mtu)
        self.slices = addresses.slices
        self._addresses = addresses
        # Members in order, which a workload's peers show; nobody goes through the 100,000 of a routed Segment.
        self._bridged: dict[SegmentKey, list[Endpoint]] = {}
        self._routed: dict[SegmentKey, dict[str, Endpoint]] = {}
        for key, segment in self.segments.items():
            if segment.kind is SegmentKind.ROUTED:
                self._routed[key] = {endpoint.workload: endpoint for endpoint in self.members.get(key, ())}
            elif key in self.members:
                self._bridged[key] = list(self.members[key])
        self.members.update({key: found.values() for key, found in self._routed.items() if found})
        self.members.update(self._bridged)
        self.__dict__["workloads"] = workloads
        self._moved_keys: dict[SegmentKey, set[str]] = {
            key: {endpoint.workload for endpoint in found} for key, found in self.moved.items()
        }
        self._on: dict[SegmentKey, Counter[str]] = defaultdict(Counter)
        self._apps: dict[str, Counter[str]] = defaultdict(Counter)
        for endpoint in placed.endpoints.values():
            self._on[endpoint.application, endpoint.segment][endpoint.host] += 1
            self._apps[endpoint.host][endpoint.application] += 1
        found: dict[str, list[str]] = defaultdict(list)
        for host, applications in self._apps.items():
            for application in applications:
                found[application].append(host)
        self._hosts_with = {name: Hosts(found.get(name, ())) for name in self.applications}
        self._attached: dict[str, tuple[str, ...]] = {}

    def hosts_with(self, application: str) -> tuple[str, ...]:
        """The Hosts that have an endpoint of an Application."""
        return self._hosts_with[application].all

    def applications_on(self, host: str) -> frozenset[str]:
        """The Applications that have an endpoint on a Host."""
        return frozenset(self._apps[host])

    def change(
        self, before: Endpoint | None, after: Endpoint | None, slices: tuple[str, ...], ledger: Ledger
    ) -> dict[str, frozenset[str]]:
        """One workload was there and is here; Hosts that have other Applications now, with those that they had."""
        one = after or before
        assert one is not None
        key = (one.application, one.segment)
        grows = after is not None and self.slices.get((*key, after.host), slices) != slices
        step = _Step(self, before, after, grows)
        old = {host: self.applications_on(host) for host in step.hosts}
        self._take_over(key, before, after, slices)
        step.tell(after, ledger)
        return {host: found for host, found in old.items() if found != self.applications_on(host)}

    def changing(self, before: Endpoint | None, after: Endpoint | None) -> Iterator[str]:
        """The Hosts that gain or lose an Application by an event that is yet to come."""
        for host in {e.host for e in (before, after) if e is not None}:
            one = after or before
            assert one is not None
            number = self._apps[host][one.application]
            came, went = after is not None and after.host == host, before is not None and before.host == host
            if number == 0 or number + came - went == 0:
                yield host

    def holds(self, host: str, key: SegmentKey) -> bool:
        """Whether a Host has a member of a Segment."""
        return self.number_on(host, key) > 0

    def number_on(self, host: str, key: SegmentKey) -> int:
        """How many."""
        return self._on[key][host]

    def attached(self, application: str) -> tuple[str, ...]:
        """The Hosts that have a path to an Application's Segments."""
        if application not in self._attached:
            joined = self.connected[application]
            found = [self.hosts_with(name) for name in sorted(joined)]
            self._attached[application] = found[0] if len(found) == 1 else tuple(sorted(set(chain(*found))))
        return self._attached[application]

    def is_moved(self, endpoint: Endpoint) -> bool:
        """Whether other Hosts need a route for it alone."""
        return endpoint.workload in self._moved_keys.get((endpoint.application, endpoint.segment), ())

    def tables_on(self, host: str, application: str) -> list[int]:
        """The routing tables of a Host that know an Application's Segments."""
        return [self.table(name) for name in sorted(self._apps[host].keys() & self.connected[application])]

    def _take_over(
        self, key: SegmentKey, before: Endpoint | None, after: Endpoint | None, slices: tuple[str, ...]
    ) -> None:
        if before is not None:
            self._count(before, -1)
            self._remove(before)
        if after is not None:
            self._count(after, 1)
            self._insert(after)
        changed = self._addresses.change(before, after, slices)
        self.forget(key)
        for host in {e.host for e in (before, after) if e is not None}:
            self._place(key, host)
        if self.segments[key].kind is SegmentKind.ROUTED:
            self._note_moved(key, before, after, changed)

    def _place(self, key: SegmentKey, host: str) -> None:
        """Whether the Host is among those that hold members of the Segment."""
        known = self.hosts_of.get(key, ())
        index = bisect_left(known, host)
        there = index < len(known) and known[index] == host
        if there != self.holds(host, key):
            self.hosts_of[key] = (
                (*known[:index], *known[index + 1 :]) if there else (*known[:index], host, *known[index:])
            )

    def _count(self, endpoint: Endpoint, number: int) -> None:
        """One endpoint more, or less, on its Host."""
        on, apps = self._on[endpoint.application, endpoint.segment], self._apps[endpoint.host]
        for counter, name in ((on, endpoint.host), (apps, endpoint.application)):
            counter[name] += number
            if not counter[name]:
                del counter[name]
        hosts = self._hosts_with[endpoint.application]
        there = endpoint.application in apps
        if there and number > 0 and apps[endpoint.application] == 1:
            hosts.add(endpoint.host)
        elif not there:
            hosts.discard(endpoint.host)
        else:
            return
        for name in self.connected[endpoint.application]:
            self._attached.pop(name, None)

    def _insert(self, endpoint: Endpoint) -> None:
        key, workload = (endpoint.application, endpoint.segment), endpoint.workload
        insort(self.local[endpoint.host], endpoint, key=_workload)
        if key in self._routed:
            self._routed[key][workload] = endpoint
            self.members[key] = self._routed[key].values()
        else:
            insort(self._bridged.setdefault(key, []), endpoint, key=_workload)
            self.members[key] = self._bridged[key]

    def _remove(self, endpoint: Endpoint) -> None:
        key, workload = (endpoint.application, endpoint.segment), endpoint.workload
        here = self.local[endpoint.host]
        del here[bisect_left(here, workload, key=_workload)]
        if key in self._routed:
            del self._routed[key][workload]
        else:
            del self._bridged[key][bisect_left(self._bridged[key], workload, key=_workload)]
        if not self.members[key]:
            del self.members[key]

    def _note_moved(
        self, key: SegmentKey, before: Endpoint | None, after: Endpoint | None, changed: list[SliceKey]
    ) -> None:
        """Whose address is not in his Host's slices: the workload's own, and all of a Host with other slices."""
        if before is not None:
            self._unmove(key, before.workload)
        hosts = {host for _, _, host in changed}
        todo = [e for host in hosts for e in self.local.get(host, ()) if (e.application, e.segment) == key]
        for endpoint in dict.fromkeys([*todo, after] if after is not None else todo):
            self._unmove(key, endpoint.workload)
            if not is_inside(endpoint, parsed(self.slices.get((*key, endpoint.host), ()))):
                self._moved_keys.setdefault(key, set()).add(endpoint.workload)
                insort(self.moved[key], endpoint, key=_workload)

    def _unmove(self, key: SegmentKey, workload: str) -> None:
        names = self._moved_keys.get(key, set())
        if workload in names:
            names.discard(workload)
            found = self.moved[key]
            del found[bisect_left(found, workload, key=_workload)]


class _Seen(NamedTuple):
    """What Hosts have of an event: `alike` those with a path to the Segment, by Application those with its table, and
    some Hosts `apart` from all that."""

    alike: list[tuple[Part, Any]]
    tables: dict[str, list[tuple[Part, Any]]]
    apart: dict[str, list[tuple[Part, Any]]]


class _Step:
    """One event: what Hosts see of it, before it and after it."""

    def __init__(self, overlay: LiveOverlay, before: Endpoint | None, after: Endpoint | None, grows: bool) -> None:
        one = after or before
        assert one is not None
        self._overlay = overlay
        self._application, self._key = one.application, (one.application, one.segment)
        self._l2 = overlay.is_bridged(one)
        self._vni = overlay.placed.vnis[self._key]
        self._workload = one.workload
        self._peers = self._l2 and (before is None or after is None) and self._are_many(after is not None)
        self.hosts = sorted({e.host for e in (before, after) if e is not None})
        self._changed = set(overlay.changing(before, after))
        number = len(overlay.members.get(self._key, ()))
        comes, goes = number == 0, number + (after is not None) - (before is not None) == 0
        self._whole = comes or goes
        self._apart = sorted({*self.hosts, *(overlay.attached(self._application) if self._whole else ())})
        self._grown = after.host if after is not None and grows else ""
        self._ends = [host for host in self.hosts if self._is_end(host, before, after)]
        self._port: Port | None = None
        self._was = self._look(before)

    def tell(self, after: Endpoint | None, ledger: Ledger) -> None:
        """Look again, and say what is different."""
        was, now = self._was, self._look(after)
        overlay, but = self._overlay, frozenset(self._apart)
        for turn in difference(was.alike, now.alike):
            ledger.share(turn, overlay.attached(self._application), but)
        for name in was.tables.keys() | now.tables.keys():
            for turn in difference(was.tables.get(name, ()), now.tables.get(name, ())):
                ledger.share(turn, overlay.hosts_with(name), but)
        for host in was.apart.keys() | now.apart.keys():
            for part, old, new in difference(was.apart.get(host, ()), now.apart.get(host, ())):
                ledger.note(host, part, old, new)

    def _look(self, endpoint: Endpoint | None) -> _Seen:
        """`endpoint` is the workload's own, as it is now."""
        overlay = self._overlay
        changing = [] if endpoint is None else [endpoint]
        if self._grown:
            others = overlay.local.get(self._grown, ())
            changing += [e for e in others if self._of_segment(e) and e.workload != self._workload]
        names = overlay.connected[self._application]
        if not self._l2 and not self._ends and not any(map(overlay.is_moved, changing)):
            names = frozenset()  # what most events of a routed Segment are: nothing to see from elsewhere
        seen = _Seen(
            list(self._links("", changing)) if names else [],
            {name: list(self._routes(overlay.table(name), "", changing)) for name in names},
            {host: list(self._on(host, changing)) for host in self._apart},
        )
        for member in overlay.members.get(self._key, ()) if self._peers else ():
            if member.host not in self._changed:
                seen.apart.setdefault(member.host, []).append((Part.PORT, overlay.port(member)))
        return seen

    def _on(self, host: str, changing: list[Endpoint]) -> Things:
        """What one Host alone has."""
        overlay = self._overlay
        if host in self._changed:
            yield from _things(overlay.host(host))
            return
        if self._whole:
            yield from self._segment_on(host)
        else:
            yield from self._links(host, changing)
            for table in overlay.tables_on(host, self._application):
                yield from self._routes(table, host, changing)
        for endpoint in changing:
            if endpoint.workload == self._workload and endpoint.host == host:
                if not self._peers:
                    self._port = self._port or overlay.port(endpoint)  # which says nothing of the Host
                    yield Part.PORT, self._port
                if not self._l2:
                    yield from ((Part.NEIGHBOUR, entry) for entry in overlay.port_neighbours(endpoint))

    def _segment_on(self, host: str) -> Things:
        """All of the Segment on a Host: it has its first member, or has lost its last."""
        overlay, application = self._overlay, self._overlay.applications[self._application]
        if self._key not in overlay.members or host not in overlay.attached(self._application):
            return
        segment = overlay.segments[self._key]
        plan = HostOverlay()
        overlay.attach(plan, host, application, segment)
        tables = overlay.tables_on(host, self._application)
        for table in tables:
            overlay.lead_into(plan, host, table, segment, self._key)
        plan.shared = overlay.shared_of(self._key, tables)
        yield from _things(plan)

    def _links(self, host: str, changing: list[Endpoint]) -> Things:
        """Neighbours and FDB entries of the changing endpoints and of the tunnel ends of their Hosts."""
        overlay, tunnel = self._overlay, vxlan_name(self._vni)
        if self._l2:
            for one in changing:
                for address in one.addresses:
                    yield Part.NEIGHBOUR, Neighbour(bridge_name(self._vni), address, one.mac)
                yield Part.FDB, overlay.bridged(one, host, tunnel)
            return
        for other in self._others(host):
            yield Part.FDB, Fdb(tunnel, tunnel_mac(other), overlay.vteps[other])
            yield from ((Part.NEIGHBOUR, entry) for entry in overlay.tunnel_neighbours(self._key, other, tunnel))

    def _routes(self, table: int, host: str, changing: list[Endpoint]) -> Things:
        """Of one table of a Host, to the changing endpoints and to what their Hosts own."""
        overlay = self._overlay
        for one in changing:
            if self._l2:
                routes = overlay.bridge_routes(table, self._vni, one)
            elif one.host == host:
                routes = overlay.port_routes(table, one)
            elif overlay.is_moved(one):
                routes = overlay.moved_routes(table, self._key, one)
            else:
                continue
            yield from ((Part.ROUTE, route) for route in routes)
        for other in self._others(host) if not self._l2 else ():
            yield from ((Part.ROUTE, route) for route in overlay.slice_routes(table, self._key, other))

    def _others(self, host: str) -> list[str]:
        """The Hosts whose tunnel ends others see change, as far as they hold members, but for this one."""
        return [other for other in self._ends if other != host and self._overlay.holds(other, self._key)]

    def _is_end(self, host: str, before: Endpoint | None, after: Endpoint | None) -> bool:
        """Whether the Host gets its first member of the Segment, or loses its last, or owns more of it."""
        number = self._overlay.number_on(host, self._key)
        came, went = after is not None and after.host == host, before is not None and before.host == host
        return host == self._grown or number == 0 or number + came - went == 0

    def _of_segment(self, endpoint: Endpoint) -> bool:
        return (endpoint.application, endpoint.segment) == self._key

    def _are_many(self, comes: bool) -> bool:
        """Whether the members are told of each other, before or after."""
        return len(self._overlay.members.get(self._key, ())) + comes >= MANY_PEERS


def _things(plan: HostOverlay) -> Things:
    """All of a Host's overlay."""
    yield from ((Part.LINK, link) for link in plan.links.values())
    yield from ((Part.INTERFACE, entry) for entry in plan.interfaces)
    yield from ((Part.PORT, port) for port in plan.ports)
    yield from ((Part.ROUTE, route) for route in plan.all_routes())
    yield from ((Part.RULE, rule) for rule in plan.rules)
    yield from ((Part.NEIGHBOUR, entry) for entry in plan.all_neighbours())
    yield from ((Part.FDB, entry) for entry in plan.all_fdb())


def _workload(endpoint: Endpoint) -> str:
    return endpoint.workload
