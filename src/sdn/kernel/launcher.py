"""The small process that makes a lab's namespaces and becomes, in its child, process 1 of them.

It runs as `python -m sdn.kernel.launcher MODE NAME STATUS_FD [LISTEN_FD] -- COMMAND`, started by `sandbox`. A fresh
process, because only one without threads may make a user namespace, and because forking a large one is slow. It
imports next to nothing. Where COMMAND is a module of Python, the child runs it itself. In mode `hold` the child
outlives everybody; in mode `run` it dies with its parent. In mode `ahead` it imports the module and then waits for its
NAME on stdin, which becomes the last word of COMMAND, to go on as in `hold`; where none comes, nothing was begun.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import resource
import runpy
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from sdn.kernel import syscalls as sys_
from sdn.kernel.one_user import pretend_to_change_user
from sdn.kernel.owned import MARKER

HOLD, RUN, AHEAD = "hold", "run", "ahead"
STARTING = "start "
"""What a report of failure begins with when everything worked but the command itself."""

_BACKLOG = 128


def find_system_commands() -> None:
    """Put `ip`, `nft` and their like on the PATH, where an ordinary user's does not have them."""
    places = os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")
    os.environ["PATH"] = ":".join(places + [place for place in ("/usr/sbin", "/sbin") if place not in places])


def heed(*numbers: signal.Signals) -> None:
    """Undo what Python and our clients ignore, since a command would inherit it."""
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)


def unshare_everything() -> bool:
    """Fresh mount, network and (for children) process namespaces; where needed in a user namespace, as its root.

    Whether it was needed.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = sys_.CLONE_NEWNS | sys_.CLONE_NEWNET | sys_.CLONE_NEWPID
    if os.geteuid() == 0:
        with contextlib.suppress(PermissionError):  # root in a container often may not
            sys_.unshare(flags)
            return False
    sys_.unshare(flags | sys_.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
    return True


def stop_sharing() -> None:
    """Have nothing that is mounted from now on show up outside."""
    everything = sys_.MS_REC | sys_.MS_PRIVATE
    try:
        sys_.mount("none", "/", "none", everything)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # The root directory of a chroot is no mount point. Entering its mount namespace (again) leads this process
        # to the real root, whose mounts can be changed; then it goes back to where it was.
        here = os.open("/", os.O_PATH | os.O_DIRECTORY)
        sys_.setns(os.pidfd_open(os.getpid()), sys_.CLONE_NEWNS)
        sys_.mount("none", "/", "none", everything)
        os.fchdir(here)
        os.chroot(".")


def private_mounts(name: str) -> None:
    """A `/proc` of the new processes and an empty `/run`; nothing of either is seen outside, or is left on a disk."""
    stop_sharing()
    sys_.mount("proc", "/proc", "proc", sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC)
    sys_.mount("sdn", "/run", "tmpfs", sys_.MS_NOSUID | sys_.MS_NODEV, "mode=755")
    Path("/run/netns").mkdir(0o755)
    # Shared, so that a namespace deleted here is deleted in the mount namespaces of `sdn exec`, too, and really goes.
    sys_.mount("/run/netns", "/run/netns", "none", sys_.MS_BIND)
    sys_.mount("none", "/run/netns", "none", sys_.MS_SHARED)
    MARKER.write_text(name)


def become_first(mode: str, name: str, listen: int | None, in_user_namespace: bool) -> None:
    """What process 1 needs before its command starts."""
    if mode == RUN:
        sys_.die_with_parent()
    else:
        os.setsid()
        os.chdir("/")
        # The terminal's Ctrl-C and its closing are meant for the client. Ignored signals stay ignored over exec.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    private_mounts(name)
    if in_user_namespace:
        pretend_to_change_user()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if listen is not None:
        # The credentials that clients see are those of whoever calls listen: here it is the lab's own process.
        listener = socket.socket(fileno=listen)
        listener.listen(_BACKLOG)
        listener.detach()


def _failed(status: int, what: str, error: OSError) -> NoReturn:
    where = f" ({error.filename})" if error.filename else ""
    os.write(status, f"error {error.errno} {what}{where}\n".encode())
    os._exit(1)


def _become(status: int, command: list[str]) -> NoReturn:
    """Run a module of Python here: another interpreter would take as long to start as a small lab's firewalls.

    One that is imported already has a `main`.
    """
    os.close(status)
    sys.argv = command
    if command[0] in sys.modules:
        sys.modules[command[0]].main()
    else:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    sys.exit()


def _named(module: str) -> str:
    """What the lab is called, as soon as its client knows; empty where that has gone, or read nothing but mistakes."""
    importlib.import_module(module)
    name = b""
    while data := os.read(0, 4096):
        name += data
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return name.decode()


def _execute(status: int, command: list[str]) -> NoReturn:
    os.set_inheritable(status, False)
    find_system_commands()
    if command[:3] == [sys.executable, "-P", "-m"]:
        _become(status, command[3:])
    heed(signal.SIGPIPE, signal.SIGXFSZ)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        _failed(status, STARTING + command[0], error)


def main(arguments: list[str]) -> int:
    """Never returns in mode `hold` before the child is on its own; in mode `run` gives back its exit status."""
    split = arguments.index("--")
    mode, name, status, *rest = arguments[:split]
    command = arguments[split + 1 :]
    if mode == RUN:
        sys_.die_with_parent()
    if mode == AHEAD:
        mode, name = HOLD, _named(command[-1])
        if not name:
            return 0
        command.append(name)
    try:
        isolated = unshare_everything()
        pid = os.fork()
    except OSError as error:
        _failed(int(status), "make namespaces of its own", error)
    if pid == 0:
        try:
            become_first(mode, name, int(rest[0]) if rest else None, isolated)
        except OSError as error:
            _failed(int(status), "set up the lab's own /proc and /run", error)
        _execute(int(status), command)
    os.write(int(status), f"pid {pid}\n".encode())
    if mode == HOLD:
        return 0
    os.close(int(status))
    with contextlib.suppress(KeyboardInterrupt):
        _, raw = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(raw)
        return code if code >= 0 else 128 - code
    return 130


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
