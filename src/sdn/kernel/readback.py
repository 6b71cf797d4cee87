"""Whether the kernel still is as planned: read every namespace back and name each difference.

Nothing is remembered from building. Two threads read, each one node and its workloads at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from sdn.kernel import sysctl
from sdn.kernel.facts import actual, compare, planned, planned_workload
from sdn.kernel.listed import Rulesets
from sdn.kernel.namespaces import enter, inside, names
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.team import Team
from sdn.plan.state import NodeState, Plan, Port

Progress = Callable[[str], None]

_STEPS = 20
"""How many progress messages reading back is cut into."""


def drift(plan: Plan, progress: Progress = lambda _: None) -> list[str]:
    """One sentence for each difference, at most a few of a kind per node; empty when all is as planned.

    What `progress` raises ends it.
    """
    reading = _Reading(plan, progress)
    with Team("readback") as team:
        team.share(list(plan.values()), reading.node)
    return [sentence for name in plan for sentence in reading.found[name]]


class _Reading:
    """What two threads have found so far, by node."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self.found: dict[str, list[str]] = {}
        self._existing = frozenset(names())
        self._rulesets = Rulesets(state for state in plan.values() if state.role == "host")
        self._progress = progress
        self._lock = threading.Lock()
        self._read = 0
        self._total = sum(1 + len(state.ports) for state in plan.values())

    def node(self, state: NodeState) -> None:
        """Read one node and its workloads."""
        self.found[state.name] = [f"{name}: {what}" for name, what in self._node(state)]
        with self._lock:
            before = self._read * _STEPS // self._total
            self._read += 1 + len(state.ports)
            if self._read * _STEPS // self._total > before:
                self._progress(f"read back {self._read:,} of {self._total:,} namespaces")

    def _node(self, state: NodeState) -> Iterator[tuple[str, str]]:
        if state.name not in self._existing:
            yield state.name, "its namespace is gone"
            return
        is_host = state.role == "host"
        with inside(state.name):
            yield from ((state.name, what) for what in sysctl.drift(sysctl.HOST if is_host else sysctl.SWITCH))
            with Netlink() as netlink:
                yield from ((state.name, what) for what in compare(planned(state), actual(netlink)))
            if is_host:
                yield from ((state.name, what) for what in self._rulesets.differences(state))
            for port in state.ports:
                yield from ((port.workload, what) for what in self._workload(port))

    def _workload(self, port: Port) -> Iterator[str]:
        """The calling thread stays in its namespace: it goes from one to the next, and home after the last."""
        if port.namespace not in self._existing:
            yield "its namespace is gone"
            return
        enter(port.namespace)
        with Netlink() as netlink:
            yield from compare(planned_workload(port), actual(netlink))
