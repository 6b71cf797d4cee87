"""What the compiler hands to the plan: who shares what, under which names, and what must never appear."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from sdn.model import (
    Action,
    Application,
    IPBlock,
    Kind,
    NetworkPolicy,
    Operator,
    Options,
    Placed,
    Policy,
    Requirement,
    Selector,
    Workload,
)
from sdn.policy.compiled import CompiledPolicy, CompiledRule, Profile
from sdn.policy.compiler import compile_policy
from shuffled import Shuffler
from worlds_build import (
    BOTH,
    ECHO,
    EGRESS,
    INGRESS,
    act,
    block,
    build,
    labelled,
    model,
    netpol,
    pods,
    relabel,
    rule,
    segment,
    spaces,
    tcp,
    tier,
    udp,
    workload,
)

CLUSTER = Application("cluster", (segment("lan", "10.244.0.0/24", "fd00:244::/64"),))
WORKLOADS = [
    workload("shop/web-1", 1, "cluster/lan", "http:80", app="web", hash="1"),
    workload("shop/web-2", 2, "cluster/lan", "http:80", app="web", hash="2"),
    workload("shop/api", 1, "cluster/lan", "http:8000", app="api"),
    workload("shop/db", 2, "cluster/lan", "sql:5432", "http:53/udp", app="db"),
    workload("ops/mon", 2, "cluster/lan", app="mon"),
    workload("shop/vm", 2, "cluster/lan", "http:80", kind=Kind.VM, app="web"),
]
WEB, API, DB, ALL = labelled(app="web"), labelled(app="api"), labelled(app="db"), labelled()


def placed(*objects: NetworkPolicy | Policy, workloads: list[Workload] = WORKLOADS, pod_blocks: bool = True) -> Placed:
    return build(model("lab", [CLUSTER], workloads, *objects, options=Options(ipblock_matches_pods=pod_blocks)))


def compiled(*objects: NetworkPolicy | Policy, **changes: object) -> CompiledPolicy:
    return compile_policy(placed(*objects, **changes))  # type: ignore[arg-type]


def ingress(found: CompiledPolicy, key: str) -> Profile:
    return found.profiles[found.ingress[key]]


def egress(found: CompiledPolicy, key: str) -> Profile:
    return found.profiles[found.egress[key]]


def shapes(found: CompiledPolicy, profile: Profile) -> list[tuple[object, ...]]:
    """Each line as (members, block or "any"; protocol; ports), origins and actions left out."""
    return [
        (
            *([found.groups[line.group]] if line.group else []),
            *([line.block.cidr] if line.block else [] if line.group else ["any"]),
            str(line.protocol or ""),
            *line.ports,
        )
        for tier_rules in profile.tiers
        for line in tier_rules.rules
    ]


class TestProfiles:
    def test_without_policies_everybody_shares_one_per_direction(self) -> None:
        found = compiled()
        assert len(found.profiles) == 2
        assert set(found.ingress) == set(found.egress) == {w.key for w in WORKLOADS}
        assert not found.groups

    def test_labels_that_no_policy_names_do_not_split(self) -> None:
        found = compiled(netpol("shop/p", WEB))
        assert found.ingress["shop/web-1"] == found.ingress["shop/web-2"] != found.ingress["shop/db"]
        assert len(found.profiles) == 3

    def test_a_vm_is_never_selected_by_a_network_policy(self) -> None:
        found = compiled(netpol("shop/p", WEB))
        assert ingress(found, "shop/vm").tiers == ()

    def test_a_direction_that_is_not_judged_has_no_tier(self) -> None:
        found = compiled(netpol("shop/p", WEB, [INGRESS], egress=[rule(tcp(80))]))
        assert egress(found, "shop/web-1").tiers == ()

    def test_host_network_pods_are_in_nothing(self) -> None:
        node = replace(workload("shop/agent", 1, "cluster/lan", app="web"), host_network=True)
        found = compiled(netpol("shop/p", DB, ingress=[rule(pods(app="web"))]), workloads=[*WORKLOADS, node])
        assert "shop/agent" not in found.ingress
        assert list(found.groups.values()) == [("shop/web-1", "shop/web-2")]

    def test_equal_tiers_are_one_object(self) -> None:
        many = [netpol(f"shop/p{n:03}", ALL, ingress=[rule(pods(app="web"))]) for n in range(50)]
        found = compiled(*many, tier("emergency/cut", act("deny", INGRESS, tcp(22)), to=[Selector(name="web-1")]))
        first, second = ingress(found, "shop/web-1"), ingress(found, "shop/web-2")
        assert first.id != second.id
        assert first.tiers[1] is second.tiers[0]
        assert len(first.tiers[1].rules) == 50

    def test_ingress_splits_by_the_numbers_behind_a_named_port(self) -> None:
        found = compiled(netpol("shop/p", ALL, ingress=[rule(tcp("http"))]))
        assert shapes(found, ingress(found, "shop/web-1")) == [("any", "tcp", (80, 80))]
        assert shapes(found, ingress(found, "shop/api")) == [("any", "tcp", (8000, 8000))]
        assert shapes(found, ingress(found, "shop/db")) == []  # it has the name, but for UDP
        assert ingress(found, "shop/db").tiers[0].default is not None


class TestOrder:
    def test_tiers_then_network_policy(self) -> None:
        found = compiled(
            netpol("shop/p", WEB),
            tier("application/a", act("allow", INGRESS)),
            tier("emergency/b", act("pass", INGRESS)),
            tier("infrastructure/c", act("allow", EGRESS)),
        )
        assert [t.tier for t in ingress(found, "shop/web-1").tiers] == ["emergency", "application", "NetworkPolicy"]

    def test_priority_then_name_then_as_written(self) -> None:
        found = compiled(
            tier("application/b", act("allow", INGRESS, tcp(1)), act("deny", EGRESS), act("deny", INGRESS, tcp(2))),
            tier("application/a", act("allow", INGRESS, tcp(3))),
            tier("application/z", act("reject", INGRESS, tcp(4)), priority=5),
        )
        (only,) = ingress(found, "shop/db").tiers
        assert [(line.origin, line.action) for line in only.rules] == [
            ("ingress application z[0]", Action.REJECT),
            ("ingress application a[0]", Action.ALLOW),
            ("ingress application b[0]", Action.ALLOW),
            ("ingress application b[2]", Action.DENY),
        ]

    def test_network_policies_by_name_and_who_isolates(self) -> None:
        found = compiled(
            netpol("shop/q", WEB, ingress=[rule(tcp(1)), rule(tcp(2))]), netpol("shop/p", ALL, ingress=[rule(tcp(3))])
        )
        (only,) = ingress(found, "shop/web-1").tiers
        assert [line.origin for line in only.rules] == [
            f"ingress NetworkPolicy shop/{n}" for n in ("p[0]", "q[0]", "q[1]")
        ]
        assert only.default == CompiledRule("ingress NetworkPolicy shop/p isolates (+1 more)", Action.DENY)


class TestPeers:
    @pytest.mark.parametrize(
        ("written", "lines"),
        [
            pytest.param(rule(), [("any", "")], id="nothing-is-anybody-and-everything"),
            pytest.param(rule(pods(app="nobody")), [], id="an-empty-group-is-nobody"),
            pytest.param(
                rule(pods(app="nobody"), block("203.0.113.0/24")), [("203.0.113.0/24", "")], id="block-remains"
            ),
            pytest.param(
                rule(pods(app="web"), pods(app="api"), pods(app="web")),
                [(("shop/api", "shop/web-1", "shop/web-2"), "")],
                id="selectors-are-one-group",
            ),
            pytest.param(rule(spaces(kind="x")), [], id="no-such-namespace"),
            pytest.param(
                rule(spaces()),
                [(("ops/mon", "shop/api", "shop/db", "shop/web-1", "shop/web-2"), "")],
                id="all-pods-and-no-vm",
            ),
            pytest.param(rule(block("10.0.0.0/8", "10.0.0.0/8")), [], id="nothing-left-of-a-block"),
        ],
    )
    def test_network_policy(self, written: object, lines: list[tuple[object, ...]]) -> None:
        found = compiled(netpol("shop/p", DB, ingress=[written]))  # type: ignore[list-item]
        assert shapes(found, ingress(found, "shop/db")) == lines

    @pytest.mark.parametrize(
        ("selector", "members"),
        [
            pytest.param(Selector(), ["ops/mon", *sorted(w.key for w in WORKLOADS if w.namespace == "shop")], id="all"),
            pytest.param(Selector(kind=Kind.VM), ["shop/vm"], id="kind"),
            pytest.param(Selector(labels=WEB), ["shop/vm", "shop/web-1", "shop/web-2"], id="labels-vms-too"),
            pytest.param(Selector(namespaces=("ops", "x")), ["ops/mon"], id="namespace"),
            pytest.param(Selector(name="web-?"), ["shop/web-1", "shop/web-2"], id="pattern"),
            pytest.param(Selector(name="WEB-1"), [], id="pattern-minds-case"),
            pytest.param(Selector(name="web-1"), ["shop/web-1"], id="plain-name"),
            pytest.param(Selector(name="web-[!1]"), ["shop/web-2"], id="pattern-not"),
            pytest.param(Selector(segments=("lan",), applications=("cluster",), labels=DB), ["shop/db"], id="where"),
            pytest.param(Selector(segments=("wan",)), [], id="no-such-segment"),
            pytest.param(
                Selector(namespace_labels=labelled(Requirement("kubernetes.io/metadata.name", Operator.IN, ("ops",)))),
                ["ops/mon"],
                id="namespace-labels",
            ),
        ],
    )
    def test_tier_selector(self, selector: Selector, members: list[str]) -> None:
        found = compiled(tier("application/p", act("deny", INGRESS, selector)))
        expected = [(tuple(members), "")] if members else []
        assert shapes(found, ingress(found, "shop/db")) == expected

    def test_applies_to_are_alternatives(self) -> None:
        found = compiled(tier("application/p", act("deny", BOTH[0]), to=[Selector(kind=Kind.VM), Selector(labels=DB)]))
        assert {key for key in found.ingress if ingress(found, key).tiers} == {"shop/vm", "shop/db"}

    def test_large_groups_of_equal_size_stay_apart(self) -> None:
        many = [workload(f"shop/w{n:03}", 1, "cluster/lan", app=f"a{n}", side=f"s{n % 2}") for n in range(160)]
        names = [labelled(Requirement("app", Operator.IN, (f"a{n}",))) for n in range(160)]  # so each is a class
        sides = [pods(side="s0"), pods(side="s1")]
        policies = [netpol(f"shop/p{n}", one, ingress=[rule(sides[n % 2])]) for n, one in enumerate(names)]
        found = compiled(*policies, workloads=many)
        assert sorted(found.groups.values()) == [tuple(w.key for w in many[side::2]) for side in (0, 1)]

    def test_blocks_can_spare_workloads(self) -> None:
        subject = netpol("shop/p", DB, ingress=[rule(block("10.244.0.0/16", "10.244.9.0/25", "10.244.9.128/25"))])
        fixed = [replace(w, ip=(f"10.244.0.{n}", f"fd00:244::{n}")) for n, w in enumerate(WORKLOADS, 10)]
        (line,) = ingress(compiled(subject, pod_blocks=False, workloads=fixed), "shop/db").tiers[0].rules
        # Six workloads at .10 to .15, and the two written halves.
        assert line.block == IPBlock("10.244.0.0/16", ("10.244.0.10/31", "10.244.0.12/30", "10.244.9.0/24"))
        (line,) = ingress(compiled(subject), "shop/db").tiers[0].rules
        assert line.block == IPBlock("10.244.0.0/16", ("10.244.9.0/24",))

    def test_blocks_of_tier_policies_always_match_workloads(self) -> None:
        found = compiled(tier("application/p", act("deny", INGRESS, IPBlock("10.244.0.0/24"))), pod_blocks=False)
        assert ingress(found, "shop/db").tiers[0].rules[0].block == IPBlock("10.244.0.0/24")


class TestEgressNames:
    @pytest.mark.parametrize(
        ("written", "lines"),
        [
            pytest.param(
                rule(pods(), tcp("http"), tcp(81)),
                [
                    (("shop/api",), "tcp", (8000, 8000)),
                    (("shop/web-1", "shop/web-2"), "tcp", (80, 80)),
                    (("shop/api", "shop/db", "shop/web-1", "shop/web-2"), "tcp", (81, 81)),
                ],
                id="peers-split-by-number",
            ),
            pytest.param(
                rule(tcp("http"), udp("http")),
                [
                    (("shop/api",), "tcp", (8000, 8000)),
                    (("shop/db",), "udp", (53, 53)),
                    (("shop/vm", "shop/web-1", "shop/web-2"), "tcp", (80, 80)),
                ],
                id="anybody-is-every-workload-that-has-the-name",
            ),
            pytest.param(
                rule(block("10.244.0.0/16"), tcp("http")),
                [
                    (("shop/api",), "10.244.0.0/16", "tcp", (8000, 8000)),
                    (("shop/vm", "shop/web-1", "shop/web-2"), "10.244.0.0/16", "tcp", (80, 80)),
                ],
                id="in-a-block-workloads-alone-have-names",
            ),
            pytest.param(
                rule(block("10.244.0.0/16"), udp("http"), tcp(5)),
                [("10.244.0.0/16", "tcp", (5, 5)), (("shop/db",), "10.244.0.0/16", "udp", (53, 53))],
                id="a-block-keeps-its-numbers",
            ),
            pytest.param(rule(tcp("http"), tcp()), [("any", "tcp")], id="all-of-tcp-holds-the-name"),
            pytest.param(rule(tcp("nope")), [], id="a-name-that-nobody-has"),
        ],
    )
    def test_lines(self, written: object, lines: list[tuple[object, ...]]) -> None:
        found = compiled(netpol("shop/p", DB, [EGRESS], egress=[written]))  # type: ignore[list-item]
        assert sorted(shapes(found, egress(found, "shop/db")), key=str) == sorted(lines, key=str)

    def test_all_lines_of_a_rule_have_its_origin(self) -> None:
        found = compiled(netpol("shop/p", DB, [EGRESS], egress=[rule(pods(), tcp("http"), tcp(81), ECHO)]))
        origins = {line.origin for line in egress(found, "shop/db").tiers[0].rules}
        assert origins == {"egress NetworkPolicy shop/p[0]"}


class TestNames:
    POLICIES = (
        netpol("shop/p", DB, ingress=[rule(pods(app="web"), tcp(5432))]),
        tier("application/q", act("deny", EGRESS, Selector(labels=API)), to=[Selector(labels=WEB)]),
    )

    def test_a_label_that_moves_changes_a_group_and_no_rule(self) -> None:
        before = compiled(*self.POLICIES)
        after = compiled(*self.POLICIES, workloads=relabel(WORKLOADS, "shop/web-2", app="api"))
        assert before.profiles == after.profiles
        assert before.groups.keys() == after.groups.keys()
        assert before.groups != after.groups

    def test_an_unrelated_policy_changes_no_id(self) -> None:
        before = compiled(*self.POLICIES)
        after = compiled(*self.POLICIES, netpol("ops/r", ALL, ingress=[rule(pods(), tcp("http"))]))
        assert before.groups.items() <= after.groups.items()
        assert {k: v for k, v in before.ingress.items() if k != "ops/mon"}.items() <= after.ingress.items()

    def test_groups_of_policies_that_select_nobody_are_left_out(self) -> None:
        assert compiled(netpol("shop/p", labelled(app="nobody"), ingress=[rule(pods(app="web"))])).groups == {}

    def test_one_more_rule_is_another_profile(self) -> None:
        one = netpol("shop/p", DB, ingress=[rule(tcp(1))])
        two = netpol("shop/p", DB, ingress=[rule(tcp(1)), rule(tcp(2))])
        assert compiled(one).ingress["shop/db"] != compiled(two).ingress["shop/db"]

    @pytest.mark.parametrize("seed", range(5))
    def test_order_of_input_never_shows(self, seed: int) -> None:
        shuffled = Shuffler(seed).placed(placed(*EVERYTHING))
        assert msgspec.msgpack.encode(compile_policy(shuffled)) == msgspec.msgpack.encode(compiled(*EVERYTHING))


EVERYTHING = (
    *TestNames.POLICIES,
    netpol("shop/a", ALL, BOTH, [rule(pods(app="web"), spaces(), tcp("http"), tcp(9), udp())], [rule(tcp("http"))]),
    netpol("shop/b", ALL, BOTH, [rule(block("10.0.0.0/8", "10.1.0.0/16", "10.3.0.0/16"), block("fd00::/8"), ECHO)]),
    netpol("ops/c", labelled(Requirement("app", Operator.NOT_IN, ("x", "mon"))), ingress=[rule()]),
    tier("application/r", act("allow", INGRESS, Selector(name="web*"), Selector(name="api"), tcp(1), tcp(2), udp(5))),
    tier("emergency/s", act("reject", INGRESS, Selector(namespaces=("shop", "ops"))), priority=1),
)
