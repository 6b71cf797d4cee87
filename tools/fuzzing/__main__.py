"""`tools/fuzz`: evaluate against trace on random worlds of every policy language; exit status 1 if they ever differ."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import count
from random import SystemRandom

import click

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
        self._wanted = wanted
        self._start = self._told = time.monotonic()

    def progress(self) -> None:
        """A line now and then, on standard error."""
        now = time.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            click.echo(f"{self.done:,} of {self._wanted:,} pairs, {self.summary()}", err=True)

    def summary(self) -> str:
        """The rate, and what came of it."""
        rate = self.done / max(time.monotonic() - self._start, 1e-9)
        return f"{rate:,.0f} a second: {self.different:,} disagreement{'' if self.different == 1 else 's'}"


def found(seed: int, run: Run, wanted: int) -> Iterator[Disagreement]:
    """Every disagreement, as it is found."""
    for number in count(seed):
        pairs = pairs_of(number)[: wanted - run.done]
        if not pairs:
            return
        for one in disagreements(pairs):
            run.different += 1
            yield one
        run.done += len(pairs)
        run.progress()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pairs", type=click.IntRange(1), default=20_000, show_default=True, help="(World, flow) pairs.")
@click.option("--seed", type=click.IntRange(0), help="Number of the first world; without it one is thrown and told.")
def main(pairs: int, seed: int | None) -> None:
    """Ask evaluate and trace the same random questions, about every policy language, and tell where they differ."""
    first = SystemRandom().randrange(10**9) if seed is None else seed
    click.echo(f"worlds from {first}; the same again: tools/fuzz --pairs {pairs} --seed {first}")
    run = Run(pairs)
    for number, one in enumerate(found(first, run, pairs)):
        if number < TOLD:
            click.echo(story(shrunk(one, compare)) + "\n")
    click.echo(f"{run.done:,} pairs, {run.summary()}")
    sys.exit(1 if run.different else 0)


if __name__ == "__main__":
    main(prog_name="tools/fuzz")
