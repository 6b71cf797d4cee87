"""The cluster-wide policies as they are written; every field is interpreted, and another one is a mistake.

Source: apis/v1alpha2/clusternetworkpolicy_types.go and apis/v1alpha1/*_types.go of kubernetes-sigs/network-policy-api.
"""

# ruff: noqa: RUF012 - pydantic copies mutable defaults for every object

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from sdn.model import Protocol
from sdn.spec.kubernetes.fields import Labels, Loose, PortNumber, ProtocolName, Subdomain, Written, port_name
from sdn.spec.kubernetes.schema_selectors import LabelSelector

_DOMAIN = re.compile(
    r"(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?", re.ASCII
)


def _priority(value: int) -> int:
    if 0 <= value <= 1000:
        return value
    raise ValueError(f"{value} is not a priority; write one from 0 (asked first) to 1000")


def _rule_name(text: str) -> str:
    if len(text) <= 100:
        return text
    raise ValueError(f"is {len(text)} characters long; a rule's name has at most 100")


def _domain(text: str) -> str:
    if _DOMAIN.fullmatch(text):
        return text
    raise ValueError(f'"{text[:80]}" is not a domain name; write "example.com" or "*.example.com"')


Priority = Annotated[int, AfterValidator(_priority)]
RuleName = Annotated[str, AfterValidator(_rule_name)]
NamedPort = Annotated[str, AfterValidator(port_name)]
DomainName = Annotated[str, AfterValidator(_domain)]


class ClusterMetadata(Loose):
    """Of an object that is in no namespace."""

    name: Subdomain
    labels: Labels = {}


class Open(Written):
    """One of several kinds of a thing; a kind that we do not know may be a later API's and fails closed."""

    model_config = ConfigDict(extra="allow")


class NamespacedPods(Written):
    """Pods in namespaces: both must match. Which of the two may be left out depends on the API."""

    namespace_selector: LabelSelector | None = None
    pod_selector: LabelSelector | None = None


class Subject(Written):
    """Whom a policy is for: exactly one of the two."""

    namespaces: LabelSelector | None = None
    pods: NamespacedPods | None = None


class IngressPeer(Open):
    """Exactly one."""

    namespaces: LabelSelector | None = None
    pods: NamespacedPods | None = None


class EgressPeer(IngressPeer):
    """Exactly one; nodes and domain names are not enforced here."""

    nodes: LabelSelector | None = None
    networks: list[str] | None = None
    domain_names: list[DomainName] | None = None


class Span(Written):
    """An inclusive range, `start` before `end`."""

    start: PortNumber
    end: PortNumber


class DestinationPort(Written):
    """Exactly one."""

    number: PortNumber | None = None
    range: Span | None = None


class Transport(Written):
    """Without `destinationPort` every port of the protocol."""

    destination_port: DestinationPort | None = None


class ProtocolMatch(Open):
    """Of a ClusterNetworkPolicy: exactly one. A named port is looked up in every protocol."""

    tcp: Transport | None = None
    udp: Transport | None = None
    sctp: Transport | None = None
    destination_named_port: NamedPort | None = None


class AdminPortNumber(Written):
    """One port."""

    protocol: ProtocolName = Protocol.TCP
    port: PortNumber


class AdminPortRange(Span):
    """Several ports."""

    protocol: ProtocolName = Protocol.TCP


class AdminPort(Open):
    """Of the v1alpha1 kinds: exactly one."""

    port_number: AdminPortNumber | None = None
    port_range: AdminPortRange | None = None
    named_port: NamedPort | None = None


class Rule(Written):
    """What all rules have."""

    name: RuleName = ""
    action: str


class IngressRule(Rule):
    """Of a ClusterNetworkPolicy; no `protocols`: all traffic."""

    peers: list[IngressPeer] = Field(alias="from")
    matches: list[ProtocolMatch] | None = Field(default=None, alias="protocols")


class EgressRule(Rule):
    """Of a ClusterNetworkPolicy; no `protocols`: all traffic."""

    peers: list[EgressPeer] = Field(alias="to")
    matches: list[ProtocolMatch] | None = Field(default=None, alias="protocols")


class AdminIngressRule(Rule):
    """Of the v1alpha1 kinds; no `ports`: all traffic."""

    peers: list[IngressPeer] = Field(alias="from")
    matches: list[AdminPort] | None = Field(default=None, alias="ports")


class AdminEgressRule(Rule):
    """Of the v1alpha1 kinds; no `ports`: all traffic."""

    peers: list[EgressPeer] = Field(alias="to")
    matches: list[AdminPort] | None = Field(default=None, alias="ports")


class ClusterSpec(Written):
    """`tier` is Admin or Baseline; in it, a lower priority is asked first."""

    tier: str
    priority: Priority
    subject: Subject
    ingress: list[IngressRule] = []
    egress: list[EgressRule] = []


class AdminSpec(Written):
    """The admin tier is implied."""

    priority: Priority
    subject: Subject
    ingress: list[AdminIngressRule] = []
    egress: list[AdminEgressRule] = []


class BaselineSpec(Written):
    """The baseline tier is implied, and there is only one such policy."""

    subject: Subject
    ingress: list[AdminIngressRule] = []
    egress: list[AdminEgressRule] = []


class ClusterNetworkPolicy(Written):
    """policy.networking.k8s.io/v1alpha2."""

    api_version: Any = None
    kind: Any = None
    metadata: ClusterMetadata
    spec: ClusterSpec
    status: Any = None


class AdminNetworkPolicy(Written):
    """policy.networking.k8s.io/v1alpha1."""

    api_version: Any = None
    kind: Any = None
    metadata: ClusterMetadata
    spec: AdminSpec
    status: Any = None


class BaselineAdminNetworkPolicy(Written):
    """policy.networking.k8s.io/v1alpha1; its only legal name is `default`."""

    api_version: Any = None
    kind: Any = None
    metadata: ClusterMetadata
    spec: BaselineSpec
    status: Any = None
