"""`sdn reach`: everything that may talk to anything."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path

import click

from sdn.cli import analysis
from sdn.cli.options import family_option, format_option
from sdn.cli.switches import Switches, switches_option


@click.command("reach")
@analysis.sources_argument()
@switches_option
@family_option()
@format_option("csv", "dot", "md")
def command(paths: tuple[Path, ...], switches: Switches, family: int | None, form: str) -> None:
    """Say everything that may talk to anything.

    Exact over all pairs, ports and addresses, from the policies alone: no kernel, no lab. PATH is a lab file,
    Kubernetes manifests or an export. Pods are listed by their owner; outside addresses as the coarsest ranges that
    the policies tell apart, reachable where policy permits. What is not listed is not allowed, but for a workload's
    own traffic.

    IPv6 is looked at where the files speak of it (-4 and -6 choose). What only one family may is marked.

    JSON: {"connections": [{src, dst, allowed}]}; an end is {workload, kind} or {external: [ranges]}, allowed lists
    {protocol, ports}, where protocol "any" is everything.

    Exit status: 0, or 2 if it could not be done.

    \b
    Examples:
      sdn reach k8s/
      sdn reach lab.yaml --format json | jq '.connections[] | select(.dst.workload == "shop/db")'
      sdn reach k8s/ --format dot | dot -Tsvg > reach.svg
    """
    from sdn.policy.reach_list import Listing
    from sdn.report.reach import FORMS

    listing = Listing(analysis.reach(analysis.read(paths, switches), family))
    analysis.write(FORMS[form](listing.connections()))
