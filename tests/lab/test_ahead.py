"""A holder that starts before anybody knows what it is for: it becomes the lab that it is told, or leaves nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labs import ROOT, ask_all, eventually, new_name, sdn, story
from sdn.errors import ExistsError, KernelError, LabError
from sdn.kernel import sandbox
from sdn.lab import client
from sdn.lab.ahead import ahead
from sdn.spec.load import load

pytestmark = pytest.mark.kernel

FILE = ROOT / "topologies" / "two-hosts.yaml"


def waiting(mark: str) -> list[str]:
    """The command lines of processes that carry the mark, or have it in their environment, and are not a lab yet."""
    labs = {str(lab.pid) for lab in sandbox.labs()}
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line, variables = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
        except OSError:
            continue  # it has just ended, or is another user's
        if path.name not in labs and b"ahead" in line.split(b"\0") and mark.encode() in line + variables:
            found.append(line.replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """One of its own for a test, that says its arguments and then waits."""
    name = new_name("module").replace("-", "_")
    (tmp_path / f"{name}.py").write_text(
        "import sys\nprint('imported', __name__)\ndef main():\n"
        "    print('begun', sys.argv[1:], repr(sys.stdin.read()), flush=True)\n    sys.stdout.close()\n"
        "    import signal; signal.pause()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    return name


def test_a_lab_that_was_begun_before_its_file_was_read_is_as_any_other() -> None:
    name = new_name("ahead")
    with ahead() as begun:
        model = load([FILE]).model
        info = client.up([FILE], model, name, begun=begun)
    lab = client.connect(name)
    try:
        assert (info.name, info.state, lab.pid) == (name, "up", info.pid)
        results = ask_all(lab)
        assert results and not any(result.disagreement for result in results), story(results)
        assert lab.status().drift == ()
    finally:
        lab.down()


def test_what_was_begun_has_imported_its_module_and_is_told_its_name(module: str) -> None:
    name = new_name("ahead")
    with sandbox.Ahead(module) as begun:
        assert eventually(lambda: waiting(module))
        holder = begun.start(name)
    try:
        assert eventually(lambda: f"imported {module}\nbegun ['{name}'] ''" in holder.output()), holder.output()
        assert holder.alive()
    finally:
        sandbox.stop(holder.pid)
        holder.close()


def test_what_is_given_no_name_ends_and_was_no_lab(module: str) -> None:
    before = sandbox.labs()
    with pytest.raises(RuntimeError), sandbox.Ahead(module):
        assert eventually(lambda: waiting(module))
        raise RuntimeError("a mistake in the file")
    assert not waiting(module)
    assert [lab for lab in sandbox.labs() if lab not in before] == []


def test_a_name_that_is_taken_or_none_is_refused_and_ends_it(module: str) -> None:
    name = new_name("taken")
    with sandbox.Ahead(module) as first:
        holder = first.start(name)
    try:
        with pytest.raises(ExistsError, match=f"a lab named {name} runs already"), sandbox.Ahead(module) as second:
            second.start(name)
        with pytest.raises(LabError, match="cannot be a lab's name"), sandbox.Ahead(module) as third:
            third.start("no name")
        assert not waiting(module)
        assert holder.alive()
    finally:
        sandbox.stop(holder.pid)
        holder.close()


def test_who_asks_one_that_has_died_is_told_so(module: str) -> None:
    name = new_name("died")
    with sandbox.Ahead(module) as begun:
        holder = begun.start(name)
        try:
            assert sandbox.stop(holder.pid)
            with pytest.raises(LabError, match=f"no lab named {name} is running"):
                sandbox.connect(name)
        finally:
            holder.close()


def test_a_module_that_cannot_be_imported_says_why() -> None:
    with sandbox.Ahead("sdn.lab.nothing") as begun, pytest.raises(KernelError, match=r"sdn\.lab\.nothing"):
        begun.start(new_name("nothing"))


def test_a_command_that_refuses_its_file_leaves_no_process(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("lab: wrong\nunderlay: {hosts: {count: many}}\n")
    mark = new_name("mark")
    done = sdn("up", wrong, env={**os.environ, "TEST_MARK": mark})
    assert done.returncode == 2
    assert "wrong.yaml:2" in done.stderr
    assert not waiting(mark)
