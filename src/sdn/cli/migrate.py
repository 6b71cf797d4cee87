"""`sdn migrate`: one workload to another Host while it runs."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sdn.cli import complete
from sdn.cli.operating import operate, operation_options

if TYPE_CHECKING:
    from sdn.model import Placed
    from sdn.model.lifecycle import Operation


@click.command("migrate")
@click.argument("workload", metavar="WORKLOAD", shell_complete=complete.workloads)
@click.argument("host", metavar="HOST", shell_complete=complete.hosts)
@operation_options
def command(workload: str, host: str, lab: str | None, watch: bool, form: str) -> None:
    """Move a workload to another host while it runs.

    It keeps its processes, addresses and open connections; what the firewalls know of these goes ahead of it. For some
    milliseconds it is at neither host, and never at one that does not have its rules. A VM that is a Kubernetes node
    takes its pods along; a pod may also be moved to a node.

    Exit status: 0 if it moved, 1 if the scheduler says no (and why), 2 if it could not be done.

    \b
    Examples:
      sdn migrate web-0 host-3
      sdn migrate shop/web-0 host-3 --lab shop --no-watch --format json | jq '.moved[0].gap'
    """

    def make(placed: Placed) -> Operation:
        from sdn.model.lifecycle import Migrate
        from sdn.policy.resolve import find_workload

        return Migrate(find_workload(placed, workload), host)

    operate(lab, make, watch, form)
