"""Workloads in classes that no selector can tell apart: what the compiler works on instead of workloads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property

from msgspec import Struct

from sdn.model import (
    AllOf,
    AnyOf,
    Expression,
    InGroup,
    IPBlock,
    Kind,
    LabelSelector,
    Model,
    Peer,
    Placed,
    Selector,
    Where,
)
from sdn.policy.compiler_vocabulary import NAME_LABEL, GroupBook, NamedPort, Vocabulary, WorkloadClass
from sdn.policy.selector import LabelIndex, mask_of, positions_of


class PodSelector(Struct, frozen=True, gc=False):
    """A NetworkPolicy's peer, made absolute: Pods of `namespace`, or of all that `namespaces` matches."""

    namespace: str
    pods: LabelSelector
    namespaces: LabelSelector | None = None


class MembersOf(Struct, frozen=True, gc=False):
    """The members of a Group, by its name: what it holds may change, and rules about it stay."""

    group: str


Part = Selector | PodSelector | MembersOf
"""What a rule may unite into one group."""


class Universe:
    """All workloads with an endpoint, by class. Masks are over `classes`; bit i is `classes[i]`."""

    def __init__(self, model: Model, vocabulary: Vocabulary, members: Mapping[WorkloadClass, Iterable[str]]) -> None:
        self.vocabulary = vocabulary
        self.book = vocabulary.book
        self.classes = sorted(members)
        self.members = [sorted(members[one]) for one in self.classes]
        self.all = (1 << len(self.classes)) - 1
        self.has_named_ports = bool(vocabulary.ports)
        self._model = model
        self._ranges = self._namespace_ranges()
        self._own: dict[str, tuple[LabelIndex, int]] = {}
        self._by_number: dict[NamedPort, dict[int, int]] = {}
        self._groups: dict[str, int] = {}
        self._selected: dict[Selector, int] = {}
        self._subjects: dict[tuple[tuple[Peer, ...], bool], tuple[int, int]] = {}
        self.excluded = self.select_any(model.exclusions)

    def beside(self, classes: Iterable[WorkloadClass]) -> Universe:
        """Other classes under the same policies, without members."""
        return Universe(self._model, self.vocabulary, dict.fromkeys(classes, ()))

    def select(self, part: Part) -> int:
        """The classes that a selector of ours, a Group or a NetworkPolicy's peer holds."""
        if isinstance(part, Selector):
            return self._select(part)
        if isinstance(part, MembersOf):
            return self.group(part.group)
        if part.namespaces is None:
            start, mask = self.pods(part.namespace, part.pods)
            return mask << start if mask else 0
        return self._pods & self._spaces.match(part.namespaces) & self._labels.match(part.pods)

    def select_any(self, selectors: Iterable[Selector]) -> int:
        """The classes that at least one of the selectors matches."""
        found = 0
        for selector in selectors:
            found |= self._select(selector)
        return found

    def group(self, name: str) -> int:
        """The members of a Group and of the Groups within it."""
        if name not in self._groups:
            group = self.book.get(name)
            found = self._expression(group.members) if group.members is not None else 0
            for inner in group.within:
                found |= self.group(inner)
            self._groups[name] = found
        return self._groups[name]

    def subjects(self, own: tuple[Peer, ...], excluded: bool) -> tuple[int, int]:
        """Whom a rule is for by its own side: the classes for packets of IPv4, and those for IPv6."""
        if not own:
            return self.all, self.all
        key = (own, excluded)
        if key not in self._subjects:
            members = self.select_any(peer.selector for peer in own if peer.selector is not None)
            for peer in own:
                members |= self.group(peer.group) if peer.group else 0
            by_family = {4: members, 6: members}
            for block in self.book.of_peers(own):
                family, mask = self._within(block)
                by_family[family] |= mask
            four, six = by_family[4], by_family[6]
            self._subjects[key] = (self.all & ~four, self.all & ~six) if excluded else (four, six)
        return self._subjects[key]

    def pods(self, namespace: str, selector: LabelSelector) -> tuple[int, int]:
        """Pods of one namespace as (first class, mask from there): small numbers, however many namespaces there are."""
        start, end = self._ranges.get(namespace, (0, 0))
        if namespace not in self._own:
            own = self.classes[start:end]
            index = LabelIndex([dict(found.labels) for found in own])
            self._own[namespace] = index, mask_of([i for i, found in enumerate(own) if found.kind is Kind.POD])
        index, pods = self._own[namespace]
        return start, index.match(selector) & pods

    def numbers(self, port: NamedPort) -> dict[int, int]:
        """The port numbers that a name stands for, each with the classes where it does."""
        if port not in self._by_number:
            found = self._numbers.get(port, {})
            self._by_number[port] = {number: mask_of(classes) for number, classes in sorted(found.items())}
        return self._by_number[port]

    def workloads(self, mask: int, start: int = 0) -> tuple[str, ...]:
        """The keys of all workloads in these classes, sorted; `start` is the class of the mask's first bit."""
        return tuple(sorted([key for position in positions_of(mask) for key in self.members[start + position]]))

    def _select(self, selector: Selector) -> int:
        if selector not in self._selected:
            self._selected[selector] = self._matching(selector)
        return self._selected[selector]

    def _matching(self, selector: Selector) -> int:
        found = self.all
        for key, values in self._alternatives(selector):
            found &= self._facts.having(key, values)
        if selector.groups:
            among = 0
            for name in selector.groups:
                among |= self.group(name)
            found &= among
        if selector.namespace_labels is not None:
            found &= self._spaces.match(selector.namespace_labels)
        if selector.labels is not None and found:
            found &= self._labels.match(selector.labels)
        return found

    def _expression(self, expression: Expression) -> int:
        match expression:
            case Where(selector):
                return self._select(selector)
            case InGroup(name):
                return self.group(name)
            case AllOf(parts):
                found = self.all
                for part in parts:
                    found &= self._expression(part)
                return found
            case AnyOf(parts):
                found = 0
                for part in parts:
                    found |= self._expression(part)
                return found

    def _alternatives(self, selector: Selector) -> list[tuple[str, tuple[str, ...]]]:
        asked = [
            ("namespace", selector.namespaces),
            ("application", selector.applications),
            ("segment", selector.segments),
            ("kind", (selector.kind.value,) if selector.kind else ()),
            (f"name {selector.name}", ("",) if selector.name else ()),
            (f"list {self.vocabulary.lists.get(selector.keys)}", ("",) if selector.keys else ()),
        ]
        return [(key, values) for key, values in asked if values]

    def _within(self, block: IPBlock) -> tuple[int, int]:
        """(family, classes) of the workloads whose own address of that family is in the block."""
        family, places = self.vocabulary.places.inside(block)
        masks = self._places[family]
        found = 0
        for place in places & masks.keys():
            found |= masks[place]
        return family, found

    def _namespace_ranges(self) -> dict[str, tuple[int, int]]:
        ranges: dict[str, tuple[int, int]] = {}
        first = 0
        for position, found in enumerate(self.classes, 1):
            if position == len(self.classes) or self.classes[position].namespace != found.namespace:
                ranges[found.namespace] = first, position
                first = position
        return ranges

    # What follows covers all classes at once; clusters whose policies stay inside their namespaces never need it.

    @cached_property
    def _labels(self) -> LabelIndex:
        return LabelIndex([dict(found.labels) for found in self.classes])

    @cached_property
    def _facts(self) -> LabelIndex:
        return LabelIndex([_facts(found) for found in self.classes])

    @cached_property
    def _spaces(self) -> LabelIndex:
        labels = self.vocabulary.spaces
        return LabelIndex([labels.get(c.namespace, {NAME_LABEL: c.namespace}) for c in self.classes])

    @cached_property
    def _pods(self) -> int:
        return mask_of([position for position, found in enumerate(self.classes) if found.kind is Kind.POD])

    @cached_property
    def _numbers(self) -> dict[NamedPort, dict[int, list[int]]]:
        found: dict[NamedPort, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for position, one in enumerate(self.classes):
            for protocol, name, number in one.ports:
                found[protocol, name][number].append(position)
        return found

    @cached_property
    def _places(self) -> dict[int, dict[int, int]]:
        """Family → place → the classes whose address is there."""
        found: dict[int, dict[int, list[int]]] = {4: defaultdict(list), 6: defaultdict(list)}
        for position, one in enumerate(self.classes):
            for family, place in zip((4, 6), one.places, strict=True):
                found[family][place].append(position)
        return {family: {place: mask_of(p) for place, p in places.items()} for family, places in found.items()}


def universe_of(placed: Placed) -> Universe:
    """The workloads of a lab."""
    vocabulary = Vocabulary(placed.model, GroupBook(placed.model.groups))
    members: dict[WorkloadClass, list[str]] = {}
    for workload in placed.model.workloads:
        key = workload.key
        endpoint = placed.endpoints.get(key)
        if endpoint is not None:
            members.setdefault(vocabulary.classify(workload, endpoint), []).append(key)
    return Universe(placed.model, vocabulary, members)


def _facts(found: WorkloadClass) -> dict[str, str]:
    """What is not a label, as labels; a pattern or a list is a key of its own, for several may hold for one."""
    return {
        "namespace": found.namespace,
        "application": found.application,
        "segment": found.segment,
        "kind": found.kind,
        **{f"name {pattern}": "" for pattern in found.patterns},
        **{f"list {number}": "" for number in found.lists},
    }
