"""Where every VM and every Pod runs: filter, score, bind. Pure, and the same for any order of its input."""

from sdn.scheduler.cluster import Cluster, Explanation
from sdn.scheduler.filters import Reason
from sdn.scheduler.place import place
from sdn.scheduler.rollout import rollout_batches
from sdn.scheduler.target import Target

__all__ = ["Cluster", "Explanation", "Reason", "Target", "place", "rollout_batches"]
