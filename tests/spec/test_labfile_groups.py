"""Groups, exclusions and everything that a rule of a lab file may say besides whom and which ports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from sdn.errors import SpecError
from sdn.model import (
    Action,
    AllOf,
    AnyOf,
    Direction,
    Expression,
    Group,
    IPBlock,
    Kind,
    LabelSelector,
    Model,
    Operator,
    Peer,
    Requirement,
    Rule,
    Selector,
    Where,
)
from sdn.spec.load import load

Load = Callable[[str], Model]
BASE = """\
lab: test
applications:
  shop: {workloads: {web: {replicas: 2, labels: {app: web}}, db: {kind: vm}}}
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Reads what follows an application with web-0, web-1 and the VM db."""
    monkeypatch.chdir(tmp_path)

    def read(body: str) -> Model:
        Path("lab.yaml").write_text(BASE + dedent(body))
        return load([Path("lab.yaml")]).model

    return read


def refused(lab: Load, body: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        lab(body)
    return [str(problem) for problem in caught.value.problems]


WEB = Where(Selector(labels=LabelSelector((("app", "web"),))))
VMS = Where(Selector(kind=Kind.VM))

GROUPS: dict[str, tuple[str, Expression | None]] = {
    "labels": ("labels: {app: web}", WEB),
    "several-fields-are-and": ("kind: pod, name: 'web-*'", Where(Selector(kind=Kind.POD, name="web-*"))),
    "any": ("any: [{kind: vm}, {labels: {app: web}}]", AnyOf((WEB, VMS))),
    "all": ("all: [{kind: vm}, {labels: {app: web}}]", AllOf((WEB, VMS))),
    "fields-beside-any-must-match-too": (
        "kind: vm, any: [{labels: {app: web}}, {all: [{kind: vm}]}]",
        AllOf((VMS, AnyOf((AllOf((VMS,)), WEB)))),
    ),
    "members-of-a-group": ("groups: [other]", Where(Selector(groups=("other",)))),
    "addresses-alone-hold-no-workload": ("addresses: [10.0.0.0/8]", None),
    "sensitivity": ("sensitivity: high", Where(Selector(labels=LabelSelector((("sensitivity", "high"),))))),
    "sensitivities": (
        "sensitivity: [low, high]",
        Where(
            Selector(
                labels=LabelSelector(expressions=(Requirement("sensitivity", Operator.IN, ("high", "low")),)),
            )
        ),
    ),
    "replicas": ("workloads: [shop/web]", Where(Selector(keys=("shop/web-0", "shop/web-1")))),
    "one-replica": ("workloads: [shop/web-1, shop/db]", Where(Selector(keys=("shop/db", "shop/web-1")))),
    "place": (
        "applications: [shop], segments: [default]",
        Where(Selector(applications=("shop",), segments=("default",))),
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_who_is_in_a_group(lab: Load, name: str) -> None:
    written, members = GROUPS[name]
    found = {one.name: one for one in lab(f"groups: {{it: {{{written}}}, other: {{kind: vm}}}}").groups}
    assert found["it"].members == members
    assert found["it"].within == ()


def test_addresses_and_whole_groups_are_added_to_a_group(lab: Load) -> None:
    body = """
        groups:
          office: {addresses: [203.0.113.0/24, {address: "fd00::/8", except: ["fd00:1::/32"]}]}
          all: {kind: vm, include: [office], addresses: [192.0.2.1]}
    """
    every, office = lab(body).groups
    assert every == Group("all", VMS, (IPBlock("192.0.2.1/32"),), ("office",))
    assert office == Group("office", None, (IPBlock("203.0.113.0/24"), IPBlock("fd00::/8", ("fd00:1::/32",))))


RULES: dict[str, tuple[str, Rule]] = {
    "a-group-alone-stands-for-its-addresses-too": (
        "direction: ingress, from: [{groups: [b, a]}]",
        Rule(Action.ALLOW, Direction.INGRESS, (Peer(group="a"), Peer(group="b"))),
    ),
    "a-group-beside-another-field-for-its-members": (
        "direction: egress, to: [{groups: [a], kind: vm}]",
        Rule(Action.ALLOW, Direction.EGRESS, (Peer(Selector(kind=Kind.VM, groups=("a",))),)),
    ),
    "everybody-but": (
        "direction: ingress, not_from: [{kind: vm}]",
        Rule(Action.ALLOW, Direction.INGRESS, (Peer(Selector(kind=Kind.VM)),), peers_excluded=True),
    ),
    "everybody-but-as-destination": (
        "direction: egress, not_to: [{address: 10.0.0.0/8}]",
        Rule(Action.ALLOW, Direction.EGRESS, (Peer(ip_block=IPBlock("10.0.0.0/8")),), peers_excluded=True),
    ),
    "only-for": (
        "direction: ingress, only_for: [{address: 10.0.0.0/8}]",
        Rule(Action.ALLOW, Direction.INGRESS, own=(Peer(ip_block=IPBlock("10.0.0.0/8")),)),
    ),
    "not-for": (
        "direction: ingress, not_for: [{groups: [a]}]",
        Rule(Action.ALLOW, Direction.INGRESS, own=(Peer(group="a"),), own_excluded=True),
    ),
    "applies-to": (
        "direction: ingress, applies_to: [{kind: vm}]",
        Rule(Action.ALLOW, Direction.INGRESS, applies_to=(Selector(kind=Kind.VM),)),
    ),
    "name-and-log": (
        "direction: ingress, name: web to db, log: true",
        Rule(Action.ALLOW, Direction.INGRESS, label="web to db", log=True),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_what_a_rule_says(lab: Load, name: str) -> None:
    written, expected = RULES[name]
    body = f"policies: [{{name: p, rules: [{{action: allow, {written}}}]}}]"
    groups = "groups: {a: {kind: vm}, b: {kind: pod}}\n"
    assert lab(groups + body).policies[0].rules == (expected,)


@pytest.mark.parametrize("tier", ["admin", "baseline"])
def test_the_tiers_of_kubernetes_are_open_to_a_lab(lab: Load, tier: str) -> None:
    body = f"policies: [{{name: p, tier: {tier}, rules: [{{action: deny, direction: ingress}}]}}]"
    assert lab(body).policies[0].tier == tier


def test_exclusions(lab: Load) -> None:
    found = lab("groups: {a: {kind: vm}}\nexclusions: [{groups: [a]}, {workloads: [shop/web-0]}]").exclusions
    assert found == (Selector(keys=("shop/web-0",)), Selector(groups=("a",)))


def test_a_workload_of_a_manifest_is_looked_up_when_all_is_known(lab: Load) -> None:
    Path("k.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: cache}\nspec: {containers: []}\n")
    body = "manifests: [k.yaml]\nexclusions: [{workloads: [default/%s]}]"
    assert lab(body % "cache").exclusions == (Selector(keys=("default/cache",)),)
    (line,) = refused(lab, body % "cash")
    assert 'workload "default/cash", which is not defined' in line
    assert 'did you mean "default/cache"?' in line


def test_a_circle_through_expressions_is_found(lab: Load) -> None:
    found = refused(lab, "groups:\n  b: {any: [{kind: vm}, {groups: [a]}]}\n  a: {include: [b]}\n  c: {groups: [b]}\n")
    assert found == ["lab.yaml:6:3: groups.a: contains itself (a → b → a); remove one of these steps"]
