"""`sdn scale`: more or fewer replicas."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sdn.cli import complete
from sdn.cli.operating import operate, operation_options, owner_or_workload

if TYPE_CHECKING:
    from sdn.model import Placed
    from sdn.model.lifecycle import Operation


@click.command("scale")
@click.argument("workload", metavar="APP/WORKLOAD", shell_complete=complete.workloads)
@click.argument("replicas", metavar="N", type=click.IntRange(min=1))
@operation_options
def command(workload: str, replicas: int, lab: str | None, watch: bool, form: str) -> None:
    """Have more or fewer replicas of a running workload.

    A new one is its siblings' like: same labels, ports, command and constraints, so policies and services know it when
    it is born; where rules list all replicas by name they list it, too. It counts as there when somebody who may has
    reached it. The highest numbers go first.

    Exit status: 0 if it is done, 1 if the scheduler finds no room (and why), 2 if it could not be done.

    \b
    Examples:
      sdn scale shop/web 5
      sdn scale web 2 --lab shop --format json | jq '.moved[].workload'
    """

    def make(placed: Placed) -> Operation:
        from sdn.model.lifecycle import Scale

        return Scale(owner_or_workload(placed, workload), replicas)

    operate(lab, make, watch, form)
