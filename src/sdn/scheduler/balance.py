"""How evenly Hosts are loaded, in whole numbers: what one move changes is exact, so no rounding proposes it again.

The load of a Host is what its VMs and Pods ask for as a share of what there is, of CPU and of memory; a node counts as
what it takes from its Host. Where the lab says what they use, it is what they are entitled to of that, as if all Hosts
were one (vSphere's DRS does so, too): no move changes it. Hosts in maintenance, failed ones and those kept empty for
failures are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import nsmallest
from math import sqrt

from sdn.model import HostState, Model, Placement, Reserve, Workload
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.entitlement import Entitled, entitlements
from sdn.scheduler.score import SCALE
from sdn.scheduler.target import Target

Loads = tuple[int, int]
"""Of CPU and of memory, in parts of SCALE."""


class Balance:
    """The sums of loads and of their squares, from which the variance follows after each move."""

    def __init__(self, model: Model, cluster: Cluster) -> None:
        self.hosts = compared(model, cluster)
        self._entitled = _entitled(model, self.hosts)
        self._loads = {host.name: self._loads_of(host) for host in self.hosts}
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
        cpu, memory = self.uses(workload)
        left = self._loads_of(source, -cpu, -memory)
        taken = self._loads_of(target, cpu, memory)
        count, total = len(self.hosts), 0
        for i in (0, 1):
            here, there = self._loads[source.name][i], self._loads[target.name][i]
            squares = here**2 + there**2 - left[i] ** 2 - taken[i] ** 2
            grown = left[i] + taken[i] - here - there
            total += count * squares + grown * (2 * self._sums[i] + grown)
        return total

    def cost(self, workload: Workload, target: Target, worth: float) -> int:
        """What a move must gain at least, in the unit of `gain`: `worth` for copying memory that fills a Host."""
        share = max(loads_of(target, 0, workload.memory)[1] - loads_of(target)[1], SCALE // 100)
        return int(worth * share * SCALE) * len(self.hosts)

    def changed(self, *hosts: Target) -> None:
        """Something came or went there."""
        for host in hosts:
            if host.name in self._loads:
                before, now = self._loads[host.name], self._loads_of(host)
                self._loads[host.name] = now
                for i in (0, 1):
                    self._sums[i] += now[i] - before[i]

    def least(self, count: int) -> list[Target]:
        """The least loaded, by what is counted here."""
        return nsmallest(count, self.hosts, key=lambda host: (sum(self._loads[host.name]), host.name))

    @property
    def goes_by_demand(self) -> bool:
        """Whether somebody has said what is used."""
        return self._entitled is not None

    def uses(self, workload: Workload) -> tuple[int, int]:
        """Millicores and MiB of load that it makes."""
        known = self._entitled.get(workload.key) if self._entitled is not None else None
        return (known.cpu, known.memory) if known is not None else (workload.cpu, workload.memory)

    def _loads_of(self, host: Target, cpu: int = 0, memory: int = 0) -> Loads:
        """With so much more, or less."""
        if self._entitled is None:
            return loads_of(host, cpu, memory)
        used = [self.uses(workload) for workload in host.bound.values()]
        more = (cpu, memory)
        both = (host.physical_cpu, host.physical_memory)
        one, other = (sum(each[i] for each in used) + more[i] for i in (0, 1))
        return (_load(both[0], both[0] - one), _load(both[1], both[1] - other))

    def percent(self, host: Target) -> int:
        """The load of the scarcer resource, for people."""
        return max(self._loads[host.name]) * 100 // SCALE


def _entitled(model: Model, hosts: Sequence[Target]) -> dict[str, Entitled] | None:
    """What each workload may use of all Hosts together; None where nobody has said what is used."""
    running = [workload for host in hosts for workload in host.bound.values()]
    demands = {
        w.key: (
            w.cpu if w.scheduling.cpu_demand is None else w.scheduling.cpu_demand,
            w.memory if w.scheduling.memory_demand is None else w.scheduling.memory_demand,
        )
        for w in running
    }
    if all(demands[w.key] == (w.cpu, w.memory) for w in running):
        return None
    room = (sum(host.physical_cpu for host in hosts), sum(host.physical_memory for host in hosts))
    return entitlements(room, running, demands, model.constraints.pools)


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
