"""What the verbs share that operate on a running lab: their options, and how they tell what came of it."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sdn.cli.options import NO, YES, format_option, lab_option, leave, progress

if TYPE_CHECKING:
    from sdn.lab.client import Lab
    from sdn.model import Placed
    from sdn.model.lifecycle import Operation

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def operation_options(function: Decorated) -> Decorated:
    """`--lab`, `--watch` and `--format`."""
    watch = click.option(
        "--watch/--no-watch",
        default=True,
        show_default=True,
        help="Send packets around what changes, and count what is lost and what leaks.",
    )
    return lab_option()(watch(format_option()(function)))


def operate(lab: str | None, make: Callable[[Placed], Operation], watch: bool, form: str, dry: bool = False) -> None:
    """Have it happen and print what came of it; the exit status is 1 if the answer is no."""
    from sdn.lab import client
    from sdn.report import json, outcome

    with progress() as say:
        running: Lab = client.connect(lab)
        done = running.operate(make(running.placed()), watch, say)
    if form == "json":
        click.echo(json.dumps(outcome.document(running.name, done)))
    else:
        for line in outcome.lines(running.name, done, dry):
            click.echo(line)
    leave(NO if done.refused or done.failed else YES)


def owner_or_workload(placed: Placed, text: str) -> str:
    """The key of a workload, or `namespace/name` of what owns several; UnknownNameError where it is neither."""
    from sdn.policy.resolve import UnknownNameError, find_workload

    try:
        return find_workload(placed, text)
    except UnknownNameError:
        owners = {f"{w.namespace}/{w.owner[1]}" for w in placed.model.workloads if w.owner[1]}
        found = [owner for owner in sorted(owners) if text in (owner, owner.partition("/")[2])]
        if len(found) != 1:
            raise
        return found[0]
