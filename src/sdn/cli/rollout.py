"""`sdn rollout`: a rolling change of an application's workloads."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdn.cli.operating import operate, operation_options
from sdn.cli.options import EXISTING

if TYPE_CHECKING:
    from sdn.model import Placed
    from sdn.model.lifecycle import Operation


@click.command("rollout")
@click.argument("application", metavar="[APP]", required=False)
@click.argument("paths", metavar="[DIR_OR_FILE]...", nargs=-1, type=EXISTING)
@click.option(
    "--max-unavailable",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many may be away.",
)
@click.option("--hosts", is_flag=True, help="The hosts' turn instead: each is drained and taken back.")
@operation_options
def command(
    application: str | None,
    paths: tuple[Path, ...],
    max_unavailable: int,
    hosts: bool,
    lab: str | None,
    watch: bool,
    form: str,
) -> None:
    """Replace the workloads of an application batch by batch, the canary first.

    APP is an application, or namespace/name of one owner. With files, each workload becomes what they describe, and
    only those that differ are replaced; all else in the files is for `sdn apply`. Without, each starts anew as it is.
    Of every owner one goes first, then as many at a time as may be away. Each must be reached by somebody who may, a
    command must listen on its first TCP port and go on running, or its batch goes back and nothing further is replaced.
    Pods leave a node, alive, before it is replaced; who finds no other node stops with it and starts again there.

    With --hosts every host is emptied by live migration and takes part again, so many at a time.

    Exit status: 0 if all is replaced, 1 if a batch was not healthy and went back (and why), 2 if it could not be done,
    also where the files describe nothing of APP.

    \b
    Examples:
      sdn rollout shop new.yaml --max-unavailable 2
      sdn rollout shop/web --lab shop
      sdn rollout --hosts --max-unavailable 2
      sdn rollout shop k8s/ --format json | jq '.failed'
    """

    if hosts == bool(application):
        raise click.UsageError("name an application, or write --hosts for all hosts")

    def make(_: Placed) -> Operation:
        from sdn.model.lifecycle import Rollout
        from sdn.spec.load import load

        workloads = load(paths).model.workloads if paths else ()
        if paths and not workloads:
            raise click.UsageError("the files describe no workload, so there is nothing to replace any by")
        return Rollout(application or "", max_unavailable, workloads, hosts)

    operate(lab, make, watch, form)
