"""`sdn status`: what a lab is, and whether it still is what was planned."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from sdn.cli import complete
from sdn.cli.options import NO, YES, format_option, leave, progress

if TYPE_CHECKING:
    from sdn.lab.messages import Info
    from sdn.model import Placed

MOST = 60
"""Workloads that are listed; a person with more reads JSON."""


@click.command("status")
@click.argument("lab", metavar="[LAB]", required=False, shell_complete=complete.labs)
@format_option()
def command(lab: str | None, form: str) -> None:
    """Say what a lab is, and whether the kernel still agrees.

    Reads back from the kernel what was built, and lists every difference from the plan: what somebody changed by hand,
    or what died. LAB may be left out where only one is up.

    What has failed by `sdn fail` is part of the plan, and named as such. So is a host that heartbeats have given up,
    where the lab file asks for them (`options: {heartbeat: {interval: 1s}}`); when and what was done about it is told.

    Exit status: 0 if the kernel is as planned, 1 if it differs, 2 if the lab does not answer.

    \b
    Examples:
      sdn status
      sdn status shop --format json | jq '.workloads'
    """
    from sdn.lab import client

    with progress() as say:
        running = client.connect(lab)
        say("reading the kernel back")
        info, placed = running.status(progress=say), running.placed()
    if form == "json":
        from sdn.report import json

        click.echo(json.dumps({"version": 1, "lab": info, "workloads": placed.endpoints}))
    else:
        for line in render(info, placed, time.time()):
            click.echo(line)
    leave(NO if info.drift else YES)


def broken(placed: Placed) -> Iterator[str]:
    """What has failed or is in maintenance, and who waits for a place because of it."""
    from sdn.plan.topology import cut_off

    underlay = placed.model.underlay
    unreachable = {*cut_off(underlay)}
    for host in underlay.hosts:
        name = host.name
        if name in underlay.isolated and name in unreachable:
            yield f"{name} is isolated: no way leads to it; it takes part again when one is mended"
        elif name in underlay.isolated:
            yield f"{name} is isolated: it was not heard; `sdn heal {name}` takes it back once it is"
        elif host.state != "up":
            yield f"{name} {'has failed' if host.state == 'failed' else 'is in maintenance'}; `sdn heal {name}` ends it"
    failed = [switch.name for switch in underlay.switches if switch.failed]
    failed += dict.fromkeys(f"{link.a}:{link.b}" for link in underlay.links if link.failed)
    for name in failed:
        yield f"{'link' if ':' in name else 'switch'} {name} has failed; `sdn heal {name}` mends it"
    runs = placed.placement.hosts
    yield from (f"{one.key} waits for a place" for one in placed.model.workloads if one.key not in runs)


def render(info: Info, placed: Placed, now: float) -> Iterator[str]:
    """Head, workloads with their places and addresses, warnings, and the differences last."""
    from sdn.report.columns import columns
    from sdn.report.words import count, duration

    size = ", ".join(count(number, what) for what, number in info.counts.items() if number)
    yield f"{info.name}: {info.state} for {duration(now - info.since)}, pid {info.pid}, from {' '.join(info.sources)}"
    yield f"  {size}"
    rows = [("WORKLOAD", "HOST", "NODE", "ADDRESSES")]
    for endpoint in placed.endpoints.values():
        node = placed.placement.nodes.get(endpoint.workload, "-")
        rows.append((endpoint.workload, endpoint.host, node, ", ".join(endpoint.addresses)))
    yield ""
    yield from columns(rows[: MOST + 1], indent="  ")
    if len(rows) > MOST + 1:
        yield f"  and {len(rows) - MOST - 1:,} more: --format json has them"
    yield ""
    yield from (f"  {line}" for line in broken(placed))
    yield from (f"  {time.strftime('%H:%M:%S', time.localtime(one.at))} {one.text}" for one in info.noticed)
    yield from (f"warning: {warning}" for warning in info.warnings)
    yield from (f"  {difference}" for difference in info.drift)
    if info.drift:
        yield f"the kernel differs from the plan: {count(len(info.drift), 'differences')}"
    else:
        yield "the kernel is as planned"
