"""Commands: their status and output, their namespace, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from inside import eventually, in_lab, namespaces

from sdn.errors import KernelError, NotFoundError
from sdn.kernel import processes


def test_status_and_output_of_a_command() -> None:
    done = processes.run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.status, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_a_signal_is_a_status() -> None:
    assert processes.run(["sh", "-c", "kill -TERM $$"]).status == 128 + signal.SIGTERM


def test_output_larger_than_a_pipe() -> None:
    assert len(processes.run(["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"]).stdout) == 300_000


def test_a_missing_command_is_named() -> None:
    with pytest.raises(NotFoundError, match="cannot start no-such-command: no such command"):
        processes.spawn(["no-such-command"])


def test_a_command_that_takes_too_long_is_ended() -> None:
    with pytest.raises(KernelError, match=r"sh did not end within 0\.2 seconds; its last words: waiting"):
        processes.run(["sh", "-c", "echo waiting >&2; sleep 60"], timeout=0.2)


def test_output_goes_to_a_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        assert processes.spawn(["echo", "hello"], stdout=log.fileno(), stderr=log.fileno()).wait(5) == 0
    assert (tmp_path / "log").read_text() == "hello\n"


def test_ending_takes_what_it_started_along() -> None:
    process = processes.spawn(["sh", "-c", "sleep 77 & exec sleep 77"])
    assert process.wait(0) is None
    begin = time.monotonic()
    assert process.end() == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 2
    assert process.end() == 128 + signal.SIGTERM


def test_who_does_not_listen_is_killed() -> None:
    read, write = os.pipe()
    ready = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    process = processes.spawn([sys.executable, "-c", ready], stdout=write)
    os.close(write)
    assert os.read(read, 1) == b"1"
    assert process.end(0.2) == 128 + signal.SIGKILL
    os.close(read)


def test_ignored_signals_are_not_inherited() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert processes.run(["sh", "-c", "kill -INT $$; exit 5"]).status == 128 + signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_stranger_is_ended_and_being_gone_is_success() -> None:
    process = processes.spawn(["sleep", "60"])
    assert processes.alive(process.pid)
    assert processes.end(process.pid)
    assert not processes.alive(process.pid)
    assert process.wait() == 137
    assert processes.end(process.pid)


@in_lab
def test_a_command_runs_where_its_thread_is() -> None:
    with namespaces("one") as worker:
        links = worker.run("one", lambda: processes.run(["ip", "-br", "link"])).stdout
        assert "lo" in links, links
        assert "UP" in links, "the namespace's own lo is up, the lab's is not"


@in_lab
def test_the_reaper_takes_orphans_and_leaves_children_their_status() -> None:
    processes.start_reaper()
    statuses = [processes.spawn(["sh", "-c", f"sleep 0.01 & exit {i}"]) for i in range(20)]
    assert [process.wait(5) for process in statuses] == list(range(20))

    def zombies() -> int:
        found = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # collected between the listing and the reading
                found += ") Z " in path.read_text()
        return found

    assert eventually(lambda: not zombies()), zombies()
