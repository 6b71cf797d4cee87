"""`sdn lint`: what policies say that they probably do not mean."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path

import click

from sdn.cli import analysis
from sdn.cli.options import NO, YES, format_option, leave, progress
from sdn.cli.switches import Switches, switches_option


@click.command("lint")
@analysis.sources_argument()
@switches_option
@format_option()
def command(paths: tuple[Path, ...], switches: Switches, form: str) -> None:
    """Find rules that do nothing, cost much, or leave something open.

    Selectors that match nobody (with the labels that were probably meant), rules that are shadowed, contradicted or
    redundant, equal priorities, policies for everybody and their cost, policies that isolate nothing, ports nobody
    listens on, sensitive workloads that the outside may reach. Exact over all pairs and ports; no lab, no kernel.

    JSON: a list of {check, at, text}; check is nobody, shadowed, contradicted, redundant, equal-priority,
    applies-to-everybody, isolates-nothing, nobody-listens or sensitive-exposed.

    Exit status: 0 if there is nothing to say, 1 if there is, 2 if it could not be done.

    \b
    Examples:
      sdn lint k8s/
      sdn lint topologies/three-tier.yaml --format json | jq '.[] | select(.check == "shadowed")'
    """
    from sdn.policy.compiler import compile_policy
    from sdn.policy.lint_report import lint

    with progress() as say:
        say("load")
        placed, where = analysis.read_with_places(paths, switches)
        say("compile")
        compiled = compile_policy(placed)
        say("lint")
        findings = lint(placed, compiled, where)
    if form == "json":
        from sdn.report import json

        click.echo(json.dumps(findings))
    else:
        analysis.write(f"{finding.at}: {finding.text}" if finding.at else finding.text for finding in findings)
        click.echo(_summary([finding.check for finding in findings]))
    leave(NO if findings else YES)


def _summary(checks: list[str]) -> str:
    """`3 findings: 2 nobody, 1 shadowed`, in the words of the JSON."""
    from collections import Counter

    from sdn.report.words import count

    tally = ", ".join(f"{number} {check}" for check, number in sorted(Counter(checks).items()))
    return count(len(checks), "findings") + (f": {tally}" if tally else "")
