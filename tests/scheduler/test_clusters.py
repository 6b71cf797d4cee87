"""Random clusters of all kinds of constraints: the checker finds nothing in what the scheduler makes of them."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from checker import violations
from cluster_runs import PLANS, findings
from clusters import MIDDLE, cluster
from scheduler_words import app, host, lab, node, pod

from sdn.errors import UnschedulableError
from sdn.model import Kind, Model, Placement, PlacementRule, Selector, Together
from sdn.scheduler import place

CLUSTERS = 1000
RULES = {
    "NUMA",
    "Host state",
    "admission",
    "apart",
    "capacity",
    "image",
    "near",
    "node affinity",
    "pool limit",
    "pool reservation",
    "reservation",
    "rule",
    "separation",
    "spread",
    "taint",
    "volume",
}
"""Every rule that a placement can break without being nonsense; pins are in `test_checker`."""


def test_a_thousand_clusters_keep_every_rule_at_every_step() -> None:
    done: Counter[str] = Counter()
    for seed in range(CLUSTERS):
        for finding in findings(seed, plans=2):
            assert not finding.wrong, str(finding)
            assert not finding.left, f"{finding} {finding.left}"
            done[finding.what] += 1
            done["steps"] += finding.steps
    assert done["place"] > CLUSTERS * 0.6, "most clusters are meant to be solvable, or nothing was looked at"
    assert done["steps"] > CLUSTERS * 2 and all(done[name] > CLUSTERS / 10 for name in PLANS)


def test_a_few_larger_clusters() -> None:
    done = [finding for seed in range(3) for finding in findings(seed, MIDDLE, 3)]
    assert not [str(finding) for finding in done if finding.wrong]
    assert done


def test_pods_whose_hosts_must_differ_do_not_meet_below_their_nodes() -> None:
    """Found by cluster 611: the second Pod was bound to another node, and nobody looked at the Host below it."""
    rule = PlacementRule("r", Together.APART, Selector(labels=app("x")))
    model = lab([host("h1")], [node("n1"), node("n2"), pod("a", "x"), pod("b", "x")], rules=(rule,))
    with pytest.raises(UnschedulableError, match="shop/b: "):
        place(model)


def anywhere(model: Model, dice: Random) -> Placement:
    """Placed by dice alone, Pods in nodes where there are any."""
    names = [host.name for host in model.underlay.hosts]
    hosts = {w.key: dice.choice(names) for w in model.workloads}
    nodes = [w.key for w in model.workloads if w.is_node]
    inside = {w.key: dice.choice(nodes) for w in model.workloads if nodes and w.kind is Kind.POD}
    return Placement(hosts | {pod: hosts[node] for pod, node in inside.items()}, inside)


def test_the_clusters_have_every_constraint_and_dice_break_each() -> None:
    """So that a thousand right placements say something."""
    broken: Counter[str] = Counter()
    for seed in range(100):
        model = cluster(seed)
        broken.update({violation.rule for violation in violations(model, anywhere(model, Random(seed)))})
    assert set(broken) == RULES, broken
    assert min(broken.values()) > 1, broken
