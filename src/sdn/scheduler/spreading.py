"""Kubernetes' topology spread, counted: per constraint, how many it selects in each domain that it admits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from sdn.model import HOSTNAME, Kind, LabelSelector, TopologySpread
from sdn.scheduler.filters import Reason
from sdn.scheduler.selection import labels_match
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import FAILED, Target
from sdn.scheduler.terms import lacking, selector_text

Admits = Callable[[Shape, Target], bool]
"""Whether a workload's own node selector and node affinity admit a target."""


class Domains:
    """The domains of one topology on the targets that one node selector and affinity admit."""

    def __init__(self, topology: str) -> None:
        self.topology = topology
        self.of: dict[str, str] = {}  # target → domain
        self.sizes: dict[str, int] = {}  # domain → targets

    def open(self, target: Target) -> None:
        """A target is there."""
        domain = target.places.get(self.topology)
        if domain is not None and target.id not in self.of:
            self.of[target.id] = domain
            self.sizes[domain] = self.sizes.get(domain, 0) + 1

    def close(self, target: Target) -> None:
        """It is there no more."""
        domain = self.of.pop(target.id, None)
        if domain is not None:
            self.sizes[domain] -= 1
            if not self.sizes[domain]:
                del self.sizes[domain]


class Spreading:
    """One constraint, shared by all workloads that say the same; `counts` has only domains that hold somebody."""

    __slots__ = ("_levels", "carried", "counts", "domains", "namespace", "selector", "written")

    def __init__(self, written: TopologySpread, namespace: str, domains: Domains) -> None:
        self.written = written
        self.namespace = namespace
        self.selector: LabelSelector | None = written.selector
        self.domains = domains
        self.counts: dict[str, int] = {}
        self.carried = 0  # of those whom it counts, who asks for it
        self._levels: dict[int, int] = {}  # count → domains that have it

    def selects(self, shape: Shape) -> bool:
        """Whether it counts such workloads."""
        w = shape.workload
        return self.selector is not None and w.namespace == self.namespace and labels_match(self.selector, w.labels)

    def least(self) -> int:
        """Of the domains that there are."""
        there = len(self.domains.sizes)
        if there < self.written.min_domains or len(self.counts) < there:
            return 0
        return min(self._levels, default=0)

    def count(self, target: Target, by: int, carried: bool) -> None:
        """Somebody whom it selects, and who may ask for it himself, came (1) or went (-1)."""
        domain = self.domains.of.get(target.id)
        if domain is None:
            return
        self.carried += by * carried
        before = self.counts.pop(domain, 0)
        self._level(before, -1)
        if before + by:
            self.counts[domain] = before + by
            self._level(before + by, 1)

    def _level(self, count: int, by: int) -> None:
        if count:
            now = self._levels.get(count, 0) + by
            if now:
                self._levels[count] = now
            else:
                del self._levels[count]

    def skewed(self) -> bool:
        """Whether a required one is broken anywhere."""
        most = max(self._levels, default=0)
        return self.written.required and most - self.least() > self.written.max_skew

    def over(self, shape: Shape, target: Target) -> int | None:
        """How many more than the least its domain would hold; None if it is in no domain."""
        domain = self.domains.of.get(target.id)
        if domain is None:
            return None
        return self.counts.get(domain, 0) + (self in shape.spread_over) - self.least()

    def __str__(self) -> str:
        return f"{selector_text(self.selector)} over {self.written.topology}"


class Spreads:
    """Every constraint of a lab, and the domains that they share."""

    def __init__(self, admits: Admits) -> None:
        self._admits = admits
        self._all: dict[tuple[object, ...], Spreading] = {}
        self._domains: dict[tuple[object, ...], tuple[Shape, Domains]] = {}
        self._by_label: defaultdict[tuple[str, str, str], list[Spreading]] = defaultdict(list)
        self._unlabelled: defaultdict[str, list[Spreading]] = defaultdict(list)

    @property
    def used(self) -> bool:
        """Whether anybody has a constraint."""
        return bool(self._all)

    def describe(self, shape: Shape, targets: Callable[[], Iterable[Target]]) -> list[Spreading]:
        """Give a shape its constraints; returns those that nobody had before."""
        known = len(self._all)
        shape.spreads = tuple(self._find(each, shape, targets) for each in shape.workload.scheduling.spread)
        return list(self._all.values())[known:]

    def relate(self, shape: Shape) -> None:
        """Find the constraints that count a shape; all must be known by now."""
        if not self._all:
            return
        space = shape.workload.namespace
        candidates = [*self._unlabelled.get(space, ())]
        for pair in shape.workload.labels.items():
            candidates += self._by_label.get((space, *pair), ())
        shape.spread_over = tuple(each for each in candidates if each.selects(shape))

    def _find(self, written: TopologySpread, shape: Shape, targets: Callable[[], Iterable[Target]]) -> Spreading:
        w = shape.workload
        affinity = w.scheduling.affinity
        admitted = (
            w.kind is Kind.VM,
            tuple(sorted(w.selector.items())),
            affinity.nodes if affinity else (),
            written.topology,
        )
        key = (*admitted, w.namespace, written)
        if key not in self._all:
            spreading = self._all[key] = Spreading(written, w.namespace, self._opened(admitted, shape, targets))
            if written.selector and written.selector.labels:
                self._by_label[(w.namespace, *written.selector.labels[0])].append(spreading)
            else:
                self._unlabelled[w.namespace].append(spreading)
        return self._all[key]

    def _opened(self, admitted: tuple[object, ...], shape: Shape, targets: Callable[[], Iterable[Target]]) -> Domains:
        if admitted not in self._domains:
            domains = Domains(str(admitted[-1]))
            self._domains[admitted] = (shape, domains)
            for target in targets():
                if self._admits(shape, target):
                    domains.open(target)
        return self._domains[admitted][1]

    def open(self, node: Target) -> None:
        """The VM of a node is on a Host, which has not failed."""
        if node.closed == FAILED:
            return
        for shape, domains in self._domains.values():
            if shape.workload.kind is Kind.POD and self._admits(shape, node):
                domains.open(node)

    def close(self, node: Target) -> None:
        """It is on none."""
        for _, domains in self._domains.values():
            domains.close(node)

    @staticmethod
    def reason(shape: Shape, target: Target, far: bool = False, staying: bool = False) -> Reason | None:
        """Where the skew would grow too large; `far` leaves out what is about single targets.

        `staying`: whoever came later and was not asked itself may have skewed it, and that moves nobody away.
        """
        for spreading in shape.spreads:
            if not spreading.written.required or (far and spreading.written.topology == HOSTNAME):
                continue
            if staying and spreading.carried != sum(spreading.counts.values()):
                continue
            over = spreading.over(shape, target)
            if over is None:
                return lacking(spreading.written.topology)
            if over > spreading.written.max_skew:
                text = f"skew {spreading} by more than {spreading.written.max_skew}"
                return Reason(
                    f"would {text}", f"would {text}", "make room in the domains that have fewer, or allow more skew"
                )
        return None

    @staticmethod
    def count(shape: Shape, target: Target, by: int) -> None:
        """A workload of that shape came (1) or went (-1)."""
        for spreading in shape.spread_over:
            spreading.count(target, by, spreading in shape.spreads)

    @staticmethod
    def recount(spreadings: Iterable[Spreading], shape: Shape, target: Target) -> None:
        """Somebody was bound before these constraints were known."""
        for spreading in spreadings:
            if spreading in shape.spread_over:
                spreading.count(target, 1, spreading in shape.spreads)

    @staticmethod
    def topologies(shape: Shape) -> Iterator[str]:
        """On which labels it depends where such a workload may or would like to go."""
        yield from (spreading.written.topology for spreading in shape.spreads)

    @staticmethod
    def skew(shape: Shape, target: Target, hosts: bool) -> int:
        """How much a wish to be spread is not met, over single targets, or over all other domains.

        A place without the label counts as the worst.
        """
        total = 0
        for spreading in shape.spreads:
            if not spreading.written.required and (spreading.written.topology == HOSTNAME) is hosts:
                domain = spreading.domains.of.get(target.id)
                counts = spreading.counts
                total += max(counts.values(), default=0) + 1 if domain is None else counts.get(domain, 0)
        return total
