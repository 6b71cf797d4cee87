"""What runs where, what is free, and every rule about it, as one value that takes one binding at a time.

Whoever plans on it asks `blocked` before he binds: `bind` itself refuses nothing, so that what runs already can be
looked at although it breaks a rule.
"""

from __future__ import annotations

from collections.abc import Iterable

from sdn.model import HOSTNAME, HostState, Kind, Model, Placement, Workload
from sdn.scheduler.admission import AdmissionControl
from sdn.scheduler.explanation import Explanation, explanation
from sdn.scheduler.filters import EVICTING, REPELLING, Reason, mismatch, shortage
from sdn.scheduler.ground import Ground
from sdn.scheduler.numa import Numa
from sdn.scheduler.pools import Pools
from sdn.scheduler.queue import Queue
from sdn.scheduler.ranking import Ranking
from sdn.scheduler.reservations import Reservations
from sdn.scheduler.rules import Rules
from sdn.scheduler.score import Replicas, Score
from sdn.scheduler.selection import Selection
from sdn.scheduler.separations import Separations
from sdn.scheduler.shape import Shape, Shapes
from sdn.scheduler.spreading import Spreads
from sdn.scheduler.standing import Standing, reserving
from sdn.scheduler.target import MAINTENANCE, Target
from sdn.scheduler.terms import Affinities


class Cluster(Ground):
    """All Hosts and nodes of a Model with what is bound to them, and every rule about it."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._make_rules(model)
        self._where: dict[str, Target] = {}
        self._rankings: dict[tuple[object, ...], tuple[int, Ranking]] = {}
        self._shape_of: dict[str, Shape] = {}
        self._meet(self.workloads.values())
        self.loosened: list[Target] = []  # what rankings must look at again, because it may have become better
        self.opened = 0  # how often a node has come or gone: rankings of nodes from before are void

    def _make_rules(self, model: Model) -> None:
        rules, hosts = model.constraints, tuple(sorted(model.underlay.hosts, key=lambda host: host.name))
        selection = Selection(model.namespaces, model.groups)
        spaces = {w.namespace for w in self.workloads.values()} | {each.name for each in model.namespaces}
        self._shapes = Shapes()
        self.standing = Standing(rules, self.hosts)
        self._affinities = Affinities(selection, spaces)
        self._spreads = Spreads(self.standing.admits)
        self._rules = Rules(rules.rules, hosts, selection)
        self.separations = Separations(rules.separations)
        self.replicas = Replicas()
        self._numa = Numa(hosts)
        there = [host for host in hosts if host.state is not HostState.FAILED]
        total = (sum(host.cpu for host in there), sum(host.memory for host in there))
        self._reservations = Reservations(Pools(rules.pools, total), AdmissionControl(rules.admission, hosts))
        self._reserves = self._reservations.shared or reserving(tuple(self.workloads.values()), self.hosts)

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

    # What there is

    def where(self, key: str) -> Target | None:
        """The Host or node that a workload is bound to, None if it is not."""
        return self._where.get(key)

    # Shapes

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

    # Binding

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
        self.loosened.extend(self.on_host(target.host))

    # Rules

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

    # Wishes

    def cost(self, workload: Workload, target: Target) -> Score:
        """What speaks against binding it there; comparable between targets of one workload, smaller is better."""
        shape = self.shape(workload)
        dislike, opening, wish = self.standing_cost(shape, target)
        near = self.near_cost(shape, target)
        far = self.far_cost(shape, target)
        together = [a + b for a, b in zip(near[:4], far, strict=True)]
        return (
            dislike,
            opening,
            together[0],
            wish + together[1],
            together[2],
            together[3],
            *near[4:],
            target.load + target.adds(workload),
            target.id,
        )

    def standing_cost(self, shape: Shape, target: Target) -> tuple[int, int, int]:
        """What nobody near it changes: rules and taints that ask to stay away, a place that others need, its wishes."""
        dislike, wish = self.standing.dislike(shape, target)
        return dislike, self.separations.opening(shape, target) if shape.levels else 0, wish

    def near_cost(self, shape: Shape, target: Target) -> tuple[int, int, int, int, int, int]:
        """Of what is on the Host or the target itself: rules, affinity, spread, 0, replicas on Host and target."""
        return (
            self._rules.disregard(shape, target, hosts=True) if shape.rules else 0,
            self._affinities.wish(shape, target, hosts=True) if shape.wishes else 0,
            self._spreads.skew(shape, target, hosts=True) if shape.spreads else 0,
            0,
            *self.replicas.near(shape, target),
        )

    def far_cost(self, shape: Shape, target: Target) -> tuple[int, int, int, int]:
        """Of what is in its domains: rules, affinity, spread, replicas."""
        return (
            self._rules.disregard(shape, target, hosts=False) if shape.rules else 0,
            self._affinities.wish(shape, target, hosts=False) if shape.wishes else 0,
            self._spreads.skew(shape, target, hosts=False) if shape.spreads else 0,
            self.replicas.in_domain(shape, target),
        )

    def best(self, workload: Workload) -> Target | None:
        """The cheapest target that nothing blocks, None if there is none."""
        queue = self.queue(workload)
        target = queue.best()
        queue.close()
        return target

    def queue(self, workload: Workload) -> Queue:
        """Its candidates, the best first; bind to nothing else before it is closed."""
        shape = self.shape(workload)
        known = self._rankings.get(shape.request)
        if known is None or (workload.kind is Kind.POD and known[0] != self.opened):
            known = self._rankings[shape.request] = (
                self.opened,
                Ranking(self, shape, self.targets_of(workload)),
            )
        return Queue(self, known[1], shape, workload)

    # Answers

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

    def explain(self, workload: Workload) -> Explanation:
        """Why it does not fit, and where; asked as if it were not bound."""
        target = self._where.get(workload.key)
        if target:
            self.unbind(workload.key)
        answer = explanation(self, workload)
        if target:
            self.bind(workload, target)
        return answer

    def placement(self) -> Placement:
        """Everything that is bound, by key."""
        bound = sorted(self._where.items())
        return Placement(
            hosts={key: target.host for key, target in bound if target.host},
            nodes={key: target.node for key, target in bound if target.host and target.node},
        )
