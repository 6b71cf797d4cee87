"""A lab that was loaded before is the same from the cache, and what changed in any way is loaded anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sdn.errors import SpecError
from sdn.spec import cache
from sdn.spec.load import load

AT_IMPORT = os.environ.get("XDG_CACHE_HOME")
TOPOLOGIES = sorted((Path(__file__).parents[2] / "topologies").glob("*.yaml"))

LAB = """\
lab: together
manifests: [more]
applications: {shop: {workloads: {web: {}}}}
expect: ["web -> default/cache 80/tcp: deny"]
"""
POD = "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: []}}}}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/cache.yaml").write_text(POD.format(name="cache"))
    file = tmp_path / "lab.yaml"
    file.write_text(LAB)
    return file


def entries(home: Path) -> list[Path]:
    return sorted((home / "sdn").iterdir())


def names(lab: Path) -> list[str]:
    return [workload.name for workload in cache.load([lab]).model.workloads]


def test_a_lab_from_the_cache_is_read_by_nobody(home: Path, lab: Path) -> None:
    """In a process of its own, where the readers are not imported for anything else."""
    code = "import sys; from pathlib import Path; from sdn.spec import cache; cache.load([Path(sys.argv[1])]);"
    code += "print(*{'pydantic', 'yaml', 'sdn.spec.load'} & set(sys.modules))"
    told = [subprocess.check_output([sys.executable, "-c", code, str(lab)], text=True) for _ in range(2)]
    assert set(told[0].split()) == {"pydantic", "yaml", "sdn.spec.load"}
    assert told[1].split() == []


def test_tests_keep_nothing_in_the_cache_of_their_user() -> None:
    """Neither do the processes of those that take their environment when they are imported."""
    assert AT_IMPORT and os.environ.get("XDG_CACHE_HOME") == AT_IMPORT
    assert Path(AT_IMPORT).name.startswith("sdn-tests-")


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_it_is_the_same_lab(home: Path, path: Path) -> None:
    written, first, again = load([path]), cache.load([path]), cache.load([path])
    assert written == first
    assert (again.model, again.warnings, again.inputs) == (written.model, written.warnings, written.inputs)
    assert dict(again.where) == dict(written.where)
    assert len(entries(home)) == 1


def test_whatever_was_read_may_change(home: Path, lab: Path) -> None:
    assert names(lab) == ["cache", "web"]
    pod = lab.parent / "more/cache.yaml"
    before = pod.stat()
    pod.write_text(POD.format(name="cachf"))
    os.utime(pod, ns=(before.st_atime_ns, before.st_mtime_ns))  # as large as before, and as old
    lab.write_text(LAB.replace("cache", "cachf"))
    assert names(lab) == ["cachf", "web"]
    (lab.parent / "more/queue.yaml").write_text(POD.format(name="queue"))
    assert names(lab) == ["cachf", "queue", "web"]
    (lab.parent / "more/queue.yaml").unlink()
    assert names(lab) == ["cachf", "web"]


def test_other_code_reads_anew(home: Path, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.load([lab])
    (entry,) = entries(home)
    old = entry.read_bytes()
    monkeypatch.setattr(cache, "__version__", "another")
    cache.load([lab])
    assert [path for path in entries(home) if path.read_bytes() != old] == [entry]


def test_mistakes_are_told_each_time(home: Path, lab: Path) -> None:
    lab.write_text(LAB.replace("web: {}", "web: {kin: vm}"))
    for _ in range(2):
        with pytest.raises(SpecError, match="kin"):
            cache.load([lab])
    assert entries(home) == []


@pytest.mark.parametrize("junk", [b"", b"\x00", b"\x94\xc0\xc0\xc0\xc0", b"no MessagePack at all"])
def test_an_entry_of_junk_is_no_entry(home: Path, lab: Path, junk: bytes) -> None:
    cache.load([lab])
    (entry,) = entries(home)
    entry.write_bytes(junk)
    assert names(lab) == ["cache", "web"]
    assert entry.read_bytes() != junk


def test_an_entry_cut_short_is_no_entry(home: Path, lab: Path) -> None:
    cache.load([lab])
    (entry,) = entries(home)
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-1])
    assert names(lab) == ["cache", "web"]
    assert entry.read_bytes() == whole


def test_a_folder_that_others_may_write_is_not_trusted(home: Path, lab: Path) -> None:
    cache.load([lab])
    (entry,) = entries(home)
    entry.unlink()
    (home / "sdn").chmod(0o777)
    assert names(lab) == ["cache", "web"]
    assert entries(home) == []


def test_an_entry_is_no_link_to_elsewhere(home: Path, lab: Path, tmp_path: Path) -> None:
    cache.load([lab])
    (entry,) = entries(home)
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    assert names(lab) == ["cache", "web"]
    assert not entry.is_symlink()


def test_no_place_to_keep_anything_is_no_mistake(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert names(lab) == ["cache", "web"]


def test_the_oldest_are_forgotten(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    for number in range(cache.MAX_ENTRIES + 3):
        file = tmp_path / f"lab-{number}.yaml"
        file.write_text("lab: small\napplications: {shop: {workloads: {web: {}}}}\n")
        cache.load([file])
    assert len(entries(home)) == cache.MAX_ENTRIES
    assert home / "sdn" / cache._name([file]) in entries(home)


def test_all_together_have_a_limit(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was read lately stays, though it was written first; who is too large alone for all goes at once."""
    files = [tmp_path / f"lab-{number}.yaml" for number in range(4)]
    for file in files:
        file.write_text("lab: small\napplications: {shop: {workloads: {web: {}}}}\n")
    cache.load([files[0]])
    size = entries(home)[0].stat().st_size
    monkeypatch.setattr(cache, "MAX_TOTAL", 3 * size + size // 2)
    for index in (1, 2, 0, 3):
        cache.load([files[index]])
    kept = {entry.name for entry in entries(home)}
    assert kept == {cache._name([files[index]]) for index in (0, 2, 3)}
    monkeypatch.setattr(cache, "MAX_TOTAL", size // 2)
    files[3].write_text("lab: small\napplications: {shop: {workloads: {web: {}, db: {}}}}\n")
    cache.load([files[3]])
    assert entries(home) == []


@pytest.mark.parametrize("name", ["pydantic-2.99.dist-info", "pydantic_core-9.dist-info", "PyYAML-7.0.egg-info"])
def test_other_libraries_read_anew(
    home: Path, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cache.load([lab])
    (entry,) = entries(home)
    old = entry.read_bytes()
    installed = tmp_path / "site-packages"
    (installed / "networkx-3.2.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(installed)
    cache.load([lab])
    assert entry.read_bytes() == old
    (installed / name).mkdir()
    cache.load([lab])
    assert entry.read_bytes() != old


def test_installed_libraries_are_known() -> None:
    known = {name.partition("-")[0].lower() for name in cache._libraries()}
    assert known == {"pydantic", "pydantic_core", "pyyaml"}


def test_a_file_whose_name_is_no_text_is_loaded_each_time(home: Path, tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"lab-\xff.yaml")
    file.write_text("lab: odd\napplications: {shop: {workloads: {web: {}}}}\n")
    assert [names(file) for _ in range(2)] == [["web"], ["web"]]
    assert entries(home) == []


def test_manifests_are_called_after_where_a_link_leads(home: Path, tmp_path: Path) -> None:
    current = tmp_path / "current"
    called = []
    for release in ("blue", "green"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "pod.yaml").write_text(POD.format(name="web"))
        current.unlink(missing_ok=True)
        current.symlink_to(tmp_path / release)
        called.append(cache.load([current]).model.name)
    assert called == ["blue", "green"]


def test_a_pipe_is_read_once(home: Path) -> None:
    """`sdn trace -f <(generate)`: each time another lab under the same name."""
    code = "import sys; from pathlib import Path; from sdn.spec import cache\n"
    code += "print(*(w.name for w in cache.load([Path('/dev/fd/0')]).model.workloads))"
    for name in ("web", "web", "db"):
        text = f"lab: piped\napplications: {{shop: {{workloads: {{{name}: {{}}}}}}}}\n"
        done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [name]
