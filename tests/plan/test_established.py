"""Which remembered connections a plan still allows: those whose first packet it would let pass, and no others."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from sdn.model import Flow, Options, Placed, Protocol
from sdn.plan.desired import plan_placed
from sdn.plan.established import Connection, Established
from sdn.policy.evaluate import Oracle
from strategies import placed_and_flows
from worlds_base import SITE, kube
from worlds_build import ECHO, EGRESS, INGRESS, act, build, tcp, tier


def connection(placed: Placed, flow: Flow, destination: str, port: int) -> Connection:
    sender = placed.endpoints[flow.source]
    source = sender.address(flow.family)
    assert source is not None
    return Connection(placed.zones[sender.application], source, 40000, destination, flow.protocol, port)


@settings(max_examples=100)
@given(placed_and_flows(most=12))
def test_as_the_oracle_says_of_the_first_packet(world: tuple[Placed, list[Flow]]) -> None:
    """Through Services, too: what is remembered of those is the Backend."""
    placed, flows = world
    oracle, established = Oracle(placed), Established(plan_placed(placed).plan)
    for flow in flows:
        for answer in oracle.evaluate(flow):
            target = placed.endpoints.get(answer.backend)
            address = target.address(flow.family) if target is not None else None
            if address is not None and answer.backend != flow.source:
                asked = connection(placed, flow, address, answer.port)
                assert established.allows(asked) == answer.verdict.allowed, f"{flow} {answer}"


CLOSED = tier("application/t", act("deny", INGRESS), act("deny", EGRESS))


@pytest.mark.parametrize("judged", [True, False])
def test_a_client_that_meets_itself(judged: bool) -> None:
    placed = build(kube(SITE, CLOSED, options=Options(judge_hairpin=judged)))
    web = placed.endpoints["shop/web"].addresses[0]
    asked = connection(placed, Flow("shop/web", SITE.addresses[0], port=80), web, 80)
    assert Established(plan_placed(placed).plan).allows(asked) is not judged


@pytest.mark.parametrize("gateway", ["10.244.0.1", "fd00:244::1"])
def test_what_a_host_sends_to_its_own_stays(gateway: str) -> None:
    """A workload's connection to the same port does not."""
    placed = build(kube(CLOSED))
    web, api = (placed.endpoints[key].addresses[":" in gateway] for key in ("shop/web", "shop/api"))
    established = Established(plan_placed(placed).plan)
    zone = placed.zones["cluster"]
    assert established.allows(Connection(zone, gateway, 40000, web, Protocol.TCP, 80))
    assert not established.allows(Connection(zone, api, 40000, web, Protocol.TCP, 80))


def test_what_nobody_of_the_lab_sends_or_receives_stays() -> None:
    established = Established(plan_placed(build(kube(CLOSED))).plan)
    assert established.allows(Connection(1, "192.168.1.1", 1, "192.168.1.2", Protocol.UDP, 4789))
    assert established.allows(Connection(0, "10.244.0.2", 1, "10.244.0.3", Protocol.TCP, 80))


@pytest.mark.parametrize(("protocol", "stays"), [(Protocol.TCP, True), (Protocol.ICMP, True), (None, False)])
def test_what_no_rule_can_name_is_matched_by_rules_for_everything(protocol: Protocol | None, stays: bool) -> None:
    """Such as GRE."""
    placed = build(kube(tier("application/t", act("allow", INGRESS, tcp(), ECHO), act("deny", INGRESS))))
    ends = [placed.endpoints[key].addresses[0] for key in ("shop/web", "shop/db")]
    asked = Connection(placed.zones["cluster"], ends[0], 1, ends[1], protocol, 80 if protocol is Protocol.TCP else 0)
    assert Established(plan_placed(placed).plan).allows(asked) is stays
