"""What is reserved on each Host, in the pools, and of the room that is kept for failures: three limits of one number.

A workload's reservation depends on its Host (an over-committed one guarantees less) and, of a node, on its Pods.
"""

from __future__ import annotations

from sdn.model import Kind
from sdn.scheduler.admission import AdmissionControl
from sdn.scheduler.filters import Reason
from sdn.scheduler.pools import Amounts, Pools
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target


class Reservations:
    """Asks and counts; a Pod in a node counts as what it makes the node reserve."""

    def __init__(self, pools: Pools, admission: AdmissionControl) -> None:
        self._pools = pools
        self._admission = admission
        self._held: dict[str, Amounts] = {}  # what sits on a Host directly → what it reserves

    @property
    def shared(self) -> bool:
        """Whether Hosts have limits in common, so that what one gives back helps the others."""
        return self._pools.used or self._admission.used

    def reason(self, shape: Shape, target: Target, node: Target | None) -> Reason | None:
        """Which limit binding it there would break; `node` is what it is itself for Pods."""
        base = target.base or target
        amounts = _added(shape, target) if target.node else reserved(shape, base, node)
        if base.reserved_cpu + amounts[0] > base.physical_cpu:
            return Reason(
                "has too little CPU left to reserve", "have too little CPU left to reserve", "reserve less CPU"
            )
        if base.reserved_memory + amounts[1] > base.physical_memory:
            return Reason(
                "has too little memory left to reserve", "have too little memory left to reserve", "reserve less memory"
            )
        if not self.shared:
            return None
        before = self._held.get(target.node, (0, 0)) if target.node else (0, 0)
        after = (before[0] + amounts[0], before[1] + amounts[1])
        if target.node and before == after:
            return None
        owner = target.vm if target.vm else shape.workload
        found = self._pools.reason(owner.scheduling.pool, amounts) if self._pools.used else None
        if found is None and self._admission.used:
            found = self._admission.reason(before, after, new=not target.node)
        return found

    def count(self, shape: Shape, target: Target, key: str, node: Target | None, by: int) -> None:
        """It came (1) or went (-1); `node` as above."""
        base = target.base or target
        if target.node:
            cpu, memory = _added(shape, target)
            if (cpu or memory) and target.node in self._held:
                held = self._held[target.node]
                self._hold(target.node, target.vm.scheduling.pool if target.vm else "", base, held, -1)
                after = (held[0] + by * cpu, held[1] + by * memory)
                self._hold(target.node, target.vm.scheduling.pool if target.vm else "", base, after, 1)
            return
        amounts = reserved(shape, base, node) if by > 0 else self._held[key]
        self._hold(key, shape.workload.scheduling.pool, base, amounts, by)

    def _hold(self, key: str, pool: str, base: Target, amounts: Amounts, by: int) -> None:
        if by > 0:
            self._held[key] = amounts
        else:
            del self._held[key]
        base.reserved_cpu += by * amounts[0]
        base.reserved_memory += by * amounts[1]
        if self._pools.used:
            self._pools.take(pool, (by * amounts[0], by * amounts[1]))
        if self._admission.used:
            self._admission.count(amounts, by)


def reserved(shape: Shape, host: Target, node: Target | None) -> Amounts:
    """What it reserves on a Host directly, with the Pods that are in it by now."""
    w, resources = shape.workload, shape.resources
    inside = (node.cpu - node.free_cpu, node.memory - node.free_memory) if node else (0, 0)
    whole = w.kind is Kind.POD
    cpu = resources.cpu_reservation if resources else None
    memory = resources.memory_reservation if resources else None
    if cpu is None:
        cpu = w.cpu if whole or host.cpu <= host.physical_cpu else inside[0]
    if memory is None:
        memory = w.memory if whole or host.memory <= host.physical_memory else inside[1]
    return cpu, memory


def _added(shape: Shape, node: Target) -> Amounts:
    """What a Pod makes its node reserve more."""
    base, vm = node.base, node.vm
    if base is None or vm is None:
        return 0, 0
    resources = vm.scheduling.resources
    cpu = base.cpu > base.physical_cpu and (resources is None or resources.cpu_reservation is None)
    memory = base.memory > base.physical_memory and (resources is None or resources.memory_reservation is None)
    return shape.workload.cpu if cpu else 0, shape.workload.memory if memory else 0
