"""Whether VMs that want few NUMA nodes have them: a packing of each Host, looked for anew at every question.

The rest of a Host's VMs take what is left, wherever it is, so only the Host as a whole limits them.
"""

from __future__ import annotations

from itertools import combinations

from sdn.model import Host
from sdn.scheduler.filters import Reason
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target

Request = tuple[int, int, int]  # most NUMA nodes, millicores, MiB

STEPS = 2000
"""So many assignments are tried before a packing counts as impossible."""


class Numa:
    """What is pinned on each Host."""

    def __init__(self, hosts: tuple[Host, ...]) -> None:
        self._nodes = {
            host.name: [
                (cpu * host.cpu_overcommit // 100, memory * host.memory_overcommit // 100)
                for cpu, memory in host.numa or ((host.cpu, host.memory),)
            ]
            for host in hosts
        }
        self._pinned: dict[str, dict[str, Request]] = {}

    def reason(self, shape: Shape, target: Target) -> Reason | None:
        """None also if it does not care."""
        request = _request(shape, target)
        if request is None:
            return None
        pinned = self._pinned.get(target.host, {})
        if packs([*pinned.values(), request], self._nodes[target.host]):
            return None
        what = "one NUMA node" if request[0] == 1 else f"{request[0]} NUMA nodes"
        change = "let it use more NUMA nodes (numa), or make it smaller"
        return Reason(f"has no room within {what}", f"have no room within {what}", change)

    def count(self, shape: Shape, target: Target, key: str, by: int) -> None:
        """A workload of that shape came (1) or went (-1)."""
        request = _request(shape, target)
        if request is None:
            return
        pinned = self._pinned.setdefault(target.host, {})
        if by > 0:
            pinned[key] = request
        else:
            del pinned[key]


def _request(shape: Shape, target: Target) -> Request | None:
    w = shape.workload
    return (w.scheduling.numa, w.cpu, w.memory) if w.scheduling.numa and not target.node else None


def packs(requests: list[Request], nodes: list[tuple[int, int]]) -> bool:
    """Whether each request finds that many nodes; the narrow and large first, because they have the least choice."""
    order = sorted(requests, key=lambda r: (r[0], -r[2], -r[1]))
    steps = [STEPS]
    return _pack(order, [*nodes], steps)


def _pack(requests: list[Request], free: list[tuple[int, int]], steps: list[int]) -> bool:
    if not requests:
        return True
    (width, cpu, memory), rest = requests[0], requests[1:]
    tried = set()
    # The fullest node first: it leaves the others whole.
    order = sorted(range(len(free)), key=lambda index: (free[index][1], free[index][0]))
    for chosen in combinations(order, min(width, len(free))):
        look = tuple(free[index] for index in chosen)
        if look in tried:
            continue
        tried.add(look)
        if sum(c for c, _ in look) < cpu or sum(m for _, m in look) < memory:
            continue
        steps[0] -= 1
        if steps[0] < 0:
            return False
        if _pack(rest, _taken(free, chosen, cpu, memory), steps):
            return True
    return False


def _taken(free: list[tuple[int, int]], chosen: tuple[int, ...], cpu: int, memory: int) -> list[tuple[int, int]]:
    after = [*free]
    for index in sorted(chosen, key=lambda i: free[i], reverse=True):
        c, m = after[index]
        use_cpu, use_memory = min(c, cpu), min(m, memory)
        after[index] = (c - use_cpu, m - use_memory)
        cpu, memory = cpu - use_cpu, memory - use_memory
    return after
