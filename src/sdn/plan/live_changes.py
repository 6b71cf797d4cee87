"""What one event changes, without a Change for each Host where thousands have the same one.

`LiveChanges.changes` says it as `delta` does, in the same order. `plan/patches.py` makes of a node's state what it is
afterwards.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct

from sdn.plan.delta import Change, Changes, Op, delta, in_order
from sdn.plan.parts import TABLE, Identity, Part, Thing
from sdn.plan.state import Plan, Port

Turn = tuple[Part, Thing | None, Thing | None]
"""A thing before and after; None where it is not there."""

PARTS = list(Part)
_IDENTITY = {part: row.identity for part, row in TABLE.items()}
_ENDS = {Part.NODE, Part.UPLINK, Part.PORT}
NOBODY: frozenset[str] = frozenset()


class Shared(Struct, frozen=True):
    """One thing that changes alike on all these Hosts, sorted, but for a few of them."""

    turn: Turn
    hosts: tuple[str, ...]
    but: frozenset[str] = NOBODY

    def __len__(self) -> int:
        return len(self.hosts) - len(self.but.intersection(self.hosts)) if self.but else len(self.hosts)

    def __iter__(self) -> Iterator[str]:
        return (host for host in self.hosts if host not in self.but) if self.but else iter(self.hosts)


class LiveChanges:
    """The Hosts that an event touches and what changes there: `local` by Host, `shared` on many alike.

    `before` and `after` are the states of these nodes, where whoever made it keeps states.
    """

    def __init__(self, local: Mapping[str, Collection[Turn]], shared: Collection[Shared] = ()) -> None:
        self.local = local
        self.shared = shared
        self.before: Plan = {}
        self.after: Plan = {}

    def __bool__(self) -> bool:
        return bool(self.local or self.shared)

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """Every node that changes, sorted."""
        if not self.local and len({(id(one.hosts), one.but) for one in self.shared}) == 1:
            return tuple(next(iter(self.shared)))
        return tuple(sorted({*self.local, *(host for one in self.shared for host in one)}))

    def turns(self) -> dict[str, list[Turn]]:
        """Host → all that changes there."""
        found: dict[str, list[Turn]] = defaultdict(list)
        for host, local in self.local.items():
            found[host] += local
        for one in self.shared:
            for host in one:
                found[host].append(one.turn)
        return found

    @cached_property
    def counts(self) -> dict[str, tuple[int, int, int]]:
        """The same as `changes` has it, without putting anything in order."""
        found: Counter[tuple[Part, bool, bool]] = Counter()
        for local in self.local.values():
            found.update((part, old is None, new is None) for part, old, new in local)
        for one in self.shared:
            part, old, new = one.turn
            found[part, old is None, new is None] += len(one)
        added, changed, removed = (True, False), (False, False), (False, True)  # is nothing there before, and after
        numbers = {p: (found[p, *added], found[p, *changed], found[p, *removed]) for p in PARTS}
        return {str(part): number for part, number in numbers.items() if any(number)}

    @cached_property
    def ends(self) -> frozenset[str]:
        """The nodes where a workload's port, a cable or the node itself is another one."""
        local = {host for host, turns in self.local.items() if not _ENDS.isdisjoint(part for part, _, _ in turns)}
        return frozenset(local.union(*(one for one in self.shared if one.turn[0] in _ENDS)))

    @property
    def carries(self) -> bool:
        """Whether anybody leaves one Host and comes to another."""
        ports = [turn for local in self.local.values() for turn in local if turn[0] is Part.PORT]
        left = {old.namespace for _, old, new in ports if isinstance(old, Port) and new is None}
        return any(isinstance(new, Port) and old is None and new.namespace in left for _, old, new in ports)

    @cached_property
    def changes(self) -> Changes:
        """The same as `delta` of the plans before and after says it."""
        turns = self.turns()
        return Changes({host: ordered(host, turns[host]) for host in sorted(turns)})


class Ledger:
    """Collects what changes during one event; a thing that is as it was at the end is none of it."""

    def __init__(self) -> None:
        self._local: dict[str, dict[tuple[Part, Identity], list[Thing | None]]] = defaultdict(dict)
        self._shared: list[Shared] = []

    def note(self, host: str, part: Part, before: Thing | None, after: Thing | None) -> None:
        """On one Host; what came before the first note of a thing counts, and what is after the last."""
        things, key = self._local[host], (part, _IDENTITY[part](before if before is not None else after))
        known = things.get(key)
        if known is None:
            things[key] = [before, after]
        else:
            known[1] = after

    def share(self, turn: Turn, hosts: tuple[str, ...], but: frozenset[str] = NOBODY) -> None:
        """On many Hosts, of none of which the same thing is noted."""
        if turn[1] != turn[2]:
            one = Shared(turn, hosts, but)
            if next(iter(one), None) is not None:
                self._shared.append(one)

    def finish(self) -> LiveChanges:
        """All of it."""
        local = {}
        for host, things in self._local.items():
            turns = [(part, old, new) for (part, _), (old, new) in things.items() if old != new]
            if turns:
                local[host] = turns
        return LiveChanges(local, self._shared)


def between(before: Plan, after: Plan) -> LiveChanges:
    """What leads from one whole plan to another."""
    nodes = delta(before, after).nodes
    found = LiveChanges({node: [(c.part, c.before, c.after) for c in changes] for node, changes in nodes.items()})
    found.before = {node: before[node] for node in nodes if node in before}
    found.after = {node: after[node] for node in nodes if node in after}
    return found


def together(steps: Iterable[LiveChanges]) -> LiveChanges:
    """Several events as one: what is at the end as it was is none of it."""
    ledger = Ledger()
    before: Plan = {}
    after: Plan = {}
    for step in steps:
        for host, turns in step.turns().items():
            for turn in turns:
                ledger.note(host, *turn)
        before = {**step.before, **before}
        after |= step.after
    found = ledger.finish()
    found.before = {name: before[name] for name in found.hosts if name in before}
    found.after = {name: after[name] for name in found.hosts if name in after}
    return found


def difference(before: Iterable[tuple[Part, Any]], after: Iterable[tuple[Part, Any]]) -> Iterator[Turn]:
    """What comes, goes and changes between two lists of things."""
    old = {(part, _IDENTITY[part](thing)): thing for part, thing in before}
    new = {(part, _IDENTITY[part](thing)): thing for part, thing in after}
    for key, thing in old.items():
        now = new.get(key)
        if now != thing:
            yield key[0], thing, now
    for key, thing in new.items():
        if key not in old:
            yield key[0], None, thing


def ordered(node: str, turns: Iterable[Turn]) -> tuple[Change, ...]:
    """The Changes of one node in the order in which to make them."""
    gone = [(part, old) for part, old, new in turns if new is None]
    rest = [(part, old, new) for part, old, new in turns if new is not None]
    found = [Change(node, part, Op.REMOVE, before=old) for part, old in _sorted(gone, lambda turn: turn[1])]
    found += [
        Change(node, part, Op.ADD if old is None else Op.CHANGE, old, new)
        for part, old, new in _sorted(rest, lambda turn: turn[2])
    ]
    return tuple(in_order(found))


def _sorted(turns: list[Any], thing: Callable[[Any], Any]) -> list[Any]:
    """In the order of parts, and of things within one."""
    by_part: dict[Part, list[Any]] = defaultdict(list)
    for turn in turns:
        by_part[turn[0]].append(turn)
    return [
        turn
        for part in PARTS
        if part in by_part
        for turn in sorted(by_part[part], key=lambda turn: TABLE[turn[0]].order(thing(turn)))
    ]
