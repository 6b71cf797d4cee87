"""Which of many label sets does a selector match, answered for all of them at once.

A set of positions is one Python int, bit i for position i, so AND, OR and NOT cost a machine word per 64 label sets.
Callers index each distinct label set once; workloads themselves never enter the inner loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sdn.model import LabelSelector, Operator, Requirement

SPARSE = 8
"""Up to so many bits, clearing the lowest one by one beats writing the number out."""


def mask_of(positions: Sequence[int]) -> int:
    """The set of these positions; linear in the highest one, not in their product."""
    if len(positions) <= SPARSE:
        mask = 0
        for position in positions:
            mask |= 1 << position
        return mask
    raw = bytearray(max(positions) // 8 + 1)
    for position in positions:
        raw[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(raw, "little")


def positions_of(mask: int) -> Iterator[int]:
    """The positions in a set, ascending."""
    if mask.bit_count() <= SPARSE:
        while mask:
            lowest = mask & -mask
            yield lowest.bit_length() - 1
            mask ^= lowest
        return
    digits = bin(mask)[:1:-1]
    position = digits.find("1")
    while position >= 0:
        yield position
        position = digits.find("1", position + 1)


class LabelIndex:
    """A list of label sets; answers with positions in that list.

    Masks are built when a selector first asks for a label: most labels (pod hashes, versions) are never asked for, and
    at 100,000 label sets each mask is 12 KB.
    """

    def __init__(self, label_sets: Sequence[Mapping[str, str]]) -> None:
        self.all = (1 << len(label_sets)) - 1
        self._positions: dict[str, dict[str, list[int]]] = {}
        self._masks: dict[tuple[str, str], int] = {}
        self._key_masks: dict[str, int] = {}
        for position, labels in enumerate(label_sets):
            for key, value in labels.items():
                self._positions.setdefault(key, {}).setdefault(value, []).append(position)

    def match(self, selector: LabelSelector) -> int:
        """All of the selector must hold; an empty one matches every label set."""
        found = self.all
        for key, value in selector.labels:
            found &= self.having(key, (value,))
        for requirement in selector.expressions:
            if not found:
                break
            found &= self._meeting(requirement)
        return found

    def having(self, key: str, values: Iterable[str]) -> int:
        """Where the label is there and its value is one of these."""
        found = 0
        for value in values:
            found |= self._mask(key, value)
        return found

    def _meeting(self, requirement: Requirement) -> int:
        match requirement.operator:
            case Operator.IN:
                return self.having(requirement.key, requirement.values)
            case Operator.NOT_IN:
                return self.all & ~self.having(requirement.key, requirement.values)
            case Operator.EXISTS:
                return self._key_mask(requirement.key)
            case Operator.DOES_NOT_EXIST:
                return self.all & ~self._key_mask(requirement.key)

    def _mask(self, key: str, value: str) -> int:
        mask = self._masks.get((key, value))
        if mask is None:
            positions = self._positions.get(key, {}).get(value)
            if positions is None:
                return 0  # unremembered: selectors of labels that nobody has may be many
            mask = self._masks[key, value] = mask_of(positions)
        return mask

    def _key_mask(self, key: str) -> int:
        mask = self._key_masks.get(key)
        if mask is None:
            lists = self._positions.get(key, {}).values()
            mask = self._key_masks[key] = mask_of([position for found in lists for position in found])
        return mask
