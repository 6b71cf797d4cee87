"""The few calls to the system that Python 3.11 lacks. They raise OSError alone, so that the launcher stays small."""

from __future__ import annotations

import ctypes
import os
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

_M_ARENA_MAX = -8  # glibc's malloc.h
_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


def _checked(result: int, subject: str) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), subject)


def unshare(flags: int) -> None:
    """Give the calling thread fresh namespaces; CLONE_NEWUSER needs a process without other threads."""
    _checked(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace behind `fd`; `kind` is a CLONE_ flag, 0 for whatever it is."""
    _checked(_libc.setns(fd, kind), "setns")


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    _checked(_libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()), target)


def unmount(target: str) -> None:
    """Detach a mount at once, also while somebody uses it."""
    _checked(_libc.umount2(target.encode(), MNT_DETACH), target)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def share_heaps(most: int) -> None:
    """Have all threads share so many heaps of the C library; those that are not glibc have one in any case.

    A heap keeps what was freed. With one for each thread that works at some time, each is as large as the largest
    change was, and a lab that changes holds several times what it needs.
    """
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_ARENA_MAX, most)


def return_free() -> None:
    """Give the kernel back what lies free between what is in use; it takes some milliseconds for each 10 MB.

    glibc does so by itself only at the end of a heap, where something small that stays is enough to hold all below it.
    """
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def set_filter(instructions: int, address: int) -> None:
    """Install a seccomp filter of so many instructions; it needs CAP_SYS_ADMIN in the process's user namespace."""
    program = ctypes.byref(_Program(instructions, address))
    pointer = ctypes.cast(program, ctypes.c_void_p).value or 0
    _checked(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, pointer, 0, 0), "seccomp")
