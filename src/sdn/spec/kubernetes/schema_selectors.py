"""Label selectors as they are written; every field is interpreted, and another one is a mistake."""

from __future__ import annotations

from pydantic import Field

from sdn.spec.kubernetes.fields import LabelKey, Labels, LabelValue, Written


class Requirement(Written):
    """One matchExpressions element; which operators want values is checked where it is translated."""

    key: LabelKey
    operator: str
    values: list[LabelValue] = Field(default_factory=list)


class LabelSelector(Written):
    """All of it must hold."""

    match_labels: Labels = Field(default_factory=dict)
    match_expressions: list[Requirement] = Field(default_factory=list)
