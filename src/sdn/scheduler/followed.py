"""A Cluster that follows a lab from one event to the next, and knows what was bound or taken off meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sdn.model import Kind, Model, Placement, Workload
from sdn.model.differing import Pair
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target

Place = tuple[str, str]
"""Host and node, as in a Placement; both are empty for who runs nowhere."""


class Followed(Cluster):
    """`touched` are the keys that may be elsewhere than `base` says.

    `stirred` is what was bound or taken off where, and whom nobody has judged since.
    """

    def __init__(self, model: Model) -> None:
        self.touched: set[str] = set()
        self.stirred: set[tuple[Shape, Target, str]] = set()
        self.base = Placement({})
        super().__init__(model)
        self._carried: dict[Shape, int] = {}
        for shape in self._shape_of.values():
            self._carried[shape] = self._carried.get(shape, 0) + 1

    def bind(self, workload: Workload, target: Target) -> None:
        """As of every Cluster."""
        super().bind(workload, target)
        self.touched.add(workload.key)
        self.stirred.add((self.shape(workload), target, workload.key))

    def unbind(self, key: str) -> Target:
        """As of every Cluster."""
        target = self._where[key]
        self.stirred.add((self.shape(target.bound[key]), target, key))
        self.touched.add(key)
        return super().unbind(key)

    def start_at(self, base: Placement) -> None:
        """From now on: where everything that is bound is."""
        self.base = base
        self.touched.clear()

    def placement(self) -> Placement:
        """As of every Cluster; made of what was touched."""
        hosts, nodes = dict(self.base.hosts), dict(self.base.nodes)
        inside = {pod for key in self.touched if (node := self._nodes.get(key)) for pod in node.bound}
        for key in self.touched | inside:
            for known, value in zip((hosts, nodes), self.place_of(key), strict=True):
                if value:
                    known[key] = value
                else:
                    known.pop(key, None)
        return self.base if (hosts, nodes) == (self.base.hosts, self.base.nodes) else Placement.in_order(hosts, nodes)

    def place_of(self, key: str) -> Place:
        """Where it is bound."""
        target = self._where.get(key)
        return (target.host, target.node) if target and target.host else ("", "")

    def waiting(self) -> list[Workload]:
        """Who is bound to nothing, by key."""
        if len(self.workloads) == len(self._where):  # only who is a workload is bound
            return []
        return [self.workloads[key] for key in sorted(self.workloads.keys() - self._where.keys())]

    def exchange(self, model: Model, pairs: Mapping[str, Pair]) -> None:
        """Take over a Model with these workloads changed, of which none is bound."""
        self.model = model
        for key, (was, now) in pairs.items():
            if was is not None:
                self._drop(key)
            if now is None:
                del self.workloads[key]
            else:
                self.workloads[key] = now
                self.lowest_priority = min(self.lowest_priority, now.scheduling.priority)
                self._meet((now,))
                shape = self._shape_of[key]
                self._carried[shape] = self._carried.get(shape, 0) + 1
        self._shapes.tidy(len(self.workloads))
        if any(was is None for was, _ in pairs.values()):
            self.workloads = {key: self.workloads[key] for key in sorted(self.workloads)}

    def _drop(self, key: str) -> None:
        """Its Shape goes if nobody else has it."""
        shape = self._shape_of.pop(key)
        self._carried[shape] -= 1
        if not self._carried[shape]:
            del self._carried[shape]
            self._shapes.forget(shape)

    def forget_rankings(self) -> None:
        """They are made anew when somebody asks; what has become better since is of no use to anybody then."""
        self._rankings.clear()
        self.loosened.clear()

    def shaken(self) -> Iterator[str]:
        """Of those who are bound, one of each kind in each place that may be judged otherwise since `stirred` began."""
        if self.shares_limits:
            yield from self._where
            return
        hosts = {target.host for _, target, _ in self.stirred if target.host}
        plain = not (self._reserves or self.separations.written or self._pins())
        near = [key for host in sorted(hosts) if not (plain and self._roomy(host)) for key in self._on(host)]
        shapes = self._moved_by({shape for shape, _, _ in self.stirred})
        far = [key for key, shape in self._shape_of.items() if shape in shapes] if shapes else []
        mine = sorted({key for _, _, key in self.stirred} & self.workloads.keys())
        seen: set[object] = set()
        for key in (*mine, *near, *far):
            target, workload = self._where.get(key), self.workloads[key]
            alike = key if workload.is_node else (self._shape_of[key], target)
            if target is not None and alike not in seen:
                seen.add(alike)
                yield key

    def _on(self, host: str) -> Iterator[str]:
        return (key for each in self.on_host(host) for key in each.bound)

    def _pins(self) -> bool:
        return any(shape.workload.scheduling.numa for shape in self._carried)

    def _roomy(self, host: str) -> bool:
        """Whether nobody has to leave a Host for want of room; what else may be shared there is left out."""
        return all(min(each.free_cpu, each.free_memory, each.free_pods) >= 0 for each in self.on_host(host))

    def _moved_by(self, stirred: set[Shape]) -> set[Shape]:
        """The Shapes that have a rule about who is near of which one of these is counted."""
        counted: set[object] = set()
        for shape in stirred:
            counted.update(shape.matched, shape.apart, shape.near, shape.spread_over)
            counted.update(rule for rule in shape.rules if rule.between)
        if not counted:
            return set()
        return {
            shape
            for shape in self._carried
            if not counted.isdisjoint((*shape.near, *shape.apart, *shape.repelled, *shape.spreads, *shape.rules))
        }

    def goal(self, key: str, placement: Placement) -> Target | None:
        """What a Placement means for it; None where nothing is there that could take it."""
        node = placement.nodes.get(key)
        if not node:
            return self._host.get(placement.hosts[key])
        target = self._nodes.get(node)
        fits = target is not None and target.host == placement.hosts[key] and self.workloads[key].kind is Kind.POD
        return target if fits else None
