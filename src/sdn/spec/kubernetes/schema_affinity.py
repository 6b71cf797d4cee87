"""Where Pods ask to run, as it is written; every field is interpreted, and another one is a mistake.

Source: core/v1 types.go of Kubernetes (Affinity, TopologySpreadConstraint). Lab files write the same under `affinity`
and `topology_spread`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from sdn.spec.kubernetes.fields import LabelKey, Written
from sdn.spec.kubernetes.schema_selectors import LabelSelector


def _weight(value: int) -> int:
    if 1 <= value <= 100:
        return value
    raise ValueError(f"{value} is not a weight; write one from 1 to 100")


def _positive(value: int) -> int:
    if value >= 1:
        return value
    raise ValueError(f"{value} is too small; the least is 1")


Weight = Annotated[int, AfterValidator(_weight)]
Positive = Annotated[int, AfterValidator(_positive)]


class NodeRequirement(Written):
    """One condition on a label, or in matchFields on the name, of a node."""

    key: str
    operator: str
    values: list[str] = Field(default_factory=list)


class NodeTerm(Written):
    """All of it must hold."""

    match_expressions: list[NodeRequirement] = Field(default_factory=list)
    match_fields: list[NodeRequirement] = Field(default_factory=list)


class NodeSelector(Written):
    """One of the terms must hold."""

    node_selector_terms: Annotated[list[NodeTerm], Field(min_length=1)]


class PreferredNode(Written):
    """A wish."""

    weight: Weight
    preference: NodeTerm


class NodeAffinity(Written):
    """Which nodes."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: list[PreferredNode] = Field(default_factory=list)


class PodTerm(Written):
    """Pods in one domain of `topologyKey`; without selector nobody, without namespaces the own one."""

    label_selector: LabelSelector | None = None
    topology_key: LabelKey
    namespaces: list[str] = Field(default_factory=list)
    namespace_selector: LabelSelector | None = None
    match_label_keys: list[LabelKey] = Field(default_factory=list)
    mismatch_label_keys: list[LabelKey] = Field(default_factory=list)


class PreferredPods(Written):
    """A wish."""

    weight: Weight
    pod_affinity_term: PodTerm


class PodAffinity(Written):
    """Beside whom, or apart from whom."""

    required_during_scheduling_ignored_during_execution: list[PodTerm] = Field(default_factory=list)
    preferred_during_scheduling_ignored_during_execution: list[PreferredPods] = Field(default_factory=list)


class Affinity(Written):
    """Kubernetes' own words."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class TopologySpread(Written):
    """One topologySpreadConstraints element."""

    max_skew: Positive = 1
    topology_key: LabelKey
    when_unsatisfiable: str = "DoNotSchedule"
    label_selector: LabelSelector | None = None
    min_domains: Positive | None = None
    match_label_keys: list[LabelKey] = Field(default_factory=list)
    node_affinity_policy: str = "Honor"
    node_taints_policy: str = "Ignore"
