"""A lab file, Kubernetes manifests and an export of NSX as one Model: each may name what another defines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sdn.errors import SpecError
from sdn.model import Flow, Kind, Model, Peer, Placed, Rule, Selector
from sdn.plan.allocate import allocate
from sdn.policy.evaluate import Oracle
from sdn.scheduler import place
from sdn.spec.load import Loaded, load

LAB = """\
lab: together
manifests: [k8s.yaml, nsx.json]
applications:
  shop: {connects: [legacy, cluster], workloads: {web: {}, desk: {}}}
policies:
  - name: only-the-web-front
    tier: admin
    rules:
      - {name: web, action: pass, direction: egress, to: [{groups: [databases]}], only_for: [{workloads: [shop/web]}]}
      - {name: others, action: reject, direction: egress, to: [{groups: [databases]}, {namespaces: [default]}]}
exclusions: [{workloads: [default/cache]}]
"""
K8S = """\
apiVersion: v1
kind: Pod
metadata: {name: cache}
spec: {containers: []}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: only-the-web-front}
spec: {tier: Baseline, priority: 1, subject: {namespaces: {}}}
"""


def export() -> dict[str, Any]:
    group: dict[str, Any] = {"resource_type": "Group", "id": "databases", "display_name": "databases"}
    group |= {"path": "/infra/domains/default/groups/databases"}
    condition = {"resource_type": "Condition", "member_type": "VirtualMachine", "key": "Tag", "operator": "EQUALS"}
    group["expression"] = [condition | {"value": "tier|db"}]
    objects: list[dict[str, Any]] = [
        {"resource_type": "Tier1", "id": "legacy", "display_name": "legacy", "path": "/infra/tier-1s/legacy"},
        {
            "resource_type": "Segment",
            "id": "back",
            "display_name": "back",
            "path": "/infra/segments/back",
            "connectivity_path": "/infra/tier-1s/legacy",
            "subnets": [{"gateway_address": "10.1.2.1/24"}],
        },
        {
            "resource_type": "VirtualMachine",
            "external_id": "1",
            "display_name": "oracle",
            "power_state": "VM_RUNNING",
            "tags": [{"scope": "tier", "tag": "db"}],
        },
        {
            "resource_type": "VirtualNetworkInterface",
            "mac_address": "00:50:56:00:00:01",
            "external_id": "2",
            "owner_vm_id": "1",
            "lport_attachment_id": "3",
            "ip_address_info": [{"source": "VM_TOOLS", "ip_addresses": ["10.1.2.7"]}],
        },
        group,
    ]
    return {"results": objects}


def put(folder: Path, lab: str = LAB) -> Path:
    (folder / "k8s.yaml").write_text(K8S)
    (folder / "nsx.json").write_text(json.dumps(export(), indent=1))
    (folder / "lab.yaml").write_text(lab)
    return folder / "lab.yaml"


def test_all_three_are_one_model(tmp_path: Path) -> None:
    loaded: Loaded = load([put(tmp_path)])
    model = loaded.model
    assert {(one.name, one.kind) for one in model.workloads} == {
        ("web", Kind.POD),
        ("desk", Kind.POD),
        ("cache", Kind.POD),
        ("oracle", Kind.VM),
    }
    assert {one.name for one in model.applications} == {"shop", "legacy", "cluster"}
    assert [one.name for one in model.groups] == ["databases"]
    assert [one.name for one in model.policies] == ["ClusterNetworkPolicy/only-the-web-front", "only-the-web-front"]
    assert model.policies[1].rules[0].peers == (Peer(group="databases"),)
    assert loaded.where["group databases"].startswith(f"{tmp_path}/nsx.json:")


def test_the_rules_hold_across_the_files(tmp_path: Path) -> None:
    model = load([put(tmp_path)]).model
    placed = allocate(model, place(model))
    oracle = Oracle(placed)
    verdicts = {
        (source, target): verdict(oracle, placed, source, target)
        for source in ("web", "desk")
        for target in ("oracle", "cache")
    }
    assert verdicts == {
        ("web", "oracle"): "allow",
        ("web", "cache"): "egress admin only-the-web-front[others]",
        ("desk", "oracle"): "egress admin only-the-web-front[others]",
        ("desk", "cache"): "egress admin only-the-web-front[others]",
    }


def verdict(oracle: Oracle, placed: Placed, source: str, target: str) -> str:
    """`allow`, or the rule that denied it."""
    keys = {workload.name: workload.key for workload in placed.model.workloads}
    address = placed.endpoints[keys[target]].addresses[0]
    (answer,) = oracle.evaluate(Flow(keys[source], address, port=80))
    return "allow" if answer.verdict.allowed else answer.verdict.rule


def test_a_rule_of_nsx_for_everybody_is_for_its_own_machines(tmp_path: Path) -> None:
    """A default that allows would else decide before any policy of Kubernetes is asked."""
    path = put(tmp_path)
    rule = {"resource_type": "Rule", "id": "last", "display_name": "last", "action": "ALLOW", "is_default": True}
    rule |= {"source_groups": ["ANY"], "destination_groups": ["ANY"], "services": ["ANY"], "scope": ["ANY"]}
    policy = {"resource_type": "SecurityPolicy", "id": "default", "display_name": "default", "is_default": True}
    policy |= {"category": "Application", "scope": ["ANY"], "rules": [rule]}
    policy |= {"path": "/infra/domains/default/security-policies/default"}
    made = export()
    made["results"].append(policy)
    (tmp_path / "nsx.json").write_text(json.dumps(made))
    together, alone = load([path]).model, load([tmp_path / "nsx.json"]).model
    own = Selector(applications=("legacy",))
    assert {one.applies_to for one in scopes(together)} == {(own,)}
    assert {one.applies_to for one in scopes(alone)} == {()}


def test_a_lab_may_connect_to_a_network_of_a_manifest(tmp_path: Path) -> None:
    network = "{topology: Layer2, layer2: {role: Primary, subnets: [10.9.0.0/16]}}"
    head = "apiVersion: k8s.ovn.org/v1\nkind: UserDefinedNetwork\nmetadata: {name: net, namespace: blue}\nspec: "
    path = put(tmp_path, LAB.replace("connects: [legacy,", "connects: [blue-net, legacy,"))
    with pytest.raises(SpecError, match='application "blue-net" is not defined'):
        load([path])
    (tmp_path / "k8s.yaml").write_text(f"{K8S}---\n{head}{network}\n")
    assert {one.name for one in load([path]).model.applications} == {"blue-net", "cluster", "legacy", "shop"}


def scopes(model: Model) -> list[Rule]:
    return [rule for policy in model.policies if policy.name == "default" for rule in policy.rules]


def test_an_export_alone_is_a_lab(tmp_path: Path) -> None:
    put(tmp_path)
    model = load([tmp_path / "nsx.json"]).model
    assert model.name == "nsx"
    assert len(model.underlay.hosts) >= 1


def test_a_group_that_nobody_defines_has_its_place(tmp_path: Path) -> None:
    lab = LAB.replace("to: [{groups: [databases]}], only_for", "to: [{groups: [database]}], only_for")
    with pytest.raises(SpecError) as caught:
        load([put(tmp_path, lab)])
    assert [str(problem) for problem in caught.value.problems] == [
        f'{tmp_path}/lab.yaml:9:69: policies[only-the-web-front].rules[web].to[0].groups[0]: group "database" is not '
        'defined (did you mean "databases"? there is: databases)'
    ]
