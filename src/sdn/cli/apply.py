"""`sdn apply`: a running lab becomes what its file says now."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdn.cli.options import YES, format_option, lab_option, leave, paths_argument, progress
from sdn.cli.switches import Switches, switches_option

if TYPE_CHECKING:
    from sdn.lab.messages import Applied


@click.command("apply")
@paths_argument()
@lab_option()
@click.option("--cut-established", is_flag=True, help="End established connections that are no longer allowed.")
@switches_option
@format_option()
def command(paths: tuple[Path, ...], lab: str | None, cut_established: bool, switches: Switches, form: str) -> None:
    """Have a running lab become what its file says now, without building it anew.

    Only what differs is touched, and nothing is open in between: ports that leave or move are closed first, then every
    host takes its new rules in one transaction, then come links and routes, and new ports last. Workloads keep their
    addresses, their hosts as far as these still fit, and the processes that run in them, and established connections
    stay. Whoever has to go to another host moves as with `sdn migrate`, one after the other, each alive; who cannot,
    because its host is gone or there is no order, gets a new cable, and a warning says so. With --cut-established, or
    `options: {cut_established: true}` in the lab file, connections end that the policies no longer allow. Without
    --lab, the lab that bears the name in the file.

    What cannot be placed is refused before anything is touched. A move that the kernel refuses goes back; the moves
    before it stay made, and the same command goes on from there.

    The file counts: labels, replicas and whatever else was changed while the lab ran is as the file says again, and a
    warning names who that is. What has failed or is in maintenance stays so until `sdn heal`.

    Exit status: 0 if the lab is now what was asked for, 2 if it could not be done.

    \b
    Examples:
      sdn apply topologies/two-hosts.yaml
      sdn apply k8s/ --lab shop --cut-established
      sdn plan k8s/ --lab shop; sdn apply k8s/ --lab shop && sdn test --lab shop
    """
    from msgspec.structs import replace

    from sdn.lab import client
    from sdn.policy import lint
    from sdn.report import changes, json
    from sdn.report.moved import moved_document

    with progress() as say:
        say("load")
        loaded = switches.load(paths)
        model = loaded.model
        if cut_established:
            model = replace(model, options=replace(model.options, cut_established=True))
        running = client.connect(lab or model.name)
        warnings = (*loaded.warnings, *lint.warnings(model, loaded.where))
        done = running.apply(model, paths, warnings, say)
    if form == "json":
        document = changes.ApplyDocument(
            version=json.VERSION,
            lab=running.name,
            nodes=done.nodes,
            counts=changes.count_documents(done.changes),
            messages=done.messages,
            commands=done.commands,
            planned=done.planned,
            enforced=done.enforced,
            cut=done.cut,
            warnings=(*warnings, *done.notes),
            moved=tuple(map(moved_document, done.moved)),
        )
        click.echo(json.dumps(document))
        leave(YES)
    for warning in (*warnings, *done.notes):
        click.echo(f"warning: {warning}", err=True)
    for line in render(running.name, done):
        click.echo(line)


def render(name: str, done: Applied) -> Iterator[str]:
    """Who moved, a row for each kind of thing, then where, how long and how much, and what had to end."""
    from sdn.report import changes
    from sdn.report.moved import moved_table
    from sdn.report.words import count

    if done.cut:
        yield f"ended {count(done.cut, 'established connections')} that the policies no longer allow"
    if done.moved:
        yield from moved_table(done.moved)
    if not (done.changes or done.moved):
        yield f"{name} was what it is asked to be: nothing was {'changed' if done.cut else 'sent'}"
        return
    yield from changes.table(done.changes)
    sent = f"{count(done.messages, 'netlink messages')}, {count(done.commands, 'nft commands')}"
    yield f"{name} made {changes.summary(done.changes, done.nodes)}"
    yield f"enforced in {done.enforced * 1000:.0f} ms, after {done.planned * 1000:.0f} ms of planning: {sent}"
