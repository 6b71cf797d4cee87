"""Policies, rules and services of NSX: what becomes of them, and what the oracle then says of flows."""

from __future__ import annotations

from typing import Any

import pytest
from exports import (
    ANY,
    GROUPS,
    Object,
    World,
    addresses,
    bad,
    default,
    good,
    group,
    listed,
    model,
    paths,
    policy,
    read,
    rule,
    segment,
    service,
    t1,
    tagged,
    tcp,
    vif,
    vm,
    warned,
)

from sdn.model import Direction, Policy, PortRange, Protocol, Rule
from sdn.policy.lint import warnings

LAB = listed(
    t1("shop"),
    segment("front", "10.1.1.1/24", t1="shop"),
    segment("back", "10.1.2.1/24", t1="shop"),
    *(vm(name, f"tier|{name.split('-')[0]}") for name in ("web-1", "web-2", "app", "db")),
    vif("web-1", "10.1.1.11"),
    vif("web-2", "10.1.1.12"),
    vif("app", "10.1.1.13"),
    vif("db", "10.1.2.21"),
    *(group(name, tagged(f"tier|{name}")) for name in ("web", "app", "db")),
    group("addresses of db", addresses("10.1.2.16-10.1.2.31"), path=GROUPS + "db-ips"),
)


def world(*policies: Object, more: list[Object] | None = None) -> World:
    return World(LAB, listed(*policies, default()), *(more or []))


def rules(found: Any, name: str = "p") -> tuple[Rule, ...]:
    return next(one.rules for one in found.policies if one.name == name)


def ports(*entries: Object, action: str = "ALLOW", **more: Any) -> tuple[PortRange, ...] | None:
    """The ports of a rule with these inline entries; None where it matches nothing."""
    found = rules(good(LAB, listed(policy("p", rule("r", ANY, ANY, *entries, action=action, **more)))))
    return None if found[0].nothing else found[0].ports


TABLE: list[tuple[str, list[Object], list[tuple[str, str]]]] = [
    (
        "first match in order of sequence numbers, not as listed",
        [
            policy(
                "p",
                rule("all", ANY, ["db"], action="DROP", sequence_number=20),
                rule("sql", ["app"], ["db"], tcp("5432"), sequence_number=10),
            )
        ],
        [
            ("app → db:5432", "allow"),
            ("app → db:5433", "deny by egress application p[all]"),
            ("web-1 → db:5432", "deny by egress application p[all]"),
            ("db → app:80", "allow"),
        ],
    ),
    (
        "direction IN is judged at the receiver alone",
        [policy("p", rule("r", ["web"], ["db"], action="REJECT", direction="IN"))],
        [("web-1 → db:80", "reject by ingress application p[r]"), ("web-1 → app:80", "allow")],
    ),
    (
        "direction OUT at the sender alone",
        [policy("p", rule("r", ["web"], ["db"], action="REJECT", direction="OUT"))],
        [("web-1 → db:80", "reject by egress application p[r]"), ("db → web-1:80", "allow")],
    ),
    (
        "a rule that is applied to the receiver does not act at the sender",
        [policy("p", rule("r", ["web"], ["db"], action="DROP", scope=[GROUPS + "db"]))],
        [("web-1 → db:80", "deny by ingress application p[r]")],
    ),
    (
        "a policy's scope beats its rules'",
        [policy("p", rule("r", ["web"], ["db"], action="DROP", scope=[GROUPS + "web"]), scope=[GROUPS + "app"])],
        [("web-1 → db:80", "allow")],
    ),
    (
        "a segment as scope",
        [policy("p", rule("r", ANY, ANY, action="DROP", direction="OUT"), scope=["/infra/segments/back"])],
        [("db → app:80", "deny by egress application p[r]"), ("app → db:80", "allow")],
    ),
    (
        "excluded sources",
        [policy("p", rule("r", ["app"], ["db"], action="DROP", sources_excluded=True))],
        [("app → db:1", "allow"), ("web-1 → db:1", "deny by egress application p[r]")],
    ),
    (
        "excluded destinations",
        [policy("p", rule("r", ["web"], ["app"], action="DROP", destinations_excluded=True))],
        [("web-1 → app:1", "allow"), ("web-1 → web-2:1", "deny by egress application p[r]")],
    ),
    (
        "groups of addresses, and addresses written in the rule",
        [
            policy(
                "p",
                rule("group", ["db-ips"], ["10.1.1.11-10.1.1.12"], action="DROP"),
                rule("outside", ["web"], ["203.0.113.0/24"], action="DROP"),
            )
        ],
        [
            ("db → web-2:80", "deny by egress application p[group]"),
            ("db → app:80", "allow"),
            ("web-1 → 203.0.113.9:443", "deny by egress application p[outside]"),
        ],
    ),
    (
        "categories from left to right",
        [
            policy("last", rule("r", ANY, ["db"], action="ALLOW"), category="Application"),
            policy("env", rule("r", ["web"], ["db"], action="DROP"), category="Environment"),
            policy("infra", rule("r", ["web"], ["db"], tcp("53")), category="Infrastructure"),
            policy("quarantine", rule("r", ["app"], ANY, action="DROP"), category="Emergency"),
        ],
        [
            ("web-1 → db:53", "allow"),
            ("web-1 → db:54", "deny by egress environment env[r]"),
            ("app → db:53", "deny by egress emergency quarantine[r]"),
        ],
    ),
    (
        "JUMP_TO_APPLICATION skips the rest of Environment",
        [
            policy(
                "env",
                rule("jump", ["web"], ["db"], action="JUMP_TO_APPLICATION"),
                rule("rest", ANY, ["db"], action="DROP"),
                category="Environment",
            ),
            policy("env2", rule("r", ["web"], ["db"], action="REJECT"), category="Environment", sequence_number=20),
        ],
        [("web-1 → db:1", "allow"), ("app → db:1", "deny by egress environment env[rest]")],
    ),
    (
        "policies by sequence number",
        [
            policy("a", rule("r", ["web"], ["db"], action="DROP"), sequence_number=20),
            policy("b", rule("r", ["web"], ["db"], tcp("80")), sequence_number=10),
        ],
        [("web-1 → db:80", "allow"), ("web-1 → db:81", "deny by egress application a[r]")],
    ),
    (
        "a disabled rule is none",
        [policy("p", rule("r", ANY, ANY, action="DROP", disabled=True))],
        [("web-1 → db:80", "allow")],
    ),
    (
        "ICMP of type echo, and of every type; other protocols are not echo",
        [
            policy(
                "p",
                rule(
                    "echo",
                    ["web"],
                    ["db"],
                    {"resource_type": "ICMPTypeServiceEntry", "protocol": "ICMPv4", "icmp_type": 8},
                ),
                rule("all", ["app"], ["db"], {"resource_type": "ICMPTypeServiceEntry", "protocol": "ICMPv4"}),
                rule("gre", ["db"], ["db"], {"resource_type": "IPProtocolServiceEntry", "protocol_number": 47}),
                rule("rest", ANY, ["db"], action="DROP"),
            )
        ],
        [
            ("web-1 → db:icmp", "allow"),
            ("app → db:icmp", "allow"),
            ("app → db:80", "deny by egress application p[rest]"),
        ],
    ),
    (
        "connectivity_preference makes a default for its scope, after the category's other policies",
        [
            policy(
                "p",
                rule("r", ["app"], ["db"], tcp("5432")),
                scope=[GROUPS + "db"],
                connectivity_preference="ALLOWLIST",
            ),
            policy("later", rule("r", ["web"], ["db"], tcp("22")), sequence_number=30),
        ],
        [
            ("app → db:5432", "allow"),
            ("web-1 → db:22", "allow"),
            ("web-1 → db:80", "deny by ingress application p default[default]"),
            ("web-1 → app:80", "allow"),
        ],
    ),
]


@pytest.mark.parametrize(
    ("policies", "flows"), [pytest.param(policies, flows, id=name) for name, policies, flows in TABLE]
)
def test_verdicts(policies: list[Object], flows: list[tuple[str, str]]) -> None:
    asked = world(*policies)
    assert [(flow, asked.ask(flow)) for flow, _ in flows] == flows


def test_the_default_rule_comes_last_whatever_its_number() -> None:
    closed = default("DROP") | {"sequence_number": 0}
    asked = World(LAB, listed(closed, policy("p", rule("r", ["web"], ["db"], tcp("80")))))
    assert asked.ask("web-1 → db:80") == "allow"
    assert asked.ask("web-1 → db:81") == "deny by egress application default-layer3-section[default-rule]"


def test_without_a_default_rule_the_export_is_open_and_says_so() -> None:
    asked = World(LAB, listed(policy("p")))
    assert asked.ask("web-1 → db:80") == "allow"
    assert "no default policy; what no rule matches is allowed" in warned(asked.parts)


def test_the_exclusion_list_beats_everything() -> None:
    excluded = {"resource_type": "PolicyExcludeList", "members": [GROUPS + "db"]}
    asked = World(LAB, listed(policy("p", rule("r", ANY, ANY, action="DROP"))), excluded)
    assert asked.ask("db → app:80") == "deny by ingress application p[r]"
    assert asked.ask("app → db:80") == "deny by egress application p[r]"
    both = {"resource_type": "PolicyExcludeList", "members": [GROUPS + "db", GROUPS + "app"]}
    assert World(LAB, listed(policy("p", rule("r", ANY, ANY, action="DROP"))), both).ask("db → app:80") == "allow"


def test_each_rule_is_one_for_either_side() -> None:
    found = rules(good(LAB, listed(policy("p", rule("r", ["web"], ["db"], tcp("80"), logged=True)))))
    assert [(one.direction, one.own[0].group, one.peers[0].group) for one in found] == [
        (Direction.INGRESS, "db", "web"),
        (Direction.EGRESS, "web", "db"),
    ]
    assert all(one.label == "r" and one.log for one in found)


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        (tcp("80"), (PortRange(Protocol.TCP, 80),)),
        (tcp("80", "8000-8100"), (PortRange(Protocol.TCP, 80), PortRange(Protocol.TCP, 8000, 8100))),
        (tcp(), (PortRange(Protocol.TCP),)),
        (tcp("0-65535"), (PortRange(Protocol.TCP, 1, 65535),)),
        (tcp("53") | {"l4_protocol": "UDP"}, (PortRange(Protocol.UDP, 53),)),
        ({"resource_type": "IPProtocolServiceEntry", "protocol_number": 6}, (PortRange(Protocol.TCP),)),
        ({"resource_type": "IPProtocolServiceEntry", "protocol_number": 132}, (PortRange(Protocol.SCTP),)),
        ({"resource_type": "IPProtocolServiceEntry", "protocol_number": 1}, (PortRange(Protocol.ICMP),)),
        ({"resource_type": "IPProtocolServiceEntry", "protocol_number": 50}, None),
        ({"resource_type": "ICMPTypeServiceEntry", "protocol": "ICMPv4"}, (PortRange(Protocol.ICMP),)),
        ({"resource_type": "ICMPTypeServiceEntry", "protocol": "ICMPv4", "icmp_type": 13}, None),
        ({"resource_type": "ICMPTypeServiceEntry", "protocol": "ICMPv6", "icmp_type": 128}, None),  # no IPv6 here
        (
            {"resource_type": "ALGTypeServiceEntry", "alg": "FTP", "destination_ports": ["21"]},
            (PortRange(Protocol.TCP, 21),),
        ),
        (
            {"resource_type": "ALGTypeServiceEntry", "alg": "TFTP", "destination_ports": ["69"]},
            (PortRange(Protocol.UDP, 69),),
        ),
        ({"resource_type": "IGMPTypeServiceEntry"}, None),
        ({"resource_type": "EtherTypeServiceEntry", "ether_type": 2054}, None),
    ],
)
def test_a_service_entry(entry: Object, wanted: tuple[PortRange, ...] | None) -> None:
    assert ports(entry) == wanted


def test_any_beside_entries_means_the_entries() -> None:
    made = rule("r", ANY, ANY, tcp("80")) | {"services": ANY}
    assert rules(good(LAB, listed(policy("p", made))))[0].ports == (PortRange(Protocol.TCP, 80),)


def test_services_by_path_nested_and_delivered() -> None:
    inner = service(
        "inner", tcp("1"), {"resource_type": "NestedServiceServiceEntry", "nested_service_path": "/infra/services/SSH"}
    )
    outer = service(
        "outer", {"resource_type": "NestedServiceServiceEntry", "nested_service_path": "/infra/services/inner"}
    )
    services = ["/infra/services/outer", "/infra/services/HTTPS"]
    made = policy("p", rule("r", ANY, ANY) | {"services": services})
    found = rules(good(LAB, listed(inner, outer), listed(made)))
    assert [one.port for one in found[0].ports] == [1, 22, 443]


def test_source_ports_fail_closed() -> None:
    entry = tcp("80", source_ports=["1024-2048"])
    assert ports(entry) is None
    assert ports(entry, tcp("81")) == (PortRange(Protocol.TCP, 81),)
    assert ports(entry, action="DROP") == (PortRange(Protocol.TCP, 80),)
    assert ports(tcp("80", source_ports=["1-65535"])) == (PortRange(Protocol.TCP, 80),)
    found = good(LAB, listed(policy("p", rule("r", ANY, ANY, entry))))
    assert "services with source ports, which flows do not have here; those services match nothing" in warned(found)


def test_context_profiles_fail_closed() -> None:
    profile = ["/infra/context-profiles/SSL"]
    assert ports(tcp("443"), profiles=profile) is None
    assert ports(tcp("443"), profiles=profile, action="DROP") == (PortRange(Protocol.TCP, 443),)
    assert ports(tcp("443"), profiles=["ANY"]) == (PortRange(Protocol.TCP, 443),)


DUAL = listed(
    t1("shop"),
    segment("net", "10.1.1.1/24", "fd00:1::1/64", t1="shop"),
    *(vm(name, f"tier|{name}") for name in ("web", "db")),
    vif("web", "10.1.1.11", "fd00:1::11", "fe80::1"),
    vif("db", "10.1.1.12", "fd00:1::12"),
    *(group(name, tagged(f"tier|{name}")) for name in ("web", "db")),
)
PING4, PING6 = ({"resource_type": "ICMPTypeServiceEntry", "protocol": f"ICMPv{one}"} for one in (4, 6))


@pytest.mark.parametrize(
    ("made", "verdicts"),
    [
        (rule("r", ["web"], ANY, action="DROP", ip_protocol="IPV4"), ("deny", "allow")),
        (rule("r", ANY, ["db"], action="DROP", ip_protocol="IPV6"), ("allow", "deny")),
        (rule("r", ["web"], ["10.1.1.12", "fd00:1::12"], action="DROP", ip_protocol="IPV4"), ("deny", "allow")),
        (rule("r", ["db"], ["db"], action="DROP", sources_excluded=True, ip_protocol="IPV6"), ("allow", "deny")),
        (rule("r", ["web"], ANY, PING4, action="DROP"), ("deny", "allow")),
        (rule("r", ["web"], ANY, PING6, action="DROP"), ("allow", "deny")),
        (rule("r", ["web"], ["db"], PING4, PING6, action="DROP"), ("deny", "deny")),
        (rule("r", ["web"], ["db"], action="DROP", ip_protocol="IPV4"), ("deny", "deny")),  # fails closed
    ],
)
def test_one_family_alone(made: Object, verdicts: tuple[str, str]) -> None:
    asked = World(DUAL, listed(policy("p", made), default()))
    answers = tuple(asked.ask("web → db:icmp", family).partition(" ")[0] for family in (4, 6))
    assert answers == verdicts


def test_an_allow_between_groups_for_one_family_allows_nothing_and_says_so() -> None:
    found = good(DUAL, listed(policy("p", rule("r", ["web"], ["db"], ip_protocol="IPV4"))))
    assert all(one.nothing for one in rules(found))
    assert "is for IPv4 alone between groups, which is not enforced here; it allows nothing" in warned(found)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (rule("r", ["web"], ["webb"]), f'group "{GROUPS}webb" is not in the export; did you mean "web"?'),
        (rule("r", ANY, ["ANY", "web"]), "ANY stands alone; remove it or the others"),
        (rule("r", ANY, ["web"], sources_excluded=True), "ANY cannot be excluded"),
        (rule("r", ANY, ANY, action="PERMIT"), '"PERMIT" is not known (there are: ALLOW, DROP, REJECT'),
        (rule("r", ANY, ANY, action="JUMP_TO_APPLICATION"), "JUMP_TO_APPLICATION is of category Environment alone"),
        (rule("r", ANY, ANY, direction="BOTH"), '"BOTH" is not known (there are: IN, OUT, IN_OUT)'),
        (rule("r", ANY, ANY, ip_protocol="IPv4"), 'did you mean "IPV4"?'),
        (rule("r", ANY, ANY, scope=["/infra/tier-1s/shop"]), "is no group, segment or port of the export"),
        (rule("r", ANY, ["10.0.0.300"]), "is no address; write 10.0.0.1"),
        (rule("r", ANY, ANY, tcp("80-70")), 'range "80-70" ends before it begins; write "70-80"'),
        (rule("r", ANY, ANY, tcp("http")), '"http" is no port; write "8080" or "8000-8100"'),
        (rule("r", ANY, ANY, tcp("70000")), "70000 is no port; ports go from 1 to 65535"),
        (rule("r", ANY, ANY, tcp(*(f"{n}-{n + 1}" for n in range(1, 17, 2)))), "has 16 ports, a range counts two"),
        (rule("r", ANY, ANY, tcp("1", l4_protocol="SCTP")), '"SCTP" is not known (there are: TCP, UDP)'),
        (rule("r", ANY, ANY, {"resource_type": "L4"}), '"L4" is no service entry'),
        (rule("r", ANY, ANY) | {"services": ["/infra/services/mine"]}, 'service "/infra/services/mine" is not in the'),
        (rule("r", ANY, ANY) | {"services": ["ANY", "/infra/services/SSH"]}, "ANY stands alone"),
        (rule("r", ANY, ANY, tcp("1"), ip_protocl="IPV4"), 'field is not known; did you mean "ip_protocol"?'),
        (rule("r", ANY, ANY, logged="yes"), "must be true or false"),
    ],
)
def test_mistakes_of_rules(made: Object, message: str) -> None:
    problems = bad(LAB, listed(policy("p", made)))
    assert any(message in problem for problem in problems), problems


def test_all_mistakes_at_once_each_with_its_place() -> None:
    made = policy("p", rule("one", ["gone"], ANY), rule("two", ANY, ANY, tcp("x")), category="Applicaton")
    problems = read(LAB, listed(made))[1]
    assert len(problems) == 3
    assert all(problem.startswith("1.json:") and problem.count(":") >= 4 for problem in problems)
    assert 'did you mean "Application"?' in problems[0]


def test_groups_that_hold_nobody_are_told_with_the_tags_that_exist() -> None:
    empty = group("wbe", tagged("tier|wbe")), group("around", paths(GROUPS + "wbe")), group("known", addresses("::1"))
    made = rule("r", ["wbe", "known"], ANY), rule("scoped", ANY, ANY, scope=[GROUPS + "around"])
    found = good(LAB, listed(*empty, policy("p", *made)))
    assert [line.partition(": ")[2] for line in warnings(model(found), found.where)] == [
        "group wbe: holds no workload and no address (did you mean tag/tier/db or tag/tier/web?)",
        "group around: holds no workload and no address",
        "policy p: rule r: group wbe holds nobody",
        "policy p: rule scoped: group around holds nobody",
    ]


def test_what_cannot_be_read_is_not_missed() -> None:
    broken = group("g") | {"expression": 5}, service("s") | {"service_entries": 3}, segment("n") | {"vlan_ids": 5}
    made = rule("r", ["g", "/infra/segments/n"], ANY, scope=["/infra/segments/n"]) | {"services": ["/infra/services/s"]}
    problems = bad(LAB, listed(*broken, policy("p", made)))
    assert [problem.split(": must be")[0] for problem in problems] == [
        "Group g: expression",
        "Service s: service_entries",
        "Segment n: vlan_ids",
    ]


def test_a_service_that_contains_itself_is_a_mistake() -> None:
    loop = service("a", {"resource_type": "NestedServiceServiceEntry", "nested_service_path": "/infra/services/a"})
    assert bad(listed(loop)) == [
        "Service a: service_entries[0].nested_service_path: service a contains itself; "
        "remove it from one of its nested services"
    ]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([policy("p", tcp_strict=False)], "has tcp_strict off; it is enforced strictly here, as everything is"),
        ([policy("p", category="Ethernet")], "is of category Ethernet, which is not used here"),
        ([policy("a"), policy("b")], "has the sequence number 10, as policy b has"),
        (
            [policy("p", rule("x", ANY, ANY, sequence_number=5), rule("y", ANY, ANY, sequence_number=5))],
            "has the sequence number 5, as rule y of policy p has",
        ),
        ([policy("p", application_connectivity_strategy=[])], 'field "application_connectivity_strategy" of'),
        (
            [
                policy(
                    "p",
                    rule(
                        "r",
                        ANY,
                        ANY,
                        {"resource_type": "ALGTypeServiceEntry", "alg": "FTP", "destination_ports": ["21"]},
                    ),
                )
            ],
            "only the control connection of an ALG is judged",
        ),
    ],
)
def test_what_is_understood_in_part_is_said(made: list[Object], message: str) -> None:
    assert message in warned(good(LAB, listed(*made, default())))


def test_equal_sequence_numbers_are_in_the_model_for_lint() -> None:
    rules = [rule(name, ANY, ANY, sequence_number=5) for name in "yxz"]
    a, b = good(LAB, listed(policy("b"), policy("a", *rules), default())).policies[:2]
    assert (a.tied, b.tied) == ("", "a")
    assert [(one.label, one.tied) for one in a.rules[::2]] == [("y", ""), ("x", "y"), ("z", "x")]


def test_what_is_not_stateful_is_stateless() -> None:
    """And then tcp_strict, which needs a state, says nothing."""
    objects = listed(policy("a", stateful=False, tcp_strict=False), policy("b", stateful=True), default())
    found = good(LAB, objects)
    assert {one.name: one.stateless for one in found.policies}.items() >= {("a", True), ("b", False)}
    assert "strict" not in warned(found)


def test_internal_sequence_numbers_decide_where_every_policy_has_one() -> None:
    a = policy("a", sequence_number=1, internal_sequence_number=900)
    b = policy("b", sequence_number=2, internal_sequence_number=100)

    def order(*policies: Object) -> list[str]:
        found: list[Policy] = list(good(LAB, listed(*policies)).policies)
        return [one.name for one in sorted(found, key=lambda one: (one.priority, one.name))]

    assert order(a, b) == ["b", "a"]
    assert order(a, {key: value for key, value in b.items() if key != "internal_sequence_number"}) == ["a", "b"]


def test_names_are_unique_and_fit_a_comment_of_nft() -> None:
    first = policy("p1", rule('say "hi"', ANY, ANY), display_name="same")
    second = policy(
        "p2",
        rule("r", ANY, ANY, display_name="x", id="1"),
        rule("r", ANY, ANY, display_name="x", id="2"),
        display_name="same",
    )
    found = {one.name: one for one in good(LAB, listed(first, second)).policies}
    assert set(found) == {"same (p1)", "same (p2)"}
    assert found["same (p1)"].rules[0].label == "say 'hi'"
    assert [one.label for one in found["same (p2)"].rules] == ["x (1)", "x (1)", "x (2)", "x (2)"]
