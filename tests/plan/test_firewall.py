"""The firewall of each Host holds what its own endpoints need, by family and zone, under names that stay."""

from __future__ import annotations

import msgspec
import pytest

from sdn.kernel.ruleset import rule_text
from sdn.model import Application, IPBlock, NetworkPolicy, Peer, Placed, Placement, Policy, Protocol, Selector
from sdn.plan.allocate import allocate
from sdn.plan.firewall import MOST_BLOCKS, FirewallPlanner, host_firewall
from sdn.plan.state import AddressSet, Firewall, FirewallRule
from sdn.policy.compiler import compile_policy
from shuffled import Shuffler
from worlds_build import (
    ECHO,
    EGRESS,
    INGRESS,
    act,
    block,
    labelled,
    model,
    netpol,
    pods,
    rule,
    segment,
    tcp,
    tier,
    workload,
)

ONE = Application("one", (segment("lan", "10.1.0.0/24", "fd00:1::/64"), segment("old", "10.2.0.0/24")))
TWO = Application("two", (segment("lan", "10.1.0.0/24", "fd00:1::/64"),))  # overlaps, and nobody connected them
WORKLOADS = [
    workload("one/a", 1, "one/lan", app="a", ip=("10.1.0.10", "fd00:1::10")),
    workload("one/b", 2, "one/lan", app="b", ip=("10.1.0.11", "fd00:1::11")),
    workload("one/c", 2, "one/old", app="c", ip=("10.2.0.10",)),
    workload("two/a", 1, "two/lan", app="a", ip=("10.1.0.10", "fd00:1::10")),
    workload("two/b", 3, "two/lan", app="b", ip=("10.1.0.11", "fd00:1::11")),
]
A, B, C = (Selector(labels=labelled(app=name)) for name in "abc")


def world(*objects: NetworkPolicy | Policy) -> Placed:
    lab = model("lab", [ONE, TWO], WORKLOADS, *objects)
    return allocate(lab, Placement({w.key: w.host for w in lab.workloads}))


def firewall(host: int, *objects: NetworkPolicy | Policy) -> Firewall:
    placed = world(*objects)
    return host_firewall(placed, compile_policy(placed), f"host-{host}")


def rules_of(found: Firewall) -> list[FirewallRule]:
    return [line for chain in found.chains for line in chain.rules]


def _of_block(line: FirewallRule) -> bool:
    return bool(line.block or line.blocks)


class TestContents:
    def test_without_policies_everybody_is_dispatched_to_the_default(self) -> None:
        found = firewall(1)
        assert (found.chains, found.sets) == ((), ())
        assert [(p.direction, p.tiers, p.default) for p in sorted(found.profiles, key=lambda p: p.direction)] == [
            (EGRESS, (), "egress default allow"),
            (INGRESS, (), "ingress default allow"),
        ]
        assert [(e.zone, e.address) for e in found.ingress] == [
            (zone, address) for zone in (1, 2) for address in ("10.1.0.10", "fd00:1::10")
        ]

    def test_a_host_without_endpoints_needs_nothing(self) -> None:
        placed = world(tier("application/p", act("deny", INGRESS, A)))
        assert FirewallPlanner(placed, compile_policy(placed)).host("host-9") == Firewall()

    def test_only_the_profiles_of_its_own_endpoints(self) -> None:
        policies = [tier(f"application/{n}", act("deny", INGRESS, tcp(n)), to=[s]) for n, s in enumerate((A, B, C), 1)]
        assert {r.ports for r in rules_of(firewall(1, *policies))} == {((1, 1),)}
        assert {r.ports for r in rules_of(firewall(2, *policies))} == {((2, 2),), ((3, 3),)}

    def test_every_name_is_defined_once(self) -> None:
        found = firewall(2, *POLICIES)
        sets, chains = {s.name for s in found.sets}, {c.name for c in found.chains}
        assert {r.set for r in rules_of(found) if r.set} == sets
        assert {name for p in found.profiles for name in p.tiers} == chains
        assert {e.profile for e in (*found.egress, *found.ingress)} == {p.name for p in found.profiles}
        assert len(sets) == len(found.sets)
        assert len(chains) == len(found.chains)

    def test_names_sort_everything(self) -> None:
        found = firewall(2, *POLICIES)
        for objects in (found.sets, found.chains, found.profiles):
            names = [item.name for item in objects]
            assert names == sorted(names)
        assert found.egress == tuple(sorted(found.egress))

    def test_equal_chains_are_shared(self) -> None:
        same = tier("application/p", act("deny", INGRESS, tcp(1)))
        found = firewall(2, same, tier("emergency/q", act("deny", INGRESS, tcp(2)), to=[B]))
        assert len([p for p in found.profiles if p.tiers and p.direction is INGRESS]) == 2
        assert len(found.chains) == 2

    def test_isolation_is_the_last_rule(self) -> None:
        (chain,) = firewall(2, netpol("one/p", labelled(app="b"), ingress=[rule(tcp(1))])).chains
        assert [(line.origin, line.action) for line in chain.rules] == [
            ("ingress NetworkPolicy one/p[0]", "allow"),
            ("ingress NetworkPolicy one/p isolates", "deny"),
        ]
        assert chain.rules[-1] == FirewallRule(chain.rules[-1].origin, chain.rules[-1].action)


class TestFamilies:
    @pytest.mark.parametrize(
        ("peers", "families"),
        [
            pytest.param((), [(0, "", "")], id="anybody-is-both-families-in-one"),
            pytest.param((A,), [(4, "set", ""), (6, "set", "")], id="a-group-is-one-rule-per-family"),
            pytest.param((C,), [(4, "set", "")], id="no-ipv6-member-no-ipv6-rule"),
            pytest.param((IPBlock("203.0.113.0/24"),), [(4, "", "203.0.113.0/24")], id="block-4"),
            pytest.param((IPBlock("2001:db8::/32"),), [(6, "", "2001:db8::/32")], id="block-6"),
            pytest.param((ECHO,), [(4, "", ""), (6, "", "")], id="echo-is-one-rule-per-family"),
            pytest.param((C, ECHO), [(4, "set", "")], id="echo-of-a-group-of-one-family"),
        ],
    )
    def test_rules(self, peers: tuple[object, ...], families: list[tuple[int, str, str]]) -> None:
        found = firewall(2, tier("application/p", act("deny", INGRESS, *peers)))  # type: ignore[arg-type]
        (chain,) = found.chains
        assert [(r.family, "set" if r.set else "", r.block) for r in chain.rules] == families
        assert all(r.set.endswith(str(r.family)) for r in chain.rules if r.set)

    def test_a_rule_keeps_its_excepts_and_ports(self) -> None:
        written = netpol("one/p", labelled(app="b"), ingress=[rule(block("10.0.0.0/8", "10.1.0.0/16"), tcp(80, 90))])
        first = rules_of(firewall(2, written))[0]
        assert (first.block, first.excepts) == ("10.0.0.0/8", ("10.1.0.0/16",))
        assert (first.protocol, first.ports) == (Protocol.TCP, ((80, 90),))

    def test_blocks_of_one_rule_are_looked_up_at_once(self) -> None:
        blocks = [block("203.0.113.0/25"), block("203.0.113.128/25"), block("198.51.100.0/24"), block("2001:db8::/32")]
        written = netpol("one/p", labelled(app="b"), ingress=[rule(*blocks, block("10.0.0.0/8", "10.1.0.0/16"))])
        found = [(r.family, r.block, r.excepts, r.blocks) for r in rules_of(firewall(2, written)) if _of_block(r)]
        assert found == [
            (4, "10.0.0.0/8", ("10.1.0.0/16",), ()),
            (4, "", (), ("198.51.100.0/24", "203.0.113.0/24")),
            (6, "2001:db8::/32", (), ()),
        ]

    def test_many_blocks_are_several_rules(self) -> None:
        blocks = [block(f"203.{n // 128}.{n % 128 * 2}.0/24") for n in range(MOST_BLOCKS + 1)]
        written = netpol("one/p", labelled(app="b"), ingress=[rule(*blocks)])
        assert [len(r.blocks) or 1 for r in rules_of(firewall(2, written)) if _of_block(r)] == [MOST_BLOCKS, 1]


class TestTurnedRound:
    """Everybody but somebody, and rules of one family."""

    @pytest.mark.parametrize(
        ("peers", "lines"),
        [
            pytest.param((A,), [(4, True, ()), (6, True, ())], id="a-group"),
            pytest.param((C,), [(4, True, ()), (6, False, ())], id="no-ipv6-member-no-condition-on-ipv6"),
            pytest.param((Selector(name="nobody"),), [(0, False, ())], id="nobody-is-no-condition"),
            pytest.param((IPBlock("10.0.0.0/8"),), [(4, False, ("10.0.0.0/8",)), (6, False, ())], id="block"),
            pytest.param(
                (C, IPBlock("fd00::/8", ("fd00::/9",))),
                [(4, True, ()), (6, False, ("fd80::/9",))],
                id="each-family-its-own",
            ),
            pytest.param((IPBlock("0.0.0.0/0"),), [(6, False, ())], id="all-of-ipv4-leaves-ipv6"),
            pytest.param((IPBlock("0.0.0.0/0"), IPBlock("::/0")), [], id="all-of-both-leaves-nothing"),
            pytest.param((C, ECHO), [(4, True, ()), (6, False, ())], id="echo"),
        ],
    )
    def test_rules(self, peers: tuple[object, ...], lines: list[tuple[int, bool, tuple[str, ...]]]) -> None:
        written = msgspec.structs.replace(act("deny", INGRESS, *peers), peers_excluded=True)  # type: ignore[arg-type]
        found = firewall(2, tier("application/p", written))
        assert [(r.family, bool(r.not_set), r.not_blocks) for r in rules_of(found)] == lines
        assert {r.not_set for r in rules_of(found)} - {""} == {s.name for s in found.sets}

    @pytest.mark.parametrize("family", [4, 6])
    def test_own_addresses_of_one_family(self, family: int) -> None:
        own = Peer(ip_block=IPBlock("10.1.0.0/24" if family == 4 else "fd00:1::/64"))
        rules = (
            msgspec.structs.replace(act("deny", INGRESS, *peers), own=(own,))
            for peers in ((), (A,), (ECHO,), (IPBlock("203.0.113.0/24"), IPBlock("2001:db8::/32")))
        )
        found = rules_of(firewall(1, tier("application/p", *rules)))
        assert [r.family for r in found] == [family] * 4

    def test_text(self) -> None:
        peers = (A, IPBlock("10.9.0.0/24"), IPBlock("10.8.0.0/24"), tcp(80))
        written = msgspec.structs.replace(act("deny", EGRESS, *peers), peers_excluded=True)
        first, second = rules_of(firewall(2, tier("application/p", written)))
        tail = """counter log group 7 prefix "egress application p[0]" drop"""
        assert rule_text(first).startswith(
            f"tcp dport 80 ct zone . ip daddr != @{first.not_set} ip daddr != {{ 10.8.0.0/24, 10.9.0.0/24 }} {tail}"
        )
        assert rule_text(second).startswith(f"tcp dport 80 ct zone . ip6 daddr != @{second.not_set} {tail}")

    def test_elsewhere_than_the_excluded(self) -> None:
        """C lives in a zone that host-3 has nothing of: nobody there is excluded."""
        written = msgspec.structs.replace(act("deny", INGRESS, C), peers_excluded=True)
        found = firewall(3, tier("application/p", written))
        assert [(r.family, r.not_set) for r in rules_of(found)] == [(0, "")]


class TestZones:
    def test_sets_hold_the_zones_of_the_host_alone(self) -> None:
        policy = tier("application/p", act("deny", INGRESS, A))
        sets = {host: {s.family: s.elements for s in firewall(host, policy).sets} for host in (1, 2, 3)}
        assert sets[1][4] == ((1, "10.1.0.10"), (2, "10.1.0.10"))
        assert sets[2][4] == ((1, "10.1.0.10"),)
        assert sets[3][6] == ((2, "fd00:1::10"),)

    def test_a_group_without_members_here_is_no_rule(self) -> None:
        found = firewall(3, tier("application/p", act("deny", INGRESS, C)))  # C lives in zone 1, host-3 is in zone 2
        assert (found.chains, found.sets) == ((), ())
        assert {p.tiers for p in found.profiles} == {()}

    def test_connected_applications_are_one_zone(self) -> None:
        joined = [
            msgspec.structs.replace(ONE, connects=("three",)),
            Application("three", (segment("x", "10.3.0.0/24"),)),
        ]
        lab = model(
            "lab",
            joined,
            [*WORKLOADS[:3], workload("three/x", 3, "three/x", app="a", ip=("10.3.0.9",))],
            tier("application/p", act("deny", INGRESS, A)),
        )
        placed = allocate(lab, Placement({w.key: w.host for w in lab.workloads}))
        sets = host_firewall(placed, compile_policy(placed), "host-3").sets
        assert [s.elements for s in sets if s.family == 4] == [((1, "10.1.0.10"), (1, "10.3.0.9"))]


class TestStability:
    def test_one_planner_for_all_hosts_is_as_good_as_one_each(self) -> None:
        placed = world(*POLICIES)
        compiled = compile_policy(placed)
        planner = FirewallPlanner(placed, compiled)
        for number in (3, 1, 2, 1):
            assert planner.host(f"host-{number}") == host_firewall(placed, compiled, f"host-{number}")

    def test_hosts_with_the_same_rules_have_the_same_chains(self) -> None:
        placed = world(tier("application/p", act("deny", INGRESS, B)))
        planner = FirewallPlanner(placed, compile_policy(placed))
        first, second = planner.host("host-1"), planner.host("host-3")
        assert first.chains == second.chains

    @pytest.mark.parametrize("seed", range(3))
    def test_order_of_input_never_shows(self, seed: int) -> None:
        placed = world(*POLICIES)
        other = Shuffler(seed).placed(placed)
        for number in (1, 2, 3):
            here, there = (host_firewall(p, compile_policy(p), f"host-{number}") for p in (placed, other))
            assert msgspec.msgpack.encode(here) == msgspec.msgpack.encode(there)

    def test_a_member_more_changes_one_set_and_no_chain(self) -> None:
        before = firewall(2, tier("application/p", act("deny", INGRESS, A, tcp(1))))
        lab = model(
            "lab",
            [ONE, TWO],
            [*WORKLOADS, workload("one/new", 3, "one/lan", app="a", ip=("10.1.0.99", "fd00:1::99"))],
            tier("application/p", act("deny", INGRESS, A, tcp(1))),
        )
        placed = allocate(lab, Placement({w.key: w.host for w in lab.workloads}))
        after = host_firewall(placed, compile_policy(placed), "host-2")
        assert msgspec.structs.replace(after, sets=before.sets) == before
        assert [set(s.elements) - set(t.elements) for s, t in zip(after.sets, before.sets, strict=True)] == [
            {(1, "10.1.0.99")},
            {(1, "fd00:1::99")},
        ]
        assert all(isinstance(s, AddressSet) for s in after.sets)


POLICIES = (
    netpol("one/p", labelled(app="b"), [INGRESS, EGRESS], [rule(pods(app="a"), tcp(1), ECHO)], [rule(pods(), tcp(2))]),
    tier("application/q", act("deny", EGRESS, A, C), act("allow", INGRESS, IPBlock("10.0.0.0/8"))),
    tier("emergency/r", act("pass", INGRESS, B, tcp(7))),
)
