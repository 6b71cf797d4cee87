"""ClusterNetworkPolicy and its v1alpha1 ancestors: what they become, what is refused, what fails closed (19 to 26)."""

# ruff: noqa: E501 - golden texts are easier to compare in one line

from __future__ import annotations

from textwrap import indent

import pytest
from manifests import errors, good, parts

from sdn.model import (
    Action,
    Direction,
    IPBlock,
    Kind,
    LabelSelector,
    Operator,
    Peer,
    Policy,
    PortRange,
    Protocol,
    Requirement,
    Rule,
    Selector,
)
from sdn.spec.parts import LabParts

CNP = "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: c}\nspec:\n"
ANP = "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: a}\nspec:\n"
BANP = "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: BaselineAdminNetworkPolicy\nmetadata: {name: default}\nspec:\n"
ALL = "subject: {namespaces: {}}\n"
ADMIN = "tier: Admin\npriority: 5\n" + ALL
PODS = Selector(namespace_labels=LabelSelector(), kind=Kind.POD)
EVERY_POD = Peer(selector=PODS)
IN, OUT = Direction.INGRESS, Direction.EGRESS


def text(head: str, spec: str) -> str:
    return head + indent(spec, "  ")


def policy(head: str, spec: str) -> Policy:
    (found,) = good(text(head, spec)).policies
    return found


def test_everything_that_a_cluster_policy_says() -> None:
    found = policy(
        CNP,
        """tier: Admin
priority: 0
subject:
  pods:
    namespaceSelector: {matchLabels: {env: prod}}
    podSelector: {matchExpressions: [{key: role, operator: In, values: [db]}]}
egress:
- name: to the office
  action: Accept
  to: [{networks: [10.1.2.3/8, 'fd00::/8']}, {namespaces: {matchLabels: {a: b}}}]
  protocols: [{tcp: {destinationPort: {number: 443}}}, {udp: {destinationPort: {range: {start: 1, end: 9}}}}]
- {action: Deny, to: [{namespaces: {}}], protocols: [{sctp: {}}]}
ingress:
- {action: Pass, from: [{pods: {podSelector: {}}}], protocols: [{destinationNamedPort: web}]}
""",
    )
    database = LabelSelector(expressions=(Requirement("role", Operator.IN, ("db",)),))
    assert (found.name, found.tier, found.priority) == ("c", "admin", 0)
    assert found.applies_to == (Selector(database, LabelSelector((("env", "prod"),)), kind=Kind.POD),)
    named = tuple(PortRange(protocol, "web") for protocol in (Protocol.TCP, Protocol.UDP, Protocol.SCTP))
    spaces = Peer(selector=Selector(namespace_labels=LabelSelector((("a", "b"),)), kind=Kind.POD))
    office = (Peer(ip_block=IPBlock("10.0.0.0/8")), Peer(ip_block=IPBlock("fd00::/8")), spaces)
    assert found.rules == (
        Rule(Action.PASS, IN, (Peer(selector=Selector(labels=LabelSelector(), kind=Kind.POD)),), named, label="0"),
        Rule(
            Action.ALLOW,
            OUT,
            office,
            (PortRange(Protocol.TCP, 443), PortRange(Protocol.UDP, 1, 9)),
            label="to the office",
        ),
        Rule(Action.DENY, OUT, (EVERY_POD,), (PortRange(Protocol.SCTP),), label="1"),
    )


def test_an_admin_policy_has_ports() -> None:
    found = policy(
        ANP,
        """priority: 1000
subject: {namespaces: {}}
ingress:
- action: Allow
  from: [{namespaces: {}}]
  ports: [{portNumber: {port: 80}}, {portRange: {protocol: UDP, start: 5, end: 6}}]
- {action: Deny, from: [{namespaces: {}}]}
""",
    )
    assert (found.tier, found.priority, found.applies_to) == ("admin", 1000, (PODS,))
    assert [(rule.action, rule.ports) for rule in found.rules] == [
        (Action.ALLOW, (PortRange(Protocol.TCP, 80), PortRange(Protocol.UDP, 5, 6))),
        (Action.DENY, ()),
    ]


def test_the_baseline_policy_comes_after_every_other_of_its_tier() -> None:
    found = policy(BANP, ALL + "egress: [{action: Deny, to: [{namespaces: {}}], ports: [{namedPort: web}]}]")
    assert (found.name, found.tier) == ("default", "baseline")
    assert found.priority > 1000
    last = policy(CNP, "tier: Baseline\npriority: 1000\n" + ALL)
    assert (last.tier, last.priority, last.rules) == ("baseline", 1000, ())


def test_a_label_is_the_name_where_it_is_clear_and_fits_an_nft_comment() -> None:
    rules = ["twice", "twice", "7", 'say "hi"\n', ""]
    written = "".join(f"- {{action: Deny, name: {name!r}, from: [{{namespaces: {{}}}}]}}\n" for name in rules)
    found = policy(CNP, ADMIN + "ingress:\n" + written)
    assert [rule.label for rule in found.rules] == ["0", "1", "2", "say _hi__n", "4"]


def test_names_that_two_kinds_or_the_lab_have_are_qualified() -> None:
    both = text(CNP, ADMIN) + "---\n" + text(ANP.replace("name: a", "name: c"), "priority: 6\n" + ALL)
    assert [one.name for one in good(both).policies] == ["AdminNetworkPolicy/c", "ClusterNetworkPolicy/c"]
    lab = LabParts(policies=[Policy("c", "admin", ())])
    found = good(text(CNP, ADMIN), lab)
    assert [one.name for one in found.policies] == ["ClusterNetworkPolicy/c"]
    assert found.where["policy ClusterNetworkPolicy/c"] == "k.yaml:1"


def test_cluster_objects_are_in_no_namespace() -> None:
    assert good(text(CNP, ADMIN)).namespaces == []


def test_equal_priorities_in_one_tier_are_a_warning() -> None:
    second = text(ANP, "priority: 5\n" + ALL)
    found = good(text(CNP, ADMIN) + "---\n" + second + "---\n" + text(BANP, ALL))
    assert found.warnings == [
        "k.yaml:1: AdminNetworkPolicy a and ClusterNetworkPolicy c have priority 5 in the admin tier, where the API leaves "
        "their order open; here AdminNetworkPolicy a comes first, by name"
    ]


# What is not enforced: an egress rule's action and its peers or protocols → what is left of it.
NOTHING = (True, (), ())
CLOSED = {
    "accept-by-name-matches-nothing": ("Accept", "to: [{domainNames: [a.example.com]}]", NOTHING),
    "accept-nodes-matches-nothing": ("Accept", "to: [{nodes: {}}]", NOTHING),
    "accept-loses-only-that-peer": ("Accept", "to: [{nodes: {}}, {namespaces: {}}]", (False, (EVERY_POD,), ())),
    "deny-matches-everything": ("Deny", "to: [{domainNames: ['*.example.com']}, {namespaces: {}}]", (False, (), ())),
    "pass-matches-everything": ("Pass", "to: [{nodes: {}}, {namespaces: {}}]", (False, (), ())),
    "a-later-kind-of-peer": ("Accept", "to: [{serviceAccounts: {}}]", NOTHING),
    "a-later-protocol": (
        "Accept",
        "to: [{namespaces: {}}]\n  protocols: [{icmp: {type: 8}}]",
        (True, (EVERY_POD,), ()),
    ),
    "a-later-protocol-beside-one": (
        "Accept",
        "to: [{namespaces: {}}]\n  protocols: [{icmp: {}}, {tcp: {}}]",
        (False, (EVERY_POD,), (PortRange(Protocol.TCP),)),
    ),
    "a-later-protocol-denied": (
        "Deny",
        "to: [{namespaces: {}}]\n  protocols: [{icmp: {}}, {tcp: {}}]",
        (False, (EVERY_POD,), ()),
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_what_is_not_enforced_fails_closed(name: str) -> None:
    action, rest, expected = CLOSED[name]
    found = good(text(CNP, f"{ADMIN}egress:\n- action: {action}\n  {rest}\n"))
    (rule,) = found.policies[0].rules
    assert (rule.nothing, rule.peers, rule.ports) == expected
    (warning,) = found.warnings
    assert "is not enforced here: Accept rules do not match by it, Deny and Pass rules match everything" in warning


def test_what_is_not_enforced_is_told_once_for_a_policy() -> None:
    rule = "- {action: Accept, to: [{domainNames: [a.b]}]}\n"
    found = good(text(CNP, ADMIN + "egress:\n" + 3 * rule))
    assert found.warnings == [
        "k.yaml:9: ClusterNetworkPolicy c: domainNames is not enforced here: Accept rules do not match by it, Deny and Pass rules match everything"
    ]


DENY = "egress:\n- action: Deny\n  "
ONE = DENY + "to: [{namespaces: {}}]\n  "
REFUSED = {
    "priority": (
        CNP,
        "tier: Admin\npriority: 1001\n" + ALL,
        "6:13|spec.priority: 1001 is not a priority; write one from 0 (asked first) to 1000",
    ),
    "tier": (
        CNP,
        "tier: admin\npriority: 1\n" + ALL,
        '5:9|spec.tier: "admin" is no tier (there are: Admin, Baseline); did you mean "Admin"?',
    ),
    "no-tier": (CNP, "priority: 1\n" + ALL, '5:3|spec: "tier" is missing; add it'),
    "subject-empty": (
        CNP,
        "tier: Admin\npriority: 1\nsubject: {}",
        "7:12|spec.subject: is empty; give it exactly one field, such as namespaces or pods",
    ),
    "subject-both": (
        CNP,
        "tier: Admin\npriority: 1\nsubject: {namespaces: {}, pods: {podSelector: {}}}",
        "7:12|spec.subject: has namespaces and pods, but exactly one may be there; write several elements",
    ),
    "action-of-the-other-api": (
        CNP,
        ADMIN + "egress: [{action: Allow, to: [{namespaces: {}}]}]",
        '8:21|spec.egress[0].action: "Allow" is no action (there are: Accept, Deny, Pass)',
    ),
    "peerless": (
        CNP,
        ADMIN + DENY + "to: []",
        "10:9|spec.egress[0].to: is empty, but a rule needs at least one peer; add one (namespaces: {} is every pod)",
    ),
    "no-peers": (CNP, ADMIN + "ingress: [{action: Deny}]", '8:13|spec.ingress[0]: "from" is missing; add it'),
    "empty-peer": (
        CNP,
        ADMIN + DENY + "to: [{}]",
        "10:10|spec.egress[0].to[0]: is empty; give it exactly one field, such as namespaces or pods",
    ),
    "two-kinds-of-peer": (
        CNP,
        ADMIN + DENY + "to: [{namespaces: {}, nodes: {}}]",
        "10:10|spec.egress[0].to[0]: has namespaces and nodes, but exactly one may be there; write several elements",
    ),
    "misspelt-peer": (
        CNP,
        ADMIN + DENY + "to: [{namespace: {}}]",
        '10:11|spec.egress[0].to[0].namespace: this field is not known; did you mean "namespaces"?',
    ),
    "misspelt-field": (
        CNP,
        ADMIN + ONE + "nam: x",
        '11:5|spec.egress[0].nam: this field is not known; did you mean "name"?',
    ),
    "network": (
        CNP,
        ADMIN + DENY + "to: [{networks: [10.0.0.1]}]",
        '10:22|spec.egress[0].to[0].networks[0]: "10.0.0.1" is not an IP block such as 10.0.0.0/8 or fd00::/8; write 10.0.0.1/32 for one address',
    ),
    "no-networks": (
        CNP,
        ADMIN + DENY + "to: [{networks: []}]",
        "10:21|spec.egress[0].to[0].networks: is empty; name at least one network, such as 10.0.0.0/8",
    ),
    "domain-name": (
        CNP,
        ADMIN + DENY + "to: [{domainNames: ['a.*.b']}]",
        '10:25|spec.egress[0].to[0].domainNames[0]: "a.*.b" is not a domain name; write "example.com" or "*.example.com"',
    ),
    "range": (
        CNP,
        ADMIN + ONE + "protocols: [{tcp: {destinationPort: {range: {start: 9, end: 9}}}}]",
        "11:65|spec.egress[0].protocols[0].tcp.destinationPort.range.end: 9 must be greater than start 9; write a single port",
    ),
    "range-backwards": (
        ANP,
        "priority: 1\n" + ALL + ONE + "ports: [{portRange: {start: 9, end: 8}}]",
        "10:41|spec.egress[0].ports[0].portRange.end: 8 must be greater than start 9; swap them",
    ),
    "no-protocols": (
        CNP,
        ADMIN + ONE + "protocols: []",
        "11:16|spec.egress[0].protocols: is empty, which could be read as everything or nothing; remove the field for all traffic",
    ),
    "ports-of-the-other-api": (
        CNP,
        ADMIN + ONE + "ports: []",
        "11:5|spec.egress[0].ports: this field is not known (there are: action, name, protocols, to)",
    ),
    "port": (
        CNP,
        ADMIN + ONE + "protocols: [{tcp: {destinationPort: {number: 0}}}]",
        "11:50|spec.egress[0].protocols[0].tcp.destinationPort.number: 0 is not a port; ports go from 1 to 65535",
    ),
    "number-and-range": (
        CNP,
        ADMIN + ONE + "protocols: [{tcp: {destinationPort: {number: 1, range: {start: 1, end: 2}}}}]",
        "11:41|spec.egress[0].protocols[0].tcp.destinationPort: has number and range, but exactly one may be there; write several elements",
    ),
    "named-port-and-network": (
        CNP,
        ADMIN + DENY + "to: [{networks: [10.0.0.0/8]}]\n  protocols: [{destinationNamedPort: web}]",
        "11:40|spec.egress[0].protocols[0].destinationNamedPort: a named port cannot stand beside networks, which have no names for ports; write a number, or two rules",
    ),
    "named-port-and-nodes": (
        ANP,
        "priority: 1\n" + ALL + DENY + "to: [{nodes: {}}]\n  ports: [{namedPort: web}]",
        "10:25|spec.egress[0].ports[0].namedPort: a named port cannot stand beside nodes, which have no names for ports; write a number, or two rules",
    ),
    "admin-pods-need-both": (
        ANP,
        "priority: 1\nsubject: {pods: {podSelector: {}}}",
        '6:19|spec.subject.pods: "namespaceSelector" is missing; add it ({} selects everything)',
    ),
    "long-name": (
        CNP,
        ADMIN + ONE + "name: " + 101 * "x",
        "11:11|spec.egress[0].name: is 101 characters long; a rule's name has at most 100",
    ),
    "many-rules": (
        CNP,
        ADMIN + "egress:\n" + 26 * "- {action: Deny, to: [{namespaces: {}}]}\n",
        "9:3|spec.egress: has 26 rules, but the API takes 25; split the policy or the rule",
    ),
    "ingress-from-networks": (
        CNP,
        ADMIN + "ingress:\n- action: Accept\n  from: [{namespaces: {}, extra: {}}]",
        "10:12|spec.ingress[0].from[0]: has namespaces and extra, but exactly one may be there; write several elements",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_api_refuses_is_refused_with_its_place(name: str) -> None:
    head, spec, expected = REFUSED[name]
    place, _, message = expected.partition("|")
    title = "ClusterNetworkPolicy c" if head is CNP else "AdminNetworkPolicy a"
    assert errors(text(head, spec)) == [f"k.yaml:{place}: {title}: {message}"]


def test_there_is_one_baseline_admin_policy() -> None:
    assert errors(text(BANP.replace("default", "mine"), ALL)) == [
        'k.yaml:3:18: BaselineAdminNetworkPolicy mine: metadata.name: "mine" is not possible, for there is only one such policy; name it default'
    ]


def test_the_baseline_admin_policy_passes_nothing_on() -> None:
    (line,) = errors(text(BANP, ALL + "ingress: [{action: Pass, from: [{namespaces: {}}]}]"))
    assert line.endswith('spec.ingress[0].action: "Pass" is no action (there are: Allow, Deny)')


def test_all_mistakes_of_an_object_are_told_at_once() -> None:
    found = errors(text(CNP, "tier: X\npriority: 1\nsubject: {}\ningress: [{action: Y, from: [{}]}]"))
    assert len(found) == 4


def test_another_group_has_other_kinds_of_the_same_name() -> None:
    found, problems = parts("apiVersion: example.com/v1\nkind: ClusterNetworkPolicy\nmetadata: {name: x}\n")
    assert (found.policies, problems) == ([], [])
    assert found.warnings == ["not used here: ClusterNetworkPolicy of example.com/v1 (1)"]
