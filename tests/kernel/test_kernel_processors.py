"""Whoever has run on every processor has waited for what was going on there."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from types import FrameType

from sdn.kernel.processors import visit


def test_every_processor_is_visited_and_all_are_free_again() -> None:
    """By a thread of its own: it is one thread that goes there, not the process."""
    here = ctypes.CDLL(None).sched_getcpu
    seen: set[int] = set()
    after: list[set[int]] = []

    def watched(frame: FrameType, event: str, told: object) -> None:
        if event == "c_return" and told is os.sched_setaffinity and len(os.sched_getaffinity(0)) == 1:
            seen.add(here())

    def work() -> None:
        sys.setprofile(watched)
        visit()
        sys.setprofile(None)
        after.append(os.sched_getaffinity(0))

    before = os.sched_getaffinity(0)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == before
    assert after == [before]
