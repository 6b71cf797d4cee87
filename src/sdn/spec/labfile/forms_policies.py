"""Whom a lab file's policies and rules talk about, and what they say: one form per mapping."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, Tag

from sdn.spec.labfile.fields import (
    Block,
    Form,
    LabelKey,
    Labels,
    LabelValue,
    LabelValues,
    Name,
    NotEmpty,
    RuleName,
    RulePort,
    WorkloadKey,
    by_kind,
)

GroupName = Annotated[str, Field(min_length=1)]
"""Also a name that only another file defines, which need not be a DNS label."""


class PolicyForm(Form):
    """Base of everything in policies: a field without a value is a mistake there, never "anybody"."""

    empty_is_absent: ClassVar[bool] = False


class RequirementForm(PolicyForm):
    """Kubernetes' matchExpressions element."""

    key: LabelKey
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[LabelValue] = Field(default_factory=list)


class SelectorForm(PolicyForm):
    """Workloads: every field that is given must match."""

    labels: Annotated[Labels | None, NotEmpty] = None
    expressions: Annotated[list[RequirementForm] | None, NotEmpty] = None
    namespace_labels: Annotated[Labels | None, NotEmpty] = None
    namespaces: Annotated[list[Name] | None, NotEmpty] = None
    applications: Annotated[list[Name] | None, NotEmpty] = None
    segments: Annotated[list[Name] | None, NotEmpty] = None
    kind: Annotated[Literal["pod", "vm"] | None, NotEmpty] = None
    name: Annotated[str | None, NotEmpty] = None
    """A shell pattern on the workload's name: web-*"""
    sensitivity: Annotated[LabelValues | None, NotEmpty] = None
    """Values of the label `sensitivity`."""
    workloads: Annotated[list[WorkloadKey] | None, NotEmpty] = None
    """Workloads by name, with their application: shop/web stands for all its replicas, shop/web-0 for one."""
    groups: Annotated[list[GroupName] | None, NotEmpty] = None
    """Members of at least one of these groups. A peer of this field alone means the groups' addresses, too."""


class ExpressionForm(SelectorForm):
    """Part of a group: every field that is given must match, so must each of `all` and at least one of `any`."""

    any_of: Annotated[list[ExpressionForm] | None, NotEmpty] = Field(default=None, alias="any")
    all_of: Annotated[list[ExpressionForm] | None, NotEmpty] = Field(default=None, alias="all")


class AddressForm(PolicyForm):
    """An address block without the blocks in `except`."""

    address: Block
    excepts: Annotated[list[Block] | None, NotEmpty] = Field(default=None, alias="except")


class GroupForm(ExpressionForm):
    """Whom policies may name together: the workloads that match, and besides those `addresses` and `include`."""

    addresses: Annotated[
        list[
            Annotated[
                Annotated[Block, Tag("text")] | Annotated[AddressForm, Tag("mapping")],
                by_kind("expected an address, a network such as 203.0.113.0/24, or {address: ..., except: [...]}"),
            ]
        ]
        | None,
        NotEmpty,
    ] = None
    """Added to the group; as a peer, it matches also these."""
    include: Annotated[list[GroupName] | None, NotEmpty] = None
    """Groups that belong to this one as a whole, with their addresses."""


class PeerForm(SelectorForm):
    """Workloads, or an `address` without the addresses in `except`."""

    address: Annotated[Block | None, NotEmpty] = None
    excepts: Annotated[list[Block] | None, NotEmpty] = Field(default=None, alias="except")


class RuleForm(PolicyForm):
    """No `from` or `to`: anybody. No `ports`: every port and protocol."""

    name: RuleName | None = None
    """Stands for the rule in verdicts and logs; its position if left out."""
    action: Literal["allow", "deny", "reject", "pass"]
    direction: Literal["ingress", "egress"]
    sources: Annotated[list[PeerForm] | None, NotEmpty] = Field(default=None, alias="from")
    """Of an ingress rule."""
    destinations: Annotated[list[PeerForm] | None, NotEmpty] = Field(default=None, alias="to")
    """Of an egress rule."""
    not_from: Annotated[list[PeerForm] | None, NotEmpty] = None
    """Of an ingress rule: everybody but these."""
    not_to: Annotated[list[PeerForm] | None, NotEmpty] = None
    """Of an egress rule: everybody but these."""
    ports: Annotated[list[RulePort] | None, NotEmpty] = None
    only_for: Annotated[list[PeerForm] | None, NotEmpty] = None
    """Of those that the policy applies to, only these; an `address` means who has it."""
    not_for: Annotated[list[PeerForm] | None, NotEmpty] = None
    """Of those that the policy applies to, all but these."""
    applies_to: Annotated[list[SelectorForm] | None, NotEmpty] = None
    """Whom this rule is for, in a policy that does not say it itself."""
    log: bool = False


class TierPolicyForm(PolicyForm):
    """An ordered list of rules in one tier; the first that matches decides."""

    name: Name
    tier: Literal["emergency", "infrastructure", "environment", "application", "admin", "baseline"] = "application"
    """In the order in which they are asked; Kubernetes' NetworkPolicy comes between admin and baseline."""
    priority: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    """Lower comes first."""
    applies_to: Annotated[list[SelectorForm] | None, NotEmpty] = None
    """Whom it is for; every workload if left out."""
    stateless: bool = False
    """What it allows is not remembered: on its side, answers need an allowing rule of the other direction."""
    rules: Annotated[list[RuleForm], NotEmpty]
