"""One workload to a place that somebody names, or all away from a Host: done as asked, or refused with the reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sdn.model import HostState, Kind, Model, Placement
from sdn.scheduler.kept import Kept
from sdn.scheduler.proposal import Proposal, refusal
from sdn.scheduler.repair import anew
from sdn.scheduler.search import by_size, obstacles, regroup, relocate
from sdn.scheduler.shortest import shorten
from sdn.scheduler.states import with_hosts
from sdn.scheduler.steps import NOWHERE, Steps
from sdn.scheduler.target import Target


def migrate(model: Model, placement: Placement, key: str, host: str, kept: Kept | None = None) -> Proposal:
    """Move a workload to a Host, or a Pod to a node by key or name; with a Host it takes the best node there.

    `kept` is the scheduler of a lab that runs, and makes it no other answer.
    """
    steps = Steps(model, placement, kept.cluster(model, placement) if kept else None)
    if kept and steps.cluster.inside(key):
        steps = Steps(model, placement)  # reasons name the first Pod of a node, of whom only a new one knows the order
    wrong = _wrong(steps, key, host)
    if wrong:
        return refusal(placement, [wrong])
    targets = _places(steps, key, host)
    here = steps.cluster.where(key)
    if here is not None and here in targets:
        return steps.proposal(notes=[f"{key} is on {host} already"])
    free = [target for target in targets if steps.why_not(key, target) is None]
    if free:
        steps.go(key, min(free, key=lambda t: (steps.cluster.cost(steps.workload(key), t), t.id)), "asked for")
        return steps.proposal()
    return refusal(placement, [_complaint(steps, key, host, targets)])


def _wrong(steps: Steps, key: str, host: str) -> str:
    """What in the question itself is wrong; empty if nothing is."""
    if key not in steps.cluster.workloads:
        return f"there is no workload {key}; `sdn status` lists them"
    if steps.place_of(key) == NOWHERE:
        return f"{key} does not run; it can only start"
    if not _named(steps, host):
        return f"there is no Host or node {host}; `sdn status` lists them"
    return ""


def _named(steps: Steps, name: str) -> list[Target]:
    """The Host of a name, or the nodes of a key or name."""
    target = steps.cluster.target(name)
    return [target] if target else [node for node in steps.cluster.nodes if node.name == name]


def _places(steps: Steps, key: str, host: str) -> list[Target]:
    """What the name means for this workload: a Pod that runs in nodes takes one on the Host."""
    candidates = {target.id: target for target in steps.cluster.targets_of(steps.workload(key))}
    named = [target for target in _named(steps, host) if target.id in candidates]
    return named or [target for target in candidates.values() if target.node and target.host == host]


def _complaint(steps: Steps, key: str, host: str, targets: list[Target]) -> str:
    workload = steps.workload(key)
    if not targets and workload.host:
        return f"{key} cannot go to {host}: it is fixed to {workload.host}; remove its `host`"
    if not targets and workload.kind is Kind.VM:
        return f"{key} cannot go to {host}: a VM runs on a Host; name one"
    if not targets:
        return f"{key} cannot go to {host}: that takes no Pods; name a node, or a Host that is a worker"
    reasons = dict.fromkeys(reason.one for target in targets if (reason := steps.why_not(key, target)))
    return f"{key} cannot go to {host}: {', '.join(reasons)}"


def drain(model: Model, placement: Placement, host: str) -> Proposal:
    """All away from a Host that goes into maintenance; a node moves with its Pods, and nothing is left.

    What is fixed to the Host by a DaemonSet stops, for it is there because the Host is; the note says so. Whatever else
    is fixed to it, or fits nowhere else, is a reason to refuse.
    """
    model = with_hosts(model, {host}, HostState.MAINTENANCE)
    steps = Steps(model, placement)
    target = steps.cluster.target(host)
    if target is None or target.node:
        return refusal(placement, [f"there is no Host {host}; `sdn status` lists them"])
    why = f"{host} goes into maintenance"
    daemons = {key for key, w in target.bound.items() if w.host and w.owner[0] == "DaemonSet"}
    leaving = by_size(steps.cluster, target.bound.keys() - daemons)
    stuck = _stuck(steps, leaving, why)
    if not shorten(steps, leaving, why, complete=not stuck) and stuck:
        everybody = {key for key, where in placement.hosts.items() if where == host}
        another = None if daemons else anew(model, placement, everybody)
        return another or refusal(placement, [obstacles(steps, key) for key in stuck])
    for key in sorted(daemons):
        steps.stop(key, why)
    return steps.proposal(notes=[f"{key} stops: its DaemonSet runs it on {host} only" for key in sorted(daemons)])


def evacuate(model: Model, placement: Placement, nodes: Collection[str]) -> Proposal:
    """All Pods that may leave these nodes to others, each where it is best; who finds no place stays, as a note.

    What is fixed to its node stays without a word: it is there because the node is.
    """
    steps = Steps(model, placement)
    left = by_size(steps.cluster, [pod for node in nodes for pod in steps.inside(node) if not steps.workload(pod).host])
    for _ in range(2):  # who has left since may have been in the way
        left = [pod for pod in left if not relocate(steps, pod, "its node is replaced", nodes)]
    for target in filter(None, map(steps.cluster.target, nodes)):
        target.closed = "is being replaced"  # else it would be named as a place where they fit
    return steps.proposal(f"stops with its node, as it finds no other place: {obstacles(steps, key)}" for key in left)


def _stuck(steps: Steps, leaving: Sequence[str], why: str) -> list[str]:
    """Move them one by one, each where it is best; who cannot leave even with stops."""
    stuck = [key for key in leaving if not relocate(steps, key, why)]
    stuck = [key for key in stuck if not relocate(steps, key, why)]  # who left since may have been in the way
    return [] if not stuck or regroup(steps, stuck, why) else stuck
