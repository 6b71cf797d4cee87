"""Diff against two oracles: what it calls a change is one, and nothing else is."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_reach import reach_of

from sdn.model import Disposition, Flow, Placed, Protocol
from sdn.policy.compiler import compile_policy
from sdn.policy.diff import Change, Kind, Lab, Reason, compare
from sdn.policy.evaluate import Oracle
from sdn.policy.reach_list import Allowed
from strategies import Mask, masks, thinned, worlds
from worlds_base import KUBE, kube
from worlds_build import BOTH, INGRESS, block, build, labelled, netpol, pods, relabel, rule, tcp

Point = tuple[Protocol, int]


def lab(placed: Placed) -> Lab:
    return placed, compile_policy(placed)


def points(reason: Reason) -> set[tuple[int, Point]]:
    """(family or 0, both ends of every interval) of the services that a reason is for."""
    found = set()
    for one in reason.services:
        for protocol in Protocol if one.protocol == "any" else (Protocol(one.protocol.lower()),):
            spans = ((0, 0),) if protocol is Protocol.ICMP else one.ports or ((1, 65535),)
            found |= {(one.family, (protocol, port)) for span in spans for port in span}
    return found


def holds(change: Change, oracles: tuple[Oracle, Oracle], members: dict[str, str], placed: Placed) -> None:
    """Every end of every interval of a change between workloads, asked of both oracles."""
    source, target = (members[party.name] for party in (change.source, change.destination))
    for reason in change.reasons:
        for family, (protocol, port) in points(reason):
            for address in placed.endpoints[target].addresses:
                own = 6 if ":" in address else 4
                if family in {0, own} and placed.endpoints[source].address(own):
                    flow = Flow(source, address, protocol, port)
                    said = tuple(oracle.evaluate(flow)[0].verdict for oracle in oracles)
                    assert said == (reason.before, reason.after), flow


@settings(max_examples=40)
@given(worlds(), masks(20), masks(60))
def test_every_change_is_one_with_its_rules(placed: Placed, objects: int, rules: int) -> None:
    new = thinned(placed, Mask(objects), Mask(rules))
    oracles = Oracle(placed), Oracle(new)
    members = {key: key for key in placed.endpoints}
    for change in compare(lab(placed), lab(new)):
        if not (change.source.is_outside or change.destination.is_outside):
            holds(change, oracles, members, placed)


@settings(max_examples=40)
@given(worlds(), masks(20), masks(60))
def test_nothing_else_changes(placed: Placed, objects: int, rules: int) -> None:
    new = thinned(placed, Mask(objects), Mask(rules))
    changes = compare(lab(placed), lab(new))
    said = {(c.source.name, c.destination.name) for c in changes}
    reaches = reach_of(placed), reach_of(new)
    points = [(Protocol.TCP, port) for port in (1, 79, 80, 81, 5353, 8079, 8080, 65535)] + [(Protocol.ICMP, 0)]
    for source in placed.endpoints:
        for target in placed.endpoints:
            if source == target or (source, target) in said:
                continue
            seen = [dict(r.between(r.classes.of(source), r.classes.of(target))) for r in reaches]
            for protocol, port in points:
                old, now = (
                    {family: bool(mask & reach.services.at(protocol, port)) for family, mask in found.items()}
                    for reach, found in zip(reaches, seen, strict=True)
                )
                assert old == now


@settings(max_examples=30)
@given(worlds(), masks(20), masks(60), st.sampled_from(["203.0.113.7", "203.0.113.16", "10.0.0.200", "2001:db8::7"]))
def test_the_outside(placed: Placed, objects: int, rules: int, address: str) -> None:
    """An address is in a range of a change exactly where the oracles differ about it."""
    new = thinned(placed, Mask(objects), Mask(rules))
    oracles = Oracle(placed), Oracle(new)
    if any(address in endpoint.addresses for endpoint in placed.endpoints.values()):
        return
    changes = compare(lab(placed), lab(new))
    for key, endpoint in placed.endpoints.items():
        if endpoint.address(6 if ":" in address else 4) is None:
            continue
        found = [c for c in changes if c.source.name == key and any(inside(address, r) for r in c.destination.ranges)]
        for protocol, port in ((Protocol.TCP, 80), (Protocol.UDP, 53), (Protocol.ICMP, 0)):
            flow = Flow(key, address, protocol, port)
            allowed = [oracle.judge_egress(flow).allowed for oracle in oracles]
            named = [reason for c in found for reason in c.reasons if covers(reason.services, protocol, port)]
            assert bool(named) == (allowed[0] != allowed[1])


def inside(address: str, written: str) -> bool:
    low, _, high = written.partition("-")
    ends = ip_address(low), ip_address(high)
    return ends[0].version == ip_address(address).version and int(ends[0]) <= int(ip_address(address)) <= int(ends[1])


def covers(services: tuple[Allowed, ...], protocol: Protocol, port: int) -> bool:
    for one in services:
        if one.protocol == "any" or (
            one.protocol == protocol.upper() and (not one.ports or any(a <= port <= b for a, b in one.ports))
        ):
            return True
    return False


@settings(max_examples=20)
@given(worlds())
def test_a_lab_does_not_differ_from_itself(placed: Placed) -> None:
    assert compare(lab(placed), lab(placed)) == []


OPEN = kube(netpol("shop/p", labelled(app="db"), ingress=[rule(pods(app="web"), tcp(80, 90))]))


def by_name(old: Placed, new: Placed) -> dict[tuple[str, str], Change]:
    return {(c.source.name, c.destination.name): c for c in compare(lab(old), lab(new), (4,))}


def test_kinds() -> None:
    wide = kube(netpol("shop/p", labelled(app="db"), ingress=[rule(pods(app="web"), tcp(80, 99))]))
    narrow = kube(netpol("shop/p", labelled(app="db"), ingress=[rule(pods(app="web"), tcp(85, 90))]))
    other = kube(netpol("shop/p", labelled(app="db"), ingress=[rule(pods(app="web"), tcp(85, 99))]))
    closed = kube(netpol("shop/p", labelled(app="db")))
    kinds = {
        name: by_name(build(OPEN), build(model))["shop/web", "shop/db"].kind
        for name, model in (("wide", wide), ("narrow", narrow), ("other", other), ("closed", closed))
    }
    assert kinds == {
        "wide": Kind.GROWS,
        "narrow": Kind.SHRINKS,
        "other": Kind.CHANGES,
        "closed": Kind.DISAPPEARS,
    }
    appears = by_name(build(closed), build(OPEN))["shop/web", "shop/db"]
    assert appears.kind is Kind.APPEARS
    (reason,) = appears.reasons
    assert reason.before is not None
    assert reason.after is not None
    assert reason.before.rule == "ingress NetworkPolicy shop/p isolates"
    assert (reason.after.egress, reason.after.rule) == ("egress default allow", "ingress NetworkPolicy shop/p[0]")


def test_a_workload_that_is_new_and_one_that_is_gone() -> None:
    less = kube(workloads=[one for one in KUBE if one.key != "ops/mon"])
    found = by_name(build(less), build(kube()))
    assert {c.kind for c in found.values()} == {Kind.APPEARS}
    assert all("ops/mon" in ends for ends in found)
    assert found["ops/mon", "shop/web"].reasons[0].before is None
    gone = by_name(build(kube()), build(less))
    assert {c.kind for c in gone.values()} == {Kind.DISAPPEARS}
    assert set(gone) == set(found)


def test_an_owner_that_is_told_apart_in_one_lab_only_is_compared_by_pod() -> None:
    twins = [replace(w, owner=("Deployment", "twin")) if w.key in {"shop/web", "shop/api"} else w for w in KUBE]
    twins = relabel(relabel(twins, "shop/web", app="twin"), "shop/api", app="twin")
    whole = build(kube(workloads=twins))
    address = whole.endpoints["shop/web"].addresses[0]
    split = build(kube(netpol("shop/p", labelled(app="db"), ingress=[rule(block(f"{address}/32"))]), workloads=twins))
    found = by_name(whole, split)
    assert ("shop/web", "shop/db") not in found
    assert found["shop/api", "shop/db"].kind is Kind.DISAPPEARS
    assert not any("shop/twin" in ends for ends in found)


def test_the_disposition_is_that_of_the_first_side_that_stops() -> None:
    both = kube(netpol("shop/p", labelled(app="db"), BOTH), netpol("shop/q", labelled(app="web"), (INGRESS,)))
    reason = by_name(build(kube()), build(both))["shop/db", "shop/web"].reasons[0]
    assert reason.after is not None
    assert (reason.after.disposition, reason.after.rule) == (
        Disposition.DENY,
        "egress NetworkPolicy shop/p isolates",
    )
