"""What neither the old nor the new policy allows does not pass, whatever a packet meets while Hosts get their rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import permutations
from random import Random

import pytest
from msgspec import Struct
from msgspec.structs import replace

from sdn.kernel.apply_rules import RuleChanges, changes_of
from sdn.kernel.rounds import Rounds, Whereabouts, rounds
from sdn.model import (
    Action,
    Application,
    Direction,
    LabelSelector,
    Model,
    NetworkPolicy,
    Policy,
    Rule,
    Selector,
)
from sdn.plan.desired import Prepared, prepare
from sdn.plan.state import Dispatch, Firewall, FirewallRule, NodeState, Plan
from worlds_build import BOTH, EGRESS, INGRESS, act, labelled, model, netpol, pods, rule, segment, tier, workload

APPLICATION = Application("a", (segment("lan", "10.1.1.0/24", "fd00:1::/64"),))
ROLES = ("red", "blue", "green")
HOSTS = {"a/x": 1, "a/y": 2, "a/z": 2, "a/w": 3}


def lab(policies: tuple[Policy | NetworkPolicy, ...], **roles: str) -> Model:
    """The role of each workload by its name."""
    found = [workload(f"a/{name}", HOSTS[f"a/{name}"], "a/lan", role=role) for name, role in roles.items()]
    return model("rounds", [APPLICATION], found, *policies)


def role(name: str) -> Selector:
    return Selector(labels=LabelSelector((("role", name),)))


class Change(Struct, frozen=True):
    """From one lab to another."""

    before: Plan
    after: Plan
    changes: dict[str, RuleChanges]
    rounds: Rounds
    addresses: dict[str, tuple[str, ...]]


def change(old: Model, new: Model) -> Change:
    first = prepare(old)
    return changed(first, prepare(new, first.placed))


def changed(first: Prepared, second: Prepared) -> Change:
    names = [name for name in first.plan if first.plan[name].role == "host"]
    before, after = ({name: one.plan[name] for name in names} for one in (first, second))
    found = {name: one for name, one in changes_of({n: (before[n], after[n]) for n in names}).items() if len(one)}
    addresses = {key: one.addresses for key, one in second.placed.endpoints.items()}
    return Change(before, after, found, rounds(found, before, after), addresses)


ELEMENTS = re.compile(r"(add|delete) element inet sdn (egress|ingress)[46] \{ (.*) \}")


def told(changes: Mapping[str, RuleChanges], verb: str) -> dict[str, set[tuple[str, int, str]]]:
    """Host → whom a round leads nowhere, or somewhere, as (direction, zone, address); nothing else is in it."""
    found = {}
    for name, one in changes.items():
        matches = [ELEMENTS.fullmatch(line) for line in one.commands]
        assert all(match is not None and match[1] == verb for match in matches), one.commands
        listed = [(match[2], value.partition(" : ")[0]) for match in matches if match for value in match[3].split(", ")]
        keys = [(side, *value.split(" . ")) for side, value in listed]
        found[name] = {(side, int(zone), address) for side, zone, address in keys}
        assert len(keys) == len(found[name]), "the kernel refuses to delete twice"
    return found


def without(state: NodeState, away: set[tuple[str, int, str]]) -> NodeState:
    firewall = state.firewall or Firewall()

    def left(side: str, entries: tuple[Dispatch, ...]) -> tuple[Dispatch, ...]:
        return tuple(one for one in entries if (side, one.zone, one.address) not in away)

    egress, ingress = left("egress", firewall.egress), left("ingress", firewall.ingress)
    return replace(state, firewall=replace(firewall, egress=egress, ingress=ingress))


def stages(one: Change, order: Rounds) -> list[tuple[Plan, Plan]]:
    """What Hosts are when each round begins, and when it is over."""
    shut, opened = told(order.shut, "delete"), told(order.open, "add")
    first = {name: without(state, shut.get(name, set())) for name, state in one.before.items()}
    second = {name: without(state, opened.get(name, set())) for name, state in one.after.items()}
    return [(one.before, first), (first, second), (second, one.after)]


def walks(direction: Direction, old: NodeState, new: NodeState, own: str, peer: str) -> Iterator[bool]:
    """Whether a packet is allowed that meets the old rules, and in sets and maps what was so often and then what is."""
    yield passes(direction, new, new, own, peer, 0)
    length = sum(len(chain.rules) for chain in (old.firewall or Firewall()).chains)
    for looked_up in range(length + 2):
        yield passes(direction, old, new, own, peer, looked_up)


def passes(direction: Direction, old: NodeState, new: NodeState, own: str, peer: str, looked_up: int) -> bool:
    """Read from the state as nft's words say it, rule by rule: `plan.walk` knows no moment between two states."""
    was, now = old.firewall or Firewall(), new.firewall or Firewall()
    met = was if looked_up else now
    led = met.egress if direction is EGRESS else met.ingress
    name = next((one.profile for one in led if one.address == own), None)
    profile = next((one for one in was.profiles if one.name == name), None)
    if profile is None:
        return False
    chains = {chain.name: chain.rules for chain in was.chains}
    members = [{each.name: {a for _, a in each.elements} for each in one.sets} for one in (was, now)]
    members[1] = {**members[0], **members[1]}  # a set that is removed is in its old rules what it was
    seen = 1
    for one in profile.tiers:
        for each in chains[one]:
            seen += 1
            if not matches(each, members[seen > looked_up], peer):
                continue
            if each.action is Action.PASS:
                break
            return each.action is Action.ALLOW
    return True


def matches(each: FirewallRule, members: Mapping[str, set[str]], peer: str) -> bool:
    assert not (each.block or each.blocks or each.not_blocks or each.protocol), "the labs below have none"
    if each.family and each.family != (6 if ":" in peer else 4):
        return False
    if each.set and peer not in members[each.set]:
        return False
    return not (each.not_set and peer in members[each.not_set])


def leaks(one: Change, order: Rounds) -> list[tuple[str, str, int]]:
    """Who reaches whom in which round although neither policy lets him."""
    found = []
    for (x, own), (y, others) in permutations(one.addresses.items(), 2):
        here, there = f"host-{HOSTS[x]}", f"host-{HOSTS[y]}"
        for source, target in zip(own, others, strict=True):
            if any(
                passes(EGRESS, plan[here], plan[here], source, target, 0)
                and passes(INGRESS, plan[there], plan[there], target, source, 0)
                for plan in (one.before, one.after)
            ):
                continue
            for number, (old, new) in enumerate(stages(one, order)):
                if any(walks(EGRESS, old[here], new[here], source, target)) and any(
                    walks(INGRESS, old[there], new[there], target, source)
                ):
                    found.append((source, target, number))
    return found


def in_one(one: Change) -> Rounds:
    return Rounds({}, one.changes, {})


def random_policies(chance: Random) -> tuple[Policy | NetworkPolicy, ...]:
    def written() -> Rule:
        action = chance.choice(("allow", "deny", "deny", "reject", "pass"))
        side = chance.choice((INGRESS, EGRESS))
        some = [role(name) for name in chance.sample(ROLES, chance.choice((0, 1, 1, 1, 2)))]
        return act(action, side, *some, excluded=("peers",) if some and chance.random() < 0.2 else ())

    policies: list[Policy | NetworkPolicy] = []
    for number in range(chance.randint(1, 3)):
        where = chance.choice(("environment", "application"))
        to = [] if chance.random() < 0.5 else [role(chance.choice(ROLES))]
        rules = [written() for _ in range(chance.randint(1, 3))]
        policies.append(tier(f"{where}/p{number}", *rules, priority=number, to=to))
    if chance.random() < 0.4:
        peers = [rule(pods(role=chance.choice(ROLES))) for _ in range(2)]
        policies.append(netpol("a/n", labelled(), BOTH, ingress=peers[:1], egress=peers[1:]))
    return tuple(policies)


@pytest.mark.parametrize("relabelled", [1, 2, 4])
def test_nothing_forbidden_passes_in_any_round(relabelled: int) -> None:
    """Of random policies, roles and changes. In one round some of these would be opened, so it is no idle question."""
    opened = spared = 0
    for seed in range(150):
        chance = Random(seed)
        policies = random_policies(chance)
        roles = {key[2:]: chance.choice((*ROLES, "none")) for key in HOSTS}
        others = {**roles, **{name: chance.choice(ROLES) for name in chance.sample(sorted(roles), relabelled)}}
        changing = random_policies(chance) if chance.random() < 0.2 else policies
        one = change(lab(policies, **roles), lab(changing, **others))
        assert leaks(one, one.rounds) == [], seed
        opened += bool(leaks(one, in_one(one)))
        spared += bool(one.changes) and not one.rounds.shut
    assert opened > 2
    assert spared > 2


TO_BLUE_THEN_RED = (tier("application/t", act("deny", INGRESS, role("blue")), act("deny", INGRESS, role("red"))),)
ONLY_ALLOWED = (netpol("a/n", labelled(), ingress=[rule(pods(role="red")), rule(pods(role="blue"))]),)
OUT_AND_IN = (
    tier("application/o", act("deny", EGRESS, role("red"))),
    tier("application/i", act("deny", INGRESS, role("blue"))),
)
NOT_BLUE = (
    tier("environment/e", act("pass", INGRESS, role("blue"), excluded=("peers",)), act("deny", INGRESS)),
    tier("application/q", act("deny", INGRESS, role("blue"), excluded=("peers",))),
)
"""First the second denies whoever is not blue, then the first whoever is."""
CASES: dict[str, tuple[tuple[Policy | NetworkPolicy, ...], dict[str, str], dict[str, str], list[str]]] = {
    "from-one-denied-group-to-another": (TO_BLUE_THEN_RED, {"x": "red"}, {"x": "blue"}, ["a/x"]),
    "and-its-host-has-no-other-change": (TO_BLUE_THEN_RED, {"w": "red"}, {"w": "blue"}, ["a/w"]),
    "into-a-denied-group": (TO_BLUE_THEN_RED, {"x": "none"}, {"x": "blue"}, ["a/x"]),
    "into-an-allowed-group": (ONLY_ALLOWED, {"x": "none"}, {"x": "blue"}, []),
    "out-of-an-allowed-group": (ONLY_ALLOWED, {"x": "blue"}, {"x": "none"}, []),
    "two-into-allowed-groups": (ONLY_ALLOWED, {"x": "none", "y": "none"}, {"x": "blue", "y": "red"}, []),
    "one-in-and-one-out": (ONLY_ALLOWED, {"x": "none", "y": "red"}, {"x": "blue", "y": "none"}, ["a/x", "a/y"]),
    "from-one-allowed-group-to-another": (ONLY_ALLOWED, {"x": "red"}, {"x": "blue"}, ["a/x"]),
    "two-on-both-sides": (OUT_AND_IN, {"x": "none", "y": "red"}, {"x": "blue", "y": "none"}, ["a/x", "a/y"]),
    "into-a-group-that-is-left-out": (NOT_BLUE, {"x": "none"}, {"x": "blue"}, ["a/x"]),
    "no-group-of-any-rule": (TO_BLUE_THEN_RED, {"x": "none"}, {"x": "green"}, []),
}
OTHERS = {"x": "red", "y": "blue", "z": "red", "w": "blue"}
"""So every group has a member on every Host's mind."""


@pytest.mark.parametrize("name", CASES)
def test_who_is_led_nowhere(name: str) -> None:
    """On the Host where they run, in both directions and families; no other Host is told anything more."""
    policies, before, after, away = CASES[name]
    one = change(lab(policies, **{**OTHERS, **before}), lab(policies, **{**OTHERS, **after}))
    shut, opened = told(one.rounds.shut, "delete"), told(one.rounds.open, "add")
    wanted: dict[str, set[tuple[str, str]]] = {}
    for key in away:
        each = {(side, address) for side in ("egress", "ingress") for address in one.addresses[key]}
        wanted.setdefault(f"host-{HOSTS[key]}", set()).update(each)
    assert {host: {(side, address) for side, _, address in some} for host, some in shut.items()} == wanted
    assert opened == shut
    assert leaks(one, one.rounds) == []
    assert one.rounds.change.keys() >= one.changes.keys()


def test_who_comes_or_leaves_is_led_by_one_round() -> None:
    """He has no port while rules change; nor has anybody joined whom a Host meets with his zone."""
    roles = {"x": "red", "y": "blue", "z": "red"}
    one = change(lab(TO_BLUE_THEN_RED, **roles), lab(TO_BLUE_THEN_RED, **roles, w="red"))
    assert (one.rounds.shut, one.rounds.open) == ({}, {})
    back = change(lab(TO_BLUE_THEN_RED, **roles, w="red"), lab(TO_BLUE_THEN_RED, **roles))
    assert (back.rounds.shut, back.rounds.open) == ({}, {})
    other = Application("b", (segment("lan", "10.3.1.0/24"),))
    here, there = (workload(f"b/{name}", 3, "b/lan", role="red") for name in ("here", "there"))
    known = lab(TO_BLUE_THEN_RED, **roles)
    known = replace(known, applications=(APPLICATION, other), workloads=(*known.workloads, here))
    moved = replace(known, workloads=(*known.workloads, replace(there, host="host-1")))
    more = change(known, moved)
    assert any(each.commands for each in more.changes.values())
    assert (more.rounds.shut, more.rounds.open) == ({}, {})


def test_the_first_member_of_a_group_on_a_host_brings_a_rule() -> None:
    """There it was left out, for it matched nobody; so the set comes with him, and he is one who joins it."""

    def with_another(role_of_x: str) -> Model:
        known = lab(TO_BLUE_THEN_RED, x=role_of_x, y="none", z="red")
        other = Application("b", (segment("lan", "10.3.1.0/24"),))
        blue = workload("b/o", 3, "b/lan", role="blue")
        return replace(known, applications=(APPLICATION, other), workloads=(*known.workloads, blue))

    one = change(with_another("none"), with_another("blue"))
    assert all(not each.turned and each.joined for each in one.changes.values())
    assert told(one.rounds.shut, "delete").keys() == {"host-1"}


def test_nobody_waiting_is_led_by_a_host_that_is_closed_while_it_changes() -> None:
    """Where even the switch is too long for one transaction, all that shall lead is added at its end."""
    one = change(
        lab(
            OUT_AND_IN,
            **OTHERS,
        ),
        lab(OUT_AND_IN, **{**OTHERS, "x": "blue", "y": "red"}),
    )
    for name in one.before:
        state = one.rounds.after_change(one.before[name], one.after[name])
        away = told(one.rounds.open, "add").get(name, set())
        assert state == without(one.after[name], away)
    single = change(lab(ONLY_ALLOWED, **{**OTHERS, "x": "none"}), lab(ONLY_ALLOWED, **OTHERS))
    for name in single.before:
        assert single.rounds.after_change(single.before[name], single.after[name]) is single.after[name]


def led(*addresses: str) -> NodeState:
    return NodeState("", "host", (), firewall=Firewall(egress=tuple(Dispatch(1, one, "p_a") for one in addresses)))


def test_whereabouts_follow_who_moves_comes_and_leaves() -> None:
    known = Whereabouts()
    first = {"host-1": led("10.0.0.1", "10.0.0.2"), "host-2": led("10.0.0.3")}
    owners = [(1, f"10.0.0.{number}") for number in range(1, 5)]
    assert known.hosts(owners, first) == {"host-1", "host-2"}
    moved = {"host-1": led("10.0.0.2"), "host-2": led("10.0.0.3", "10.0.0.1")}
    assert known.hosts(owners[:1], moved) == {"host-2"}
    back = {"host-2": led("10.0.0.3"), "host-1": led("10.0.0.2", "10.0.0.1")}
    assert known.hosts(owners[:1], back) == {"host-1"} and known.hosts(owners, {"host-2": back["host-2"]}) == {"host-2"}
    assert known.hosts(owners, {}) == set() and known.hosts([(2, "10.0.0.1")], first) == set()
