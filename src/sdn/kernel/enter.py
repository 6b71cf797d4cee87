"""The small process behind `sdn exec`: joins a running lab's namespaces, starts a command, passes its status on.

It runs as `python -m sdn.kernel.enter PID NETNS COMMAND...` with the caller's own terminal. A process of its own,
because only one without threads may join a user namespace, and because joining cannot be undone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path

from sdn.kernel import syscalls as sys_
from sdn.kernel.launcher import find_system_commands, heed
from sdn.kernel.one_user import pretend_to_change_user

_RUN = "/run/netns/"
FAILED = 125
"""Exit status if the lab could not be entered, as `docker exec` has it; 126 and 127 mean what they mean in a shell."""


def join(pid: int, netns: str) -> None:
    """Move into the user, process, mount and network namespaces of a lab; `netns` empty: the holder's own."""
    kinds = (("user", sys_.CLONE_NEWUSER), ("pid", sys_.CLONE_NEWPID), ("mnt", sys_.CLONE_NEWNS))
    isolated = False
    here = Path.cwd()
    opened = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), name, kind) for name, kind in kinds]
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    for fd, name, kind in opened:
        if os.fstat(fd).st_ino != Path(f"/proc/self/ns/{name}").stat().st_ino:
            sys_.setns(fd, kind)
            isolated = isolated or kind == sys_.CLONE_NEWUSER
    if netns:
        network = os.open(_RUN + netns, os.O_RDONLY | os.O_CLOEXEC)
    sys_.setns(network, sys_.CLONE_NEWNET)
    with contextlib.suppress(OSError):
        os.chdir(here)
    if isolated:
        pretend_to_change_user()


def show_own_links() -> None:
    """A /sys of the namespace, as `ip netns exec` gives; where parts of /sys are hidden it stays as it was."""
    with contextlib.suppress(OSError):
        sys_.unshare(sys_.CLONE_NEWNS)
        sys_.mount("none", "/", "none", sys_.MS_REC | sys_.MS_SLAVE)
        sys_.mount("sdn", "/sys", "sysfs", sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC)


def _start(command: list[str]) -> None:
    find_system_commands()
    heed(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT)
    path = shutil.which(command[0])
    if path is None and os.path.lexists(command[0]) and "/" in command[0]:
        os.write(2, f"sdn exec: {command[0]} is no program; it may lack `chmod +x`, or be a directory\n".encode())
        os._exit(126)
    if path is None:
        os.write(2, f"sdn exec: {command[0]} is not installed; install it or give its full path\n".encode())
        os._exit(127)
    try:
        os.execv(path, command)
    except OSError as error:
        os.write(2, f"sdn exec: cannot start {path}: {error.strerror}\n".encode())
        os._exit(126)


def main(arguments: list[str]) -> int:
    """The command's exit status, 128 + its signal."""
    pid, netns, *command = arguments
    try:
        join(int(pid), netns)
    except OSError as error:
        os.write(2, f"sdn exec: cannot enter {netns or 'the lab'}: {error.strerror} ({error.filename})\n".encode())
        return FAILED
    show_own_links()
    child = os.fork()
    if child == 0:
        _start(command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which decides what becomes of it
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    _, raw = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(raw)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
