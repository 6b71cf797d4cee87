"""Bind every workload: VMs onto Hosts, then Pods onto the VMs that are nodes, or onto Hosts if there are none.

Workloads with the same requests and the same owner are bound one after another, and all with the same requests share
one ranking of their candidates: 150,000 Pods never meet 5,000 Hosts one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sdn.errors import UnschedulableError
from sdn.model import Kind, Model, Placement, Workload
from sdn.scheduler.filters import EVICTING, explain, fits, mismatch
from sdn.scheduler.ranking import Queue, Ranking
from sdn.scheduler.score import Spread, owner_of
from sdn.scheduler.target import Target

NAMES_SHOWN = 8
"""Names that an error lists before it only counts."""


def place(model: Model, previous: Placement | None = None) -> Placement:
    """Where everything runs; workloads stay where `previous` has them as long as that is still possible.

    Raises UnschedulableError with a line for every workload that nothing can take.
    """
    scheduler = _Scheduler(model, previous or Placement({}))
    vms = [workload for workload in model.workloads if workload.kind is Kind.VM]
    pods = [workload for workload in model.workloads if workload.kind is Kind.POD]
    scheduler.bind_all(vms, scheduler.hosts)
    scheduler.open_nodes(vms)
    scheduler.bind_all(pods, scheduler.nodes if any(vm.is_node for vm in vms) else scheduler.hosts)
    if scheduler.reasons:
        raise UnschedulableError(sorted(scheduler.reasons))
    bound = sorted(scheduler.bound.items())
    return Placement(
        hosts={key: target.host for key, target in bound},
        nodes={key: target.node for key, target in bound if target.node},
    )


class _Scheduler:
    """One run: the targets with what is free on them, and what was bound."""

    def __init__(self, model: Model, previous: Placement) -> None:
        self.hosts = [Target.of_host(host) for host in sorted(model.underlay.hosts, key=lambda host: host.name)]
        self.nodes: list[Target] = []
        self._hosts_called = {host.name: [host] for host in self.hosts}
        self._nodes_called: dict[str, list[Target]] = {}  # two nodes of different namespaces may share a name
        self.bound: dict[str, Target] = {}
        self.reasons: list[str] = []
        self._previous = previous
        self._spread = Spread()

    def open_nodes(self, vms: Iterable[Workload]) -> None:
        """Let the nodes that found a Host take Pods."""
        nodes = (vm for vm in vms if vm.is_node and vm.key in self.bound)
        self.nodes = [Target.of_node(vm, self.bound[vm.key]) for vm in sorted(nodes, key=lambda vm: vm.key)]
        for node in self.nodes:
            for name in {node.node, node.name}:
                self._nodes_called.setdefault(name, []).append(node)

    def bind_all(self, workloads: Sequence[Workload], targets: Sequence[Target]) -> None:
        """Bind to `targets`, except what is pinned elsewhere: first what stays, then pins, then large before small."""
        groups: defaultdict[tuple[object, ...], list[Workload]] = defaultdict(list)
        stays = self._staying(workloads, targets)
        for workload in sorted(workloads, key=lambda w: w.key):
            target = stays.get(workload.key)
            if target and fits(workload, target) and not mismatch(workload, target, EVICTING):
                self._bind(workload, target)
            else:
                groups[(owner_of(workload), workload.spread, *_request(workload))].append(workload)
        rankings: dict[tuple[object, ...], Ranking] = {}
        for group in sorted(groups.values(), key=_urgency):
            self._bind_group(group, targets, rankings)

    def _staying(self, workloads: Sequence[Workload], targets: Sequence[Target]) -> dict[str, Target]:
        """Where workloads were, if that is still a place they may be."""
        by_place = {(target.host, target.node): target for target in (*self.hosts, *targets)}
        unpinned = frozenset(targets)
        result = {}
        for workload in workloads:
            key = workload.key
            target = by_place.get((self._previous.hosts.get(key, ""), self._previous.nodes.get(key, "")))
            if target and target in (self._pinned(workload) if workload.host else unpinned):
                result[key] = target
        return result

    def _pinned(self, workload: Workload) -> list[Target]:
        """What `Workload.host` names: for a Pod a node first, by key or name, else a Host."""
        if workload.kind is Kind.POD and workload.host in self._nodes_called:
            return self._nodes_called[workload.host]
        return self._hosts_called.get(workload.host, [])

    def _bind_group(
        self, group: Sequence[Workload], targets: Sequence[Target], rankings: dict[tuple[object, ...], Ranking]
    ) -> None:
        """Bind workloads with equal requests; when one does not fit, none of the rest does."""
        first = group[0]
        candidates = self._pinned(first) if first.host else targets
        if first.host and not candidates:
            self.reasons += [self._unknown_pin(workload) for workload in group]
            return
        request = _request(first)
        if request not in rankings:
            rankings[request] = Ranking(first, [t for t in candidates if not mismatch(first, t)])
        queue = Queue(rankings[request], first, self._spread)
        for index, workload in enumerate(group):
            target = queue.best()
            if target is None:
                why = explain(first, candidates)
                self.reasons += [f"{rest.key}: {why}" for rest in group[index:]]
                break
            self._bind(workload, target)
            queue.put_back()
        queue.close()

    def _bind(self, workload: Workload, target: Target) -> None:
        target.take(workload)
        self.bound[workload.key] = target
        self._spread.add(owner_of(workload), workload, target)

    def _unknown_pin(self, workload: Workload) -> str:
        """The sentence for a pin to nobody."""
        names = [target.name for target in (*self.nodes, *self.hosts)]
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        there = ", ".join(names[:NAMES_SHOWN]) + more or "none"
        return f'{workload.key}: "{workload.host}" is neither a Host nor a node that takes Pods (there are: {there})'


def _request(workload: Workload) -> tuple[object, ...]:
    """What decides where a workload may go and how it loads a target, whoever owns it."""
    return (
        workload.cpu,
        workload.memory,
        tuple(sorted(workload.selector.items())),
        workload.tolerations,
        workload.host,
    )


def _urgency(group: Sequence[Workload]) -> tuple[bool, bool, int, int, str]:
    """Those with the least choice first, then the largest: small ones still fit into what is left."""
    first = group[0]
    return (not first.host, not first.selector, -first.memory, -first.cpu, first.key)
