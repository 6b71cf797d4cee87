"""Label selectors as they are written; every field is interpreted, and another one is a mistake."""

# ruff: noqa: RUF012 - pydantic copies mutable defaults for every object

from __future__ import annotations

from sdn.spec.kubernetes.fields import LabelKey, Labels, LabelValue, Written


class Requirement(Written):
    """One matchExpressions element; which operators want values is checked where it is translated."""

    key: LabelKey
    operator: str
    values: list[LabelValue] = []


class LabelSelector(Written):
    """All of it must hold."""

    match_labels: Labels = {}
    match_expressions: list[Requirement] = []
