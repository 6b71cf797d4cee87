"""The policies of a lab file: our own tiers, and Kubernetes NetworkPolicies written inline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdn.errors import Problem
from sdn.model import Action, Direction, NetworkPolicy, Policy, Rule, Selector
from sdn.spec.kubernetes import schema
from sdn.spec.kubernetes.objects import Object
from sdn.spec.kubernetes.policies import network_policy
from sdn.spec.labfile.complaints import Complaints, Path
from sdn.spec.labfile.forms import LabForm
from sdn.spec.labfile.forms_policies import PeerForm, RuleForm, SelectorForm, TierPolicyForm
from sdn.spec.labfile.selectors import Known, alternatives, peers, selector
from sdn.spec.mistakes import Site, validate
from sdn.spec.source import Document


def build(form: LabForm, known: Known, complaints: Complaints) -> list[Policy]:
    """Every tier policy; rules stay in their order, for it decides."""
    first: dict[str, Path] = {}
    result = []
    for index, one in enumerate(form.policies):
        path: Path = ("policies", index)
        if one.name in first:
            place = complaints.place(first[one.name])
            message = f'policy "{one.name}" is also at {place}; rename one of them'
            complaints.at((*path, "name"), message)
        first.setdefault(one.name, path)
        result.append(_policy(one, path, known, complaints))
    return result


def _policy(form: TierPolicyForm, path: Path, known: Known, complaints: Complaints) -> Policy:
    _check_rule_names(form, path, complaints)
    return Policy(
        name=form.name,
        tier=form.tier,
        rules=tuple(_rule(one, form, (*path, "rules", i), known, complaints) for i, one in enumerate(form.rules)),
        applies_to=_subjects(form.applies_to, (*path, "applies_to"), known, complaints),
        priority=form.priority,
        stateless=form.stateless,
    )


def _subjects(
    forms: Sequence[SelectorForm] | None, path: Path, known: Known, complaints: Complaints
) -> tuple[Selector, ...]:
    return alternatives(selector(one, (*path, index), known, complaints) for index, one in enumerate(forms or ()))


def _check_rule_names(form: TierPolicyForm, path: Path, complaints: Complaints) -> None:
    """Two rules of one name could not be told apart in a verdict."""
    seen: dict[tuple[str, str], int] = {}
    for index, one in enumerate(form.rules):
        if one.name is None:
            continue
        earlier = seen.setdefault((one.direction, one.name), index)
        if earlier != index:
            place = complaints.place((*path, "rules", earlier))
            complaints.at((*path, "rules", index, "name"), f'rule "{one.name}" is also at {place}; rename one of them')


def _rule(form: RuleForm, policy: TierPolicyForm, path: Path, known: Known, complaints: Complaints) -> Rule:
    ours, other = ("from", "to") if form.direction == "ingress" else ("to", "from")
    for word in (other, f"not_{other}"):
        if _side(form, word) is not None:
            message = f"{form.direction} rules have `{ours}`, not `{other}`; rename it or change the direction"
            complaints.at((*path, word), message, key=True)
    if form.applies_to is not None and policy.applies_to is not None:
        message = "does not count where the policy has an `applies_to` itself; remove one of them, or write `only_for`"
        complaints.at((*path, "applies_to"), message, key=True)
    side, own = (
        _one_of(form, ours, f"not_{ours}", path, complaints),
        _one_of(form, "only_for", "not_for", path, complaints),
    )
    return Rule(
        action=Action(form.action),
        direction=Direction(form.direction),
        peers=peers(_side(form, side) or (), (*path, side), known, complaints),
        ports=alternatives(form.ports or ()),
        peers_excluded=side.startswith("not_"),
        own=peers(_side(form, own) or (), (*path, own), known, complaints),
        own_excluded=own == "not_for",
        applies_to=_subjects(form.applies_to, (*path, "applies_to"), known, complaints),
        label=form.name or "",
        log=form.log,
    )


def _side(form: RuleForm, word: str) -> list[PeerForm] | None:
    found: list[PeerForm] | None = getattr(form, {"from": "sources", "to": "destinations"}.get(word, word))
    return found


def _one_of(form: RuleForm, word: str, negated: str, path: Path, complaints: Complaints) -> str:
    """Which of two fields was written; both together could be read in two ways."""
    if _side(form, negated) is None:
        return word
    if _side(form, word) is not None:
        complaints.at((*path, negated), f"cannot stand beside `{word}`; write one of them, or two rules", key=True)
    return negated


@dataclass
class Inline:
    """The NetworkPolicies of a lab file, read by the same code as those of a manifest."""

    policies: list[NetworkPolicy] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)  # where each stands in the list


def inline(form: LabForm, document: Document, complaints: Complaints, problems: list[Problem]) -> Inline:
    """Without a namespace, a policy is of the only application that there is."""
    result = Inline()
    only = min(form.applications) if len(form.applications) == 1 else None
    for index, data in enumerate(form.network_policies):
        path = complaints.source(("network_policies", index))
        site = Site(document, path, _title(data), problems)
        filled = _with_namespace(data, only)
        if _is_foreign(data, site):
            continue
        if filled is None:
            names = ", ".join(sorted(form.applications))
            site.at("metadata").report(f'"namespace" is missing; add it (there are: {names})')
            continue
        content = validate(schema.NetworkPolicy, filled, site)
        if content is None:
            continue
        meta = content.metadata
        item = Object("NetworkPolicy", meta.namespace, meta.name, content, filled, site)
        result.policies.append(network_policy(item, result.warnings))
        result.index[f"NetworkPolicy {meta.namespace}/{meta.name}"] = index
    return result


def _title(data: Mapping[str, Any]) -> str:
    meta = data.get("metadata")
    name = meta.get("name") if isinstance(meta, dict) else None
    return f"NetworkPolicy {name}" if isinstance(name, str) else "NetworkPolicy without a name"


def _is_foreign(data: Mapping[str, Any], site: Site) -> bool:
    kind = data.get("kind", "NetworkPolicy")
    if kind != "NetworkPolicy":
        site.at("kind").report(f"{kind} does not belong here; put it in a file of its own and name that in `manifests`")
    return bool(kind != "NetworkPolicy")


def _with_namespace(data: dict[str, Any], namespace: str | None) -> dict[str, Any] | None:
    meta = data.get("metadata")
    if not isinstance(meta, dict) or meta.get("namespace"):
        return data
    return None if namespace is None else {**data, "metadata": {**meta, "namespace": namespace}}
