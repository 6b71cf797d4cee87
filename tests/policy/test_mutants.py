"""A compiler that is wrong in one place is found out: oracle and trace disagree on some flow of the random worlds.

Each mutant changes one thing that was compiled, in every world where it can. Without a mutant they agree on all of
these flows, so what finds a mutant is the mutant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from random import Random
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from sdn.model import ADMIN, BASELINE, Action, Direction, Flow, Group, Model, Placed, Rule, Verdict
from sdn.plan.desired import desired_state
from sdn.plan.state import Firewall, FirewallRule, Plan
from sdn.plan.trace import Tracer
from sdn.policy.compiled import CompiledPolicy, CompiledRule, Profile, TierRules
from sdn.policy.compiler import compile_policy
from sdn.policy.evaluate import Oracle
from strategies import ASKED, neighbours
from strategies_world import world

SEEDS = range(200)
FLOWS = 80


class World(NamedTuple):
    """A random world, what the compiler made of it, and what the oracle says of its flows."""

    placed: Placed
    compiled: CompiledPolicy
    verdicts: list[tuple[Flow, list[Verdict]]]


Mutant = Callable[[CompiledPolicy, Random], CompiledPolicy]
ModelMutant = Callable[[Model], Model]
PlanMutant = Callable[[Firewall], Firewall]


@lru_cache(maxsize=1)
def worlds() -> list[World]:
    found = []
    for seed in SEEDS:
        placed = world(seed)
        oracle, flows = Oracle(placed), some_flows(placed, Random(seed))
        verdicts = [(flow, [answer.verdict for answer in oracle.evaluate(flow)]) for flow in flows]
        found.append(World(placed, compile_policy(placed), verdicts))
    return found


def some_flows(placed: Placed, random: Random, count: int = FLOWS) -> list[Flow]:
    """Between workloads that a network joins, at the edges of what policies speak of."""
    pairs = [(end.workload, address) for end in placed.endpoints.values() for _, address in neighbours(placed, end)]
    asked = ((random.choice(pairs), random.choice(ASKED)) for _ in range(count if pairs else 0))
    return [Flow(source, address, protocol, port) for (source, address), (protocol, port) in asked]


def disagreements(case: World, plan: Plan) -> Iterable[str]:
    """The flows on which the plan is not what the oracle says."""
    tracer = Tracer(plan)
    for flow, verdicts in case.verdicts:
        if [trace.answer.verdict for trace in tracer.trace(flow)] != verdicts:
            yield f"{flow}"


def test_without_a_mutant_they_agree() -> None:
    for case in worlds():
        assert not list(disagreements(case, desired_state(case.placed, case.compiled)))


def test_the_worlds_decide_a_lot() -> None:
    """Defaults would hide mutants."""
    verdicts = [verdict for case in worlds() for _, one in case.verdicts for verdict in one]
    assert sum("default" not in verdict.rule for verdict in verdicts) > len(verdicts) / 2


def change_profile(compiled: CompiledPolicy, random: Random, changed: Callable[[Profile], Profile]) -> CompiledPolicy:
    """One of the profiles that the change makes different; the input itself where it changes none."""
    candidates = [p for p in compiled.profiles.values() if changed(p) != p]
    if not candidates:
        return compiled
    chosen = random.choice(candidates)
    return replace(compiled, profiles={**compiled.profiles, chosen.id: changed(chosen)})


def tiers_mutant(change: Callable[[TierRules], TierRules | None]) -> Mutant:
    """A mutant of every tier of one profile; None leaves the tier out."""

    def mutate(compiled: CompiledPolicy, random: Random) -> CompiledPolicy:
        def changed(profile: Profile) -> Profile:
            tiers = [found for tier in profile.tiers if (found := change(tier)) is not None]
            return replace(profile, tiers=tuple(tiers))

        return change_profile(compiled, random, changed)

    return mutate


def rule_mutant(change: Callable[[CompiledRule], CompiledRule | None]) -> Mutant:
    """A mutant of one line of one profile; None leaves the line out."""

    def mutate(compiled: CompiledPolicy, random: Random) -> CompiledPolicy:
        places = [
            (profile, t, r)
            for profile in compiled.profiles.values()
            for t, tier in enumerate(profile.tiers)
            for r, line in enumerate(tier.rules)
            if change(line) != line
        ]
        if not places:
            return compiled
        profile, t, r = random.choice(places)
        tier = profile.tiers[t]
        line = change(tier.rules[r])
        rules = (*tier.rules[:r], *([] if line is None else [line]), *tier.rules[r + 1 :])
        tiers = (*profile.tiers[:t], replace(tier, rules=rules), *profile.tiers[t + 1 :])
        return replace(compiled, profiles={**compiled.profiles, profile.id: replace(profile, tiers=tiers)})

    return mutate


def ports(change: Callable[[int, int], tuple[int, int]]) -> Mutant:
    """Another range in place of the one that was compiled."""
    return rule_mutant(lambda line: replace(line, ports=tuple(change(low, high) for low, high in line.ports)))


def swapped_direction(compiled: CompiledPolicy, _: Random) -> CompiledPolicy:
    other = {Direction.INGRESS: Direction.EGRESS, Direction.EGRESS: Direction.INGRESS}
    profiles = {key: replace(found, direction=other[found.direction]) for key, found in compiled.profiles.items()}
    return replace(compiled, profiles=profiles, egress=compiled.ingress, ingress=compiled.egress)


def missing_member(compiled: CompiledPolicy, random: Random) -> CompiledPolicy:
    if not compiled.groups:
        return compiled
    chosen = random.choice(sorted(compiled.groups))
    members = list(compiled.groups[chosen])
    members.remove(random.choice(members))
    return replace(compiled, groups={**compiled.groups, chosen: tuple(members)})


def member_too_many(compiled: CompiledPolicy, random: Random) -> CompiledPolicy:
    strangers = [(g, k) for g, found in compiled.groups.items() for k in compiled.ingress if k not in found]
    if not strangers:
        return compiled
    chosen, key = random.choice(strangers)
    return replace(compiled, groups={**compiled.groups, chosen: tuple(sorted((*compiled.groups[chosen], key)))})


def anothers_profile(compiled: CompiledPolicy, random: Random) -> CompiledPolicy:
    key, other = random.choice(sorted(compiled.ingress)), random.choice(sorted(compiled.ingress))
    return replace(compiled, ingress={**compiled.ingress, key: compiled.ingress[other]})


def tier_order(compiled: CompiledPolicy, random: Random) -> CompiledPolicy:
    return change_profile(compiled, random, lambda profile: replace(profile, tiers=profile.tiers[::-1]))


def act(before: Action, after: Action) -> Mutant:
    """One action taken for another."""
    return rule_mutant(lambda line: replace(line, action=after) if line.action is before else line)


MUTANTS: dict[str, Mutant] = {
    "a dropped rule": rule_mutant(lambda line: None),
    "swapped direction": swapped_direction,
    "a range one port longer": ports(lambda low, high: (low, high + 1)),
    "a range one port shorter": ports(lambda low, high: (low, high - 1)),
    "a range that starts one port early": ports(lambda low, high: (low - 1, high)),
    "a range that starts one port late": ports(lambda low, high: (low + 1, high)),
    "ports forgotten": rule_mutant(lambda line: replace(line, ports=())),
    "protocol forgotten": rule_mutant(lambda line: replace(line, protocol=None, ports=())),
    "a stateless rule remembers": rule_mutant(lambda line: replace(line, stateless=False)),
    "peers forgotten": rule_mutant(lambda line: replace(line, group=None, block=None)),
    "excepts forgotten": rule_mutant(
        lambda line: replace(line, block=replace(line.block, excepts=())) if line.block else line
    ),
    "excluded members forgotten": rule_mutant(lambda line: replace(line, not_group=None)),
    "excluded members taken for the peers": rule_mutant(
        lambda line: replace(line, group=line.not_group, not_group=None) if line.not_group else line
    ),
    "excluded addresses forgotten": rule_mutant(lambda line: replace(line, not_blocks=())),
    "half of the excluded addresses": rule_mutant(lambda line: replace(line, not_blocks=line.not_blocks[1:])),
    "family forgotten": rule_mutant(lambda line: replace(line, family=0)),
    "the other family": rule_mutant(lambda line: replace(line, family=10 - line.family) if line.family else line),
    "a group that misses a member": missing_member,
    "a group with a stranger": member_too_many,
    "a workload with another's profile": anothers_profile,
    "deny turned allow": act(Action.DENY, Action.ALLOW),
    "reject turned deny": act(Action.REJECT, Action.DENY),
    "allow turned deny": act(Action.ALLOW, Action.DENY),
    "pass turned allow": act(Action.PASS, Action.ALLOW),
    "tier order swapped": tier_order,
    "rule order swapped": tiers_mutant(lambda tier: replace(tier, rules=tier.rules[::-1])),
    "a tier forgotten": tiers_mutant(lambda tier: tier if tier.default is not None else None),
    "isolation missing": tiers_mutant(lambda tier: replace(tier, default=None)),
    "isolation under another policy's name": tiers_mutant(
        lambda tier: replace(tier, default=replace(tier.default, origin="nobody")) if tier.default else tier
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_compiler_mutant_is_caught(name: str) -> None:
    mutants = ((case, MUTANTS[name](case.compiled, Random(seed))) for seed, case in zip(SEEDS, worlds(), strict=True))
    changed = [(case, mutant) for case, mutant in mutants if mutant != case.compiled]
    assert changed, "no world has what this mutant changes"
    assert any(True for case, mutant in changed for _ in disagreements(case, desired_state(case.placed, mutant)))


def each_written(change: Callable[[Rule], Rule]) -> ModelMutant:
    """A compiler that reads every rule of a tier otherwise than it is written."""

    def mutate(model: Model) -> Model:
        policies = [replace(policy, rules=tuple(map(change, policy.rules))) for policy in model.policies]
        return replace(model, policies=tuple(policies))

    return mutate


def each_group(change: Callable[[Group], Group]) -> ModelMutant:
    """A compiler that reads every Group otherwise than it is written."""
    return lambda model: replace(model, groups=tuple(map(change, model.groups)))


def baseline_as_admin(model: Model) -> Model:
    """The last tier read as one before NetworkPolicy."""
    return replace(
        model, policies=tuple(replace(p, tier=ADMIN if p.tier == BASELINE else p.tier) for p in model.policies)
    )


MODEL_MUTANTS: dict[str, ModelMutant] = {
    "the exclusion list forgotten": lambda model: replace(model, exclusions=()),
    "own side forgotten": each_written(lambda rule: replace(rule, own=())),
    "own side never turned round": each_written(lambda rule: replace(rule, own_excluded=False)),
    "peers never turned round": each_written(lambda rule: replace(rule, peers_excluded=False)),
    "applied-to of rules forgotten": each_written(lambda rule: replace(rule, applies_to=())),
    "a rule for nothing is one for everything": each_written(lambda rule: replace(rule, nothing=False)),
    "labels forgotten": each_written(lambda rule: replace(rule, label="")),
    "groups without the groups within": each_group(lambda group: replace(group, within=())),
    "groups without addresses": each_group(lambda group: replace(group, blocks=())),
    "groups without members": each_group(lambda group: replace(group, members=None)),
    "baseline before NetworkPolicy": baseline_as_admin,
    "no policy stateless": lambda model: replace(
        model, policies=tuple(replace(policy, stateless=False) for policy in model.policies)
    ),
    "every policy stateless": lambda model: replace(
        model, policies=tuple(replace(policy, stateless=True) for policy in model.policies)
    ),
}


@pytest.mark.parametrize("name", MODEL_MUTANTS)
def test_misreading_compiler_is_caught(name: str) -> None:
    misread = ((case, replace(case.placed, model=MODEL_MUTANTS[name](case.placed.model))) for case in worlds())
    compiled = ((case, compile_policy(placed)) for case, placed in misread if placed != case.placed)
    changed = [(case, mutant) for case, mutant in compiled if mutant != case.compiled]
    assert changed, "no world has what this mutant misreads"
    assert any(differs_somewhere(case, desired_state(case.placed, mutant)) for case, mutant in changed)


def differs_somewhere(case: World, plan: Plan) -> bool:
    """Whether the plan differs from the oracle; asked about more flows, for few worlds have what is misread."""
    oracle, tracer = Oracle(case.placed), Tracer(plan)
    return any(
        tuple(trace.answer for trace in tracer.trace(flow)) != oracle.evaluate(flow)
        for flow in some_flows(case.placed, Random(0), FLOWS * 20)
    )


def without_family(family: int) -> PlanMutant:
    def mutate(firewall: Firewall) -> Firewall:
        chains = [
            replace(chain, rules=tuple(rule for rule in chain.rules if rule.family != family))
            for chain in firewall.chains
        ]
        return replace(firewall, chains=tuple(chains))

    return mutate


def each_rule(change: Callable[[FirewallRule], FirewallRule]) -> PlanMutant:
    def mutate(firewall: Firewall) -> Firewall:
        chains = [replace(chain, rules=tuple(map(change, chain.rules))) for chain in firewall.chains]
        return replace(firewall, chains=tuple(chains))

    return mutate


def without_plain_families(firewall: Firewall) -> Firewall:
    """Everybody but members of the other family became nobody: lines that only ask for a family are gone."""
    plain = [
        replace(
            chain,
            rules=tuple(r for r in chain.rules if not r.family or r.set or r.block or r.not_set or r.not_blocks),
        )
        for chain in firewall.chains
    ]
    return replace(firewall, chains=tuple(plain))


PLAN_MUTANTS: dict[str, PlanMutant] = {
    "IPv4 only": without_family(6),
    "IPv6 only": without_family(4),
    "a rule about nobody becomes one about anybody": each_rule(lambda rule: replace(rule, set="")),
    "excluded members forgotten": each_rule(lambda rule: replace(rule, not_set="")),
    "excluded members are the peers": each_rule(
        lambda rule: replace(rule, set=rule.not_set, not_set="") if rule.not_set else rule
    ),
    "excluded addresses forgotten": each_rule(lambda rule: replace(rule, not_blocks=())),
    "a negated match where a family has no members": without_plain_families,
    "sets of another zone": lambda f: replace(
        f, sets=tuple(replace(s, elements=tuple((zone + 1, a) for zone, a in s.elements)) for s in f.sets)
    ),
    "ingress judged by egress profiles": lambda f: replace(f, ingress=f.egress),
    "stateless rules that remember": each_rule(lambda rule: replace(rule, stateless=False)),
    "an empty dispatch": lambda f: replace(f, ingress=()),
    "tiers jumped to in reverse": lambda f: replace(
        f, profiles=tuple(replace(profile, tiers=profile.tiers[::-1]) for profile in f.profiles)
    ),
}


@pytest.mark.parametrize("name", PLAN_MUTANTS)
def test_firewall_mutant_is_caught(name: str) -> None:
    assert any(
        True
        for case in worlds()
        for _ in disagreements(case, broken(desired_state(case.placed, case.compiled), PLAN_MUTANTS[name]))
    )


def broken(plan: Plan, mutate: PlanMutant) -> Plan:
    """The plan with the firewall of every Host changed."""
    return {
        name: replace(state, firewall=mutate(state.firewall)) if state.firewall else state
        for name, state in plan.items()
    }
