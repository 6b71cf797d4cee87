"""`tools/bench NAME`: every benchmark by name."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import click

from benchmarks import (
    birth,
    boot,
    change,
    datapath,
    enforce,
    events,
    everything,
    failure,
    hosts,
    leaks,
    migrate,
    place,
    plan,
    policy,
    questions,
)
from benchmarks.labs import MANY_HOSTS, SHAPES
from benchmarks.rows import Row, as_json, as_line, as_text
from sdn.errors import SdnError

FORMAT = click.Choice(["text", "json", "lines"])
"""Text and lines of JSON come as they are measured, the list of JSON at the end."""

_ENDING = (signal.SIGINT, signal.SIGTERM)


def _note(sentence: str) -> None:
    click.echo(f"note: {sentence}", err=True)


def show(rows: Iterator[Row], form: str) -> None:
    """What was measured before a benchmark fails is printed in any case."""
    measured: list[Row] = []
    try:
        for row in rows:
            if form == "json":
                measured.append(row)
            else:
                click.echo(as_line(row) if form == "lines" else as_text(row))
    except SdnError as error:
        click.echo(f"bench: {error}", err=True)
        sys.exit(2)
    finally:
        if form == "json":
            click.echo(as_json(measured))


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """Whoever is asked to end does so in order, so that no lab stays; and once, or that would be interrupted, too."""
    for one in _ENDING:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure how fast sdn is; every number stands beside a peer or a floor from the same run."""
    for one in _ENDING:
        signal.signal(one, _end)


@main.command("boot")
@click.option("--pods", type=click.IntRange(1), multiple=True, default=(100, 1000), show_default=True, help="Size.")
@click.option("--shape", "shapes", type=click.Choice(list(SHAPES)), multiple=True, default=tuple(SHAPES), help="Lab.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="Times, up to 100 pods.")
@click.option("--repeat-large", type=click.IntRange(1), default=1, show_default=True, help="Times, beyond 100 pods.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def boot_command(pods: tuple[int, ...], shapes: tuple[str, ...], repeat: int, repeat_large: int, form: str) -> None:
    """From a file to a lab that is up, and down until the kernel has removed all of it."""
    show(boot.run(boot.Options(pods, shapes, repeat, repeat_large), _note), form)


@main.command("hosts")
@click.option(
    "--hosts", "many", type=click.IntRange(2), multiple=True, default=(1000,), show_default=True, help="Size."
)
@click.option("--pods-per-host", type=click.IntRange(1), default=5, show_default=True, help="On each.")
@click.option("--shape", type=click.Choice(list(MANY_HOSTS)), default="flat", show_default=True, help="Lab.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def hosts_command(many: tuple[int, ...], pods_per_host: int, shape: str, form: str) -> None:
    """Many Hosts with few pods: from a file to the last answer, and down."""
    show(hosts.run(hosts.Options(many, pods_per_host, shape), _note), form)


@main.command("policy")
@click.option("--namespaces", type=click.IntRange(1), default=25_000, show_default=True, help="With 4 pods each.")
@click.option("--everybody", type=click.IntRange(1), default=10_000, show_default=True, help="Policies and their pods.")
@click.option("--pods", type=click.IntRange(1), default=16, show_default=True, help="Reached from outside.")
@click.option("--blocks", type=click.IntRange(1, 40_000), default=250, show_default=True, help="Of outside addresses.")
@click.option("--policies", type=click.IntRange(1), default=1_000, show_default=True, help="Asked flow by flow.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def policy_command(namespaces: int, everybody: int, pods: int, blocks: int, policies: int, form: str) -> None:
    """From policies to profiles and groups, all that may talk to anything, and flow by flow, for large clusters."""
    show(policy.run(policy.Options(namespaces, everybody, pods, blocks, policies), _note), form)


@main.command("place")
@click.option("--hosts", type=click.IntRange(1), default=5_000, show_default=True, help="Of all but the nodes.")
@click.option(
    "--plain", type=click.IntRange(1), default=100_000, show_default=True, help="Pods that ask for room only."
)
@click.option("--pods", type=click.IntRange(1), default=20_000, show_default=True, help="With affinity, and spread.")
@click.option("--nodes", type=click.IntRange(1), default=5_000, show_default=True, help="VMs, five to a Host.")
@click.option("--inside", type=click.IntRange(1), default=150_000, show_default=True, help="Pods in the nodes.")
@click.option("--vms", type=click.IntRange(1), default=30_000, show_default=True, help="Of the data centre.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def place_command(hosts: int, plain: int, pods: int, nodes: int, inside: int, vms: int, form: str) -> None:
    """From a lab to where everything runs, and the moves that mend it, for large clusters and data centres."""
    show(place.run(place.Options(hosts, plain, pods, nodes, inside, vms), _note), form)


@main.command("plan")
@click.option("--hosts", type=click.IntRange(2), default=5_000, show_default=True, help="Of the large cluster.")
@click.option("--apps", type=click.IntRange(10), default=10_000, show_default=True, help="Deployments and policies.")
@click.option("--replicas", type=click.IntRange(1), default=15, show_default=True, help="Pods of each.")
@click.option("--events", "number", type=click.IntRange(4), default=10_000, show_default=True, help="In that cluster.")
@click.option("--sites", type=click.IntRange(1), default=1_000, show_default=True, help="Of five Hosts each.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def plan_command(hosts: int, apps: int, replicas: int, number: int, sites: int, form: str) -> None:
    """From the files of a large lab to the state of every Host, and many small sites under one policy; no kernel."""
    show(plan.run(plan.Options(hosts, apps, replicas, number, sites), _note), form)


@main.command("events")
@click.option(
    "--pods",
    type=click.IntRange(40),
    multiple=True,
    default=events.Options.pods,
    show_default=True,
    help="Of a cluster.",
)
@click.option("--events", "number", type=click.IntRange(100), default=10_000, show_default=True, help="In each.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def events_command(pods: tuple[int, ...], number: int, form: str) -> None:
    """From one Pod that comes, goes, moves or is relabelled to what changes on which Host, compiled and planned."""
    show(events.run(events.Options(pods, number), _note), form)


@main.command("enforce")
@click.option("--pods", type=click.IntRange(2), default=1000, show_default=True, help="Of the lab.")
@click.option("--hosts", type=click.IntRange(2), default=50, show_default=True, help="Of the lab.")
@click.option("--events", "number", type=click.IntRange(1), default=100, show_default=True, help="Of each kind.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def enforce_command(pods: int, hosts: int, number: int, form: str) -> None:
    """From one event in a running lab until it is enforced: a label, a move, a pod that goes, a pod that comes."""
    show(enforce.run(enforce.Options(pods, hosts, number), _note), form)


@main.command("migrate")
@click.option("--migrations", type=click.IntRange(1), default=200, show_default=True, help="One after the other.")
@click.option("--workloads", type=click.IntRange(2), default=8, show_default=True, help="That all talk to each other.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of who goes where.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def migrate_command(migrations: int, workloads: int, seed: int, form: str) -> None:
    """Live migrations with open connections and traffic both ways: what broke or leaked, how long each was away."""
    show(migrate.run(migrate.Options(migrations, workloads, seed), _note), form)


@main.command("birth")
@click.option("--workloads", type=click.IntRange(1), default=1000, show_default=True, help="That are born.")
@click.option("--wave", type=click.IntRange(1), default=20, show_default=True, help="How many at a time.")
@click.option("--hosts", type=click.IntRange(2), default=10, show_default=True, help="Of the lab.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of who fires at whom, and when the lab stops.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def birth_command(workloads: int, wave: int, hosts: int, seed: int, form: str) -> None:
    """Workloads that start while all others flood them and the lab is stopped at random points: what came of it."""
    show(birth.run(birth.Options(workloads, wave, hosts, seed), _note), form)


@main.command("failure")
@click.option("--workloads", type=click.IntRange(5), default=50, show_default=True, help="On the Host that fails.")
@click.option("--hosts", type=click.IntRange(2), default=8, show_default=True, help="Of the lab.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def failure_command(workloads: int, hosts: int, form: str) -> None:
    """A Host that fails with all that runs on it: the time of each stage, and every question afterwards."""
    show(failure.run(failure.Options(workloads, hosts), _note), form)


@main.command("change")
@click.option(
    "--pods", type=click.IntRange(2), multiple=True, default=change.Options.pods, show_default=True, help="Of a lab."
)
@click.option("--events", "number", type=click.IntRange(1), default=20, show_default=True, help="Timed, of each kind.")
@click.option("--counted", type=click.IntRange(1), default=5, show_default=True, help="Counted, of each kind.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def change_command(pods: tuple[int, ...], number: int, counted: int, form: str) -> None:
    """One change of a running lab of each size: request to enforced, system calls and bytes sent."""
    show(change.run(change.Options(pods, number, counted), _note), form)


@main.command("questions")
@click.option("--workloads", type=click.IntRange(2), default=200, show_default=True, help="That all ask each other.")
@click.option("--flows", type=click.IntRange(1), default=20_000, show_default=True, help="That are traced.")
@click.option("--repeat", type=click.IntRange(1), default=5, show_default=True, help="Times, for each command.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def questions_command(workloads: int, flows: int, repeat: int, form: str) -> None:
    """How long one waits for an answer: start, trace, sdn test, and real packets between all pairs."""
    show(questions.run(questions.Options(workloads, flows, repeat), _note), form)


@main.command("datapath")
@click.option(
    "--entries", type=click.IntRange(1), multiple=True, default=datapath.Options.entries, help="On one Host; repeat it."
)
@click.option(
    "--linear", type=click.IntRange(0), multiple=True, default=datapath.Options.linear, help="Same in iptables."
)
@click.option("--blocks", type=click.IntRange(0), multiple=True, default=datapath.Options.blocks, help="Of addresses.")
@click.option("--path", "paths", type=click.Choice(datapath.Options.paths), multiple=True, help="All if left out.")
@click.option("--measure", "measures", type=click.Choice(datapath.Options.measures), multiple=True, help="All.")
@click.option("--rounds", type=click.IntRange(1), default=20, show_default=True, help="Over all labs.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def datapath_command(
    entries: tuple[int, ...],
    linear: tuple[int, ...],
    blocks: tuple[int, ...],
    paths: tuple[str, ...],
    measures: tuple[str, ...],
    rounds: int,
    form: str,
) -> None:
    """Throughput, packets, new connections and round trips in labs with ever more policy, beside none and iptables."""
    everything = datapath.Options()
    chosen = (paths or everything.paths, measures or everything.measures)
    show(datapath.run(datapath.Options(entries, linear, blocks, rounds, *chosen), _note), form)


@main.command("leaks")
@click.option("--cycles", type=click.IntRange(0), default=1_000, show_default=True, help="Labs up and down; 0: none.")
@click.option("--commands", type=click.IntRange(0), default=1_000, show_default=True, help="The same by the command.")
@click.option(
    "--events", "number", type=click.IntRange(0), default=10_000, show_default=True, help="In one lab; 0: none."
)
@click.option("--tests", type=click.IntRange(1), default=20, show_default=True, help="Of that lab, meanwhile.")
@click.option("--pods", type=click.IntRange(10), default=40, show_default=True, help="Of that lab.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def leaks_command(cycles: int, commands: int, number: int, tests: int, pods: int, form: str) -> None:
    """Labs up and down, and changes of a day in one: what stays behind. Fails where anything grows; takes an hour."""
    show(leaks.run(leaks.Options(cycles, commands, number, tests, pods), _note), form)


@main.command("all")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True, help="How to print it.")
def all_command(form: str) -> None:
    """Every benchmark, smaller than by default where that takes long: under a quarter of an hour.

    Exit status 2 if any of them fails; the others go on.
    """
    run = everything.Run(_note)
    show(run.rows(), form)
    if run.failed:
        sys.exit(2)


if __name__ == "__main__":
    main(prog_name="tools/bench")
