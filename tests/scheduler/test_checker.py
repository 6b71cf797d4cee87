"""The checker finds what is wrong: for each rule one lab placed rightly, and placed so that only that rule breaks."""

from __future__ import annotations

import pytest
from checker import check, check_steps, left_behind, violations
from checker_cases import CASES, ZONES, Case, H
from scheduler_words import apart, at, host, lab, near, node, pod, spread

from sdn.model import Effect, HostState, ImageGate, Model, Taint, Volume
from sdn.model.lifecycle import Move


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_the_broken_rule_is_told(case: Case) -> None:
    for good in case.good.splitlines():
        assert check(case.model, at(good), whole=False) == []
    for bad in case.bad.splitlines():
        told = {sentence.partition(":")[0] for sentence in check(case.model, at(bad), whole=False)}
        assert told == {case.rule}


@pytest.mark.parametrize(
    ("model", "where"),
    [
        pytest.param(lab([host("h1", taints=(Taint("x"),))], [pod("a")]), "a:h1", id="no-schedule"),
        pytest.param(lab([host("h1", state=HostState.MAINTENANCE)], [pod("a")]), "a:h1", id="maintenance"),
        pytest.param(lab(H, [pod("a", images=("i",))], gate=ImageGate(signed=True)), "a:h1", id="image"),
    ],
)
def test_what_is_asked_of_newcomers_only(model: Model, where: str) -> None:
    assert check(model, at(where))
    assert check(model, at(where), at(where)) == []


def test_no_execute_and_capacity_are_asked_of_what_runs_as_well() -> None:
    model = lab([host("h1", cpu=1, taints=(Taint("x", "", Effect.NO_EXECUTE),))], [pod("a", cpu=2)])
    assert {v.rule for v in violations(model, at("a:h1"), at("a:h1"))} == {"taint", "capacity"}


def test_who_is_nowhere_is_told() -> None:
    assert check(lab(H, [pod("a"), pod("b")]), at("a:h1")) == ["nowhere: shop/b"]


def move(name: str, source: str, target: str, nodes: tuple[str, str] = ("", "")) -> Move:
    """A step of a plan; a name that begins with n is a node's."""
    return Move(f"nodes/{name}" if name.startswith("n") else f"shop/{name}", source, target, *nodes)


SWAP = lab(H, [pod(name, cpu=3000) for name in "ab"])
PAIR = lab(ZONES, [pod("a", "x", affinity=apart("x", topology="zone")), pod("b", "x")])
COMPANY = lab(ZONES, [pod("a", "x"), pod("b", "y", affinity=near("x"))])
SELF = lab(ZONES, [pod(name, "x", affinity=near("x")) for name in "ab"])
EVEN = lab(ZONES, [pod(name, "x", spread=(spread("x"),)) for name in "ab"])
EVEN_NODES = lab(ZONES, [*EVEN.workloads, *(node(name) for name in ("n1", "n2", "n3"))])
INSIDE = lab(H, [node("n1"), pod("a", volumes=("v",))], volumes=(Volume("v", ("h1", "h2")),))


@pytest.mark.parametrize(
    ("model", "before", "moves", "after", "wrong"),
    [
        pytest.param(SWAP, "a:h1 b:h2", [move("a", "h1", "h3")], "a:h3 b:h2", "", id="one-good-move"),
        pytest.param(
            SWAP,
            "a:h1 b:h2",
            [move("a", "h1", "h2"), move("b", "h2", "h1")],
            "a:h2 b:h1",
            "capacity",
            id="at-once",
        ),
        pytest.param(
            SWAP,
            "a:h1 b:h2",
            [move("a", "h1", "h3"), move("b", "h2", "h1"), move("a", "h3", "h2")],
            "a:h2 b:h1",
            "",
            id="swap-by-a-detour",
        ),
        pytest.param(SWAP, "a:h1", [move("b", "", "h1")], "a:h1 b:h1", "capacity", id="start-without-room"),
        pytest.param(SWAP, "a:h1 b:h2", [move("a", "h1", "")], "b:h2", "", id="stop"),
        pytest.param(SWAP, "a:h1 b:h2", [move("a", "h3", "h1")], "a:h1 b:h2", "begins in", id="not-there"),
        pytest.param(SWAP, "a:h1 b:h2", [move("a", "h1", "h1")], "a:h1 b:h2", "leads nowhere", id="no-move"),
        pytest.param(SWAP, "a:h1 b:h2", [], "a:h3 b:h2", "the end is not", id="another-end"),
        pytest.param(PAIR, "a:h1 b:h3", [move("b", "h3", "h2")], "a:h1 b:h2", "apart", id="apart"),
        pytest.param(
            COMPANY, "a:h1 b:h2", [move("a", "h1", "h3"), move("b", "h2", "h3")], "a:h3 b:h3", "", id="is-followed"
        ),
        pytest.param(EVEN, "a:h1 b:h3", [move("b", "h3", "h2")], "a:h1 b:h2", "arrives in a", id="too-many-in-a-zone"),
        pytest.param(EVEN, "a:h1 b:h3", [move("a", "h1", "h2")], "a:h2 b:h3", "", id="within-its-zone"),
        pytest.param(
            EVEN_NODES,
            "n1:h1 n2:h3 a:n1@h1 b:n2@h3",
            [move("n1", "h1", "h3")],
            "n1:h3 n2:h3 a:n1@h3 b:n2@h3",
            "",
            id="node-leaves-no-zone-to-spread-over",
        ),
        pytest.param(
            EVEN_NODES,
            "n1:h1 n2:h3 n3:h2 a:n1@h1 b:n2@h3",
            [move("n1", "h1", "h3")],
            "n1:h3 n2:h3 n3:h2 a:n1@h3 b:n2@h3",
            "arrives in b",
            id="node-takes-a-pod-into-a-full-zone",
        ),
        pytest.param(
            COMPANY,
            "a:h1 b:h2",
            [move("b", "h2", "h3"), move("a", "h1", "h3")],
            "a:h3 b:h3",
            "arrives",
            id="ahead",
        ),
        pytest.param(INSIDE, "n1:h1 a:n1@h1", [move("n1", "h1", "h2")], "n1:h2 a:n1@h2", "", id="node-with-its-pod"),
        pytest.param(
            INSIDE, "n1:h1 a:n1@h1", [move("n1", "h1", "h3")], "n1:h3 a:n1@h3", "volume", id="node-takes-a-pod-too-far"
        ),
        pytest.param(
            INSIDE, "n1:h1 a:n1@h1", [move("n1", "h1", "")], "a:n1@h1", "stops under", id="node-stops-under-its-pod"
        ),
    ],
)
def test_steps(model: Model, before: str, moves: list[Move], after: str, wrong: str) -> None:
    told = check_steps(model, at(before), moves, at(after))
    assert (any(wrong in sentence for sentence in told)) if wrong else told == []


def test_what_was_broken_before_may_stay_but_not_get_worse() -> None:
    model = lab([host("h1", cpu=3000), H[1]], [pod(name, cpu=2000) for name in "abc"])
    assert check_steps(model, at("a:h1 b:h1 c:h2"), [move("b", "h1", "h2")], at("a:h1 b:h2 c:h2")) == []
    assert check_steps(model, at("a:h1 b:h1 c:h2"), [move("c", "h2", "h1")], at("a:h1 b:h1 c:h1"))


@pytest.mark.parametrize(
    ("model", "before", "after", "rule"),
    [
        pytest.param(COMPANY, "a:h1 b:h2", "a:h3 b:h2", "near", id="without-company"),
        pytest.param(COMPANY, "a:h3 b:h2", "a:h3 b:h2", "", id="as-before"),
        pytest.param(COMPANY, "a:h1 b:h2", "a:h3 b:h3", "", id="followed"),
        pytest.param(SELF, "a:h1 b:h2", "a:h1 b:h3", "near", id="alone-though-it-could-begin"),
        pytest.param(EVEN, "a:h1 b:h3", "a:h1 b:h2", "spread", id="too-many-in-a-zone"),
    ],
)
def test_who_is_left_behind(model: Model, before: str, after: str, rule: str) -> None:
    assert {sentence.partition(":")[0] for sentence in left_behind(model, at(before), at(after))} == {rule} - {""}
