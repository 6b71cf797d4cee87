"""Every hard rule about what is bound: what forbids a place, and what breaks a rule where it is."""

from __future__ import annotations

from sdn.model import Workload
from sdn.scheduler.bindings import Bindings
from sdn.scheduler.filters import EVICTING, REPELLING, Reason, mismatch, shortage
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import MAINTENANCE, Target


class Judged(Bindings):
    """Asked before anything is bound, and about what is; answers change nothing."""

    def blocked(self, workload: Workload, target: Target, staying: bool = False) -> Reason | None:
        """The first hard rule that forbids to bind it there now, None if none does.

        `staying`: it ran there already, and only what moves a running workload away counts.
        """
        shape = self.shape(workload)
        return (
            self.unfit(shape, target, staying)
            or self.full(shape, target, workload.key)
            or self.forbidden(shape, target, staying=staying)
            or self.unfit_inside(workload, target)
        )

    def unfit(self, shape: Shape, target: Target, staying: bool = False) -> Reason | None:
        """What no binding changes."""
        if shape.refused:
            return Reason(shape.refused, "", "describe, sign or scan what it uses, or admit more (gate)")
        if target.closed:
            return Reason(target.closed, target.closed.replace("is ", "are ").replace("has ", "have "))
        if reason := self.misplaced(shape.workload, target):
            return reason
        reason = mismatch(shape.workload, target, EVICTING if staying else REPELLING)
        if reason is None and shape.hosts is not None and target.host not in shape.hosts:
            reason = self._rules.reason(shape, target) or self.standing.volumes(shape, target)
        return reason

    def full(self, shape: Shape, target: Target, key: str) -> Reason | None:
        """What binding anybody else never makes better."""
        reason = shortage(shape.workload, target)
        if reason is None and self._reserves:
            reason = self._reservations.reason(shape, target, self._nodes.get(key) if shape.workload.is_node else None)
        if reason is None and shape.workload.scheduling.numa and not target.node:
            reason = self._numa.reason(shape, target)
        if reason is None and shape.levels:
            reason = self.separations.reason(shape, target, key)
        return reason

    def forbidden(self, shape: Shape, target: Target, far: bool = False, staying: bool = False) -> Reason | None:
        """What depends on who is near; `far` leaves out what is about single targets."""
        reason = None
        if shape.near or shape.apart or shape.repelled:
            reason = self._affinities.reason(shape, target, far, staying)
        if reason is None and shape.spreads:
            reason = self._spreads.reason(shape, target, far, staying)
        if reason is None and shape.rules:
            reason = self._rules.reason(shape, target, far)
        return reason

    @property
    def shares_limits(self) -> bool:
        """Whether what is bound to one Host may leave too little for all others."""
        return self._reservations.shared

    def carries(self, workload: Workload) -> bool:
        """Whether it is a node that is nowhere with Pods in it."""
        node = self._nodes.get(workload.key) if workload.is_node else None
        return bool(node and node.bound and not node.host)

    def unfit_inside(self, workload: Workload, target: Target) -> Reason | None:
        """What forbids to bring the Pods of a node to a Host: all are put there, and each is asked with all others."""
        if not self.carries(workload):
            return None
        node = self._nodes[workload.key]
        pods = [(pod.key, self.shape(pod)) for pod in node.bound.values()]
        travelling = [(key, shape) for key, shape in pods if self.standing.travels(shape)]
        if not travelling:
            return None
        node.settle(target)
        self.standing.see(node)
        self._spreads.open(node)
        turned = self.separations.turned
        self._count(self.shape(workload), target, workload.key, 1)
        for key, shape in pods:
            self._count(shape, node, key, 1)
        reason = next((r for key, shape in travelling if (r := self._unfit_pod(shape, node, key))), None)
        for key, shape in pods:
            self._count(shape, node, key, -1)
        self._count(self.shape(workload), target, workload.key, -1)
        self.separations.turned = turned
        self._spreads.close(node)
        node.settle(None)
        return reason

    def _unfit_pod(self, shape: Shape, node: Target, key: str) -> Reason | None:
        self._count(shape, node, key, -1)
        reason = self.unfit(shape, node, staying=True) or self.forbidden(shape, node, staying=True)
        if reason is None and shape.levels:
            reason = self.separations.reason(shape, node, key)
        self._count(shape, node, key, 1)
        return reason and Reason(f"would take Pod {key} where it may not be: {reason.one}")

    def violations(self) -> list[str]:
        """Every hard rule that is broken now, a sentence each.

        NoSchedule taints say nothing of who is there, and a Host in maintenance may run what it ran. Spread counts
        only where all whom it counts asked for it, for whoever did not may have skewed it afterwards.
        """
        found = []
        for key, target in sorted(self._where.items()):
            reason = self.broken(key)
            if reason:
                found.append(f"{key} on {target.id}: {reason.one}")
        return found

    def leaves(self, key: str) -> Reason | None:
        """Why a bound workload may not stay: as `broken`, and what is in maintenance is to be emptied."""
        target = self._where[key]
        if target.closed:
            return Reason(target.closed)
        return self.broken(key)

    def broken(self, key: str) -> Reason | None:
        """The first hard rule that one bound workload breaks where it is."""
        target = self._where[key]
        workload, shape = target.bound[key], self._shape_of.get(key) or self.shape(target.bound[key])
        self._count(shape, target, key, -1)
        self._hold(shape, target, key, -1)
        target.give_back(workload)
        closed = target.closed
        target.closed = "" if closed == MAINTENANCE else closed
        reason = (
            self.unfit(shape, target, staying=True)
            or self.full(shape, target, key)
            or self.forbidden(shape, target, staying=True)
        )
        target.closed = closed
        target.take(workload)
        self._hold(shape, target, key, 1)
        self._count(shape, target, key, 1)
        return reason

    def split(self, workload: Workload) -> bool:
        """Whether those who all must be near one another, the workload among them, are not."""
        return self._affinities.split(self.shape(workload))

    def strands(self, key: str) -> bool:
        """Whether somebody who must be near a bound workload might have nobody left there if it went."""
        return self._affinities.strands(self.shape(self.workloads[key]), self._where[key])
