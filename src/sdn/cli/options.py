"""What several verbs share: their options, how they end, and how they say that they are still at it."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from sdn.cli import complete

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

YES, NO, IMPOSSIBLE = 0, 1, 2

EXISTING = click.Path(exists=True, path_type=Path)


def paths_argument(required: bool = True) -> Callable[[Decorated], Decorated]:
    """What a lab is made of: a lab file of ours, or Kubernetes manifests."""
    return click.argument("paths", metavar="DIR_OR_FILE...", nargs=-1, required=required, type=EXISTING)


def format_option(*more: str) -> Callable[[Decorated], Decorated]:
    """`--format`; every table has at least text and JSON."""
    formats = click.Choice(["text", "json", *more])
    return click.option("--format", "form", type=formats, default="text", show_default=True, help="How to print it.")


def lab_option() -> Callable[[Decorated], Decorated]:
    """`--lab`; needed only where several are up."""
    return click.option(
        "--lab", metavar="NAME", shell_complete=complete.labs, help="Which lab, where more than one is up."
    )


def family_option() -> Callable[[Decorated], Decorated]:
    """`-4` and `-6`."""

    def decorate(function: Decorated) -> Decorated:
        function = click.option("-6", "family", flag_value=6, type=int, help="Ask over IPv6 only.")(function)
        return click.option("-4", "family", flag_value=4, type=int, help="Ask over IPv4 only.")(function)

    return decorate


def leave(status: int) -> NoReturn:
    """End the verb with an exit status."""
    raise click.exceptions.Exit(status)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Hands out `say(stage)`: one line with a clock on stderr while it lasts, and nothing where nobody watches."""
    if not sys.stderr.isatty():
        yield lambda stage: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    words = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), words, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda stage: bar.update(task, description=stage)
