"""One workload whose labels changed, as elements of sets: what every Host that has such a set must add and remove.

The Host on which the workload is also dispatches it to other profiles; and where the workload is a set's first or last
address of its family on some Host, a rule of that Host comes or goes. Both are what `delta` of whole Hosts is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from sdn.model import Placed, family_of
from sdn.plan.firewall import set_name
from sdn.plan.parts import Element
from sdn.policy.compiler_relabel import Moves


class SetMoves(Struct, frozen=True):
    """Elements to add and to remove, each sorted."""

    add: tuple[Element, ...]
    remove: tuple[Element, ...]


def set_moves(placed: Placed, moves: Moves) -> SetMoves:
    """All elements that the moves come to; Hosts without the set, or the zone, have nothing to do."""
    joined, left = (tuple(sorted(_elements(placed, moves.key, groups))) for groups in (moves.joined, moves.left))
    return SetMoves(joined, left)


def _elements(placed: Placed, key: str, groups: Iterable[str]) -> Iterator[Element]:
    endpoint = placed.endpoints[key]
    zone = placed.zones[endpoint.application]
    for group in groups:
        for address in endpoint.addresses:
            family = family_of(address)
            yield Element(set_name(group, family), family, zone, address)
