"""A label that changes: the same firewalls as from scratch, and only the groups that the workload is in or leaves."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from sdn.model import Application, NetworkPolicy, Placed
from sdn.plan.firewall import FirewallPlanner
from sdn.plan.parts import Element
from sdn.plan.set_moves import set_moves
from sdn.plan.state import Firewall
from sdn.policy.compiled import CompiledPolicy
from sdn.policy.compiler import compile_policy
from sdn.policy.compiler_relabel import Moves, Relabeller
from strategies_world import world
from worlds_build import INGRESS, build, labelled, model, netpol, pods, rule, segment, spaces, tcp, workload

CLUSTER = Application("cluster", (segment("lan", "10.244.0.0/24"),))
WORKLOADS = [
    *(workload(f"shop/web-{n}", 1, "cluster/lan", app="web", hash=str(n)) for n in range(3)),
    *(workload(f"shop/api-{n}", 2, "cluster/lan", app="api") for n in range(3)),
    workload("shop/db", 2, "cluster/lan", app="db"),
]
POLICIES = (
    netpol("shop/db", labelled(app="db"), ingress=[rule(pods(app="web"), tcp(1))]),
    netpol("shop/web", labelled(app="web"), ingress=[rule(spaces(), tcp(2))]),
    netpol("shop/old", labelled(app="old"), ingress=[rule(pods(app="api"), tcp(3))]),
)


def lab(*policies: NetworkPolicy) -> Placed:
    return build(model("lab", [CLUSTER], WORKLOADS, *policies))


def relabelled(placed: Placed, key: str, labels: dict[str, str]) -> Placed:
    changed = tuple(replace(w, labels=labels) if w.key == key else w for w in placed.model.workloads)
    return replace(placed, model=replace(placed.model, workloads=changed))


def firewalls(placed: Placed, compiled: CompiledPolicy) -> bytes:
    """All that reaches a Host."""
    planner = FirewallPlanner(placed, compiled)
    return msgspec.msgpack.encode([planner.host(host.name) for host in placed.model.underlay.hosts])


def moved(key: str, **labels: str) -> tuple[Moves | None, Relabeller, Placed]:
    placed = lab(*POLICIES)
    found = Relabeller(placed)
    return found.relabel(key, labels), found, relabelled(placed, key, labels)


class TestMoves:
    def test_it_joins_and_leaves(self) -> None:
        moves, found, after = moved("shop/api-0", app="web")
        assert moves is not None
        (group,) = moves.joined
        assert found.compiled.groups[group] == ("shop/api-0", "shop/web-0", "shop/web-1", "shop/web-2")
        assert moves.left == ()
        assert moves.ingress == found.compiled.ingress["shop/web-0"]
        assert firewalls(after, found.compiled) == firewalls(after, compile_policy(after))

    def test_a_label_that_no_policy_names_moves_nothing(self) -> None:
        moves, _, _ = moved("shop/web-0", app="web", hash="9")
        assert moves is not None
        assert (moves.joined, moves.left) == ((), ())

    def test_a_class_that_nobody_was_in(self) -> None:
        moves, found, after = moved("shop/web-0", app="old")
        assert moves is not None
        assert len(moves.left) == 1
        assert [t.default.origin for t in found.compiled.profiles[moves.ingress].tiers if t.default] == [
            "ingress NetworkPolicy shop/old isolates"
        ]
        assert firewalls(after, found.compiled) == firewalls(after, compile_policy(after))

    def test_a_new_group_knows_who_moved_before(self) -> None:
        placed = lab(*POLICIES)
        found = Relabeller(placed)
        for key, app in (("shop/api-0", "web"), ("shop/api-1", "old")):
            assert found.relabel(key, {"app": app}) is not None
            placed = relabelled(placed, key, {"app": app})
        assert ("shop/api-2",) in found.compiled.groups.values()
        assert firewalls(placed, found.compiled) == firewalls(placed, compile_policy(placed))

    def test_the_last_member_takes_its_rules_along(self) -> None:
        found = Relabeller(lab(netpol("shop/web", labelled(app="web"), [INGRESS], [rule(pods(app="db"))])))
        assert found.relabel("shop/db", {"app": "web"}) is None

    def test_the_first_member_brings_rules(self) -> None:
        found = Relabeller(lab(netpol("shop/web", labelled(app="web"), [INGRESS], [rule(pods(app="new"))])))
        assert found.relabel("shop/db", {"app": "new"}) is None


@pytest.mark.parametrize("seed", range(40))
def test_random_worlds(seed: int) -> None:
    random, placed = Random(seed), world(seed)
    found = Relabeller(placed)
    for _ in range(6):
        key = random.choice(sorted(placed.endpoints))
        labels = {name: random.choice(["x", "y", "z", ""]) for name in "ab" if random.random() < 0.8}
        placed = relabelled(placed, key, labels)
        if found.relabel(key, labels) is None:
            found = Relabeller(placed)
        assert firewalls(placed, found.compiled) == firewalls(placed, compile_policy(placed))


@pytest.mark.parametrize("seed", range(40))
def test_elements_are_those_in_which_the_sets_of_a_host_differ(seed: int) -> None:
    """On Hosts whose rules stay; of the others, whole Hosts are compared."""
    placed = world(seed)
    key = sorted(placed.endpoints)[-1]
    after = relabelled(placed, key, {"a": "x"})
    found = Relabeller(placed)
    moves = found.relabel(key, {"a": "x"})
    if moves is None:
        return
    elements = set_moves(placed, moves)
    planners = FirewallPlanner(placed, compile_policy(placed)), FirewallPlanner(after, compile_policy(after))
    for host in placed.model.underlay.hosts:
        old, new = (planner.host(host.name) for planner in planners)
        zones = {entry.zone for entry in new.ingress}
        if old.chains == new.chains:
            wanted = of_sets(new) - of_sets(old), of_sets(old) - of_sets(new)
            names = {one.name for one in new.sets}
            sides = (
                {e for e in side if e.set in names and e.zone in zones} for side in (elements.add, elements.remove)
            )
            assert tuple(sides) == wanted


def of_sets(firewall: Firewall) -> set[Element]:
    """All elements of a Host."""
    return {Element(s.name, s.family, zone, address) for s in firewall.sets for zone, address in s.elements}


def test_most_changes_need_no_compiler() -> None:
    done = []
    for seed in range(30):
        placed = world(seed)
        key = sorted(placed.endpoints)[0]
        done.append(Relabeller(placed).relabel(key, {"a": "x", "b": "y"}))
    assert sum(moves is not None for moves in done) > len(done) / 3
    assert any(moves is not None and (moves.joined or moves.left) for moves in done)
