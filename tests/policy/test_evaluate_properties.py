"""What must hold of the oracle on every world, since nothing else checks the oracle."""

from __future__ import annotations

from hypothesis import given, settings
from msgspec.structs import replace

from sdn.model import (
    ADMIN,
    BASELINE,
    GATEWAY,
    NETWORK_POLICY,
    NO_BACKEND,
    NO_PATH,
    OWN_ADDRESS,
    Action,
    Direction,
    Disposition,
    Flow,
    Model,
    NetworkPolicyRule,
    Placed,
    Policy,
    Rule,
    Selector,
    default_origin,
    isolation_origin,
    rule_origin,
)
from sdn.policy.evaluate import evaluate
from strategies import placed_and_flow

FEW = settings(max_examples=150)
DEFAULTS = {GATEWAY, NO_PATH, NO_BACKEND, OWN_ADDRESS, default_origin(Direction.INGRESS)}


def origins(model: Model) -> set[str]:
    """Every rule of a model by its name."""
    kubernetes = {
        rule_origin(direction, NETWORK_POLICY, f"{policy.namespace}/{policy.name}", index)
        for policy in model.network_policies
        for direction, rules in ((Direction.INGRESS, policy.ingress), (Direction.EGRESS, policy.egress))
        for index in range(len(rules))
    }
    return kubernetes | {
        rule_origin(rule.direction, policy.tier, policy.name, rule.label or index)
        for policy in model.policies
        for index, rule in enumerate(policy.rules)
    }


@FEW
@given(placed_and_flow())
def test_every_verdict_names_a_rule_or_a_default(world: tuple[Placed, Flow]) -> None:
    placed, flow = world
    for answer in evaluate(placed, flow):
        verdict = answer.verdict
        known = origins(placed.model) | DEFAULTS
        assert verdict.rule in known or " isolates" in verdict.rule
        stopped_leaving = verdict.rule.startswith("egress")
        judged_arriving = verdict.rule.startswith("ingress")
        assert bool(verdict.egress) == (judged_arriving or verdict.reply)
        assert not (stopped_leaving and verdict.allowed)
        assert not (verdict.reply and verdict.disposition is not Disposition.DENY)


@FEW
@given(placed_and_flow())
def test_the_order_of_the_input_never_matters(world: tuple[Placed, Flow]) -> None:
    placed, flow = world
    model = placed.model
    turned = replace(
        model,
        applications=model.applications[::-1],
        workloads=model.workloads[::-1],
        namespaces=model.namespaces[::-1],
        services=model.services[::-1],
        network_policies=model.network_policies[::-1],
        policies=model.policies[::-1],
        groups=model.groups[::-1],
        exclusions=model.exclusions[::-1],
    )
    reversed_endpoints = dict(reversed(placed.endpoints.items()))
    assert evaluate(placed, flow) == evaluate(replace(placed, model=turned, endpoints=reversed_endpoints), flow)


@FEW
@given(placed_and_flow())
def test_without_policies_a_path_is_enough(world: tuple[Placed, Flow]) -> None:
    placed, flow = world
    free = replace(placed, model=replace(placed.model, network_policies=(), policies=()))
    for answer in evaluate(free, flow):
        assert answer.verdict.disposition not in {Disposition.DENY, Disposition.REJECT}
        assert answer.verdict.rule in DEFAULTS


@FEW
@given(placed_and_flow())
def test_a_further_network_policy_rule_never_takes_anything_away(world: tuple[Placed, Flow]) -> None:
    placed, flow = world
    anything = NetworkPolicyRule()
    wider = tuple(
        replace(policy, ingress=(*policy.ingress, anything), egress=(*policy.egress, anything))
        for policy in placed.model.network_policies
    )
    after = evaluate(replace(placed, model=replace(placed.model, network_policies=wider)), flow)
    for old, new in zip(evaluate(placed, flow), after, strict=True):
        assert new.verdict.allowed or not old.verdict.allowed
        assert "isolates" not in new.verdict.rule


@FEW
@given(placed_and_flow())
def test_whoever_is_on_the_exclusion_list_meets_kubernetes_policies_alone(world: tuple[Placed, Flow]) -> None:
    placed, flow = world
    kubernetes = tuple(policy for policy in placed.model.policies if policy.tier in {ADMIN, BASELINE})
    without = replace(placed.model, policies=kubernetes, exclusions=())
    excluded = replace(placed.model, exclusions=(Selector(),))
    assert evaluate(replace(placed, model=excluded), flow) == evaluate(replace(placed, model=without), flow)


@FEW
@given(placed_and_flow())
def test_a_last_baseline_rule_takes_the_place_of_the_default_and_of_nothing_else(world: tuple[Placed, Flow]) -> None:
    placed, flow = world
    last = Policy("zz", BASELINE, (Rule(Action.REJECT, Direction.EGRESS), Rule(Action.REJECT, Direction.INGRESS)))
    policies = tuple(replace(without_pass(policy), stateless=False) for policy in placed.model.policies)
    before = replace(placed.model, policies=policies)
    after = replace(placed.model, policies=(*policies, replace(last, priority=9999)))
    for old, new in zip(*(evaluate(replace(placed, model=m), flow) for m in (before, after)), strict=True):
        if default_origin(Direction.EGRESS) == old.verdict.egress:
            assert new.verdict.rule == "egress baseline zz[0]"
        elif default_origin(Direction.INGRESS) == old.verdict.rule:
            assert new.verdict.rule == "ingress baseline zz[1]"
        elif old.verdict.rule != NO_PATH:  # there egress is judged, and the verdict does not say by which rule
            assert new == old


def without_pass(policy: Policy) -> Policy:
    """A baseline policy that never passes, for pass there skips whatever comes after."""
    return replace(
        policy, rules=tuple(r for r in policy.rules if r.action is not Action.PASS or policy.tier != BASELINE)
    )


@FEW
@given(placed_and_flow())
def test_the_scope_of_a_policy_beats_those_of_its_rules(world: tuple[Placed, Flow]) -> None:
    placed, flow = world
    scoped = tuple(
        replace(policy, rules=tuple(replace(rule, applies_to=(Selector(name="nobody"),)) for rule in policy.rules))
        if policy.applies_to
        else policy
        for policy in placed.model.policies
    )
    changed = replace(placed, model=replace(placed.model, policies=scoped))
    assert evaluate(changed, flow) == evaluate(placed, flow)


def test_isolation_names_what_this_file_looks_for() -> None:
    assert " isolates" in isolation_origin(Direction.INGRESS, ("shop/p",))
