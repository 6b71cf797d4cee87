"""`sdn scenario`: a sequence of events as a repeatable test."""

# ruff: noqa: PLC0415 - nobody waits for an import that only a verb, or only its mistake, needs
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sdn.cli.options import NO, YES, format_option, lab_option, leave, paths_argument, progress

if TYPE_CHECKING:
    from sdn.lab.client import Lab
    from sdn.model import Model


@click.command("scenario")
@paths_argument()
@lab_option()
@click.option("--seed", metavar="N", type=click.IntRange(0, 2**63 - 1), help="Instead of the file's: what `any` means.")
@click.option("--log", metavar="FILE", type=click.Path(path_type=Path), help="Write the event log there, too.")
@click.option("--real-time", is_flag=True, help="Wait until each step's time; otherwise times are only an order.")
@format_option()
def command(
    paths: tuple[Path, ...], lab: str | None, seed: int | None, log: Path | None, real_time: bool, form: str
) -> None:
    """Run the scenario of a lab file, and say what happened.

    The lab is built for it and ends with it; with --lab it happens to one that is up. Steps stand in the lab file:

    \b
        scenario:
          seed: 7
          steps:
            - {at: 0s, expect: [web → db 5432/tcp: deny]}
            - {at: 2s, fail: {host: host-2}, test: true}
            - {at: 5s, heal: host-2}
            - {at: 6s, label: {workload: web, labels: {quarantine: "true"}}}
            - {at: 7s, migrate: {workload: db-0, host: any}}

    A step is one of fail, heal, drain, migrate, rebalance, scale, label and rollout, and then what must hold: `expect`
    lines, asked all three ways, and with `test: true` everything that `sdn test` asks and the kernel read back. `any`
    lets the seed choose. An operation that is to be refused says `refused: true`.

    Text is a timeline with durations. JSON is the event log, one object a line, and holds no durations: the same file
    and seed give the same bytes.

    Exit status: 0 if all was as it should be, 1 if not, 2 if it could not be done.

    \b
    Examples:
      sdn scenario topologies/scenario-failure.yaml
      sdn scenario lab.yaml --seed 3 --log events.jsonl
      sdn scenario lab.yaml --format json | jq 'select(.ok | not)'
    """
    from msgspec.structs import replace

    from sdn.lab import scenario as runner
    from sdn.report import scenario as report
    from sdn.spec.load import load
    from sdn.spec.scenario import load_scenario

    model = load(paths).model
    scenario = load_scenario(paths, model)
    if seed is not None:
        scenario = replace(scenario, seed=seed)
    right = False
    written = []
    with progress() as say, _lab(lab, model) as running:
        wait = runner.waiting() if real_time else lambda _: None
        for one in runner.run(running, scenario, wait, say):
            right = one.happened.ok
            written.append(report.log_line(one.happened))
            if form == "json":
                click.echo(written[-1])
            else:
                for line in report.lines(one.happened, one.seconds, one.outcome):
                    click.echo(line)
    if log is not None:
        log.write_text("".join(f"{line}\n" for line in written), encoding="utf-8")
    leave(YES if right else NO)


@contextmanager
def _lab(name: str | None, model: Model) -> Iterator[Lab]:
    """One that is up, or one of the scenario's own."""
    from sdn.lab import client

    if name is not None:
        yield client.connect(name)
        return
    with client.temporary(model) as running:
        running.built()
        yield running
