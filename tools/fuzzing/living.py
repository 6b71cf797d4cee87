"""Random events in random worlds: a plan that follows them against planning anew, Host by Host and byte by byte."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

from live_events import Events
from strategies_world import world

STEPS = 25
"""Events in each world."""


class Tally:
    """What was done, and how much of it was wrong."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.events = self.worlds = self.replanned = self.wrong = 0
        self._start = time.monotonic()

    def summary(self) -> str:
        """One line."""
        rate = self.events / max(time.monotonic() - self._start, 1e-9)
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(self.done.items()))
        return (
            f"{self.events:,} events in {self.worlds:,} worlds ({kinds}; {self.replanned:,} planned anew), "
            f"{rate:,.0f} a second: {self.wrong:,} wrong"
        )


def wrong(first: int, wanted: int, tally: Tally, progress: Callable[[], None]) -> Iterator[str]:
    """Every event after which the two differ, as it is found; the rest of that world is left out."""
    for seed in count(first):
        if tally.events >= wanted:
            return
        events = Events(seed, world(seed))
        tally.worlds += 1
        for number in range(min(STEPS, wanted - tally.events)):
            tally.events += 1
            try:
                events.step()
            except AssertionError:
                tally.wrong += 1
                yield f"world {seed}, event {number + 1}: another plan than planned anew"
                break
            except Exception as error:  # a crash is a finding, too, and not the end
                tally.wrong += 1
                yield f"world {seed}, event {number + 1}: {type(error).__name__}: {error}"
                break
        tally.done += events.done
        tally.replanned += events.keeping.replanned
        progress()
