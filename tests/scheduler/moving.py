"""Small random clusters with two valid placements of each, and what every plan of moves must keep."""

from __future__ import annotations

import random

from checker import check_steps, violations
from hypothesis import strategies as st
from msgspec.structs import replace
from scheduler_words import host, lab, node, pod, vm

from sdn.model import (
    HOSTNAME,
    Affinity,
    Kind,
    LabelSelector,
    Model,
    Placement,
    PlacementRule,
    PodTerm,
    Selector,
    Separation,
    Taint,
    Together,
    Volume,
    Workload,
)
from sdn.scheduler import Cluster, Proposal

SEEDS = st.integers(0, 1 << 30)


def world(seed: int, *, tight: bool = False) -> Model:
    """3 to 6 Hosts in two zones with nodes, VMs and Pods, and a few rules of each kind."""
    rng = random.Random(seed)
    hosts = [
        host(f"h{i}", zone=f"z{i % 2}", memory=8192 if tight else 12288, taints=_taints(rng))
        for i in range(rng.randint(3, 6))
    ]
    vms = [_vm(rng, i) for i in range(rng.randint(1, 2 * len(hosts)))]
    nodes = [node(f"n{i}", cpu=500, taints=()) for i in range(rng.randint(0, 3))]
    pods = [_pod(rng, i) for i in range(rng.randint(0, 8))]
    names = tuple(h.name for h in hosts)
    return lab(
        hosts,
        [*vms, *nodes, *pods],
        rules=tuple(_rules(rng, names)),
        separations=(Separation("level"),) if rng.random() < 0.3 else (),
        volumes=(Volume("disk", tuple(sorted(rng.sample(names, 2)))),),
    )


def _taints(rng: random.Random) -> tuple[Taint, ...]:
    return (Taint("gpu", "yes"),) if rng.random() < 0.1 else ()


def _vm(rng: random.Random, index: int) -> Workload:
    labels = {"app": rng.choice("abc")} | ({"level": rng.choice("xy")} if rng.random() < 0.3 else {})
    return vm(
        f"v{index}",
        labels=labels,
        cpu=rng.choice((100, 500, 1000)),
        memory=rng.choice((1024, 2048, 3072, 4096)),
        priority=rng.choice((0, 0, 10)),
        affinity=_affinity(rng, labels["app"]),
        volumes=("disk",) if rng.random() < 0.1 else (),
    )


def _pod(rng: random.Random, index: int) -> Workload:
    app = rng.choice("pq")
    return pod(
        f"p{index}",
        labels={"app": app},
        cpu=100,
        memory=rng.choice((128, 256, 512)),
        priority=rng.choice((0, 5)),
        affinity=_affinity(rng, app),
    )


def _affinity(rng: random.Random, app: str) -> Affinity | None:
    """Apart from one another by Host: of some."""
    if rng.random() > 0.2:
        return None
    return Affinity(apart=(PodTerm(HOSTNAME, LabelSelector(labels=(("app", app),))),))


def _rules(rng: random.Random, hosts: tuple[str, ...]) -> list[PlacementRule]:
    """Of each kind, sometimes; a wish as often as a must."""
    made = []
    for kind, app in ((Together.APART, "a"), (Together.TOGETHER, "b"), (Together.NOT_ON, "c")):
        if rng.random() < 0.25:
            names = tuple(rng.sample(hosts, 1)) if kind is Together.NOT_ON else ()
            selector = Selector(labels=LabelSelector(labels=(("app", app),)), kind=Kind.VM)
            made.append(PlacementRule(f"{kind}-{app}", kind, selector, host_names=names, must=rng.random() < 0.5))
    return made


def somewhere(model: Model, seed: int) -> Placement | None:
    """Everything on random places that no rule forbids; None if the dice leave something without a place."""
    rng = random.Random(seed)
    cluster = Cluster.of(model)
    for kinds in ((True, False), (False, False), (False, True)):  # nodes, other VMs, Pods
        some = [w for w in model.workloads if (w.is_node, w.kind is Kind.POD) == kinds]
        rng.shuffle(some)
        for workload in some:
            free = [t for t in cluster.targets_of(workload) if cluster.blocked(workload, t) is None]
            if not free:
                return None
            cluster.bind(workload, rng.choice(free))
    return cluster.placement()


def assert_kept(model: Model, before: Placement, proposal: Proposal) -> None:
    """Every step is one, breaks nothing that was kept, and all of them lead where the proposal says."""
    wrong = check_steps(model, before, proposal.moves, proposal.placement)
    assert not wrong, "\n".join([*wrong, *(str(move) for move in proposal.moves)])


def broken(model: Model, placement: Placement) -> list[str]:
    """The hard rules that a placement breaks, as the independent checker reads them."""
    return [str(violation) for violation in violations(model, placement)]


def shuffled(model: Model, seed: int) -> Model:
    """The same lab, written in another order."""
    rng = random.Random(seed)
    hosts, workloads = list(model.underlay.hosts), list(model.workloads)
    rng.shuffle(hosts)
    rng.shuffle(workloads)
    return replace(model, underlay=replace(model.underlay, hosts=tuple(hosts)), workloads=tuple(workloads))
