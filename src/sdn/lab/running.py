"""A lab that is up: what it holds now, and how it becomes what somebody asks for next.

The old plan stays what the lab is measured by until the kernel holds all of the new one. A change that fails half-way
leaves the lab torn: what was closed stays closed, and nothing is built upon it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from sdn.errors import LabError, RolledBackError
from sdn.kernel.apply import Applied, apply
from sdn.kernel.driver import Driver
from sdn.kernel.leftovers import Leftovers
from sdn.kernel.migrate import migrate
from sdn.kernel.migrate_parts import Parts, parts
from sdn.kernel.namespaces import NamespaceWorker
from sdn.kernel.sockets import KEPT
from sdn.model import Endpoint, Model, Placed, Placement
from sdn.plan.desired import Prepared
from sdn.plan.live import LivePlan
from sdn.plan.live_changes import LiveChanges
from sdn.plan.moment import Moment
from sdn.plan.narrow import Narrow, narrow_by
from sdn.plan.state import Plan
from sdn.scheduler.kept import Kept

Say = Callable[[str], None]
Counts = dict[str, tuple[int, int, int]]
"""Kind of thing → how many were added, changed and removed."""


class Done(Struct, frozen=True):
    """What one change took. `planned` is until the plan knew it, `enforced` from there until it held: each Host has the
    rules, links and routes that it shall have, and what goes is shut, and no rule or route on any Host speaks of it;
    its links and namespaces are freed a little later (`Running.cleaned`). Both in seconds.

    `gap` is for how long the workloads that moved could neither send nor receive, in seconds; `connections` is how
    many of theirs were carried along. `cut` counts the established connections that were ended as no longer allowed.
    """

    changes: Counts = {}
    nodes: tuple[str, ...] = ()
    messages: int = 0
    commands: int = 0
    planned: float = 0.0
    enforced: float = 0.0
    gap: float = 0.0
    connections: int = 0
    cut: int = 0
    stages: tuple[tuple[str, float], ...] = ()


class Running:
    """One lab in the kernel. `torn` says why the kernel is neither as before nor as asked; else it is empty."""

    def __init__(self, name: str, prepared: Prepared, driver: Driver) -> None:
        self.name = name
        self.driver = driver
        self.torn = ""
        self.kept = Kept()
        self._now = Moment.of(prepared)
        self._asking = threading.Lock()
        self._live: LivePlan | None = None  # made when the first change comes: most labs see none
        self._leftovers = driver.leftovers = Leftovers()
        self._away: dict[str, Endpoint] = {}  # who is asked for and runs nowhere, as it was when it last ran

    @property
    def prepared(self) -> Prepared:
        """What the lab is, and is measured by: during a change, as before it. Any thread may ask."""
        with self._asking:
            return self._now.prepared

    @property
    def model(self) -> Model:
        """What the lab is asked to be; of `prepared`, and known at once."""
        return self._now.model

    @property
    def placement(self) -> Placement:
        """Where everything is; of `prepared`, and known at once."""
        return self._now.placement

    @property
    def plan(self) -> Plan:
        """The desired state of every node; of `prepared`, and known at once."""
        return self._now.plan

    def follow(self) -> None:
        """Have all ready that the first change would have to make."""
        if self._live is None:
            self._live = LivePlan(self.prepared)
            self.kept.place(self.model, self.placement)

    def open_sockets(self) -> None:
        """Into the Hosts, as far as they stay open: half of the time that a Host takes in the first change."""
        hosts = [name for name, node in self.plan.items() if node.role == "host"]

        def each() -> None:
            for name in hosts[:KEPT]:
                with self.driver.sockets.netfilter(name), self.driver.sockets.route(name):
                    continue

        with NamespaceWorker("sockets") as worker:
            worker.run(None, each)

    @property
    def cleaned(self) -> float:
        """Seconds from the last change that left anything behind being enforced until that was gone."""
        return self._leftovers.seconds

    def finish(self) -> None:
        """Wait until nothing is left of earlier changes; a refusal of the kernel leaves the lab torn."""
        try:
            self._leftovers.finish()
        except Exception as error:
            self._tear(error)

    def _tear(self, error: Exception) -> None:
        why = str(error).partition("\n")[0]
        self.torn = f"an earlier change of lab {self.name} failed half-way ({why})"

    def require_whole(self) -> None:
        """LabError where an earlier change failed half-way."""
        if self.torn:
            raise LabError(f"{self.torn}; `sdn down {self.name}` and `sdn up` build it anew")

    def move(self, model: Model, placement: Placement, say: Say = lambda _: None) -> Done:
        """Become this Model with everything where `placement` says; who has addresses keeps them."""
        started = time.monotonic()
        self.require_whole()
        before = self._now
        try:
            changes = self._planned(model, placement)
            narrow = narrow_by(changes)
            way = _way(changes, narrow) if changes.carries else None
        except Exception:
            # The plan may have followed a part of it, of which the kernel knows nothing: the next change must not.
            self._live = None
            raise
        begun = time.monotonic()
        try:
            self.finish()
            self.require_whole()
            say(f"{len(changes.hosts)} nodes change")
            ready = time.monotonic() - begun
            done = self._enforce(before.plan, changes, narrow, way, model.options.cut_established, say)
        except Exception as error:
            self._live = None
            if not self.torn and not isinstance(error, RolledBackError):
                self._tear(error)
            raise
        assert self._live is not None
        with self._asking:
            self._now = self._live.moment
        if self._away or len(placement.hosts) < len(model.workloads):
            self._remember(before.prepared.placed)
        seconds = round(ready + done.enforced, 4)
        return replace(done, changes=changes.counts, planned=round(begun - started, 4), enforced=seconds)

    def _remember(self, before: Placed) -> None:
        """The addresses of those that are asked for and run nowhere now: who starts again has them still."""
        placed = self.prepared.placed
        asked = {workload.key for workload in placed.model.workloads}
        known = {**self._away, **before.endpoints}
        self._away = {key: one for key, one in known.items() if key in asked and key not in placed.endpoints}

    def _planned(self, model: Model, placement: Placement) -> LiveChanges:
        """From now on the plan that follows is the new one; what the lab is measured by is still the old one."""
        self.follow()
        assert self._live is not None
        known = None
        if not self._away.keys().isdisjoint(placement.hosts):
            placed = self.prepared.placed
            known = replace(placed, endpoints={**self._away, **placed.endpoints})
        return self._live.become(model, placement, known)

    def _enforce(
        self, whole: Plan, changes: LiveChanges, narrow: Narrow, way: Parts | None, cut: bool, say: Say
    ) -> Done:
        """Whoever only goes to another Host goes alive, in this way; every other change is made stage by stage."""
        actual, desired = changes.before, changes.after
        if way is None:
            if cut or _rewires(actual, desired):
                actual, desired, narrow = whole, self._wanted(), {}
            done = apply(actual, desired, self.driver, cut_established=cut, whole=whole, narrow=narrow)
            return Done({}, done.nodes, done.messages, done.commands, enforced=done.seconds, cut=done.cut)
        moved = migrate(way, actual, desired, self.driver, say, narrow)
        # What moved took its connections along, also those that the same change forbids.
        ended = apply(self._wanted(), self._wanted(), self.driver, cut_established=True) if cut else Applied()
        return Done(
            nodes=moved.nodes,
            messages=moved.messages + ended.messages,
            commands=moved.commands,
            enforced=round(moved.seconds + ended.seconds, 4),
            gap=moved.gap,
            connections=moved.connections,
            stages=moved.stages,
            cut=ended.cut,
        )

    def _wanted(self) -> Plan:
        """The whole plan that is being enforced."""
        assert self._live is not None
        return self._live.plan


def _way(changes: LiveChanges, narrow: Narrow) -> Parts | None:
    """How those who go to another Host do so alive, if that is all that happens to any workload or cable."""
    before, after = (
        {name: plan[name] for name in changes.ends & plan.keys()} for plan in (changes.before, changes.after)
    )
    return parts(before, after, narrow)


def _rewires(actual: Plan, desired: Plan) -> bool:
    """Whether nodes come or go, or cables change: then their far ends matter, too."""
    return actual.keys() != desired.keys() or any(actual[name].uplinks != desired[name].uplinks for name in actual)
