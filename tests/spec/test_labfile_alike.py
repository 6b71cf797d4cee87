"""Workloads that are written alike are read once; nothing of that shows, least of all in their mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdn.errors import SpecError
from sdn.model import Kind, Model
from sdn.spec.load import load


def read(folder: Path, workloads: dict[str, object], **more: object) -> Model:
    """A lab in JSON, one workload a line from the second on."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(one)}" for name, one in workloads.items())
    rest = "".join(f', "{name}": {json.dumps(value)}' for name, value in more.items())
    (folder / "lab.json").write_text(
        f'{{"lab": "test", "applications": {{"shop": {{"workloads": {{\n{lines}\n}}}}}}{rest}}}'
    )
    return load([folder / "lab.json"]).model


def mistakes(folder: Path, workloads: dict[str, object], **more: object) -> list[tuple[int, str]]:
    with pytest.raises(SpecError) as caught:
        read(folder, workloads, **more)
    return [(one.line, one.message) for one in caught.value.problems]


def test_each_is_a_workload_of_its_own(tmp_path: Path) -> None:
    alike = {"kind": "vm", "cpu": 2, "memory": "4Gi", "labels": {"app": "db"}, "priority": 5}
    model = read(tmp_path, {"a": alike, "b": alike, "c": alike | {"cpu": 3}, "d": alike | {"replicas": 2}})
    assert [(w.key, w.cpu, w.memory, w.kind, w.labels, w.scheduling.priority, w.owner) for w in model.workloads] == [
        ("shop/a", 2000, 4096, Kind.VM, {"app": "db"}, 5, ("", "")),
        ("shop/b", 2000, 4096, Kind.VM, {"app": "db"}, 5, ("", "")),
        ("shop/c", 3000, 4096, Kind.VM, {"app": "db"}, 5, ("", "")),
        ("shop/d-0", 2000, 4096, Kind.VM, {"app": "db"}, 5, ("Workload", "d")),
        ("shop/d-1", 2000, 4096, Kind.VM, {"app": "db"}, 5, ("Workload", "d")),
    ]


def test_what_is_equal_to_python_only_is_not_alike(tmp_path: Path) -> None:
    """1 == True == 1.0."""
    assert mistakes(tmp_path, {"a": {"numa": 1}, "b": {"numa": True}, "c": {"numa": 1.0}}) == [
        (3, "applications.shop.workloads.b.numa: expected a whole number, not true"),
        (4, "applications.shop.workloads.c.numa: expected a whole number, not the number 1.0"),
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param({"memory": "4"}, '.memory: "4" is not an amount of memory', id="shape"),
        pytest.param({"pool": "gold"}, '.pool: pool "gold" is not defined', id="sense"),
        pytest.param({"segment": "dmz"}, '.segment: segment "dmz" is not defined in shop', id="network"),
        pytest.param({"host": "h9"}, '.host: host "h9" is not defined', id="host"),
        pytest.param(
            {"cpu": 1, "resources": {"reservation": {"cpu": 2}}}, ".resources.reservation.cpu: 2000m", id="amount"
        ),
    ],
)
def test_a_mistake_is_told_of_each(tmp_path: Path, wrong: dict[str, object], message: str) -> None:
    found = mistakes(tmp_path, {"a": wrong, "b": {"cpu": 1}, "c": wrong}, underlay={"hosts": 2})
    assert [line for line, _ in found] == [2, 4]
    assert all(f"workloads.{name}{message}" in text for name, (_, text) in zip("ac", found, strict=True)), found


def test_a_warning_is_told_of_each(tmp_path: Path) -> None:
    spread = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    read(tmp_path, {"a": {"topology_spread": [spread]}, "b": {"topology_spread": [spread]}})
    warnings = load([tmp_path / "lab.json"]).warnings
    assert [line.partition("lab.json:")[2][:2] for line in warnings if "counts nobody" in line] == ["2:", "3:"]
