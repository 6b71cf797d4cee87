"""Every error that a user can cause, as one tree.

SdnError
  ├── SpecError            what the user wrote; carries every mistake of one load
  ├── UnschedulableError   a workload that no Host can take, with the reason per Host
  ├── KernelError          the kernel refused
  │     ├── NotFoundError      the object was already gone
  │     ├── ExistsError        the object was already there
  │     ├── PrivilegeError     this user or this kernel may not do it
  │     ├── RolledBackError    it refused in the middle, and everything is as before
  │     └── HalfDoneError      it refused in the middle of what did not fit into one transaction
  ├── ProbeError           a question could not be asked on the wire
  └── LabError             no such lab, or it does not answer

A user's mistake is one of these and prints as one sentence; anything else is a bug of ours and shows its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SdnError(Exception):
    """Base of all errors that print without a traceback."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in what the user wrote; `line` and `column` count from 1, 0 means the whole file."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        if not self.line:
            return f"{self.file}: {self.message}"
        if not self.column:
            return f"{self.file}:{self.line}: {self.message}"
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class SpecError(SdnError):
    """All mistakes of one load at once, ordered by file and line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnschedulableError(SdnError):
    """Workloads that no Host can take, a line each: `vm-7: 0 of 3 hosts fit: 2 too little memory (needs 4 GiB)`."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join(self.reasons))


class KernelError(SdnError):
    """The kernel refused; the message holds the kernel's own words and what to do next."""


class NotFoundError(KernelError):
    """The object was already gone; whoever deletes treats this as success."""


class ExistsError(KernelError):
    """The object was already there; whoever creates something of ours treats this as a bug."""


class PrivilegeError(KernelError):
    """This user or this kernel may not do it; `sdn doctor` says what is missing."""


class RolledBackError(KernelError):
    """The kernel refused in the middle, and everything is as it was before."""


class HalfDoneError(KernelError):
    """The rules of one Host took several transactions, and some were made: it is as nobody has asked, but not open."""


class ProbeError(SdnError):
    """A question could not be asked on the wire, so there is no answer; never read as "denied"."""


class LabError(SdnError):
    """There is no such lab, or its holder does not answer."""
