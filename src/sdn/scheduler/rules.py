"""vSphere's rules: workloads together or apart, and on certain Hosts or never on those."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from sdn.model import HOSTNAME, Host, PlacementRule, Together, Workload
from sdn.scheduler.filters import Reason
from sdn.scheduler.selection import Selection
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target
from sdn.scheduler.terms import shift


class Rule:
    """One rule with how many of its workloads are in each domain; `hosts` are those that on and not-on name."""

    __slots__ = ("counts", "hosts", "topology", "written")

    def __init__(self, written: PlacementRule, hosts: Iterable[Host]) -> None:
        self.written = written
        self.topology = "" if written.topology == HOSTNAME else written.topology  # "" is the Host in Target.places
        self.counts: dict[str, int] = {}
        about = () if self.between else hosts  # thousands of rules times thousands of Hosts take a second
        self.hosts = frozenset(host.name for host in about if _names(written, host))

    @property
    def between(self) -> bool:
        """Whether it is about workloads with each other."""
        return self.written.kind in {Together.TOGETHER, Together.APART}

    def broken(self, target: Target) -> str:
        """What speaks against binding one of its workloads there; empty if nothing does."""
        name = self.written.name
        match self.written.kind:
            case Together.ON:
                return "" if target.host in self.hosts else f'is not where rule "{name}" wants it'
            case Together.NOT_ON:
                return f'is where rule "{name}" forbids it' if target.host in self.hosts else ""
            case Together.APART:
                apart = target.places.get(self.topology) not in self.counts
                return "" if apart else f'has another of rule "{name}", which keeps them apart'
            case Together.TOGETHER:
                domain = target.places.get(self.topology)
                if domain is None:
                    return f'lacks label {self.topology}, within which rule "{name}" keeps them together'
                here = all(other == domain for other in self.counts)
                return "" if here else f'is not where the others of rule "{name}" are, which keeps them together'


def _names(written: PlacementRule, host: Host) -> bool:
    if host.name in written.host_names:
        return True
    return bool(written.hosts) and all(host.labels.get(key) == value for key, value in written.hosts.items())


class Rules:
    """Every rule of a lab."""

    def __init__(self, written: Iterable[PlacementRule], hosts: tuple[Host, ...], selection: Selection) -> None:
        self._selection = selection
        self._hosts = frozenset(host.name for host in hosts)
        self.all = [Rule(each, hosts) for each in written]
        self._by_key: defaultdict[str, list[Rule]] = defaultdict(list)
        self._by_label: defaultdict[tuple[str, str], list[Rule]] = defaultdict(list)
        self._others: list[Rule] = []
        for rule in self.all:
            self._file(rule)

    def _file(self, rule: Rule) -> None:
        """Under what a workload must have, so that nobody asks all rules of all workloads."""
        selector = rule.written.workloads
        if selector.keys:
            for key in selector.keys:
                self._by_key[key].append(rule)
        elif selector.labels and selector.labels.labels:
            self._by_label[selector.labels.labels[0]].append(rule)
        else:
            self._others.append(rule)

    def of(self, workload: Workload) -> tuple[Rule, ...]:
        """The rules for a workload."""
        if not self.all:
            return ()
        candidates = [*self._others, *self._by_key.get(workload.key, ())]
        if self._by_label:
            for pair in workload.labels.items():
                candidates += self._by_label.get(pair, ())
        return tuple(rule for rule in candidates if self._selection.matches(rule.written.workloads, workload))

    def describe(self, shape: Shape) -> None:
        """The Hosts that the musts of a shape leave."""
        for rule in shape.rules:
            if rule.written.must and not rule.between:
                left = self._hosts if shape.hosts is None else shape.hosts
                shape.hosts = left & rule.hosts if rule.written.kind is Together.ON else left - rule.hosts

    @staticmethod
    def reason(shape: Shape, target: Target, far: bool = False) -> Reason | None:
        """The first must that binding there would break; `far` leaves out what is about single Hosts."""
        for rule in shape.rules:
            if far and (not rule.topology or not rule.between):
                continue
            if rule.written.must and (why := rule.broken(target)):
                return Reason(why, "", f'change rule "{rule.written.name}"')
        return None

    @staticmethod
    def count(shape: Shape, target: Target, by: int) -> None:
        """A workload of that shape came (1) or went (-1)."""
        for rule in shape.rules:
            if rule.between:
                domain = target.places.get(rule.topology)
                if domain is not None:
                    shift(rule.counts, domain, by)

    @staticmethod
    def topologies(shape: Shape) -> Iterator[str]:
        """On which labels it depends where such a workload may or would like to go."""
        yield from (rule.topology for rule in shape.rules if rule.between)

    @staticmethod
    def disregard(shape: Shape, target: Target, hosts: bool) -> int:
        """Rules that should hold, within a Host or in all other domains, by what binding would do to them.

        1 for each that it breaks by bringing workloads together, -1 for each that it keeps by that.
        """
        found = 0
        for rule in shape.rules:
            if not rule.written.must and rule.between and (rule.topology == "") is hosts:
                together = rule.written.kind is Together.TOGETHER
                if target.places.get(rule.topology) in rule.counts:
                    found += -1 if together else 1
        return found

    @staticmethod
    def fixed(shape: Shape, target: Target) -> int:
        """The same for rules about Hosts, which nothing that is bound changes."""
        return sum(bool(rule.broken(target)) for rule in shape.rules if not rule.written.must and not rule.between)
