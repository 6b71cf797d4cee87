"""What must happen so that the actual plan becomes the desired one; nothing where they are equal.

The order of a node's changes is closed at every instant: workloads that leave go first, then come the rules, then the
workloads that they are for, and what nobody needs any more goes last, in reverse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

from msgspec import Struct

from sdn.plan.describe import detail, title
from sdn.plan.parts import TABLE, Identity, Part, Thing, with_parts
from sdn.plan.state import NodeState, Plan


class Op(StrEnum):
    """What happens to a thing."""

    ADD = "add"
    REMOVE = "remove"
    CHANGE = "change"


class Change(Struct, frozen=True, gc=False):
    """One thing on one node. `before` is None if it is added, `after` if it is removed.

    A node that comes or goes is a single change of part NODE with its whole NodeState.
    """

    node: str
    part: Part
    op: Op
    before: Thing | None = None
    after: Thing | None = None

    @property
    def text(self) -> str:
        """`host-1: change route 10.1.0.0/24 table 7: dev vx.4096 → via 10.2.0.1 dev vx.4097`."""
        thing = self.after if self.after is not None else self.before
        assert thing is not None
        head = " ".join(filter(None, (f"{self.node}: {self.op} {self.part}", title(thing))))
        was = detail(self.before) if self.before is not None else ""
        now = detail(self.after) if self.after is not None else ""
        tail = f"{was} → {now}" if was and now and was != now else now or was
        return f"{head}: {tail}" if tail else head


class Changes(Struct, frozen=True):
    """Node → its changes in the order in which to make them; only nodes that have any, in sorted order."""

    nodes: dict[str, tuple[Change, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self.nodes)

    def __len__(self) -> int:
        return sum(map(len, self.nodes.values()))

    def __iter__(self) -> Iterator[Change]:
        for changes in self.nodes.values():
            yield from changes

    @property
    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Part → how many things of it are added, changed and removed; only parts that have any, in their order."""
        found = Counter((change.part, change.op) for change in self)
        parts = {part: (found[part, Op.ADD], found[part, Op.CHANGE], found[part, Op.REMOVE]) for part in Part}
        return {str(part): numbers for part, numbers in parts.items() if any(numbers)}

    @property
    def text(self) -> str:
        """One line per change."""
        return "\n".join(change.text for change in self)


def delta(actual: Plan, desired: Plan) -> Changes:
    """The changes that lead from one plan to the other."""
    nodes = {}
    for name in sorted(actual.keys() | desired.keys()):
        changes = _node_changes(name, actual.get(name), desired.get(name))
        if changes:
            nodes[name] = changes
    return Changes(nodes)


def apply_delta(plan: Plan, changes: Changes) -> Plan:
    """The plan after the changes: what the kernel must then hold."""
    result = dict(plan)
    for name, of_node in changes.nodes.items():
        whole = of_node[0].before or of_node[0].after
        if isinstance(whole, NodeState):
            result.pop(name, None)
            if isinstance(of_node[0].after, NodeState):
                result[name] = of_node[0].after
        else:
            result[name] = _apply(plan[name], of_node)
    return dict(sorted(result.items()))


def _node_changes(name: str, actual: NodeState | None, desired: NodeState | None) -> tuple[Change, ...]:
    if actual == desired:
        return ()
    if actual is None:
        return (Change(name, Part.NODE, Op.ADD, after=desired),)
    if desired is None:
        return (Change(name, Part.NODE, Op.REMOVE, before=actual),)
    return tuple(in_order(list(_part_changes(actual, desired))))


def in_order(changes: list[Change]) -> Iterator[Change]:
    """Ports that go, then everything that comes in the order of parts, then everything else that goes in reverse."""
    gone = [change for change in changes if change.op is Op.REMOVE]
    yield from (change for change in gone if change.part is Part.PORT)
    yield from (change for change in changes if change.op is not Op.REMOVE)
    yield from (change for change in reversed(gone) if change.part is not Part.PORT)


def _part_changes(actual: NodeState, desired: NodeState) -> Iterator[Change]:
    """All changes of a node in the order of parts."""
    for part, row in TABLE.items():
        old = {row.identity(thing): thing for thing in row.things(actual, desired)}
        new = {row.identity(thing): thing for thing in row.things(desired, actual)}
        for identity, thing in old.items():
            if identity not in new:
                yield Change(actual.name, part, Op.REMOVE, before=thing)
        for identity, thing in new.items():
            before = old.get(identity)
            if before is None:
                yield Change(actual.name, part, Op.ADD, after=thing)
            elif before != thing:
                yield Change(actual.name, part, Op.CHANGE, before, thing)


def _apply(state: NodeState, changes: Iterable[Change]) -> NodeState:
    """A node after its changes; only the parts that they touch are taken apart."""
    parts: dict[Part, dict[Identity, Any]] = {}
    for change in changes:
        row = TABLE[change.part]
        if change.part not in parts:
            parts[change.part] = {row.identity(thing): thing for thing in row.things(state, state)}
        if change.after is not None:
            parts[change.part][row.identity(change.after)] = change.after
        else:
            parts[change.part].pop(row.identity(change.before))
    return with_parts(state, {part: things.values() for part, things in parts.items()})
