"""To a place that somebody names, and away from a Host: done as asked, or refused with the reason."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from moving import SEEDS, assert_kept, shuffled, somewhere, world
from scheduler_words import at, host, lab, node, pod, vm

from sdn.model import HostState, Placement, PlacementRule, Selector, Together, Workload
from sdn.model.lifecycle import Move
from sdn.scheduler import drain, evacuate, migrate, with_hosts

H = [host(f"h{i}") for i in (1, 2, 3)]
NODES = [node("n1"), node("n2"), pod("p", memory=64)]
RUNNING = "n1:h1 n2:h2 p:n1@h1"


def test_a_vm_to_a_host() -> None:
    proposal = migrate(lab(H, [vm("a")]), at("a:h1"), "shop/a", "h2")
    assert proposal.moves == (Move("shop/a", "h1", "h2", why="asked for"),)
    assert proposal.placement == at("a:h2")


def test_pods_leave_nodes_that_are_replaced_but_for_those_who_are_fixed_or_fit_nowhere_else() -> None:
    nodes = [node("n1"), node("n2"), node("n3")]
    small = [pod("p", memory=64), pod("q", memory=64), pod("fixed", host="n1")]
    pods = [*small, pod("r", memory=1900), pod("here", memory=512)]
    before = at("n1:h1 n2:h2 n3:h3 p:n1@h1 q:n2@h2 fixed:n1@h1 r:n1@h1 here:n3@h3")
    model = lab(H, [*nodes, *pods])
    proposal = evacuate(model, before, ["nodes/n1", "nodes/n2"])
    assert [(move.workload, move.target_node) for move in proposal.moves] == [
        ("shop/p", "nodes/n3"),
        ("shop/q", "nodes/n3"),
    ]
    (note,) = proposal.notes
    assert note == (
        "stops with its node, as it finds no other place: shop/r: 0 of 3 nodes fit: 2 are being replaced, "
        "1 too little memory (needs 1900 MiB)"
    )
    assert_kept(model, before, proposal)


@pytest.mark.parametrize("name", ["nodes/n2", "n2", "h2"])
def test_a_pod_to_a_node_by_key_by_name_or_by_its_host(name: str) -> None:
    proposal = migrate(lab(H, NODES), at(RUNNING), "shop/p", name)
    assert proposal.moves == (Move("shop/p", "h1", "h2", "nodes/n1", "nodes/n2", "asked for"),)


def test_a_node_takes_its_pods_along() -> None:
    proposal = migrate(lab(H, NODES), at(RUNNING), "nodes/n1", "h3")
    assert proposal.moves == (Move("nodes/n1", "h1", "h3", why="asked for"),)
    assert proposal.placement.hosts["shop/p"] == "h3"


def test_who_is_there_already_does_not_move() -> None:
    proposal = migrate(lab(H, [vm("a")]), at("a:h1"), "shop/a", "h1")
    assert (proposal.moves, proposal.refused) == ((), ())
    assert proposal.notes == ("shop/a is on h1 already",)


@pytest.mark.parametrize(
    ("key", "where", "reason"),
    [
        ("shop/x", "h2", "there is no workload shop/x; `sdn status` lists them"),
        ("shop/a", "h9", "there is no Host or node h9; `sdn status` lists them"),
        ("shop/idle", "h2", "shop/idle does not run; it can only start"),
        ("shop/a", "h3", "shop/a cannot go to h3: too little memory (needs 2 GiB)"),
        ("shop/fixed", "h2", "shop/fixed cannot go to h2: it is fixed to h1; remove its `host`"),
        ("shop/a", "n1", "shop/a cannot go to n1: a VM runs on a Host; name one"),
        ("shop/p", "h2", "shop/p cannot go to h2: that takes no Pods; name a node, or a Host that is a worker"),
    ],
)
def test_refused(key: str, where: str, reason: str) -> None:
    others = [vm("a", memory=2048), vm("idle"), vm("fixed", host="h1"), node("n1"), pod("p")]
    model = lab([*H[:2], host("h3", memory=1024)], others)
    proposal = migrate(model, at("a:h1 fixed:h1 n1:h1 p:n1@h1"), key, where)
    assert proposal.refused == (reason,)
    assert proposal.moves == ()


def test_a_drained_host_is_empty_and_its_daemon_stops() -> None:
    daemon = pod("agent", owner=("DaemonSet", "agent"), host="h1")
    model = lab(H, [vm("a"), vm("b"), daemon])
    before = at("a:h1 b:h2 agent:h1")
    proposal = drain(model, before, "h1")
    assert [(m.workload, m.target) for m in proposal.moves] == [("shop/a", "h3"), ("shop/agent", "")]
    assert proposal.notes == ("shop/agent stops: its DaemonSet runs it on h1 only",)
    assert_kept(with_hosts(model, {"h1"}, HostState.MAINTENANCE), before, proposal)


def test_others_move_out_of_the_way_of_what_is_drained() -> None:
    model = lab(H, [vm("a", memory=6000), vm("b", memory=3000), vm("c", memory=3000)])
    before = at("a:h1 b:h2 c:h3")
    proposal = drain(model, before, "h1")
    assert len(proposal.moves) == 2
    assert_kept(model, before, proposal)


def test_a_group_that_must_stay_together_is_drained_with_one_stop() -> None:
    pair = PlacementRule("pair", Together.TOGETHER, Selector(keys=("shop/a", "shop/b")))
    model = lab(H, [vm("a"), vm("b")], rules=(pair,))
    proposal = drain(model, at("a:h1 b:h1"), "h1")
    assert [bool(move.target) for move in proposal.moves] == [False, True, True]
    assert_kept(model, at("a:h1 b:h1"), proposal)


@pytest.mark.parametrize(
    ("workloads", "reason"),
    [
        (
            [vm("a", memory=6000), vm("b", memory=6000), vm("c", memory=6000)],
            "shop/a: 0 of 3 hosts fit: 2 too little memory (needs 6000 MiB), 1 ",
        ),
        ([vm("a", host="h1")], "shop/a: 0 of 1 hosts fit: 1 "),
    ],
)
def test_a_drain_that_cannot_be_is_refused(workloads: list[Workload], reason: str) -> None:
    model = lab(H, workloads)
    before = at(" ".join(f"{name}:h{i + 1}" for i, name in enumerate("abc"[: len(workloads)])))
    proposal = drain(model, before, "h1")
    assert proposal.refused[0].startswith(reason)
    assert "maintenance" in proposal.refused[0]
    assert (proposal.moves, proposal.placement) == ((), before)


def test_there_is_no_such_host_to_drain() -> None:
    assert drain(lab(H, []), Placement({}), "h9").refused == ("there is no Host h9; `sdn status` lists them",)


@settings(max_examples=40, deadline=None)
@given(SEEDS, SEEDS)
def test_nothing_is_left_or_nothing_is_done(which: int, one: int) -> None:
    model = world(which)
    before = somewhere(model, one)
    assume(before is not None)
    assert before
    proposal = drain(model, before, "h0")
    assert bool(proposal.refused) == ("h0" in proposal.placement.hosts.values())
    assert proposal.placement.hosts.keys() == before.hosts.keys()
    assert_kept(with_hosts(model, {"h0"}, HostState.MAINTENANCE), before, proposal)
    assert drain(shuffled(model, one), before, "h0") == proposal
