"""What the compiler hands to the plan: profiles of rules over named groups, no address and no Host in it.

A profile is the ordered list of everything that judges one direction of a workload; workloads with the same labels
share one. Groups name workloads, so that a change of labels or addresses changes a set and not a rule.
"""

from __future__ import annotations

from msgspec import Struct

from sdn.model import Action, Direction, IPBlock, Protocol


class CompiledRule(Struct, frozen=True, gc=False):
    """One line of a profile. Several lines may carry the same origin (one written rule that needs several matches).

    `group` is the id of a group, `block` a block of addresses; a line with both means the members in the block. Both
    None: any peer. `not_group` and `not_blocks` (prefixes of both families) are peers that it does not mean: it matches
    an address that is in neither, also one that nobody has. `family` 4 or 6: packets of that family alone; 0: of both.
    `protocol` None: every protocol (and `ports` is empty). `ports` are inclusive ranges, sorted, disjoint; empty: all.
    `stateless`: the answer to what it allows is judged by the other direction of the same workload.
    """

    origin: str
    action: Action
    group: str | None = None
    block: IPBlock | None = None
    protocol: Protocol | None = None
    ports: tuple[tuple[int, int], ...] = ()
    not_group: str | None = None
    not_blocks: tuple[str, ...] = ()
    family: int = 0
    stateless: bool = False


class TierRules(Struct, frozen=True, gc=False):
    """First match decides; `pass`, or no match without a `default`, goes on to the next tier of the profile."""

    tier: str
    rules: tuple[CompiledRule, ...]
    default: CompiledRule | None = None  # NetworkPolicy's isolation: what it selects never meets the last tiers


class Profile(Struct, frozen=True, gc=False):
    """All tiers of one direction in order; when none decides, `default_origin(direction)` allows."""

    id: str
    direction: Direction
    tiers: tuple[TierRules, ...]


class CompiledPolicy(Struct, frozen=True):
    """`groups`: id → sorted workload keys. `egress`, `ingress`: workload key → profile id, one for every Endpoint.

    Ids are derived from content, so equal input gives equal ids however it was ordered or reached. Groups that no
    profile mentions are left out.
    """

    groups: dict[str, tuple[str, ...]]
    profiles: dict[str, Profile]
    egress: dict[str, str]
    ingress: dict[str, str]
