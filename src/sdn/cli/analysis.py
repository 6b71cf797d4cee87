"""What the verbs that answer from policy alone share: files as a lab with addresses, though nothing is ever built."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sdn.cli import complete
from sdn.cli.options import EXISTING
from sdn.cli.switches import Switches

if TYPE_CHECKING:
    from sdn.model import Placed
    from sdn.policy.intervals import Services
    from sdn.policy.reach import Families, Reach

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

LINES = 4096
"""Lines that are written at once: a write for each would cost more than the answers."""


def sources_argument(with_workloads: bool = False) -> Callable[[Decorated], Decorated]:
    """Lab files, manifests and exports, which need no kernel here; names of workloads may follow them."""
    more = complete.files_or_workloads if with_workloads else None
    return click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=EXISTING, shell_complete=more)


def read(paths: Iterable[Path], switches: Switches) -> Placed:
    """The lab that files describe, with an address for everybody, whether or not its Hosts have room."""
    return read_with_places(paths, switches)[0]


def read_with_places(paths: Iterable[Path], switches: Switches) -> tuple[Placed, Mapping[str, str]]:
    """The same, and for everything named where it is written (`Loaded.where`)."""
    from sdn.plan.desired import placed_anyhow

    paths = list(paths)
    loaded = switches.load(paths)
    _hint(loaded.warnings, paths)
    return placed_anyhow(loaded.model), loaded.where


def _hint(warnings: Iterable[str], paths: Iterable[Path]) -> None:
    """That something was understood in part; kinds that say nothing of networks are in every folder of manifests."""
    from sdn.report.words import count

    telling = [line for line in warnings if not line.startswith("not used here: ")]
    if telling:
        told = f"{count(len(telling), 'warnings')} about what was read"
        click.echo(f"{told}; see: sdn check {shlex.join(map(str, paths))}", err=True)


def families(placed: Placed, only: int | None = None) -> Families:
    """The IP families that the lab speaks of; one alone where somebody asks for it."""
    from sdn.policy.reach import families_of
    from sdn.spec.kubernetes.ranges import MANY_POD_RANGES, POD_RANGES

    return (only,) if only else families_of(placed.model, {*POD_RANGES, *MANY_POD_RANGES})


def reach(placed: Placed, only: int | None = None, services: Services | None = None) -> Reach:
    """The lab, compiled and solved."""
    from sdn.policy.compiler import compile_policy
    from sdn.policy.reach import Reach

    return Reach(placed, compile_policy(placed), families(placed, only), services)


def write(lines: Iterable[str]) -> None:
    """Lines to standard output, as they come."""
    several: list[str] = []
    for line in lines:
        several.append(line)
        if len(several) == LINES:
            click.echo("\n".join(several))
            several.clear()
    if several:
        click.echo("\n".join(several))
