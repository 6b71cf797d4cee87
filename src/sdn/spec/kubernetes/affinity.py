"""Affinity and topology spread as the model's, with the API server's refusals.

Sources: pkg/apis/core/validation/validation.go, and matchLabelKeys as kube-apiserver merges them into the selector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sdn.model import (
    NODE_NAME,
    Affinity,
    LabelSelector,
    NodeOperator,
    NodeRequirement,
    NodeTerm,
    Operator,
    PodTerm,
    Requirement,
    TopologySpread,
    Weighted,
)
from sdn.spec.kubernetes import schema_affinity as written
from sdn.spec.kubernetes import schema_selectors
from sdn.spec.kubernetes.names import host_name
from sdn.spec.kubernetes.policies import known_operator, label_selector
from sdn.spec.mistakes import Site, dotted, nearest

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_TERM = "podAffinityTerm"
_WHEN = {"DoNotSchedule": True, "ScheduleAnyway": False}

Labels = Mapping[str, str]


def affinity(form: written.Affinity | None, labels: Labels, site: Site) -> Affinity | None:
    """None where nothing is asked. `labels` are the workload's own, for matchLabelKeys; mistakes go to `site`."""
    if form is None:
        return None
    nodes, node_wishes = _nodes(form.node_affinity, site)
    near, wishes = _pods(form.pod_affinity, labels, site, "podAffinity")
    apart, apart_wishes = _pods(form.pod_anti_affinity, labels, site, "podAntiAffinity")
    found = Affinity(nodes, near, apart, node_wishes + wishes, apart_wishes)
    return found if found != Affinity() else None


def _nodes(form: written.NodeAffinity | None, site: Site) -> tuple[tuple[NodeTerm, ...], tuple[Weighted, ...]]:
    """The terms of which one must hold, and the wishes."""
    if form is None:
        return (), ()
    site = site.at("nodeAffinity")
    required = form.required_during_scheduling_ignored_during_execution
    terms = node_terms(required, site.at(_REQUIRED)) if required else ()
    preferred = form.preferred_during_scheduling_ignored_during_execution
    return terms, tuple(
        Weighted(one.weight, node=_node_term(one.preference, site.at(_PREFERRED, index, "preference")))
        for index, one in enumerate(preferred)
    )


def node_terms(form: written.NodeSelector, site: Site) -> tuple[NodeTerm, ...]:
    """Of which one must hold."""
    terms = enumerate(form.node_selector_terms)
    return tuple(_node_term(term, site.at("nodeSelectorTerms", index)) for index, term in terms)


def _node_term(form: written.NodeTerm, site: Site) -> NodeTerm:
    found = [
        _node_requirement(one, site.at("matchExpressions", index)) for index, one in enumerate(form.match_expressions)
    ]
    found += [_field_requirement(one, site.at("matchFields", index)) for index, one in enumerate(form.match_fields)]
    return NodeTerm(tuple(found))


def _field_requirement(form: written.NodeRequirement, site: Site) -> NodeRequirement:
    """On the name, which is the only field there is, and takes one value."""
    if form.key != NODE_NAME:
        site.at("key").report(f'"{form.key}" is no field of a node that can be asked for; write {NODE_NAME}')
    elif form.operator not in ("In", "NotIn") or len(form.values) != 1:
        site.report(f"{NODE_NAME} takes In or NotIn and one value; correct it")
        return NodeRequirement(NODE_NAME, NodeOperator.EXISTS)
    found = _node_requirement(form, site)
    return NodeRequirement(found.key, found.operator, tuple(host_name(name) for name in found.values))


def _node_requirement(form: written.NodeRequirement, site: Site) -> NodeRequirement:
    operator = known_operator(form.operator, form.values, NodeOperator, site)
    if operator is None:
        return NodeRequirement(form.key, NodeOperator.EXISTS)
    if operator in (NodeOperator.GT, NodeOperator.LT) and not (len(form.values) == 1 and _is_whole(form.values[0])):
        site.at("values").report(f'{operator} takes one whole number as text; write ["8"]')
    return NodeRequirement(form.key, operator, tuple(form.values))


def _is_whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit()


def _pods(
    form: written.PodAffinity | None, labels: Labels, site: Site, word: str
) -> tuple[tuple[PodTerm, ...], tuple[Weighted, ...]]:
    """The terms that must hold, and the wishes."""
    if form is None:
        return (), ()
    site = site.at(word)
    required = form.required_during_scheduling_ignored_during_execution
    preferred = form.preferred_during_scheduling_ignored_during_execution
    return (
        tuple(_pod_term(one, labels, site.at(_REQUIRED, index)) for index, one in enumerate(required)),
        tuple(
            Weighted(
                one.weight, pods=_pod_term(one.pod_affinity_term, labels, site.at(_PREFERRED, i, "podAffinityTerm"))
            )
            for i, one in enumerate(preferred)
        ),
    )


def _pod_term(form: written.PodTerm, labels: Labels, site: Site) -> PodTerm:
    selector, namespaces = form.label_selector, form.namespace_selector
    asked = _own(form.match_label_keys, labels, Operator.IN) + _own(form.mismatch_label_keys, labels, Operator.NOT_IN)
    return PodTerm(
        topology=form.topology_key,
        selector=_with(selector, asked, site.at("labelSelector")),
        namespaces=tuple(sorted(set(form.namespaces))),
        namespace_labels=None if namespaces is None else label_selector(namespaces, site.at("namespaceSelector")),
    )


def _own(keys: Iterable[str], labels: Labels, operator: Operator) -> tuple[Requirement, ...]:
    """Conditions on the workload's own values; a key that it does not have is left out."""
    return tuple(Requirement(key, operator, (labels[key],)) for key in keys if key in labels)


def _with(
    form: schema_selectors.LabelSelector | None, more: tuple[Requirement, ...], site: Site
) -> LabelSelector | None:
    if form is None:
        return None
    selector = label_selector(form, site)
    return LabelSelector(selector.labels, selector.expressions + more)


def topology_spread(
    forms: Sequence[written.TopologySpread], labels: Labels, site: Site, warnings: list[str]
) -> tuple[TopologySpread, ...]:
    """In the order written; mistakes go to `site`."""
    return tuple(_spread(one, labels, site.at(index), warnings) for index, one in enumerate(forms))


def _spread(form: written.TopologySpread, labels: Labels, site: Site, warnings: list[str]) -> TopologySpread:
    if form.when_unsatisfiable not in _WHEN:
        hint = nearest(form.when_unsatisfiable, _WHEN)
        text = f'"{form.when_unsatisfiable}" does not exist (there are: {", ".join(_WHEN)}){hint}'
        site.at("whenUnsatisfiable").report(text)
    required = _WHEN.get(form.when_unsatisfiable, True)
    if form.min_domains is not None and not required:
        site.at("minDomains").report("counts for DoNotSchedule only; remove it, or change whenUnsatisfiable")
    for key, usual in (("nodeAffinityPolicy", "Honor"), ("nodeTaintsPolicy", "Ignore")):
        value = form.node_affinity_policy if usual == "Honor" else form.node_taints_policy
        if value != usual:
            warnings.append(f"{_at(site.at(key))}: {value} is not used here, {usual} is")
    if form.label_selector is None:
        warnings.append(f"{_at(site)}: has no labelSelector and counts nobody; add one")
    selector = _with(form.label_selector, _own(form.match_label_keys, labels, Operator.IN), site.at("labelSelector"))
    return TopologySpread(form.topology_key, form.max_skew, selector, required, form.min_domains or 1)


def _at(site: Site) -> str:
    """How a warning begins: `file:line: title: path`."""
    return ": ".join(part for part in (site.line, site.title, dotted(site.steps)) if part)
