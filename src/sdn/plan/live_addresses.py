"""The addresses and slices of a lab, one workload at a time: exactly what `allocate` gives with the lab before it.

Everybody keeps what he has, so only the workload that comes needs an address, and only its Host a slice. What does not
hold to that (an address that somebody else must give up, a Segment that is full, a Host without a slice) is said, and
left to `allocate`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from functools import lru_cache
from heapq import heappop, heappush

from msgspec import Struct

from sdn.errors import SdnError
from sdn.model import Endpoint, Placed, Segment, SegmentKind, Workload
from sdn.plan.addresses import Subnet, parse_all, text_of, value_of
from sdn.plan.addressing import SegmentKey
from sdn.plan.ids import mac_of
from sdn.plan.slices import Slices, slice_length
from sdn.plan.state import GATEWAY_MAC

SliceKey = tuple[str, str, str]
"""(application, segment, host), as in `Placed.slices`."""


class Offer(Struct, frozen=True, gc=False):
    """What one workload would get on a Host: its addresses, and what that Host would own of the Segment then."""

    mac: str
    addresses: tuple[str, ...]
    slices: tuple[str, ...] = ()


class LiveAddresses:
    """Who has which address, and which Host which slice; `slices` is as in Placed."""

    def __init__(self, placed: Placed) -> None:
        self.slices: dict[SliceKey, tuple[str, ...]] = {}
        self._segments: dict[SegmentKey, _SegmentNow] = {}
        self.take_over(placed)

    def take_over(self, placed: Placed) -> None:
        """All that was allocated; whoever holds `slices` sees the new ones."""
        self.slices.clear()
        self.slices.update(placed.slices)
        underlay = placed.model.underlay
        hosts = tuple(sorted(host.name for host in underlay.hosts))
        pods = max((host.pods for host in underlay.hosts), default=0)
        slices: dict[SegmentKey, dict[str, tuple[str, ...]]] = defaultdict(dict)
        for (owner, name, host), prefixes in placed.slices.items():
            slices[owner, name][host] = prefixes
        members: dict[SegmentKey, list[Endpoint]] = defaultdict(list)
        for endpoint in placed.endpoints.values():
            members[endpoint.application, endpoint.segment].append(endpoint)
        for application in placed.model.applications:
            for segment in application.segments:
                key = (application.name, segment.name)
                found = _SegmentNow(segment, hosts, pods, slices.get(key, {}))
                found.take_over(members.get(key, ()))
                self._segments[key] = found

    @property
    def settled(self) -> bool:
        """Whether `allocate` would leave everything as it is; a Host that found no slice may get one later."""
        return all(found.settled for found in self._segments.values())

    def offer(self, workload: Workload, host: str) -> Offer | None:
        """For a workload that comes; None if that is for `allocate` to say."""
        found = self._segments.get((workload.application, workload.segment))
        return found.offer(workload, host) if found is not None else None

    def owned_with(self, endpoint: Endpoint, host: str) -> tuple[str, ...] | None:
        """What a Host would own if the workload moved there, addresses and all; None as above."""
        return self._segments[endpoint.application, endpoint.segment].owned_with(host)

    def change(self, before: Endpoint | None, after: Endpoint | None, slices: tuple[str, ...]) -> list[SliceKey]:
        """Take over what was offered; the Hosts whose slices are others now."""
        one = after or before
        assert one is not None
        key = (one.application, one.segment)
        found = self._segments[key]
        changed = found.change(before, after, slices)
        for host, prefixes in changed.items():
            if prefixes is None:
                self.slices.pop((*key, host), None)
            else:
                self.slices[*key, host] = prefixes
        return [(*key, host) for host in changed]


class _SegmentNow:
    """The addresses of one Segment."""

    def __init__(self, segment: Segment, hosts: tuple[str, ...], pods: int, slices: dict[str, tuple[str, ...]]) -> None:
        self._segment = segment
        self._hosts = hosts
        self._pods = pods
        self._routed = segment.kind is SegmentKind.ROUTED
        self._subnets = parse_all(segment.subnets)
        self._taken: dict[int, set[int]] = {subnet.family: set() for subnet in self._subnets}
        self._on: Counter[str] = Counter()
        self._macs: Counter[str] = Counter()
        self._owned = dict(slices)
        self._pools: dict[Subnet, _Pool] = {}
        self._lengths: dict[int, int] = {}  # of slices, by family
        self.settled = True

    def take_over(self, members: Iterable[Endpoint]) -> None:
        """Those that are there already."""
        for endpoint in members:
            self._on[endpoint.host] += 1
            self._macs[endpoint.mac] += 1
            for text in endpoint.addresses:
                value, family = value_of(text)
                self._taken[family].add(value)
        if self._routed:
            self._learn_lengths()

    def offer(self, workload: Workload, host: str) -> Offer | None:
        """See `LiveAddresses`."""
        mac, slices, given = mac_of(workload.key), self.owned_with(host), self._fixed(workload.ip)
        if mac in self._macs or mac == GATEWAY_MAC or slices is None or given is None:
            return None
        texts = []
        for subnet in self._subnets:
            value = given.get(subnet.family)
            if value is None:
                value = self._lowest(subnet, slices)
            if value is None and self._routed:
                slices, value = self._grown(host, subnet, slices)
            if value is None:
                return None
            texts.append(text_of(value, subnet.family))
        return Offer(mac, tuple(texts), slices)

    def owned_with(self, host: str) -> tuple[str, ...] | None:
        """What a Host owns, or would own with its first member; None if `allocate` would have more to say."""
        if not self._routed:
            return ()
        if not self._lengths or not self._on:
            try:
                self._lengths = self._asked_lengths()
            except SdnError:
                return None
        if self._on[host]:
            return self._owned[host]
        found: list[Subnet] = []
        for subnet in self._subnets:
            found += self._cut(subnet).own(host)
        if len(found) < len(self._subnets):
            return None
        return tuple(map(str, found))

    def change(
        self, before: Endpoint | None, after: Endpoint | None, slices: tuple[str, ...]
    ) -> dict[str, tuple[str, ...] | None]:
        """Take over; Host → what it owns now, None for nothing, where that is not what it owned before."""
        changed: dict[str, tuple[str, ...] | None] = {}
        if after is not None:
            self._count(after, 1)
            if self._routed and self._owned.get(after.host) != slices:
                changed[after.host] = self._owned[after.host] = slices
        if before is not None:
            self._count(before, -1)
            if self._routed and not self._on[before.host]:
                del self._owned[before.host]
                changed[before.host] = None
        self._move_addresses(before.addresses if before else (), after.addresses if after else ())
        return changed

    def _count(self, endpoint: Endpoint, number: int) -> None:
        for counter, key in ((self._on, endpoint.host), (self._macs, endpoint.mac)):
            counter[key] += number
            if not counter[key]:
                del counter[key]

    def _move_addresses(self, before: Iterable[str], after: Iterable[str]) -> None:
        if before == after:
            return
        old, new = set(map(value_of, before)), set(map(value_of, after))
        for value, family in old - new:
            self._taken[family].discard(value)
            part = self._part(value, family)
            if part in self._pools:
                self._pools[part].put_back(value)
        for value, family in new - old:
            self._taken[family].add(value)

    def _part(self, value: int, family: int) -> Subnet:
        """The prefix from whose pool an address is taken."""
        subnet = next(s for s in self._subnets if s.family == family)
        if not self._routed:
            return subnet
        length = self._lengths.get(family, subnet.length)
        return subnet.part((value - subnet.base) >> (subnet.host_bits - length + subnet.length), length)

    def _fixed(self, written: Collection[str]) -> dict[int, int] | None:
        """The addresses that people fixed; None if one is no good, or is somebody's."""
        given: dict[int, int] = {}
        for text in written:
            value, family = value_of(text)
            subnet = next((s for s in self._subnets if s.family == family), None)
            if subnet is None or family in given or not subnet.first <= value <= subnet.last:
                return None
            if value in self._taken[family]:
                return None
            given[family] = value
        return given

    def _lowest(self, subnet: Subnet, slices: tuple[str, ...]) -> int | None:
        """The lowest free address of the Host's first slice that has one."""
        parts = [p for p in parsed(slices) if p.family == subnet.family] if self._routed else [subnet]
        for part in parts:
            if part not in self._pools:
                self._pools[part] = _Pool(part, self._taken[part.family])
            value = self._pools[part].lowest()
            if value is not None:
                return value
        return None

    def _grown(self, host: str, subnet: Subnet, slices: tuple[str, ...]) -> tuple[tuple[str, ...], int | None]:
        """One slice more for a Host whose slices are full."""
        cut = self._cut(subnet, (host, slices))
        part = cut.grow(host)
        if part is None:
            return slices, None
        parts = sorted([*parsed(slices), part])
        return tuple(map(str, parts)), self._lowest(subnet, (str(part),))

    def _cut(self, subnet: Subnet, also: tuple[str, tuple[str, ...]] | None = None) -> Slices:
        owned = {**self._owned, also[0]: also[1]} if also else self._owned
        old = {host: [p for p in parsed(texts) if p.family == subnet.family] for host, texts in owned.items()}
        return Slices(subnet, self._lengths[subnet.family], self._hosts, old)

    def _learn_lengths(self) -> None:
        """Those in use; unsettled if they are not all alike, or a Host with members has none, or one without has."""
        lengths: dict[int, set[int]] = defaultdict(set)
        for prefixes in self._owned.values():
            for part in parsed(prefixes):
                lengths[part.family].add(part.length)
        self._lengths = {family: max(found) for family, found in lengths.items()}
        try:
            asked = self._asked_lengths() if self._on else self._lengths
        except SdnError:
            self.settled = False
            return
        alike = all(len(found) == 1 for found in lengths.values()) and asked == self._lengths
        everywhere = self._on.keys() == self._owned.keys() and all(map(self._complete, self._owned.values()))
        self.settled = alike and everywhere

    def _complete(self, prefixes: tuple[str, ...]) -> bool:
        return {part.family for part in parsed(prefixes)} == self._taken.keys()

    def _asked_lengths(self) -> dict[int, int]:
        """As `allocate` chooses them: as written, as in use, or as large as fits."""
        used = self._lengths if self._on else {}
        segment = self._segment
        wanted = {4: segment.slice4, 6: segment.slice6}
        return {
            s.family: slice_length(s, wanted[s.family] or used.get(s.family, 0), len(self._hosts), self._pods)
            for s in self._subnets
        }


class _Pool:
    """The lowest free address of one prefix, which may be taken or given back by others."""

    def __init__(self, subnet: Subnet, taken: set[int]) -> None:
        self._next = subnet.first
        self._last = subnet.last
        self._taken = taken
        self._back: list[int] = []  # a heap of those below `_next` that were free at some time

    def lowest(self) -> int | None:
        """Without taking it; None if there is no more."""
        while self._back and self._back[0] in self._taken:
            heappop(self._back)
        if self._back:
            return self._back[0]
        while self._next in self._taken:
            self._next += 1
        return self._next if self._next <= self._last else None

    def put_back(self, value: int) -> None:
        """It is free again."""
        if value < self._next:
            heappush(self._back, value)


@lru_cache(maxsize=1 << 15)
def parsed(prefixes: tuple[str, ...]) -> tuple[Subnet, ...]:
    """What a Host owns, read once."""
    return parse_all(prefixes)
