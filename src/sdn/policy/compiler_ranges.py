"""Inclusive ranges of whole numbers: ports and addresses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Ranges = tuple[tuple[int, int], ...]
"""Inclusive, sorted, disjoint, never adjacent."""


def merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Overlapping and adjacent ranges joined; one that ends before it starts holds nothing."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if last < first:
            continue
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def without(ranges: Iterable[tuple[int, int]], holes: Ranges) -> Iterator[tuple[int, int]]:
    """What remains of the ranges outside of the holes."""
    for start, last in ranges:
        first = start
        for low, high in holes:
            if low > last:
                break
            if first < low:
                yield first, low - 1
            first = max(first, high + 1)
        if first <= last:
            yield first, last
