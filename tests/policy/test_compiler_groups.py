"""Groups, exclusions, own sides and turned peers: what the compiler makes of them, for both families."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from policy_walk import Packet, by_firewall, by_policy, firewalls
from sdn.model import (
    Action,
    AllOf,
    AnyOf,
    Application,
    Direction,
    Expression,
    Group,
    InGroup,
    IPBlock,
    Kind,
    Peer,
    Placed,
    Policy,
    PortRange,
    Protocol,
    Rule,
    Selector,
    Where,
)
from sdn.policy.compiled import CompiledPolicy, CompiledRule
from sdn.policy.compiler import compile_policy
from sdn.policy.compiler_classes import universe_of
from worlds_build import EGRESS, INGRESS, act, build, labelled, model, netpol, rule, segment, tcp, tier, workload

CLUSTER = Application("c", (segment("lan", "10.1.0.0/24", "fd00:1::/64"), segment("old", "10.2.0.0/24")))
WORKLOADS = [
    workload("n/web", 1, "c/lan", "http:80", app="web", ip=("10.1.0.10", "fd00:1::10")),
    workload("n/api", 2, "c/lan", "http:81", app="api", ip=("10.1.0.11", "fd00:1::11")),
    workload("n/db", 2, "c/lan", app="db", ip=("10.1.0.12", "fd00:1::12")),
    workload("m/vm", 1, "c/old", kind=Kind.VM, app="web", ip=("10.2.0.10",)),
]
WEB, API, DB = (Selector(labels=labelled(app=name)) for name in ("web", "api", "db"))
GROUPS = (
    Group("webs", Where(WEB)),
    Group("apis", Where(API), (IPBlock("10.1.0.12/32"),)),
    Group("front", within=("webs", "apis")),
    Group("far", blocks=(IPBlock("203.0.113.0/24", ("203.0.113.0/25",)), IPBlock("fd00:1::12/128"))),
    Group("all-far", within=("far", "nobody-wrote-it")),
    Group("old", Where(Selector(segments=("old",)))),
)
ALL_KEYS = ("m/vm", "n/api", "n/db", "n/web")


def lab(*policies: Policy, groups: tuple[Group, ...] = GROUPS, exclusions: tuple[Selector, ...] = ()) -> Placed:
    return build(replace(model("lab", [CLUSTER], WORKLOADS, *policies), groups=groups, exclusions=exclusions))


def deny(direction: Direction, *peers: Peer, ports: tuple[PortRange, ...] = (), **fields: object) -> Rule:
    return Rule(Action.DENY, direction, peers, ports, **fields)  # type: ignore[arg-type]


def group(name: str) -> Peer:
    return Peer(group=name)


def lines(found: CompiledPolicy, key: str, direction: Direction = INGRESS) -> list[CompiledRule]:
    chosen = found.ingress if direction is INGRESS else found.egress
    return [line for tier_rules in found.profiles[chosen[key]].tiers for line in tier_rules.rules]


def members(*peers: Peer) -> tuple[tuple[str, ...], ...]:
    """The groups in the lines of a rule with these peers."""
    found = compile_policy(lab(tier("application/p", deny(INGRESS, *peers))))
    return tuple(found.groups[line.group] for line in lines(found, "n/db") if line.group)


class TestExpressions:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            pytest.param(Where(WEB), ("m/vm", "n/web"), id="where"),
            pytest.param(Where(Selector(keys=("n/db", "n/web", "x/y"))), ("n/db", "n/web"), id="keys"),
            pytest.param(Where(Selector(keys=("x/y",))), (), id="keys-of-nobody"),
            pytest.param(InGroup("webs"), ("m/vm", "n/web"), id="in-group"),
            pytest.param(InGroup("front"), ("m/vm", "n/api", "n/web"), id="in-group-has-the-groups-within"),
            pytest.param(InGroup("far"), (), id="addresses-are-no-members"),
            pytest.param(InGroup("nobody-wrote-it"), (), id="unknown-group"),
            pytest.param(AllOf((Where(WEB), Where(Selector(kind=Kind.VM)))), ("m/vm",), id="all-of"),
            pytest.param(AnyOf((Where(DB), InGroup("old"))), ("m/vm", "n/db"), id="any-of"),
            pytest.param(AllOf(()), ALL_KEYS, id="all-of-nothing-is-everybody"),
            pytest.param(AnyOf(()), (), id="any-of-nothing-is-nobody"),
            pytest.param(
                AllOf((AnyOf((Where(WEB), Where(DB))), Where(Selector(namespaces=("n",))))),
                ("n/db", "n/web"),
                id="tree",
            ),
            pytest.param(Where(Selector(groups=("front",), kind=Kind.POD)), ("n/api", "n/web"), id="selector-groups"),
            pytest.param(Where(Selector(groups=("webs", "old", "?"))), ("m/vm", "n/web"), id="groups-are-alternatives"),
            pytest.param(Where(Selector(groups=("apis",))), ("n/api",), id="selector-groups-without-addresses"),
            pytest.param(None, (), id="no-members"),
        ],
    )
    def test_members(self, expression: Expression | None, expected: tuple[str, ...]) -> None:
        universe = universe_of(
            lab(tier("application/p", deny(INGRESS, group("g"))), groups=(*GROUPS, Group("g", expression)))
        )
        assert universe.workloads(universe.group("g")) == expected

    def test_groups_that_no_policy_reaches_split_no_class(self) -> None:
        assert len(universe_of(lab()).classes) == 2
        assert len(universe_of(lab(tier("application/p", deny(INGRESS, group("front"))))).classes) == 4

    def test_a_member_more_moves_no_rule(self) -> None:
        policy = tier("application/p", deny(INGRESS, group("webs")))
        before, after = (
            compile_policy(lab(policy, groups=(Group("webs", Where(selector)),))) for selector in (WEB, DB)
        )
        assert before.profiles == after.profiles
        assert before.groups != after.groups


class TestPeers:
    def test_a_group_is_its_members_and_its_blocks(self) -> None:
        found = compile_policy(lab(tier("application/p", deny(INGRESS, group("front")))))
        with_group, with_block = sorted(lines(found, "n/db"), key=lambda line: line.group or "", reverse=True)
        assert found.groups[with_group.group or ""] == ("m/vm", "n/api", "n/web")
        assert with_block.block == IPBlock("10.1.0.12/32")

    def test_blocks_of_groups_within(self) -> None:
        found = compile_policy(lab(tier("application/p", deny(INGRESS, group("all-far")))))
        assert [line.block for line in lines(found, "n/db")] == [
            IPBlock("203.0.113.0/24", ("203.0.113.0/25",)),
            IPBlock("fd00:1::12/128"),
        ]

    def test_an_unknown_group_is_nobody(self) -> None:
        assert members(group("nobody-wrote-it")) == ()
        assert members(Peer(DB), group("nobody-wrote-it")) == (("n/db",),)


class TestExcludedPeers:
    def excluded(self, *peers: Peer, direction: Direction = INGRESS, **fields: Any) -> list[CompiledRule]:
        self.found = compile_policy(lab(tier("application/p", deny(direction, *peers, peers_excluded=True, **fields))))
        return lines(self.found, "n/db", direction)

    def test_everybody_but_a_group(self) -> None:
        (line,) = self.excluded(group("webs"))
        assert (line.group, line.block, line.not_blocks) == (None, None, ())
        assert self.found.groups[line.not_group or ""] == ("m/vm", "n/web")

    def test_members_and_addresses_are_one_line(self) -> None:
        (line,) = self.excluded(group("front"), Peer(ip_block=IPBlock("10.9.0.0/24", ("10.9.0.128/25",))))
        assert self.found.groups[line.not_group or ""] == ("m/vm", "n/api", "n/web")
        assert line.not_blocks == ("10.1.0.12/32", "10.9.0.0/25")

    def test_an_except_is_meant_again_unless_another_block_has_it(self) -> None:
        holes = Peer(ip_block=IPBlock("10.0.0.0/8", ("10.0.0.0/9", "10.128.0.0/10")))
        assert self.excluded(holes)[0].not_blocks == ("10.192.0.0/10",)
        assert self.excluded(holes, Peer(ip_block=IPBlock("10.0.0.0/9")))[0].not_blocks == (
            "10.0.0.0/9",
            "10.192.0.0/10",
        )

    @pytest.mark.parametrize("peer", [Peer(Selector(name="nobody")), group("nobody-wrote-it")])
    def test_everybody_but_nobody(self, peer: Peer) -> None:
        assert self.excluded(peer) == [CompiledRule("ingress application p[0]", Action.DENY)]

    def test_named_ports_of_the_others(self) -> None:
        found = self.excluded(group("webs"), direction=EGRESS, ports=(tcp("http"), tcp(5)))
        assert [line.ports for line in found if not line.group] == [((5, 5),)]
        named = [line for line in found if line.group]
        assert {line.ports for line in named} == {((80, 80),), ((81, 81),)}
        assert {self.found.groups[line.not_group or ""] for line in named} == {("m/vm", "n/web")}

    @pytest.mark.parametrize(
        ("source", "address", "matched"),
        [
            pytest.param("n/web", "10.1.0.10", False, id="excluded-4"),
            pytest.param("n/web", "fd00:1::10", False, id="excluded-6"),
            pytest.param("n/api", "10.1.0.11", True, id="other-4"),
            pytest.param("n/api", "fd00:1::11", True, id="other-6"),
            pytest.param("", "10.1.0.200", True, id="unknown-4"),
            pytest.param("", "2001:db8::1", True, id="outside-6"),
            pytest.param("", "10.9.0.5", False, id="in-an-excluded-block"),
        ],
    )
    def test_packets(self, source: str, address: str, matched: bool) -> None:
        placed = lab(
            tier(
                "application/p",
                deny(EGRESS, group("webs"), Peer(ip_block=IPBlock("10.9.0.0/24")), peers_excluded=True),
                act("reject", EGRESS),
            )
        )
        compiled = compile_policy(placed)
        own = "fd00:1::12" if ":" in address else "10.1.0.12"
        packet = Packet("n/db", own, source, address, Protocol.TCP, 1)
        expected = "egress application p[0]" if matched else "egress application p[1]"
        assert by_policy(compiled, packet).rule == expected
        assert by_firewall(placed, firewalls(placed, compiled), packet).rule == expected


class TestOwn:
    @pytest.mark.parametrize(
        ("own", "excluded", "families"),
        [
            pytest.param((Peer(WEB),), False, {"n/web": [0], "m/vm": [0]}, id="selector"),
            pytest.param((group("front"),), False, {"n/web": [0], "m/vm": [0], "n/api": [0], "n/db": [4]}, id="group"),
            pytest.param((group("far"),), False, {"n/db": [6]}, id="blocks-of-one-family"),
            pytest.param((Peer(ip_block=IPBlock("10.1.0.8/29")),), False, {k: [4] for k in ALL_KEYS[1:]}, id="block-4"),
            pytest.param(
                (Peer(ip_block=IPBlock("10.1.0.8/29", ("10.1.0.11/32",))),),
                False,
                {"n/web": [4], "n/db": [4]},
                id="except",
            ),
            pytest.param(
                (Peer(ip_block=IPBlock("10.1.0.8/29")), Peer(ip_block=IPBlock("fd00:1::10/127"))),
                False,
                {"n/web": [0], "n/api": [0], "n/db": [4]},
                id="both-families",
            ),
            pytest.param((Peer(WEB),), True, {"n/api": [0], "n/db": [0]}, id="not-selector"),
            pytest.param((group("apis"),), True, {"n/web": [0], "m/vm": [0], "n/db": [6]}, id="not-group"),
            pytest.param((group("nobody-wrote-it"),), False, {}, id="unknown"),
            pytest.param((group("nobody-wrote-it"),), True, {k: [0] for k in ALL_KEYS}, id="not-unknown"),
        ],
    )
    def test_whom_a_rule_is_for(self, own: tuple[Peer, ...], excluded: bool, families: dict[str, list[int]]) -> None:
        found = compile_policy(lab(tier("application/p", deny(INGRESS, own=own, own_excluded=excluded))))
        assert {k: [line.family for line in lines(found, k)] for k in ALL_KEYS if lines(found, k)} == families

    def test_rules_keep_their_order(self) -> None:
        rules = [deny(INGRESS, ports=(tcp(1),)), deny(INGRESS, own=(Peer(WEB),)), deny(INGRESS, ports=(tcp(2),))]
        found = compile_policy(lab(tier("application/p", *rules)))
        assert [line.origin[-3:] for line in lines(found, "n/web")] == ["[0]", "[1]", "[2]"]
        assert [line.origin[-3:] for line in lines(found, "n/db")] == ["[0]", "[2]"]

    def test_a_block_of_the_other_family_never_matches(self) -> None:
        own = (Peer(ip_block=IPBlock("10.1.0.0/24")),)
        blocks = [Peer(ip_block=IPBlock(cidr)) for cidr in ("fd00:1::/64", "10.2.0.0/24")]
        found = compile_policy(lab(tier("application/p", deny(INGRESS, *blocks, own=own))))
        assert [line.block for line in lines(found, "n/db")] == [IPBlock("10.2.0.0/24")]


class TestScopes:
    def test_rules_may_be_for_somebody(self) -> None:
        rules = [deny(INGRESS, ports=(tcp(1),), applies_to=(WEB, DB)), deny(INGRESS, ports=(tcp(2),))]
        found = compile_policy(lab(tier("application/p", *rules)))
        assert [len(lines(found, key)) for key in ALL_KEYS] == [2, 1, 2, 2]

    def test_the_policy_beats_its_rules(self) -> None:
        found = compile_policy(lab(tier("application/p", deny(INGRESS, applies_to=(WEB,)), to=[DB])))
        assert [len(lines(found, key)) for key in ALL_KEYS] == [0, 0, 1, 0]

    def test_nothing_is_no_line(self) -> None:
        rules = [deny(INGRESS, nothing=True), deny(INGRESS, ports=(tcp(2),))]
        found = compile_policy(lab(tier("application/p", *rules)))
        assert [line.origin for line in lines(found, "n/db")] == ["ingress application p[1]"]

    def test_a_label_stands_for_the_number(self) -> None:
        found = compile_policy(lab(tier("application/p", deny(INGRESS, label="no-ssh"))))
        assert [line.origin for line in lines(found, "n/db")] == ["ingress application p[no-ssh]"]

    def test_no_label_ends_the_comment_that_it_stands_in(self) -> None:
        found = compile_policy(lab(tier("application/p", deny(INGRESS, label='a" accept\n\tä'))))
        assert [line.origin for line in lines(found, "n/db")] == ["ingress application p[a' accept  ä]"]

    def test_the_exclusion_list_frees_of_our_tiers_only(self) -> None:
        policies = [tier(f"{name}/{name}", deny(INGRESS)) for name in ("emergency", "application", "admin", "baseline")]
        found = compile_policy(lab(*policies, exclusions=(WEB,)))
        assert [line.origin.split()[1] for line in lines(found, "n/web")] == ["admin", "baseline"]
        assert len(lines(found, "n/db")) == 4

    def test_who_is_excluded_is_still_a_peer(self) -> None:
        found = compile_policy(lab(tier("application/p", deny(INGRESS, Peer(WEB))), exclusions=(WEB,)))
        assert found.groups[lines(found, "n/db")[0].group or ""] == ("m/vm", "n/web")

    def test_the_tiers_around_network_policy(self) -> None:
        policies = [
            netpol("n/p", labelled(app="db"), ingress=[rule(tcp(1))]),
            *(tier(f"{name}/{name}", Rule(Action.PASS, INGRESS)) for name in ("baseline", "admin", "application")),
        ]
        found = compile_policy(lab(*policies))  # type: ignore[arg-type]
        tiers = {key: [t.tier for t in found.profiles[found.ingress[key]].tiers] for key in ALL_KEYS}
        assert tiers["n/db"] == ["application", "admin", "NetworkPolicy", "baseline"]
        assert tiers["n/web"] == ["application", "admin", "baseline"]


def test_order_of_input_never_shows() -> None:
    def turned(placed: Placed) -> Placed:
        return replace(
            placed,
            model=replace(
                placed.model,
                groups=tuple(
                    replace(g, within=g.within[::-1], blocks=g.blocks[::-1]) for g in placed.model.groups[::-1]
                ),
                policies=tuple(
                    replace(p, rules=tuple(replace(r, peers=r.peers[::-1], own=r.own[::-1]) for r in p.rules))
                    for p in placed.model.policies[::-1]
                ),
                exclusions=placed.model.exclusions[::-1],
                workloads=placed.model.workloads[::-1],
            ),
        )

    listed = Selector(keys=("n/web", "n/db"), groups=("webs", "old"))
    placed = lab(
        tier("application/p", deny(INGRESS, group("front"), group("all-far"), Peer(listed), ports=(tcp("http"),))),
        tier(
            "emergency/q",
            deny(EGRESS, group("front"), group("far"), peers_excluded=True, own=(group("apis"), Peer(WEB))),
        ),
        exclusions=(WEB, Selector(name="nobody")),
    )
    assert msgspec.msgpack.encode(compile_policy(placed)) == msgspec.msgpack.encode(compile_policy(turned(placed)))
