"""Whom a move could hurt although no rule forbids it to who moves: those who must be near it, and those spread with it.

Kubernetes asks both rules only when something is bound, so it lets a neighbour leave; a plan of moves does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sdn.scheduler.cluster import Cluster
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target
from sdn.scheduler.terms import Term


class Bystanders:
    """Who asks for which term or spread, looked up once."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._near: defaultdict[int, list[str]] = defaultdict(list)  # by the identity of a Term or Spreading
        self._spread: defaultdict[int, list[str]] = defaultdict(list)
        self._any = any(shape.near or any(each.written.required for each in shape.spreads) for shape in cluster.shapes)
        for key, workload in cluster.workloads.items() if self._any else ():
            shape = cluster.shape(workload)
            for term in shape.near:
                self._near[id(term)].append(key)
            for spreading in shape.spreads:
                if spreading.written.required:
                    self._spread[id(spreading)].append(key)

    def followers(self, key: str) -> list[str]:
        """Those who must be near it, or near a Pod in it, wherever they are."""
        shapes = self._shapes(key)
        near = {other for shape in shapes for term in shape.matched for other in self._near.get(id(term), ())}
        return sorted(near - {key})

    def of(self, key: str) -> list[str]:
        """All whose rules count it, or a Pod in it. A node also makes and ends domains, so that is everybody spread."""
        if not self._any:
            return []
        if self._cluster.workloads[key].is_node:
            spread = {other for others in self._spread.values() for other in others}
        else:
            over = self._cluster.shape(self._cluster.workloads[key]).spread_over
            spread = {other for spreading in over for other in self._spread.get(id(spreading), ())}
        return sorted({*self.followers(key), *spread} - {key})

    def broken(self, others: Iterable[str]) -> frozenset[str]:
        """Those of them who break a rule now."""
        return frozenset(other for other in self._examples(others) if self._cluster.broken(other))

    def hurt(self, key: str, target: Target | None, others: Iterable[str], before: frozenset[str]) -> str | None:
        """The first who breaks a rule once it is there (None: stopped) and is not one of those who did before."""
        cluster, workload = self._cluster, self._cluster.workloads[key]
        source = cluster.unbind(key) if cluster.where(key) else None
        if target is not None:
            cluster.bind(workload, target)
        hurt = next((other for other in self._examples(others) if other not in before and cluster.broken(other)), None)
        if target is not None:
            cluster.unbind(key)
        if source is not None:
            cluster.bind(workload, source)
        return hurt

    def parts(self, key: str, target: Target) -> bool:
        """Whether a node would take Pods away from those that they must be near, to where only they are."""
        node = self._cluster.inside(key)
        if node is None or not self._near:
            return False
        shapes = [self._cluster.shape(pod) for pod in node.bound.values()]
        terms = {id(term): term for shape in shapes for term in shape.near}
        return any(_parts(term, shapes, node, target) for term in terms.values())

    def _examples(self, others: Iterable[str]) -> list[str]:
        """One of each Shape in each place, for all of them are judged alike; who runs nowhere breaks nothing."""
        found: dict[tuple[int, str], str] = {}
        for key in others:
            target = self._cluster.where(key)
            if target is not None and target.host:
                found.setdefault((self._cluster.shape(self._cluster.workloads[key]).number, target.id), key)
        return list(found.values())

    def _shapes(self, key: str) -> list[Shape]:
        """Of the workload and of all that travels with it."""
        node = self._cluster.inside(key)
        inside = node.bound.values() if node else ()
        return [self._cluster.shape(workload) for workload in (self._cluster.workloads[key], *inside)]


def _parts(term: Term, inside: Iterable[Shape], node: Target, target: Target) -> bool:
    if term.topology in node.own_labels:
        return False
    here, there = node.places.get(term.topology), target.places.get(term.topology)
    meant = [shape for shape in inside if term.means(shape)]
    alone = all(term in shape.near for shape in meant)
    return here != there and alone and there not in term.counts and sum(term.counts.values()) > len(meant)
