"""Runs a test inside a throw-away lab, in a process of its own: the kernel is real, the machine is not touched.

The function takes no arguments and says what is wrong by AssertionError; what it prints is shown when it fails.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sdn.errors import PrivilegeError
from sdn.kernel import sandbox, skeleton
from sdn.kernel.libnft import Nft
from sdn.kernel.namespaces import NamespaceWorker, create
from sdn.kernel.processes import Completed

_BOOT = """
import importlib, os, sys
sys.path[:0] = [sys.argv[1], os.path.dirname(sys.argv[1])]
getattr(importlib.import_module(sys.argv[2]), sys.argv[3]).__wrapped__()
"""


def in_lab(test: Callable[[], None]) -> Callable[[], None]:
    """Decorator for a test: where this user cannot have namespaces it is skipped, with the reason."""

    @functools.wraps(test)
    def outside() -> None:
        path = Path(test.__code__.co_filename)
        done = run_or_skip([sys.executable, "-P", "-c", _BOOT, str(path.parent), path.stem, test.__name__])
        assert done.status == 0, done.stdout + done.stderr

    return outside


def run_or_skip(command: list[str]) -> Completed:
    """Run a command in a throw-away lab."""
    try:
        return sandbox.run(command, timeout=60)
    except PrivilegeError as error:
        import pytest  # noqa: PLC0415 - the process inside the lab need not pay for it

        pytest.skip(f"no namespaces for this user: {error}")


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> bool:
    """Whether a condition comes true before the deadline."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())


def namespaces(*names: str) -> NamespaceWorker:
    """A worker, and namespaces for it to enter."""
    worker = NamespaceWorker()
    worker.run(None, lambda: create(names))
    return worker


@contextmanager
def by_text_and_bytes() -> Iterator[tuple[NamespaceWorker, Nft, Nft]]:
    """A worker, and nft in the namespaces `text` and `bytes`, which both have the skeleton."""
    with (
        namespaces("text", "bytes") as worker,
        closing(worker.run("text", Nft)) as text,
        closing(worker.run("bytes", Nft)) as own,
    ):
        for nft in (text, own):
            nft.run(skeleton.tables())
        yield worker, text, own
