"""Groups of which it is known how many workloads are in each, while these change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sdn.policy.compiler_classes import PodSelector, Universe
from sdn.policy.compiler_vocabulary import NamedPort
from sdn.policy.groups import Definition, Groups
from sdn.policy.live_classes import EVERYWHERE, Classes, space, space_of
from sdn.policy.selector import positions_of


class LiveGroups(Groups):
    """Groups of which it is known how many workloads are in each, while these change."""

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self.classes: Classes | None = None  # before that, all is as in a whole compilation
        self.sizes: dict[str, int] = {}
        self.filed: dict[str, list[str]] = defaultdict(list)
        self.numbers: dict[NamedPort, set[int]] = defaultdict(set)
        for port in universe.vocabulary.ports:
            self.numbers[port].update(universe.numbers(port))

    def is_empty(self, name: str) -> bool:
        """Whether nobody is in it now."""
        return not self.sizes[name]

    def count(self, joined: Iterable[str], left: Iterable[str]) -> set[str]:
        """One member more, or less; the groups that were, or are now, without any."""
        flipped = set()
        for name in joined:
            self.sizes[name] += 1
            if self.sizes[name] == 1:
                flipped.add(name)
        for name in left:
            self.sizes[name] -= 1
            if not self.sizes[name]:
                flipped.add(name)
        return flipped

    def forget(self, name: str) -> None:
        """Of a group that no rule asks for any more."""
        definition = self.definitions.pop(name, None)
        if definition is None or self.classes is None:
            return
        del self.sizes[name]
        self.filed[space_of(definition)].remove(name)
        for part in definition.parts:
            self._written.pop(part, None)
            self._alone.pop(part, None)
        for one in self.classes.holders(definition):
            if name in one.groups:
                one.groups = tuple(group for group in one.groups if group != name)

    def by_class(self, universe: Universe) -> dict[int, list[str]]:
        """Position of a class → the groups that hold it; for the universe that was compiled."""
        found: dict[int, list[str]] = defaultdict(list)
        for name, definition in self.definitions.items():
            part = definition.parts[0]
            if len(definition.parts) == 1 and definition.port is None and space(part) != EVERYWHERE:
                assert isinstance(part, PodSelector)
                start, mask = universe.pods(part.namespace, part.pods)
            else:
                start, mask = 0, definition.within(universe)
            for position in positions_of(mask):
                found[start + position].append(name)
        self._members.clear()
        self._shared.clear()
        return found

    def _numbers(self, port: NamedPort) -> Iterable[int]:
        return sorted(self.numbers[port])

    def _look_up(self, name: str, definition: Definition) -> None:
        self.filed[space_of(definition)].append(name)
        if self.classes is None:
            super()._look_up(name, definition)
            self.sizes[name] = len(self._members[name])
        else:
            self.sizes[name] = self._find_now(name, definition, self.classes)

    def _find_now(self, name: str, definition: Definition, classes: Classes) -> int:
        """A group that nobody had asked for: who of those that are there now is in it."""
        universe = classes.universe(space_of(definition), self._universe)
        size = 0
        for one in classes.holding(universe, definition.within(universe)):
            one.groups = (*one.groups, name)
            size += len(one.members)
        return size
