"""The moves from one placement to another, in an order in which each can be made.

A move waits for those that free its place; every step is asked of the Cluster, which knows all rules. Where all wait
for one another, some make a detour through a third place; where there is none, some stop and start again; where even
that does not help, the placement wanted breaks a rule itself, and the answer is no.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from sdn.model import Kind, Model, Placement
from sdn.scheduler.detours import solve
from sdn.scheduler.proposal import Proposal, refusal
from sdn.scheduler.restart import restart_order
from sdn.scheduler.search import expendable, relocate
from sdn.scheduler.steps import NOWHERE, Place, Steps
from sdn.scheduler.target import Target

IN_THE_WAY = 24
"""Workloads that are tried as the one to make a detour, for each that waits."""

_ONE, _MANY, _OTHERS_TOO = range(3)
"""Ways to clear a place: one detour, several, or with moves of those that could have stayed."""


def moves(model: Model, before: Placement, after: Placement, why: str = "is wanted there") -> Proposal:
    """Steps from one to the other, none of which breaks a rule that was kept; refused where there are none.

    `why` is said of those who move although they could stay.
    """
    steps = Steps(model, before)
    unknown = sorted(_unknown(steps, after))
    if unknown:
        return refusal(before, unknown)
    order = _Order(steps, after, why)
    stuck = order.run()
    return steps.proposal(refused=stuck)


def _unknown(steps: Steps, after: Placement) -> Iterable[str]:
    """What is wanted of workloads or in places that are not there."""
    for key, host in after.hosts.items():
        node = after.nodes.get(key, "")
        if key not in steps.cluster.workloads:
            yield f"{key} is to run on {host}, but is no workload of the lab; remove it from the placement"
        elif steps.cluster.target(node or host) is None:
            yield f"{key} is to run on {node or host}, which is not in the lab; choose another place"


class _Order:
    """What has still to happen, and who has made a detour already."""

    def __init__(self, steps: Steps, after: Placement, why: str) -> None:
        self._steps = steps
        self._why_at_all = why
        self._wanted = _wanted(steps, after)
        self._reasons = {key: reason.one for key in self._running() if (reason := steps.breach(key))}
        self._detoured: set[str] = set()
        self._taken: frozenset[str] = frozenset()  # Hosts that somebody is still to go to

    def run(self) -> list[str]:
        """Make all moves; the reasons of those that cannot be made."""
        self._advance()
        if self._wanted:
            self._solve()
        while self._wanted and (self._detour() or self._interrupt()):
            self._advance()
        return [self._complaint(key) for key in self._sequence()]

    def _sequence(self) -> list[str]:
        """Stops first because they free, then what runs, nodes before Pods; starts last, in the order of restarts."""
        wanted, steps = self._wanted, self._steps
        pods = {key for key in wanted if key not in steps.cluster.workloads or steps.workload(key).kind is Kind.POD}
        stops = sorted((k for k, t in wanted.items() if t is None), key=lambda k: (k not in pods, k))
        runs = [k for k, t in wanted.items() if t is not None and steps.place_of(k) != NOWHERE]
        starts = [k for k, t in wanted.items() if t is not None and steps.place_of(k) == NOWHERE]
        return [
            *stops,
            *sorted(runs, key=lambda k: (k in pods, k)),
            *restart_order(steps.cluster.workloads, starts),
        ]

    def _advance(self) -> None:
        """Make all moves that can be made by now; whoever leaves a place wakes those that wait for it."""
        progress = True
        while progress and self._wanted:
            progress = False
            waiting: defaultdict[str, list[str]] = defaultdict(list)
            queue = self._sequence()[::-1]
            while queue:
                key = queue.pop()
                if key not in self._wanted:
                    continue
                left = self._steps.place_of(key)
                if self._make(key):
                    progress = True
                    queue += reversed(waiting.pop(left[0], []))
                elif target := self._wanted[key]:
                    waiting[target.host].append(key)

    def _make(self, key: str) -> bool:
        """One move as it is wanted, if it can be made now."""
        target = self._wanted[key]
        if target is None:
            if self._steps.inside(key):  # a node that Pods have still to leave
                return False
            self._steps.stop(key, "is not wanted any more")
        elif not self._steps.go(key, target, self._why(key)):
            return False
        del self._wanted[key]
        return True

    def _why(self, key: str) -> str:
        if key in self._detoured:
            return "goes on after its detour"
        if self._steps.place_of(key) == NOWHERE:
            return "starts"
        return f"cannot stay: {self._reasons[key]}" if key in self._reasons else self._why_at_all

    def _solve(self) -> None:
        """In a small cluster, take the shortest way of all; then what is left can start."""
        for key, target in solve(self._steps, self._wanted) or ():
            wanted = self._wanted.get(key)
            if not self._steps.go(key, target, self._why(key) if target is wanted else "makes way for others"):
                break
            if target is wanted:
                del self._wanted[key]
            else:
                self._detoured.add(key)
        self._advance()

    def _detour(self) -> bool:
        """Let one that runs, or a few of one place, go elsewhere for a while, so that another can move."""
        self._taken = frozenset(target.host for target in self._wanted.values() if target)
        for way in (_ONE, _MANY, _OTHERS_TOO):
            for key in self._sequence():
                target = self._wanted[key]
                if target is not None and self._sidestep(key, target, way):
                    return True
        return False

    def _sidestep(self, key: str, target: Target, way: int) -> bool:
        """Clear the place that a workload waits for; one by one, or all that it takes."""
        mark, gone = self._steps.mark(), list[str]()
        for other in self._in_the_way(key, target):
            if not self._step_aside(other, key, target, way):
                continue
            gone.append(other)
            if self._steps.why_not(key, target) is None:
                self._detoured.update(gone)
                self._bring_back(mark)
                return True
            if way == _ONE:
                self._steps.back_to(mark)
                gone.clear()
        self._steps.back_to(mark)
        return False

    def _step_aside(self, other: str, key: str, target: Target, way: int) -> bool:
        why = f"makes way for {key}"
        if way == _OTHERS_TOO:
            return relocate(self._steps, other, why, {target.host})
        third = self._third_place(other, target)
        return third is not None and self._steps.go(other, third, why)

    def _bring_back(self, mark: int) -> None:
        """Whoever had to move for a detour without being asked for goes back to where he was."""
        for move in self._steps.moves[mark:]:
            if move.workload not in self._wanted:
                self._wanted[move.workload] = self._steps.cluster.target(move.source_node or move.source)
                self._detoured.add(move.workload)

    def _in_the_way(self, key: str, target: Target) -> Sequence[str]:
        """Those that have still to leave the place where `key` is to go, the smallest first; else any that has to."""
        leaving = [k for k in self._running() if k != key and k not in self._detoured]
        here = [k for k in leaving if self._steps.place_of(k)[0] == target.host]
        return sorted(here or leaving, key=lambda k: (self._steps.workload(k).memory, k))[:IN_THE_WAY]

    def _third_place(self, key: str, target: Target) -> Target | None:
        """Somewhere else, if possible where nobody else is to go."""
        return self._steps.best(key, self._taken) or self._steps.best(key, {target.host})

    def _running(self) -> list[str]:
        """What has still to move, and runs where it can be counted."""
        return [k for k, target in self._wanted.items() if target and self._steps.cluster.where(k)]

    def _interrupt(self) -> bool:
        """Stop one that has still to move, so that others can: best one that lets another go at once."""
        running = [key for key in self._running() if not self._steps.hurts_by_stopping(key)]
        running.sort(key=lambda k: expendable(self._steps, k))
        chosen = next((key for key in running if self._frees(key)), running[0] if running else None)
        if chosen is None:
            return False
        node = self._steps.cluster.target(chosen)
        for pod in self._steps.inside(chosen):
            self._wanted.setdefault(pod, node)
        self._steps.stop(chosen, "stops and starts again: there is no third place for it")
        return True

    def _frees(self, key: str) -> bool:
        """Whether somebody else can move once this one is stopped."""
        mark = self._steps.mark()
        left = self._steps.place_of(key)[0]
        self._steps.stop(key, "")
        waiting = [k for k, target in self._wanted.items() if target and k != key and target.host == left]
        free = any(self._steps.why_not(k, target) is None for k in waiting if (target := self._wanted[k]))
        self._steps.back_to(mark)
        return free

    def _complaint(self, key: str) -> str:
        target = self._wanted[key]
        if target is None:
            return f"{key} cannot stop while Pods run in it; move them first"
        reason = self._steps.why_not(key, target)
        where = target.node or target.host
        return f"{key} cannot go to {where}: {reason.one if reason else 'others wait for it'}"


def _wanted(steps: Steps, after: Placement) -> dict[str, Target | None]:
    """Everybody who is not where he is to be; Pods follow the VM that they stay in."""
    cluster = steps.cluster
    running = [*steps.before.hosts]
    wanted: dict[str, Target | None] = {key: None for key in sorted(running) if key not in after.hosts}
    for key, host in sorted(after.hosts.items()):
        node = after.nodes.get(key, "")
        if not _is_there(steps.place_of(key), (host, node)):
            wanted[key] = cluster.target(node or host)
    return wanted


def _is_there(place: Place, wanted: Place) -> bool:
    return place[1] == wanted[1] if place[1] or wanted[1] else place[0] == wanted[0]
