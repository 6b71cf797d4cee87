"""`sdn heal`: what failed, or is in maintenance, takes part again."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sdn.cli import complete
from sdn.cli.operating import operate, operation_options

if TYPE_CHECKING:
    from sdn.model import Placed
    from sdn.model.lifecycle import Operation


@click.command("heal")
@click.argument("name", metavar="NAME", shell_complete=complete.broken)
@operation_options
def command(name: str, lab: str | None, watch: bool, form: str) -> None:
    """Mend what failed, or end the maintenance of a host.

    NAME is a host, a switch, a link A:B, or a workload that waits for a place. A host comes back empty: it runs nothing
    before its heartbeats are heard again and the kernel has been read back. Then what found no place before starts.

    Exit status: 0 if it is done, 1 if nothing is wrong with it, 2 if it could not be done.

    \b
    Examples:
      sdn heal host-2
      sdn heal spine-1 --lab shop
      sdn heal host-1:leaf-1 --format json | jq .stages
    """

    def make(placed: Placed) -> Operation:
        from sdn.model.lifecycle import Heal
        from sdn.policy.resolve import UnknownNameError, find_workload

        underlay = placed.model.underlay
        known = {host.name for host in underlay.hosts} | {switch.name for switch in underlay.switches}
        if ":" in name or name in known:
            return Heal(name)
        try:
            return Heal(find_workload(placed, name))
        except UnknownNameError:
            return Heal(name)  # one that does not run has no address to be found by

    operate(lab, make, watch, form)
