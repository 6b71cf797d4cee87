"""Which targets can take a workload, and for the others the reason, in words that say what to change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sdn.model import Effect, Taint, Toleration, Workload
from sdn.scheduler.target import Target

EVICTING = frozenset({Effect.NO_EXECUTE})
"""Taints that also move away what runs already."""

REPELLING = EVICTING | {Effect.NO_SCHEDULE}
"""Taints that keep away what comes."""


class Reason(NamedTuple):
    """Why a target does not fit, after "1 ..." and after "2 ..."."""

    one: str
    many: str


def tolerates(workload: Workload, taint: Taint) -> bool:
    """Whether any of the workload's tolerations matches."""
    return any(_matches(toleration, taint) for toleration in workload.tolerations)


def _matches(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if not toleration.key:
        return toleration.exists
    return toleration.key == taint.key and (toleration.exists or toleration.value == taint.value)


def mismatch(workload: Workload, target: Target, effects: frozenset[Effect] = REPELLING) -> Reason | None:
    """What lies in labels and taints, which binding does not change; None if nothing speaks against it."""
    for key, value in sorted(workload.selector.items()):
        if target.labels.get(key) != value:
            return Reason(f"lacks label {key}={value}", f"lack label {key}={value}")
    for taint in target.taints:
        if taint.effect in effects and not tolerates(workload, taint):
            text = f"taint {taint.key}{'=' if taint.value else ''}{taint.value}:{taint.effect}"
            return Reason(f"has {text}", f"have {text}")
    return None


def fits(workload: Workload, target: Target) -> bool:
    """Whether enough is free."""
    return workload.cpu <= target.free_cpu and workload.memory <= target.free_memory and target.free_pods > 0


def shortage(workload: Workload, target: Target) -> Reason | None:
    """The first resource that is too little; None if `fits`."""
    if workload.memory > target.free_memory:
        text = f"too little memory (needs {memory_text(workload.memory)})"
        return Reason(text, text)
    if workload.cpu > target.free_cpu:
        text = f"too little CPU (needs {cpu_text(workload.cpu)})"
        return Reason(text, text)
    if target.free_pods <= 0:
        text = f"may not run more than {target.pods} workloads"
        return Reason(text, text)
    return None


def explain(workload: Workload, targets: Sequence[Target]) -> str:
    """`0 of 3 hosts fit: 2 too little memory (needs 4 GiB), 1 has taint gpu=yes:NoSchedule`."""
    what = "nodes" if targets and targets[0].node else "hosts"
    if not targets:
        return "0 of 0 hosts fit: there is neither a Host nor a node; add one to the underlay"
    counts = Counter(mismatch(workload, target) or shortage(workload, target) for target in targets)
    reasons = [(count, reason) for reason, count in counts.items() if reason]
    reasons.sort(key=lambda item: (-item[0], item[1]))
    text = ", ".join(f"{count} {reason.one if count == 1 else reason.many}" for count, reason in reasons)
    return f"0 of {len(targets)} {what} fit: {text}"


def memory_text(mebibytes: int) -> str:
    """Whole GiB where it is, else MiB."""
    return f"{mebibytes // 1024} GiB" if mebibytes and mebibytes % 1024 == 0 else f"{mebibytes} MiB"


def cpu_text(millicores: int) -> str:
    """As Kubernetes writes it: whole cores, else millicores."""
    return str(millicores // 1000) if millicores and millicores % 1000 == 0 else f"{millicores}m"
