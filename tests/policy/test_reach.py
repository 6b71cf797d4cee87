"""Reach against the oracle, point by point: every edge of every answer and one beyond it, in random worlds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address

import pytest
from hypothesis import given, settings

from sdn.model import Disposition, Flow, Placed, Protocol, family_of
from sdn.policy.compiler import compile_policy
from sdn.policy.evaluate import Oracle
from sdn.policy.intervals import Services
from sdn.policy.reach import OutsidePart, Reach
from sdn.policy.reach_list import Allowed, Connection, Listing, Party
from sdn.policy.reach_reasons import verdict
from shuffled import Shuffler
from strategies import worlds
from worlds import CASES, Case

OF_WORKLOADS = [case for case in CASES if "/" in case.flow.source]
"""Reach is about policy, which never judges a Host."""

Point = tuple[Protocol, int]


def edges(services: Services, mask: int) -> set[Point]:
    """Both ends of every interval and the ports beside them; one point of each protocol in any case."""
    found: set[Point] = {(Protocol.TCP, 80), (Protocol.UDP, 53), (Protocol.SCTP, 9), (Protocol.ICMP, 0)}
    for protocol, spans in services.spans(mask).items():
        for first, last in spans if protocol is not Protocol.ICMP else ():
            found |= {(protocol, port) for port in (first - 1, first, last, last + 1) if 1 <= port <= 65535}
    return found


def reach_of(placed: Placed) -> Reach:
    return Reach(placed, compile_policy(placed))


def workload_points(reach: Reach) -> Iterator[tuple[Flow, str, bool]]:
    """Flows between all workloads, whom they are for, and whether reach allows them."""
    endpoints = reach.placed.endpoints
    for source in endpoints:
        for target, endpoint in endpoints.items():
            if source == target:
                continue
            found = dict(reach.between(reach.classes.of(source), reach.classes.of(target)))
            for address in endpoint.addresses:
                mask = found.get(family_of(address), 0)
                for protocol, port in edges(reach.services, mask):
                    yield Flow(source, address, protocol, port), target, bool(mask & reach.services.at(protocol, port))


@settings(max_examples=40)
@given(worlds())
def test_workloads_as_the_oracle_says(placed: Placed) -> None:
    reach, oracle = reach_of(placed), Oracle(placed)
    for flow, target, allowed in workload_points(reach):
        (answer,) = oracle.evaluate(flow)
        # An address may be another workload's where networks overlap: then there is no path to this one.
        assert allowed == (answer.verdict.allowed and answer.backend == target), f"{flow}: {answer}"


@settings(max_examples=40)
@given(worlds())
def test_the_outside_as_the_oracle_says(placed: Placed) -> None:
    reach, oracle = reach_of(placed), Oracle(placed)
    owned = {address for endpoint in placed.endpoints.values() for address in endpoint.addresses}
    for part in reach.outside:
        for address in outside_edges(part):
            if address not in owned:
                for key in placed.endpoints:
                    check_outside(reach, oracle, part, address, key)


def outside_edges(part: OutsidePart) -> set[str]:
    """Both ends of every range of the part; those beside them are the ends of its neighbours."""
    spelt = {4: lambda number: str(ip_address(number)), 6: lambda number: str(ip_address(number.to_bytes(16, "big")))}
    return {spelt[part.family](number) for ends in part.ranges for number in ends}


def check_outside(reach: Reach, oracle: Oracle, part: OutsidePart, address: str, key: str) -> None:
    number = reach.classes.of(key)
    out, into = reach.outwards(number, part), reach.inwards(part, number)
    if reach.placed.endpoints[key].address(part.family) is None:
        assert not out
        assert not into
        return
    for protocol, port in edges(reach.services, out):
        verdict = oracle.judge_egress(Flow(key, address, protocol, port))
        assert bool(out & reach.services.at(protocol, port)) == verdict.allowed, f"{key} {address} {verdict}"
    for protocol, port in edges(reach.services, into):
        verdict = oracle.judge_ingress(address, key, protocol, port)
        assert bool(into & reach.services.at(protocol, port)) == verdict.allowed, f"{address} {key} {verdict}"


@settings(max_examples=40)
@given(worlds())
def test_outside_parts_are_disjoint_and_cover_all(placed: Placed) -> None:
    """All but what lies in no part: addresses of workloads."""
    reach = reach_of(placed)
    owned = {ip_address(address) for endpoint in placed.endpoints.values() for address in endpoint.addresses}
    for family, end in ((4, 2**32), (6, 2**128)):
        ranges = sorted(r for part in reach.outside if part.family == family for r in part.ranges)
        following = 0
        for low, high in [*ranges, (end, end)]:
            assert following <= low
            own = sum(a.version == family and following <= int(a) < low for a in owned)
            assert own == low - following
            following = high + 1


@settings(max_examples=40)
@given(worlds())
def test_pairs_leave_none_out(placed: Placed) -> None:
    reach = reach_of(placed)
    count = range(len(reach.classes.all))
    every = [(source, destination, reach.between(source, destination)) for source in count for destination in count]
    assert list(map(tuple, reach.pairs())) == [pair for pair in every if any(mask for _, mask in pair[2])]


@settings(max_examples=40)
@given(worlds())
def test_the_rule_is_the_one_that_the_oracle_names(placed: Placed) -> None:
    reach, oracle = reach_of(placed), Oracle(placed)
    for flow, target, _ in workload_points(reach):
        (answer,) = oracle.evaluate(flow)
        source, destination = reach.classes.of(flow.source), reach.classes.of(target)
        if answer.backend == target and reach.has_path(source, destination, flow.family):
            service = reach.services.at(flow.protocol, flow.port)
            assert verdict(reach, source, destination, flow.family, service) == answer.verdict


@settings(max_examples=25)
@given(worlds())
def test_the_order_of_input_never_matters(placed: Placed) -> None:
    mixed = Shuffler(7).placed(placed)
    assert list(Listing(reach_of(placed)).connections()) == list(Listing(reach_of(mixed)).connections())


@settings(max_examples=40)
@given(worlds())
def test_connections_say_what_each_workload_may(placed: Placed) -> None:
    """The listing, taken apart again, is what reach says of every pair of workloads."""
    listing = Listing(reach_of(placed))
    reach = listing.reach
    members = {unit.party: unit.members for unit in listing.units}
    said = {
        (source, target): connection.allowed
        for connection in listing.connections()
        if not (connection.source.is_outside or connection.destination.is_outside)
        for source in members[connection.source]
        for target in members[connection.destination]
    }
    together = {(a, b) for keys in members.values() for a in keys for b in keys}
    for source in placed.endpoints:
        for target in placed.endpoints:
            found = reach.between(reach.classes.of(source), reach.classes.of(target))
            for family, mask in found if (source, target) not in together else ():
                assert services_of(reach.services, said.get((source, target), ()), family) == mask


def services_of(services: Services, allowed: tuple[Allowed, ...], family: int) -> int:
    """The set that a list of what is allowed stands for, in one family."""
    mask = 0
    for one in allowed:
        if one.family in {0, family}:
            protocol = None if one.protocol == "any" else Protocol(one.protocol.lower())
            mask |= services.mask(protocol, one.ports)
    return mask


@cache
def case_reach(world: int) -> Reach:
    return reach_of(next(case.placed for case in CASES if id(case.placed) == world))


@pytest.mark.parametrize("case", OF_WORKLOADS, ids=lambda case: case.name)
def test_corner_cases(case: Case) -> None:
    reach, flow = case_reach(id(case.placed)), case.flow
    zones, endpoints = case.placed.zones, case.placed.endpoints
    owners = {(zones[e.application], a): key for key, e in endpoints.items() for a in e.addresses}
    target = owners.get((zones[endpoints[flow.source].application], flow.destination), "")
    if not target or target == flow.source or case.disposition is Disposition.NO_ROUTE:
        return
    found = dict(reach.between(reach.classes.of(flow.source), reach.classes.of(target)))
    allowed = found.get(flow.family, 0) & reach.services.at(flow.protocol, flow.port)
    assert bool(allowed) == (case.disposition is Disposition.ALLOW)


def test_parties_are_told_apart() -> None:
    assert not Party("shop/web", "Deployment").is_outside
    assert Party("", "", ("0.0.0.0-255.255.255.255",)).is_outside
    assert Allowed("TCP", ((80, 80), (443, 443), (8000, 8999))).text == "80,443,8000-8999"
    assert Connection(Party("a/b", "Pod"), Party("a/c", "Pod"), (Allowed("any"),)).allowed[0].text == ""
