"""`sdn drain`: a Host goes into maintenance."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

import click

from sdn.cli import complete
from sdn.cli.operating import operate, operation_options


@click.command("drain")
@click.argument("host", metavar="HOST", shell_complete=complete.hosts)
@operation_options
def command(host: str, lab: str | None, watch: bool, form: str) -> None:
    """Empty a host for maintenance, and let nothing new onto it.

    Everything that runs there moves elsewhere while it runs, one after the other, each to a place that the scheduler
    allows at that moment. Where something cannot leave, nothing moves and it says what is in the way.

    Exit status: 0 if the host is empty, 1 if something cannot leave (and why), 2 if it could not be done.

    \b
    Examples:
      sdn drain host-2
      sdn drain host-2 --format json | jq -r '.moved[] | "\\(.workload) \\(.target)"'
    """
    from sdn.model.lifecycle import Drain

    operate(lab, lambda _: Drain(host), watch, form)
