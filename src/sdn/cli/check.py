"""`sdn check`: everything that can be said about what was written, without building anything."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from sdn.cli.options import NO, YES, format_option, leave, paths_argument
from sdn.errors import Problem, SdnError, SpecError


@click.command("check")
@paths_argument()
@format_option()
def command(paths: tuple[Path, ...], form: str) -> None:
    """Say every mistake in what you wrote, with file:line:column.

    All mistakes at once; then warnings, which are legal and probably not meant: policies that select nobody, services
    without backends. Also says what no Host could take, for that needs no kernel either.

    Exit status: 0 without mistakes (there may be warnings), 1 with, 2 if a file could not be read.

    \b
    Examples:
      sdn check lab.yaml
      sdn check k8s/*.yaml --format json
    """
    mistakes, warnings, summary = examine(paths)
    if form == "json":
        from sdn.report import json

        found = [{"file": one.file, "line": one.line, "column": one.column, "message": one.message} for one in mistakes]
        click.echo(json.dumps({"version": 1, "ok": not mistakes, "mistakes": found, "warnings": warnings}))
    else:
        for one in mistakes:
            click.echo(one if one.file else one.message)
        for warning in warnings:
            click.echo(f"warning: {warning}")
        click.echo(summary)
    leave(NO if mistakes else YES)


def examine(paths: Sequence[Path]) -> tuple[list[Problem], list[str], str]:
    """(mistakes, warnings, one line about it all). Mistakes that only placement can find have no file."""
    from sdn.plan.desired import prepare
    from sdn.policy import lint
    from sdn.report.words import count
    from sdn.spec.load import load

    warnings: list[str] = []
    mistakes: list[Problem] = []
    text = ""
    try:
        loaded = load(paths)
        warnings += [*loaded.warnings, *lint.warnings(loaded.model, loaded.where)]
        model = prepare(loaded.model).placed.model
        text = (
            f"{model.name}: {count(len(model.workloads), 'workloads')} on {count(len(model.underlay.hosts), 'hosts')}, "
        )
    except SpecError as error:
        mistakes += error.problems
    except SdnError as error:
        mistakes += [Problem("", 0, 0, line) for line in str(error).splitlines()]
    return mistakes, warnings, f"{text}{count(len(mistakes), 'mistakes')}, {count(len(warnings), 'warnings')}"
