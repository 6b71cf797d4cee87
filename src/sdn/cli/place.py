"""`sdn place`: where everything would run, and why."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdn.cli import analysis, complete
from sdn.cli.options import NO, YES, format_option, leave, progress

if TYPE_CHECKING:
    from sdn.model import Model, Placement
    from sdn.model.lifecycle import Move
    from sdn.scheduler import Outcome


@click.command("place")
@analysis.sources_argument()
@click.option("--explain", metavar="WORKLOAD", shell_complete=complete.workloads, help="Why it runs where it does.")
@click.option("--failures", is_flag=True, help="What each host's failure would stop, and what could not start again.")
@format_option()
def command(paths: tuple[Path, ...], explain: str | None, failures: bool, form: str) -> None:
    """Say where everything would run, and why.

    PATH is a lab file, in YAML or JSON, or Kubernetes manifests. Requests, affinity, spread, taints, priorities, pools,
    rules, separations, volumes, images and room for failures are all kept to; nothing is built. Where the files say
    where things run now, what can stays, and the moves from there come in an order that breaks no rule on the way.

    --explain lists every host and node for one workload: what speaks against it, or how it scores, the best first; and
    what would have to change where none fits.

    --failures tries for each host that runs something, on its own, what its failure would do: all room that is kept for
    failures is used, others move out of the way, and nobody is evicted.

    JSON: {"placement": {"hosts": {workload: host}, "nodes": {pod: vm}}, "unschedulable": [{workload, reason}],
    "moves": [{workload, source, target, source_node, target_node, why}]}; with --explain
    {workload, text, fits: [name], reasons: [{name, reason}], changes: [text]}; with --failures
    {ready, failures: [{host, workloads, stranded: [workload], reasons: [text]}], slot: {cpu, memory}, slots, free}.

    Exit status: 0 if everything fits, 1 if something fits nowhere, or would not after a failure, 2 if it could not be
    done.

    \b
    Examples:
      sdn place topologies/datacentre.yaml
      sdn place topologies/datacentre.yaml --explain shop/db-0
      sdn place topologies/datacentre.yaml --failures
      sdn place lab.yaml --format json | jq .moves
    """
    from sdn.scheduler import schedule
    from sdn.spec.load import load

    if explain is not None and failures:
        raise click.UsageError("--explain and --failures are two questions; ask one at a time")
    with progress() as say:
        say("load")
        model = load(paths).model
        say("place")
        outcome = schedule(model)
        say("order the moves")
        steps, stuck = _moves(model, outcome) if explain is None and not failures else ((), ())
    refused = [*outcome.refused, *(("moves", why) for why in stuck)]
    if explain is not None:
        leave(_explain(model, outcome.placement, explain, form))
    if failures:
        leave(_failures(model, outcome, form))
    if form == "json":
        _print_json(outcome, steps, stuck)
    else:
        _print_text(model, outcome, steps, stuck)
    leave(NO if refused else YES)


def _moves(model: Model, outcome: Outcome) -> tuple[tuple[Move, ...], tuple[str, ...]]:
    """The ordered moves from where all runs, and why there are none where there should be."""
    if model.running is None:
        return (), ()
    from sdn.scheduler import MADE_ROOM, moves

    proposal = moves(model, model.running, outcome.placement, MADE_ROOM)
    return proposal.moves, proposal.refused


def _explain(model: Model, placement: Placement, name: str, form: str) -> int:
    from sdn.policy.resolve import find_workload
    from sdn.report import json, place
    from sdn.scheduler import Cluster

    cluster = Cluster.of(model, placement)
    key = find_workload(model, name)
    told = cluster.explain(cluster.workloads[key])
    if form == "json":
        reasons = [{"name": target, "reason": reason.one} for target, reason in told.targets if reason]
        fits = [target for _, target in told.scores]
        click.echo(
            json.dumps(
                {"workload": key, "text": told.text, "fits": fits, "reasons": reasons, "changes": list(told.changes)}
            )
        )
    else:
        where = cluster.where(key)
        analysis.write(place.why(told, where.id if where else ""))
    return YES if key in placement.hosts else NO


def _failures(model: Model, outcome: Outcome, form: str) -> int:
    from sdn.report import failures, json, place
    from sdn.scheduler import readiness

    with progress() as say:
        say("let each host fail")
        told = readiness(model, outcome.placement)
    if form == "json":
        click.echo(json.dumps(failures.document(told)))
    else:
        analysis.write([*failures.table(told), *place.refusals(outcome.refused)])
    return YES if told.ready and not outcome.refused else NO


def _print_json(outcome: Outcome, steps: tuple[Move, ...], stuck: tuple[str, ...]) -> None:
    from sdn.report import json

    refused = [{"workload": key, "reason": why} for key, why in outcome.refused]
    refused += [{"workload": "", "reason": why} for why in stuck]
    placement = {"hosts": outcome.placement.hosts, "nodes": outcome.placement.nodes}
    click.echo(json.dumps({"placement": placement, "unschedulable": refused, "moves": list(steps)}))


def _print_text(model: Model, outcome: Outcome, steps: tuple[Move, ...], stuck: tuple[str, ...]) -> None:
    from sdn.report import place
    from sdn.scheduler import Cluster

    cluster = Cluster.of(model, outcome.placement)
    analysis.write(place.table(cluster))
    if steps:
        click.echo("moves from where it runs now, in this order:")
        analysis.write(place.ordered(steps))
    analysis.write([*place.refusals(outcome.refused), *stuck])
    placed = len(outcome.placement.hosts)
    click.echo(place.summary(placed, len(outcome.refused), len(cluster.hosts), len(steps)))
