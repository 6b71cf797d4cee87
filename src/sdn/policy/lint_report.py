"""All that `sdn lint` says of a lab's policies: what does nothing, what never decides, what it costs, what is open.

Findings, never errors: each of them is legal, and each has surprised somebody.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from msgspec import Struct

from sdn.model import (
    ADMIN,
    BASELINE,
    NETWORK_POLICY,
    TIERS,
    Action,
    Direction,
    LabelSelector,
    Model,
    NetworkPolicyRule,
    Peer,
    Placed,
    Policy,
    PortRange,
    Selector,
    Workload,
    rule_origin,
)
from sdn.policy.compiled import CompiledPolicy
from sdn.policy.lint import warnings
from sdn.policy.lint_rules import Use, useless_rules
from sdn.policy.oracle_match import policy_selects
from sdn.policy.oracle_members import Members
from sdn.policy.reach import Reach, families_of
from sdn.policy.reach_reasons import verdict

SENSITIVITY = "sensitivity"
"""The label that says how far a workload must be kept from others; any value counts as sensitive."""

MANY = 50
"""From so many endpoints on, a policy for everybody is worth its figures."""

_ORIGIN = re.compile(r"(?P<direction>\S+) (?P<tier>\S+) (?P<policy>.+)\[(?P<rule>[^\]]*)\]$")
_PLACE = re.compile(r"^(?P<place>\S+:\d+(?::\d+)?): (?P<text>.*)$")

_SENTENCES = {
    Use.CONTRADICTED: "never decides: whatever it matches is decided otherwise by {by}",
    Use.SHADOWED: "never decides: whatever it matches is decided already by {by}",
    Use.REDUNDANT: "changes nothing: without it the same would be decided",
}


class Finding(Struct, frozen=True, order=True):
    """`check` is the kind, for filters; `at` is file:line where that is known; `text` names the object first."""

    check: str
    at: str
    text: str


def lint(placed: Placed, compiled: CompiledPolicy, where: Mapping[str, str]) -> list[Finding]:
    """All findings, by place and then by text."""
    found = [
        *_nothing(placed, where),
        *_rules(placed, compiled, where),
        *_equal_priorities(placed, where),
        *_everywhere(placed, compiled, where),
        *_isolating_nothing(placed, where),
        *_nobody_listens(placed, where),
        *_exposed(placed, compiled, where),
    ]
    return sorted(set(found), key=_order)


def _order(finding: Finding) -> tuple[bool, str, int, str]:
    """By file and line; what has no place comes last."""
    file, _, line = finding.at.rpartition(":")
    return finding.at == "", file, int(line) if line.isdigit() else 0, finding.text


def _nothing(placed: Placed, where: Mapping[str, str]) -> Iterator[Finding]:
    for sentence in warnings(placed.model, where):
        match = _PLACE.match(sentence)
        yield Finding("nobody", match["place"] if match else "", match["text"] if match else sentence)


def _rules(placed: Placed, compiled: CompiledPolicy, where: Mapping[str, str]) -> Iterator[Finding]:
    """One finding for both halves of a rule of NSX, which are two rules of one label here."""
    if not compiled.profiles:
        return
    halves: dict[tuple[Use, str, str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    last_words = _last_words(placed.model)
    for finding in useless_rules(Reach(placed, compiled, families_of(placed.model))):
        match = _ORIGIN.match(finding.origin)
        if match is None or (finding.use is Use.REDUNDANT and finding.origin in last_words):
            continue
        direction, tier = match["direction"], match["tier"]
        is_kubernetes = tier == NETWORK_POLICY  # whose rules are numbered per direction
        use = Use.REDUNDANT if is_kubernetes else finding.use
        by = tuple(origin.removeprefix(f"{direction} ") for origin in finding.by)
        name = f"{tier} {match['policy']}[{match['rule']}]"
        key = use, _at(tier, match["policy"], where), f"{direction} {name}" if is_kubernetes else name, name, by
        halves[key].append(direction)
    for (use, at, _, name, by), directions in halves.items():
        first = ", ".join(by[:3]) + (f" and {len(by) - 3} more" if len(by) > 3 else "")
        text = f"{' and '.join(sorted(directions))} {name} {_SENTENCES[use].format(by=first)}"
        yield Finding(use, at, text)


def _last_words(model: Model) -> set[str]:
    """The last rule of each tier where it is for everything: it says on purpose what happens otherwise."""
    found = set()
    for tier in TIERS:
        policies = sorted((p for p in model.policies if p.tier == tier), key=lambda p: (p.priority, p.name))
        for direction in Direction:
            rules = [(policy.name, i, r) for policy in policies for i, r in enumerate(policy.rules)]
            own = [one for one in rules if one[2].direction is direction]
            if own and not (own[-1][2].peers or own[-1][2].ports or own[-1][2].own or own[-1][2].nothing):
                name, index, rule = own[-1]
                found.add(rule_origin(direction, tier, name, rule.label or index))
    return found


def _at(tier: str, policy: str, where: Mapping[str, str]) -> str:
    return where.get(f"NetworkPolicy {policy}" if tier == NETWORK_POLICY else f"policy {policy}", "")


def _equal_priorities(placed: Placed, where: Mapping[str, str]) -> Iterator[Finding]:
    """Kubernetes and NSX leave the order of two such objects undefined; ours is by name."""
    same: dict[tuple[str, int], list[Policy]] = defaultdict(list)
    for policy in placed.model.policies:
        if policy.tier in (ADMIN, BASELINE):
            same[policy.tier, policy.priority].append(policy)
    for (tier, priority), policies in same.items():
        first, *others = sorted(policies, key=lambda policy: policy.name)
        for other in others:
            text = f"policy {other.name} has priority {priority} in tier {tier}, like {first.name}: no order is defined"
            yield Finding("equal-priority", where.get(f"policy {other.name}", ""), text)
    for policy in placed.model.policies:
        at = where.get(f"policy {policy.name}", "")
        if policy.tied:
            text = f"policy {policy.name} has the sequence number of policy {policy.tied}: no order is defined"
            yield Finding("equal-priority", at, text)
        for label, tied in dict.fromkeys((rule.label, rule.tied) for rule in policy.rules if rule.tied):
            text = f"rule {label} of policy {policy.name} has the sequence number of rule {tied}: no order is defined"
            yield Finding("equal-priority", at, text)


def _everywhere(placed: Placed, compiled: CompiledPolicy, where: Mapping[str, str]) -> Iterator[Finding]:
    """Applied-to left open: each of its rules sits on every endpoint of every Host."""
    endpoints = len(placed.endpoints)
    if endpoints < MANY:
        return
    users = Counter([*compiled.egress.values(), *compiled.ingress.values()])
    hosts = len({endpoint.host for endpoint in placed.endpoints.values()})
    for policy in placed.model.policies:
        open_rules = [r for r in policy.rules if not (policy.applies_to or r.applies_to or r.own)]
        if policy.tier not in TIERS[:-1] or not open_rules:
            continue
        lines = sum(
            users[profile.id] * sum(_of(policy, line.origin) for tier in profile.tiers for line in tier.rules)
            for profile in compiled.profiles.values()
        )
        text = (
            f"policy {policy.name} is for everybody: {lines:,} rules on {endpoints:,} endpoints, "
            f"about {lines // hosts:,} per Host; `applies_to` would put them where they matter"
        )
        yield Finding("applies-to-everybody", where.get(f"policy {policy.name}", ""), text)


def _of(policy: Policy, origin: str) -> bool:
    return f" {policy.tier} {policy.name}[" in origin


def _isolating_nothing(placed: Placed, where: Mapping[str, str]) -> Iterator[Finding]:
    for policy in placed.model.network_policies:
        for direction in policy.directions:
            rules = policy.ingress if direction is Direction.INGRESS else policy.egress
            if NetworkPolicyRule() in rules:
                key = f"{policy.namespace}/{policy.name}"
                text = f"NetworkPolicy {key} leaves {direction} open: it allows everybody on every port"
                yield Finding("isolates-nothing", where.get(f"NetworkPolicy {key}", ""), text)


def _nobody_listens(placed: Placed, where: Mapping[str, str]) -> Iterator[Finding]:
    """Numbered ports allowed to workloads none of which listens there; port names are another finding."""
    model = placed.model
    workloads = [workload for workload in model.workloads if workload.key in placed.endpoints]
    neighbours: dict[str, list[Workload]] = defaultdict(list)
    for workload in workloads:
        neighbours[workload.namespace].append(workload)
    chosen: dict[tuple[str, LabelSelector], list[Workload]] = {}
    for policy in model.network_policies:
        key = policy.namespace, policy.pods
        if key not in chosen:
            chosen[key] = [w for w in neighbours[policy.namespace] if policy_selects(policy, w)]
        selected = chosen[key]
        if selected and Direction.INGRESS in policy.directions:
            name = f"NetworkPolicy {policy.namespace}/{policy.name}"
            for index, one in enumerate(policy.ingress):
                for ports in _silent(one.ports, selected):
                    text = f"ingress {name}[{index}] allows {ports}, where nobody listens"
                    yield Finding("nobody-listens", where.get(name, ""), text)
    # Of an inventory's VMs nobody knows where they listen.
    yield from _silent_tiers(placed, [workload for workload in workloads if workload.ports], where)


def _silent_tiers(placed: Placed, listeners: list[Workload], where: Mapping[str, str]) -> Iterator[Finding]:
    members = Members(placed.model)

    @cache
    def subjects(scope: tuple[Selector, ...], own: tuple[Peer, ...], excluded: bool) -> list[Workload]:
        applied = [w for w in listeners if not scope or any(members.selects(one, w) for one in scope)]
        return [w for w in applied if not own or _is_one(members, own, w, placed) is not excluded]

    for policy in placed.model.policies:
        for index, rule in enumerate(policy.rules):
            if rule.action is Action.ALLOW and rule.direction is Direction.INGRESS:
                found = subjects(policy.applies_to or rule.applies_to, rule.own, rule.own_excluded)
                origin = rule_origin(rule.direction, policy.tier, policy.name, rule.label or index)
                for ports in _silent(rule.ports, found) if found else ():
                    text = f"{origin} allows {ports}, where nobody listens"
                    yield Finding("nobody-listens", where.get(f"policy {policy.name}", ""), text)


def _is_one(members: Members, own: tuple[Peer, ...], workload: Workload, placed: Placed) -> bool:
    addresses = placed.endpoints[workload.key].addresses
    return any(members.is_peer(peer, workload, address) for peer in own for address in addresses)


def _silent(ports: Iterable[PortRange], workloads: Iterable[Workload]) -> Iterator[str]:
    """Those of some ports on which none of the workloads listens."""
    listening = {(port.protocol, port.number) for workload in workloads for port in workload.ports}
    for port in ports:
        if isinstance(port.port, int):
            last = port.end or port.port
            if not any(protocol is port.protocol and port.port <= n <= last for protocol, n in listening):
                yield f"{port.port}{f'-{last}' if last != port.port else ''}/{port.protocol}"


def _exposed(placed: Placed, compiled: CompiledPolicy, where: Mapping[str, str]) -> Iterator[Finding]:
    """Sensitive workloads that policy lets the outside reach: one for all of an owner that the same rule opens."""
    sensitive = [w for w in placed.model.workloads if SENSITIVITY in w.labels and w.key in placed.endpoints]
    if not sensitive:
        return
    reach = Reach(placed, compiled, families_of(placed.model))
    opener = cache(lambda number: _opener(reach, number))
    found: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for one in sensitive:
        if rule := opener(reach.classes.of(one.key)):
            found[one.namespace, one.owner[1] or one.name, one.labels[SENSITIVITY], rule].append(one.key)
    for (_, _, level, rule), keys in found.items():
        first, *others = sorted(keys)
        more = f" and {len(others):,} more of its owner" if others else ""
        text = f"workload {first}{more} (sensitivity {level}) may be reached from outside: {rule}"
        yield Finding("sensitive-exposed", where.get(f"workload {first}", ""), text)


def _opener(reach: Reach, number: int) -> str:
    """A rule that lets somebody outside reach a class of workloads; empty where none does."""
    for part in reach.outside:
        if services := reach.inwards(part, number):
            return verdict(reach, part.position, number, part.family, services & -services).rule
    return ""
