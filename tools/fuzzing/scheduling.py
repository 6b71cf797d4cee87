"""Random clusters through everything the scheduler does, each result and each step looked at by the tests' checker.

A call that raises is a finding like a broken rule, for a fuzzer that stops at a crash finds only one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from cluster_runs import Finding, findings
from clusters import MIDDLE

LARGER = 50
"""Every so many clusters one of 40 Hosts; it takes as long as all of the others."""


class Tally:
    """What was looked at."""

    def __init__(self) -> None:
        self.clusters = 0
        self.wrong = 0
        self.done: Counter[str] = Counter()

    def add(self, finding: Finding) -> None:
        """One more."""
        self.done[finding.what] += 1
        self.done["steps"] += finding.steps
        self.done["left behind"] += bool(finding.left)
        self.wrong += bool(finding.wrong)

    def summary(self) -> str:
        """What was done, how often, and how much of it was wrong."""
        counts = ", ".join(f"{number:,} {what}" for what, number in self.done.items())
        return f"{self.clusters:,} clusters ({counts}): {self.wrong:,} wrong"


def wrong(seeds: Iterator[int], tally: Tally, progress: Callable[[], None]) -> Iterator[Finding]:
    """Every finding of these clusters in which something is wrong."""
    for seed in seeds:
        for finding in _guarded(seed):
            tally.add(finding)
            if finding.wrong:
                yield finding
        tally.clusters += 1
        progress()


def _guarded(seed: int) -> Iterator[Finding]:
    try:
        yield from findings(seed, MIDDLE if seed % LARGER == 0 else None)
    except Exception as error:
        yield Finding(seed, "crash", (f"{type(error).__name__}: {error}",))
