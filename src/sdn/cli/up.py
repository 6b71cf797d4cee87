"""`sdn up`: a lab that outlives the command."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path

import click

from sdn.cli.options import YES, format_option, leave, paths_argument, progress
from sdn.cli.switches import Switches, switches_option


@click.command("up")
@paths_argument()
@click.option("--name", metavar="NAME", help="What to call it; without it, the name that the lab file gives.")
@switches_option
@format_option()
def command(paths: tuple[Path, ...], name: str | None, switches: Switches, form: str) -> None:
    """Build a lab that stays up.

    All of it lives in namespaces of its own: nothing of this machine's network is touched, several labs run side by
    side, and when its one process ends, however it ends, the kernel removes everything. Needs no root.

    \b
    Examples:
      sdn up topologies/two-hosts.yaml
      sdn up k8s/ --name before && sdn up k8s/ new-policy.yaml --name after
    """
    from sdn.lab.ahead import ahead

    with ahead() as begun, progress() as say:
        from sdn.lab import client
        from sdn.policy import lint

        say("load")
        loaded = switches.load(paths)
        warnings = (*loaded.warnings, *lint.warnings(loaded.model, loaded.where))
        info = client.up(paths, loaded.model, name, say, warnings, begun)
    if form == "json":
        from sdn.report import json

        click.echo(json.dumps(info))
        leave(YES)
    from sdn.report import words

    for warning in info.warnings:
        click.echo(f"warning: {warning}", err=True)
    size = ", ".join(words.count(number, what) for what, number in info.counts.items() if number)
    click.echo(f"{info.name} is up in {sum(seconds for _, seconds in info.stages):.2f} s: {size}")
    click.echo("next: sdn status · sdn exec WORKLOAD -- COMMAND · sdn probe SRC DST:PORT · sdn down")
