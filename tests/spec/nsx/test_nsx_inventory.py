"""Networks and VMs of NSX: segments, gateways, network cards, addresses, and exports that lack some of them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from exports import (
    Object,
    World,
    bad,
    condition,
    default,
    good,
    group,
    listed,
    members,
    model,
    policy,
    rule,
    segment,
    t1,
    tagged,
    vif,
    vm,
    warned,
    workloads,
)

from sdn.model import Kind
from sdn.spec import nsx
from sdn.spec.check import check
from sdn.spec.parts import LabParts
from sdn.spec.source import Document


def applications(found: LabParts) -> dict[str, dict[str, tuple[str, ...]]]:
    """Application → Segment → prefixes."""
    return {one.name: {segment.name: segment.subnets for segment in one.segments} for one in found.applications}


def connected(found: LabParts) -> set[frozenset[str]]:
    return {frozenset((one.name, other)) for one in found.applications for other in one.connects}


def test_a_gateway_and_its_segments_are_an_application() -> None:
    found = good(
        listed(
            t1("shop"),
            segment("Front End", "10.1.1.1/24", "fd00:1::1/64", t1="shop"),
            segment("back", "10.1.2.1/24", t1="shop"),
            vm("Web 01", "env|prod", os="Ubuntu", computer="web.example.com"),
            vif("Web 01", "10.1.1.11", "fd00:1::11"),
        )
    )
    assert applications(found) == {
        "shop": {"front-end": ("10.1.1.0/24", "fd00:1::/64"), "back": ("10.1.2.0/24",)},
    }
    web = workloads(found)["web-01"]
    assert (web.key, web.kind, web.segment, web.ip) == (
        "shop/web-01",
        Kind.VM,
        "front-end",
        ("10.1.1.11", "fd00:1::11"),
    )
    assert web.labels == {
        "nsx/computer": "web.example.com",
        "nsx/name": "Web 01",
        "nsx/os": "Ubuntu",
        "tag/env/prod": "",
    }
    assert found.where["workload shop/web-01"].startswith("0.json:")


TWO = (segment("a", "10.1.0.1/24", t1="one"), segment("b", "10.2.0.1/24", t1="two"))


@pytest.mark.parametrize(
    ("gateways", "joined", "said"),
    [
        ([t1("one"), t1("two")], True, ""),
        ([t1("one"), t1("two", t0="south")], False, ""),
        ([t1("one"), t1("two", t0="")], False, "has no tier0_path"),
        ([t1("one"), t1("two", route_advertisement_types=["TIER1_CONNECTED"])], True, ""),
        ([t1("one"), t1("two", route_advertisement_types=["TIER1_NAT"])], False, "does not advertise its segments"),
        ([t1("one")], True, "its gateway /infra/tier-1s/two is not in the export"),
        ([], True, "is not in the export"),
    ],
)
def test_gateways_of_one_t0_reach_one_another(gateways: list[Object], joined: bool, said: str) -> None:
    found = good(listed(*gateways, *TWO))
    assert connected(found) == ({frozenset(("one", "two"))} if joined else set())
    assert said in warned(found)


def test_segments_below_a_gateway_and_of_a_t0() -> None:
    below = segment("a", "10.1.0.1/24", path="/infra/tier-1s/shop/segments/a")
    above = segment("b", "10.2.0.1/24", connectivity_path="/infra/tier-0s/north")
    north = {"resource_type": "Tier0", "id": "north", "display_name": "North", "path": "/infra/tier-0s/north"}
    found = good(listed(t1("shop"), below, above, north))
    assert set(applications(found)) == {"shop", "north"}
    assert connected(found) == {frozenset(("shop", "north"))}


def test_a_segment_without_a_gateway_is_a_network_of_its_own() -> None:
    found = good(listed(t1("shop"), segment("a", "10.1.0.1/24", t1="shop"), segment("lonely", "10.9.0.1/24")))
    assert connected(found) == set()
    assert "has no connectivity_path, so no other network reaches it" in warned(found)


def test_a_vlan_is_routed_by_the_physical_network_and_gets_a_prefix_around_its_addresses() -> None:
    vlan = segment("vlan-7", vlan_ids=["7"], subnets=[])
    port = {
        "resource_type": "SegmentPort",
        "id": "p",
        "path": "/infra/segments/vlan-7/ports/p",
        "attachment": {"id": "att-old-0"},
    }
    found = good(
        listed(t1("shop"), segment("a", "10.1.0.1/24", t1="shop"), vlan, port, vm("old"), vif("old", "192.0.2.1"))
    )
    old = workloads(found)["old"]
    assert old.ip == ("192.0.2.1",)
    # A wider prefix than /24, or the VM would have the gateway's address.
    assert applications(found)["vlan-7"] == {"vlan-7": ("192.0.0.0/22",)}
    assert connected(found) == {frozenset(("shop", "vlan-7"))}


def test_two_prefixes_of_one_family_are_two_segments() -> None:
    double = segment("a", "10.1.0.1/24", "10.2.0.1/24", t1="shop", tags=[{"scope": "", "tag": "dmz"}])
    answers = (
        listed(t1("shop"), double, vm("x"), vif("x", "10.1.0.5"), vm("y"), vif("y", "10.2.0.5")),
        listed(group("g", {"resource_type": "PathExpression", "paths": ["/infra/segments/a"]})),
    )
    found = good(*answers)
    assert applications(found) == {"shop": {"a": ("10.1.0.0/24",), "a-2": ("10.2.0.0/24",)}}
    assert [workload.segment for workload in found.workloads] == ["a", "a-2"]
    assert members("g", *answers) == ["x", "y"]


def test_every_network_card_is_judged_for_itself() -> None:
    answers = (
        listed(
            t1("shop"),
            segment("front", "10.1.0.1/24", t1="shop", tags=[{"scope": "", "tag": "dmz"}]),
            segment("back", "10.2.0.1/24", t1="shop"),
            vm("proxy", "|x"),
            vif("proxy", "10.1.0.5"),
            vif("proxy", "10.2.0.5", number=1),
        ),
        listed(group("vm", tagged("|x")), group("dmz", condition("Tag", "EQUALS", "|dmz", "Segment"))),
    )
    assert members("vm", *answers) == ["proxy", "proxy-2"]
    assert members("dmz", *answers) == ["proxy"]
    assert [workload.ip for workload in good(*answers).workloads] == [("10.1.0.5",), ("10.2.0.5",)]


def test_a_gateway_that_is_not_the_first_address_is_said() -> None:
    found = good(listed(t1("shop"), segment("a", "10.1.0.254/24", t1="shop"), vm("x"), vif("x", "10.1.0.1")))
    assert "its gateway is 10.1.0.254/24, here it is 10.1.0.1, the first address" in warned(found)
    assert "1 addresses of VMs are not kept" in warned(found)
    assert workloads(found)["x"].ip == ()


def test_an_export_without_networks_still_answers() -> None:
    """Groups, policies and tagged VMs alone: everybody reaches everybody as far as policy lets them."""
    asked = World(
        listed(vm("web", "tier|web"), vm("db", "tier|db"), vm("new")),
        listed(vif("web", "10.1.1.11"), vif("db", "10.9.9.1")),
        listed(group("web", tagged("tier|web")), group("db", tagged("tier|db"))),
        listed(policy("p", rule("r", ["web"], ["db"], action="DROP")), default()),
    )
    assert {name: one.ip for name, one in workloads(asked.parts).items()} == {
        "web": ("10.1.1.11",),
        "db": ("10.9.9.1",),
        "new": (),
    }
    assert asked.ask("web → db:80") == "deny by egress application p[r]"
    assert asked.ask("new → db:80") == "allow"
    assert asked.ask("db → new:80") == "allow"
    assert "no interface of it is known" in warned(asked.parts)


def test_vms_whose_addresses_nobody_knows_take_part() -> None:
    found = good(listed(t1("shop"), segment("a", "10.1.0.1/24", t1="shop"), *(vm(f"vm{n}") for n in range(300))))
    assert len(found.workloads) == 300
    assert applications(found)["nsx"] == {"unknown": ("100.64.0.0/23",)}
    assert connected(found) == {frozenset(("nsx", "shop"))}


def test_overlapping_networks_keep_the_unknown_apart() -> None:
    found = good(listed(t1("one"), t1("two", t0="south"), TWO[0], TWO[1] | {"subnets": TWO[0]["subnets"]}, vm("x")))
    assert connected(found) == set()
    assert "addresses could not be told apart" in warned(found)


def test_vlans_with_the_same_addresses_are_not_joined() -> None:
    vlans = (segment("a", "10.1.0.1/24", vlan_ids=["1"]), segment("b", "10.1.0.1/24", vlan_ids=["2"]))
    assert connected(good(listed(*vlans))) == set()


def test_stopped_cards_and_second_addresses() -> None:
    """A card that is not plugged in is no vNIC; of two addresses of a family the first counts, and that is said."""
    unplugged = vif("x", "10.1.0.9", number=1) | {"lport_attachment_id": ""}
    found = good(
        listed(t1("s"), segment("a", "10.1.0.1/24", t1="s"), vm("x"), vif("x", "10.1.0.5", "10.1.0.6"), unplugged)
    )
    assert [workload.ip for workload in found.workloads] == [("10.1.0.5",)]
    assert "10.1.0.6 of x" in warned(found)


TREE: Object = {
    "resource_type": "Infra",
    "id": "infra",
    "connectivity_strategy": "NONE",
    "children": [
        {
            "resource_type": "ChildDomain",
            "Domain": {
                "resource_type": "Domain",
                "id": "default",
                "children": [
                    {
                        "resource_type": "ChildGroup",
                        "Group": {
                            "resource_type": "Group",
                            "id": "web",
                            "expression": [tagged("tier|web")],
                        },
                    },
                    {
                        "resource_type": "ChildGroup",
                        "marked_for_delete": True,
                        "Group": {"resource_type": "Group", "id": "gone", "expression": [{"resource_type": "?"}]},
                    },
                    {
                        "resource_type": "ChildSecurityPolicy",
                        "SecurityPolicy": {
                            "resource_type": "SecurityPolicy",
                            "id": "p",
                            "category": "Application",
                            "children": [
                                {
                                    "resource_type": "ChildRule",
                                    "Rule": {
                                        "resource_type": "Rule",
                                        "id": "no-web",
                                        "action": "DROP",
                                        "source_groups": ["/infra/domains/default/groups/web"],
                                        "destination_groups": ["ANY"],
                                        "services": ["/infra/services/odd"],
                                        "scope": ["ANY"],
                                    },
                                }
                            ],
                        },
                    },
                ],
            },
        },
        {
            "resource_type": "ChildService",
            "Service": {
                "resource_type": "Service",
                "id": "odd",
                "children": [
                    {
                        "resource_type": "ChildServiceEntry",
                        "ServiceEntry": {
                            "resource_type": "L4PortSetServiceEntry",
                            "id": "e",
                            "l4_protocol": "UDP",
                            "destination_ports": ["7777"],
                        },
                    }
                ],
            },
        },
        {
            "resource_type": "ChildTier1",
            "Tier1": {
                "resource_type": "Tier1",
                "id": "shop",
                "tier0_path": "/infra/tier-0s/north",
                "children": [
                    {
                        "resource_type": "ChildSegment",
                        "Segment": {
                            "resource_type": "Segment",
                            "id": "net",
                            "subnets": [{"gateway_address": "10.1.0.1/24", "network": "10.1.0.0/24"}],
                        },
                    },
                    {"resource_type": "ChildLocaleServices", "LocaleServices": {"resource_type": "LocaleServices"}},
                ],
            },
        },
    ],
}
VMS = listed(vm("web", "tier|web"), vif("web", "10.1.0.11"), vm("db"), vif("db", "10.1.0.12"))


def test_the_tree_of_the_whole_infra() -> None:
    asked = World(TREE, VMS)
    assert asked.ask("web → db:7777/udp") == "deny by egress application p[no-web]"
    assert asked.ask("web → db:7778/udp") == "allow"
    assert asked.keys == {"web": "shop/web", "db": "shop/db"}
    assert "not used here: LocaleServices (1)" in asked.parts.warnings


@pytest.mark.parametrize(
    "answers",
    [
        [[TREE, VMS]],
        [{"infra": TREE, "fabric": VMS}],
        [{"tree": [TREE], "vms": VMS["results"]}],
    ],
    ids=["a list of answers", "answers by name", "objects by name"],
)
def test_several_answers_in_one_file(answers: list[Any]) -> None:
    assert model(good(*answers)) == model(good(TREE, VMS))


def test_references_in_a_tree_stand_for_their_parents() -> None:
    """A part of a tree, as it is sent to NSX to change it."""
    part = {
        "resource_type": "Infra",
        "children": [
            {
                "resource_type": "ChildResourceReference",
                "id": "default",
                "target_type": "Domain",
                "children": TREE["children"][0]["Domain"]["children"][:1],
            }
        ],
    }
    assert [one.name for one in good(part).groups] == ["web"]
    assert good(part).groups == good(TREE).groups


def test_the_order_of_an_export_does_not_matter() -> None:
    objects = [
        t1("shop"),
        *TWO,
        *(vm(f"vm{n}", "a|b") for n in range(5)),
        *(vif(f"vm{n}", f"10.1.0.1{n}") for n in range(4)),
        group("g", tagged("a|b")),
        policy("p", rule("r", ["g"], ["ANY"])),
        default(),
    ]
    first = model(good(listed(*objects)))
    for seed in range(3):
        random.Random(seed).shuffle(objects)
        assert model(good(listed(*objects))) == first


def test_the_same_object_twice() -> None:
    assert warned(good(listed(group("a")), listed(group("a")))) == ""
    changed = good(listed(group("a")), listed(group("a", tagged("x|y"))))
    assert "is replaced by 1.json:3; the later one counts" in warned(changed)
    assert changed.groups[0].members is not None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (listed({"resource_type": "Group", "expression": []}), '"id" is missing; add it'),
        (listed({"resource_type": "VirtualMachine", "display_name": "x"}), '"external_id" is missing; add it'),
        (listed(segment("a", "10.1.0.1")), '"10.1.0.1" is no gateway address; write the address with its prefix'),
        (listed(vm("x"), vif("x", "10.1.0")), '"10.1.0" is no IP address'),
        (listed("x"), 'is no object of NSX but the text "x"; leave it out'),
        (listed({"id": "x"}), 'has no "resource_type"; add it, or leave the object out'),
        (listed(segment("a") | {"connectivity_pth": "/infra/tier-1s/a"}), 'did you mean "connectivity_path"?'),
        (listed(segment("a") | {"subnets": [{"gateway_adress": "10.1.0.1/24"}]}), 'did you mean "gateway_address"?'),
        (listed({"resource_type": "ChildGroup"}), '"Group" is missing in this ChildGroup; add it'),
        (listed(policy("p") | {"rules": {}}), "must be a list, not a mapping"),
        (listed(policy("p") | {"rules": ["x"]}), 'must be a mapping, not the text "x"'),
    ],
)
def test_mistakes_of_an_export(answer: Object, message: str) -> None:
    problems = bad(answer)
    assert any(message in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (TREE, True),
        ({"results": [], "result_count": 0}, True),
        ([VMS, TREE], True),
        ({"groups": listed(), "vms": VMS}, True),
        ({"lab": "x", "applications": {}}, False),
        ({"apiVersion": "v1", "kind": "List", "items": []}, False),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {}}, False),
        ({}, False),
        ([], False),
        ({"a": {"b": 1}}, False),
        ({"rules": [], "groups": []}, False),
    ],
)
def test_what_is_an_export(data: Any, is_one: bool) -> None:
    assert nsx.is_nsx(Document("x.json", 0, data)) is is_one


def test_cards_need_no_more_than_their_vm() -> None:
    bare = [{"resource_type": "VirtualNetworkInterface", "owner_vm_id": "id-web"}]
    bare += [one | {"lport_attachment_id": f"port-{n}"} for n, one in enumerate(bare * 2)]
    found = good(listed(vm("web"), *(one | {"ip_address_info": []} for one in bare)))
    assert sorted(workloads(found)) == ["web", "web-2"]  # the one that is not plugged in is no workload


def test_fields_that_only_look_alike_are_no_mistakes() -> None:
    gateway = t1("shop", route_advertisement_rules=[], type="ROUTED", arp_limit=5000)
    assert good(listed(gateway, segment("a", "10.1.0.1/24", t1="shop", admin_state="UP"))).applications


def test_a_segment_in_the_usual_range_of_services() -> None:
    found = good(listed(t1("shop"), segment("a", "10.96.3.1/24", t1="shop")))
    assert found.service_prefixes == ("100.64.0.0/17", "fd00:10:96::/112")
    assert check(model(found), [found.where]) == []
    assert good(listed(t1("shop"), segment("a", "10.97.3.1/24", t1="shop"))).service_prefixes == ()


def test_unknown_fields_are_named_once_for_each_kind() -> None:
    """Also inside of what is read; those that the schema has and that say nothing here are not."""
    one = vm("one") | {"colour": "red", "power_state": "VM_RUNNING", "_revision": 3}
    other = vm("other") | {"colour": "blue", "guest_info": {"os_name": "Linux", "kernel": "6"}}
    told = warned(good(listed(one, other, segment("web", "10.1.1.1/24", shape="round")))).splitlines()
    end = " is not known and not used here"
    assert [line.partition(": ")[2].removesuffix(end) for line in told if end in line] == [
        'VirtualMachine one: field "colour" of VirtualMachine is not known and not used here (2 times in all)',
        'VirtualMachine other: field "kernel" of VirtualMachine guest_info',
        'Segment web: field "shape" of Segment',
    ]
