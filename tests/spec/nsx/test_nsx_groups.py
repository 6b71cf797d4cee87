"""Groups of NSX: whom each documented kind of expression holds, and which groups NSX itself would refuse."""

from __future__ import annotations

from typing import Any

import pytest
from exports import (
    AND,
    GROUPS,
    OR,
    Object,
    addresses,
    bad,
    condition,
    good,
    group,
    groups,
    listed,
    members,
    paths,
    segment,
    t1,
    tagged,
    vif,
    vm,
    warned,
    workloads,
)

from sdn.model import IPBlock, LabelSelector, Operator, Requirement, Selector, Where

VMS = (
    vm("web-1", "tier|web", "env|prod", os="Ubuntu Linux (64-bit)", computer="web-1.example.com"),
    vm("Web-2", "tier|WEB", "env|test", "env|blue", os="Microsoft Windows Server", computer="win2"),
    vm("db-1", "tier|db", "|gold", os="Ubuntu Linux (64-bit)", computer="db1"),
    vm("bare"),
)
NETWORK = (
    t1("shop"),
    segment("front", "10.1.1.1/24", t1="shop", tags=[{"scope": "zone", "tag": "dmz"}]),
    segment("back", "10.1.2.1/24", t1="shop"),
    {
        "resource_type": "SegmentPort",
        "id": "p-db",
        "display_name": "port of db",
        "path": "/infra/segments/back/ports/p-db",
        "attachment": {"id": "att-db-1-0"},
        "tags": [{"scope": "", "tag": "mirrored"}],
    },
)
CARDS = (vif("web-1", "10.1.1.11"), vif("Web-2", "10.1.1.12"), vif("db-1", "10.1.2.21"))
INVENTORY = listed(*VMS, *NETWORK, *CARDS)


def held(*expression: Object) -> list[str]:
    return members("g", INVENTORY, listed(group("g", *expression)))


@pytest.mark.parametrize(
    ("key", "operator", "value", "who"),
    [
        ("Tag", "EQUALS", "tier|web", "web-1 web-2"),
        ("Tag", "EQUALS", "TIER|Web", "web-1 web-2"),  # conditions do not look at case
        ("Tag", "EQUALS", "env|test", "web-2"),  # one of two tags of one scope
        ("Tag", "EQUALS", "|gold", "db-1"),
        ("Tag", "EQUALS", "|prod", "web-1"),  # an empty scope is not looked at
        ("Tag", "EQUALS", "gold", "db-1"),  # without a bar: a tag of any scope
        ("Tag", "EQUALS", "env|", "web-1 web-2"),  # an empty tag is not looked at
        ("Tag", "EQUALS", "env|gold", ""),
        ("Tag", "CONTAINS", "env|l", "web-2"),
        ("Tag", "STARTSWITH", "tier|w", "web-1 web-2"),
        ("Tag", "ENDSWITH", "tier|b", "web-1 web-2 db-1"),
        ("Tag", "NOTEQUALS", "tier|web", "db-1 bare"),
        ("Tag", "IN", "env|test, prod", "web-1 web-2"),
        ("Tag", "NOTIN", "env|test,prod", "db-1 bare"),
        ("Name", "EQUALS", "WEB-2", "web-2"),
        ("Name", "CONTAINS", "-", "web-1 web-2 db-1"),
        ("Name", "STARTSWITH", "web", "web-1 web-2"),
        ("Name", "ENDSWITH", "1", "web-1 db-1"),
        ("Name", "NOTEQUALS", "web-1", "web-2 db-1 bare"),
        ("Name", "MATCHES", "(web|db)-1", "web-1 db-1"),
        ("OSName", "CONTAINS", "linux", "web-1 db-1"),
        ("OSName", "EQUALS", "microsoft windows server", "web-2"),
        ("ComputerName", "ENDSWITH", ".example.com", "web-1"),
        ("ComputerName", "NOTEQUALS", "db1", "web-1 web-2 bare"),
    ],
)
def test_a_condition_on_virtual_machines(key: str, operator: str, value: str, who: str) -> None:
    assert held(condition(key, operator, value)) == sorted(who.split())


def test_a_scope_may_be_negated() -> None:
    assert held(condition("Tag", "EQUALS", "env|web", scope_operator="NOTEQUALS")) == ["web-1", "web-2"]
    assert held(condition("Tag", "EQUALS", "tier|web", scope_operator="NOTEQUALS")) == []


@pytest.mark.parametrize(
    ("member", "key", "operator", "value", "who"),
    [
        ("Segment", "Tag", "EQUALS", "zone|dmz", "web-1 web-2"),
        ("Segment", "Name", "STARTSWITH", "ba", "db-1"),
        ("SegmentPort", "Tag", "EQUALS", "|mirrored", "db-1"),
        ("SegmentPort", "Name", "CONTAINS", "of db", "db-1"),
    ],
)
def test_a_condition_on_what_vms_are_plugged_into(member: str, key: str, operator: str, value: str, who: str) -> None:
    assert held(condition(key, operator, value, member)) == who.split()


WEB, DB, PROD, TEST = tagged("tier|web"), tagged("tier|db"), tagged("env|prod"), tagged("env|test")


@pytest.mark.parametrize(
    ("expression", "who"),
    [
        ([], ""),
        ([WEB, AND, PROD], "web-1"),
        ([WEB, OR, DB], "web-1 web-2 db-1"),
        ([DB, OR, WEB, AND, TEST], "web-2"),  # from left to right: (db or web) and test
        ([WEB, AND, TEST, OR, DB], "web-2 db-1"),
        ([{"resource_type": "NestedExpression", "expressions": [WEB, AND, PROD]}, OR, DB], "web-1 db-1"),
        ([{"resource_type": "NestedExpression", "expressions": [WEB, AND, condition("Name", "EQUALS", "x")]}], ""),
        ([paths("/infra/segments/front")], "web-1 web-2"),
        ([paths("/infra/segments/back/ports/p-db")], "db-1"),
        ([paths("/infra/realized-state/enforcement-points/default/virtual-machines/id-bare")], "bare"),
        ([paths(GROUPS + "inner")], "db-1"),
        ([WEB, OR, paths(GROUPS + "inner")], "web-1 web-2 db-1"),
        ([DB, OR, paths("/infra/segments/front"), OR, PROD], "web-1 web-2 db-1"),
        ([{"resource_type": "ExternalIDExpression", "external_ids": ["id-bare", "id-db-1"]}], "bare db-1"),
        (
            [
                {
                    "resource_type": "ExternalIDExpression",
                    "member_type": "VirtualNetworkInterface",
                    "external_ids": ["vif-db-1-0"],
                }
            ],
            "db-1",
        ),
        ([condition("Name", "EQUALS", "inner", "Group")], "db-1"),
        ([addresses("10.1.1.0/24")], ""),  # addresses are no members: they never carry an applied-to
    ],
)
def test_expressions_joined(expression: list[Object], who: str) -> None:
    assert members("g", INVENTORY, listed(group("g", *expression), group("inner", DB))) == sorted(who.split())


def test_addresses_of_every_form() -> None:
    found = groups(good(listed(group("g", addresses("10.0.0.1", "10.2.0.0/16", "10.0.0.4-10.0.0.6", "fd00::/64")))))
    assert set(found["g"].blocks) == {
        IPBlock(text) for text in ("10.0.0.1/32", "10.2.0.0/16", "10.0.0.4/31", "10.0.0.6/32", "fd00::/64")
    }


def test_nested_groups_keep_their_addresses() -> None:
    found = groups(good(listed(group("outer", paths(GROUPS + "inner")), group("inner", addresses("10.0.0.1")))))
    assert found["outer"].within == ("inner",)
    assert found["outer"].blocks == ()


def test_a_tag_is_a_label_so_a_group_stays_true_when_tags_change() -> None:
    found = good(INVENTORY, listed(group("g", tagged("Env|Prod"))))
    wanted = LabelSelector(expressions=(Requirement("tag/env/prod", Operator.EXISTS),))
    assert groups(found)["g"].members == Where(Selector(labels=wanted))
    assert [key for key in workloads(found)["web-2"].labels if key.startswith("tag/")] == [
        "tag/env/blue",
        "tag/env/test",
        "tag/tier/web",
    ]


def test_scopes_and_tags_with_slashes_are_told_apart() -> None:
    found = workloads(good(listed(vm("a", "x/y|z"), vm("b", "x|y/z"))))
    assert "tag/x%2Fy/z" in found["a"].labels
    assert "tag/x/y%2Fz" in found["b"].labels


def test_groups_of_one_name_are_told_apart_by_their_ids() -> None:
    found = groups(good(listed(group("a", display_name="same"), group("b", display_name="same"), group("c"))))
    assert set(found) == {"same (a)", "same (b)", "c"}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ([WEB, AND], "has an even number of elements; join each two by one ConjunctionOperator"),
        ([WEB, DB, PROD], '"Condition" stands where a ConjunctionOperator must; join by AND or OR'),
        ([OR, WEB, OR], "is a ConjunctionOperator where a condition must be"),
        ([WEB, *[OR, DB] * 5], "has 6 conditions, NSX takes 5; nest groups"),
        ([WEB, AND, addresses("10.0.0.1")], "joins by AND what is no condition"),
        ([WEB, AND, condition("Name", "EQUALS", "x", "Segment")], "joins conditions of different member types by AND"),
        ([{"resource_type": "ConjunctionOperatr"}], '"ConjunctionOperatr" is no expression'),
        ([WEB, {"resource_type": "ConjunctionOperator", "conjunction_operator": "XOR"}, DB], '"XOR" joins nothing'),
        ([{"resource_type": "NestedExpression", "expressions": [WEB, OR, DB]}], "is no AND"),
        (
            [{"resource_type": "NestedExpression", "expressions": [WEB, *[AND, DB] * 5]}],
            "has 6 conditions, NSX takes 5",
        ),
        ([{"resource_type": "NestedExpression", "expressions": [paths()]}], "is no Condition"),
        ([condition("Tags", "EQUALS", "a|b")], '"Tags" is no key of a VirtualMachine'),
        ([condition("Tag", "EQUAL", "a|b")], 'did you mean "EQUALS"?'),
        ([condition("Tag", "EQUALS", "|")], "is empty; write"),
        ([condition("Name", "MATCHES", "(")], "is no regular expression"),
        ([condition("Name", "EQUALS", "x", "VirtualMachines")], 'did you mean "VirtualMachine"?'),
        ([condition("Name", "EQUALS", "x", vlaue="y")], "field"),
        ([addresses("10.0.0.9-10.0.0.1")], "is no address; write 10.0.0.1"),
        ([addresses("web")], "is no address; write 10.0.0.1"),
        ([paths(GROUPS + "webb")], f'group "{GROUPS}webb" is not in the export; did you mean "web"?'),
        ([paths(GROUPS + "web")], "groups hold one another in a circle (web → web)"),
        ([{"resource_type": "Condition", "key": "Tag"}], '"member_type" is missing; add it'),
        ([addresses(*[f"10.0.{n // 250}.{n % 250}" for n in range(501)])], "has 501 members, NSX takes 500"),
    ],
)
def test_what_nsx_would_refuse(expression: list[Object], message: str) -> None:
    if message == "field":
        assert "vlaue" in warned(good(listed(group("web", *expression))))
        return
    problems = bad(listed(group("web", *expression)))
    assert any(message in problem for problem in problems), problems


def test_groups_that_hold_one_another_are_a_mistake() -> None:
    found = bad(
        listed(group("a", paths(GROUPS + "b")), group("b", paths(GROUPS + "c")), group("c", paths(GROUPS + "a")))
    )
    assert found == ["Group a: groups hold one another in a circle (a → b → c → a); remove one of them"]


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (
            {"resource_type": "MACAddressExpression", "mac_addresses": ["00:50:56:00:00:01"]},
            "MAC addresses are not known",
        ),
        ({"resource_type": "IdentityGroupExpression", "identity_groups": []}, "users' groups of a directory are not"),
        (condition("Tag", "EQUALS", "a|b", "Pod"), "conditions on Pod are not known here"),
        (paths("/infra/segments/gone"), "/infra/segments/gone is not in the export; it has no members"),
        (
            {"resource_type": "ExternalIDExpression", "external_ids": ["gone"]},
            "VirtualMachine gone is not in the export",
        ),
    ],
)
def test_what_nobody_can_be_is_said(element: Object, message: str) -> None:
    answers: tuple[Any, ...] = (INVENTORY, listed(group("g", element)))
    assert message in warned(good(*answers))
    assert members("g", *answers) == []


def test_mixed_and_and_or_are_said() -> None:
    assert "read from left to right" in warned(good(listed(group("g", WEB, AND, PROD, OR, DB))))
