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
