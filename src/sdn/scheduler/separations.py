"""Sensitivity levels and tenants: workloads of different values share no Host, or no VM.

A place belongs to the first value that is there. How many places each value should take is a quota, a wish only:
without it the first value would spread over all of them and leave none to the next.
"""

from __future__ import annotations

from collections.abc import Iterator

from sdn.model import Separation
from sdn.scheduler.filters import Reason
from sdn.scheduler.shape import Shape
from sdn.scheduler.target import Target
from sdn.scheduler.terms import shift


class Places:
    """Hosts or nodes that one Separation tells apart, with how many there are of each value in each."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, int]] = {}
        self.opened: dict[str, int] = {}  # value → places that it has
        self.quota: dict[str, int] = {}

    def count(self, place: str, value: str, by: int) -> bool:
        """Whether the place was or became empty of everybody."""
        values = self.values.setdefault(place, {})
        before = value in values
        shift(values, value, by)
        after = value in values
        if before != after:
            shift(self.opened, value, after - before)
        return before != after

    def exceeds(self, place: str, value: str) -> bool:
        """Whether taking the place would give the value more than its quota."""
        if self.values.get(place):
            return False
        quota = self.quota.get(value)
        return quota is not None and self.opened.get(value, 0) >= quota


class Separations:
    """Every Separation of a lab; absence of the label is the value ""."""

    def __init__(self, written: tuple[Separation, ...]) -> None:
        self.written = written
        self.hosts = [Places() for _ in written]  # with `vm`: of what is in no node
        self.vms = [Places() for _ in written]
        self.turned = False  # whether a place has changed sides since somebody last looked

    def describe(self, shape: Shape) -> None:
        """The values of a shape; a node without the label has none."""
        w = shape.workload
        shape.levels = tuple(w.labels.get(each.label, None if w.is_node else "") for each in self.written)

    def _places(self, shape: Shape, target: Target, key: str) -> Iterator[tuple[int, Places, str, str]]:
        """Where it counts: (which Separation, its places, the place, the value)."""
        for index, each in enumerate(self.written):
            level = shape.levels[index]
            if level is None:
                continue
            node = key if shape.workload.is_node else target.node
            if each.within == "host" or not node:
                yield index, self.hosts[index], target.host, level
            else:
                yield index, self.vms[index], node, level

    def reason(self, shape: Shape, target: Target, key: str) -> Reason | None:
        """Who of another value is there."""
        for index, places, place, level in self._places(shape, target, key):
            values = places.values.get(place)
            if values and (len(values) > 1 or level not in values):
                label = self.written[index].label
                other = next(value for value in sorted(values) if value != level)
                text = f"workloads {_of(label, other)} (this one is {_of(label, level)})"
                return Reason(f"runs {text}", f"run {text}", "add a Host or node that nobody of another value uses")
        return None

    def count(self, shape: Shape, target: Target, key: str, by: int) -> None:
        """A workload of that shape came (1) or went (-1)."""
        for _, places, place, level in self._places(shape, target, key):
            if places.count(place, level, by):
                self.turned = True

    def opening(self, shape: Shape, target: Target) -> int:
        """In how many ways it would take a place that others need."""
        key = shape.workload.key
        return sum(places.exceeds(place, level) for _, places, place, level in self._places(shape, target, key))


def _of(label: str, value: str) -> str:
    return f"with {label}={value}" if value else f"without {label}"
