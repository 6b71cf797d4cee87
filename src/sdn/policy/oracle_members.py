"""Who is meant by the selectors, groups and peers of tier policies: the oracle's reading of everything that nests.

A group means two things, and every question says which: its members are workloads, its blocks are addresses. Where a
selector or an expression names a group only the members count; where a peer does, both. A name that no group has means
nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from sdn.model import AllOf, AnyOf, Expression, Group, InGroup, IPBlock, Model, Peer, Selector, Where, Workload
from sdn.policy.oracle_match import block_contains, fields_match, namespace_labels


class Members:
    """The groups of one model. It remembers who is in which, because that never depends on a packet."""

    def __init__(self, model: Model) -> None:
        self._groups = {group.name: group for group in model.groups}
        self._namespaces = namespace_labels(model)
        self._known: dict[tuple[str, str], bool] = {}

    def selects(self, selector: Selector, workload: Workload) -> bool:
        """Whether every field that is set is true of a workload, VM or Pod alike."""
        return fields_match(selector, workload, self._namespaces[workload.namespace]) and (
            not selector.groups or any(self.is_member(name, workload) for name in selector.groups)
        )

    def is_member(self, name: str, workload: Workload) -> bool:
        """Whether a group, or one that is nested in it, holds a workload by its `members`."""
        if (name, workload.key) not in self._known:
            self._known[name, workload.key] = any(
                group.members is not None and self._holds(group.members, workload) for group in self._nested(name)
            )
        return self._known[name, workload.key]

    def is_peer(self, peer: Peer, workload: Workload | None, address: str | None) -> bool:
        """Whether a peer means somebody: the workload, None where no workload is known there, or its address.

        `address` is the one of the packet's family, None where it has none. A peer that says nothing means nobody.
        """
        if peer.selector is not None and workload is not None and self.selects(peer.selector, workload):
            return True
        if peer.group and workload is not None and self.is_member(peer.group, workload):
            return True
        return address is not None and any(block_contains(block, address) for block in self._blocks(peer))

    def _holds(self, expression: Expression, workload: Workload) -> bool:
        match expression:
            case Where(selector):
                return self.selects(selector, workload)
            case InGroup(name):
                return self.is_member(name, workload)
            case AllOf(parts):
                return all(self._holds(part, workload) for part in parts)
            case AnyOf(parts):
                return any(self._holds(part, workload) for part in parts)

    def _nested(self, name: str) -> Iterator[Group]:
        """A group and all that are nested in it, however deep; nothing where no group has the name."""
        if name in self._groups:
            yield self._groups[name]
            for inner in self._groups[name].within:
                yield from self._nested(inner)

    def _blocks(self, peer: Peer) -> Iterator[IPBlock]:
        """The addresses that a peer speaks of."""
        if peer.ip_block is not None:
            yield peer.ip_block
        for group in self._nested(peer.group):
            yield from group.blocks
