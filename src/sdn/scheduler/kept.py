"""The scheduler of a lab that runs: its Cluster stays between two events, and what an event changes is bound anew.

It answers exactly as one that begins from nothing. Where that cannot be known from the event alone, it does begin from
nothing: nodes come, go or move, somebody may not stay where he runs, or does not fit without others making room.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sdn.model import Model, Placement
from sdn.model.differing import Pair, differing, moved
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.followed import Followed
from sdn.scheduler.place import bind_rest
from sdn.scheduler.quotas import set_quotas

MANY = 10_000
"""Changes that are kept in mind until somebody asks what they have made better or worse; then all is looked at."""


class Kept:
    """`made` counts how often the Cluster was made from nothing."""

    def __init__(self) -> None:
        self.made = 0
        self._cluster: Followed | None = None
        self._at_rest = False  # whether all who are bound may stay, but for what is stirred

    def cluster(self, model: Model, placement: Placement) -> Cluster | None:
        """As `Cluster.of`, to plan on, whatever is bound or taken off then; None where that is not known."""
        found = self._following(model, placement)
        if found is not None:
            found.forget_rankings()  # who plans on it empties the list of what they would have to look at again
        return found

    def place(self, model: Model, previous: Placement) -> Placement | None:
        """As `place` where everybody stays, and who comes has room; None where that is for `schedule` to say."""
        cluster = self._following(model, previous)
        if cluster is None or not self._settled(cluster):
            return None
        if cluster.separations.written:
            set_quotas(cluster)
            cluster.forget_rankings()
        if len(cluster.loosened) > MANY:
            cluster.forget_rankings()
        waiting = cluster.waiting()
        if any(workload.is_node for workload in waiting):
            self._at_rest = False  # it brings domains over which others are spread
        return cluster.placement() if bind_rest(cluster, waiting) else None

    def _following(self, model: Model, placement: Placement) -> Followed | None:
        """The Cluster that was kept, where it is to be now, or another one."""
        cluster, self._cluster = self._cluster, None  # in case of an error it is not known where it is
        if cluster is None or not _follow(cluster, model, placement):
            cluster = self._new(model, placement)
        if cluster is not None and len(cluster.stirred) > MANY:
            self._at_rest = False
            cluster.stirred.clear()
        self._cluster = cluster
        return cluster

    def _new(self, model: Model, placement: Placement) -> Followed | None:
        self.made += 1
        self._at_rest = False
        if not placement.nodes.keys() <= placement.hosts.keys():
            return None
        cluster = Followed(model)
        keys = [key for key in placement.hosts if key in cluster.workloads]
        keys.sort(key=lambda key: (key in placement.nodes, key))
        return cluster if _bind(cluster, keys, placement) else None

    def _settled(self, cluster: Followed) -> bool:
        """Whether all who are bound may stay."""
        keys: Collection[str] = list(cluster.shaken() if self._at_rest else cluster.bindings)
        if any(cluster.leaves(key) is not None for key in keys):
            return False
        self._at_rest = True
        cluster.stirred.clear()
        return True


def _follow(cluster: Followed, model: Model, placement: Placement) -> bool:
    """Bring it to this Model and Placement; False where a new one is needed, and this one is of no use any more."""
    pairs = _changes(cluster, model)
    if pairs is None:
        return False
    if not placement.nodes.keys() <= placement.hosts.keys():
        return False
    base = cluster.base
    elsewhere = moved(base.hosts, placement.hosts) | moved(base.nodes, placement.nodes) | cluster.touched
    keys = sorted(pairs.keys() | (elsewhere & cluster.workloads.keys()))
    if len(keys) > len(cluster.workloads) // 4 + 1:
        return False
    after = {key: (placement.hosts.get(key, ""), placement.nodes.get(key, "")) for key in keys}
    keys = [key for key in keys if key in pairs or after[key] != cluster.place_of(key)]
    if any(cluster.inside(key) for key in keys):
        return False
    for key in keys:
        if key in cluster.bindings:
            cluster.unbind(key)
    cluster.exchange(model, pairs)
    return _bind(cluster, [key for key in keys if key in cluster.workloads and after[key][0]], placement)


def _bind(cluster: Followed, keys: Iterable[str], placement: Placement) -> bool:
    """Each of these where it runs, after which all is as in `placement`; False where there is no such place."""
    for key in keys:
        target = cluster.goal(key, placement)
        if target is None:
            return False
        cluster.bind(cluster.workloads[key], target)
    cluster.start_at(_bound(cluster, placement))
    return True


def _changes(cluster: Followed, model: Model) -> Mapping[str, Pair] | None:
    """The workloads that are others; None where anything else is that a Cluster reads, or one changes how all count."""
    old = cluster.model
    if old is model:
        return {}
    for was, now in zip(_ground(old), _ground(model), strict=True):
        if was is not now and was != now:
            return None
    pairs = differing(old.workloads, model.workloads)
    spaces = cluster.spaces
    for was, now in pairs.values():
        for one in (was, now):
            if one is not None and (one.is_node or one.scheduling.resources or one.namespace not in spaces):
                return None
    return pairs


def _ground(model: Model) -> tuple[object, ...]:
    """All that a Cluster is made of but the workloads."""
    return model.underlay.hosts, model.constraints, model.namespaces, model.groups


def _bound(cluster: Followed, placement: Placement) -> Placement:
    """Without who is no workload."""
    if placement.hosts.keys() <= cluster.workloads.keys():
        return placement
    hosts, nodes = dict(placement.hosts), dict(placement.nodes)
    for known in (hosts, nodes):
        for key in known.keys() - cluster.workloads.keys():
            del known[key]
    return Placement(hosts, nodes)
