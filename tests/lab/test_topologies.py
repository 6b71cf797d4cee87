"""`sdn test` as its users run it: the labs that ship with the project, and published manifests unchanged.

In every one of them all three answers agree, and the numbers of all formats are the same.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labs import ROOT, TOPOLOGIES, sdn, side_by_side

pytestmark = pytest.mark.kernel

DATA = ROOT.parent / "shared" / "data"
PUBLISHED = ["online-boutique", "sock-shop", "bookinfo"]

SUMMARY = re.compile(r"^([\d,]+) questions, three answers each: 0 disagreements$", re.MULTILINE)


def questions(printed: str) -> int:
    """How many the last line says were asked; all of them must have been agreed on."""
    found = SUMMARY.search(printed)
    assert found, printed[-3000:]
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_shipped(path: Path) -> None:
    done = sdn("test", path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-3000:] + done.stderr
    assert questions(done.stdout) > 10
    assert "warnings:" not in done.stdout


@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_published(name: str) -> None:
    if not DATA.is_dir():
        pytest.skip("the published manifests are not in data/ beside the repository")
    done = sdn("test", DATA / name)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-3000:] + done.stderr
    assert questions(done.stdout) > 100
    if name == "sock-shop":
        warnings = done.stdout.partition("warnings:")[2]
        assert "cart-access: name=cart selects no pod of namespace sock-shop" in warnings
        assert "cortex-access: peer name=cortex selects no workload" in warnings


def test_every_format_tells_the_same() -> None:
    path = ROOT / "topologies" / "two-hosts.yaml"
    text, as_json, as_junit = side_by_side(lambda form: sdn("test", path, "--format", form), ["text", "json", "junit"])
    assert {one.returncode for one in (text, as_json, as_junit)} == {0}
    report = json.loads(as_json.stdout)
    assert report["ok"] is True
    assert questions(text.stdout) == report["questions"] == len(report["results"])
    assert report["disagreements"] == 0 == len(report["failed_expectations"])
    assert all(one["evaluate"] == one["trace"] and one["probe"] for one in report["results"])
    suite = next(ElementTree.fromstring(as_junit.stdout).iter("testsuite"))
    pairs = {(one["source"], one["target"]) for one in report["results"]}
    assert (suite.get("tests"), suite.get("failures")) == (str(len(pairs)), "0")
    assert len(suite.findall(".//testcase")) == len(pairs)


@pytest.mark.parametrize("form", ["text", "json", "junit"])
def test_an_expectation_that_fails_is_told_in_every_format(form: str, tmp_path: Path) -> None:
    lab = tmp_path / "lab.yaml"
    shipped = (ROOT / "topologies" / "two-hosts.yaml").read_text()
    lab.write_text(shipped.replace("server 53/udp: deny", "server 53/udp: allow"))
    done = sdn("test", lab, "--format", form)
    assert done.returncode == 1, done.stderr
    assert "hello/client → hello/server 53/udp: allow, but it is deny" in done.stdout
    assert "lab.yaml:" in done.stdout
