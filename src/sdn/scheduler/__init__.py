"""Where every VM and every Pod runs: filter, score, bind. Pure, and the same for any order of its input."""

from sdn.scheduler.place import place
from sdn.scheduler.rollout import rollout_batches

__all__ = ["place", "rollout_batches"]
