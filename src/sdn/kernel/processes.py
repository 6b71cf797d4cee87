"""Commands that a lab runs: started without forking this (large) process, awaited and ended with a deadline.

posix_spawn copies no memory, and the child is in the namespaces of the thread that calls it. The holder is process 1
of its lab, so orphans become its children; `start_reaper` collects them without stealing anybody's exit status.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from sdn.errors import KernelError, NotFoundError
from sdn.kernel.refusal import refusal

_IDLE = 1.0  # seconds between looks while there is no child at all; only `sdn exec` can bring orphans then
_DEFAULT_SIGNALS = [signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGCHLD]

_lock = threading.Lock()
_running: dict[int, Process] = {}


class Process:
    """A command that was started here. Its status is kept however it was collected."""

    def __init__(self, pid: int, name: str) -> None:
        self.pid = pid
        self.name = name
        self._status: int | None = None

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit status, 128 + the signal that ended it, or None if it still runs after `timeout` seconds."""
        with _lock:
            if self._status is not None:
                return self._status
            watch = os.pidfd_open(self.pid)  # not collected yet, so the number is still its own
        try:
            if not _ended(watch, timeout):
                return None
        finally:
            os.close(watch)
        with _lock:
            self._collect()
        return self._status

    def _collect(self) -> None:
        """Take the status of what has ended; the caller has the lock."""
        if self._status is None:
            _, raw = os.waitpid(self.pid, 0)
            self._status = _shell_status(raw)
            _running.pop(self.pid, None)

    def signal(self, number: int) -> None:
        """Send a signal to it and to everything it started in its session; it having ended is success."""
        with _lock, contextlib.suppress(ProcessLookupError):
            if self._status is None:
                os.killpg(self.pid, number)

    def end(self, deadline: float = 2.0) -> int:
        """Ask it to end, make it end after `deadline` seconds, and return its status."""
        self.signal(signal.SIGTERM)
        status = self.wait(deadline)
        if status is None:
            self.signal(signal.SIGKILL)
            status = self.wait(deadline)
        if status is None:
            raise KernelError(
                f"{self.name} (process {self.pid}) does not end; look for it in `ps`, it waits in the kernel"
            )
        return status


class Completed(Struct, frozen=True):
    """A command that has ended: `status` as a shell counts it, and all of its output."""

    status: int
    stdout: str
    stderr: str


def spawn(
    argv: Sequence[str],
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Process:
    """Start a command in the calling thread's namespaces, as leader of its own session.

    Descriptors that are None become /dev/null. NotFoundError if there is no such command.
    """
    actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = []
    for number, given in enumerate((stdin, stdout, stderr)):
        if given is None:
            actions.append((os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0))
        else:
            actions.append((os.POSIX_SPAWN_DUP2, given, number))
    with _lock:
        try:
            pid = os.posix_spawnp(
                argv[0],
                list(argv),
                dict(os.environ if env is None else env),
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=_DEFAULT_SIGNALS,
            )
        except FileNotFoundError:
            raise NotFoundError(f"cannot start {argv[0]}: no such command; install it or give its full path") from None
        except OSError as error:
            raise refusal(error.errno or 0, f"start {argv[0]}") from None
        process = _running[pid] = Process(pid, argv[0])
    return process


def run(argv: Sequence[str], *, timeout: float = 30.0, env: Mapping[str, str] | None = None) -> Completed:
    """Run a command to its end and keep its output; KernelError if it takes longer than `timeout` seconds."""
    out, err = os.memfd_create("stdout"), os.memfd_create("stderr")
    try:
        process = spawn(argv, stdout=out, stderr=err, env=env)
        status = process.wait(timeout)
        if status is None:
            process.end()
            raise KernelError(
                f"{argv[0]} did not end within {timeout:g} seconds; its last words: {contents(err)[-300:]}"
            )
        return Completed(status, contents(out), contents(err))
    finally:
        os.close(out)
        os.close(err)


def end(pid: int, deadline: float = 5.0) -> bool:
    """Kill a process that need not be ours, and wait until it is gone; False if it is not after `deadline` seconds."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        signal.pidfd_send_signal(watch, signal.SIGKILL)
        return _ended(watch, deadline)
    except ProcessLookupError:
        return True
    except PermissionError as error:
        raise refusal(error.errno or 0, f"end process {pid}") from None
    finally:
        os.close(watch)


def end_inside(*namespaces: Path) -> None:
    """Kill every process whose network namespace is one of these, and wait until each is gone."""
    wanted = {(found.st_dev, found.st_ino) for found in (namespace.stat() for namespace in namespaces)}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is a kernel's or another user's
            found = (entry / "ns/net").stat()
            if (found.st_dev, found.st_ino) in wanted:
                end(int(entry.name))


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected does not."""
    return not await_end(pid, 0)


def await_end(pid: int, deadline: float) -> bool:
    """Whether a process that need not be ours ends by itself within so many seconds."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return _ended(watch, deadline)
    finally:
        os.close(watch)


def start_reaper() -> None:
    """Collect orphans for ever, in a thread. For process 1 of a lab only, all of whose children come from `spawn`."""
    threading.Thread(target=_reap, name="reaper", daemon=True).start()


def _reap() -> None:
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            time.sleep(_IDLE)
            continue
        if ended is None:
            continue
        with _lock:
            known = _running.get(ended.si_pid)
            if known is not None:
                known._collect()
            else:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(ended.si_pid, 0)


def _ended(watch: int, timeout: float | None) -> bool:
    poller = select.poll()
    poller.register(watch, select.POLLIN)
    return bool(poller.poll(None if timeout is None else timeout * 1000))


def _shell_status(raw: int) -> int:
    code = os.waitstatus_to_exitcode(raw)
    return code if code >= 0 else 128 - code


def contents(fd: int) -> str:
    """Everything in an open file, wherever its offset is."""
    data = b""
    while piece := os.pread(fd, 1 << 20, len(data)):
        data += piece
    return data.decode(errors="replace")
