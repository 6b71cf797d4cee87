"""`sdn check`: everything that can be said about what was written, without building anything."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
      sdn check topologies/*.yaml                each lab file by itself
    """
    found = [examine(portion) for portion in portions(paths)]
    mistakes = [mistake for one in found for mistake in one.mistakes]
    if form == "json":
        from sdn.report import json

        warnings = [warning for one in found for warning in one.warnings]
        click.echo(json.dumps({"version": 1, "ok": not mistakes, "mistakes": mistakes, "warnings": warnings}))
    else:
        for one in found:
            _print(one)
    leave(NO if mistakes else YES)


@dataclass
class Findings:
    """What there is to say about one lab. Mistakes that only placement can find have no file."""

    size: str = ""
    mistakes: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def portions(paths: Sequence[Path]) -> list[Sequence[Path]]:
    """What is one lab: all of it, unless several lab files are named; then each, and the manifests by themselves."""
    from sdn.spec.load import is_lab
    from sdn.spec.source import read_file

    # Mistakes are thrown away here: each file is read again with the lab that it belongs to.
    files = [path for path in paths if path.is_file()] if len(paths) > 1 else []
    labs = [path for path in files if any(is_lab(document) for document in read_file(path, []))]
    if len(labs) < 2:
        return [paths]
    others = [path for path in paths if path not in labs]
    return [*([lab] for lab in labs), *([others] if others else [])]


def examine(paths: Sequence[Path]) -> Findings:
    """Load, lint, place and plan; nothing is built."""
    from sdn.plan.desired import prepare
    from sdn.policy import lint
    from sdn.report.words import count
    from sdn.spec.load import load

    found = Findings()
    try:
        loaded = load(paths)
        model = loaded.model
        found.size = f"{model.name}: {count(len(model.workloads), 'workloads')} on "
        found.size += f"{count(len(model.underlay.hosts), 'hosts')}, "
        found.warnings += [*loaded.warnings, *lint.warnings(model, loaded.where)]
        prepare(model)
    except SpecError as error:
        found.mistakes += error.problems
    except SdnError as error:
        found.mistakes += [Problem("", 0, 0, line) for line in str(error).splitlines()]
    return found


def _print(found: Findings) -> None:
    from sdn.report.words import count

    for mistake in found.mistakes:
        click.echo(mistake if mistake.file else mistake.message)
    for warning in found.warnings:
        click.echo(f"warning: {warning}")
    click.echo(f"{found.size}{count(len(found.mistakes), 'mistakes')}, {count(len(found.warnings), 'warnings')}")
