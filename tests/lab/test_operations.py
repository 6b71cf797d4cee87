"""Operations on a running lab: planned, made, told; what is refused changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from labs import ask_all, story, up
from sdn.errors import LabError
from sdn.lab import client
from sdn.lab.operations import after, total
from sdn.model import Application, Direction, HostState, LabelSelector, Placement, Selector
from sdn.model.lifecycle import Drain, Heal, Label, Migrate, Move
from worlds_build import act, model, segment, tier, workload

pytestmark = pytest.mark.kernel

QUARANTINE = tier(
    "emergency/quarantine",
    act("deny", Direction.INGRESS),
    act("deny", Direction.EGRESS),
    to=[Selector(labels=LabelSelector((("quarantine", "true"),)))],
)
LAN = Application("a", (segment("lan", "10.1.1.0/24", "fd00:1::/64"),))
FREE = replace(workload("a/free", 1, "a/lan", ":80"), host="")
DAEMON = replace(workload("a/daemon", 3, "a/lan", ":80"), owner=("DaemonSet", "daemon"))
LAB = model(
    "living", [LAN], [FREE, DAEMON, workload("a/x", 1, "a/lan", ":80"), workload("a/y", 2, "a/lan", ":80")], QUARANTINE
)


def decided(lab: client.Lab) -> set[str]:
    """By which rules everything from and to a/x is decided on the wire, between workloads."""
    asked = [r for r in ask_all(lab) if "/" in r.question.flow.source]
    results = [r for r in asked if "a/x" in (r.question.flow.source, r.question.target)]
    return {rule for r in results for seen in r.observations for rule in seen.rules}


@pytest.fixture(scope="module")
def lab() -> Iterator[client.Lab]:
    with up(LAB) as running:
        yield running


def test_a_label_isolates_at_once_and_no_longer_when_it_goes(lab: client.Lab) -> None:
    before = lab.plan()
    assert decided(lab) == {"egress default allow", "ingress default allow"}
    done = lab.operate(Label("a/x", {"quarantine": "true"}))
    assert "host-1" in done.hosts and not done.moved and done.planned and done.enforced
    assert decided(lab) == {
        "egress default allow",  # of those who try to reach it
        "egress emergency quarantine[1]",
        "ingress emergency quarantine[0]",
    }
    assert story(ask_all(lab)) == ""
    assert lab.status().drift == ()
    assert lab.operate(Label("a/x", {"quarantine": ""})).changes == {k: v[::-1] for k, v in done.changes.items()}
    assert lab.plan() == before


def test_what_is_refused_changes_nothing(lab: client.Lab) -> None:
    before = lab.placed()
    for operation, words in (
        (Migrate("a/y", "host-1"), "fixed to host-2"),
        (Drain("host-2"), "a/y"),
    ):
        assert words in lab.operate(operation).refused[0]
    for unknown, words in (
        (Label("a/nobody", {"a": "b"}), "no workload 'a/nobody'"),
        (Migrate("a/free", "host-9"), "no Host or node 'host-9'"),
        (Drain("a/free"), "no Host 'a/free'"),
    ):
        with pytest.raises(LabError, match=words):
            lab.operate(unknown)
    assert lab.placed() == before
    assert lab.status().drift == ()


def test_a_host_that_is_drained_is_empty_and_takes_nothing_more(lab: client.Lab) -> None:
    lab.operate(Migrate("a/free", "host-3"))
    done = lab.operate(Drain("host-3"))
    assert [(one.move.workload, bool(one.move.target)) for one in done.moved] == [("a/free", True), ("a/daemon", False)]
    assert "a/daemon stops" in done.notes[0] and "a/daemon" not in lab.placed().endpoints
    assert "host-3" not in {one.host for one in lab.placed().endpoints.values()}
    assert "maintenance" in lab.operate(Migrate("a/free", "host-3")).refused[0]
    assert lab.status().drift == ()


def test_a_new_description_ends_no_maintenance_and_names_what_it_undoes(lab: client.Lab) -> None:
    lab.operate(Drain("host-3"))  # from where a/daemon cannot go elsewhere
    lab.operate(Label("a/x", {"quarantine": "true"}))
    assert len(lab.changes(LAB)) > 0
    done = lab.apply(LAB)
    assert done.notes == (
        "what was made of a/x since the lab was last described (labels, replicas, a rollout) is undone; write it into "
        "the file to keep it",
    )
    states = {host.name: host.state for host in lab.placed().model.underlay.hosts}
    assert states["host-3"] is HostState.MAINTENANCE
    assert "a/daemon" not in lab.placed().placement.hosts and story(ask_all(lab)) == ""
    again = lab.apply(LAB)
    assert (again.notes, again.nodes) == ((), ())
    with pytest.raises(LabError, match="a/more: 0 of 1 hosts fit: 1 is in maintenance"):
        lab.apply(replace(LAB, workloads=(*LAB.workloads, workload("a/more", 3, "a/lan"))))
    healed = lab.operate(Heal("host-3"))
    assert [one.move.workload for one in healed.moved] == ["a/daemon"]
    assert healed.notes[0] == "host-3 takes workloads again"


def test_who_watches_sees_what_is_permitted_and_what_is_not(lab: client.Lab) -> None:
    (here,) = {one.host for one in lab.placed().endpoints.values() if one.workload == "a/free"}
    done = lab.operate(Migrate("a/free", "host-1" if here == "host-2" else "host-2"), watch=True)
    assert done.sent > done.lost > 0 and (done.duplicated, done.leaked) == (0, 0)
    done = lab.operate(Label("a/x", {"quarantine": "true"}), watch=True)
    assert (done.sent, done.lost, done.leaked) == (0, 0, 0)
    done = lab.operate(Label("a/x", {"quarantine": ""}), watch=True)
    assert done.sent > 0 and (done.lost, done.leaked) == (0, 0)


def test_a_nodes_pods_go_where_its_vm_goes() -> None:
    placement = Placement({"a/vm": "host-1", "a/p": "host-1", "a/q": "host-2"}, {"a/p": "a/vm", "a/q": "a/other"})
    moved = after(placement, Move("a/vm", "host-1", "host-3"))
    assert moved.hosts == {"a/p": "host-3", "a/q": "host-2", "a/vm": "host-3"}
    assert moved.nodes == placement.nodes
    assert "a/p" not in after(placement, Move("a/p", "host-1", "", "a/vm")).hosts


def test_changes_add_up_by_kind() -> None:
    assert total([{"port": (1, 0, 0)}, {"port": (0, 0, 1), "fdb": (0, 2, 0)}]) == {
        "port": (1, 0, 1),
        "fdb": (0, 2, 0),
    }
