"""Workloads that no policy can tell apart, while they come and go: who is in which class, and what it comes to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from sdn.policy.compiler_classes import Part, PodSelector, Universe
from sdn.policy.compiler_vocabulary import WorkloadClass
from sdn.policy.groups import Definition
from sdn.policy.selector import positions_of

EVERYWHERE = ""
"""Where a group is filed whose members may be in any namespace."""

Pair = tuple[str, str]
"""The ids of an egress and an ingress profile."""

NO_PAIR = ("", "")

MOST_ASKED = 1000
"""A universe remembers every selector that it was asked for; after so many questions it is made anew."""


class LiveClass:
    """Workloads that no policy can tell apart, who they are, and all that policy makes of them."""

    __slots__ = ("asked", "found", "groups", "members", "pair")

    def __init__(self, found: WorkloadClass, groups: tuple[str, ...]) -> None:
        self.found = found
        self.members: set[str] = set()
        self.groups = groups
        self.pair = NO_PAIR
        self.asked: frozenset[str] = frozenset()


class Classes:
    """All classes that somebody is in."""

    def __init__(self) -> None:
        self.by_class: dict[WorkloadClass, LiveClass] = {}
        self._spaces: dict[str, dict[LiveClass, None]] = defaultdict(dict)
        self._universes: dict[str, Universe] = {}
        self._asked = 0

    def add(self, one: LiveClass) -> LiveClass:
        """One that is new."""
        self.by_class[one.found] = one
        self._spaces[one.found.namespace][one] = None
        self._forget(one.found.namespace)
        return one

    def remove(self, one: LiveClass) -> None:
        """One that nobody is in any more."""
        del self.by_class[one.found]
        del self._spaces[one.found.namespace][one]
        if not self._spaces[one.found.namespace]:
            del self._spaces[one.found.namespace]
        self._forget(one.found.namespace)

    def within(self, space: str) -> Iterable[LiveClass]:
        """Those of one namespace, or all of them."""
        return self.by_class.values() if space == EVERYWHERE else self._spaces.get(space, ())

    def holders(self, definition: Definition) -> Iterable[LiveClass]:
        """The classes among which a group's members are."""
        return self.within(space_of(definition))

    def universe(self, space: str, like: Universe) -> Universe:
        """The same classes as a universe under the policies of another one; kept until one of them comes or goes."""
        self._asked += 1
        if self._asked % MOST_ASKED == 0:
            self._universes.clear()
        if space not in self._universes:
            self._universes[space] = like.beside(one.found for one in self.within(space))
        return self._universes[space]

    def holding(self, universe: Universe, mask: int) -> Iterator[LiveClass]:
        """The classes at these positions of such a universe."""
        return (self.by_class[universe.classes[position]] for position in positions_of(mask))

    def _forget(self, namespace: str) -> None:
        self._universes.pop(namespace, None)
        self._universes.pop(EVERYWHERE, None)


def space_of(definition: Definition) -> str:
    """The namespace that all of its members are in, if one can say."""
    spaces = {space(part) for part in definition.parts}
    return spaces.pop() if len(spaces) == 1 else EVERYWHERE


def space(part: Part) -> str:
    """The same of one of its parts."""
    return part.namespace if isinstance(part, PodSelector) and part.namespaces is None else EVERYWHERE
