"""How far the scheduler is from the best that can be had: small tight labs against an exact solver, within 3 %."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import count, islice
from random import Random

import pytest
from checker import check, check_steps

pytest.importorskip("z3")
from exact import has_end, has_plan, most_placed, must_move, shortest_plan
from msgspec.structs import replace
from scheduler_words import apart, app, at, host, lab, pod, vm

from sdn.errors import UnschedulableError
from sdn.model import HostState, Model, Placement, PlacementRule, Scheduling, Selector, Together, Workload
from sdn.scheduler import Proposal, drain, place, repair, with_hosts

LABS = 60
WITHIN = 0.03
SIZES = (2000, 2000, 3000)


def tight(seed: int) -> Model:
    """Four Hosts in two racks, and VMs that nearly fill them; some apart, some together, some bound to a label."""
    dice = Random(seed)
    hosts = [
        host(f"h{n}", cpu=8000, memory=16384, pods=6, labels={"rack": "ab"[n % 2], "disk": "ssd" if n < 3 else "hdd"})
        for n in range(4)
    ]
    free = 4 * 16384 * dice.uniform(0.5, 0.95)
    workloads: list[Workload] = []
    while free > 0 and len(workloads) < 16:
        group = list(replicas(dice, f"app-{len(workloads)}"))
        free -= sum(w.memory for w in group)
        workloads += group
    names = sorted({w.labels["app"] for w in workloads})
    kind = dice.choice((Together.TOGETHER, Together.APART))
    rule = PlacementRule("rule", kind, Selector(labels=app(dice.choice(names))))
    return lab(hosts, workloads, rules=(rule,))


def replicas(dice: Random, name: str) -> Iterator[Workload]:
    """One to four VMs of one size."""
    count = dice.randint(1, 4)
    memory, cpu = dice.choice((2048, 3000, 5000, 7000)), dice.choice((500, 1500, 3000))
    affinity = dice.choice((None, None, apart(name), apart(name, topology="rack") if count <= 2 else None))
    selector = {"disk": "ssd"} if dice.random() < 0.2 else {}
    for number in range(count):
        made = vm(f"{name}-{number}", name, cpu=cpu, memory=memory, selector=selector, owner=("group", name))
        yield replace(made, scheduling=Scheduling(affinity=affinity))


def placed(model: Model) -> int:
    """How many find a place; those that do keep every rule."""
    try:
        placement = place(model)
    except UnschedulableError as error:
        return len(model.workloads) - len(error.reasons)
    assert check(model, placement) == []
    return len(model.workloads)


@pytest.mark.parametrize(
    ("model", "most"),
    [
        pytest.param(lab([host("h1")], [vm(n, cpu=2000) for n in "abc"]), 2, id="capacity"),
        pytest.param(lab([host("h1"), host("h2")], [vm(n, "x", affinity=apart("x")) for n in "abc"]), 2, id="apart"),
        pytest.param(lab([host("h1")], [vm("a", selector={"no": "where"}), vm("b")]), 1, id="label"),
    ],
)
def test_exact_solver_on_what_anybody_can_count(model: Model, most: int) -> None:
    assert most_placed(model) == most


@cache
def fitting() -> list[Model]:
    """Labs of which the solver says that everything has a place."""
    found = (model for seed in count() if most_placed(model := tight(seed)) == len(model.workloads))
    return list(islice(found, LABS))


def test_what_can_all_be_placed_is_placed(record_property: Callable[[str, object], None]) -> None:
    gaps = [1 - placed(model) / len(model.workloads) for model in fitting()]
    said = f"average {sum(gaps) / len(gaps):.2%}, worst {max(gaps):.2%}"
    record_property("gap", said)
    assert sum(gaps) / len(gaps) <= WITHIN, said


def test_a_host_is_emptied_with_few_moves(record_property: Callable[[str, object], None]) -> None:
    """Against the shortest plan there is, detours included."""
    plans = Plans()
    for model in fitting():
        before = place(model)
        for name in [one.name for one in model.underlay.hosts]:
            changed = with_hosts(model, {name}, HostState.MAINTENANCE)
            plans.compare(changed, before, drain(model, before, name))
    record_property("moves", str(plans))
    plans.judge()


def test_what_breaks_rules_is_mended_with_few_moves(record_property: Callable[[str, object], None]) -> None:
    """One app asks for a quarter more, or is to be apart from now on."""
    plans = Plans(kept=False)
    for model in fitting():
        before = place(model)
        for name in sorted({w.labels["app"] for w in model.workloads}):
            for changed in (grown(model, name), parted(model, name)):
                plans.compare(changed, before, repair(changed, before))
    record_property("moves", str(plans))
    plans.judge()


def grown(model: Model, name: str) -> Model:
    """An app asks for more."""
    more = (
        replace(w, cpu=w.cpu * 5 // 4, memory=w.memory * 5 // 4) if w.labels["app"] == name else w
        for w in model.workloads
    )
    return replace(model, workloads=tuple(more))


def parted(model: Model, name: str) -> Model:
    """With a rule more."""
    rule = PlacementRule("later", Together.APART, Selector(labels=app(name)))
    return replace(model, constraints=replace(model.constraints, rules=(*model.constraints.rules, rule)))


class Plans:
    """Plans beside the shortest that z3 finds; what was refused counts only where there is one after all."""

    def __init__(self, kept: bool = True) -> None:
        self._kept = kept
        self.gaps: list[float] = []
        self.refused = 0

    def compare(self, changed: Model, before: Placement, proposal: Proposal) -> None:
        if proposal.refused and has_end(changed):
            self.refused += shortest_plan(changed, before, must_move(changed, before) + 1, self._kept) >= 0
        elif proposal.moves:
            assert check_steps(changed, before, proposal.moves, proposal.placement) == []
            made = len(proposal.moves)
            best = shortest_plan(changed, before, made - 1, self._kept)
            self.gaps.append(0 if best < 0 else made / best - 1)

    def judge(self) -> None:
        print(self)
        assert len(self.gaps) > LABS // 2, "too little was compared"
        assert sum(self.gaps) / len(self.gaps) <= WITHIN and not self.refused, str(self)

    def __str__(self) -> str:
        average = sum(self.gaps) / len(self.gaps)
        return (
            f"{len(self.gaps)} plans, average {average:.2%}, worst {max(self.gaps):.0%}, {self.refused} refused in vain"
        )


def test_steps_of_what_anybody_can_count() -> None:
    model = lab([host(name) for name in ("h1", "h2", "h3")], [pod(n, cpu=c) for n, c in zip("abc", SIZES, strict=True)])
    emptied = with_hosts(model, {"h3"}, HostState.MAINTENANCE)
    before = at("a:h1 b:h2 c:h3")
    assert [has_plan(emptied, before, steps) for steps in range(3)] == [False, False, True]
    assert (must_move(emptied, before), shortest_plan(emptied, before, 4)) == (1, 2)
    assert shortest_plan(emptied, before, 1) == -1


def test_steps_of_what_is_broken_at_first() -> None:
    model = lab([host(name) for name in ("h1", "h2", "h3")], [pod(n, cpu=2000) for n in "abcd"])
    assert shortest_plan(model, at("a:h1 b:h1 c:h1 d:h1"), 4, kept=False) == 2
    assert shortest_plan(model, at("a:h1 b:h1 c:h2 d:h1"), 4, kept=False) == 1
