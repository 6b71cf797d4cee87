"""`sdn test`: the main job."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdn.cli.options import NO, YES, format_option, lab_option, leave, paths_argument, progress
from sdn.cli.switches import Switches, switches_option

if TYPE_CHECKING:
    from sdn.model import Report


@click.command("test")
@paths_argument(required=False)
@lab_option()
@switches_option
@format_option("junit")
def command(paths: tuple[Path, ...], lab: str | None, switches: Switches, form: str) -> None:
    """Build the lab, ask every question three ways, tear it down.

    Every workload asks every other one: each port that it listens on, a closed one, and echo; and every Service. Every
    host asks each workload on itself, which it always reaches, and one elsewhere. Three pieces that share no code
    answer: the policies as written, the plan, and a real packet. DIR_OR_FILE is a lab file, or Kubernetes manifests as
    published. Needs no root. With --lab it asks a lab that is up, and leaves it up.

    Exit status: 0 if all answers agree and every `expect:` line holds, 1 if not, 2 if it could not be done.

    \b
    Examples:
      sdn test topologies/online-boutique.yaml
      sdn test k8s/ more/policies.yaml
      sdn test --lab shop
      sdn test lab.yaml --format junit > report.xml
      sdn test lab.yaml --format json | jq '.results[] | select(.disagreement != "")'
    """
    report = ask(paths, lab, switches)
    from sdn.report import json, junit, text

    match form:
        case "json":
            click.echo(json.render(report))
        case "junit":
            click.echo(junit.render(report))
        case _:
            text.show(report, text.console())
    leave(YES if report.ok else NO)


def ask(paths: tuple[Path, ...], lab: str | None, switches: Switches) -> Report:
    """The report on files, or on a lab that is up."""
    if bool(paths) == bool(lab):
        raise click.UsageError("name what to test: a lab file or manifests, or a lab that is up with --lab NAME")
    from sdn.lab import client, suite

    with progress() as say:
        if paths:
            return suite.run(paths, say, switches.of)
        running = client.connect(lab)
        switches.require(running.name, running.placed().model)
        return running.test(say)
