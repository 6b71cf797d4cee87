"""The policies of a lab file: our own tiers, and Kubernetes NetworkPolicies written inline."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sdn.errors import Problem
from sdn.model import (
    Action,
    Direction,
    Kind,
    LabelSelector,
    NetworkPolicy,
    Operator,
    Peer,
    Policy,
    Requirement,
    Rule,
    Selector,
)
from sdn.spec.kubernetes import schema
from sdn.spec.kubernetes.objects import Object
from sdn.spec.kubernetes.policies import network_policy
from sdn.spec.labfile.complaints import Complaints, Path, suggest
from sdn.spec.labfile.forms import LabForm, PeerForm, RequirementForm, RuleForm, SelectorForm, TierPolicyForm
from sdn.spec.labfile.text import ip_block
from sdn.spec.mistakes import Site, validate
from sdn.spec.source import Document

T = TypeVar("T")
FLAT = frozenset({"cluster", "pods"})
"""The application and the segment of Kubernetes manifests: legal names, for a lab may be loaded beside some."""


@dataclass(frozen=True, slots=True)
class Known:
    """What selectors may name; a misspelt name would select nobody, silently."""

    applications: Collection[str]
    segments: Collection[str]


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
    return Policy(
        name=form.name,
        tier=form.tier,
        rules=tuple(_rule(one, (*path, "rules", index), known, complaints) for index, one in enumerate(form.rules)),
        applies_to=_alternatives(
            _selector(one, (*path, "applies_to", index), known, complaints)
            for index, one in enumerate(form.applies_to or ())
        ),
        priority=form.priority,
    )


def _rule(form: RuleForm, path: Path, known: Known, complaints: Complaints) -> Rule:
    ours, other = ("from", "to") if form.direction == "ingress" else ("to", "from")
    written = {"from": form.sources, "to": form.destinations}
    if written[other] is not None:
        message = f"{form.direction} rules have `{ours}`, not `{other}`; rename it or change the direction"
        complaints.at((*path, other), message, key=True)
    return Rule(
        action=Action(form.action),
        direction=Direction(form.direction),
        peers=_alternatives(
            _peer(one, (*path, ours, index), known, complaints) for index, one in enumerate(written[ours] or ())
        ),
        ports=_alternatives(form.ports or ()),
    )


def _alternatives(items: Iterable[T]) -> tuple[T, ...]:
    """In one canonical order: how they were written means nothing and must not matter."""
    return tuple(sorted(items, key=repr))


def _peer(form: PeerForm, path: Path, known: Known, complaints: Complaints) -> Peer:
    if form.address is None:
        if form.excepts is not None:
            complaints.at((*path, "except"), "needs an `address` to be excepted from; add one", key=True)
            return Peer(selector=Selector())
        return Peer(selector=_selector(form, path, known, complaints))
    beside = [name for name in SelectorForm.model_fields if getattr(form, name) is not None]
    if beside:
        complaints.at(path, f"has `address` beside `{beside[0]}`; write two peers, for either may match")
    try:
        return Peer(ip_block=ip_block(form.address, form.excepts or []))
    except ValueError as error:
        complaints.at((*path, "except"), str(error))
        return Peer(ip_block=ip_block(form.address, []))


def _selector(form: SelectorForm, path: Path, known: Known, complaints: Complaints) -> Selector:
    if all(getattr(form, name) is None for name in SelectorForm.model_fields):
        fields = [*SelectorForm.model_fields] + (["address"] if isinstance(form, PeerForm) else [])
        complaints.at(path, f"names nobody; give one of {', '.join(fields)}, or leave the list out for anybody")
    for what, legal in (("applications", known.applications), ("segments", known.segments)):
        for index, name in enumerate(getattr(form, what) or ()):
            if name not in legal:
                message = f'{what.removesuffix("s")} "{name}" is not defined{suggest(name, set(legal) - FLAT)}'
                complaints.at((*path, what, index), message)
    return Selector(
        labels=_labels(form, path, complaints),
        namespace_labels=None if form.namespace_labels is None else LabelSelector(_pairs(form.namespace_labels)),
        namespaces=tuple(sorted(set(form.namespaces or ()))),
        applications=tuple(sorted(set(form.applications or ()))),
        segments=tuple(sorted(set(form.segments or ()))),
        kind=None if form.kind is None else Kind(form.kind),
        name=form.name or "",
    )


def _pairs(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _labels(form: SelectorForm, path: Path, complaints: Complaints) -> LabelSelector | None:
    if form.labels is None and form.expressions is None:
        return None
    expressions = [
        _requirement(one, (*path, "expressions", index), complaints) for index, one in enumerate(form.expressions or ())
    ]
    return LabelSelector(_pairs(form.labels or {}), _alternatives(expressions))


def _requirement(form: RequirementForm, path: Path, complaints: Complaints) -> Requirement:
    takes_values = form.operator in ("In", "NotIn")
    if takes_values and not form.values:
        complaints.at(path, f"{form.operator} needs values; add `values` or use Exists or DoesNotExist")
    if not takes_values and form.values:
        complaints.at((*path, "values"), f"{form.operator} takes no values; remove them or use In or NotIn")
    return Requirement(form.key, Operator(form.operator), tuple(sorted(set(form.values))))


@dataclass
class Inline:
    """The NetworkPolicies of a lab file, read by the same code as those of a manifest."""

    policies: list[NetworkPolicy] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    where: dict[str, str] = field(default_factory=dict)


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
        result.where[f"NetworkPolicy {meta.namespace}/{meta.name}"] = complaints.place(("network_policies", index))
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
