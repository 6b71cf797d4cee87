"""`sdn lint`: what policies say that they probably do not mean."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path

import click

from sdn.cli.options import NO, YES, format_option, leave, paths_argument, progress


@click.command("lint")
@paths_argument()
@format_option()
def command(paths: tuple[Path, ...], form: str) -> None:
    """Find rules that do nothing, cost much, or leave something open.

    Selectors that match nobody (with the labels that were probably meant), rules that are shadowed, contradicted or
    redundant, equal priorities, policies for everybody and their cost, policies that isolate nothing, ports nobody
    listens on, sensitive workloads that the outside may reach. Exact over all pairs and ports; no lab, no kernel.

    Exit status: 0 if there is nothing to say, 1 if there is.

    \b
    Examples:
      sdn lint k8s/
      sdn lint topologies/three-tier.yaml --format json | jq '.[] | select(.check == "shadowed")'
    """
    from sdn.plan.desired import placed_anyhow
    from sdn.policy.compiler import compile_policy
    from sdn.policy.lint_report import lint
    from sdn.spec.load import load

    with progress() as say:
        say("load")
        loaded = load(paths)
        say("compile")
        placed = placed_anyhow(loaded.model)
        compiled = compile_policy(placed)
        say("lint")
        findings = lint(placed, compiled, loaded.where)
    if form == "json":
        from sdn.report import json

        click.echo(json.dumps(findings))
    else:
        for finding in findings:
            click.echo(f"{finding.at}: {finding.text}" if finding.at else finding.text)
        click.echo(f"{len(findings)} findings" if len(findings) != 1 else "1 finding")
    leave(NO if findings else YES)
