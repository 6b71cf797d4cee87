"""Lets programs that give up root work in a user namespace that has no other user to become.

An ordinary user may map one id into a user namespace: their own, as root. tcpdump, dnsmasq or nginx want to become
somebody else there and end when they cannot. A seccomp filter answers those calls with success and does nothing; the
program stays what it was, which outside is the ordinary user. Commands in labs of root are not touched.
"""

from __future__ import annotations

import ctypes
import os
from struct import Struct

from sdn.kernel import syscalls as sys_

_ARCHITECTURES = {
    # machine: (AUDIT_ARCH, numbers of setuid, setgid, setreuid, setregid, setgroups, setresuid, setresgid)
    "x86_64": (0xC000003E, (105, 106, 113, 114, 116, 117, 119)),
    "aarch64": (0xC00000B7, (146, 144, 145, 143, 159, 147, 149)),
}
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_ALLOW, _SAY_DONE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with errno 0
_INSTRUCTION = Struct("=HBBI").pack


def program(architecture: int, numbers: tuple[int, ...]) -> bytes:
    """The filter: of this architecture and one of these calls → done, everything else → as usual."""
    count = len(numbers)
    lines = [_INSTRUCTION(_LOAD, 0, 0, _ARCHITECTURE_AT), _INSTRUCTION(_JUMP_EQUAL, 0, count + 1, architecture)]
    lines.append(_INSTRUCTION(_LOAD, 0, 0, _NUMBER_AT))
    lines += [_INSTRUCTION(_JUMP_EQUAL, count - at, 0, number) for at, number in enumerate(numbers)]
    lines += [_INSTRUCTION(_RETURN, 0, 0, _ALLOW), _INSTRUCTION(_RETURN, 0, 0, _SAY_DONE)]
    return b"".join(lines)


def pretend_to_change_user() -> None:
    """From now on, in this process and all that it starts. On machines that it does not know it does nothing."""
    known = _ARCHITECTURES.get(os.uname().machine)
    if known is None:
        return
    code = program(*known)
    buffer = ctypes.create_string_buffer(code, len(code))
    sys_.set_filter(len(code) // 8, ctypes.addressof(buffer))
