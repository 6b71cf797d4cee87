"""Whom a selector means: label selectors as Kubernetes reads them, and the lab's own selectors with their groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from sdn.model import (
    AllOf,
    AnyOf,
    Expression,
    Group,
    InGroup,
    LabelSelector,
    Namespace,
    NodeOperator,
    NodeRequirement,
    NodeTerm,
    Operator,
    Selector,
    Where,
    Workload,
)
from sdn.model.scheduling import NODE_NAME

NAMESPACE_NAME = "kubernetes.io/metadata.name"


def labels_match(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """All of the selector must hold; an empty one matches everything."""
    return all(labels.get(key) == value for key, value in selector.labels) and all(
        _holds(requirement.operator, requirement.values, labels.get(requirement.key))
        for requirement in selector.expressions
    )


def node_matches(term: NodeTerm, labels: Mapping[str, str], name: str) -> bool:
    """A term without requirements matches nothing."""
    return bool(term.requirements) and all(node_holds(each, labels, name) for each in term.requirements)


def node_holds(requirement: NodeRequirement, labels: Mapping[str, str], name: str) -> bool:
    """One condition on a Host or node of that name."""
    value = name if requirement.key == NODE_NAME else labels.get(requirement.key)
    if requirement.operator in (NodeOperator.GT, NodeOperator.LT):
        return _compares(requirement, value)
    return _holds(requirement.operator, requirement.values, value)


def _holds(operator: Operator | NodeOperator, values: Collection[str], value: str | None) -> bool:
    """One condition on the value of a label, None where it is absent; both kinds of operators are written alike."""
    text: str = operator
    match text:
        case Operator.IN:
            return value is not None and value in values
        case Operator.NOT_IN:
            return value is None or value not in values
        case Operator.EXISTS:
            return value is not None
        case _:
            assert text == Operator.DOES_NOT_EXIST
            return value is None


def _compares(requirement: NodeRequirement, value: str | None) -> bool:
    try:
        left, right = int(value or ""), int(requirement.values[0])
    except (ValueError, IndexError):
        return False
    return left > right if requirement.operator is NodeOperator.GT else left < right


class Selection:
    """Answers for one lab: its namespaces' labels and its groups."""

    def __init__(self, namespaces: tuple[Namespace, ...], groups: tuple[Group, ...]) -> None:
        self._labels = {each.name: each.labels for each in namespaces}
        self._groups = {each.name: each for each in groups}

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Every namespace has its own name as a label, also one that nobody describes."""
        return self._labels.get(name) or {NAMESPACE_NAME: name}

    def matches(self, selector: Selector, workload: Workload) -> bool:
        """Every field that is set must match."""
        w, s = workload, selector
        return (
            (not s.keys or w.key in s.keys)
            and (s.kind is None or w.kind is s.kind)
            and (not s.namespaces or w.namespace in s.namespaces)
            and (not s.applications or w.application in s.applications)
            and (not s.segments or w.segment in s.segments)
            and (not s.name or fnmatchcase(w.name, s.name))
            and (s.labels is None or labels_match(s.labels, w.labels))
            and (s.namespace_labels is None or labels_match(s.namespace_labels, self.namespace_labels(w.namespace)))
            and (not s.groups or any(self._in_group(name, w) for name in s.groups))
        )

    def _in_group(self, name: str, workload: Workload) -> bool:
        group = self._groups.get(name)
        if group is None:
            return False
        return (group.members is not None and self._in(group.members, workload)) or any(
            self._in_group(inner, workload) for inner in group.within
        )

    def _in(self, expression: Expression, workload: Workload) -> bool:
        match expression:
            case Where(selector):
                return self.matches(selector, workload)
            case InGroup(name):
                return self._in_group(name, workload)
            case AllOf(parts):
                return all(self._in(part, workload) for part in parts)
            case AnyOf(parts):
                return any(self._in(part, workload) for part in parts)
