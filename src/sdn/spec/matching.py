"""Kubernetes' selectors against labels, for what has to be known while files are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sdn.model import NODE_NAME, LabelSelector, NodeOperator, NodeRequirement, NodeTerm, Operator


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """NotIn and DoesNotExist also match where the key is absent."""
    for requirement in selector.expressions:
        value = labels.get(requirement.key)
        holds = {
            Operator.IN: value is not None and value in requirement.values,
            Operator.NOT_IN: value is None or value not in requirement.values,
            Operator.EXISTS: value is not None,
            Operator.DOES_NOT_EXIST: value is None,
        }
        if not holds[requirement.operator]:
            return False
    return all(labels.get(key) == value for key, value in selector.labels)


def admits(terms: Sequence[NodeTerm], name: str, labels: Mapping[str, str]) -> bool:
    """Whether one of the terms matches a Host or node; no terms admit each, a term without requirements none."""
    known = {**labels, NODE_NAME: name}
    return not terms or any(
        term.requirements and all(_holds(one, known.get(one.key)) for one in term.requirements) for term in terms
    )


def _holds(one: NodeRequirement, value: str | None) -> bool:
    if one.operator in (NodeOperator.GT, NodeOperator.LT):
        try:
            have, limit = int(value or ""), int(one.values[0])
        except ValueError:
            return False
        return have > limit if one.operator is NodeOperator.GT else have < limit
    if one.operator is NodeOperator.IN:
        return value is not None and value in one.values
    if one.operator is NodeOperator.NOT_IN:
        return value is None or value not in one.values
    return (value is not None) == (one.operator is NodeOperator.EXISTS)
