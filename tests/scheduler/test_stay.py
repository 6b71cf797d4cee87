"""What runs where it may be stays there; if it must go all the same, the plan says why."""

from __future__ import annotations

import pytest
from checker import check
from cluster_runs import findings
from scheduler_words import at, host, lab, node, pod, vm

from sdn.model import Effect, Model, Separation, Taint
from sdn.scheduler import MADE_ROOM, Cluster, moves, place, reconcile, recover
from sdn.scheduler.filters import memory_text

H = [host(f"h{i}") for i in (1, 2)]
UNWELCOME = host("h2", taints=(Taint("slow", "", Effect.PREFER_NO_SCHEDULE),))
LEVELS = (Separation("level"),)


def mixed(*secret: str) -> Model:
    """A secret VM on one of two Hosts, of which the other is to be avoided, and a Pod that needs a new node."""
    vms = [vm(name, labels={"level": "secret"}) for name in secret]
    return lab([H[0], UNWELCOME], [*vms, node("n1"), pod("web", labels={"level": "open"})], separations=LEVELS)


def test_who_comes_new_makes_way_before_who_runs() -> None:
    """The node would rather be on h1, but its Pod may not be there."""
    model = mixed("a")
    placement = place(model, at("a:h1"))
    assert placement == at("a:h1 n1:h2 web:n1@h2")
    assert check(model, placement) == []


def test_who_runs_makes_way_where_nothing_else_helps() -> None:
    model = lab(H, [vm("a", cpu=2000), vm("b", cpu=4000)])
    proposal = reconcile(model, at("a:h1"))
    assert [(m.workload, m.target) for m in proposal.moves] == [("shop/b", "h2")], "no need to move"
    model = lab(H, [vm("a", cpu=2000), vm("b", cpu=4000, selector={"disk": "ssd"})])
    model = lab([host("h1", labels={"disk": "ssd"}), H[1]], model.workloads)
    proposal = reconcile(model, at("a:h1"))
    assert [(m.workload, m.target, m.why) for m in proposal.moves] == [
        ("shop/a", "h2", MADE_ROOM),
        ("shop/b", "h1", "starts"),
    ]


def test_who_may_not_stay_is_told_why() -> None:
    model = lab(H, [vm("a", selector={"disk": "ssd"})])
    model = lab([H[0], host("h2", labels={"disk": "ssd"})], model.workloads)
    assert [m.why for m in moves(model, at("a:h1"), at("a:h2")).moves] == ["cannot stay: lacks label disk=ssd"]


def test_a_pod_whose_node_runs_nowhere_is_told_so() -> None:
    model = lab(H[:1], [node("n1"), pod("p", host="n1")])
    assert Cluster(model).explain(model.workloads[1]).text == "nodes/n1, the node that it is pinned to, runs on no Host"
    proposal = recover(model, at("n1:h1 p:n1@h1"), {"h1"})
    assert proposal.notes == (
        "nodes/n1: 0 of 1 hosts fit: 1 has failed",
        "shop/p: nodes/n1, the node that it is pinned to, runs on no Host",
    )


@pytest.mark.parametrize(
    ("mebibytes", "text"),
    [(0, "0 MiB"), (1500, "1500 MiB"), (65536, "64 GiB"), (78643, "76.8 GiB"), (10239, "10239 MiB")],
)
def test_sizes_are_short(mebibytes: int, text: str) -> None:
    assert memory_text(mebibytes) == text


@pytest.mark.parametrize("seed", [5976])
def test_a_new_node_with_pods_that_belong_together_stays(seed: int) -> None:
    """Found by this cluster: its node took half of a group to another rack."""
    assert not [str(finding) for finding in findings(seed, plans=0) if finding.wrong]
