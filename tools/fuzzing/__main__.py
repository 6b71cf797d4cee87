"""`tools/fuzz`: evaluate against trace on random worlds of every policy language, the scheduler on random clusters,
or a plan that follows events against planning anew.

Exit status 1 if anything ever differs, or breaks a rule.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, islice
from random import SystemRandom

import click

from fuzzing import living, scheduling
from fuzzing.compare import Disagreement, compare, disagreements, pairs_of
from fuzzing.shrink import shrunk
from fuzzing.story import story

EVERY = 2.0
"""Seconds between two lines of progress."""

TOLD = 10
"""Disagreements that are shrunk and told; more are counted, for most have one cause."""


class Run:
    """How far it is."""

    def __init__(self, wanted: int) -> None:
        self.done = 0
        self.different = 0
        self.said: Counter[str] = Counter()
        self._wanted = wanted
        self._start = self._told = time.monotonic()

    def progress(self) -> None:
        """A line now and then, on standard error."""
        now = time.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            click.echo(f"{self.done:,} of {self._wanted:,} pairs, {self.summary()}", err=True)

    def summary(self) -> str:
        """The rate, what was said (agreeing on one answer alone would prove little), and what came of it."""
        rate = self.done / max(time.monotonic() - self._start, 1e-9)
        said = ", ".join(f"{number:,} {what}" for what, number in self.said.most_common())
        return f"{rate:,.0f} a second ({said}): {self.different:,} disagreement{'' if self.different == 1 else 's'}"


def found(seed: int, run: Run, wanted: int) -> Iterator[Disagreement]:
    """Every disagreement, as it is found."""
    for number in count(seed):
        pairs = pairs_of(number)[: wanted - run.done]
        if not pairs:
            return
        for one in disagreements(pairs, run.said):
            run.different += 1
            yield one
        run.done += len(pairs)
        run.progress()


def clusters(first: int, wanted: int) -> int:
    """Look at that many clusters; the number of findings, of which the first are told."""
    tally = scheduling.Tally()
    _tell(scheduling.wrong(islice(count(first), wanted), tally, _progress(wanted, tally.summary)))
    click.echo(tally.summary())
    return tally.wrong


def live(first: int, wanted: int) -> int:
    """Make that many events; how many came out wrong."""
    tally = living.Tally()
    _tell(living.wrong(first, wanted, tally, _progress(wanted, tally.summary)))
    click.echo(tally.summary())
    return tally.wrong


def _tell(findings: Iterator[object]) -> None:
    for number, finding in enumerate(findings):
        if number < TOLD:
            click.echo(f"{finding}\n")


def _progress(wanted: int, summary: Callable[[], str]) -> Callable[[], None]:
    """A line now and then, on standard error."""
    told = time.monotonic()

    def progress() -> None:
        nonlocal told
        if time.monotonic() - told >= EVERY:
            told = time.monotonic()
            click.echo(f"{wanted:,} wanted, {summary()}", err=True)

    return progress


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pairs", type=click.IntRange(1), default=20_000, show_default=True, help="(World, flow) pairs.")
@click.option(
    "--clusters", "wanted", type=click.IntRange(1), help="Random clusters for the scheduler, in place of pairs."
)
@click.option("--events", type=click.IntRange(1), help="Events in the life of random worlds, in place of pairs.")
@click.option("--seed", type=click.IntRange(0), help="Number of the first world; without it one is thrown and told.")
def main(pairs: int, wanted: int | None, events: int | None, seed: int | None) -> None:
    """Ask evaluate and trace the same random questions, about every policy language, and tell where they differ.

    With --clusters: place random clusters and plan moves in them, and tell which rules are broken at which step.
    With --events: let workloads, policies and Services come, go and change, and tell after which event the plan is
    another than planned anew.
    """
    first = SystemRandom().randrange(10**9) if seed is None else seed
    if wanted is not None:
        click.echo(f"clusters from {first}; the same again: tools/fuzz --clusters {wanted} --seed {first}")
        sys.exit(1 if clusters(first, wanted) else 0)
    if events is not None:
        click.echo(f"worlds from {first}; the same again: tools/fuzz --events {events} --seed {first}")
        sys.exit(1 if live(first, events) else 0)
    click.echo(f"worlds from {first}; the same again: tools/fuzz --pairs {pairs} --seed {first}")
    run = Run(pairs)
    for number, one in enumerate(found(first, run, pairs)):
        if number < TOLD:
            click.echo(story(shrunk(one, compare)) + "\n")
    click.echo(f"{run.done:,} pairs, {run.summary()}")
    sys.exit(1 if run.different else 0)


if __name__ == "__main__":
    main(prog_name="tools/fuzz")
