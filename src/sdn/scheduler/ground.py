"""Hosts, nodes, and which of them a workload may be looked for on at all."""

from __future__ import annotations

from collections.abc import Sequence

from sdn.model import WORKER, HostState, Kind, Model, Reserve, Workload
from sdn.scheduler.filters import Reason
from sdn.scheduler.target import FAILED, Target

KEPT_EMPTY = "is kept empty until a Host fails"


class Ground:
    """The targets of a Model; nodes come and go with their VMs."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.workloads = {workload.key: workload for workload in sorted(model.workloads, key=lambda w: w.key)}
        self.lowest_priority = min((w.scheduling.priority for w in model.workloads), default=0)
        self._make_targets(model)

    def _make_targets(self, model: Model) -> None:
        written = sorted(model.underlay.hosts, key=lambda host: host.name)
        self.hosts: Sequence[Target] = [Target.of_host(host) for host in written]
        self._host = {host.name: host for host in self.hosts}
        admission = model.constraints.admission
        kept = frozenset(admission.dedicated if admission.reserve is Reserve.DEDICATED else ())
        if not any(host.state is HostState.FAILED and host.name not in kept for host in written):
            for name in kept & self._host.keys():
                self._host[name].closed = self._host[name].closed or KEPT_EMPTY
        self._nodes = {w.key: Target.of_node(w) for w in self.workloads.values() if w.kind is Kind.VM and w.is_node}
        self._called: dict[str, list[Target]] = {}  # two nodes of different namespaces may share a name
        for node in self._nodes.values():
            for name in {node.node, node.name}:
                self._called.setdefault(name, []).append(node)
        self._workers = [host for host in self.hosts if WORKER in host.labels] if self._nodes else self.hosts

    @property
    def nodes(self) -> Sequence[Target]:
        """The nodes whose VM is on a Host, by key."""
        return [node for node in self._nodes.values() if node.host]

    def target(self, name: str) -> Target | None:
        """The Host of a name, or the node of a key, wherever its VM is."""
        return self._host.get(name) or self._nodes.get(name)

    def targets_of(self, workload: Workload) -> Sequence[Target]:
        """Where it may be looked for: VMs on Hosts; Pods in nodes and on Hosts that are workers, or on Hosts if
        there are no nodes; pinned ones where they are pinned."""
        if workload.host:
            return self._pinned(workload)
        return self._unpinned(workload)

    def _unpinned(self, workload: Workload) -> Sequence[Target]:
        if workload.kind is Kind.VM or not self._nodes:
            return self.hosts
        return [*self.nodes, *self._workers]

    def _pinned(self, workload: Workload) -> list[Target]:
        """What `Workload.host` names: for a Pod a node first, by key or name, else a Host."""
        if workload.kind is Kind.POD and workload.host in self._called:
            return [node for node in self._called[workload.host] if node.host]
        host = self._host.get(workload.host)
        return [host] if host else []

    def on_host(self, name: str) -> list[Target]:
        """A Host and the nodes on it."""
        host = self._host[name]
        return [host, *(node for key in host.bound if (node := self._nodes.get(key)))]

    def inside(self, key: str) -> Target | None:
        """The target that a VM is for Pods; None for what is no node."""
        return self._nodes.get(key)

    def there(self, workload: Workload) -> list[Target]:
        """Candidates that have not failed, pins aside: the domains of a spread."""
        return [target for target in self._unpinned(workload) if target.closed != FAILED]

    def misplaced(self, workload: Workload, target: Target) -> Reason | None:
        """What is no candidate at all."""
        if workload.host:
            there = any(target is each for each in self._pinned(workload))
            return None if there else Reason(f"is not {workload.host}, where it is pinned")
        if workload.kind is Kind.VM:
            return Reason("is a node") if target.node else None
        if target.node or not self._nodes or WORKER in target.labels:
            return None
        return Reason(f"takes no Pods directly (it lacks label {WORKER})")
