"""`sdn explain`: why, tier by tier on both sides, and what would have to change."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdn.cli import analysis
from sdn.cli.options import NO, YES, family_option, format_option, leave
from sdn.cli.switches import Switches, switches_option

if TYPE_CHECKING:
    from sdn.model import Flow, Placed
    from sdn.policy.explain import Explanation


@click.command("explain")
@analysis.sources_argument(with_workloads=True)
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="DST[:PORT[/PROTO]]")
@switches_option
@family_option()
@format_option()
def command(
    paths: tuple[Path, ...], source: str, destination: str, switches: Switches, family: int | None, form: str
) -> None:
    """Say why, tier by tier, and what would have to change.

    Walks through the path and every tier on both sides, as the policies are written: no lab, no kernel. When it is
    denied, it lists every change that would be needed to allow it; when it is allowed, every rule that would have to
    go to deny it. Without a port it explains each port that DST listens on. SRC may be an address outside, or a host.

    JSON: a list of {flow, answer, path, sides}; a side has {direction, workload, action, rule, tiers, remedies}.

    Exit status: 0 if all of it is allowed, 1 if not, 2 if it could not be done.

    \b
    Examples:
      sdn explain topologies/three-tier.yaml shop/web-0 shop/db-0:5432
      sdn explain k8s/ shop/web-0 service:shop/cart:80 -4
      sdn explain k8s/ export.json web-0 203.0.113.9:443
      sdn explain k8s/ 203.0.113.9 web-0:80
    """
    found = _explanations(analysis.read(paths, switches), source, destination, family)
    if form == "json":
        from sdn.report import json

        click.echo(json.dumps([one for several in found for one in several]))
    else:
        _print(found)
    leave(YES if all(one.answer.verdict.allowed for several in found for one in several) else NO)


def _print(found: list[tuple[Explanation, ...]]) -> None:
    from sdn.report import explain, text, trace

    to = text.console()
    for index, several in enumerate(found):
        if index:
            to.print()
        if index and explain.repeated(several, found[index - 1]):
            to.print(trace.heading(several[0].flow, several[0].answer.backend))
            to.print("  the same, by the same rules")
            continue
        for line in explain.render(several):
            to.print(line)


def _explanations(placed: Placed, source: str, destination: str, family: int | None) -> list[tuple[Explanation, ...]]:
    """One of each flow that is meant, with one part for each Backend."""
    from msgspec.structs import replace

    from sdn.model import family_of
    from sdn.policy.explain import explain, explain_arrival
    from sdn.policy.resolve import find_source

    sender = _sender(placed, source)
    if sender is None:
        # The family is known, and which workload else would ask changes nothing.
        asker = next(iter(placed.endpoints), source)
        asked = _flows(placed, asker, destination, family_of(source))
        arrivals = [replace(flow, source=source) for flow in asked]
        return [(explain_arrival(placed, flow, _receiver(placed, flow, destination)),) for flow in arrivals]
    return [explain(placed, flow) for flow in _flows(placed, find_source(placed, sender), destination, family)]


def _sender(placed: Placed, source: str) -> str | None:
    """The name, or the workload that an address means; None for an address outside."""
    from ipaddress import ip_address

    try:
        address = str(ip_address(source))
    except ValueError:
        return source
    owners = [key for key, endpoint in placed.endpoints.items() if address in endpoint.addresses]
    if len(owners) > 1:
        from sdn.errors import SdnError

        raise SdnError(f"{source} is the address of {' and of '.join(owners[:5])}; write the name of one of them")
    return owners[0] if owners else None


def _receiver(placed: Placed, flow: Flow, written: str) -> str:
    """Who has the destination of a flow from outside; where networks overlap, the one whose name is written."""
    from sdn.errors import SdnError

    owners = [key for key, endpoint in placed.endpoints.items() if flow.destination in endpoint.addresses]
    if not owners:
        raise SdnError(f"{flow.source} and {written} are no workloads; at least one end must be one")
    named = [key for key in owners if written.partition(":")[0] in (key, key.partition("/")[2])]
    return (named or owners)[0]


def _flows(placed: Placed, source: str, destination: str, family: int | None) -> list[Flow]:
    """As written; a workload without a port means each port that it listens on, or echo if it listens on none."""
    from sdn.errors import SdnError
    from sdn.policy.resolve import find_workload, parse_destination

    try:
        key = find_workload(placed, destination)
    except SdnError:
        asked = [destination]
    else:
        workload = next(workload for workload in placed.model.workloads if workload.key == key)
        asked = [f"{key}:{port.number}/{port.protocol}" for port in workload.ports] or [f"{key}/icmp"]
    return [flow for text in asked for flow in parse_destination(placed, source, text, family)]
