"""The one process that a lab is: its name, its neighbours, and clients that are many, early, foreign or gone."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from labs import ROOT, ask_all, eventually, new_name, sdn, side_by_side, story, up
from sdn.errors import ExistsError, LabError
from sdn.kernel import sandbox
from sdn.lab import client
from sdn.lab.messages import Build, Describe, Failed, GetPlaced, Info, Reply, Request, receive_replies, send
from sdn.lab.suite import ask_flows
from sdn.model import Application, Flow, Model
from sdn.model.lifecycle import Label
from sdn.spec.load import load
from worlds_build import INGRESS, act, model, segment, tier, workload

pytestmark = pytest.mark.kernel

FILE = ROOT / "topologies" / "two-hosts.yaml"
LAN = Application("a", (segment("lan", "10.1.0.0/23", "fd00:1::/64"),))


@pytest.fixture(scope="module")
def hello() -> Model:
    return load([FILE]).model


def crowd(count: int, host: str = "") -> Model:
    """A lab that takes a while to build."""
    pods = [replace(workload(f"a/w{n}", 1 + n % 3, "a/lan"), host=host or f"host-{1 + n % 3}") for n in range(count)]
    return model("crowd", [LAN], pods)


def told(name: str, request: Request) -> Reply:
    """The last reply to one request on a connection of its own."""
    with sandbox.connect(name) as connection:
        send(connection, request)
        return list(receive_replies(connection))[-1]


def names() -> set[str]:
    return {lab.name for lab in sandbox.labs()}


def test_labs_with_the_same_addresses_do_not_hear_each_other() -> None:
    pair = [workload("a/x", 1, "a/lan", ":80", ip=("10.1.0.5",)), workload("a/y", 2, "a/lan", ":80", ip=("10.1.0.6",))]
    pair = [replace(one, ip=(*one.ip, f"fd00:1::{one.ip[0][-1]}")) for one in pair]
    models = [
        model("open", [LAN], pair),
        model("closed", [LAN], pair, tier("application/t", act("deny", INGRESS))),
        model("refusing", [LAN], pair, tier("application/t", act("reject", INGRESS))),
    ]

    def asked(one: Model) -> str:
        with up(one) as lab:
            barrier.wait(30)
            (result,) = ask_flows(lab, lab.placed(), [Flow("a/x", "10.1.0.6", port=80)])
            barrier.wait(30)
            return story([result]) or result.observations[0].outcome

    barrier = threading.Barrier(len(models))
    assert side_by_side(asked, models) == ["connected", "timeout", "rejected"]


def test_a_taken_name_is_one_sentence_and_the_first_lab_stays(hello: Model) -> None:
    with up(hello) as lab:
        again = sdn("up", FILE, "--name", lab.name)
        assert (again.returncode, again.stdout) == (2, "")
        assert again.stderr == (
            f"a lab named {lab.name} runs already: end it with `sdn down {lab.name}` or take another name\n"
        )
        with pytest.raises(ExistsError):
            client.up((), hello, lab.name)
        assert client.connect(lab.name).pid == lab.pid
        assert story(ask_all(lab)) == ""


def test_a_file_may_be_called_by_what_is_no_text(hello: Model) -> None:
    odd = os.fsdecode(b"lab-\xff.yaml")
    name = new_name("odd")
    try:
        info = client.up([Path(odd)], hello, name, warnings=[f"{odd}:1: is odd"])
        assert (info.sources, info.warnings) == (("lab-?.yaml",), ("lab-?.yaml:1: is odd",))
        lab = client.connect(name)
        lab.apply(hello, [Path(odd)], [f"{odd}:1: is odd"])
        assert lab.status(check=False).sources == ("lab-?.yaml",)
    finally:
        client.connect(name).down()


def test_down_needs_no_file_and_no_memory(tmp_path: Path) -> None:
    copy, name = tmp_path / "lab.yaml", new_name("hello")
    copy.write_text(FILE.read_text())
    started = sdn("up", copy, "--name", name)
    assert started.returncode == 0, started.stderr
    copy.unlink()
    listed = sdn("ls")
    assert name in listed.stdout
    asked = sdn("status", name)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert "the kernel is as planned" in asked.stdout
    ended = sdn("down", name)
    assert (ended.returncode, ended.stdout) == (0, f"{name} is down\n")
    assert name not in names()
    again = sdn("down", name)
    assert again.returncode == 2
    assert f"no lab is called '{name}'" in again.stderr


def test_many_clients_at_once(hello: Model) -> None:
    with up(hello) as lab, ThreadPoolExecutor(6) as pool:
        asked = pool.submit(ask_all, client.connect(lab.name))
        seen = [pool.submit(client.connect(lab.name).status, check) for check in (True, False) * 2]
        assert {(one.result().state, one.result().drift) for one in seen} == {("up", ())}
        assert story(asked.result()) == ""


def test_a_lab_that_stays_is_made_ready_for_changes(hello: Model) -> None:
    """Sockets into both Hosts, before anybody asks for a change; then it takes one."""
    with up(hello) as lab:
        assert eventually(lambda: sockets_of(lab.pid) >= 2 * len(hello.underlay.hosts))
        assert lab.operate(Label("hello/client", {"ready": "yes"})).hosts == ()
        assert lab.apply(replace(hello, workloads=hello.workloads[:1])).nodes
        assert lab.status().drift == ()


def sockets_of(pid: int) -> int:
    """Beside the one at which it listens; what it closes meanwhile is none."""
    links = []
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            links.append(str(one.readlink()))
    return sum(link.startswith("socket:") for link in links) - 1


def test_what_no_host_can_take_leaves_nothing() -> None:
    name, impossible = new_name("crowd"), crowd(300, host="host-1")
    with pytest.raises(LabError, match=r"0 of \d hosts fit"):
        client.up((), impossible, name)
    assert name not in names()


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="http"),
        pytest.param(b"\xff" * 64, id="huge-frame"),
        pytest.param(b"\0\0\0\3\xc1\xc1\xc1", id="no-message"),
        pytest.param(b"\0\0\0\6\x81\xa4type\xc0", id="cut-message"),
        pytest.param(b"\0\0", id="half-a-length"),
        pytest.param(b"\0\0\1\0abc", id="half-a-frame"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_garbage_does_not_harm_a_lab(garbage: bytes, shared: client.Lab) -> None:
    with sandbox.connect(shared.name) as connection:
        connection.sendall(garbage)
    assert shared.status().drift == ()


@pytest.fixture(scope="module")
def shared(hello: Model) -> Iterator[client.Lab]:
    """One lab for the tests that must leave it as it is; it ends with the test process."""
    with client.temporary(hello) as lab:
        lab.built()
        yield lab


@pytest.mark.parametrize("ephemeral", [False, True], ids=["second", "ephemeral"])
def test_a_stray_build_never_ends_a_lab(ephemeral: bool, shared: client.Lab, hello: Model) -> None:
    reply = told(shared.name, Build(hello, ephemeral=ephemeral))
    assert isinstance(reply, Failed)
    assert "has been built already" in reply.message
    assert shared.status().state == "up"


def test_a_stray_build_whose_client_leaves_at_once_does_not_either(shared: client.Lab, hello: Model) -> None:
    for _ in range(10):
        with sandbox.connect(shared.name) as connection:
            send(connection, Build(hello))
    assert shared.status().state == "up"


def test_a_holder_without_descriptors_answers_when_it_has_some_again(shared: client.Lab) -> None:
    limits = resource.prlimit(shared.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(shared.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        # The first one's descriptor was taken when the holder began to wait for it.
        with sandbox.connect(shared.name), sandbox.connect(shared.name) as waiting:
            send(waiting, Describe())
            waiting.settimeout(0.3)
            with pytest.raises(TimeoutError):
                waiting.recv(1)
            resource.prlimit(shared.pid, resource.RLIMIT_NOFILE, limits)
            waiting.settimeout(10)
            assert isinstance(list(receive_replies(waiting))[-1], Info)
    finally:
        resource.prlimit(shared.pid, resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("answer", [b"\0\0\0\6\x81\xa4type\xc0", b"\xff" * 8], ids=["unknown", "huge"])
def test_an_answer_in_words_of_another_version_is_one_sentence(answer: bytes) -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        theirs.sendall(answer)
        with pytest.raises(LabError, match="another version of sdn; end it with `sdn down`"):
            list(receive_replies(mine))


def test_a_holder_that_has_stopped_can_be_ended(hello: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.2)
    with up(hello) as lab:
        os.kill(lab.pid, signal.SIGSTOP)
        assert lab.name not in {info.name for info in client.labs()}
        with pytest.raises(LabError, match="does not answer"):
            lab.status(check=False)
        lab.down()
        assert lab.name not in names()


def test_whoever_asks_during_the_build_is_told_so() -> None:
    with client.temporary(crowd(200)) as lab:
        early, info = told(lab.name, GetPlaced()), told(lab.name, Describe(check=True))
        assert isinstance(early, Failed)
        assert early.message.startswith(f"lab {lab.name} is still building; try again")
        assert isinstance(info, Info)
        assert (info.state, info.drift) == ("building", ())
        assert lab.built().state == "up"
        assert lab.status().drift == ()


def test_a_holder_that_nobody_asks_ends() -> None:
    """Its client was killed in the moment between the two."""
    name = new_name("orphan")
    holder = sandbox.start(name, [sys.executable, "-P", "-m", "sdn.lab.holder", name, "0.3"])
    try:
        assert name in names()
        assert eventually(lambda: name not in names())
        assert eventually(lambda: not holder.alive())
    finally:
        sandbox.stop(holder.pid)
        holder.close()


def test_a_temporary_lab_ends_with_whoever_asked_for_it(hello: Model) -> None:
    name = new_name("hello")
    holder = sandbox.start(name, [sys.executable, "-P", "-m", "sdn.lab.holder", name])
    try:
        with sandbox.connect(name) as connection:
            send(connection, Build(hello, ephemeral=True))
            assert isinstance(list(receive_replies(connection))[-1], Info)
            assert name in names()
        assert eventually(lambda: not holder.alive())
        assert name not in names()
    finally:
        sandbox.stop(holder.pid)
        holder.close()
