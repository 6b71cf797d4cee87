"""Where every VM and every Pod runs: filter, score, bind. Pure, and the same for any order of its input."""

from sdn.scheduler.balance import imbalance
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.explanation import Explanation
from sdn.scheduler.filters import Reason
from sdn.scheduler.migrate import drain, evacuate, migrate
from sdn.scheduler.order import moves
from sdn.scheduler.place import MADE_ROOM, Outcome, place, schedule
from sdn.scheduler.proposal import Proposal
from sdn.scheduler.readiness import HostFailure, Readiness, readiness
from sdn.scheduler.rebalance import rebalance
from sdn.scheduler.recover import recover, restart
from sdn.scheduler.repair import reconcile, repair
from sdn.scheduler.rollout import rollout_batches
from sdn.scheduler.states import with_hosts, without_reserve
from sdn.scheduler.target import Target

__all__ = [
    "MADE_ROOM",
    "Cluster",
    "Explanation",
    "HostFailure",
    "Outcome",
    "Proposal",
    "Readiness",
    "Reason",
    "Target",
    "drain",
    "evacuate",
    "imbalance",
    "migrate",
    "moves",
    "place",
    "readiness",
    "rebalance",
    "reconcile",
    "recover",
    "repair",
    "restart",
    "rollout_batches",
    "schedule",
    "with_hosts",
    "without_reserve",
]
