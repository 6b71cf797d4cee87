"""Which targets can take a workload, and for the others the reason, in words that say what to change."""

from __future__ import annotations

from typing import NamedTuple

from sdn.model import HOSTNAME, Effect, NodeTerm, Taint, Toleration, Workload
from sdn.model.scheduling import NODE_NAME
from sdn.scheduler.selection import node_matches
from sdn.scheduler.target import Target

EVICTING = frozenset({Effect.NO_EXECUTE})
"""Taints that also move away what runs already."""

REPELLING = EVICTING | {Effect.NO_SCHEDULE}
"""Taints that keep away what comes."""

LARGE = 10 * 1024
"""MiB from which on a tenth of a GiB is exact enough to be read."""

PLURAL = {"is": "are", "has": "have", "lacks": "lack", "runs": "run", "holds": "hold", "does": "do"}


class Reason(NamedTuple):
    """Why a target does not fit, after "1 ..." and after "2 ..." where that is said otherwise."""

    one: str
    many: str = ""
    change: str = ""  # what alone would make the target fit, if that was all

    def text(self, count: int) -> str:
        """After a number."""
        if count == 1 or self.many:
            return self.many if count != 1 else self.one
        verb, blank, rest = self.one.partition(" ")
        return PLURAL.get(verb, verb) + blank + rest


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
    return unlike(workload, target) or tainted(workload, target, effects)


def unlike(workload: Workload, target: Target) -> Reason | None:
    """Why its node selector or node affinity does not admit a target."""
    for key, value in sorted(workload.selector.items()):
        if target.labels.get(key) != value:
            change = f"label a Host or node {key}={value}, or drop that from its selector"
            return Reason(f"lacks label {key}={value}", f"lack label {key}={value}", change)
    affinity = workload.scheduling.affinity
    if affinity and affinity.nodes and not any(node_matches(t, target.labels, target.name) for t in affinity.nodes):
        text = " or ".join(term_text(term) for term in affinity.nodes)
        return Reason(
            f"does not match its node affinity ({text})",
            f"do not match its node affinity ({text})",
            "label a Host or node as its node affinity asks, or widen that",
        )
    return None


def term_text(term: NodeTerm) -> str:
    """As Kubernetes writes it, in one line."""
    parts = (" ".join([each.key, each.operator, ",".join(each.values)]).rstrip() for each in term.requirements)
    return " and ".join(parts) or "nothing"


def is_personal(workload: Workload) -> bool:
    """Whether its node selector or node affinity speaks of names, and not only of what many targets have alike."""
    if HOSTNAME in workload.selector:
        return True
    affinity = workload.scheduling.affinity
    if affinity is None:
        return False
    terms = [*affinity.nodes, *(each.node for each in (*affinity.wishes, *affinity.apart_wishes) if each.node)]
    return any(each.key in {HOSTNAME, NODE_NAME} for term in terms for each in term.requirements)


def tainted(workload: Workload, target: Target, effects: frozenset[Effect] = REPELLING) -> Reason | None:
    """A taint that it does not tolerate."""
    for taint in target.taints:
        if taint.effect in effects and not tolerates(workload, taint):
            text = f"taint {taint.key}{'=' if taint.value else ''}{taint.value}:{taint.effect}"
            return Reason(f"has {text}", "", f"tolerate {text}, or remove it")
    return None


def fits(workload: Workload, target: Target) -> bool:
    """Whether enough is free."""
    return workload.cpu <= target.free_cpu and workload.memory <= target.free_memory and target.free_pods > 0


def shortage(workload: Workload, target: Target) -> Reason | None:
    """The first resource that is too little; None if `fits`."""
    if workload.memory > target.free_memory:
        text = f"too little memory (needs {memory_text(workload.memory)})"
        return Reason(text, text, f"ask for less memory than {memory_text(workload.memory)}, or free or add some")
    if workload.cpu > target.free_cpu:
        text = f"too little CPU (needs {cpu_text(workload.cpu)})"
        return Reason(text, text, f"ask for less CPU than {cpu_text(workload.cpu)}, or free or add some")
    if target.free_pods <= 0:
        text = f"may not run more than {target.pods} workloads"
        return Reason(text, text, "let Hosts or nodes run more workloads (pods), or add one")
    return None


def memory_text(mebibytes: int) -> str:
    """Whole GiB where it is; what is large with one decimal (`76.8 GiB`), else MiB."""
    if mebibytes and mebibytes % 1024 == 0:
        return f"{mebibytes // 1024} GiB"
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= LARGE else f"{mebibytes} MiB"


def cpu_text(millicores: int) -> str:
    """As Kubernetes writes it: whole cores, else millicores."""
    return str(millicores // 1000) if millicores and millicores % 1000 == 0 else f"{millicores}m"
