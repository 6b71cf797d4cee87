"""What decides where a workload may go, without its name: all that are alike share one Shape.

Every rule looks a workload up once, when its Shape is made, and never again per decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdn.model import Kind, NodeTerm, Resources, Scheduling, Workload

if TYPE_CHECKING:
    from sdn.scheduler.rules import Rule
    from sdn.scheduler.spreading import Spreading
    from sdn.scheduler.terms import Term

_SEEN = 100  # forms of what is asked of the scheduler, beyond those in use, that are known by identity

Owner = tuple[str, str, str]  # namespace, kind and name of what made the replicas


@dataclass(slots=True, eq=False)
class Shape:
    """One kind of workload, by an example; each family of rules fills in its own fields."""

    workload: Workload
    number: int  # in the order of keys, so equal in every run
    owner: Owner | None
    rules: tuple[Rule, ...] = ()
    hosts: frozenset[str] | None = None  # the only ones that musts and volumes leave; None for all
    refused: str = ""  # why it may run nowhere, as images and volumes have it
    near: tuple[Term, ...] = ()
    apart: tuple[Term, ...] = ()
    wishes: tuple[tuple[int, Term], ...] = ()
    node_wishes: tuple[tuple[int, NodeTerm], ...] = ()
    matched: tuple[Term, ...] = ()  # terms that mean it
    repelled: tuple[Term, ...] = ()  # those of them that somebody must be apart from
    spreads: tuple[Spreading, ...] = ()
    spread_over: tuple[Spreading, ...] = ()  # those that count it
    levels: tuple[str | None, ...] = ()  # its value in each Separation; None for a node that has none of its own
    topologies: tuple[str, ...] = ()  # labels on which its rules depend, HOSTNAME left out
    admitted: int = 0  # number of its node selector and node affinity
    fixed: int = 0  # number of all that nothing that is bound changes
    request: tuple[object, ...] = ()  # `fixed`, its size roughly, and whatever else can make a target full

    @property
    def resources(self) -> Resources | None:
        """vSphere's numbers, if it has any."""
        return self.workload.scheduling.resources


def owner_of(workload: Workload) -> Owner | None:
    """Whose replica it is."""
    return (workload.namespace, *workload.owner) if any(workload.owner) else None


class Shapes:
    """Finds a workload's Shape number; equal content, equal number."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Shape] = {}
        self._schedulings: dict[Scheduling, int] = {}
        self._met = 0
        self._numbers = 0  # given so far: one that was forgotten is not given again
        self._seen: dict[int, tuple[Scheduling, int]] = {}  # by identity, because hashing one is slow

    def all(self) -> list[Shape]:
        """In the order in which they were met."""
        return list(self._known.values())

    def of(self, workload: Workload, rules: tuple[Rule, ...]) -> tuple[Shape, bool]:
        """The Shape, and whether it is new."""
        key = self._content(workload, rules)
        shape = self._known.get(key)
        if shape:
            return shape, False
        shape = self._known[key] = Shape(workload, self._met, owner_of(workload), rules)
        self._met += 1
        return shape, True

    def forget(self, shape: Shape) -> None:
        """Nobody has it any more."""
        self._known.pop(self._content(shape.workload, shape.rules), None)

    def tidy(self, workloads: int) -> None:
        """Forget what was asked for by those who have left, once they are more than the workloads that there are."""
        if len(self._seen) > 2 * workloads + _SEEN:
            self._seen.clear()
            used = {shape.workload.scheduling for shape in self._known.values()}
            self._schedulings = {one: number for one, number in self._schedulings.items() if one in used}

    def _content(self, w: Workload, rules: tuple[Rule, ...]) -> tuple[object, ...]:
        return (
            w.namespace,
            w.kind is Kind.VM,
            w.is_node,
            tuple(sorted(w.labels.items())) if w.labels else (),
            w.cpu,
            w.memory,
            tuple(sorted(w.selector.items())) if w.selector else (),
            w.tolerations,
            w.spread,
            w.host,
            w.owner,
            self._number(w.scheduling),
            rules,
        )

    def _number(self, scheduling: Scheduling) -> int:
        seen = self._seen.get(id(scheduling))
        if seen is None:
            number = self._schedulings.setdefault(scheduling, self._numbers)
            self._numbers += number == self._numbers
            seen = self._seen[id(scheduling)] = (scheduling, number)
        return seen[1]
