"""What the states of nodes are after an event: each sequence is taken apart once, and searched instead of sorted anew.

What several Hosts have in common, and what changes alike there, is made once and common to them afterwards, too.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from sdn.plan.live_changes import Turn
from sdn.plan.parts import FIREWALL_FIELDS, NODE_FIELDS, TABLE, Identity, Part
from sdn.plan.state import AddressSet, Firewall, LoadBalancer, NodeState

_Parts = Mapping[Part, list[Turn]]
_BALANCER = {Part.VIRTUAL, Part.HAIRPIN}
_FIREWALL = {*FIREWALL_FIELDS, Part.SET, Part.ELEMENT}


class Patches:
    """Those of one event, whose states and turns must stay as long as this."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, ...], Any] = {}
        self._sorted: dict[tuple[int, ...], _Parts] = {}

    def patched(self, state: NodeState, turns: Collection[Turn]) -> NodeState:
        """A node after these turns."""
        by_part = self._by_part(turns)
        fields: dict[str, Any] = {
            NODE_FIELDS[part]: self._sequence(getattr(state, NODE_FIELDS[part]), several, TABLE[part].order)
            for part, several in by_part.items()
            if part in NODE_FIELDS
        }
        if not by_part.keys().isdisjoint(_FIREWALL):
            assert state.firewall is not None
            fields["firewall"] = self._firewall(state.firewall, by_part)
        if not by_part.keys().isdisjoint(_BALANCER):
            assert state.loadbalancer is not None
            fields["loadbalancer"] = self._balancer(state.loadbalancer, by_part)
        return replace(state, **fields)

    def _by_part(self, turns: Collection[Turn]) -> _Parts:
        key = tuple(map(id, turns))
        found = self._sorted.get(key)
        if found is None:
            parts: dict[Part, list[Turn]] = defaultdict(list)
            for turn in turns:
                parts[turn[0]].append(turn)
            found = self._sorted[key] = dict(parts)
        return found

    def _once(self, thing: object, turns: Sequence[Turn], make: Callable[[], Any]) -> Any:
        key = (id(thing), *map(id, turns))
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _sequence(self, things: tuple[Any, ...], turns: list[Turn], order: Callable[[Any], Any]) -> tuple[Any, ...]:
        made: tuple[Any, ...] = self._once(things, turns, lambda: _patched(things, turns, order))
        return made

    def _firewall(self, firewall: Firewall, by_part: _Parts) -> Firewall:
        fields: dict[str, Any] = {
            FIREWALL_FIELDS[part]: self._sequence(getattr(firewall, FIREWALL_FIELDS[part]), several, TABLE[part].order)
            for part, several in by_part.items()
            if part in FIREWALL_FIELDS
        }
        turns = [*by_part.get(Part.SET, ()), *by_part.get(Part.ELEMENT, ())]
        if turns:
            fields["sets"] = self._once(firewall.sets, turns, lambda: self._sets(firewall.sets, by_part))
        return replace(firewall, **fields)

    def _sets(self, sets: tuple[AddressSet, ...], by_part: _Parts) -> tuple[AddressSet, ...]:
        if Part.SET in by_part:
            sets = _patched(sets, [(p, _of(sets, old), new) for p, old, new in by_part[Part.SET]], _name)
        by_set: dict[Identity, list[Turn]] = defaultdict(list)
        for turn in by_part.get(Part.ELEMENT, ()):
            one: Any = turn[2] if turn[2] is not None else turn[1]
            by_set[one.set, one.family].append(turn)
        found = list(sets)
        for identity, turns in by_set.items():
            index = bisect_left(found, identity, key=_name)
            if index < len(found) and _name(found[index]) == identity:  # else it is a set that went, with all of them
                found[index] = self._with_elements(found[index], turns)
        return tuple(found)

    def _with_elements(self, one: AddressSet, turns: list[Turn]) -> AddressSet:
        plain = [(part, _element(old), _element(new)) for part, old, new in turns]
        made: AddressSet = self._once(
            one, turns, lambda: replace(one, elements=_patched(one.elements, plain, lambda element: element))
        )
        return made

    def _balancer(self, balancer: LoadBalancer, by_part: _Parts) -> LoadBalancer:
        virtuals, hairpin = balancer.virtuals, balancer.hairpin
        if Part.VIRTUAL in by_part:
            virtuals = self._sequence(virtuals, by_part[Part.VIRTUAL], TABLE[Part.VIRTUAL].order)
        if Part.HAIRPIN in by_part:
            plain = [(part, _plain(old), _plain(new)) for part, old, new in by_part[Part.HAIRPIN]]
            hairpin = self._once(
                hairpin, by_part[Part.HAIRPIN], lambda: _patched(balancer.hairpin, plain, lambda entry: entry)
            )
        return LoadBalancer(virtuals, hairpin)


def _patched(
    things: tuple[Any, ...], turns: Collection[tuple[Any, Any, Any]], order: Callable[[Any], Any]
) -> tuple[Any, ...]:
    found = list(things)
    for _, before, _ in turns:
        if before is not None:
            del found[bisect_left(found, order(before), key=order)]
    for _, _, after in turns:
        if after is not None:
            insort(found, after, key=order)
    return tuple(found)


def _of(sets: tuple[AddressSet, ...], bare: Any) -> AddressSet | None:
    """The set of that name with its elements, which go with it."""
    return sets[bisect_left(sets, _name(bare), key=_name)] if bare is not None else None


def _name(one: AddressSet) -> Identity:
    return one.name, one.family


def _element(one: Any) -> tuple[int, str] | None:
    return (one.zone, one.address) if one is not None else None


def _plain(hairpin: Any) -> tuple[int, str, str, bool] | None:
    return (hairpin.zone, hairpin.address, hairpin.gateway, hairpin.judged) if hairpin is not None else None
