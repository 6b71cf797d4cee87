"""In which batches replicas are replaced: one canary first, then never more at a time than may be away."""

from __future__ import annotations

from collections.abc import Iterable


def rollout_batches(workloads: Iterable[str], max_unavailable: int) -> tuple[tuple[str, ...], ...]:
    """Keys in the order in which to replace them; raises ValueError if none may be away: nothing could happen."""
    if max_unavailable < 1:
        raise ValueError("a rollout replaces nothing while max_unavailable is below 1; allow at least 1")
    keys = sorted(set(workloads))
    canary, rest = keys[:1], keys[1:]
    batches = [rest[start : start + max_unavailable] for start in range(0, len(rest), max_unavailable)]
    return tuple(tuple(batch) for batch in (canary, *batches) if batch)
