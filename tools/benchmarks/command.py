"""`sdn` by the command line, as its users have it; a lab that it leaves up ends with the benchmark."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sdn.errors import LabError
from sdn.kernel import sandbox
from sdn.lab import client


def sdn(*arguments: str) -> None:
    """Run it to its end; LabError with its words where it fails."""
    command = [sys.executable, "-P", "-m", "sdn.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"`sdn {' '.join(arguments)}` failed: {done.stderr.strip()}")


@contextmanager
def ending(name: str) -> Iterator[None]:
    """A lab of that name that is still up, for somebody was interrupted or failed, ends with the block."""
    try:
        yield
    finally:
        if any(lab.name == name for lab in sandbox.labs()):
            client.connect(name).down()
