"""What the verbs of a lab's life say where the answer is no, and what `sdn status` says is to be done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labs import new_name, sdn

pytestmark = pytest.mark.kernel

LAB = """\
lab: {name}
underlay: {{hosts: 3, leaves: 2, spines: 1}}
applications:
  a: {{workloads: {{web: {{replicas: 2, ports: [80/tcp]}}}}}}
"""
OTHER = "lab: other\napplications:\n  b: {workloads: {api: {}}}\n"
EMPTY = "lab: empty\nunderlay: {hosts: 1}\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    name, file = new_name("life"), tmp_path_factory.mktemp("life") / "lab.yaml"
    file.write_text(LAB.format(name=name))
    assert sdn("up", file).returncode == 0
    yield name
    sdn("down", name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OTHER, "the files describe no workload of a (a/web-0, a/web-1), so nothing was replaced"),
        (EMPTY, "the files describe no workload, so there is nothing to replace any by"),
    ],
    ids=["of-others", "of-nobody"],
)
def test_a_rollout_of_files_without_the_application_is_no_success(
    lab: str, tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "new.yaml"
    file.write_text(text)
    done = sdn("rollout", "a", file, "--lab", lab)
    assert (done.returncode, done.stdout) == (2, "") and words in done.stderr


def told(lab: str) -> list[str]:
    return [
        line.strip() for line in sdn("status", lab).stdout.splitlines() if "`sdn heal" in line or "isolated" in line
    ]


def test_status_says_what_mends_what_has_failed(lab: str) -> None:
    assert sdn("fail", "link", "leaf-1:host-1", "--lab", lab).returncode == 0
    assert told(lab) == [
        "host-1 is isolated: no way leads to it; it takes part again when one is mended",
        "link host-1:leaf-1 has failed; `sdn heal host-1:leaf-1` mends it",
    ]
    refused = sdn("heal", "host-1", "--lab", lab)
    assert refused.returncode == 1 and "nobody reaches host-1 before a way to it is mended" in refused.stdout
    assert sdn("heal", "host-1:leaf-1", "--lab", lab).returncode == 0
    assert told(lab) == []
    assert sdn("drain", "host-3", "--lab", lab).returncode == 0
    assert sdn("fail", "switch", "leaf-2", "--lab", lab).returncode == 0
    assert told(lab) == [
        "host-2 is isolated: no way leads to it; it takes part again when one is mended",
        "host-3 is in maintenance; `sdn heal host-3` ends it",
        "switch leaf-2 has failed; `sdn heal leaf-2` mends it",
    ]
