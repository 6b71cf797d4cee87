"""Flows asked by the thousand are answered as the oracle answers each by itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from sdn.errors import SdnError
from sdn.model import (
    HOST,
    Direction,
    Flow,
    LabelSelector,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    Placed,
    Protocol,
)
from sdn.policy.asked import Asked
from sdn.policy.asked_judge import RememberingJudge
from sdn.policy.evaluate import Oracle
from sdn.policy.oracle_judge import Judge, Side
from sdn.policy.reach import families_of
from strategies import placed_and_flows
from strategies_world import world
from worlds_build import build
from worlds_hosts import SHUT, twins

HOSTS = build(twins(*SHUT))
SOME = settings(max_examples=120)
OUTSIDE = {4: "203.0.113.9", 6: "2001:db8:ffff::9"}


@SOME
@given(placed_and_flows(most=40))
def test_what_is_remembered_changes_no_decision(lab: tuple[Placed, list[Flow]]) -> None:
    placed, flows = lab
    oracle, remembering = Oracle(placed), RememberingJudge(placed.model)
    sides = [side for flow in flows for answer in oracle.evaluate(flow) for side in oracle.sides(flow, answer)]
    plain = Judge(placed.model)
    assert [remembering.decide(side) for side in sides] == [plain.decide(side) for side in sides]


@pytest.mark.parametrize("seed", range(40))
def test_every_end_and_edge_is_decided_as_by_the_plain_judge(seed: int) -> None:
    placed = world(seed) if seed % 2 else with_equal_peers(world(seed))
    remembering, plain = RememberingJudge(placed.model), Judge(placed.model)
    dice = Random(seed)
    every = list(sides(placed))
    for side in dice.sample(every, min(len(every), 2000)):
        assert remembering.decide(side) == plain.decide(side), side


def with_equal_peers(placed: Placed) -> Placed:
    """Each namespace is open to its own Pods alone, by words that are equal and mean something else in each."""
    peer = NetworkPolicyPeer(pods=LabelSelector())
    own = tuple(
        NetworkPolicy(name, "own", LabelSelector(), (Direction.INGRESS,), (NetworkPolicyRule((peer,)),))
        for name in sorted({workload.namespace for workload in placed.model.workloads})
    )
    return replace(placed, model=replace(placed.model, network_policies=own))


def sides(placed: Placed) -> Iterator[Side]:
    """Each two workloads, and each with an address outside, at every port around which a rule may change its mind."""
    workloads = {w.key: w for w in placed.model.workloads if w.key in placed.endpoints}
    ends = [(workloads[key], address) for key, endpoint in placed.endpoints.items() for address in endpoint.addresses]
    asked = sorted(edges(placed))
    peers = [*ends, *((None, address) for address in OUTSIDE.values())]
    for (subject, own), (peer, address), direction in product(ends, peers, Direction):
        if (":" in own) == (":" in address) and subject is not peer:
            for protocol, port in asked:
                yield Side(direction, subject, own, peer, address, protocol, port, is_workloads=peer is not None)


def edges(placed: Placed) -> set[tuple[Protocol, int]]:
    """The first and last port of every rule and the numbers of all names, and their neighbours."""
    model = placed.model
    ports = [port for policy in model.policies for rule in policy.rules for port in rule.ports]
    for policy in model.network_policies:
        ports += [port for rule in (*policy.ingress, *policy.egress) for port in rule.ports]
    found = {(port.protocol, port.number) for workload in model.workloads for port in workload.ports}
    for port in ports:
        found |= {(port.protocol, number) for number in (port.port, port.end) if isinstance(number, int)}
    return {(Protocol.ICMP, 0), *((protocol, number + step) for protocol, number in found for step in (-1, 0, 1))}


@pytest.mark.parametrize(
    ("source", "destination", "allowed"),
    [
        ("host-1", "red/vm", True),
        ("host-1", "blue/pod", True),
        ("host-1", "red/far", False),
        ("host-2", "fd00:1:1::20", False),
        ("red/far", "red/vm", False),
    ],
)
def test_a_host_asks(source: str, destination: str, allowed: bool) -> None:
    asked = Asked(HOSTS, families_of(HOSTS.model))
    verdict = asked.verdict(source, destination, Protocol.TCP, 80)
    assert verdict.allowed is allowed
    assert (verdict.rule == HOST) is allowed


def test_a_host_and_an_address_of_two() -> None:
    with pytest.raises(SdnError, match="is on host-1 the address of blue/pod and of red/vm"):
        Asked(HOSTS, (4,)).verdict("host-1", "10.1.1.20", Protocol.TCP, 80)


@SOME
@given(placed_and_flows(most=20))
def test_every_order_of_flows_gets_the_same_answers(lab: tuple[Placed, list[Flow]]) -> None:
    placed, flows = lab
    families = families_of(placed.model)
    forwards, backwards = Asked(placed, families), Asked(placed, families)

    def answer(asked: Asked, flow: Flow) -> object:
        return asked.verdict(flow.source, flow.destination, flow.protocol, flow.port, 0)

    there = [answer(forwards, flow) for flow in flows]
    back = [answer(backwards, flow) for flow in reversed(flows)]
    assert there == back[::-1]
