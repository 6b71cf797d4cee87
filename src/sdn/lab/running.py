"""A lab that is up: what it holds now, and how it becomes what somebody asks for next.

The old plan stays what the lab is measured by until the kernel holds all of the new one. A change that fails half-way
leaves the lab torn: what was closed stays closed, and nothing is built upon it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from sdn.errors import LabError, RolledBackError
from sdn.kernel.apply import apply
from sdn.kernel.driver import Driver
from sdn.kernel.migrate import migrate
from sdn.kernel.migrate_parts import parts
from sdn.model import Model, Placement
from sdn.plan.allocate import allocate
from sdn.plan.delta import delta
from sdn.plan.desired import Prepared, plan_placed
from sdn.plan.state import Plan

Say = Callable[[str], None]
Counts = dict[str, tuple[int, int, int]]
"""Kind of thing → how many were added, changed and removed."""


class Done(Struct, frozen=True):
    """What one change took. `seconds` until it was planned, and from there until it was enforced.

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
        self.prepared = prepared
        self.driver = driver
        self.torn = ""

    def require_whole(self) -> None:
        """LabError where an earlier change failed half-way."""
        if self.torn:
            raise LabError(f"{self.torn}; `sdn down {self.name}` and `sdn up` build it anew")

    def move(self, model: Model, placement: Placement, say: Say = lambda _: None) -> Done:
        """Become this Model with everything where `placement` says; who has addresses keeps them."""
        started = time.monotonic()
        after = plan_placed(allocate(model, placement, self.prepared.placed))
        return self.become(after, started, say)

    def become(self, after: Prepared, started: float, say: Say = lambda _: None) -> Done:
        """Have the kernel hold another plan, the planning of which began at `started` (monotonic seconds)."""
        self.require_whole()
        before = self.prepared
        changes = delta(before.plan, after.plan)
        planned = time.monotonic()
        say(f"{len(changes)} changes")
        try:
            done = self._enforce(before.plan, after.plan, after.placed.model.options.cut_established, say)
        except RolledBackError:
            raise
        except Exception as error:
            why = str(error).partition("\n")[0]
            self.torn = f"an earlier change of lab {self.name} failed half-way ({why})"
            raise
        self.prepared = after
        return replace(done, changes=changes.counts, planned=round(planned - started, 4))

    def _enforce(self, actual: Plan, desired: Plan, cut: bool, say: Say) -> Done:
        """Whoever only goes to another Host goes alive; every other change is made stage by stage."""
        found = parts(actual, desired)
        if found is None:
            done = apply(actual, desired, self.driver, cut_established=cut)
            return Done({}, done.nodes, done.messages, done.commands, enforced=done.seconds, cut=done.cut)
        moved = migrate(found, actual, desired, self.driver, say)
        return Done(
            nodes=moved.nodes,
            messages=moved.messages,
            commands=moved.commands,
            enforced=moved.seconds,
            gap=moved.gap,
            connections=moved.connections,
            stages=moved.stages,
        )
