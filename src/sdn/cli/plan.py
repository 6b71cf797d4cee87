"""`sdn plan`: what `sdn apply` would change in a running lab."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path

import click

from sdn.cli.options import NO, YES, format_option, lab_option, leave, paths_argument, progress
from sdn.cli.switches import Switches, switches_option


@click.command("plan")
@paths_argument()
@lab_option()
@switches_option
@format_option()
def command(paths: tuple[Path, ...], lab: str | None, switches: Switches, form: str) -> None:
    """Say what `sdn apply` would change in a running lab.

    Every change of every host and switch, in the words of ip, bridge and nft, in the order in which that node would
    make it; nothing is touched. It compares what the lab was asked to be with what it is now asked to be: what somebody
    changed in the kernel by hand is for `sdn status`. Without --lab, the lab that bears the name in the file.

    Exit status: 0 if there is nothing to change, 1 if there is, 2 if it could not be done.

    \b
    Examples:
      sdn plan topologies/two-hosts.yaml
      sdn plan k8s/ new-policy.yaml --lab shop
      sdn plan lab.yaml --format json | jq '.counts'
    """
    from sdn.lab import client
    from sdn.report import changes as report

    with progress() as say:
        say("load")
        loaded = switches.load(paths)
        running = client.connect(lab or loaded.model.name)
        say("compare")
        changes = running.changes(loaded.model)
    if form == "json":
        from sdn.report import json

        click.echo(json.dumps(report.plan_document(running.name, changes)))
        leave(NO if changes else YES)
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)
    if not changes:
        click.echo(f"{running.name} is what it is asked to be: nothing to change")
        leave(YES)
    click.echo(changes.text)
    click.echo("\n".join(["", *report.table(changes.counts)]))
    click.echo(f"{running.name} would make {report.summary(changes.counts, tuple(changes.nodes))}")
    leave(NO)
