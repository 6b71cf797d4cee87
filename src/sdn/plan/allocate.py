"""Numbers and addresses for everything that was placed: from a Model and a Placement to Placed.

Deterministic: sorted order decides, never the order of what was read. With `previous` everything that is still valid
keeps its number, for an address that changes is a broken connection; a moved workload takes its address along.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from sdn.errors import SdnError
from sdn.model import Application, Endpoint, Model, Placed, Placement, Segment, Workload
from sdn.plan.addressing import Ground, SegmentAddresses, SegmentKey
from sdn.plan.ids import check_unique, mac_of
from sdn.plan.state import GATEWAY_MAC

FIRST_VNI = 4096
"""Below it are the numbers that people use for VLANs; keeping out of them avoids mix-ups in a capture."""

LAST_VNI = 2**24 - 1
LAST_ZONE = 2**16 - 1
LAST_MARK = 2**31 - 1
"""The bit above is `state.LOCAL`."""

Name = TypeVar("Name", str, tuple[str, str])


def allocate(model: Model, placement: Placement, previous: Placed | None = None) -> Placed:
    """Give every Endpoint its addresses, every Segment its VNI, every Application its mark and zone.

    Raises SdnError with one line for each address that cannot be given, and for numbers that have run out.
    """
    segments = {(a.name, s.name): s for a in model.applications for s in a.segments}
    members = _members(model, segments, placement)
    addresses: dict[str, tuple[str, ...]] = {}
    slices: dict[tuple[str, str, str], tuple[str, ...]] = {}
    problems: list[str] = []
    ground = Ground.of(model, placement, previous)
    for key in sorted(segments):
        work = SegmentAddresses(key, segments[key], members.get(key, []), ground)
        addresses.update(work.addresses())
        slices.update(work.slices())
        problems += work.problems
    if problems:
        raise SdnError("\n".join(problems))
    old = previous or Placed(model, placement, {})
    names = [a.name for a in model.applications]
    return Placed(
        model=model,
        placement=placement,
        endpoints=_endpoints(members, placement, addresses),
        vnis=number("VNI", segments, old.vnis, FIRST_VNI, LAST_VNI),
        zones=number_zones(model.applications, old.zones),
        marks=number("application mark", names, old.marks, 1, LAST_MARK),
        slices=dict(sorted(slices.items())),
    )


def number(what: str, names: Collection[Name], previous: Mapping[Name, int], first: int, last: int) -> dict[Name, int]:
    """A number for each name, in sorted order; those with a previous one keep it, and nobody gets another's old one.

    Raises SdnError when `last` is passed; `what` names the numbers in the sentence.
    """
    used = set(previous.values())
    result: dict[Name, int] = {}
    following = first
    for name in sorted(names):
        if name in previous:
            result[name] = previous[name]
            continue
        while following in used:
            following += 1
        if following > last:
            raise SdnError(f"{len(names)} times a {what} is more than the {last - first + 1} there are; split the lab")
        result[name] = following
        following += 1
    return result


def connected_sets(applications: Iterable[Application]) -> list[tuple[str, ...]]:
    """The Applications that are joined by connections, also through others; each set and the list are sorted."""
    neighbours: dict[str, set[str]] = {}
    for application in applications:
        neighbours.setdefault(application.name, set()).update(application.connects)
        for other in application.connects:
            neighbours.setdefault(other, set()).add(application.name)
    result = []
    seen: set[str] = set()
    for name in sorted(neighbours):
        if name in seen:
            continue
        found, todo = {name}, [name]
        while todo:
            fresh = neighbours[todo.pop()] - found
            found |= fresh
            todo += fresh
        seen |= found
        result.append(tuple(sorted(found)))
    return result


def number_zones(applications: Iterable[Application], previous: Mapping[str, int]) -> dict[str, int]:
    """A conntrack zone for each set of connected Applications: their addresses do not overlap, so they may share one.

    A set keeps the zone of its first member that had one, unless an earlier set took it (a set that was split).
    """
    sets = connected_sets(applications)
    kept: dict[str, int] = {}
    claimed: set[int] = set()
    for names in sets:
        zone = next((previous[n] for n in names if n in previous and previous[n] not in claimed), None)
        if zone is not None:
            kept[names[0]] = zone
            claimed.add(zone)
    # Numbers that were in use stay reserved, also where no set kept them: connections in that zone may still be open.
    retired = {f"\0{zone}": zone for zone in set(previous.values()) - claimed}
    zones = number("conntrack zone", [names[0] for names in sets], {**retired, **kept}, 1, LAST_ZONE)
    return dict(sorted((name, zones[names[0]]) for names in sets for name in names))


def _members(
    model: Model, segments: Mapping[SegmentKey, Segment], placement: Placement
) -> dict[SegmentKey, list[Workload]]:
    """The workloads that get an Endpoint, by Segment and sorted by key; what runs nowhere has none."""
    members: dict[SegmentKey, list[Workload]] = defaultdict(list)
    problems = []
    for workload in model.workloads:
        if workload.host_network or not workload.segment or workload.key not in placement.hosts:
            continue
        key = (workload.application, workload.segment)
        if key in segments:
            members[key].append(workload)
        else:
            there = ", ".join(f"{a}/{s}" for a, s in sorted(segments)) or "none"
            problems.append(f"{workload.key}: segment {'/'.join(key)} is not defined (there are: {there})")
    if problems:
        raise SdnError("\n".join(sorted(problems)))
    for workloads in members.values():
        workloads.sort(key=_key)
    return members


def _key(workload: Workload) -> str:
    return workload.key


def _endpoints(
    members: Mapping[SegmentKey, list[Workload]], placement: Placement, addresses: Mapping[str, tuple[str, ...]]
) -> dict[str, Endpoint]:
    """All Endpoints sorted by key; raises SdnError where two in one l2 Segment would get one MAC."""
    endpoints: dict[str, Endpoint] = {}
    for (application, segment), workloads in members.items():
        macs = [(GATEWAY_MAC, "the gateway")]
        for workload in workloads:
            key = workload.key
            mac = mac_of(key)
            macs.append((mac, key))
            endpoints[key] = Endpoint(key, application, segment, placement.hosts[key], mac, addresses[key])
        check_unique("MAC address", f"segment {application}/{segment}", macs)
    return dict(sorted(endpoints.items()))
