"""Names for priorities, which workloads may use instead of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """Kubernetes' PriorityClass; `default` is for workloads that name none."""

    value: int
    preempts: bool = True
    default: bool = False


SYSTEM = {
    "system-cluster-critical": PriorityClass(2_000_000_000),
    "system-node-critical": PriorityClass(2_000_001_000),
}
"""What every cluster has (pkg/apis/scheduling/types.go)."""

NONE = PriorityClass(0)


def default_of(classes: Mapping[str, PriorityClass]) -> PriorityClass:
    """Of workloads that name none: of several defaults the lowest, as in Kubernetes."""
    return min((one for one in classes.values() if one.default), key=lambda one: one.value, default=NONE)
