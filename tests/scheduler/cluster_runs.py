"""One random cluster through all that the scheduler does, every result looked at by the checker: for tests and fuzz."""

from __future__ import annotations

from collections.abc import Iterator

from checker import check
from clusters import Size, cluster
from msgspec import Struct

from sdn.errors import UnschedulableError
from sdn.model import Model, Placement
from sdn.scheduler import place


class Finding(Struct, frozen=True):
    """Something wrong with what the scheduler made of the cluster of a seed; or, without `wrong`, that all was right.

    `steps` counts the moves that were looked at.
    """

    seed: int
    what: str
    wrong: tuple[str, ...] = ()
    steps: int = 0

    def __str__(self) -> str:
        return "\n".join([f"cluster {self.seed}, {self.what}:", *(f"  {sentence}" for sentence in self.wrong)])


def findings(seed: int, size: Size | None = None) -> Iterator[Finding]:
    """What was done and what came of it; nothing where the cluster cannot be placed."""
    model = cluster(seed, size)
    try:
        placement = place(model)
    except UnschedulableError:
        return
    yield Finding(seed, "place", tuple(check(model, placement)))
    yield again(seed, model, placement)


def again(seed: int, model: Model, placement: Placement) -> Finding:
    """Who is placed already stays."""
    wrong = () if place(model, placement) == placement else ("placing what is placed moves somebody",)
    return Finding(seed, "place again", wrong)
