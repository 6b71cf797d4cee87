"""What the kernel's refusals are called: an errno and its words become one of our errors, with the next step."""

from __future__ import annotations

import errno
import os

from sdn.errors import ExistsError, KernelError, NotFoundError, PrivilegeError

_ABSENT = frozenset({errno.ENOENT, errno.ENODEV, errno.ESRCH, errno.ENXIO, errno.EADDRNOTAVAIL})
_PRESENT = frozenset({errno.EEXIST, errno.EADDRINUSE})
_FORBIDDEN = frozenset({errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT})
# A kernel without some kind of queue answers ENOENT, and only its words tell that from an object that is gone.
_UNKNOWN_KINDS = ("Unknown device type", "Specified qdisc kind is unknown")


def refusal(code: int, what: str, words: str = "") -> KernelError:
    """The error for errno `code`, met while trying to `what` ("create veth p1"); `words` are the kernel's own."""
    name = errno.errorcode.get(code, str(code))
    said = f"{os.strerror(code)} ({name})" + (f": {words.rstrip('.')}" if words else "")
    if code in _FORBIDDEN or words.startswith(_UNKNOWN_KINDS):
        return PrivilegeError(f"cannot {what}: {said}; `sdn doctor` says what this kernel and user lack")
    if code in _PRESENT:
        return ExistsError(f"cannot {what}: {said}; remove what is there first, or take another name")
    if code in _ABSENT:
        return NotFoundError(f"cannot {what}: {said}; it is already gone, or was never made")
    return KernelError(f"cannot {what}: {said}; `sdn doctor` says what this kernel can do")
