"""The addresses of one Segment, of either kind.

In this order: those that people fixed, those that are in use already, new ones. A `routed` Segment takes the new ones
from what the workload's Host owns; the other two may lie anywhere in it and need a route of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sdn.errors import SdnError
from sdn.model import Endpoint, Model, Placed, Placement, Segment, SegmentKind, Workload
from sdn.plan.addresses import Pool, Subnet, parse_all, text_of, value_of
from sdn.plan.slices import Slices, slice_length

SegmentKey = tuple[str, str]  # (application, segment)


@dataclass(frozen=True, slots=True)
class Ground:
    """What all Segments of one lab share: its Hosts, where workloads run, and what was allocated before."""

    hosts: tuple[str, ...]  # of the whole underlay, sorted
    pods: int  # the most workloads on any Host
    placement: Placement
    endpoints: Mapping[str, Endpoint]
    slices: Mapping[SegmentKey, Mapping[str, tuple[str, ...]]]

    @classmethod
    def of(cls, model: Model, placement: Placement, previous: Placed | None) -> Ground:
        """The previous slices are sorted by Segment once, for a lab may have thousands of both."""
        slices: dict[SegmentKey, dict[str, tuple[str, ...]]] = defaultdict(dict)
        for (application, segment, host), prefixes in (previous.slices if previous else {}).items():
            slices[application, segment][host] = prefixes
        return cls(
            hosts=tuple(sorted(host.name for host in model.underlay.hosts)),
            pods=max((host.pods for host in model.underlay.hosts), default=0),
            placement=placement,
            endpoints=previous.endpoints if previous else {},
            slices=slices,
        )


class SegmentAddresses:
    """The addresses of one Segment: first those that people fixed, then those that are in use, then new ones."""

    def __init__(self, key: SegmentKey, segment: Segment, members: Sequence[Workload], ground: Ground) -> None:
        self.key = key
        self.name = "/".join(key)
        self.segment = segment
        self.members = members
        self.problems: list[str] = []
        self._ground = ground
        self._hosts = ground.placement.hosts
        self._subnets = parse_all(segment.subnets)
        self._taken: dict[int, set[int]] = {subnet.family: set() for subnet in self._subnets}
        self._slices = self._cut() if segment.kind is SegmentKind.ROUTED and members else {}

    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Workload key → its addresses; what is impossible goes to `problems`."""
        given = self._fixed()
        self._keep(given)
        for subnet in self._subnets:
            if not self.problems:
                self._fill(subnet, given[subnet.family])
        return {
            w.key: tuple(text_of(given[s.family][w.key], s.family) for s in self._subnets if w.key in given[s.family])
            for w in self.members
        }

    def slices(self) -> dict[tuple[str, str, str], tuple[str, ...]]:
        """(application, segment, host) → the prefixes it owns, for every Host with members."""
        hosts = sorted({self._hosts[w.key] for w in self.members}) if self._slices else []
        return {
            (*self.key, host): tuple(str(part) for slices in self._slices.values() for part in sorted(slices.own(host)))
            for host in hosts
        }

    def _cut(self) -> dict[int, Slices]:
        """Slices by family, with a first one for every Host that has members."""
        ground = self._ground
        result = {}
        for subnet in self._subnets:
            old = self._old_slices(subnet)
            wanted = self.segment.slice4 if subnet.family == 4 else self.segment.slice6
            lengths = {part.length for parts in old.values() for part in parts}
            try:
                # A length that is in use stays, or one more Host would move everybody's slice.
                length = slice_length(subnet, wanted or max(lengths, default=0), len(ground.hosts), ground.pods)
            except SdnError as error:
                self.problems.append(f"segment {self.name}: {error}")
                continue
            result[subnet.family] = slices = Slices(subnet, length, ground.hosts, old)
            for host in sorted({self._hosts[w.key] for w in self.members}):
                slices.own(host)
        return result

    def _old_slices(self, subnet: Subnet) -> dict[str, list[Subnet]]:
        """What Hosts owned of this prefix before."""
        return {
            host: [part for part in parse_all(prefixes) if part.family == subnet.family and part.base in subnet]
            for host, prefixes in self._ground.slices.get(self.key, {}).items()
        }

    def _fixed(self) -> dict[int, dict[str, int]]:
        """The addresses that people fixed, by family and workload."""
        given: dict[int, dict[str, int]] = {subnet.family: {} for subnet in self._subnets}
        owners: dict[tuple[int, int], str] = {}
        for workload in self.members:
            for text in workload.ip:
                value, family = value_of(text)
                reason = self._refusal(value, family)
                if not reason and workload.key in given[family]:
                    reason = f"is a second IPv{family} address; a workload has one of each family"
                if not reason and (value, family) in owners:
                    reason = f"is also that of {owners[value, family]}; change one of them"
                if reason:
                    self.problems.append(f"{workload.key}: address {text} {reason}")
                    continue
                owners[value, family] = workload.key
                given[family][workload.key] = value
                self._taken[family].add(value)
        return given

    def _refusal(self, value: int, family: int) -> str:
        """Why an address cannot be a workload's here; empty if it can."""
        subnet = next((s for s in self._subnets if s.family == family), None)
        if subnet is None or value not in subnet:
            there = ", ".join(self.segment.subnets)
            return f"is outside of segment {self.name} ({there}); choose one inside"
        if not subnet.first <= value <= subnet.last:
            lowest, highest = text_of(subnet.first, family), text_of(subnet.last, family)
            return f"is reserved in {subnet} for the network or its gateway; choose one from {lowest} to {highest}"
        return ""

    def _keep(self, given: dict[int, dict[str, int]]) -> None:
        """Let workloads keep what they had in this Segment, where nobody's fixed address took it."""
        for workload in self.members:
            old = self._ground.endpoints.get(workload.key)
            if old is None or (old.application, old.segment) != self.key:
                continue
            for text in old.addresses:
                value, family = value_of(text)
                if self._refusal(value, family) or workload.key in given[family] or value in self._taken[family]:
                    continue
                given[family][workload.key] = value
                self._taken[family].add(value)

    def _fill(self, subnet: Subnet, given: dict[str, int]) -> None:
        """Give the workloads without an address of this family the lowest free one of the subnet, or of their Host."""
        taken = self._taken[subnet.family]
        slices = self._slices.get(subnet.family)
        pools: dict[str, list[Pool]] = {}
        for workload in self.members:
            key = workload.key
            if key in given:
                continue
            host = self._hosts[key] if slices else ""
            if host not in pools:
                parts = slices.own(host) if slices else [subnet]
                pools[host] = [Pool(part, taken) for part in parts]
            value = _take(pools[host])
            if value is None and slices and (part := slices.grow(host)):
                pools[host].append(Pool(part, taken))
                value = _take(pools[host])
            if value is None:
                self.problems.append(self._exhausted(subnet, slices, host))
                return
            given[key] = value

    def _exhausted(self, subnet: Subnet, slices: Slices | None, host: str) -> str:
        """The sentence for a Segment that is too small."""
        need = len(self.members)
        if slices is None:
            return (
                f"segment {self.name}: {subnet} has room for {subnet.room} workloads and {need} need an address; "
                "give it a larger subnet"
            )
        here = sum(self._hosts[w.key] == host for w in self.members)
        owned = ", ".join(map(str, slices.own(host))) or "none"
        return (
            f"segment {self.name}: {host} runs {here} of its {need} workloads and has no address left "
            f"(it owns {owned}, and no slice of {subnet} is free); give it a larger subnet or smaller slices"
        )


def _take(pools: list[Pool]) -> int | None:
    """From the first pool that has a free address."""
    for pool in pools:
        if (value := pool.take()) is not None:
            return value
    return None
