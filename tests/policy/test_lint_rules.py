"""Useless rules: a table of what is found, and random worlds in which the oracle never needs a rule that is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from policy_without import without
from sdn.model import Flow, IPBlock, Peer, Placed, Selector
from sdn.policy.compiler import compile_policy
from sdn.policy.evaluate import Oracle
from sdn.policy.lint_report import Finding, lint
from sdn.policy.lint_rules import Use, useless_rules
from sdn.policy.reach import Reach
from strategies import placed_and_flows
from worlds_base import DB, WEB, kube
from worlds_build import EGRESS, INGRESS, act, build, netpol, pods, rule, tcp, tier

WEB_BLOCK = IPBlock("10.244.0.0/16")


def useless(placed: Placed) -> dict[str, Use]:
    return {finding.origin: finding.use for finding in useless_rules(Reach(placed, compile_policy(placed)))}


@pytest.mark.parametrize(
    ("policies", "found"),
    [
        pytest.param([tier("application/a", act("deny", INGRESS, tcp(80)))], {}, id="a-rule-that-matters"),
        pytest.param(
            [tier("application/a", act("deny", INGRESS), act("allow", INGRESS, tcp(80)))],
            {"ingress application a[1]": Use.CONTRADICTED},
            id="an-allow-after-a-deny-for-all",
        ),
        pytest.param(
            [tier("application/a", act("deny", INGRESS, tcp(1, 100)), act("deny", INGRESS, tcp(50, 60)))],
            {"ingress application a[1]": Use.SHADOWED},
            id="a-range-in-a-range",
        ),
        pytest.param(
            [tier("application/a", act("deny", INGRESS, tcp(1, 100)), act("deny", INGRESS, tcp(50, 101)))],
            {},
            id="one-port-beyond",
        ),
        pytest.param(
            [tier("application/a", act("deny", INGRESS, tcp(1, 9)), act("allow", INGRESS, tcp(80)))],
            {"ingress application a[1]": Use.REDUNDANT},
            id="an-allow-before-the-default-that-allows",
        ),
        pytest.param(
            [
                tier("infrastructure/i", act("deny", EGRESS)),
                tier("application/a", act("allow", EGRESS, WEB_BLOCK, tcp(80))),
            ],
            {"egress application a[0]": Use.CONTRADICTED},
            id="an-earlier-tier-decides-all",
        ),
        pytest.param(
            [netpol("shop/p", DB, ingress=[rule(pods(app="web"), tcp(80)), rule(pods(app="web"))])],
            {"ingress NetworkPolicy shop/p[0]": Use.REDUNDANT},
            id="network-policy-is-additive",
        ),
    ],
)
def test_useless(policies: list[object], found: dict[str, Use]) -> None:
    assert useless(build(kube(*policies))) == found  # type: ignore[arg-type]


@settings(max_examples=80)
@given(placed_and_flows(most=15))
def test_the_oracle_never_needs_a_useless_rule(world: tuple[Placed, list[Flow]]) -> None:
    placed, flows = world
    found = useless(placed)
    never = {origin for origin, use in found.items() if use in (Use.SHADOWED, Use.CONTRADICTED)}
    oracle = Oracle(placed)
    for flow in flows:
        verdicts = [answer.verdict for answer in oracle.evaluate(flow)]
        assert not never & {origin for v in verdicts for origin in (v.rule, v.egress)}, flow
    for origin in [origin for origin, use in found.items() if use is Use.REDUNDANT][:5]:
        changed = Oracle(replace(placed, model=without(placed.model, {origin})))
        for flow in flows:
            before, after = oracle.evaluate(flow), changed.evaluate(flow)
            assert [a.verdict.disposition for a in before] == [a.verdict.disposition for a in after]


def test_report_names_place_and_kind() -> None:
    placed = build(
        kube(
            netpol("shop/open", WEB, ingress=[rule()]),
            netpol("shop/silent", DB, ingress=[rule(tcp(4444))]),
        )
    )
    found = lint(placed, compile_policy(placed), {"NetworkPolicy shop/silent": "shop.yaml:7"})
    silent = "ingress NetworkPolicy shop/silent[0] allows 4444/tcp, where nobody listens"
    everybody = "NetworkPolicy shop/open leaves ingress open: it allows everybody on every port"
    assert found == [Finding("nobody-listens", "shop.yaml:7", silent), Finding("isolates-nothing", "", everybody)]


def test_findings_are_in_the_order_of_lines_and_the_last_word_of_a_tier_is_none() -> None:
    halves = [replace(act("pass", side, tcp(80)), label="web") for side in (INGRESS, EGRESS)]
    placed = build(kube(tier("application/a", *halves), tier("application/z", act("allow", EGRESS))))
    silent = [netpol(f"shop/{name}", DB, ingress=[rule(tcp(port))]) for name, port in (("a", 4444), ("b", 4445))]
    placed = replace(placed, model=replace(placed.model, network_policies=tuple(silent)))
    where = {"policy a": "k.yaml:30", "NetworkPolicy shop/a": "k.yaml:200", "NetworkPolicy shop/b": "k.yaml:4"}
    found = lint(placed, compile_policy(placed), where)
    assert [finding.at for finding in found] == ["k.yaml:4", "k.yaml:30", "k.yaml:200"]
    assert found[1].text == (
        "egress and ingress application a[web] changes nothing: without it the same would be decided"
    )


def test_ports_of_tiers_on_which_nobody_listens() -> None:
    own = replace(act("allow", INGRESS, tcp(80), tcp(4444)), own=(Peer(selector=Selector(labels=WEB)),))
    unknown = replace(act("allow", INGRESS, tcp(4444)), own=(Peer(selector=Selector(namespaces=("gone",))),))
    placed = build(kube(tier("application/a", own, unknown, act("deny", INGRESS))))
    found = [one for one in lint(placed, compile_policy(placed), {}) if one.check == "nobody-listens"]
    assert [one.text for one in found] == ["ingress application a[0] allows 4444/tcp, where nobody listens"]


def test_a_place_that_its_author_gave_twice() -> None:
    """NSX's sequence numbers; the halves of one rule are one finding."""
    halves = [replace(act("deny", way, tcp(80), label="b"), tied="a") for way in (EGRESS, INGRESS)]
    policy = replace(tier("application/p", act("allow", INGRESS, tcp(81), label="a"), *halves), tied="q")
    placed = build(kube(policy))
    found = [one for one in lint(placed, compile_policy(placed), {"policy p": "x.json:3"}) if "priority" in one.check]
    assert found == [
        Finding("equal-priority", "x.json:3", "policy p has the sequence number of policy q: no order is defined"),
        Finding(
            "equal-priority", "x.json:3", "rule b of policy p has the sequence number of rule a: no order is defined"
        ),
    ]
