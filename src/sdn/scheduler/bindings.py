"""What runs where and what is free, one binding at a time, with all that rules count by it.

`bind` refuses nothing, so that what runs already can be looked at although it breaks a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sdn.model import HOSTNAME, HostState, Model, Workload
from sdn.scheduler.admission import AdmissionControl
from sdn.scheduler.ground import Ground
from sdn.scheduler.loosened import Loosened
from sdn.scheduler.numa import Numa
from sdn.scheduler.pools import Pools
from sdn.scheduler.ranking import Ranking
from sdn.scheduler.reservations import Reservations
from sdn.scheduler.rules import Rules
from sdn.scheduler.score import Replicas
from sdn.scheduler.selection import Selection
from sdn.scheduler.separations import Separations
from sdn.scheduler.shape import Shape, Shapes
from sdn.scheduler.spreading import Spreads
from sdn.scheduler.standing import Standing, reserving
from sdn.scheduler.target import Target
from sdn.scheduler.terms import Affinities


class Bindings(Ground):
    """All Hosts and nodes of a Model, the Shapes of its workloads, and who is bound where."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._make_rules(model)
        self._where: dict[str, Target] = {}
        self._rankings: dict[tuple[object, ...], tuple[int, Ranking]] = {}
        self._shape_of: dict[str, Shape] = {}
        self._meet(self.workloads.values())
        self.loosened = Loosened()  # what rankings must look at again, because it may have become better
        self.opened = 0  # how often a node has come or gone: rankings of nodes from before are void

    def _make_rules(self, model: Model) -> None:
        rules, hosts = model.constraints, tuple(sorted(model.underlay.hosts, key=lambda host: host.name))
        selection = Selection(model.namespaces, model.groups)
        self.spaces = {w.namespace for w in self.workloads.values()} | {each.name for each in model.namespaces}
        self._shapes = Shapes()
        self.standing = Standing(rules, self.hosts)
        self._affinities = Affinities(selection, self.spaces)
        self._spreads = Spreads(self.standing.admits)
        self._rules = Rules(rules.rules, hosts, selection)
        self.separations = Separations(rules.separations)
        self.replicas = Replicas()
        self._numa = Numa(hosts)
        there = [host for host in hosts if host.state is not HostState.FAILED]
        total = (sum(host.cpu for host in there), sum(host.memory for host in there))
        self._reservations = Reservations(Pools(rules.pools, total), AdmissionControl(rules.admission, hosts))
        self._reserves = self._reservations.shared or reserving(tuple(self.workloads.values()), self.hosts)

    def where(self, key: str) -> Target | None:
        """The Host or node that a workload is bound to, None if it is not."""
        return self._where.get(key)

    @property
    def bindings(self) -> Mapping[str, Target]:
        """Everybody who is bound, with where."""
        return self._where

    @property
    def shapes(self) -> list[Shape]:
        """Of all workloads, and maybe of some that are none any more."""
        return self._shapes.all()

    def shape(self, workload: Workload) -> Shape:
        """What decides where it may go, looked up once; also of a workload that is not in the Model."""
        if self.workloads.get(workload.key) is workload:
            return self._shape_of[workload.key]
        self._meet((workload,))
        return self._shapes.of(workload, self._rules.of(workload))[0]

    def _meet(self, workloads: Iterable[Workload]) -> None:
        """Make the Shapes of workloads; all terms are known before any of them is related to others."""
        fresh = []
        for workload in workloads:
            shape, new = self._shapes.of(workload, self._rules.of(workload))
            if workload.key in self.workloads:
                self._shape_of.setdefault(workload.key, shape)
            if new:
                fresh.append(shape)
        terms, spreadings = [], []
        for shape in fresh:
            self._rules.describe(shape)
            self.separations.describe(shape)
            self.standing.describe(shape)
            terms += self._affinities.describe(shape)
            spreadings += self._spreads.describe(shape, lambda w=shape.workload: self.there(w))  # type: ignore[misc]
        for shape in self._shapes.all() if self._where and (terms or spreadings) else fresh:
            self._relate(shape)
        if self._where and (terms or spreadings):
            for key, target in self._where.items():
                shape = self._shape_of[key]
                self._affinities.recount(terms, shape, target)
                self._spreads.recount(spreadings, shape, target)

    def _relate(self, shape: Shape) -> None:
        self._affinities.relate(shape)
        self._spreads.relate(shape)
        labels = {
            shape.workload.spread,
            *self._affinities.topologies(shape),
            *self._spreads.topologies(shape),
            *self._rules.topologies(shape),
        }
        shape.topologies = tuple(sorted(labels - {"", HOSTNAME}))
        self.standing.finish(shape)

    def bind(self, workload: Workload, target: Target) -> None:
        """Bind without asking; the VM of a node brings along the Pods that are in it.

        A Pod may also be put into a node that is nowhere: it counts from when that is bound.
        """
        shape, key = self.shape(workload), workload.key
        node = self._nodes.get(key) if workload.is_node else None
        target.take(workload)
        self._where[key] = target
        if not target.host:
            return
        self._hold(shape, target, key, 1)
        if node:
            node.settle(target)
            self.standing.see(node)
            self._spreads.open(node)
            self.opened += 1
        self._count(shape, target, key, 1)
        if node:
            for pod in node.bound.values():
                self._count(self.shape(pod), node, pod.key, 1)
        if self.separations.turned:
            self.separations.turned = False
            self._loosen(target)

    def unbind(self, key: str) -> Target:
        """Take off its target, which is returned; Pods stay in the VM of a node, which is nowhere then."""
        target = self._where.pop(key)
        workload = target.bound[key]
        shape = self.shape(workload)
        if not target.host:
            target.give_back(workload)
            return target
        node = self._nodes.get(key) if workload.is_node else None
        if node:
            for pod in node.bound.values():
                self._count(self.shape(pod), node, pod.key, -1)
        self._count(shape, target, key, -1)
        if node:
            self._spreads.close(node)
            node.settle(None)
            self.opened += 1
        self._hold(shape, target, key, -1)
        target.give_back(workload)
        self.separations.turned = False
        self._loosen(target)
        if self._reservations.shared:
            self._rankings.clear()
        return target

    def _hold(self, shape: Shape, target: Target, key: str, by: int) -> None:
        """What it takes beside what is free: a reservation, and room in NUMA nodes."""
        if self._reserves:
            self._reservations.count(shape, target, key, self._nodes.get(key), by)
        if shape.workload.scheduling.numa and not target.node:
            self._numa.count(shape, target, key, by)

    def _count(self, shape: Shape, target: Target, key: str, by: int) -> None:
        """What depends on where it is, and not on what it takes."""
        if shape.matched or shape.apart:
            self._affinities.count(shape, target, by)
        if shape.spread_over:
            self._spreads.count(shape, target, by)
        if shape.rules:
            self._rules.count(shape, target, by)
        if shape.levels:
            self.separations.count(shape, target, key, by)
        if shape.owner:
            self.replicas.count(shape, target, by)

    def _loosen(self, target: Target) -> None:
        """Rankings look again at the Host and all nodes on it; where Hosts share limits, at everything."""
        self.loosened.add(self.on_host(target.host))
