"""`sdn diff`: what a change would do."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path

import click

from sdn.cli import analysis
from sdn.cli.options import EXISTING, NO, YES, family_option, format_option, leave
from sdn.cli.switches import Switches, switches_option


@click.command("diff")
@click.argument("old", metavar="OLD", type=EXISTING)
@click.argument("new", metavar="NEW", type=EXISTING)
@switches_option
@family_option()
@format_option()
def command(old: Path, new: Path, switches: Switches, family: int | None, form: str) -> None:
    """Say what a change would do: connections that appear, disappear, grow and shrink.

    Exact over all pairs, ports and addresses, with the rules responsible on both sides; rules that change without
    changing a connection are no difference. OLD and NEW are each a file or a folder, as `sdn reach` reads them; to
    compare several, put them in a folder, or name them in `manifests:` of a lab file.

    JSON: {"changes": [{change, src, dst, before, after, gained, lost, reasons}]}, ends and services as in `sdn reach`;
    a reason is {services, before, after}.

    Exit status: 0 if no connection changes, 1 if any does, 2 if it could not be done.

    \b
    Examples:
      sdn diff k8s/ k8s-new/
      git worktree add /tmp/main main && sdn diff /tmp/main/k8s k8s
      sdn diff before.yaml after.yaml --format json | jq '.changes[] | select(.change == "appears")'
    """
    from sdn.policy.compiler import compile_policy
    from sdn.policy.diff import compare
    from sdn.report import diff, json

    labs = [analysis.read([path], switches) for path in (old, new)]
    families = tuple(sorted({known for placed in labs for known in analysis.families(placed, family)}))
    before, after = ((placed, compile_policy(placed)) for placed in labs)
    changes = compare(before, after, families)
    if form == "json":
        click.echo(json.dumps(diff.document(changes)))
    else:
        analysis.write(diff.text(changes))
        click.echo(diff.summary(changes))
        analysis.write(diff.causes(changes))
    leave(NO if changes else YES)
