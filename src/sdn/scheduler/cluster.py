"""What runs where, what is free, and every rule about it, as one value that takes one binding at a time.

Whoever plans on it asks `blocked` before he binds: `bind` itself refuses nothing, so that what runs already can be
looked at although it breaks a rule.
"""

from __future__ import annotations

from sdn.model import Kind, Model, Placement, Workload
from sdn.scheduler.explanation import Explanation, explanation
from sdn.scheduler.judged import Judged
from sdn.scheduler.queue import Queue
from sdn.scheduler.ranking import Ranking
from sdn.scheduler.score import Score
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target


class Cluster(Judged):
    """All Hosts and nodes of a Model with what is bound to them, every rule about it, and what would be best."""

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
