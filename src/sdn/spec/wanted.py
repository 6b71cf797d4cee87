"""What a generated underlay must have so that what workloads require of it can be had, if anything can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sdn.model import NODE_NAME, NodeOperator, NodeRequirement, NodeTerm, Workload
from sdn.spec.matching import selects

ZONE = "topology.kubernetes.io/zone"
USUAL = {
    f"{prefix}kubernetes.io/{key}": value
    for prefix in ("", "beta.")
    for key, value in (("os", "linux"), ("arch", "amd64"))
}
"""Labels that every node has unless somebody asks for others."""

Wish = tuple[tuple[str, str | None], ...]
"""Labels of a Host that some workload requires, sorted; None is a label that it must not have."""


def wishes(workloads: Iterable[Workload]) -> list[Wish]:
    """Of each workload that requires anything the first that could be had."""
    found: set[Wish] = set()
    for workload in workloads:
        affinity = workload.scheduling.affinity
        terms = affinity.nodes if affinity else ()
        if workload.selector or terms:
            labels = {**_first(terms), **workload.selector}
            found.add(tuple(sorted(labels.items(), key=lambda item: item[0])))
    return sorted(found - {()}, key=repr)


def _first(terms: Sequence[NodeTerm]) -> dict[str, str | None]:
    """Labels that satisfy the first term that speaks of labels only."""
    for term in terms:
        labels: dict[str, str | None] = {}
        if term.requirements and all(_satisfy(one, labels) for one in term.requirements):
            return labels
    return {}


def _satisfy(one: NodeRequirement, labels: dict[str, str | None]) -> bool:
    """Add what the requirement needs; False for names, which a generated Host does not have."""
    usual = USUAL.get(one.key)
    if one.operator is NodeOperator.NOT_IN and (one.key == NODE_NAME or (usual and usual not in one.values)):
        return True
    if one.key == NODE_NAME:
        return False
    if one.operator in (NodeOperator.GT, NodeOperator.LT):
        labels[one.key] = str(int(one.values[0]) + (1 if one.operator is NodeOperator.GT else -1))
    elif one.operator is NodeOperator.IN:
        labels[one.key] = one.values[0]
    elif one.operator is NodeOperator.EXISTS:
        labels[one.key] = usual or ""
    else:
        labels[one.key] = None
    return True


def domains(workloads: Iterable[Workload]) -> dict[str, int]:
    """Topology label → how many different values some workloads require at least."""
    found: dict[str, int] = {}
    alike: Counter[tuple[str, str, object]] = Counter()
    for workload in workloads:
        asked = workload.scheduling
        for spread in asked.spread:
            if spread.required:
                found[spread.topology] = max(found.get(spread.topology, 1), spread.min_domains)
        for term in asked.affinity.near if asked.affinity else ():
            found.setdefault(term.topology, 1)
        for term in asked.affinity.apart if asked.affinity else ():
            found.setdefault(term.topology, 1)
            if term.selector is not None and selects(term.selector, workload.labels):
                alike[workload.namespace, term.topology, term] += 1
    for (_, topology, _), count in alike.items():
        found[topology] = max(found[topology], count)
    return found
