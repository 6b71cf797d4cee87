"""`sdn explain`: why, tier by tier on both sides, and what would have to change."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdn.cli.options import EXISTING, NO, YES, family_option, format_option, leave

if TYPE_CHECKING:
    from sdn.model import Flow, Placed


@click.command("explain")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=EXISTING)
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST[:PORT[/PROTO]]")
@family_option()
@format_option()
def command(paths: tuple[Path, ...], source: str, destination: str, family: int | None, form: str) -> None:
    """Say why, tier by tier, and what would have to change.

    Walks through the path and every tier on both sides, as the policies are written: no lab, no kernel. When it is
    denied, it lists every change that would be needed to allow it; when it is allowed, every rule that would have to
    go to deny it. Without a port it explains each port that DST listens on.

    Exit status: 0 if all of it is allowed, 1 if not.

    \b
    Examples:
      sdn explain topologies/three-tier.yaml shop/web-0 shop/db-0:5432
      sdn explain k8s/ shop/web-0 service:shop/cart:80 -4
      sdn explain k8s/ before.yaml web-0 203.0.113.9:443
    """
    from sdn.plan.desired import placed_anyhow
    from sdn.policy.explain import explain
    from sdn.policy.resolve import find_workload
    from sdn.spec.load import load

    placed = placed_anyhow(load(paths).model)
    flows = _flows(placed, find_workload(placed, source), destination, family)
    found = [explain(placed, flow) for flow in flows]
    if form == "json":
        from sdn.report import json

        click.echo(json.dumps([one for several in found for one in several]))
    else:
        from sdn.report import explain as report
        from sdn.report import text

        to = text.console()
        for index, several in enumerate(found):
            if index:
                to.print()
            for line in report.render(several):
                to.print(line)
    leave(YES if all(one.answer.verdict.allowed for several in found for one in several) else NO)


def _flows(placed: Placed, source: str, destination: str, family: int | None) -> list[Flow]:
    """As written; a workload without a port means each port that it listens on, or echo if it listens on none."""
    from sdn.errors import SdnError
    from sdn.policy.resolve import find_workload, parse_destination

    try:
        key = find_workload(placed, destination)
    except SdnError:
        return list(parse_destination(placed, source, destination, family))
    workload = next(workload for workload in placed.model.workloads if workload.key == key)
    asked = [f"{key}:{port.number}/{port.protocol}" for port in workload.ports] or [f"{key}/icmp"]
    return [flow for text in asked for flow in parse_destination(placed, source, text, family)]
