"""Packets leave by threads of their own, batch by batch, while their owner makes the next batch and reads answers.

The kernel carries a packet to its listener, and the answer back, before the call that sends it returns: most of the
time that probing takes is spent in there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


class Post:
    """So many jobs are under way at a time; what is to be done with their results is done by the thread that calls, in
    the order of the jobs.
    """

    def __init__(self, most: int = 1) -> None:
        self._threads = ThreadPoolExecutor(max_workers=most, thread_name_prefix="probe-send")
        self._most = most
        self._finish: deque[Callable[[], None]] = deque()

    def send(self, job: Callable[[], Result], finish: Callable[[Result], None]) -> None:
        """Begin a job; where there is no thread for it, the oldest one is finished before."""
        if len(self._finish) >= self._most:
            self._finish.popleft()()
        future = self._threads.submit(job)
        self._finish.append(lambda: finish(future.result()))

    def wait(self) -> None:
        """Finish what is under way."""
        while self._finish:
            self._finish.popleft()()

    def close(self) -> None:
        """End the threads, after their jobs."""
        self._threads.shutdown()
