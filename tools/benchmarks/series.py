"""Numbers sampled while something is done again and again, and whether they grow.

What else happens on a machine adds for a while and goes again, and a process takes memory at first that it then keeps.
So the first fifth does not count, the rest is cut into windows, and of each only the least number does; a leak raises
that of every window. A straight line through these says what a step adds, and how well that is known. A series that is
too noisy, or too short, is neither flat nor growing: nothing is claimed of it.
"""

from __future__ import annotations

from array import array
from enum import StrEnum
from math import inf, sqrt
from statistics import mean

WINDOWS = 10

_STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31)
"""Student's t for 1 to 8 degrees of freedom: that far, at most, the slope is from the true one in 95 of 100 cases."""


class Verdict(StrEnum):
    """What can be said."""

    FLAT = "flat"
    GROWS = "grows"
    UNKNOWN = "not told apart"


class Series:
    """`allowed` is how much each step may add; less is within what one object of the leaking kind would take.

    `fewest` is how many steps it takes until what is taken once is no longer taken for a leak. What is `shared` with
    others on the machine is not flat either while it falls: they give up what would hide growth.
    """

    def __init__(self, name: str, unit: str, allowed: float, fewest: int = 0, shared: bool = False) -> None:
        self.name = name
        self.unit = unit
        self.allowed = allowed
        self._fewest = fewest
        self._shared = shared
        # No objects for each number, as this process may be the one whose objects are counted.
        self._steps = array("d")
        self._values = array("d")

    def add(self, step: int, value: float) -> None:
        """After so many steps."""
        self._steps.append(step)
        self._values.append(value)

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
        """What a step adds; 0 where there are not two windows."""
        return self._line()[0]

    @property
    def error(self) -> float:
        """The standard error of the slope; infinite where there are not three windows."""
        return self._line()[1]

    @property
    def verdict(self) -> Verdict:
        """It grows if the slope is more than allowed and surely more than nothing, is flat if surely within that."""
        slope, error = self._line()
        if error == inf or self._steps[-1] < self._fewest:
            return Verdict.UNKNOWN
        margin = error * _STUDENT[min(len(self._floors()) - 2, len(_STUDENT)) - 1]
        if slope > self.allowed and slope > margin:
            return Verdict.GROWS
        worst = abs(slope) if self._shared else slope
        return Verdict.FLAT if worst + margin <= self.allowed else Verdict.UNKNOWN

    def _line(self) -> tuple[float, float]:
        """Least squares: slope and its standard error."""
        floors = self._floors()
        middle, level = mean(step for step, _ in floors), mean(value for _, value in floors)
        width = sum((step - middle) ** 2 for step, _ in floors)
        if not width:
            return 0.0, inf
        slope = sum((step - middle) * (value - level) for step, value in floors) / width
        if len(floors) < 3:
            return slope, inf
        left = sum((value - level - slope * (step - middle)) ** 2 for step, value in floors)
        # What is left of whole numbers on a line is rounding, and no sign of noise.
        return slope, sqrt(left / (len(floors) - 2) / width) if left > 1e-9 * max(1.0, level * level) else 0.0

    def _floors(self) -> list[tuple[float, float]]:
        """(step, least number) of each window."""
        points = list(zip(self._steps, self._values, strict=True))
        points = points[len(points) // 5 :]
        count = min(WINDOWS, len(points))
        windows = (
            points[number * len(points) // count : (number + 1) * len(points) // count] for number in range(count)
        )
        return [min(window, key=lambda point: point[1]) for window in windows]
