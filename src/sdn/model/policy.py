"""Policies as written: Kubernetes' NetworkPolicy and our own tiers. Nothing here is compiled or resolved."""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2s

from msgspec import Struct

from sdn.model.selectors import LabelSelector
from sdn.model.workload import Kind, Protocol

ADMIN = "admin"
"""Kubernetes' admin tier: ClusterNetworkPolicy of tier Admin, AdminNetworkPolicy."""

BASELINE = "baseline"
"""Kubernetes' baseline tier: ClusterNetworkPolicy of tier Baseline, BaselineAdminNetworkPolicy."""

TIERS = ("emergency", "infrastructure", "environment", "application", ADMIN)
"""Tiers before NetworkPolicy in their order of evaluation: micro-segmentation, then Kubernetes' admin tier."""

LAST_TIERS = (BASELINE,)
"""Tiers after NetworkPolicy; `pass` in the last of all is the default."""

NETWORK_POLICY = "NetworkPolicy"
"""The word that stands in an origin where one of `TIERS` would."""

ORIGIN_LIMIT = 120
"""Bytes of an origin: nft comments and NFLOG prefixes hold 127."""


class Direction(StrEnum):
    """Always from the workload's point of view, never the bridge's."""

    INGRESS = "ingress"
    EGRESS = "egress"


class Action(StrEnum):
    """`deny` drops silently; `reject` answers with ICMP "administratively prohibited"; `pass` goes to the next tier."""

    ALLOW = "allow"
    DENY = "deny"
    REJECT = "reject"
    PASS = "pass"


class IPBlock(Struct, frozen=True):
    """`cidr` without the `excepts` inside it. An except does not deny: another peer may match the address again."""

    cidr: str
    excepts: tuple[str, ...] = ()


class PortRange(Struct, frozen=True):
    """A destination port: a number, `port`..`end` inclusive, a name that the destination gives, or None for all."""

    protocol: Protocol = Protocol.TCP
    port: int | str | None = None
    end: int | None = None


class NetworkPolicyPeer(Struct, frozen=True):
    """`pods` alone: pods of the policy's namespace. `namespaces` alone: all pods in them. Both: AND. Or `ip_block`."""

    pods: LabelSelector | None = None
    namespaces: LabelSelector | None = None
    ip_block: IPBlock | None = None


class NetworkPolicyRule(Struct, frozen=True):
    """No `peers`: anybody, also outside. No `ports`: every port and every protocol."""

    peers: tuple[NetworkPolicyPeer, ...] = ()
    ports: tuple[PortRange, ...] = ()


class NetworkPolicy(Struct, frozen=True):
    """networking.k8s.io/v1 NetworkPolicy: additive, and final for the Pods that it selects, per direction.

    It selects Pods only, of its own namespace, never VMs and never host-network Pods. `directions` are its
    policyTypes after Kubernetes' defaulting.
    """

    namespace: str
    name: str
    pods: LabelSelector
    directions: tuple[Direction, ...]
    ingress: tuple[NetworkPolicyRule, ...] = ()
    egress: tuple[NetworkPolicyRule, ...] = ()


class Selector(Struct, frozen=True):
    """Workloads of our own policies, VMs and Pods alike: every field that is set must match; an empty one matches all.

    `name` is a shell pattern on the workload's name (not its namespace). `namespaces`, `applications`, `segments`,
    `keys` (workload keys) and `groups` (names of Groups, of which only the members count) each list alternatives.
    """

    labels: LabelSelector | None = None
    namespace_labels: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    kind: Kind | None = None
    name: str = ""
    keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Where(Struct, frozen=True, tag="where"):
    """The workloads of a selector."""

    selector: Selector


class InGroup(Struct, frozen=True, tag="in-group"):
    """The members of another Group; its addresses do not count as members."""

    group: str


class AllOf(Struct, frozen=True, tag="all-of"):
    """In every part; no parts: everybody."""

    parts: tuple[Expression, ...]


class AnyOf(Struct, frozen=True, tag="any-of"):
    """In at least one part; no parts: nobody."""

    parts: tuple[Expression, ...]


Expression = Where | InGroup | AllOf | AnyOf
"""Whom a Group holds, as a tree."""


class Group(Struct, frozen=True):
    """A named group: the workloads that `members` holds, and the addresses of `blocks` (which match workloads', too).

    `within` names Groups whose members and blocks it has besides its own (nested groups). Groups that hold one
    another in a circle are a mistake of the file, so neither reading of a policy ever meets one.
    """

    name: str
    members: Expression | None = None
    blocks: tuple[IPBlock, ...] = ()
    within: tuple[str, ...] = ()


class Peer(Struct, frozen=True):
    """Whom a rule talks about: workloads, addresses, or a Group of both. Addresses match workloads' addresses, too."""

    selector: Selector | None = None
    ip_block: IPBlock | None = None
    group: str = ""


class Rule(Struct, frozen=True):
    """No `peers`: anybody. No `ports`: every port and protocol. Protocol ICMP is echo; its port is None.

    `peers_excluded` turns them round: everybody but the peers. `own` narrows whom the rule is for by the workload
    itself, as NSX does: it must be (or with `own_excluded` not be) one of them, by membership or by the address of the
    packet's family. `applies_to` is alternatives like the policy's, and counts only where the policy has none.
    `nothing`: it can match no packet that we know (services of other protocols). `label` stands in origins, in place
    of the number. `tied` names a rule that its author gave the same place, so that their order is ours alone.
    """

    action: Action
    direction: Direction
    peers: tuple[Peer, ...] = ()
    ports: tuple[PortRange, ...] = ()
    peers_excluded: bool = False
    own: tuple[Peer, ...] = ()
    own_excluded: bool = False
    applies_to: tuple[Selector, ...] = ()
    nothing: bool = False
    label: str = ""
    log: bool = False
    tied: str = ""


class Policy(Struct, frozen=True):
    """An ordered list of rules in one of `TIERS` or `LAST_TIERS`.

    Inside a tier, policies are ordered by `priority` (lower first) and then by name; their rules in the order written.
    The first match decides; `pass`, and no match at all, go to the next tier. `applies_to` are alternatives; empty
    means every workload. `name` is unique among tier policies. `tied` names a policy that its author gave the same
    place as this one, so that their order is ours alone. What a `stateless` one allows is not remembered on the side
    where it allowed it: there the answer is judged, too, by the other direction of the same workload.
    """

    name: str
    tier: str
    rules: tuple[Rule, ...]
    applies_to: tuple[Selector, ...] = ()
    priority: int = 1000
    tied: str = ""
    stateless: bool = False


def bounded(origin: str) -> str:
    """An origin that fits an nft comment: the end of a longer one is replaced by a digest of the whole.

    nft's strings have no escapes, so what would end one early is replaced: names come from other systems' exports.
    """
    if '"' in origin or not origin.isprintable():
        origin = "".join(c if c.isprintable() and c != '"' else "'" if c == '"' else " " for c in origin)
    raw = origin.encode()
    if len(raw) <= ORIGIN_LIMIT:
        return origin
    digest = blake2s(raw, digest_size=4).hexdigest()
    return raw[: ORIGIN_LIMIT - 10].decode(errors="ignore") + "~" + digest


def rule_origin(direction: Direction, tier: str, policy: str, index: int | str) -> str:
    """The name of a rule wherever it appears: verdicts, nft comments, logs.

    `ingress NetworkPolicy shop/db-from-web[0]` and `egress application quarantine[2]`; `policy` is `namespace/name`
    for a NetworkPolicy; `index` counts from 0 within the direction for a NetworkPolicy (as its YAML does), and over
    all rules for a Policy, or is the rule's label where it has one.
    """
    return bounded(f"{direction} {tier} {policy}[{index}]")


def isolation_origin(direction: Direction, policies: tuple[str, ...]) -> str:
    """The default denial of a Pod that NetworkPolicies select but none of whose rules match.

    `policies` are the `namespace/name` of all that isolate it in this direction; the first by name is named.
    """
    first, *others = sorted(policies)
    return bounded(f"{direction} NetworkPolicy {first} isolates" + (f" (+{len(others)} more)" if others else ""))


def default_origin(direction: Direction) -> str:
    """What decides when no policy does: allowed."""
    return f"{direction} default allow"


NO_PATH = "default: no path between these networks"
"""The verdict on two Applications that nobody connected, and on addresses that nothing owns."""

GATEWAY = "default: a gateway answers echo and nothing else"
"""The verdict on a flow to the gateway of a Segment."""

HOST = "default: a host reaches the workloads on itself"
"""The verdict on a Host's own packet to a workload that runs on it (kubelet's probes): policy never judges it."""

NO_BACKEND = "default: the service has no backend"
"""The verdict on a Service port that no workload stands behind."""

OWN_ADDRESS = "default: own address"
"""A workload to itself, by its own address; where a Service led it back only if the lab does not have that judged."""

SPOOFED = "default: the source address is not the sender's own"
"""Anti-spoofing at the port of the sender."""

UNKNOWN = "default: unknown interface or endpoint"
"""A packet from an interface, or of a local endpoint, that the plan does not know."""
