"""What runs where, what is free, and every rule about it, as one value that takes one binding at a time.

Whoever plans on it asks `blocked` before he binds: `bind` itself refuses nothing, so that what runs already can be
looked at although it breaks a rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sdn.model import WORKER, HostState, Kind, Model, Placement, Workload
from sdn.scheduler.filters import EVICTING, REPELLING, Reason, mismatch, shortage
from sdn.scheduler.score import Score, Spread, owner_of, reluctance, score
from sdn.scheduler.target import Target


class Explanation(NamedTuple):
    """Why a workload runs nowhere: Hosts and nodes per reason, the reason of each, and what would have to change."""

    workload: str
    counts: tuple[tuple[int, Reason], ...]  # most frequent first
    targets: tuple[tuple[str, Reason | None], ...]  # name of the Host or key of the node → None where it fits
    changes: tuple[str, ...] = ()


class Cluster:
    """All Hosts and nodes of a Model with what is bound to them."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.workloads = {workload.key: workload for workload in sorted(model.workloads, key=lambda w: w.key)}
        self.hosts: Sequence[Target] = [
            Target.of_host(host) for host in sorted(model.underlay.hosts, key=lambda host: host.name)
        ]
        vms = [w for w in self.workloads.values() if w.kind is Kind.VM and w.is_node]
        self._nodes = {vm.key: Target.of_node(vm) for vm in vms}
        self._called: dict[str, list[Target]] = {}  # two nodes of different namespaces may share a name
        for node in self._nodes.values():
            for name in {node.node, node.name}:
                self._called.setdefault(name, []).append(node)
        self._host = {host.name: host for host in self.hosts}
        self._workers = [host for host in self.hosts if WORKER in host.labels] if vms else self.hosts
        self._where: dict[str, Target] = {}
        self.spread = Spread()

    @classmethod
    def of(cls, model: Model, placement: Placement | None = None) -> Cluster:
        """The Model with everything bound as `placement` says, whether rules allow it or not.

        What the placement has on Hosts or nodes that are not there, and what is no workload of the Model, is left out.
        """
        cluster = cls(model)
        if placement is not None:
            cluster._bind_all(placement)
        return cluster

    def _bind_all(self, placement: Placement) -> None:
        """Nodes before what runs in them."""
        for key, name in sorted(placement.hosts.items(), key=lambda item: (item[0] in placement.nodes, item[0])):
            workload = self.workloads.get(key)
            node = placement.nodes.get(key)
            target = self._nodes.get(node) if node else self._host.get(name)
            if workload and target and target.host:
                self.bind(workload, target)

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
        if workload.kind is Kind.VM or not self._nodes:
            return self.hosts
        return [*self.nodes, *self._workers]

    def _pinned(self, workload: Workload) -> list[Target]:
        """What `Workload.host` names: for a Pod a node first, by key or name, else a Host."""
        if workload.kind is Kind.POD and workload.host in self._called:
            return [node for node in self._called[workload.host] if node.host]
        host = self._host.get(workload.host)
        return [host] if host else []

    def where(self, key: str) -> Target | None:
        """The Host or node that a workload is bound to, None if it is not."""
        return self._where.get(key)

    def bind(self, workload: Workload, target: Target) -> None:
        """Bind without asking; the VM of a node brings along the Pods that are in it."""
        target.take(workload)
        self._where[workload.key] = target
        self.spread.add(owner_of(workload), workload, target)
        node = self._nodes.get(workload.key)
        if node:
            node.settle(target)
            for pod in node.bound.values():
                self.spread.add(owner_of(pod), pod, node)

    def unbind(self, key: str) -> Target:
        """Take off its target, which is returned; Pods stay in the VM of a node, which is nowhere then."""
        target = self._where.pop(key)
        workload = target.bound[key]
        node = self._nodes.get(key)
        if node:
            for pod in node.bound.values():
                self.spread.remove(owner_of(pod), pod, node)
            node.settle(None)
        self.spread.remove(owner_of(workload), workload, target)
        target.give_back(workload)
        return target

    def blocked(self, workload: Workload, target: Target, staying: bool = False) -> Reason | None:
        """The first hard rule that forbids to bind it there now, None if none does.

        `staying`: it runs there already, and only what moves a running workload away counts.
        """
        return self.mismatch(workload, target, staying) or shortage(workload, target)

    def mismatch(self, workload: Workload, target: Target, staying: bool = False) -> Reason | None:
        """What no binding changes."""
        if target.state is not HostState.UP:
            return Reason(f"is {target.state}", f"are {target.state}")
        return mismatch(workload, target, EVICTING if staying else REPELLING)

    def cost(self, workload: Workload, target: Target) -> Score:
        """What speaks against binding it there; comparable between targets of one workload, smaller is better."""
        return score(workload, owner_of(workload), target, reluctance(workload, target), self.spread)

    def best(self, workload: Workload) -> Target | None:
        """The cheapest target that nothing blocks, None if there is none."""
        free = [target for target in self.targets_of(workload) if not self.blocked(workload, target)]
        return min(free, key=lambda target: self.cost(workload, target), default=None)

    def violations(self) -> list[str]:
        """Every hard rule that is broken now, a sentence each."""
        found = []
        for key, target in sorted(self._where.items()):
            workload = target.bound[key]
            self.unbind(key)
            reason = self.blocked(workload, target, staying=True)
            self.bind(workload, target)
            if reason:
                found.append(f"{key} on {target.id}: {reason.one}")
        return found

    def explain(self, workload: Workload) -> Explanation:
        """Why it does not fit, and where; asked as if it were not bound."""
        target = self._where.get(workload.key)
        if target:
            self.unbind(workload.key)
        reasons = [(t, self.blocked(workload, t)) for t in self.targets_of(workload)]
        if target:
            self.bind(workload, target)
        counts = Counter(reason for _, reason in reasons if reason)
        ordered = sorted(((count, reason) for reason, count in counts.items()), key=lambda item: (-item[0], item[1]))
        return Explanation(workload.key, tuple(ordered), tuple((t.id, reason) for t, reason in reasons))

    def placement(self) -> Placement:
        """Everything that is bound, by key."""
        bound = sorted(self._where.items())
        return Placement(
            hosts={key: target.host for key, target in bound if target.host},
            nodes={key: target.node for key, target in bound if target.host and target.node},
        )
