"""Groups: whom the selectors of one rule mean together, named by what was written and not by who is in it.

A label or a pod that changes therefore moves elements of a set and leaves every rule and chain alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2s
from typing import TypeVar

import msgspec

from sdn.model import LabelSelector, NetworkPolicyPeer, Requirement
from sdn.policy.compiler_classes import MembersOf, Part, PodSelector, Universe
from sdn.policy.compiler_vocabulary import NamedPort
from sdn.policy.selector import positions_of

FEW = 64
"""So many positions take less memory than the mask that they are taken from."""

T = TypeVar("T", str, tuple[str, str])


class Groups:
    """The groups that compiled rules name. An empty group has no id: a rule about nobody must not become "anybody"."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._members: dict[str, tuple[str, ...]] = {}  # empty ones too, so that each is looked up once
        self._shared: dict[int | tuple[int, ...], tuple[str, ...]] = {}
        self._written: dict[Part, bytes] = {}

    @property
    def members(self) -> dict[str, tuple[str, ...]]:
        """id → sorted workload keys of every group that was asked for and has members, sorted by id."""
        return {name: found for name, found in sorted(self._members.items()) if found}

    def union(self, parts: Iterable[Part]) -> str | None:
        """The group of everybody whom at least one part matches."""
        return self._find(frozenset(parts), b"", None)

    def by_port(self, parts: Iterable[Part], port: NamedPort) -> list[tuple[int, str]]:
        """The union split by the number that each member gives to a named port; who lacks the name is in none."""
        split = []
        for number, mask in self._universe.numbers(port).items():
            found = self._find(frozenset(parts), f"{port[0]} {port[1]} {number}".encode(), mask)
            if found is not None:
                split.append((number, found))
        return split

    def _find(self, parts: frozenset[Part], suffix: bytes, within: int | None) -> str | None:
        name = digest(*sorted(map(self._definition, parts)), suffix)
        if name not in self._members:
            mask = 0
            for part in parts:
                mask |= self._universe.select(part)
            self._members[name] = self._keys(mask if within is None else mask & within)
        return name if self._members[name] else None

    def _definition(self, part: Part) -> bytes:
        written = self._written.get(part)
        if written is None:
            written = self._written[part] = canonical(part)
        return written

    def _keys(self, mask: int) -> tuple[str, ...]:
        """Equal groups get the same tuple: ten thousand policies may each mean everybody."""
        key = tuple(positions_of(mask)) if mask.bit_count() <= FEW else mask
        if key not in self._shared:
            self._shared[key] = self._universe.workloads(mask)
        return self._shared[key]


def part_of(peer: NetworkPolicyPeer, namespace: str) -> PodSelector | None:
    """A NetworkPolicy peer's selectors, None for one of addresses or of nothing."""
    if peer.pods is None and peer.namespaces is None:
        return None
    return PodSelector(namespace if peer.namespaces is None else "", peer.pods or LabelSelector(), peer.namespaces)


def canonical(part: Part) -> bytes:
    """The same bytes for every order in which the same selector may be written."""
    if isinstance(part, PodSelector):
        return msgspec.msgpack.encode((part.namespace, _sorted(part.pods), _sorted(part.namespaces)))
    if isinstance(part, MembersOf):
        return msgspec.msgpack.encode(part.group)
    return msgspec.msgpack.encode(
        msgspec.structs.replace(
            part,
            labels=_sorted(part.labels),
            namespace_labels=_sorted(part.namespace_labels),
            namespaces=_set(part.namespaces),
            applications=_set(part.applications),
            segments=_set(part.segments),
            keys=_set(part.keys),
            groups=_set(part.groups),
        )
    )


def digest(*pieces: bytes) -> str:
    """A short name for content: 64 bits, so a hundred thousand of them stay distinct."""
    state = blake2s(digest_size=8)
    for piece in pieces:
        state.update(len(piece).to_bytes(4, "little"))
        state.update(piece)
    return state.hexdigest()


def _sorted(selector: LabelSelector | None) -> LabelSelector | None:
    if selector is None or not (selector.expressions or len(selector.labels) > 1):
        return selector
    expressions = {Requirement(e.key, e.operator, _set(e.values)) for e in selector.expressions}
    return LabelSelector(_set(selector.labels), tuple(sorted(expressions, key=lambda e: (e.key, e.operator, e.values))))


def _set(values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(sorted(set(values)))
