"""Paths become one Model: files and folders, a lab with manifests, mistakes that only the whole shows."""

# ruff: noqa: E501 - golden texts are easier to compare in one line

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from manifests import DATA, controller, thing, written

from sdn.errors import SpecError
from sdn.model import (
    Application,
    Host,
    Kind,
    LabelSelector,
    Link,
    Model,
    NetworkPolicy,
    Policy,
    Segment,
    Selector,
    Service,
    Switch,
    Underlay,
    Workload,
)
from sdn.spec.check import check
from sdn.spec.load import Loaded, load
from sdn.spec.underlay import leaf_spine

WEB = written(controller("Deployment", "web"))
LAB = "lab: two\napplications:\n  shop: {}\n"


def put(folder: Path, **files: str) -> Path:
    """Files under a folder; `__` in a name is a slash and `_` the dot before its ending."""
    for name, text in files.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def refused(*paths: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(paths)
    return [str(problem) for problem in caught.value.problems]


def keys(found: Loaded) -> list[str]:
    return [workload.key for workload in found.model.workloads]


def test_a_folder_is_read_as_kubectl_does(tmp_path: Path) -> None:
    """In order of names at every level, only YAML and JSON, nothing hidden, nothing that steers a tool."""
    folder = put(
        tmp_path / "My Shop",
        b_yaml=written(controller("Deployment", "b")),
        a__z_yml=written(controller("Deployment", "a")),
        c_json='{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}, "spec": {"containers": []}}',
        LICENSE_txt="not: [yaml",
        kustomization_yaml="resources: [b.yaml]",
        _hidden__x_yaml="also: not",
    )
    (folder / "_hidden").rename(folder / ".hidden")
    found = load([folder])
    assert keys(found) == ["default/a-0", "default/b-0", "default/c"]
    assert found.model.name == "my-shop"
    assert found.where["workload default/a-0"] == f"{folder}/a/z.yml:1"


def test_the_later_file_wins_and_a_file_counts_once(tmp_path: Path) -> None:
    folder = put(tmp_path, web_yaml=WEB, **{"web-2_yaml": written(controller("Deployment", "web", replicas=2))})
    found = load([folder, folder / "web.yaml"])
    assert keys(found) == ["default/web-0"]
    assert found.warnings == (
        f"{folder}/web-2.yaml:1: Deployment default/web is replaced by {folder}/web.yaml:1; the later one counts",
    )


def test_names_of_labs_without_a_name(tmp_path: Path) -> None:
    folder = put(tmp_path / "app", web_yaml=WEB, db_yaml=written(controller("Deployment", "db")))
    assert load([folder / "web.yaml"]).model.name == "web"
    assert load([folder / "web.yaml", folder / "db.yaml"]).model.name == "app"


def test_a_lab_alone_gets_an_underlay(tmp_path: Path) -> None:
    found = load([put(tmp_path, lab_yaml=LAB) / "lab.yaml"])
    assert found.model.name == "two"
    assert len(found.model.underlay.hosts) == 3
    assert [one.name for one in found.model.namespaces] == ["shop"]


def test_a_lab_brings_its_manifests(tmp_path: Path) -> None:
    """They run in the lab's underlay, beside its applications, and each file counts once."""
    text = LAB + "underlay: {leaves: 1, spines: 1, hosts: 2}\nmanifests: [k8s, k8s/web.yaml]\n"
    folder = put(tmp_path, lab_yaml=text, k8s__web_yaml=WEB)
    for paths in ([folder / "lab.yaml"], [folder], [folder / "lab.yaml", folder / "k8s"]):
        found = load(paths)
        assert [one.name for one in found.model.applications] == ["cluster", "shop"]
        assert keys(found) == ["default/web-0"]
        assert len(found.model.underlay.hosts) == 2
        assert [one.name for one in found.model.namespaces] == ["default", "shop"]


def test_two_labs_are_one_too_many(tmp_path: Path) -> None:
    folder = put(tmp_path, a_yaml=LAB, b_yaml=LAB)
    assert refused(folder) == [f"{folder}/b.yaml:1:1: is a second lab beside {folder}/a.yaml:1; load one at a time"]


def test_nothing_to_load(tmp_path: Path) -> None:
    assert refused(tmp_path) == [f"{tmp_path}: no file here ends in .yaml, .yml, .json; name another folder"]
    assert refused(tmp_path / "x.yaml") == [f"{tmp_path}/x.yaml: no such file; check the path"]
    with pytest.raises(SpecError, match="nothing to load"):
        load([])


def test_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    folder = put(
        tmp_path,
        a_yaml="a: [",
        b_yaml="",
        c_yaml="apiVersion: v1\nkind: Pod\nmetadata: {name: X}\nspec: {}\n",
        d_yaml=LAB + "extra: 1\n",
    )
    problems = refused(folder)
    assert len(problems) == 4
    assert problems == sorted(problems)


def test_a_name_of_lab_and_manifest_names_both_places(tmp_path: Path) -> None:
    text = "lab: x\napplications:\n  default:\n    services: {web: {selector: {app: web}, ports: [80]}}\n"
    service = written(thing("Service", "web", {"ports": [{"port": 80}]}))
    folder = put(tmp_path, lab_yaml=text, web_yaml=service)
    problems = refused(folder)
    assert problems == [
        f"{folder}/web.yaml:1: service default/web: is defined more than once; rename one of them (also at "
        f"{folder}/lab.yaml:4)"
    ]


def app(name: str, *subnets: str, connects: tuple[str, ...] = ()) -> Application:
    segments = tuple(Segment(f"s{number}", (subnet,)) for number, subnet in enumerate(subnets))
    return Application(name, segments, connects)


def pod(name: str, application: str = "a", ip: tuple[str, ...] = (), **more: Any) -> Workload:
    return Workload("ns", name, Kind.POD, application, "s0", ip=ip, **more)


def model(**parts: Any) -> Model:
    """A sound little model with some parts changed."""
    sound: dict[str, Any] = {
        "name": "m",
        "underlay": Underlay((Host("h1"),), (Switch("leaf-1"),), (Link("h1", "leaf-1"),)),
        "applications": (app("a", "10.1.0.0/24"),),
        "workloads": (),
    }
    return Model(**(sound | parts))


SELF = LabelSelector()
WRONG: dict[str, tuple[Model, list[str]]] = {
    "workload-twice": (
        model(workloads=(pod("w"), pod("w"))),
        ["lab.yaml:7: workload ns/w: is defined more than once; rename one of them"],
    ),
    "network-policy-twice": (
        model(network_policies=(NetworkPolicy("ns", "p", SELF, ()), NetworkPolicy("ns", "p", SELF, ()))),
        ["m: NetworkPolicy ns/p: is defined more than once; rename one of them"],
    ),
    "policy-twice": (
        model(policies=(Policy("p", "application", ()), Policy("p", "emergency", ()))),
        ["m: policy p: is defined more than once; rename one of them"],
    ),
    "service-twice": (
        model(services=(Service("ns", "s", "a", {}, ()), Service("ns", "s", "a", {}, ()))),
        ["m: service ns/s: is defined more than once; rename one of them"],
    ),
    "host-is-a-switch": (
        model(underlay=Underlay((Host("leaf-1"),), (Switch("leaf-1"),))),
        ['m: switch leaf-1: "leaf-1" is already the name of a host; rename one of them'],
    ),
    "node-is-a-host": (
        model(workloads=(pod("h1", is_node=True),)),
        ['m: workload ns/h1: "h1" is already the name of a host; rename one of them'],
    ),
    "two-workloads-on-one-address": (
        model(workloads=(pod("v", ip=("10.1.0.9",)), pod("w", ip=("10.1.0.9",)))),
        ["lab.yaml:7: workload ns/w: address 10.1.0.9 is that of ns/v already; choose another"],
    ),
    "address-outside": (
        model(workloads=(pod("w", ip=("10.2.0.9",)),)),
        ["lab.yaml:7: workload ns/w: address 10.2.0.9 is not in 10.1.0.0/24; choose one that is"],
    ),
    "address-of-the-gateway": (
        model(workloads=(pod("w", ip=("10.1.0.1",)),)),
        ["lab.yaml:7: workload ns/w: address 10.1.0.1 is the network's or the gateway's; choose another"],
    ),
    "segments-overlap": (
        model(applications=(app("a", "10.1.0.0/16", "10.2.0.0/24", "10.1.7.0/24"),)),
        ["m: application a: segment s2: 10.1.7.0/24 overlaps 10.1.0.0/16 of segment s0; choose another subnet"],
    ),
    "connected-through-another": (
        model(
            applications=(
                app("a", "10.1.0.0/24", connects=("b",)),
                app("b", "10.2.0.0/24"),
                app("c", "10.1.0.128/25", connects=("b",)),
            )
        ),
        [
            "m: application c: segment s0: 10.1.0.128/25 overlaps 10.1.0.0/24 of segment s0 of application a, which "
            "connections lead to; choose another subnet for one of them, or remove the entry of `connects:` that joins them"
        ],
    ),
    "service-range": (
        model(applications=(app("a", "10.96.7.0/24"),)),
        [
            "m: application a: segment s0: 10.96.7.0/24 overlaps 10.96.0.0/16, the addresses of services; choose another "
            "subnet"
        ],
    ),
    "connects-to-nobody": (
        model(applications=(app("shop", "10.1.0.0/24", connects=("bank",)), app("banks", "10.2.0.0/24"))),
        [
            'm: application shop: connects to application "bank", which is not defined (there are: banks, shop); '
            'did you mean "banks"?'
        ],
    ),
    "workload-nowhere": (
        model(workloads=(pod("w", "nowhere"), Workload("ns", "x", Kind.POD, "a", "nowhere"))),
        [
            'lab.yaml:7: workload ns/w: is in application "nowhere", which is not defined (there are: a)',
            'm: workload ns/x: is on segment "nowhere", which is not defined (there are: s0)',
        ],
    ),
    "selects-nobody": (
        model(policies=(Policy("p", "application", (), (Selector(applications=("b",)), Selector(segments=("s9",)))),)),
        [
            'm: policy p: selects application "b", which is not defined (there are: a)',
            'm: policy p: selects segment "s9", which is not defined (there are: s0)',
        ],
    ),
    "names": (
        model(applications=(app("Shop", "10.1.0.0/24"),), workloads=(pod("w" * 254, "Shop"),)),
        [
            'm: application Shop: "Shop" is not a name; use at most 63 of a-z, 0-9 and -, a letter or digit at both ends',
            f'm: workload ns/{"w" * 254}: "{"w" * 80}" is not a name; use at most 253 of a-z, 0-9, - and ., a letter or '
            "digit at both ends",
        ],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_only_the_whole_shows(name: str) -> None:
    wrong, expected = WRONG[name]
    assert sorted(map(str, check(wrong, [{"workload ns/w": "lab.yaml:7"}]))) == expected


def test_a_sound_model_has_no_problems() -> None:
    """Applications that nobody joins may overlap, and have workloads with equal addresses."""
    applications = (app("a", "10.1.0.0/24", "10.1.1.0/24"), app("b", "10.1.0.0/24"))
    workloads = (pod("v", "a", ("10.1.0.9",)), pod("w", "b", ("10.1.0.9",)), pod("n", "", is_node=True))
    assert check(model(applications=applications, workloads=workloads), []) == []


def test_leaf_spine_cables() -> None:
    made = leaf_spine([Host("h2"), Host("h1"), Host("a")], leaves=2, spines=1, mtu=1500, uplinks=2, family=6)
    assert [(link.a, link.b, link.index, link.mtu) for link in made.links] == [
        ("a", "leaf-1", 0, 1500),
        ("h1", "leaf-2", 0, 1500),
        ("h2", "leaf-1", 0, 1500),
        ("leaf-1", "spine-1", 0, 1500),
        ("leaf-1", "spine-1", 1, 1500),
        ("leaf-2", "spine-1", 0, 1500),
        ("leaf-2", "spine-1", 1, 1500),
    ]
    assert [host.name for host in made.hosts] == ["a", "h1", "h2"]
    assert made.family == 6


PUBLISHED = {"online-boutique": (12, 12, 13), "sock-shop": (14, 14, 13), "bookinfo": (8, 5, 0)}


@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_manifests_load_unchanged(name: str) -> None:
    if not (DATA / name).is_dir():
        pytest.skip(f"the published manifests are not in {DATA.name}/ beside the repository")
    found = load([DATA / name])
    counts = len(found.model.workloads), len(found.model.services), len(found.model.network_policies)
    assert (found.model.name, counts) == (name, PUBLISHED[name])
    assert len(found.model.underlay.hosts) == 3


@pytest.mark.data
def test_two_variants_in_the_folder_of_bookinfo_are_resolved_and_told() -> None:
    if not (DATA / "bookinfo").is_dir():
        pytest.skip(f"the published manifests are not in {DATA.name}/ beside the repository")
    found = load([DATA / "bookinfo"])
    replaced = [line for line in found.warnings if "is replaced by" in line]
    assert len(replaced) == 4
    assert all("bookinfo-dualstack.yaml:" in line and "/bookinfo.yaml:" in line for line in replaced)
    assert {service.addresses[0].count(":") for service in found.model.services} == {0}
    dual = load([DATA / "bookinfo" / "bookinfo-dualstack.yaml"])
    assert {len(service.addresses) for service in dual.model.services} == {2}
