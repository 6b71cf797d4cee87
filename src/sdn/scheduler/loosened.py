"""Which targets may have become better, told to whoever looks at them from time to time.

A target is in it once, at its last time, so that it is as large as there are targets however long somebody plans.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sdn.scheduler.target import Target


class Loosened:
    """`now` counts all that was ever added; who remembers it asks later what came `since`."""

    def __init__(self) -> None:
        self.now = 0
        self._last: dict[str, int] = {}  # id of a target → when it was added last, the oldest first
        self._cleared = 0

    def __len__(self) -> int:
        """How often something was added since it was cleared, the same target each time."""
        return self.now - self._cleared

    def add(self, targets: Iterable[Target]) -> None:
        """These may be better than they were."""
        for target in targets:
            self.now += 1
            self._last.pop(target.id, None)
            self._last[target.id] = self.now

    def since(self, then: int) -> Iterator[str]:
        """The ids of those that were added after `then`, each once, the last first."""
        for name, when in reversed(self._last.items()):
            if when <= then:
                return
            yield name

    def clear(self) -> None:
        """Nobody will ask for what was added until now."""
        self._last.clear()
        self._cleared = self.now
