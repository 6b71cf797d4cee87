"""A policy that is compiled once and then followed: the same as from scratch, and of an event only what it moves."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from sdn.model import Application, Endpoint, NetworkPolicy, Placed, Workload
from sdn.policy.compiler import compile_policy
from sdn.policy.live import LivePolicy, Moves
from sdn.policy.live_written import Written
from strategies_tiers import Writer
from strategies_words import Dice
from strategies_world import network_policy, world
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


class Followed:
    """One lab, and its policy that follows; `check` raises AssertionError where compiling anew gives another."""

    def __init__(self, placed: Placed) -> None:
        self.placed = placed
        self.live = LivePolicy(placed)

    def relabel(self, key: str, labels: dict[str, str]) -> Moves:
        """A workload has these labels now."""
        before = self.placed.model
        changed = tuple(replace(w, labels=labels) if w.key == key else w for w in before.workloads)
        self.placed = replace(self.placed, model=replace(before, workloads=changed))
        one = next(w for w in changed if w.key == key)
        return self.live.move(key, one, self.placed.endpoints[key])

    def write(self, gone: list[Written], come: list[Written]) -> Moves:
        """These policies go, and these come."""
        before = self.placed.model
        networks = [p for p in before.network_policies if p not in gone]
        networks += [p for p in come if isinstance(p, NetworkPolicy)]
        tiers = [p for p in before.policies if p not in gone] + [p for p in come if not isinstance(p, NetworkPolicy)]
        after = replace(before, network_policies=tuple(networks), policies=tuple(tiers))
        self.placed = replace(self.placed, model=after)
        return self.live.follow(after, gone, come, self.everybody)

    def everybody(self) -> list[tuple[Workload, Endpoint]]:
        """Who has an endpoint."""
        endpoints = self.placed.endpoints
        return [(w, endpoints[w.key]) for w in self.placed.model.workloads if w.key in endpoints]

    def check(self) -> None:
        compiled = compile_policy(self.placed)
        for key in self.placed.endpoints:
            assert self.live.pair(key) == (compiled.egress[key], compiled.ingress[key])
        assert self.live.profiles == compiled.profiles
        for name, members in compiled.groups.items():
            assert tuple(sorted(self.live.members(name))) == members


def lab(*policies: NetworkPolicy) -> Followed:
    return Followed(build(model("lab", [CLUSTER], WORKLOADS, *policies)))


class TestLabels:
    def test_it_joins_and_leaves(self) -> None:
        followed = lab(*POLICIES)
        moves = followed.relabel("shop/api-0", {"app": "web"})
        (group,) = moves.joined
        assert sorted(followed.live.members(group)) == ["shop/api-0", "shop/web-0", "shop/web-1", "shop/web-2"]
        assert moves.left == ()
        assert moves.after == followed.live.pair("shop/web-0")
        followed.check()

    def test_a_label_that_no_policy_names_moves_nothing(self) -> None:
        followed = lab(*POLICIES)
        pair = followed.live.pair("shop/web-0")
        assert followed.relabel("shop/web-0", {"app": "web", "hash": "9"}) == Moves(before=pair, after=pair)

    def test_a_class_that_nobody_was_in(self) -> None:
        followed = lab(*POLICIES)
        moves = followed.relabel("shop/web-0", {"app": "old"})
        assert len(moves.left) == 1
        assert [t.default.origin for t in followed.live.profiles[moves.after[1]].tiers if t.default] == [
            "ingress NetworkPolicy shop/old isolates"
        ]
        followed.check()

    def test_a_new_group_knows_who_moved_before(self) -> None:
        followed = lab(*POLICIES)
        for key, app in (("shop/api-0", "web"), ("shop/api-1", "old")):
            followed.relabel(key, {"app": app})
        assert ["shop/api-2"] in [sorted(followed.live.members(name)) for name in followed.live.groups]
        followed.check()

    def test_the_last_member_takes_its_rules_along_and_the_first_brings_them(self) -> None:
        followed = lab(netpol("shop/web", labelled(app="web"), [INGRESS], [rule(pods(app="db"))]))
        before = followed.live.pair("shop/web-0")
        ((others, was),) = followed.relabel("shop/db", {"app": "api"}).profiles
        assert (others.members, was) == ({"shop/web-0", "shop/web-1", "shop/web-2"}, before)
        followed.check()
        followed.relabel("shop/db", {"app": "db"})
        assert followed.live.pair("shop/web-0") == before


class TestPolicies:
    NEW = netpol("shop/new", labelled(app="api"), ingress=[rule(pods(hash="1"), tcp(9))])

    def test_it_changes_whom_it_selects_and_nobody_else(self) -> None:
        followed = lab(*POLICIES)
        ((found, _),) = followed.write([], [self.NEW]).profiles
        assert found.members == {"shop/api-0", "shop/api-1", "shop/api-2"}
        followed.check()
        assert sorted(key for one, _ in followed.write([self.NEW], []).profiles for key in one.members) == [
            "shop/api-0",
            "shop/api-1",
            "shop/api-2",
        ]
        followed.check()

    def test_a_label_that_nobody_read_tells_apart_who_was_alike(self) -> None:
        followed = lab(*POLICIES)
        followed.write([], [self.NEW])
        assert ["shop/web-1"] in [sorted(followed.live.members(name)) for name in followed.live.groups]
        assert followed.relabel("shop/web-1", {"app": "web", "hash": "7"}).left != ()
        followed.check()

    def test_one_that_selects_nobody_changes_nothing_until_somebody_comes(self) -> None:
        followed = lab(*POLICIES)
        assert followed.write([], [netpol("shop/none", labelled(app="none"))]) == Moves()
        followed.relabel("shop/web-0", {"app": "none"})
        followed.check()

    def test_groups_that_no_rule_names_any_more_are_forgotten(self) -> None:
        followed = lab(*POLICIES)
        before = followed.live.groups
        for number in range(50):
            passing = netpol("shop/new", labelled(app="api"), ingress=[rule(pods(app=f"web-{number}"), tcp(9))])
            followed.write([], [passing])
            followed.write([passing], [])
        followed.write([], [])
        assert followed.live.groups == before


@pytest.mark.parametrize("seed", range(30))
def test_random_worlds(seed: int) -> None:
    random, dice = Random(seed), Dice(seed)
    followed = Followed(world(seed))
    addresses = sorted({a for endpoint in followed.placed.endpoints.values() for a in endpoint.addresses})
    for number in range(8):
        before = followed.placed.model
        if number % 2:
            labels = {name: random.choice(["x", "y", "z", ""]) for name in "ab" if random.random() < 0.8}
            followed.relabel(random.choice(sorted(followed.placed.endpoints)), labels)
        elif random.random() < 0.5:
            one = network_policy(dice, addresses)
            gone = [p for p in before.network_policies if (p.namespace, p.name) == (one.namespace, one.name)]
            followed.write([*gone], [one] if random.random() < 0.7 else [])
        else:
            policy = Writer(dice, before, addresses).policy(f"t{random.randrange(6)}")
            followed.write([p for p in before.policies if p.name == policy.name], [policy])
        followed.check()
