"""A new description of a running lab moves workloads alive, and says of whom it could not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from talkers import PORT, talking

from labs import ask_all, inside, new_name, sdn, story, up
from sdn.errors import RolledBackError
from sdn.lab import client
from sdn.model import Application, Model, SegmentKind, Selector, Workload
from worlds_build import EGRESS, INGRESS, act, leaf_spine, model, segment, tier, workload

pytestmark = pytest.mark.kernel

NET = Application(
    "a",
    (
        segment("lan", "10.1.1.0/24", "fd00:1::/64"),
        segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),
    ),
)
BEFORE = {"a/m": 1, "a/n": 2, "a/r": 1, "a/s": 3, "a/stay": 3}
AFTER = {"a/m": 2, "a/n": 1, "a/r": 3, "a/s": 1, "a/stay": 3}
LARGE = 200 * 1024
"""MiB: two of these fit on no Host."""


def one(key: str, number: int, memory: int = 0) -> Workload:
    where = "a/lan" if key in ("a/m", "a/n", "a/stay") else "a/pods"
    return replace(workload(key, number, where, ":80"), memory=memory)


def lab_of(places: dict[str, int], hosts: int = 3, large: tuple[str, ...] = ()) -> Model:
    workloads = [one(key, number, LARGE if key in large else 0) for key, number in places.items()]
    return replace(model("moving", [NET], workloads), underlay=leaf_spine(hosts))


def calls(lab: client.Lab) -> dict[str, list[str]]:
    addresses = {key: endpoint.addresses for key, endpoint in lab.placed().endpoints.items()}
    return {
        key: [f"{address}:{PORT}" for other in BEFORE if other != key for address in addresses[other]] for key in BEFORE
    }


def test_all_that_the_file_moves_moves_alive_also_where_more_changes() -> None:
    isolated = tier("application/t", act("deny", EGRESS), act("deny", INGRESS), to=[Selector(name="new")])
    wanted = replace(lab_of({**AFTER, "a/new": 2}), policies=(isolated,))
    with up(lab_of(BEFORE)) as lab, talking(lab, list(BEFORE)) as talkers:
        assert talkers.call(calls(lab)) == 40
        done = lab.apply(wanted)
        assert talkers.exchange() == []
        assert {moved.move.workload for moved in done.moved} == {"a/m", "a/n", "a/r", "a/s"}
        assert all(moved.gap > 0 and moved.connections >= 8 for moved in done.moved)
        assert done.notes == ()
        placed = lab.placed()
        assert placed.model == wanted and lab.status().drift == ()
        assert placed.placement.hosts == {key: f"host-{number}" for key, number in {**AFTER, "a/new": 2}.items()}
        assert lab.apply(wanted).moved == ()
        assert story(ask_all(lab)) == ""


def test_without_a_third_place_two_change_places_at_once_and_it_is_told() -> None:
    places = {"a/m": 1, "a/n": 2}
    with up(lab_of(places, 2, ("a/m", "a/n"))) as lab:
        done = lab.apply(lab_of({"a/m": 2, "a/n": 1}, 2, ("a/m", "a/n")))
        assert [(moved.move.workload, moved.gap) for moved in done.moved] == [("a/m", 0.0), ("a/n", 0.0)]
        assert done.notes == (
            "a/m, a/n could not move alive, so open connections were lost: changes places with others at once: there "
            "is no third place",
        )
        assert lab.status().drift == () and story(ask_all(lab)) == ""


def test_who_ran_on_a_host_that_the_file_leaves_out_is_wired_anew() -> None:
    before = {"a/m": 1, "a/r": 1, "a/stay": 3}
    with up(lab_of(before)) as lab:
        done = lab.apply(lab_of({"a/m": 1, "a/r": 2, "a/stay": 2}, 2))
        gone = {moved.move.workload: moved.gap for moved in done.moved}
        assert gone["a/stay"] == 0.0 and gone["a/r"] > 0
        assert done.notes == (
            "a/stay could not move alive, so open connections were lost: host-3 is not in the lab any more",
        )
        assert lab.status().drift == () and story(ask_all(lab)) == ""


def test_a_move_that_is_refused_leaves_those_before_it_and_the_same_file_goes_on_from_there() -> None:
    with up(lab_of({"a/m": 1, "a/r": 1})) as lab:
        rules = inside(lab, "host-3", "nft", "list", "ruleset")
        inside(lab, "host-3", "nft", "flush", "ruleset")
        with pytest.raises(RolledBackError, match="1 of 2 changes of place were made; then a/r could not be moved"):
            lab.apply(lab_of({"a/m": 2, "a/r": 3}))
        fresh = client.connect(lab.name)
        assert fresh.placed().placement.hosts == {"a/m": "host-2", "a/r": "host-1"}
        inside(lab, "host-3", "sh", "-c", 'printf %s "$0" | nft -f -', rules)
        assert [moved.move.workload for moved in fresh.apply(lab_of({"a/m": 2, "a/r": 3})).moved] == ["a/r"]
        assert fresh.placed().placement.hosts == {"a/m": "host-2", "a/r": "host-3"}


FILE = """
lab: {name}
underlay: {{hosts: 2, leaves: 1, spines: 1}}
applications:
  shop:
    segments: {{pods: {{subnets: [10.1.1.0/24]}}}}
    workloads:
      web: {{host: host-{web}}}
      db: {{host: host-{db}}}
"""


def test_apply_tells_who_moved(tmp_path: Path) -> None:
    name, file = new_name("told"), tmp_path / "lab.yaml"
    file.write_text(FILE.format(name=name, web=1, db=1))
    assert sdn("up", file).returncode == 0
    try:
        file.write_text(FILE.format(name=name, web=2, db=2))
        document = json.loads(sdn("apply", file, "--format", "json").stdout)
        assert [(one["target"], one["gap"] > 0) for one in document["moved"]] == [("host-2", True)] * 2
        file.write_text(FILE.format(name=name, web=1, db=2))
        said = sdn("apply", file).stdout
        assert "WORKLOAD" in said and "cannot stay: is not host-1, where it is pinned" in said, said
    finally:
        sdn("down", name)
