"""A Cluster that is kept from event to event decides what one that is made from nothing does, whatever comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from gc import collect
from sys import getallocatedblocks

import pytest
from cluster_runs import in_state, placeable
from clusters import SMALL, TIGHT, Size, cluster
from msgspec.msgpack import decode, encode
from msgspec.structs import replace
from scheduler_words import host, lab, pod

from sdn.errors import UnschedulableError
from sdn.model import HostState, Model, Placement, Workload
from sdn.scheduler import Proposal, migrate
from sdn.scheduler.again import place_again
from sdn.scheduler.kept import Kept
from strategies_words import Dice

KINDS = ("add", "add", "remove", "relabel", "grow", "migrate", "migrate", "sent", "several")


class Life:
    """One lab to which things happen; `step` raises AssertionError where the kept scheduler says something else."""

    def __init__(self, seed: int, model: Model, placement: Placement) -> None:
        self.dice = Dice(f"{seed} kept")
        self.model, self.placement = model, placement
        self.kept = Kept()
        self.done: Counter[str] = Counter()

    def step(self, kinds: tuple[str, ...] = KINDS) -> None:
        """One event of one of these kinds."""
        kind = self.dice.pick(kinds)
        self.done[kind] += 1
        if not self.model.workloads:
            kind = "add" if self.done["empty"] else "nothing"
            self.done["empty"] += 1
        if kind == "migrate":
            self._migrate()
        elif kind != "nothing":
            self._become(self._changed(kind))

    def _changed(self, kind: str) -> Model:
        model = self.model
        if kind == "sent":
            return decode(encode(model), type=Model)
        if kind == "maintenance":
            name = self.dice.pick([host.name for host in model.underlay.hosts])
            state = self.dice.pick((HostState.UP, HostState.MAINTENANCE))
            return in_state(model, (name,), state)
        workloads = list(model.workloads)
        for _ in range(self.dice.randint(2, 4) if kind == "several" else 1):
            self._change(workloads, self.dice.pick(("add", "remove", "relabel", "grow")) if kind == "several" else kind)
        return replace(model, workloads=tuple(sorted(workloads, key=lambda one: one.key)))

    def _change(self, workloads: list[Workload], kind: str) -> None:
        """`add` has somebody come who is like another one but for the name, and maybe for its labels."""
        if not workloads:
            return
        one = self.dice.pick(workloads)
        other = self.dice.pick(workloads)
        if kind == "add":
            self.done["new"] += 1
            new = replace(one, name=f"new-{self.done['new']}")
            workloads.append(replace(new, labels=other.labels) if self.dice.one_in(3) else new)
        elif kind == "remove":
            workloads.remove(one)
        elif kind == "relabel":
            workloads[workloads.index(one)] = replace(one, labels=other.labels)
        else:
            workloads[workloads.index(one)] = replace(one, cpu=one.cpu * 2, memory=one.memory // 2)

    def _become(self, model: Model) -> None:
        fresh = _answer(lambda: place_again(model, self.model, self.placement))
        assert _answer(lambda: place_again(model, self.model, self.placement, self.kept)) == fresh
        if isinstance(fresh, Placement):
            self.model, self.placement = model, fresh
        else:
            self.done["refused"] += 1

    def _migrate(self) -> None:
        """Also to where it is, and to where it cannot go."""
        nodes = [one.key for one in self.model.workloads if one.is_node]
        where = self.dice.pick([*[host.name for host in self.model.underlay.hosts], *nodes])
        key = self.dice.pick(self.model.workloads).key
        fresh = migrate(self.model, self.placement, key, where)
        assert migrate(self.model, self.placement, key, where, self.kept) == fresh
        self.done["moved"] += bool(fresh.moves)
        if not self.dice.one_in(5):  # else somebody only asked
            self.placement = fresh.placement


def _answer(ask: Callable[[], Placement]) -> Placement | list[str]:
    try:
        return ask()
    except UnschedulableError as error:
        return list(error.reasons)


def lives(first: int, last: int, size: Size) -> list[Life]:
    """Labs that can be placed."""
    made = [(seed, placeable(cluster(seed, size))) for seed in range(first, last)]
    return [Life(seed, *found) for seed, found in made if found]


@pytest.mark.parametrize("size", [SMALL, TIGHT], ids=["small", "tight"])
def test_random_events_in_clusters_with_every_kind_of_rule(size: Size) -> None:
    done: Counter[str] = Counter()
    for life in lives(0, 18, size):
        for _ in range(12):
            life.step()
        done += life.done
    assert done["moved"] > 3
    assert done["refused"] > 5


def test_hosts_go_into_maintenance_and_come_back_between() -> None:
    for life in lives(30, 40, SMALL):
        for _ in range(10):
            life.step((*KINDS, "maintenance", "maintenance"))


def plain(hosts: int, pods: int) -> Model:
    """Nobody has any rule."""
    there = [host(f"h{number}", cpu=64_000, memory=65_536, pods=40) for number in range(hosts)]
    return lab(
        there, [pod(f"p{number:03}", cpu=100, memory=64, labels={"app": "abc"[number % 3]}) for number in range(pods)]
    )


def test_a_lab_without_nodes_is_followed_by_one_cluster() -> None:
    model = plain(5, 60)
    found = placeable(model)
    assert found is not None
    life = Life(1, *found)
    for _ in range(150):
        life.step()
    assert life.kept.made == 1
    assert life.done["moved"] > 10


def test_what_nobody_is_any_more_leaves_nothing_behind() -> None:
    """A thousand labels, one after the other."""
    found = placeable(plain(3, 10))
    assert found is not None
    model, placement = found
    kept = Kept()
    for number in range(1000):
        first = replace(model.workloads[0], labels={"app": f"l{number}"})
        model = replace(model, workloads=(first, *model.workloads[1:]))
        placement = place_again(model, model, placement, kept)
    cluster = kept.cluster(model, placement)
    assert kept.made == 1
    assert cluster is not None
    assert len(cluster.shapes) == len({tuple(one.labels.items()) for one in model.workloads})
    assert isinstance(migrate(model, placement, model.workloads[0].key, "h1", kept), Proposal)


@pytest.mark.parametrize("priorities", [1, 300], ids=["all alike", "each different"])
def test_who_has_left_is_kept_no_longer(priorities: int) -> None:
    """Each who comes over the wire brings what it asks for as a value of its own, though it is what others ask for."""
    stay = [pod(f"a-{number}") for number in range(8)]
    model = lab([host("h1"), host("h2")], stay)
    placement, kept, blocks = place_again(model, model, Placement({})), Kept(), []
    for number in range(900):
        one = decode(encode(pod(f"new-{number}", priority=number % priorities)), type=Workload)
        changed = replace(model, workloads=(*stay, one))
        placement = place_again(changed, model, placement, kept)
        model = changed
        if number % 300 == 299:
            collect()
            blocks.append(getallocatedblocks())
    assert kept.made == 1
    assert blocks[2] - blocks[1] < 300  # each who was kept would be at least one
