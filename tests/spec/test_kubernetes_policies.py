"""NetworkPolicy as Kubernetes' API server reads it: defaults (policy semantics 1 to 10) and refusals."""

# ruff: noqa: E501 - golden texts are easier to compare in one line

from __future__ import annotations

from textwrap import indent

import pytest
from manifests import errors, good, parts

from sdn.model import (
    Direction,
    IPBlock,
    LabelSelector,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    Operator,
    PortRange,
    Protocol,
    Requirement,
)

HEAD = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n"
IN, OUT = Direction.INGRESS, Direction.EGRESS


def policy(spec: str) -> NetworkPolicy:
    (found,) = good(HEAD + indent(spec, "  ")).network_policies
    return found


TYPES = {
    "nothing": ("podSelector: {}", (IN,)),
    "ingress": ("podSelector: {}\ningress: [{}]", (IN,)),
    "egress-only-isolates-ingress-too": ("podSelector: {}\negress: [{}]", (IN, OUT)),
    "empty-egress-is-no-egress-rule": ("podSelector: {}\negress: []", (IN,)),
    "empty-types-are-absent": ("podSelector: {}\npolicyTypes: []\negress: [{}]", (IN, OUT)),
    "egress-alone": ("podSelector: {}\npolicyTypes: [Egress]", (OUT,)),
    "order-and-repetition-do-not-matter": ("podSelector: {}\npolicyTypes: [Egress, Ingress, Egress]", (IN, OUT)),
}


@pytest.mark.parametrize("name", TYPES)
def test_policy_types(name: str) -> None:
    spec, expected = TYPES[name]
    assert policy(spec).directions == expected


ANYBODY = NetworkPolicyRule()
WEB = LabelSelector(labels=(("app", "web"),))
EVERY = LabelSelector()

RULES = {
    "missing": ("podSelector: {}", ()),
    "null": ("podSelector: {}\ningress:", ()),
    "empty": ("podSelector: {}\ningress: []", ()),
    "everything": ("podSelector: {}\ningress: [{}]", (ANYBODY,)),
    "empty-from-is-any-source": ("podSelector: {}\ningress: [{from: [], ports: []}]", (ANYBODY,)),
    "own-namespace": (
        "podSelector: {}\ningress: [{from: [{podSelector: {}}]}]",
        (NetworkPolicyRule((NetworkPolicyPeer(pods=EVERY),)),),
    ),
    "every-namespace": (
        "podSelector: {}\ningress: [{from: [{namespaceSelector: {}}]}]",
        (NetworkPolicyRule((NetworkPolicyPeer(namespaces=EVERY),)),),
    ),
    "null-labels-are-an-empty-selector": (
        "podSelector:\n  matchLabels:\ningress: [{from: [{podSelector: {matchLabels: {app: web}, matchExpressions: }}]}]",
        (NetworkPolicyRule((NetworkPolicyPeer(pods=WEB),)),),
    ),
    "one-element-is-and": (
        "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: web}}, namespaceSelector: {}}]}]",
        (NetworkPolicyRule((NetworkPolicyPeer(pods=WEB, namespaces=EVERY),)),),
    ),
    "two-elements-are-or": (
        "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: web}}}, {namespaceSelector: {}}]}]",
        (NetworkPolicyRule((NetworkPolicyPeer(pods=WEB), NetworkPolicyPeer(namespaces=EVERY))),),
    ),
    "protocol-defaults-to-tcp": (
        "podSelector: {}\ningress: [{ports: [{port: 80}, {protocol: UDP}, {port: http, protocol: SCTP}, {}]}]",
        (
            NetworkPolicyRule(
                ports=(
                    PortRange(Protocol.TCP, 80),
                    PortRange(Protocol.UDP),
                    PortRange(Protocol.SCTP, "http"),
                    PortRange(Protocol.TCP),
                )
            ),
        ),
    ),
    "port-range": (
        "podSelector: {}\ningress: [{ports: [{port: 80, endPort: 90}, {port: 1, endPort: 1}]}]",
        (NetworkPolicyRule(ports=(PortRange(Protocol.TCP, 80, 90), PortRange(Protocol.TCP, 1, 1))),),
    ),
    "ip-block": (
        "podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 10.1.2.3/8, except: [10.9.0.0/16]}}]}]",
        (NetworkPolicyRule((NetworkPolicyPeer(ip_block=IPBlock("10.0.0.0/8", ("10.9.0.0/16",))),)),),
    ),
    "ip-block-6": (
        "podSelector: {}\ningress: [{from: [{ipBlock: {cidr: '::/0', except: ['fd00::/8']}}]}]",
        (NetworkPolicyRule((NetworkPolicyPeer(ip_block=IPBlock("::/0", ("fd00::/8",))),)),),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_ingress_rules(name: str) -> None:
    spec, expected = RULES[name]
    assert policy(spec).ingress == expected


def test_egress_rules_have_to() -> None:
    found = policy("podSelector: {}\negress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]")
    assert found.egress == (NetworkPolicyRule((NetworkPolicyPeer(pods=WEB),)),)


def test_selectors_are_canonical() -> None:
    found = policy(
        "podSelector:\n"
        "  matchLabels: {b: '', a: x, example.com/c: 'y_.z'}\n"
        "  matchExpressions:\n"
        "  - {key: k, operator: NotIn, values: [v, '']}\n"
        "  - {key: k, operator: DoesNotExist}\n"
    )
    assert found.pods == LabelSelector(
        labels=(("a", "x"), ("b", ""), ("example.com/c", "y_.z")),
        expressions=(Requirement("k", Operator.NOT_IN, ("v", "")), Requirement("k", Operator.DOES_NOT_EXIST)),
    )


def test_rules_of_a_direction_that_is_not_among_the_types_do_nothing_and_are_a_warning() -> None:
    found, problems = parts(HEAD + "  podSelector: {}\n  policyTypes: [Ingress]\n  egress: [{}]\n")
    assert problems == []
    assert found.network_policies[0].egress == ()
    assert found.warnings == [
        "k.yaml:7: NetworkPolicy shop/p has egress rules that do nothing; add the type to its policyTypes"
    ]


def test_policies_of_one_name_live_in_different_namespaces() -> None:
    text = HEAD + "  podSelector: {}\n---\n" + HEAD.replace("shop", "bank") + "  podSelector: {}\n"
    found = good(text)
    assert [(one.namespace, one.name) for one in found.network_policies] == [("bank", "p"), ("shop", "p")]
    assert found.where["NetworkPolicy bank/p"] == "k.yaml:7"
    assert found.warnings == []


def test_another_api_group_is_another_kind() -> None:
    found = good(
        "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: x}\nspec: {selector: all()}\n"
    )
    assert found.network_policies == []
    assert found.warnings == ["not used here: NetworkPolicy of projectcalico.org/v3 (1)"]


REFUSED = {
    "unknown-spec-field": (
        "podSelectr: {}",
        '5:3|spec.podSelectr: this field is not known; did you mean "podSelector"?',
    ),
    "unknown-peer-field": (
        "ingress:\n- from:\n  - podselector: {}",
        '7:7|spec.ingress[0].from[0].podselector: this field is not known; did you mean "podSelector"?',
    ),
    "unknown-selector-field": (
        "podSelector: {app: web}",
        "5:17|spec.podSelector.app: this field is not known (there are: matchExpressions, matchLabels)",
    ),
    "to-in-ingress": (
        "ingress: [{to: []}]",
        "5:14|spec.ingress[0].to: this field is not known (there are: from, ports)",
    ),
    "peer-with-nothing": (
        "ingress:\n- from:\n  - {}",
        "7:7|spec.ingress[0].from[0]: names nobody; give it a podSelector, a namespaceSelector or an ipBlock "
        "({} selects everything)",
    ),
    "null-peer": (
        "ingress:\n- from:\n  -",
        "7:6|spec.ingress[0].from[0]: must be a mapping, not nothing",
    ),
    "peer-with-null-selector": (
        "ingress:\n- from:\n  - podSelector:",
        "7:7|spec.ingress[0].from[0]: names nobody; give it a podSelector, a namespaceSelector or an ipBlock "
        "({} selects everything)",
    ),
    "block-beside-selector": (
        "ingress:\n- from:\n  - ipBlock: {cidr: 10.0.0.0/8}\n    podSelector: {}",
        "7:7|spec.ingress[0].from[0]: ipBlock cannot stand beside a selector; write two elements",
    ),
    "block-without-length": (
        "ingress: [{from: [{ipBlock: {cidr: 10.0.0.1}}]}]",
        '5:38|spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.1" is not an IP block such as 10.0.0.0/8 or fd00::/8; '
        "write 10.0.0.1/32 for one address",
    ),
    "block-with-netmask": (
        "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/255.0.0.0}}]}]",
        '5:38|spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0/255.0.0.0" is not an IP block such as 10.0.0.0/8 or fd00::/8',
    ),
    "except-outside": (
        "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]",
        "5:59|spec.ingress[0].from[0].ipBlock.except[0]: 11.0.0.0/16 is not a part of 10.0.0.0/8; write a smaller block "
        "inside it",
    ),
    "except-is-everything": (
        "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]",
        "5:59|spec.ingress[0].from[0].ipBlock.except[0]: 10.0.0.0/8 is not a part of 10.0.0.0/8; write a smaller block "
        "inside it",
    ),
    "except-of-the-other-family": (
        "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: ['fd00::/8']}}]}]",
        "5:59|spec.ingress[0].from[0].ipBlock.except[0]: fd00::/8 is not a part of 10.0.0.0/8; write a smaller block "
        "inside it",
    ),
    "end-port-without-port": (
        "ingress: [{ports: [{endPort: 90}]}]",
        "5:32|spec.ingress[0].ports[0].endPort: endPort needs a port before it; add the first port of the range",
    ),
    "end-port-after-name": (
        "ingress: [{ports: [{port: http, endPort: 90}]}]",
        '5:44|spec.ingress[0].ports[0].endPort: endPort cannot follow the named port "http"; write a number for port',
    ),
    "end-port-smaller": (
        "ingress: [{ports: [{port: 80, endPort: 79}]}]",
        "5:42|spec.ingress[0].ports[0].endPort: 79 is smaller than port 80; swap them",
    ),
    "port-70000": (
        "ingress: [{ports: [{port: 70000}]}]",
        "5:29|spec.ingress[0].ports[0].port: 70000 is not a port; ports go from 1 to 65535",
    ),
    "port-0": (
        "ingress: [{ports: [{port: 0}]}]",
        "5:29|spec.ingress[0].ports[0].port: 0 is not a port; ports go from 1 to 65535",
    ),
    "port-name": (
        "ingress: [{ports: [{port: Web_1}]}]",
        '5:29|spec.ingress[0].ports[0].port: "Web_1" is not a port name: at most 15 of a-z, 0-9 and single -, at least '
        "one letter",
    ),
    "port-true": (
        "ingress: [{ports: [{port: true}]}]",
        "5:29|spec.ingress[0].ports[0].port: a port is a number or a name; write 8080 or http",
    ),
    "protocol-lower-case": (
        "ingress: [{ports: [{protocol: tcp}]}]",
        '5:33|spec.ingress[0].ports[0].protocol: tcp is not a protocol here (there are: TCP, UDP, SCTP); did you mean "TCP"?',
    ),
    "protocol-icmp": (
        "ingress: [{ports: [{protocol: ICMP}]}]",
        "5:33|spec.ingress[0].ports[0].protocol: ICMP is not a protocol here (there are: TCP, UDP, SCTP)",
    ),
    "policy-type": (
        "policyTypes: [ingress]",
        '5:17|spec.policyTypes[0]: "ingress" is neither Ingress nor Egress; did you mean "Ingress"?',
    ),
    "operator": (
        "podSelector: {matchExpressions: [{key: a, operator: NotExists}]}",
        '5:55|spec.podSelector.matchExpressions[0].operator: "NotExists" does not exist (there are: In, NotIn, Exists, '
        'DoesNotExist); did you mean "Exists"?',
    ),
    "in-without-values": (
        "podSelector: {matchExpressions: [{key: a, operator: In}]}",
        "5:36|spec.podSelector.matchExpressions[0].values: In needs at least one value; add values, or use Exists or "
        "DoesNotExist",
    ),
    "exists-with-values": (
        "podSelector: {matchExpressions: [{key: a, operator: Exists, values: [x]}]}",
        "5:71|spec.podSelector.matchExpressions[0].values: Exists takes no values; remove them, or use In or NotIn",
    ),
    "requirement-without-key": (
        "podSelector: {matchExpressions: [{operator: Exists}]}",
        '5:36|spec.podSelector.matchExpressions[0]: "key" is missing; add it',
    ),
    "label-value-number": (
        "podSelector: {matchLabels: {version: 1.0}}",
        "5:40|spec.podSelector.matchLabels.version: must be text, not the number 1.0; put it in quotes",
    ),
    "label-value-null": (
        "podSelector: {matchLabels: {version: }}",
        '5:40|spec.podSelector.matchLabels.version: must be text, not nothing; write "" for an empty text',
    ),
    "label-value": (
        "podSelector: {matchLabels: {a: 'b c'}}",
        '5:34|spec.podSelector.matchLabels.a: "b c" is not a label value; use at most 63 letters, digits, -, _ and ., '
        "no sign at either end",
    ),
    "label-key": (
        "podSelector: {matchLabels: {a/b/c: d}}",
        '5:31|spec.podSelector.matchLabels.a/b/c: "a/b/c" is not a label key; write "app" or "example.com/app" with at '
        "most 63 characters",
    ),
    "list-for-mapping": ("podSelector: []", "5:16|spec.podSelector: must be a mapping, not a list"),
    "mapping-for-list": ("ingress: {from: []}", "5:12|spec.ingress: must be a list, not a mapping"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_kubernetes_refuses_we_refuse_with_the_place(name: str) -> None:
    spec, expected = REFUSED[name]
    place, message = expected.split("|")
    assert errors(HEAD + indent(spec, "  ")) == [f"k.yaml:{place}: NetworkPolicy shop/p: {message}"]


def test_all_mistakes_are_told_at_once() -> None:
    spec = "podSelector: {x: 1}\npolicyTypes: [Foo]\ningress: [{ports: [{port: 0}, {port: 99999}]}]"
    assert len(errors(HEAD + indent(spec, "  "))) == 3  # what the schema refuses hides what only makes sense after it
    spec = "policyTypes: [Foo]\ningress: [{from: [{}], ports: [{port: 2, endPort: 1}]}]"
    assert len(errors(HEAD + indent(spec, "  "))) == 3


OBJECTS = {
    "text": ("hello", "k.yaml:1:1: is no Kubernetes object; write a mapping with apiVersion, kind and metadata"),
    "no-kind": (
        "apiVersion: v1",
        'k.yaml:1:1: has no "kind" (and no "lab", as a lab file of ours has); add it, or leave the file out',
    ),
    "no-version": ("kind: Pod", 'k.yaml:1:1: has no "apiVersion"; add it, or leave the file out'),
    "no-name": (
        "apiVersion: v1\nkind: Pod\nmetadata: {namespace: shop}\nspec: {}",
        'k.yaml:3:11: Pod shop/without a name: metadata: "name" is missing; add it',
    ),
    "bad-name": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: Web_1}\nspec: {}",
        'k.yaml:3:18: Pod default/Web_1: metadata.name: "Web_1" is not a name; use at most 253 of a-z, 0-9, - and ., '
        "a letter or digit at both ends",
    ),
    "bad-namespace": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: a.b}\nspec: {}",
        'k.yaml:3:32: Pod a.b/a: metadata.namespace: "a.b" is not a name; use at most 63 of a-z, 0-9 and -, '
        "a letter or digit at both ends",
    ),
    "bad-quantity": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{resources: {requests: {cpu: 1x}}}]}",
        'k.yaml:4:50: Pod default/a: spec.containers[0].resources.requests.cpu: "1x" is not a quantity; write for example '
        "100m, 0.5, 64Mi or 1Gi",
    ),
    "bad-replicas": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: -1, template: {spec: {}}}",
        "k.yaml:4:18: Deployment default/a: spec.replicas: must be 0 or more, not the number -1",
    ),
    "too-many-replicas": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 2000000, template: {spec: {}}}",
        "k.yaml:4:7: Deployment default/a: spec: 2000000 Pods are more than the 100000 that one controller may make here",
    ),
    "selector-is-not-the-templates": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"
        "spec: {selector: {matchLabels: {a: b}}, template: {spec: {}}}",
        "k.yaml:4:18: Deployment default/a: spec.selector: does not match the labels of its own template; make them agree",
    ),
    "in-a-list": (
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {}\n",
        'k.yaml:4:3: Pod default/without a name: "spec" is missing; add it',
    ),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_that_are_none(name: str) -> None:
    text, expected = OBJECTS[name]
    assert expected in errors(text)
