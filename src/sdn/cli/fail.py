"""`sdn fail`: something breaks in a running lab."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sdn.cli import complete
from sdn.cli.operating import operate, operation_options

if TYPE_CHECKING:
    from sdn.model import Placed
    from sdn.model.lifecycle import Operation

WHAT = ("host", "vm", "pod", "switch", "link")


@click.command("fail")
@click.argument("what", metavar="host|vm|pod|switch|link", type=click.Choice(WHAT))
@click.argument("name", metavar="NAME", shell_complete=complete.breakable)
@operation_options
def command(what: str, name: str, lab: str | None, watch: bool, form: str) -> None:
    """Break something in a running lab, and see the lab recover from it.

    A host loses its power: links down, processes ended. Heartbeats between the hosts notice; then it is fenced, and
    only then does what ran there start elsewhere, the important first, with the same addresses, policies and services.
    A switch or a link, A:B, goes down and the fabric leads around it; hosts that nobody reaches any more are treated
    like failed ones. A VM (with its pods) or a pod starts again. Each workload is reached by a connection of somebody
    who may, which is the end of its gap.

    Exit status: 0 if it is done, also where something found no place (and why), 1 if it has failed already, 2 if it
    could not be done.

    \b
    Examples:
      sdn fail host host-2
      sdn fail switch spine-1 && sdn test --lab shop
      sdn fail link host-1:leaf-1
      sdn fail pod web-0 --format json | jq .stages
    """

    def make(placed: Placed) -> Operation:
        from sdn.model.lifecycle import Fail, What
        from sdn.policy.resolve import find_workload

        return Fail(What(what), find_workload(placed, name) if what in ("vm", "pod") else name)

    operate(lab, make, watch, form)
