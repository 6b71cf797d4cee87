"""How evenly Hosts are loaded, in whole numbers: what one move changes is exact, so no rounding proposes it again.

The load of a Host is what its VMs and Pods ask for as a share of what there is, of CPU and of memory; a node counts as
what it takes from its Host. Hosts in maintenance, failed ones and those kept empty for failures are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

from sdn.model import HostState, Model, Placement, Reserve, Workload
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.score import SCALE
from sdn.scheduler.target import Target

Loads = tuple[int, int]
"""Of CPU and of memory, in parts of SCALE."""


class Balance:
    """The sums of loads and of their squares, from which the variance follows after each move."""

    def __init__(self, model: Model, cluster: Cluster) -> None:
        self.hosts = compared(model, cluster)
        self._loads = {host.name: loads_of(host) for host in self.hosts}
        self._sums = [sum(load[i] for load in self._loads.values()) for i in (0, 1)]

    def has(self, host: Target) -> bool:
        """Whether it is one of the Hosts that are compared."""
        return host.name in self._loads

    def imbalance(self) -> float:
        """The standard deviation of load over Hosts, CPU and memory together; 0 is even."""
        count = len(self.hosts)
        if not count:
            return 0.0
        squares = [sum(load[i] ** 2 for load in self._loads.values()) for i in (0, 1)]
        spread = sum(count * squares[i] - self._sums[i] ** 2 for i in (0, 1))
        return sqrt(spread) / (count * SCALE)

    def gap(self, source: Target, target: Target) -> Loads:
        """By how much more a Host is loaded than another; 0 where it is less."""
        here, there = self._loads[source.name], self._loads[target.name]
        return max(0, here[0] - there[0]), max(0, here[1] - there[1])

    def gain(self, workload: Workload, source: Target, target: Target) -> int:
        """By how much the sum of squared distances from the mean falls, times the number of Hosts, in SCALE²."""
        left = loads_of(source, -workload.cpu, -workload.memory)
        taken = loads_of(target, workload.cpu, workload.memory)
        count, total = len(self.hosts), 0
        for i in (0, 1):
            here, there = self._loads[source.name][i], self._loads[target.name][i]
            squares = here**2 + there**2 - left[i] ** 2 - taken[i] ** 2
            grown = left[i] + taken[i] - here - there
            total += count * squares + grown * (2 * self._sums[i] + grown)
        return total

    def cost(self, workload: Workload, target: Target, worth: float) -> int:
        """What a move must gain at least, in the unit of `gain`: `worth` for copying memory that fills a Host."""
        share = max(loads_of(target, 0, workload.memory)[1] - self._loads[target.name][1], SCALE // 100)
        return int(worth * share * SCALE) * len(self.hosts)

    def changed(self, *hosts: Target) -> None:
        """Something came or went there."""
        for host in hosts:
            if host.name in self._loads:
                before, now = self._loads[host.name], loads_of(host)
                self._loads[host.name] = now
                for i in (0, 1):
                    self._sums[i] += now[i] - before[i]

    def percent(self, host: Target) -> int:
        """The load of the scarcer resource, for people."""
        return max(self._loads[host.name]) * 100 // SCALE


def compared(model: Model, cluster: Cluster) -> list[Target]:
    """Hosts that take workloads, by name."""
    admission = model.constraints.admission
    kept = admission.dedicated if admission.reserve is Reserve.DEDICATED else ()
    up = {host.name for host in model.underlay.hosts if host.state is HostState.UP and host.name not in kept}
    return [host for host in cluster.hosts if host.name in up]


def loads_of(host: Target, cpu: int = 0, memory: int = 0) -> Loads:
    """With so much more, or less."""
    return (_load(host.cpu, host.free_cpu - cpu), _load(host.memory, host.free_memory - memory))


def _load(room: int, free: int) -> int:
    return (room - free) * SCALE // room if room else 0


def imbalance(model: Model, placement: Placement) -> float:
    """The standard deviation over Hosts of their load (0 to 1), CPU and memory together."""
    return Balance(model, Cluster.of(model, placement)).imbalance()


def movable(host: Target) -> Iterable[Workload]:
    """What may leave a Host, the largest first: one large move is cheaper than several small ones."""
    free = [workload for workload in host.bound.values() if not workload.host]
    return sorted(free, key=lambda w: (-w.memory, -w.cpu, w.key))
