"""What one process keeps: memory, objects, descriptors, threads, processes and network namespaces."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import machine
from benchmarks.series import Series
from sdn.errors import LabError

Counts = tuple[int, int]
"""Objects that Python's collector tracks, and blocks of memory that Python has allocated."""

SETTLED = 500
"""Steps after which a process has taken what it then keeps."""

PATIENCE = 30.0
"""Seconds until a holder must have counted."""

_INSIDE = Path(__file__).with_name("inside")


def series(name: str) -> list[Series]:
    """In the order of `sample`; a step that leaks anything leaks at least one of these."""
    return [
        Series(f"memory of {name}", "KiB", 1.0, SETTLED),
        Series(f"objects of {name}", "", 0.2, SETTLED),  # one at each event of a kind would be 0.25
        Series(f"allocated blocks of {name}", "", 0.5, SETTLED),
        Series(f"descriptors of {name}", "", 0.01),
        Series(f"sockets of {name}", "", 0.01),
        Series(f"threads of {name}", "", 0.01),
        Series(f"processes below {name}", "", 0.01),
        Series(f"network namespaces of {name}", "", 0.01),
    ]


def sample(pid: int, counts: Counts) -> list[float]:
    """In the order of `series`. Its memory is what is its own alone (RssAnon)."""
    proc = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    held = list(_held(proc))
    return [
        float(status["RssAnon"].split()[0]),
        *map(float, counts),
        float(len(held)),
        float(sum(one.startswith("socket:") for one in held)),
        float(status["Threads"]),
        float(sum(len(one.read_text().split()) for one in proc.glob("task/*/children"))),
        float(len({one for one in (*held, *machine.mounted(proc)) if one.startswith("net:")})),
    ]


def _held(proc: Path) -> Iterator[str]:
    """What its descriptors are of."""
    for one in (proc / "fd").iterdir():
        try:
            yield str(one.readlink())
        except FileNotFoundError:  # the descriptor by which this folder is read, or one that was just closed
            continue


def here() -> Counts:
    """Of this process, once what nobody refers to is gone."""
    gc.collect()
    return len(gc.get_objects()), sys.getallocatedblocks()


@contextmanager
def counting() -> Iterator[Callable[[int], Counts]]:
    """Holders that are started within the block count their objects when what this yields is called with their pid."""
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "SDN_BENCH_COUNTS")}
    with TemporaryDirectory(prefix="sdn-bench-") as folder:
        file = Path(folder) / "counts"
        os.environ["SDN_BENCH_COUNTS"] = str(file)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_INSIDE), before["PYTHONPATH"])))
        try:
            yield lambda pid: _ask(pid, file)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _ask(pid: int, file: Path) -> Counts:
    file.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    deadline = time.monotonic() + PATIENCE
    while not file.exists():
        if time.monotonic() > deadline:
            raise LabError(f"the holder {pid} did not count its objects within {PATIENCE:g} s; is it stopped?")
        time.sleep(0.01)
    objects, blocks = file.read_text(encoding="ascii").split()
    return int(objects), int(blocks)
