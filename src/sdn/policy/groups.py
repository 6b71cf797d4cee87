"""Groups: whom the selectors of one rule mean together, named by what was written and not by who is in it.

A label or a pod that changes therefore moves elements of a set and leaves every rule and chain alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2s
from typing import NamedTuple, TypeVar

import msgspec

from sdn.model import LabelSelector, NetworkPolicyPeer, Requirement
from sdn.policy.compiler_classes import MembersOf, Part, PodSelector, Universe
from sdn.policy.compiler_vocabulary import NamedPort
from sdn.policy.selector import positions_of

FEW = 64
"""So many positions take less memory than the mask that they are taken from."""

_ENCODE = msgspec.msgpack.Encoder().encode
"""Says where each piece ends, so that no two lists of pieces look the same."""

T = TypeVar("T", str, tuple[str, str])


class Definition(NamedTuple):
    """Whom a group holds: everybody in one of the parts who, if there is a port, gives its name the number."""

    parts: tuple[Part, ...]
    port: NamedPort | None = None
    number: int = 0

    def within(self, universe: Universe) -> int:
        """The classes of any universe that the group holds."""
        mask = 0
        for part in self.parts:
            mask |= universe.select(part)
        return mask if self.port is None else mask & universe.numbers(self.port).get(self.number, 0)


class Groups:
    """The groups that compiled rules name. An empty group has no id: a rule about nobody must not become "anybody"."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._members: dict[str, tuple[str, ...]] = {}  # empty ones too, so that each is looked up once
        self._shared: dict[int | tuple[int, ...], tuple[str, ...]] = {}
        self.definitions: dict[str, Definition] = {}
        self._written: dict[Part, bytes] = {}
        self._alone: dict[Part, str] = {}
        self._asked: set[str] = set()

    @property
    def members(self) -> dict[str, tuple[str, ...]]:
        """id → sorted workload keys of every group that was asked for and has members, in the order of asking.

        Rules name them in that order, too: whoever goes through both finds them near each other in memory.
        """
        return {name: found for name, found in self._members.items() if found}

    def members_of(self, name: str) -> tuple[str, ...]:
        """The members of a group that was asked for."""
        return self._members[name]

    def is_empty(self, name: str) -> bool:
        """Whether nobody was in it, and the rules about it were left out."""
        return not self._members[name]

    def union(self, parts: Sequence[Part]) -> str | None:
        """The group of everybody whom at least one part matches."""
        if len(parts) > 1:
            return self._ask(self._find(Definition(tuple(set(parts))), b""))
        (part,) = parts
        if part not in self._alone:
            self._alone[part] = self._find(Definition((part,)), b"")
        return self._ask(self._alone[part])

    def by_port(self, parts: Iterable[Part], port: NamedPort) -> list[tuple[int, str]]:
        """The union split by the number that each member gives to a named port; who lacks the name is in none."""
        self._asked.add(port_token(port))
        split = []
        for number in self._numbers(port):
            definition = Definition(tuple(set(parts)), port, number)
            found = self._ask(self._find(definition, f"{port[0]} {port[1]} {number}".encode()))
            if found is not None:
                split.append((number, found))
        return split

    def asked(self) -> frozenset[str]:
        """The groups and named ports (see `port_token`) that were asked for since the last call, empty ones too.

        What was compiled meanwhile depends on who is in them at all, and on nothing else about workloads.
        """
        found = frozenset(self._asked)
        self._asked.clear()
        return found

    def _ask(self, name: str) -> str | None:
        self._asked.add(name)
        return None if self.is_empty(name) else name

    def _numbers(self, port: NamedPort) -> Iterable[int]:
        return self._universe.numbers(port)

    def _find(self, definition: Definition, suffix: bytes) -> str:
        """The id, which is made of what was written alone; who is in it is looked up the first time."""
        name = digest(*sorted(map(self._definition, definition.parts)), suffix)
        if name not in self.definitions:
            self.definitions[name] = definition
            self._look_up(name, definition)
        return name

    def _look_up(self, name: str, definition: Definition) -> None:
        """One namespace's Pods are found without ever touching a mask of all classes."""
        part = definition.parts[0]
        if (
            len(definition.parts) > 1
            or definition.port
            or not isinstance(part, PodSelector)
            or part.namespaces is not None
        ):
            self._members[name] = self._keys(definition.within(self._universe))
            return
        start, mask = self._universe.pods(part.namespace, part.pods)
        self._members[name] = self._keys(mask, start)

    def _definition(self, part: Part) -> bytes:
        written = self._written.get(part)
        if written is None:
            written = self._written[part] = canonical(part)
        return written

    def _keys(self, mask: int, start: int = 0) -> tuple[str, ...]:
        """Equal groups get the same tuple: ten thousand policies may each mean everybody."""
        if mask.bit_count() <= FEW:
            key: int | tuple[int, ...] = tuple([start + position for position in positions_of(mask)])
        else:
            key = mask << start
        if key not in self._shared:
            self._shared[key] = self._universe.workloads(mask, start)
        return self._shared[key]


def part_of(peer: NetworkPolicyPeer, namespace: str) -> PodSelector | None:
    """A NetworkPolicy peer's selectors, None for one of addresses or of nothing."""
    if peer.pods is None and peer.namespaces is None:
        return None
    return PodSelector(namespace if peer.namespaces is None else "", peer.pods or LabelSelector(), peer.namespaces)


def port_token(port: NamedPort) -> str:
    """What stands for a named port among the ids of groups, which have no space in them."""
    return f"{port[0]} {port[1]}"


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


def digest(*pieces: bytes | str) -> str:
    """A short name for content: 64 bits, so a hundred thousand of them stay distinct."""
    return blake2s(_ENCODE(pieces), digest_size=8).hexdigest()


def _sorted(selector: LabelSelector | None) -> LabelSelector | None:
    if selector is None or not (selector.expressions or len(selector.labels) > 1):
        return selector
    expressions = {Requirement(e.key, e.operator, _set(e.values)) for e in selector.expressions}
    return LabelSelector(_set(selector.labels), tuple(sorted(expressions, key=lambda e: (e.key, e.operator, e.values))))


def _set(values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(sorted(set(values)))
