"""Packets leave by a thread of their own, batch by batch, while its owner makes the next batch and reads answers.

The kernel carries a packet to its listener, and the answer back, before the call that sends it returns: most of the
time that probing takes is spent in there.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class Post:
    """One job is under way at a time; what is to be done with its result is done by the thread that calls."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe-send")
        self._finish: Callable[[], None] = _nothing

    def send(self, job: Callable[[], Result], finish: Callable[[Result], None]) -> None:
        """Begin a job when the one before has been finished."""
        self.wait()
        future = self._thread.submit(job)
        self._finish = lambda: finish(future.result())

    def wait(self) -> None:
        """Finish what is under way."""
        finish, self._finish = self._finish, _nothing
        finish()

    def close(self) -> None:
        """End the thread, after its job."""
        self._thread.shutdown()


def _nothing() -> None:
    pass
