"""Two states of a node without what is alike in both: whoever makes one of the other need not look at the rest.

Devices stay, for what lies on them is told by them; so do a few things that say what the others still need.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from sdn.model import Protocol, family_of
from sdn.plan.live_changes import LiveChanges, Turn
from sdn.plan.parts import Element, Part
from sdn.plan.state import AddressSet, Firewall, LoadBalancer, NodeState, Virtual

Narrow = Mapping[str, tuple[NodeState, NodeState]]
"""Node → before and after, with what differs alone."""

_FIELDS = {Part.RULE: "rules", Part.FDB: "fdb", Part.NEIGHBOUR: "neighbours", Part.ROUTE: "routes"}
_RULES = {Part.CHAIN: "chains", Part.PROFILE: "profiles", Part.EGRESS: "egress", Part.INGRESS: "ingress"}
_NARROWED = {*_FIELDS, *_RULES, Part.SET, Part.ELEMENT, Part.VIRTUAL, Part.HAIRPIN}
_DEVICES = {Part.PORT, Part.LINK, Part.INTERFACE}

Size = tuple[int, Protocol, int]
Fields = dict[str, Any]
_Known = tuple[tuple[Virtual, ...], Fields, Fields]
"""The Services of a node, and what differs there before and after."""


def narrow_by(changes: LiveChanges) -> Narrow:
    """Of the nodes that are there before and after. What changes alike on many is the same objects in all of them."""
    turns = changes.turns()
    alike: dict[tuple[int, ...], _Alike] = {}
    found = {}
    for name in sorted(changes.before.keys() & changes.after.keys()):
        before, after = changes.before[name], changes.after[name]
        key = tuple(map(id, turns[name]))
        known = alike.get(key)
        if known is None:
            known = alike[key] = _Alike(turns[name])
        found[name] = known.narrowed(before, after)
    return found


class _Alike:
    """Nodes that change alike; what of them differs depends on their Services besides."""

    def __init__(self, turns: list[Turn]) -> None:
        self._turns = turns
        anew = any(part in _DEVICES and old is not None and new is not None for part, old, new in turns)
        self._whole = anew or not {part for part, _, _ in turns} <= _NARROWED | _DEVICES
        self._known: list[_Known] = []

    def narrowed(self, before: NodeState, after: NodeState) -> tuple[NodeState, NodeState]:
        """Both with what the turns say that differs; whole where that is the node itself, or a device that may be made
        anew: then what lies on it is, too."""
        if self._whole or not (before.firewall and after.firewall):
            return before, after
        virtuals = after.loadbalancer.virtuals if after.loadbalancer else ()
        for others, old_fields, new_fields in self._known:
            if others is virtuals or others == virtuals:
                return replace(before, **old_fields), replace(after, **new_fields)
        self._known.append((virtuals, *self._fields(virtuals)))
        return self.narrowed(before, after)

    def _fields(self, virtuals: tuple[Virtual, ...]) -> tuple[Fields, Fields]:
        old: dict[Part, list[Any]] = defaultdict(list)
        new: dict[Part, list[Any]] = defaultdict(list)
        for part, was, now in self._turns:
            if was is not None:
                old[part].append(was)
            if now is not None:
                new[part].append(now)
        _keep_sets(old, new)
        _keep_balancers(virtuals, old, new)
        return _only(old), _only(new)


def _keep_sets(old: dict[Part, list[Any]], new: dict[Part, list[Any]]) -> None:
    """A set that stays while its elements change is in both."""
    told = {(one.name, one.family) for one in (*old[Part.SET], *new[Part.SET])}
    stay = {(one.set, one.family) for one in (*old[Part.ELEMENT], *new[Part.ELEMENT])} - told
    for name, family in sorted(stay):
        for things in (old, new):
            things[Part.SET].append(AddressSet(name, family, ()))


def _keep_balancers(virtuals: Iterable[Virtual], old: dict[Part, list[Any]], new: dict[Part, list[Any]]) -> None:
    """Another Service beside one that changes, for what all share; and of those with as many backends, one: they share
    what chooses among these."""
    told = (*old[Part.VIRTUAL], *new[Part.VIRTUAL])
    changed, known, alone = set(map(_size, told)), set(map(_key, told)), True
    for one in virtuals if told else ():
        if not changed and not alone:
            return
        if one.backends and _key(one) not in known and (alone or _size(one) in changed):
            changed.discard(_size(one))
            alone = False
            old[Part.VIRTUAL].append(one)
            new[Part.VIRTUAL].append(one)


def _size(one: Virtual) -> Size:
    return family_of(one.address), one.protocol, len(one.backends)


def _key(one: Virtual) -> tuple[int, str, Protocol, int]:
    return one.mark, one.address, one.protocol, one.port


def _only(things: Mapping[Part, list[Any]]) -> Fields:
    """The fields of a state that holds these things alone, beside its devices."""
    members: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
    element: Element
    for element in things.get(Part.ELEMENT, ()):
        members[element.set, element.family].append((element.zone, element.address))
    sets = tuple(replace(one, elements=tuple(members[one.name, one.family])) for one in things.get(Part.SET, ()))
    rules = {name: tuple(things.get(part, ())) for part, name in _RULES.items()}
    hairpin = tuple((one.zone, one.address, one.gateway, one.judged) for one in things.get(Part.HAIRPIN, ()))
    return {
        **{name: tuple(things.get(part, ())) for part, name in _FIELDS.items()},
        "firewall": Firewall(sets=sets, **rules),
        "loadbalancer": LoadBalancer(tuple(things.get(Part.VIRTUAL, ())), hairpin),
    }
