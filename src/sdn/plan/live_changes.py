"""What one event changes, without a Change for each Host where thousands have the same one.

`LiveChanges.changes` says it as `delta` does, in the same order. `patched` makes a node's state what it is afterwards.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from sdn.plan.delta import Change, Changes, Op, delta, in_order
from sdn.plan.parts import FIREWALL_FIELDS, NODE_FIELDS, TABLE, Identity, Part, Thing
from sdn.plan.state import AddressSet, Firewall, LoadBalancer, NodeState, Plan, Virtual

Turn = tuple[Part, Thing | None, Thing | None]
"""A thing before and after; None where it is not there."""

PARTS = list(Part)
_IDENTITY = {part: row.identity for part, row in TABLE.items()}
NOBODY: frozenset[str] = frozenset()


class Shared(Struct, frozen=True):
    """One thing that changes alike on all these Hosts, sorted, but for a few of them."""

    turn: Turn
    hosts: tuple[str, ...]
    but: frozenset[str] = NOBODY

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


Alike = dict[tuple[int, ...], tuple[Virtual, ...]]
"""Services by the identity of those before and of their turns."""


def patched(state: NodeState, turns: Iterable[Turn], alike: Alike) -> NodeState:
    """A Host after an event; each sequence is taken apart once, and searched instead of sorted anew.

    `alike` is for all Hosts of one event: those that saw one tuple of Services, which is most, see one again.
    """
    by_part: dict[Part, list[Turn]] = defaultdict(list)
    for turn in turns:
        by_part[turn[0]].append(turn)
    fields: dict[str, Any] = {
        name: _patched(getattr(state, name), by_part.pop(part), TABLE[part].order)
        for part, name in NODE_FIELDS.items()
        if part in by_part
    }
    if by_part:
        assert state.firewall is not None
        assert state.loadbalancer is not None
        fields["firewall"] = _firewall(state.firewall, by_part)
        fields["loadbalancer"] = _balancer(state.loadbalancer, by_part, alike)
    return replace(state, **fields)


def _patched(
    things: tuple[Any, ...], turns: Iterable[tuple[Any, Any, Any]], order: Callable[[Any], Any]
) -> tuple[Any, ...]:
    found = list(things)
    for _, before, _ in turns:
        if before is not None:
            del found[bisect_left(found, order(before), key=order)]
    for _, _, after in turns:
        if after is not None:
            insort(found, after, key=order)
    return tuple(found)


def _firewall(firewall: Firewall, by_part: Mapping[Part, list[Turn]]) -> Firewall:
    fields: dict[str, Any] = {
        name: _patched(getattr(firewall, name), by_part[part], TABLE[part].order)
        for part, name in FIREWALL_FIELDS.items()
        if part in by_part
    }
    sets = firewall.sets
    if Part.SET in by_part:
        sets = _patched(sets, [(p, _of(sets, old), new) for p, old, new in by_part[Part.SET]], _name)
    if Part.ELEMENT in by_part:
        sets = _with_elements(sets, by_part[Part.ELEMENT])
    return replace(firewall, **fields, sets=sets) if fields or sets is not firewall.sets else firewall


def _of(sets: tuple[AddressSet, ...], bare: Any) -> AddressSet | None:
    """The set of that name with its elements, which go with it."""
    return sets[bisect_left(sets, _name(bare), key=_name)] if bare is not None else None


def _with_elements(sets: tuple[AddressSet, ...], turns: Iterable[Turn]) -> tuple[AddressSet, ...]:
    by_set: dict[Identity, list[tuple[Any, Any, Any]]] = defaultdict(list)
    for part, old, new in turns:
        one: Any = new if new is not None else old
        plain = (one.zone, one.address)
        by_set[one.set, one.family].append((part, plain if old else None, plain if new else None))
    found = list(sets)
    for identity, changed in by_set.items():
        index = bisect_left(found, identity, key=_name)
        if index < len(found) and _name(found[index]) == identity:  # else it is a set that went, with all of them
            one = found[index]
            found[index] = replace(one, elements=_patched(one.elements, changed, lambda element: element))
    return tuple(found)


def _name(one: AddressSet) -> Identity:
    return one.name, one.family


def _balancer(balancer: LoadBalancer, by_part: Mapping[Part, list[Turn]], alike: Alike) -> LoadBalancer:
    virtuals, hairpin = balancer.virtuals, balancer.hairpin
    if Part.VIRTUAL in by_part:
        key = (id(virtuals), *map(id, by_part[Part.VIRTUAL]))
        if key not in alike:
            alike[key] = _patched(virtuals, by_part[Part.VIRTUAL], TABLE[Part.VIRTUAL].order)
        virtuals = alike[key]
    if Part.HAIRPIN in by_part:
        plain = [(part, _plain(old), _plain(new)) for part, old, new in by_part[Part.HAIRPIN]]
        hairpin = _patched(hairpin, plain, lambda entry: entry)
    same = virtuals is balancer.virtuals and hairpin is balancer.hairpin
    return balancer if same else LoadBalancer(virtuals, hairpin)


def _plain(hairpin: Any) -> tuple[int, str, str, bool] | None:
    return (hairpin.zone, hairpin.address, hairpin.gateway, hairpin.judged) if hairpin is not None else None
