"""Large files are JSON and read fast; what they mean, and what is said about mistakes, is as if they were YAML."""

from __future__ import annotations

import gc
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdn.errors import Problem, SpecError
from sdn.spec import json_text
from sdn.spec.load import load
from sdn.spec.source import MAX_DEPTH, MAX_DIGITS, Document, _Reader, read_file, read_text

TOPOLOGIES = Path(__file__).parents[2] / "topologies"

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner), max_leaves=12
)


def as_yaml(raw: bytes) -> list[Document]:
    return _Reader("f", raw.decode(), []).documents()


@given(st.lists(VALUES) | st.dictionaries(st.text(max_size=8), VALUES))
def test_json_means_what_it_means_as_yaml(value: object) -> None:
    raw = json.dumps(value).encode()
    try:
        fast = json_text.values(raw, MAX_DEPTH, MAX_DIGITS)
    except json_text.DoubtError:
        return
    (slow,) = as_yaml(raw)
    assert fast == slow.data
    assert repr(fast) == repr(slow.data)  # 1 is not True, 1.0 is not 1


DOUBTFUL = {
    "yaml": b"a: 1",
    "flow yaml": b"{a: 1}",
    "trailing comma": b'{"a": 1,}',
    "twice": b'{"a": {"b": 1, "b": 1}}',
    "merged": b'{"<<": {"a": 1}}',
    "no number": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "long number": b'{"a": ' + b"1" * (MAX_DIGITS + 1) + b"}",
    "deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "much too deep": b"[" * 100_000,
    "not ascii": '{"a": "é"}'.encode(),
    "deleted": b'{"a": "\x7f"}',
    "half a character": b'{"a": "\\uD800"}',
    "two values": b'{"a": 1} {"a": 1}',
    "a scalar": b"1",
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_is_doubtful_is_left_to_the_yaml_reader(name: str) -> None:
    with pytest.raises(json_text.DoubtError):
        json_text.values(DOUBTFUL[name], MAX_DEPTH, MAX_DIGITS)


def test_a_nesting_of_the_deepest_legal_kind_is_read() -> None:
    raw = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert json_text.values(raw, MAX_DEPTH, MAX_DIGITS) == as_yaml(raw)[0].data


def test_mistakes_that_only_a_slower_look_shows_are_told() -> None:
    problems: list[Problem] = []
    read_text("f.json", b'{"lab": "x",\n "lab": "y"}', problems)
    assert [str(one) for one in problems] == ['f.json:2:2: key "lab" was already given in line 1; keep one of them']


def test_places_are_found_when_asked_for() -> None:
    (document,) = read_text("f.json", b'{"a": 1,\n "b": [\n  {"c": 2}]}', [])
    assert document.where(("b", 0, "c")) == (3, 9)
    assert document.where_key(("b", 0, "c")) == (3, 4)
    assert document.where(("b", 7)) == (2, 7)


@pytest.mark.parametrize("name", sorted(path.stem for path in TOPOLOGIES.glob("*.yaml")))
def test_a_lab_in_json_is_the_same_lab(name: str, tmp_path: Path) -> None:
    (document,) = read_file(TOPOLOGIES / f"{name}.yaml", [])
    for part in document.data.get("manifests", ()):
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / part).symlink_to(TOPOLOGIES / part)
    file = tmp_path / "lab.json"
    file.write_text(json.dumps(document.data, indent=1))
    written, read = load([TOPOLOGIES / f"{name}.yaml"]), load([file])
    plain = [one.source for one in written.model.expectations]
    assert [one.source for one in read.model.expectations] == plain
    for field in ("underlay", "applications", "workloads", "services", "policies", "groups", "constraints", "running"):
        assert getattr(read.model, field) == getattr(written.model, field)
    assert set(read.where) == set(written.where)


def test_a_mistake_in_json_has_its_line_and_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lab = {"lab": "x", "applications": {"shop": {"workloads": {"web": {"cpu": 1, "poool": "p", "pool": "gold"}}}}}
    Path("lab.json").write_text(json.dumps(lab, indent=1))
    with pytest.raises(SpecError) as caught:
        load([Path("lab.json")])
    assert [str(one).partition(" (")[0] for one in caught.value.problems] == [
        'lab.json:8:6: applications.shop.workloads.web: unknown field "poool"',
        'lab.json:9:14: applications.shop.workloads.web.pool: pool "gold" is not defined',
    ]


def test_what_lies_in_a_json_lab_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "lab.json"
    file.write_text('{"lab": "x",\n "applications": {"shop": {"workloads": {\n  "web": {"replicas": 2}}}}}')
    where = load([file]).where
    assert where["workload shop/web-1"] == f"{file}:3"
    assert "workload shop/db" not in where


def test_loading_leaves_the_garbage_collector_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text("lab: x")
    assert gc.isenabled()
    load([file])
    assert gc.isenabled()
    file.write_text("lab: [")
    with pytest.raises(SpecError):
        load([file])
    assert gc.isenabled()


def big(count: int) -> dict[str, object]:
    """`count` VMs by name, each with constraints of its own, a rule for each tenth, and where all of them run."""
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    vms, rules = {}, []
    for index in range(count):
        app = {"matchLabels": {"app": f"a{index // 3}"}}
        vms[f"vm-{index}"] = {
            "kind": "vm",
            "cpu": 1,
            "labels": {"app": f"a{index // 3}"},
            "priority": "gold",
            "pool": "p",
            "volumes": ["v"],
            "after": [f"vm-{index - 1}"] if index % 10 else [],
            "affinity": {"podAntiAffinity": {required: [{"topologyKey": "rack", "labelSelector": app}]}},
        }
        if not index % 10:
            rules.append({"name": f"r{index}", "must": "apart", "workloads": {"workloads": [f"dc/vm-{index}"]}})
    return {
        "lab": "big",
        "underlay": {"hosts": count // 10},
        "priority_classes": {"gold": 9},
        "applications": {"dc": {"workloads": vms}},
        "scheduling": {"pools": {"p": {}}, "volumes": {"v": ["host-1"]}, "rules": rules},
        "running": {f"dc/vm-{index}": f"host-{index % (count // 10) + 1}" for index in range(count)},
    }


def seconds(file: Path, count: int) -> float:
    """Of the processor, the best of three."""
    file.write_text(json.dumps(big(count)))
    taken = []
    for _ in range(3):
        start = time.process_time()
        assert len(load([file]).model.workloads) == count
        taken.append(time.process_time() - start)
    return min(taken)


def test_ten_times_as_much_takes_about_ten_times_as_long(tmp_path: Path) -> None:
    """A search over all names for each workload would take a hundred times as long."""
    assert seconds(tmp_path / "b.json", 4_000) < 30 * seconds(tmp_path / "a.json", 400)
