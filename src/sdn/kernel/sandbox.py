"""Labs as the machine sees them: a process with namespaces of its own and a name, and nothing else.

When that process dies, whatever kills it, the kernel takes everything with it: it is process 1 of its process
namespace, and nobody outside holds its other namespaces open. Its name is an abstract Unix socket, bound before it
leaves the machine's network namespace, so that clients reach it and no file is left on a disk.
"""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from sdn.errors import ExistsError, KernelError, LabError, NotFoundError, PrivilegeError, SdnError
from sdn.kernel import launcher, processes
from sdn.kernel.processes import Completed
from sdn.kernel.refusal import refusal

LISTEN_VARIABLE = "SDN_LISTEN_FD"
"""Environment variable that tells a holder the number of its listening socket."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PATIENCE = 20.0  # seconds until a launcher that says nothing is given up
_CREDENTIALS = struct.Struct("=iII")
_NO_NAMESPACES = (
    "this user may not make namespaces: run as root, or let an administrator allow it with "
    "`sysctl -w user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1 "
    "kernel.apparmor_restrict_unprivileged_userns=0` (those of them that exist); `sdn doctor` says more"
)
_NO_MORE_NAMESPACES = (
    "a limit on namespaces is reached, which holds for root as well: end other labs, or let an administrator raise it "
    "with `sysctl -w user.max_user_namespaces=15000 user.max_net_namespaces=15000 user.max_mnt_namespaces=15000 "
    "user.max_pid_namespaces=15000`; `sdn doctor` says more"
)


class Lab(Struct, frozen=True, order=True):
    """A running lab of this user; `pid` is its holder as seen from here."""

    name: str
    pid: int


class Holder:
    """A holder that was just started: what it writes to stdout and stderr can be read until `close`."""

    def __init__(self, name: str, pid: int, log: int) -> None:
        self.name = name
        self.pid = pid
        self._log = log

    def output(self) -> str:
        """Everything it has written so far, also after it died."""
        return processes.contents(self._log)

    def alive(self) -> bool:
        """Whether it still runs."""
        return processes.alive(self.pid)

    def close(self) -> None:
        """Stop reading; the holder itself goes on."""
        os.close(self._log)


def check_name(name: str) -> str:
    """The name itself; LabError for what cannot be one."""
    if not _NAME.fullmatch(name):
        raise LabError(f"{name!r} cannot be a lab's name: use 1 to 63 letters, digits, dots, dashes and underscores")
    return name


def _prefix() -> str:
    return f"sdn/{os.getuid()}/"


def _address(name: str) -> str:
    return f"\0{_prefix()}{name}"


def start(name: str, target: Sequence[str]) -> Holder:
    """Start `target` as process 1 of new namespaces, listening under `name`; it outlives this process.

    It returns when `target` has been executed; whether it is ready, only its API can say. The target gets its socket
    by `inherited_listener`. ExistsError if the name is taken, PrivilegeError if this user may not make namespaces.
    """
    check_name(name)
    with _listener() as listener:
        _bind(listener, name)
        launch = _Launch(launcher.HOLD, name, listener, target)
        try:
            return launch.started(name)
        finally:
            launch.close()


class Ahead:
    """A lab's process on its way while somebody reads what the lab is called, and all that it shall be.

    What `module` imports is there when `start` gives it the name. Who gets none ends with the block, and has made
    nothing yet.
    """

    def __init__(self, module: str) -> None:
        self._listener = _listener()
        try:
            target = [sys.executable, "-P", "-m", module]
            self._launch = _Launch(launcher.AHEAD, "", self._listener, target, stdin=subprocess.PIPE)
        except BaseException:
            self._listener.close()
            raise

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._launch.close()
        self._listener.close()

    def start(self, name: str) -> Holder:
        """Have it be the lab of that name, once; see the function `start`."""
        # Who held the socket any longer would be whom its clients reach when the lab has died.
        with self._listener:
            _bind(self._listener, check_name(name))
            return self._launch.started(name)


class _Launch:
    """A launcher that runs, and what it and its child write; `name` is empty where it reads that from its stdin."""

    def __init__(
        self, mode: str, name: str, listener: socket.socket, target: Sequence[str], stdin: int = subprocess.DEVNULL
    ) -> None:
        self._log = os.memfd_create("sdn-log")
        self._report, status = os.pipe()
        fds = status, listener.fileno()
        try:
            self._process = subprocess.Popen(
                _command(mode, name, fds, target),
                pass_fds=fds,
                stdin=stdin,
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
                env={**os.environ, LISTEN_VARIABLE: str(listener.fileno())},
            )
        except BaseException:
            os.close(self._report)
            os.close(self._log)
            raise
        finally:
            os.close(status)

    def started(self, name: str) -> Holder:
        """When the child has executed its command."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError), self._process.stdin as told:  # it has ended: its last words say why
                told.write(name.encode())
        said = _read_all(self._report)
        self._process.wait()
        pid = _started(said, processes.contents(self._log))
        log, self._log = self._log, -1
        return Holder(name, pid, log)

    def close(self) -> None:
        """Give back what nobody has taken; a launcher that was told no name ends here."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        os.close(self._report)
        if self._log >= 0:
            os.close(self._log)


def _listener() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)


def _bind(listener: socket.socket, name: str) -> None:
    try:
        listener.bind(_address(name))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ExistsError(
                f"a lab named {name} runs already: end it with `sdn down {name}` or take another name"
            ) from None
        raise refusal(error.errno or 0, f"take the name {name}") from None


def _command(mode: str, name: str, fds: Sequence[int], target: Sequence[str]) -> list[str]:
    return [sys.executable, "-P", "-m", launcher.__name__, mode, name, *map(str, fds), "--", *target]


def _read_all(fd: int) -> str:
    """Until the launcher and its child have closed the pipe, the child by executing its command."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    said = b""
    while poller.poll(_PATIENCE * 1000):
        data = os.read(fd, 4096)
        if not data:
            return said.decode(errors="replace")
        said += data
    raise KernelError(f"the lab's process said nothing for {_PATIENCE:g} seconds; look at it with `ps`, and try again")


def _started(said: str, log: str) -> int:
    pid = 0
    for line in said.splitlines():
        word, _, rest = line.partition(" ")
        if word == "error":
            raise _launch_error(rest)
        pid = int(rest)
    if not pid:
        raise KernelError(f"the lab's process ended before it began: {log.strip()[-600:]}")
    return pid


def _launch_error(line: str) -> SdnError:
    code, _, what = line.partition(" ")
    if what.startswith(launcher.STARTING):
        return NotFoundError(f"cannot {what}: {os.strerror(int(code))}; install it, or give its full path")
    error = refusal(int(code), what)
    if int(code) in (errno.ENOSPC, errno.EUSERS):
        # The kernel's own words, "no space left on device", would lead to the wrong place.
        return PrivilegeError(f"cannot {what}: {_NO_MORE_NAMESPACES}")
    if isinstance(error, PrivilegeError) or int(code) == errno.EINVAL:
        return PrivilegeError(f"cannot {what}: {os.strerror(int(code))}; {_NO_NAMESPACES}")
    return error


def inherited_listener() -> socket.socket:
    """In the holder: the socket under which clients find it. What it starts later does not inherit it."""
    number = os.environ.pop(LISTEN_VARIABLE, "")
    if not number:
        raise LabError("a holder is started by `sdn up`, which hands it its socket; it cannot be run by hand")
    listener = socket.socket(fileno=int(number))
    listener.set_inheritable(False)
    return listener


def same_user(connection: socket.socket) -> bool:
    """Whether the other side of a Unix socket is this user; both the holder and its clients ask."""
    return _peer(connection)[1] == os.getuid()


def _peer(connection: socket.socket) -> tuple[int, int]:
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid


def connect(name: str, timeout: float | None = 10.0) -> socket.socket:
    """A connection to a lab's holder; LabError if there is none of that name, or it is somebody else's."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    connection.settimeout(timeout)
    try:
        connection.connect(_address(check_name(name)))
    except OSError as error:
        connection.close()
        if error.errno == errno.ECONNREFUSED:
            raise LabError(f"no lab named {name} is running; `sdn ls` lists those that are") from None
        raise LabError(
            f"the lab {name} does not answer ({error.strerror or error}); `sdn down {name}` ends it"
        ) from None
    if not same_user(connection):
        connection.close()
        raise LabError(f"the name {name} is held by another user's process; take another name")
    return connection


def labs() -> list[Lab]:
    """All running labs of this user, by name."""
    found = []
    for name in _names():
        try:
            with connect(name, timeout=1.0) as connection:
                found.append(Lab(name, _peer(connection)[0]))
        except LabError:
            continue  # it ended, or is another user's
    return sorted(found)


def _names() -> set[str]:
    start_of_name = "@" + _prefix()
    try:
        lines = Path("/proc/thread-self/net/unix").read_text(errors="replace").splitlines()
    except OSError as error:
        raise LabError(
            f"cannot look for labs ({error.strerror}): mount /proc first (mount -t proc proc /proc)"
        ) from None
    paths = (line.split(maxsplit=7)[-1] for line in lines[1:])
    return {path.removeprefix(start_of_name) for path in paths if path.startswith(start_of_name)}


def stop(pid: int, deadline: float = 10.0) -> bool:
    """End a holder at once, and with it everything that its lab has; False if it is not gone in time.

    Whoever has got the number of one that ended long ago is left alone.
    """
    return not _is_first(pid) or processes.end(pid, deadline)


def await_end(pid: int, deadline: float) -> bool:
    """Wait until a holder that is about to end has done so; False if it is not gone in time."""
    return not _is_first(pid) or processes.await_end(pid, deadline)


def _is_first(pid: int) -> bool:
    """Whether a process is number 1 of a process namespace below this one, as every holder is."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return False
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


def run(target: Sequence[str], *, timeout: float = 60.0, name: str = "throw-away") -> Completed:
    """Run a command to its end in namespaces of its own that vanish with it, and with this process."""
    report, status = os.pipe()
    try:
        with subprocess.Popen(
            _command(launcher.RUN, name, (status,), target),
            pass_fds=(status,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            os.close(status)
            status = -1
            output, errors = _communicate(process, target[0], timeout)
            _started(_read_all(report), errors)
            return Completed(
                process.returncode if process.returncode >= 0 else 128 - process.returncode, output, errors
            )
    finally:
        os.close(report)
        if status >= 0:
            os.close(status)


def _communicate(process: subprocess.Popen[str], what: str, timeout: float) -> tuple[str, str]:
    try:
        return process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
        raise KernelError(f"{what} did not end within {timeout:g} seconds; its last words: {errors[-300:]}") from None


def enter(pid: int, netns: str, argv: Sequence[str]) -> int:
    """Run a command in a namespace of the lab whose holder is `pid`, on this process's own terminal.

    Its exit status, 128 + its signal, 127 if there is no such command, 125 if the lab could not be entered. `netns`
    empty is the holder's own namespace.
    """
    if "/" in netns or netns in (".", ".."):
        raise LabError(f"{netns!r} is not the name of a network namespace; `sdn status` lists the workloads")
    main = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        command = [sys.executable, "-P", "-m", "sdn.kernel.enter", str(pid), netns, *argv]
        status = subprocess.run(command, check=False, restore_signals=True).returncode
    finally:
        if main:
            signal.signal(signal.SIGINT, previous)
    return status if status >= 0 else 128 - status
