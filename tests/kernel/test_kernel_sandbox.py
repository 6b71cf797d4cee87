"""Labs as processes: found by name, entered, and gone without a trace however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from inside import eventually, in_lab, run_or_skip

from sdn.errors import ExistsError, LabError, NotFoundError, PrivilegeError
from sdn.kernel import machine, owned, processes, sandbox
from sdn.kernel.namespaces import NamespaceWorker, create

HOLDER = str(Path(__file__).parent / "holder.py")
MARK = f"98{os.getpid()}"
"""Seconds that the holder's command sleeps: how it is found among all processes."""


def started(name: str) -> Iterator[sandbox.Holder]:
    try:
        holder = sandbox.start(name, [sys.executable, HOLDER, MARK, name])
    except PrivilegeError as error:
        pytest.skip(f"no namespaces for this user: {error}")
    try:
        assert eventually(lambda: "leader" in holder.output()), holder.output()
        yield holder
    finally:
        sandbox.stop(holder.pid)
        holder.close()


@pytest.fixture
def name() -> str:
    return f"victim-{os.getpid()}"


@pytest.fixture
def victim(name: str) -> Iterator[sandbox.Holder]:
    """A lab for a test that ends it."""
    yield from started(name)


@pytest.fixture(scope="module")
def lab() -> Iterator[sandbox.Holder]:
    """One lab for all tests that leave it as it is."""
    yield from started(f"test-{os.getpid()}")


def commands(mark: str = MARK) -> list[str]:
    """The command lines of all processes that the labs of these tests started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in line:
            found.append(line)
    return found


def own_labs(name: str) -> list[sandbox.Lab]:
    return [lab for lab in sandbox.labs() if lab.name == name]


def test_a_lab_is_process_one_and_is_found_by_its_name(lab: sandbox.Holder) -> None:
    assert "pid 1 leader True" in lab.output()
    assert own_labs(lab.name) == [sandbox.Lab(lab.name, lab.pid)]
    with sandbox.connect(lab.name) as connection:
        assert connection.recv(5) == b"hello"
    assert lab.alive()


def test_a_name_is_taken_once(lab: sandbox.Holder) -> None:
    with pytest.raises(ExistsError, match=f"a lab named {lab.name} runs already: end it with `sdn down {lab.name}`"):
        sandbox.start(lab.name, ["true"])
    assert own_labs(lab.name) == [sandbox.Lab(lab.name, lab.pid)]


def test_kill_9_leaves_nothing(victim: sandbox.Holder, name: str) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    others = commands()
    assert any(name in line for line in others)
    with sandbox.connect(name):
        os.kill(victim.pid, signal.SIGKILL)
        assert eventually(lambda: not victim.alive())
    assert eventually(lambda: not any(name in line for line in commands())), commands()
    assert own_labs(name) == []
    assert f"@sdn/{os.getuid()}/{name}\n" not in Path("/proc/net/unix").read_text()
    assert Path("/proc/self/mountinfo").read_text() == before
    assert not owned.inside_lab()
    assert namespaces_of(victim.pid) == []
    with pytest.raises(LabError, match=f"no lab named {name} is running"):
        sandbox.connect(name)


def namespaces_of(pid: int) -> list[str]:
    """What still can be seen of a dead process's namespaces; a zombie that nobody collects has none either."""
    try:
        return os.listdir(f"/proc/{pid}/ns") if processes.alive(pid) else []  # noqa: PTH208
    except OSError:
        return []


def test_the_name_is_free_again_at_once(victim: sandbox.Holder, name: str) -> None:
    assert sandbox.stop(victim.pid)
    again = sandbox.start(name, [sys.executable, HOLDER, MARK, name])
    assert sandbox.stop(again.pid)
    again.close()


def test_a_lab_ignores_the_terminal_of_its_client(lab: sandbox.Holder) -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(lab.pid, number)
    with sandbox.connect(lab.name) as connection:
        assert connection.recv(5) == b"hello"


def test_orphans_are_collected(lab: sandbox.Holder) -> None:
    def zombies() -> list[str]:
        command = ["sh", "-c", "ps -eo stat=,pid= | grep ^Z || true"]
        enter = [sys.executable, "-m", "sdn.kernel.enter", str(lab.pid), "", *command]
        return subprocess.run(enter, check=True, capture_output=True, text=True).stdout.splitlines()

    assert eventually(lambda: not zombies(), 5), zombies()


@pytest.mark.parametrize(
    ("command", "status"),
    [
        pytest.param(["true"], 0, id="ok"),
        pytest.param(["sh", "-c", "exit 7"], 7, id="status"),
        pytest.param(["sh", "-c", "kill -9 $$"], 137, id="signal"),
        pytest.param(["no-such-command"], 127, id="missing"),
        pytest.param(["sh", "-c", "test $(id -u) = 0 && test -e /run/netns/db"], 0, id="root-of-the-lab"),
        pytest.param(
            ["sh", "-c", 'test "$(ls /sys/class/net)" = lo && test $(cat /proc/1/comm) != systemd'], 0, id="own-sys"
        ),
        pytest.param(["setpriv", "--reuid=1000", "--clear-groups", "true"], 0, id="gives-up-root"),
        pytest.param(["sh", "-c", f'test "$PWD" = {Path.cwd()}'], 0, id="same-folder"),
    ],
)
def test_commands_run_inside_a_namespace_of_a_lab(lab: sandbox.Holder, command: list[str], status: int) -> None:
    assert sandbox.enter(lab.pid, "web", command) == status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGPIPE])
def test_commands_heed_the_signals_that_python_does_not(lab: sandbox.Holder, number: int) -> None:
    assert sandbox.enter(lab.pid, "web", ["sh", "-c", f"kill -{int(number)} $$; exit 5"]) == 128 + number


def test_entering_what_is_not_there(lab: sandbox.Holder) -> None:
    assert sandbox.enter(lab.pid, "nobody", ["true"]) == 125
    with pytest.raises(LabError, match="is not the name of a network namespace"):
        sandbox.enter(lab.pid, "../../etc", ["true"])


def test_a_namespace_that_is_deleted_is_gone_for_those_inside_the_lab_too(victim: sandbox.Holder) -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "sdn.kernel.enter",
            str(victim.pid),
            "web",
            "sh",
            "-c",
            "echo in; read x; ls /run/netns",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as inside:
        assert inside.stdout is not None
        assert inside.stdout.readline() == "in\n"
        assert sandbox.enter(victim.pid, "", ["ip", "netns", "delete", "db"]) == 0
        rest, _ = inside.communicate("\n", timeout=10)
    assert rest.split() == ["web"]


@pytest.mark.parametrize("wrong", ["", "a/b", "-x", "ä", "a" * 64, "a\nb"])
def test_names_that_no_lab_can_have(wrong: str) -> None:
    with pytest.raises(LabError, match="cannot be a lab's name"):
        sandbox.start(wrong, ["true"])


def test_a_target_that_does_not_exist_frees_the_name(name: str) -> None:
    run_or_skip(["true"])
    with pytest.raises(NotFoundError, match="cannot start no-such-command: No such file or directory"):
        sandbox.start(name, ["no-such-command"])
    assert own_labs(name) == []


def test_a_throw_away_lab_gives_status_and_output() -> None:
    done = run_or_skip(["sh", "-c", "echo $$; cat /run/sdn-lab >&2; exit 3"])
    assert (done.status, done.stdout, done.stderr) == (3, "1\n", "throw-away")


def test_a_throw_away_lab_dies_with_whoever_started_it() -> None:
    run_or_skip(["true"])
    mark = f"97{os.getpid()}"
    code = f"from sdn.kernel import sandbox; sandbox.run(['sleep', '{mark}'])"
    with subprocess.Popen([sys.executable, "-c", code]) as starter:
        assert eventually(lambda: f"sleep {mark} " in commands(mark))
        starter.kill()
    assert eventually(lambda: not commands(mark)), commands(mark)


def test_the_machine_is_not_touched() -> None:
    before = machine.snapshot()
    run_or_skip([sys.executable, "-m", "sdn.kernel.trials"])
    assert machine.differences(before, machine.snapshot()) == []


def test_nothing_is_made_outside_of_a_lab() -> None:
    with NamespaceWorker() as worker, pytest.raises(PrivilegeError, match="outside of a lab"):
        worker.run(None, lambda: create(["web"]))


@in_lab
def test_a_change_is_seen_in_the_picture() -> None:
    before = machine.snapshot()
    assert machine.differences(before, before) == []
    subprocess.run("ip link set lo up; sysctl -q net.ipv4.ip_forward=1; nft add table inet t", shell=True, check=True)
    found = machine.differences(before, machine.snapshot())
    assert {line.partition(":")[0] for line in found} >= {"links", "addresses", "routes", "sysctls", "nft"}, found
    assert "sysctls: + ipv4/ip_forward = 1" in found, found


def test_a_number_that_is_another_process_now_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        assert sandbox.stop(stranger.pid)
        assert stranger.poll() is None
        stranger.kill()


def test_a_limit_on_namespaces_is_called_a_limit() -> None:
    """In a user namespace of its own, whose limits do not touch anybody else's."""
    script = (
        "echo 0 > /proc/sys/user/max_net_namespaces || exit 77; "
        f'exec {sys.executable} -c \'from sdn.kernel import sandbox; sandbox.start("limited", ["true"])\''
    )
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip(f"no user namespaces here: {done.stderr}")
    assert "a limit on namespaces is reached" in done.stderr
    assert "No space left" not in done.stderr
    assert "user.max_net_namespaces=15000" in done.stderr
