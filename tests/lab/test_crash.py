"""Whoever dies, and whenever: no process, namespace, link, mount, socket or file of a lab stays, and its name is free.

A namespace lives by processes, descriptors and mounts. Everything that a lab starts inherits a mark in its environment,
so what is left of it can be told from everybody else's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from labs import ask_all, command, entering, eventually, new_name, up
from sdn.errors import LabError
from sdn.kernel import machine, sandbox
from sdn.kernel.ending import MANY
from sdn.lab import client
from sdn.lab.messages import Build, Bye, Down, Progress, receive_replies, send
from sdn.model import Application, Model, SegmentKind
from worlds_build import model, segment, workload

pytestmark = pytest.mark.kernel

MARK = "SDN_TEST_MARK"
PODS = Application("a", (segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),))
STAGES = (0, 1, 2, 5, 7, 8, 10, 12, 14, 16)
"""How many stages of the build had begun: before anything, among Switches, their cables, Hosts, routes, and at the end.

Of 26: what comes after the last of these, many commands that start, must take longer than to kill the holder.
"""


def crowd(count: int) -> Model:
    """Workloads that run something, over three Hosts."""
    sleeping = ("sleep", "3600")
    return model(
        "crowd",
        [PODS],
        [replace(workload(f"a/w{n}", 1 + n % 3, "a/pods", ":80"), command=sleeping) for n in range(count)],
    )


class Remains:
    """What is there of one lab, and what has changed in this machine since this was made."""

    def __init__(self, name: str, mark: str, folder: Path) -> None:
        self.name = name
        self._mark = f"{MARK}={mark}".encode()
        self._folder = folder
        self._before = machine.snapshot().lines["links"]
        self._mounts = self._mounted()

    def processes(self) -> list[str]:
        """The command lines of all processes that carry the mark, this one's ancestors not among them."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark in (path / "environ").read_bytes():
                    found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue  # it has just ended, or is another user's
        return found

    def all(self) -> list[str]:
        """One line for each thing that is left."""
        left = [f"process {line}" for line in self.processes()]
        left += [f"socket {line}" for line in Path("/proc/net/unix").read_text().splitlines() if self.name in line]
        left += [f"mount {line}" for line in self._mounted() if line not in self._mounts]
        left += [f"link {line}" for line in machine.snapshot().lines["links"] if line not in self._before]
        left += [f"namespace {fd}" for fd in descriptors() if ":[" in fd]
        left += [f"file {path}" for path in self._folder.rglob("*")]
        for folder in (Path("/run"), Path("/tmp"), Path("/dev/shm"), Path("/run/netns")):
            if folder.is_dir():
                left += [f"file {path}" for path in folder.iterdir() if self.name in path.name]
        return left

    def _mounted(self) -> list[str]:
        return Path("/proc/self/mountinfo").read_text().splitlines()


def descriptors() -> Iterator[str]:
    """What the open descriptors of this process lead to, other than sockets and pipes."""
    for path in Path("/proc/self/fd").iterdir():
        try:
            target = str(path.readlink())
        except OSError:
            continue
        if not target.startswith(("socket:", "pipe:", "anon_inode:")):
            yield target


@pytest.fixture
def remains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Remains]:
    """Whatever is started from here on is marked, and keeps its temporary files where they can be seen."""
    name = new_name("victim")
    for variable in ("TMPDIR", "XDG_RUNTIME_DIR"):
        folder = tmp_path / "places" / variable
        folder.mkdir(parents=True)
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setenv(MARK, name)
    known = Remains(name, name, tmp_path / "places" / "TMPDIR")
    yield known
    for lab in sandbox.labs():
        if lab.name == name:
            sandbox.stop(lab.pid)


def assert_nothing_is_left(remains: Remains) -> None:
    """It takes the kernel a moment, and a holder to whom nobody spoke ten seconds."""
    assert eventually(lambda: not remains.all(), 25), "\n".join(remains.all())


def assert_the_name_is_free(remains: Remains) -> None:
    info = client.up((), crowd(3), remains.name)
    assert (info.name, info.state) == (remains.name, "up")
    client.connect(remains.name).down()
    assert_nothing_is_left(remains)


def start(name: str) -> sandbox.Holder:
    """A holder to which nobody has said anything yet."""
    return sandbox.start(name, [sys.executable, "-P", "-m", "sdn.lab.holder", name])


@pytest.mark.parametrize("stage", STAGES)
def test_a_holder_that_is_killed_while_it_builds(stage: int, remains: Remains) -> None:
    holder = start(remains.name)
    with sandbox.connect(remains.name) as connection:
        send(connection, Build(crowd(60)))
        replies = receive_replies(connection)
        for _ in range(stage):
            assert isinstance(next(replies), Progress), "the build is shorter than the test believes"
        assert remains.processes()
        os.kill(holder.pid, signal.SIGKILL)
        with pytest.raises(LabError, match="ended before it answered"):
            list(replies)
    holder.close()
    assert_nothing_is_left(remains)
    if stage in STAGES[::3]:
        assert_the_name_is_free(remains)


@pytest.mark.parametrize("namespaces", [0, 20, 100])
def test_a_client_that_is_killed_while_its_lab_is_built(namespaces: int, remains: Remains, tmp_path: Path) -> None:
    lab_file = tmp_path / "lab.yaml"
    lab_file.write_text(YAML)
    with subprocess.Popen(command("up", lab_file, "--name", remains.name), stderr=subprocess.DEVNULL) as up_verb:
        assert eventually(lambda: namespaces_of(remains.name) >= namespaces), namespaces_of(remains.name)
        up_verb.kill()
    assert up_verb.returncode == -signal.SIGKILL
    assert_nothing_is_left(remains)
    if namespaces:
        assert_the_name_is_free(remains)


YAML = """
lab: large
underlay: {hosts: 4, leaves: 2, spines: 2}
applications:
  a:
    segments: {pods: {kind: routed, subnets: [10.244.0.0/16]}}
    workloads: {w: {replicas: 400, ports: [80/tcp]}}
"""


def namespaces_of(name: str) -> int:
    """How many network namespaces a lab has made so far; -1 while there is no lab."""
    pid = next((lab.pid for lab in sandbox.labs() if lab.name == name), None)
    if pid is None:
        return -1
    try:
        return len(list(Path(f"/proc/{pid}/root/run/netns").iterdir()))
    except OSError:
        return 0


def test_a_holder_that_is_killed_while_it_probes(remains: Remains) -> None:
    client.up((), crowd(12), remains.name)
    lab = client.connect(remains.name)
    lab.placed()
    visitor = subprocess.Popen(entering(lab, "a/w0", "sleep", "3600"), stdin=subprocess.DEVNULL)
    errors: list[LabError] = []
    began = threading.Event()

    def ask() -> None:
        try:
            ask_all(lab, lambda _: began.set())
        except LabError as error:
            errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert began.wait(20)
    assert eventually(lambda: sum(line.startswith("sleep") for line in remains.processes()) == 13)
    os.kill(lab.pid, signal.SIGKILL)
    asking.join(20)
    assert "ended before it answered" in str(errors)
    assert visitor.wait(10) == 128 + signal.SIGKILL
    assert_nothing_is_left(remains)
    assert_the_name_is_free(remains)


def test_a_test_that_is_killed_takes_its_lab_with_it(remains: Remains, tmp_path: Path) -> None:
    lab_file = tmp_path / "lab.yaml"
    lab_file.write_text(YAML.replace("400", "12").replace("large", remains.name))
    with subprocess.Popen(command("test", lab_file), stdout=subprocess.DEVNULL) as verb:
        assert eventually(lambda: any(lab.name.startswith(remains.name) for lab in sandbox.labs()))
        name = next(lab.name for lab in sandbox.labs() if lab.name.startswith(remains.name))
        assert eventually(lambda: client.connect(name).status(check=False).state == "up")
        verb.kill()
    assert_nothing_is_left(remains)


def test_down_leaves_nothing_either(remains: Remains) -> None:
    client.up((), crowd(6), remains.name)
    assert len(remains.all()) > 6
    client.connect(remains.name).down()
    assert remains.all() == []


def large() -> Model:
    """As many workloads as are taken apart, a few of which run something."""
    few, many = crowd(6), model("large", [PODS], [workload(f"a/m{n}", 1 + n % 3, "a/pods") for n in range(MANY)])
    return replace(few, workloads=(*few.workloads, *many.workloads))


def test_down_of_a_large_lab_leaves_nothing_either(remains: Remains) -> None:
    client.up((), large(), remains.name)
    assert eventually(lambda: sum(line.startswith("sleep") for line in remains.processes()) == 6)
    client.connect(remains.name).down()
    assert remains.all() == []


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1, 0.2])
def test_a_holder_that_is_killed_while_it_takes_its_lab_apart(seconds: float, remains: Remains) -> None:
    client.up((), large(), remains.name)
    lab = client.connect(remains.name)
    with sandbox.connect(remains.name) as connection:
        send(connection, Down())
        assert isinstance(next(receive_replies(connection)), Bye)
        sandbox.await_end(lab.pid, seconds)
        sandbox.stop(lab.pid)
    assert_nothing_is_left(remains)
    assert_the_name_is_free(remains)


def test_a_lab_that_is_taken_apart_says_so(remains: Remains) -> None:
    client.up((), large(), remains.name)
    lab = client.connect(remains.name)
    with sandbox.connect(remains.name) as connection:
        send(connection, Down())
        assert isinstance(next(receive_replies(connection)), Bye)
        with pytest.raises(LabError, match=r"is ending; start it again|ended before it|no lab named"):
            lab.placed()
        assert sandbox.await_end(lab.pid, 20)
    assert_nothing_is_left(remains)


def test_a_block_that_fails_leaves_nothing(remains: Remains) -> None:
    with pytest.raises(ZeroDivisionError), client.temporary(crowd(3)) as lab:
        lab.built()
        assert remains.processes()
        raise ZeroDivisionError
    assert_nothing_is_left(remains)
    with pytest.raises(ZeroDivisionError), up(crowd(3)):
        raise ZeroDivisionError
    assert_nothing_is_left(remains)
