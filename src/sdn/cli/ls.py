"""`sdn ls`: which labs are up."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

import time

import click

from sdn.cli.options import YES, format_option, leave


@click.command("ls")
@format_option()
def command(form: str) -> None:
    """List the labs that are up: yours, not other users'.

    \b
    Examples:
      sdn ls
      sdn ls --format json | jq -r '.[].name'
    """
    from sdn.lab import client
    from sdn.report.columns import columns
    from sdn.report.words import duration

    labs = client.labs()
    if form == "json":
        from sdn.report import json

        click.echo(json.dumps(labs))
        leave(YES)
    if not labs:
        click.echo("no lab is up; start one with: sdn up FILE")
        leave(YES)
    rows = [("NAME", "STATE", "SINCE", "HOSTS", "WORKLOADS", "PID", "FROM")]
    for lab in labs:
        hosts, workloads = lab.counts.get("hosts", 0), lab.counts.get("vms", 0) + lab.counts.get("pods", 0)
        since = duration(time.time() - lab.since)
        rows.append((lab.name, lab.state, since, f"{hosts}", f"{workloads}", f"{lab.pid}", " ".join(lab.sources)))
    for line in columns(rows):
        click.echo(line)
