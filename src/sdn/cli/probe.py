"""`sdn probe`: one question, asked on the wire of a running lab, with all three answers."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sdn.cli import complete
from sdn.cli.options import IMPOSSIBLE, NO, YES, family_option, format_option, lab_option, leave, progress
from sdn.cli.switches import Switches, switches_option

if TYPE_CHECKING:
    from sdn.model import Result


@click.command("probe")
@click.argument("source", metavar="SRC", shell_complete=complete.sources)
@click.argument("destination", metavar="DST:PORT/PROTO", shell_complete=complete.destinations)
@lab_option()
@switches_option
@family_option()
@format_option()
def command(source: str, destination: str, lab: str | None, switches: Switches, family: int | None, form: str) -> None:
    """Ask a running lab with a real packet.

    Shows all three answers: the policies as written, the plan, and the wire with the firewall rules that logged the
    packet. A Service is asked until every backend that may answer has done so. SRC and DST as for `sdn trace`.

    Exit status: 0 if all of it is allowed, 1 if not, 2 if the answers disagree, for then there is none.

    \b
    Examples:
      sdn probe web-0 db-0:5432/tcp
      sdn probe web-0 service:shop/web:80 -6
      sdn probe web-0 db-0/icmp --lab shop
      sdn probe host-1 web-0:80
    """
    from sdn.lab import client, suite
    from sdn.policy.resolve import find_source, parse_destination

    with progress() as say:
        running = client.connect(lab)
        placed = running.placed()
        switches.require(running.name, placed.model)
        flows = parse_destination(placed, find_source(placed, source), destination, family)
        say("asking")
        results = suite.ask_flows(running, placed, flows)
    if form == "json":
        from sdn.report import json

        click.echo(json.dumps([json.result(result) for result in results]))
    else:
        _print(results)
    if any(result.disagreement for result in results):
        leave(IMPOSSIBLE)
    leave(YES if all(answer.verdict.allowed for result in results for answer in result.evaluate) else NO)


def _print(results: Sequence[Result]) -> None:
    from sdn.report import text

    to = text.console()
    for index, result in enumerate(results):
        if index:
            to.print()
        for line in text.answered(result):
            to.print(line)
