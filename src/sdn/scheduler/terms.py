"""Kubernetes' pod affinity, counted: how many bound workloads each term means, per domain of its topology.

Terms are keyed by what they say, so all replicas, and all owners that say the same, share one count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

from sdn.model import HOSTNAME, LabelSelector, PodTerm
from sdn.scheduler.filters import Reason
from sdn.scheduler.selection import Selection, labels_match
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target

FEW = 2
"""With so many of those whom a term means in a domain, the other one may be who must be near them himself."""

Key = TypeVar("Key", str, int)


class Term:
    """One term; per domain, whom it means (`counts`), who must be apart (`owners`) and near them (`followers`)."""

    __slots__ = ("counts", "followers", "members", "namespaces", "owners", "selector", "topology")

    def __init__(self, topology: str, selector: LabelSelector | None, namespaces: frozenset[str] | None) -> None:
        self.topology = topology
        self.selector = selector
        self.namespaces = namespaces  # None: all
        self.counts: dict[str, int] = {}
        self.owners: dict[str, int] = {}
        self.followers: dict[str, int] = {}
        self.members: dict[str, int] = {}  # followers whom it means as well

    def means(self, shape: Shape) -> bool:
        """Whether such a workload is one of those that the term is about."""
        return (
            self.selector is not None
            and (self.namespaces is None or shape.workload.namespace in self.namespaces)
            and labels_match(self.selector, shape.workload.labels)
        )

    def begun(self, shape: Shape, staying: bool) -> bool:
        """Whether such a workload may be the first in a domain, or, staying, may have been when it came.

        Somebody elsewhere must then have come later without asking to be near it, as not all do whom the term means.
        """
        if not self.means(shape):
            return False
        return all(staying and self.counts[domain] > self.members.get(domain, 0) for domain in self.counts)

    def __str__(self) -> str:
        return f"{selector_text(self.selector)} within one {self.topology}"


def selector_text(selector: LabelSelector | None) -> str:
    """As kubectl takes it: `app=web,tier in (a,b)`."""
    if selector is None:
        return "nobody"
    parts = [f"{key}={value}" for key, value in selector.labels]
    for each in selector.expressions:
        values = f" ({','.join(each.values)})" if each.values else ""
        parts.append(f"{each.key} {each.operator}{values}")
    return ",".join(parts) or "anybody"


def shift(counts: dict[Key, int], domain: Key, by: int) -> None:
    """Count, and forget who is at 0: what is left is what there is."""
    now = counts.get(domain, 0) + by
    if now:
        counts[domain] = now
    else:
        del counts[domain]


def lacking(label: str) -> Reason:
    """A target is in no domain of a topology."""
    return Reason(f"lacks label {label}", f"lack label {label}", f"label a Host or node with {label}")


class Affinities:
    """Every term of a lab, with what each shape has to do with it."""

    def __init__(self, selection: Selection, namespaces: Iterable[str]) -> None:
        self._selection = selection
        self._namespaces = sorted(namespaces)
        self._terms: dict[tuple[object, ...], Term] = {}
        self._by_label: defaultdict[tuple[str, str], list[Term]] = defaultdict(list)
        self._unlabelled: list[Term] = []
        self._apart: set[Term] = set()
        self._namespaced: dict[LabelSelector, frozenset[str]] = {}

    @property
    def used(self) -> bool:
        """Whether anybody has a term."""
        return bool(self._terms)

    def describe(self, shape: Shape) -> list[Term]:
        """Give a shape its own terms; returns those that nobody had before."""
        affinity = shape.workload.scheduling.affinity
        if affinity is None:
            return []
        known = len(self._terms)
        space = shape.workload.namespace
        shape.near = tuple(self._term(each, space) for each in affinity.near)
        shape.apart = tuple(self._term(each, space) for each in affinity.apart)
        wishes = [(each.weight, each) for each in affinity.wishes] + [
            (-each.weight, each) for each in affinity.apart_wishes
        ]
        shape.node_wishes = tuple((weight, each.node) for weight, each in wishes if each.node is not None)
        shape.wishes = tuple((weight, self._term(each.pods, space)) for weight, each in wishes if each.pods is not None)
        self._apart.update(shape.apart)
        return list(self._terms.values())[known:]

    def relate(self, shape: Shape) -> None:
        """Find the terms that mean a shape; all terms must be known by now."""
        if not self._terms:
            return
        candidates = [*self._unlabelled]
        for pair in shape.workload.labels.items():
            candidates += self._by_label.get(pair, ())
        shape.matched = tuple(term for term in candidates if term.means(shape))
        shape.repelled = tuple(term for term in shape.matched if term in self._apart)

    def _term(self, written: PodTerm, namespace: str) -> Term:
        spaces = self._spaces(written, namespace)
        key = (written.topology, written.selector, spaces)
        if key not in self._terms:
            term = self._terms[key] = Term(*key)
            if term.selector and term.selector.labels:
                self._by_label[term.selector.labels[0]].append(term)
            else:
                self._unlabelled.append(term)
        return self._terms[key]

    def _spaces(self, written: PodTerm, namespace: str) -> frozenset[str] | None:
        selector = written.namespace_labels
        if selector is None:
            return frozenset(written.namespaces or (namespace,))
        if not selector.labels and not selector.expressions:
            return None
        if selector not in self._namespaced:
            self._namespaced[selector] = frozenset(
                name for name in self._namespaces if labels_match(selector, self._selection.namespace_labels(name))
            )
        return self._namespaced[selector] | frozenset(written.namespaces)

    @staticmethod
    def reason(shape: Shape, target: Target, far: bool = False, staying: bool = False) -> Reason | None:
        """Who is missing there, or must not be there; `far` leaves out what is about single targets.

        `staying`: who may start a domain of his own is not driven out of it when others start another.
        """
        places = target.places
        for term in shape.near:
            if far and term.topology == HOSTNAME:
                continue
            domain = places.get(term.topology)
            if domain is None:
                return lacking(term.topology)
            if domain not in term.counts and not term.begun(shape, staying):
                change = f"let one of {selector_text(term.selector)} run where it may run, too, or drop that affinity"
                return Reason(
                    f"has none of {term}, near which it must be", f"have none of {term}, near which it must be", change
                )
        for term in shape.apart:
            if far and term.topology == HOSTNAME:
                continue
            if places.get(term.topology) in term.counts:
                change = f"add a place without {selector_text(term.selector)}, or drop that anti-affinity"
                return Reason(
                    f"has one of {term}, apart from which it must be",
                    f"have one of {term}, apart from which it must be",
                    change,
                )
        for term in shape.repelled:
            if far and term.topology == HOSTNAME:
                continue
            if places.get(term.topology) in term.owners:
                change = "add a place without the workloads that must be apart from it, or drop their anti-affinity"
                return Reason(
                    f"has one that must be apart from {term}", f"have one that must be apart from {term}", change
                )
        return None

    @staticmethod
    def count(shape: Shape, target: Target, by: int) -> None:
        """A workload of that shape came (1) or went (-1)."""
        places = target.places
        for term in shape.matched:
            domain = places.get(term.topology)
            if domain is not None:
                shift(term.counts, domain, by)
        for term in shape.apart:
            domain = places.get(term.topology)
            if domain is not None:
                shift(term.owners, domain, by)
        for term in shape.near:
            domain = places.get(term.topology)
            if domain is not None:
                shift(term.followers, domain, by)
                if term in shape.matched:
                    shift(term.members, domain, by)

    @staticmethod
    def split(shape: Shape) -> bool:
        """Whether those who must be near such a workload, and are such themselves, are in more domains than one."""
        return any(
            sum(count <= term.members.get(domain, 0) for domain, count in term.counts.items()) > 1
            for term in shape.near
            if term in shape.matched
        )

    @staticmethod
    def strands(shape: Shape, target: Target) -> bool:
        """Whether somebody who must be near such a workload might have nobody left if it went."""
        for term in shape.matched:
            domain = target.places.get(term.topology)
            few = domain is not None and term.counts.get(domain, 0) <= FEW
            if few and term.followers.get(domain or "", 0) > (term in shape.near):
                return True
        return False

    @staticmethod
    def recount(terms: Iterable[Term], shape: Shape, target: Target) -> None:
        """Somebody was bound before these terms were known."""
        for term in terms:
            domain = target.places.get(term.topology)
            if domain is not None and term in shape.matched:
                shift(term.counts, domain, 1)

    @staticmethod
    def topologies(shape: Shape) -> Iterator[str]:
        """On which labels it depends where such a workload may or would like to go."""
        yield from (term.topology for term in (*shape.near, *shape.apart, *shape.repelled))
        yield from (term.topology for _, term in shape.wishes)

    @staticmethod
    def wish(shape: Shape, target: Target, hosts: bool) -> int:
        """Weights that speak against the target, less those for it; of terms about single targets, or of all others."""
        places = target.places
        return -sum(
            weight
            for weight, term in shape.wishes
            if (term.topology == HOSTNAME) is hosts and places.get(term.topology) in term.counts
        )
