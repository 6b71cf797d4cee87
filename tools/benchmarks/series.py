"""Numbers sampled while something is done again and again, and whether they grow.

What else happens on a machine adds for a while and goes again, and a process takes memory at first that it then keeps.
So the first fifth does not count, the rest is cut into windows, and of each only the least number does; a leak raises
that of every window. The slope is the median of those between all pairs of windows (Theil and Sen), which a few
outliers do not move.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from statistics import median

WINDOWS = 8


class Series:
    """`allowed` is how much each step may add; less is within what one object of the leaking kind would take."""

    def __init__(self, name: str, unit: str, allowed: float) -> None:
        self.name = name
        self.unit = unit
        self.allowed = allowed
        self._points: list[tuple[int, float]] = []

    def add(self, step: int, value: float) -> None:
        """After so many steps."""
        self._points.append((step, value))

    @property
    def first(self) -> float:
        """The least of the first window."""
        return self._floors()[0][1]

    @property
    def last(self) -> float:
        """The least of the last window."""
        return self._floors()[-1][1]

    @property
    def slope(self) -> float:
        """What a step adds."""
        pairs = combinations(self._floors(), 2)
        return median((after[1] - before[1]) / (after[0] - before[0]) for before, after in pairs)

    @property
    def grows(self) -> bool:
        """More than is allowed."""
        return self.slope > self.allowed

    def _floors(self) -> list[tuple[int, float]]:
        """(step, least number) of each window."""
        return list(self._windows(self._points[len(self._points) // 5 :]))

    def _windows(self, points: list[tuple[int, float]]) -> Iterator[tuple[int, float]]:
        count = min(WINDOWS, len(points))
        for number in range(count):
            window = points[number * len(points) // count : (number + 1) * len(points) // count]
            yield min(window, key=lambda point: point[1])
