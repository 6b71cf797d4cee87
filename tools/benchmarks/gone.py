"""When the kernel has really finished removing namespaces: its work goes on after the last process has ended.

The kernel removes network namespaces in batches, one batch after another. A pair of our own is given up after the
ones that are waited for, so it is in their batch or a later one; a second pair given up after that is in a later batch
still. When the second pair's cable has gone, everything before it has. Needs no privilege and does not poll counters
that other labs change, too.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from sdn.errors import NotFoundError
from sdn.kernel import links, sandbox
from sdn.kernel.namespaces import NamespaceWorker, create, delete, inside, open_namespace
from sdn.kernel.processes import Completed
from sdn.kernel.rtnetlink import Netlink, link_index

TIMEOUT = 600.0
_POLL = 0.001
_PAIRS = ("first", "second")


def seconds_until_gone(end: Callable[[], float]) -> float:
    """Call `end`, which ends namespaces and returns when that began (monotonic); how long until they were gone."""
    with TemporaryDirectory() as folder:
        pipe = Path(folder) / "go"
        os.mkfifo(pipe)
        results: list[Completed] = []
        command = [sys.executable, "-m", __name__, str(pipe)]
        # A daemon, so that whoever is interrupted need not wait for it; what it runs ends with this process.
        waiter = threading.Thread(target=lambda: results.append(sandbox.run(command, timeout=TIMEOUT)), daemon=True)
        waiter.start()
        go = _ready(pipe, waiter)
        if go is not None:
            with os.fdopen(go, "wb") as stream:
                began = end()
                stream.write(b"go")
            waiter.join()
    if go is None or not results or results[0].status:
        raise RuntimeError(f"cannot tell when the kernel had finished:\n{results[0].stderr if results else ''}")
    return float(results[0].stdout) - began


def _ready(pipe: Path, waiter: threading.Thread) -> int | None:
    """The pipe for the word, once the other side has its pairs and reads; None if it has ended before that."""
    while waiter.is_alive():
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads yet
                raise
        time.sleep(_POLL)
    return None


def _pair(name: str) -> None:
    near, far = f"{name}-near", f"{name}-far"
    create([near, far])
    fd = open_namespace(far)
    try:
        with inside(near), Netlink() as netlink:
            netlink.send([links.veth(links.Device("cable"), links.Device("cable", netns=fd))])
    finally:
        os.close(fd)


def _give_up(name: str) -> None:
    """Drop the far namespace, and wait until the cable's near end has gone with it."""
    delete([f"{name}-far"])
    with inside(f"{name}-near"):
        while True:
            try:
                link_index("cable")
            except NotFoundError:
                return
            time.sleep(_POLL)


def _wait(pipe: Path) -> float:
    for name in _PAIRS:
        _pair(name)
    with pipe.open("rb") as go:
        go.read()
    for name in _PAIRS:
        _give_up(name)
    return time.monotonic()


def main() -> None:
    """Inside throw-away namespaces: make the pairs, wait for the word, give them up."""
    with NamespaceWorker("gone") as worker:
        print(worker.run(None, lambda: _wait(Path(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
