"""`sdn exec`: every habit with `ip`, `tcpdump` and `nft`, inside the lab."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sdn.cli import complete
from sdn.cli.options import lab_option, leave

if TYPE_CHECKING:
    from sdn.lab.client import Lab

KILLED = 137
"""128 + SIGKILL: somebody's kill, or the end of the lab's first process."""


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@lab_option()
@click.argument("where", metavar="WORKLOAD", shell_complete=complete.workloads)
@click.argument("argv", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(lab: str | None, where: str, argv: tuple[str, ...]) -> None:
    """Run a command inside a workload, on this terminal.

    WORKLOAD may also be a Host or a Switch: then the command sees the underlay, the firewall and the load balancer.

    Exit status: the command's own; 2 if there is no such lab or workload.

    \b
    Examples:
      sdn exec web-0 -- ip addr
      sdn exec web-0 -- tcpdump -ni eth0
      sdn exec web-0 -- bash
      sdn exec --lab shop host-1 -- nft list ruleset
    """
    from sdn.lab import client

    # click hands on the dashes that end its own options where a word stood before them.
    entered = client.connect(lab)
    status = run(entered, where, argv[1:] if argv[0] == "--" else argv)
    if status == KILLED and entered.name not in {one.name for one in client.labs()}:
        click.echo(f"the lab {entered.name} has ended, and the command with it; see: sdn ls", err=True)
    leave(status)


def run(lab: Lab, where: str, argv: tuple[str, ...]) -> int:
    """In the workload of that name or, where there is none, in the node."""
    from sdn.policy.resolve import find_workload

    placed = lab.placed()
    underlay = placed.model.underlay
    nodes = {host.name for host in underlay.hosts} | {switch.name for switch in underlay.switches}
    if where in nodes and not any(where in (key, key.partition("/")[2]) for key in placed.endpoints):
        return lab.exec_node(where, argv)
    return lab.exec(find_workload(placed, where), argv)
