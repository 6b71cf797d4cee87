"""A Cluster that changes by allowed steps only, and the record of them: the order in which a search finds its moves is
the order in which they can be made.

Nothing goes where a rule forbids it; whoever tried in vain takes his steps back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sdn.model import Model, Placement, Workload
from sdn.model.lifecycle import Move
from sdn.scheduler.bystanders import Bystanders
from sdn.scheduler.candidates import Candidates
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.filters import Reason
from sdn.scheduler.proposal import Proposal, refusal
from sdn.scheduler.target import Target

Place = tuple[str, str]
"""Host and node; the node is empty outside of VMs."""

NOWHERE: Place = ("", "")


class _Undo(NamedTuple):
    key: str
    target: Target | None
    stray: Place | None


class Steps:
    """Where all runs, step by step. What `placement` has and the Model has no place for is a stray until it moves.

    `cluster` is as of both, where somebody has it, and goes along with the steps.
    """

    def __init__(self, model: Model, placement: Placement, cluster: Cluster | None = None) -> None:
        self.model = model
        self.before = placement
        self.cluster = Cluster.of(model, placement) if cluster is None else cluster
        self._candidates: Candidates | None = None
        self.bystanders = Bystanders(self.cluster)
        self.moves: list[Move] = []
        # What runs, but is no workload of the Model any more, or runs on a Host or in a VM that is none.
        self._strays: dict[str, Place] = {
            key: (placement.hosts[key], placement.nodes.get(key, ""))
            for key in placement.hosts.keys() - self.cluster.bindings.keys()
        }
        self._undo: list[_Undo] = []

    @property
    def candidates(self) -> Candidates:
        """Where something can go; put in order when somebody asks."""
        if self._candidates is None:
            self._candidates = Candidates(self.cluster)
        return self._candidates

    def inside(self, key: str) -> list[str]:
        """The Pods that run in the VM of that key, strays included."""
        node = self.cluster.target(key)
        if node:
            return sorted(node.bound)
        if key in self.cluster.workloads:
            return []
        return sorted(stray for stray, place in self._strays.items() if place[1] == key)

    def place_of(self, key: str) -> Place:
        """Where it runs now, `NOWHERE` if it does not."""
        target = self.cluster.where(key)
        return (target.host, target.node) if target else self._strays.get(key, NOWHERE)

    def workload(self, key: str) -> Workload:
        """The workload of a key, which must be one of the Model."""
        return self.cluster.workloads[key]

    def breach(self, key: str) -> Reason | None:
        """The rule that a workload breaks by staying where it is, a Host in maintenance included."""
        target = self.cluster.where(key)
        if target is None:
            return None
        return self.cluster.broken(key) or (Reason(target.closed) if target.closed else None)

    def why_not(self, key: str, target: Target) -> Reason | None:
        """The hard rule that forbids to have it there, asked as if it ran nowhere; nobody may be hurt by its going."""
        workload, source = self.workload(key), self.cluster.where(key)
        if source is None:
            return self.cluster.blocked(workload, target)
        self.cluster.unbind(key)
        reason = self.cluster.blocked(workload, target)
        self.cluster.bind(workload, source)
        return reason or self.hurts(key, target, self.bystanders.of(key))

    def best(self, key: str, avoid: Collection[str] = (), lenient: bool = False) -> Target | None:
        """The best place for it that no rule forbids, beside where it is and the Hosts and nodes to avoid.

        `lenient`: a node may start in a domain of its own although Pods are spread then over one that is still empty.
        """
        workload, source = self.workload(key), self.cluster.where(key)
        others = self.bystanders.of(key) if source or workload.is_node else []
        before = self.bystanders.broken(others)
        if source is not None:
            avoid = {*avoid, source.id}
            self.cluster.unbind(key)
        if others:
            found = self._unhurting(workload, avoid, others, before, lenient and source is None)
        else:
            found = self.candidates.best(workload, avoid)
        if source is not None:
            self.cluster.bind(workload, source)
        return found

    def _unhurting(
        self, workload: Workload, avoid: Collection[str], others: Sequence[str], before: frozenset[str], lenient: bool
    ) -> Target | None:
        """The best that hurts nobody, of what is bound nowhere now; `lenient`: else the best."""
        first = None
        for target in self.candidates.ranked(workload, avoid):
            first = first or target
            if self.hurts(workload.key, target, others, before) is None:
                return target
        return first if lenient else None

    def hurts_by_stopping(self, key: str) -> bool:
        """Whether somebody would break a rule for want of it, or of a Pod that runs in it."""
        if any(self.hurts_by_stopping(pod) for pod in self.inside(key)):
            return True
        others = self.bystanders.of(key)
        return self.bystanders.hurt(key, None, others, self.bystanders.broken(others)) is not None

    def hurts(
        self, key: str, target: Target, others: Sequence[str], before: frozenset[str] | None = None
    ) -> Reason | None:
        """Why its going there would break a rule for one of the bystanders, or for Pods that it takes along.

        `before` are those who break one anyway; None: those who do now.
        """
        if self.workload(key).is_node and self.bystanders.parts(key, target):
            return Reason("would part its Pods from those they must be near")
        broken = self.bystanders.broken(others) if before is None else before
        other = self.bystanders.hurt(key, target, others, broken) if others else None
        if other is None:
            return None
        return Reason(f"would break a rule for {other} by leaving", f"would break a rule for {other} by being left")

    def go(self, key: str, target: Target, why: str) -> bool:
        """Move it there, or start it there if it runs nowhere; False if a rule forbids that."""
        place = self.place_of(key)
        if place == (target.host, target.node) or self.why_not(key, target) is not None:
            return False
        self._change(key, target, place, why)
        return True

    def stop(self, key: str, why: str) -> None:
        """Stop it; the VM of a node stops its Pods first."""
        for pod in self.inside(key):
            self._change(pod, None, self.place_of(pod), why)
        self._change(key, None, self.place_of(key), why)

    def mark(self) -> int:
        """What `back_to` returns to."""
        return len(self.moves)

    def back_to(self, mark: int) -> None:
        """Take back all steps since."""
        while len(self.moves) > mark:
            self.moves.pop()
            undo = self._undo.pop()
            self._bind(undo.key, undo.target)
            if undo.stray:
                self._strays[undo.key] = undo.stray

    def repeat(self, moves: Iterable[Move]) -> None:
        """Make moves again that were made from here before, unasked."""
        for move in moves:
            target = self.cluster.target(move.target_node or move.target) if move.target else None
            self._change(move.workload, target, (move.source, move.source_node), move.why)

    def proposal(self, notes: Iterable[str] = (), refused: Iterable[str] = ()) -> Proposal:
        """All steps so far, or the refusal if there are reasons for one."""
        reasons = tuple(refused)
        if reasons:
            return refusal(self.before, reasons, notes)
        placement = self.cluster.placement()
        if not self._strays:
            return Proposal(tuple(self.moves), placement, (), tuple(notes))
        hosts = placement.hosts | {key: host for key, (host, _) in self._strays.items()}
        nodes = placement.nodes | {key: node for key, (_, node) in self._strays.items() if node}
        return Proposal(tuple(self.moves), Placement.in_order(hosts, nodes), (), tuple(notes))

    def _change(self, key: str, target: Target | None, place: Place, why: str) -> None:
        to = (target.host, target.node) if target else NOWHERE
        self._undo.append(_Undo(key, self.cluster.where(key), self._strays.pop(key, None)))
        self._bind(key, target)
        self.moves.append(Move(key, place[0], to[0], place[1], to[1], why))

    def _bind(self, key: str, target: Target | None) -> None:
        source = self.cluster.where(key)
        if source:
            self.cluster.unbind(key)
        if target:
            self.cluster.bind(self.workload(key), target)
        for place in (source, target):
            if place and self._candidates:
                self._candidates.changed(place)
        self.cluster.loosened.clear()  # for rankings, of which there are none here
