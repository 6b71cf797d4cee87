"""`sdn trace`: what would happen, from the plan alone."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdn.cli import complete
from sdn.cli.options import EXISTING, IMPOSSIBLE, NO, YES, family_option, format_option, lab_option, leave
from sdn.cli.switches import Switches, switches_option

if TYPE_CHECKING:
    from sdn.model import Answer, Placed, Trace
    from sdn.plan.state import Plan


@click.command("trace")
@click.argument("source", metavar="SRC", shell_complete=complete.sources)
@click.argument("destination", metavar="DST:PORT/PROTO", shell_complete=complete.destinations)
@click.option("-f", "--file", "files", multiple=True, type=EXISTING, help="Trace in these files; no lab is needed.")
@lab_option()
@switches_option
@family_option()
@format_option()
def command(
    source: str,
    destination: str,
    files: tuple[Path, ...],
    lab: str | None,
    switches: Switches,
    family: int | None,
    form: str,
) -> None:
    """Say what would happen to a packet, hop by hop and by which rule.

    Follows the planned state of every Host: no packet is sent, and with --file there is no kernel and no root at all.
    DST is a workload, a Service or an address; the protocol is tcp, udp, sctp or icmp, tcp where none is written. A
    name with addresses of both families is asked over both. SRC is a workload, or a host, which reaches the workloads
    on itself.

    Exit status: 0 if all of it is allowed, 1 if not, 2 if the policies as written say otherwise than the plan: then
    there is no answer, but a bug of sdn, and both are shown.

    \b
    Examples:
      sdn trace web-0 db-0:5432/tcp
      sdn trace web-0 service:shop/web:80 -4
      sdn trace web-0 db-0/icmp
      sdn trace host-1 web-0:80
      sdn trace shop/web-0 10.128.0.9:53/udp --file lab.yaml
    """
    from sdn.plan.trace import Tracer
    from sdn.policy.evaluate import Oracle
    from sdn.policy.resolve import find_source, parse_destination

    placed, plan = desired(files, lab, switches)
    tracer, oracle = Tracer(plan), Oracle(placed)
    found: list[tuple[tuple[Trace, ...], tuple[Answer, ...]]] = []
    for flow in parse_destination(placed, find_source(placed, source), destination, family):
        found.append((tracer.trace(flow), oracle.evaluate(flow)))
    traces = [trace for several, _ in found for trace in several]
    if form == "json":
        from sdn.report import json

        click.echo(json.dumps([json.trace(trace) for trace in traces]))
    else:
        _print(several for several, _ in found)
    agree = [_agrees(*one) for one in found]
    leave(IMPOSSIBLE if not all(agree) else YES if all(t.answer.verdict.allowed for t in traces) else NO)


def desired(files: tuple[Path, ...], lab: str | None, switches: Switches) -> tuple[Placed, Plan]:
    """The plan of files, or of a running lab."""
    if files:
        from sdn.plan.desired import prepare

        prepared = prepare(switches.load(files).model)
        return prepared.placed, prepared.plan
    from sdn.lab import client

    running = client.connect(lab)
    switches.require(running.name, running.placed().model)
    return running.placed(), running.plan()


def _print(found: Iterable[tuple[Trace, ...]]) -> None:
    from sdn.report import text, trace

    to = text.console()
    for index, traces in enumerate(found):
        if index:
            to.print()
        for line in trace.render(traces):
            to.print(line)


def _agrees(traces: tuple[Trace, ...], answers: tuple[Answer, ...]) -> bool:
    """Whether the oracle says the same; if not, its answer goes to stderr."""
    if tuple(trace.answer for trace in traces) == answers:
        return True
    from sdn.report import words

    click.echo("the policies as written say otherwise, which is a bug of sdn; please report it:", err=True)
    for line in words.answers(answers, balanced=len(answers) > 1):
        click.echo(f"  {line}", err=True)
    return False
