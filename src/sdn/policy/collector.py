"""Python's collector of circles, kept out of work that makes a million objects and no circle.

It would only walk through them again and again, for half of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_gc() -> Iterator[None]:
    """No collection inside the block; whoever had switched it off before finds it so afterwards."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


MANY = 10_000
"""Workloads; below it a whole collection takes no longer than a few events."""


def settle(workloads: int) -> None:
    """Of a large lab, what is there now is never looked through again: it stays, and a collection would take seconds.

    It is freed all the same when nobody refers to it, for there is no circle in it.
    """
    if workloads >= MANY:
        gc.freeze()


def rest() -> None:
    """Look everything through once, and what is there now never again: a collection takes as long as several events.

    For a process that has made what it will have, and changes it a little at a time.
    """
    gc.collect()
    gc.freeze()
