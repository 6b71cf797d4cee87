"""After a failure: the important first, in order, nothing on what failed, and a reason for what stays away."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from moving import SEEDS, assert_kept, shuffled, somewhere, world
from msgspec.structs import replace
from scheduler_words import at, host, lab, node, pod, vm

from sdn.model import Admission, HostState, Kind, Reserve, Resources, Volume
from sdn.scheduler import Proposal, readiness, recover, with_hosts, without_reserve
from sdn.scheduler.restart import restart_order

H = [host(f"h{i}") for i in (1, 2, 3)]


def starts(proposal: Proposal) -> list[str]:
    return [f"{m.workload.partition('/')[2]}:{m.target}" for m in proposal.moves if not m.source]


def test_what_ran_there_stops_first_and_starts_elsewhere() -> None:
    proposal = recover(lab(H, [vm("a"), vm("b")]), at("a:h1 b:h1"), {"h1"})
    assert [(m.source, m.target) for m in proposal.moves] == [("h1", ""), ("h1", ""), ("", "h2"), ("", "h3")]
    assert proposal.moves[0].why == "h1 failed"


def test_priority_then_dependency() -> None:
    some = [
        vm("low"),
        vm("web", priority=10, after=("shop/db",)),
        vm("db"),
        vm("high", priority=20),
    ]
    proposal = recover(lab(H, some), at("low:h1 web:h1 db:h1 high:h1"), {"h1"})
    assert [start.partition(":")[0] for start in starts(proposal)] == ["high", "db", "web", "low"]


def test_a_circle_of_dependencies_is_cut() -> None:
    some = {w.key: w for w in (vm("a", after=("shop/b",)), vm("b", after=("shop/c",)), vm("c", after=("shop/a",)))}
    assert sorted(restart_order(some, list(some))) == sorted(some)


def test_pods_start_in_their_node_again() -> None:
    model = lab(H, [node("n1"), node("n2"), pod("p", memory=64), pod("q", memory=64)])
    proposal = recover(model, at("n1:h1 n2:h2 p:n1@h1 q:n1@h1"), {"h1"})
    assert starts(proposal) == ["n1:h3", "p:h3", "q:h3"]
    assert proposal.placement.nodes["shop/p"] == "nodes/n1"


def test_pods_start_in_other_nodes_where_theirs_cannot() -> None:
    model = lab(H[:2], [node("n1", memory=5000), node("n2", memory=5000), pod("p", memory=64)])
    proposal = recover(model, at("n1:h1 n2:h2 p:n1@h1"), {"h1"})
    assert starts(proposal) == ["p:h2"]
    assert proposal.notes[0].startswith("nodes/n1: 0 of 2 hosts fit: ")


def test_lower_priority_gives_way_and_says_so() -> None:
    model = lab(
        H[:2], [vm("high", memory=5000, priority=10), vm("low", memory=5000), vm("mid", memory=3000, priority=5)]
    )
    proposal = recover(model, at("high:h1 low:h2 mid:h2"), {"h1"})
    assert [(m.workload, m.target, m.why) for m in proposal.moves[1:]] == [
        ("shop/low", "", "gives way to shop/high, which is more important"),
        ("shop/high", "h2", "starts again after a failure"),
    ]
    assert len(proposal.notes) == 1
    assert proposal.notes[0].startswith("shop/low: 0 of 2 hosts fit: ")


def test_who_does_not_preempt_waits() -> None:
    model = lab(H[:2], [vm("high", memory=5000, priority=10, preempts=False), vm("low", memory=5000)])
    proposal = recover(model, at("high:h1 low:h2"), {"h1"})
    assert starts(proposal) == []
    assert proposal.notes[0].startswith("shop/high: 0 of 2 hosts fit: ")


def test_another_moves_before_somebody_must_give_way() -> None:
    model = lab(H, [vm("a", memory=6000, priority=10), vm("b", memory=3000), vm("c", memory=3000)])
    proposal = recover(model, at("a:h1 b:h2 c:h3"), {"h1"})
    assert [(m.workload, m.source, m.target) for m in proposal.moves[1:]] == [
        ("shop/b", "h2", "h3"),
        ("shop/a", "", "h2"),
    ]


def test_a_volume_ties_the_restart_to_its_replicas() -> None:
    model = lab(H, [vm("a", volumes=("disk",)), vm("b", memory=8000)], volumes=(Volume("disk", ("h1", "h3")),))
    assert starts(recover(model, at("a:h1 b:h2"), {"h1"})) == ["a:h3"]
    assert recover(model, at("a:h1 b:h2"), {"h1", "h3"}).notes[0].startswith("shop/a: 0 of 3 hosts fit: ")


@pytest.mark.parametrize("reserve", [Reserve.DEDICATED, Reserve.SLOTS, Reserve.PERCENTAGE])
def test_the_room_kept_for_failures_is_used_now(reserve: Reserve) -> None:
    kept = Admission(failures=1, reserve=reserve, dedicated=("h3",) if reserve is Reserve.DEDICATED else ())
    model = lab(H, [vm("a", memory=6000), vm("b", memory=6000)], admission=kept)
    assert starts(recover(model, at("a:h1 b:h2"), {"h1"})) == ["a:h3"]


@settings(max_examples=40, deadline=None)
@given(SEEDS, SEEDS)
def test_never_on_what_failed_and_never_against_a_rule(which: int, one: int) -> None:
    model = world(which, tight=True)
    before = somewhere(model, one)
    assume(before is not None)
    assert before
    proposal = recover(model, before, {"h0", "h1"})
    assert not {"h0", "h1"} & set(proposal.placement.hosts.values())
    assert not proposal.refused
    after = without_reserve(with_hosts(model, {"h0", "h1"}, HostState.FAILED))
    assert_kept(after, before, proposal)
    away = before.hosts.keys() - proposal.placement.hosts.keys()
    assert {note.partition(":")[0] for note in proposal.notes} == away
    assert recover(shuffled(model, one), before, ["h1", "h0"]) == proposal


@settings(max_examples=30, deadline=None)
@given(SEEDS, SEEDS)
def test_readiness_says_what_recover_would_leave_away(which: int, one: int) -> None:
    """Where nobody may be evicted, both must agree Host by Host."""
    model = world(which, tight=True)
    equal = (replace(w, scheduling=replace(w.scheduling, priority=0)) for w in model.workloads)
    model = replace(model, workloads=tuple(equal))
    before = somewhere(model, one)
    assume(before is not None)
    assert before
    report = readiness(model, before)
    for failure in report.failures:
        proposal = recover(model, before, {failure.host})
        away = before.hosts.keys() - proposal.placement.hosts.keys()
        assert away == set(failure.stranded)
    assert report.ready == (not any(failure.stranded for failure in report.failures))


def test_slots_are_counted_host_by_host() -> None:
    model = lab(H, [vm("a", memory=4096, cpu=100), vm("b", memory=1024, cpu=1000)])
    report = readiness(model, at("a:h1 b:h1"))
    assert (report.slot, report.slots, report.free) == ((1000, 4096), 6, 4)
    assert report.ready
    assert [(failure.host, failure.workloads) for failure in report.failures] == [("h1", 2)]


def test_a_slot_is_the_largest_reservation_and_not_the_largest_size() -> None:
    some = Resources(cpu_reservation=0, memory_reservation=512)
    model = lab(H, [vm("a", memory=4096, cpu=2000, resources=some), vm("b", memory=1024, cpu=100, resources=some)])
    report = readiness(model, at("a:h1 b:h1"))
    assert (report.slot, report.slots, report.free) == ((32, 512), 30, 28)
    over = lab([host("h1", memory_overcommit=200)], [vm("a", memory=4096, cpu=2000)])
    report = readiness(over, at("a:h1"))
    assert (report.slot, report.slots, report.free) == ((2000, 0), 2, 1)


def test_what_cannot_restart_is_named() -> None:
    model = lab(H[:2], [vm("a", memory=6000), vm("b", memory=6000)])
    report = readiness(model, at("a:h1 b:h2"))
    assert not report.ready
    assert [failure.stranded for failure in report.failures] == [("shop/a",), ("shop/b",)]


def test_pods_are_workloads_too() -> None:
    model = lab(H, [node("n1"), pod("p", memory=64)])
    assert readiness(model, at("n1:h1 p:n1@h1")).failures[0].workloads == 2
    assert {w.kind for w in model.workloads} == {Kind.VM, Kind.POD}


def test_a_node_is_as_urgent_as_the_pods_that_were_in_it() -> None:
    """Or they would crowd into the nodes that are left, and theirs come up empty."""
    model = lab(H, [node("n1"), node("n2"), vm("a", priority=50), pod("p", memory=64, priority=100)])
    proposal = recover(model, at("n1:h1 n2:h2 a:h1 p:n1@h1"), {"h1"})
    assert [start.partition(":")[0] for start in starts(proposal)] == ["n1", "p", "a"]
