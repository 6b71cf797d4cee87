"""All rules at once on random labs: nothing is broken in what `place` makes, and no shortcut changes an answer."""

from __future__ import annotations

import random

from checker import check
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from random_models import random_model

from sdn.model import Model
from sdn.scheduler import Cluster, schedule

seeds = st.integers(0, 10**9)


def shuffled(model: Model, seed: int) -> Model:
    dice = random.Random(seed)
    hosts, workloads = list(model.underlay.hosts), list(model.workloads)
    dice.shuffle(hosts)
    dice.shuffle(workloads)
    return replace(model, underlay=replace(model.underlay, hosts=tuple(hosts)), workloads=tuple(workloads))


@settings(deadline=None, max_examples=150)
@given(seeds)
def test_nothing_is_broken_and_everybody_is_placed_or_refused(seed: int) -> None:
    model = random_model(seed)
    outcome = schedule(model)
    assert Cluster.of(model, outcome.placement).violations() == []
    if not any(w.is_node and w.key not in outcome.placement.hosts for w in model.workloads):
        # Where a node was refused, the checker takes other Hosts for places of Pods than the scheduler did.
        assert check(model, outcome.placement, whole=False) == []
    everybody = {w.key for w in model.workloads}
    assert set(outcome.placement.hosts) | {key for key, _ in outcome.refused} == everybody
    assert not set(outcome.placement.hosts) & {key for key, _ in outcome.refused}


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_order_never_matters(seed: int) -> None:
    model = random_model(seed)
    assert schedule(shuffled(model, seed)) == schedule(model)


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_what_is_placed_stays(seed: int) -> None:
    model = random_model(seed)
    before = schedule(model).placement
    after = schedule(model, before).placement
    assert {key: host for key, host in after.hosts.items() if key in before.hosts} == before.hosts


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_the_best_is_the_cheapest_of_all_that_are_not_blocked(seed: int) -> None:
    """Whatever came and went before: rankings are looked at again where something changed."""
    model = random_model(seed)
    dice = random.Random(seed)
    cluster = Cluster(model)
    keys = sorted(cluster.workloads)
    for _ in range(40):
        workload = cluster.workloads[dice.choice(keys)]
        if cluster.where(workload.key):
            cluster.unbind(workload.key)
        free = [target for target in cluster.targets_of(workload) if not cluster.blocked(workload, target)]
        expected = min(free, key=lambda target: cluster.cost(workload, target), default=None)
        assert cluster.best(workload) is expected
        if expected:
            cluster.bind(workload, expected)


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_unbinding_is_binding_turned_round(seed: int) -> None:
    model = random_model(seed)
    placement = schedule(model).placement
    cluster, dice = Cluster.of(model, placement), random.Random(seed)
    for key in dice.sample(sorted(placement.hosts), len(placement.hosts)):
        target = cluster.where(key)
        if target and target.host:
            assert cluster.unbind(key) is target
            assert cluster.blocked(cluster.workloads[key], target, staying=True) is None
            cluster.bind(cluster.workloads[key], target)
    assert cluster.placement() == placement
    assert cluster.violations() == []
