"""What a new description of a lab takes back of what `sdn label`, `scale` and `rollout` made of it. Pure."""

from __future__ import annotations

from sdn.model import Model
from sdn.model.differing import differing

_SHOWN = 3


def undone(described: Model, running: Model, wanted: Model) -> tuple[str, ...]:
    """A sentence where workloads are no longer as last described, and will not be as they are now."""
    touched = differing(described.workloads, running.workloads)
    back = differing(running.workloads, wanted.workloads) if touched else {}
    keys = [key for key in touched if key in back]
    if not keys:
        return ()
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return (
        f"what was made of {', '.join(keys[:_SHOWN])}{more} since the lab was last described (labels, replicas, a "
        "rollout) is undone; write it into the file to keep it",
    )
