"""Two threads that build together: what one encodes or tells a firewall does not wait for the kernel's lock on links.

More would only wait for that lock, and for Python's own.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TypeVar

from sdn.kernel.namespaces import NamespaceWorker

MEMBERS = 2

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Job:
    """Something to do when all that it comes `after` is done.

    `links` is true where most of it waits for the machine's lock on links: only one member does such a thing while the
    other finds anything else to do.
    """

    work: Callable[[], None]
    after: Sequence[Job] = ()
    links: bool = False


class _Line:
    """Jobs that are not done yet, for any number of threads; a job comes after others of the same line only."""

    def __init__(self, jobs: Sequence[Job], said: Callable[[int], None]) -> None:
        self._changed = threading.Condition()
        self._said = said
        self._waits = {job: len(job.after) for job in jobs}
        self._then: dict[Job, list[Job]] = defaultdict(list)
        for job in jobs:
            for earlier in job.after:
                self._then[earlier].append(job)
        self._links: deque[Job] = deque()
        self._others: deque[Job] = deque()
        self._at_links = self._begun = 0
        self._stopped = False
        self._offer(job for job in jobs if not job.after)

    def _offer(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            (self._links if job.links else self._others).append(job)

    def take(self) -> Job | None:
        """The next job, as soon as there is one; None when all are begun, or one has failed."""
        with self._changed:
            while not (self._stopped or self._links or self._others):
                if self._begun == len(self._waits):
                    return None
                self._changed.wait()
            if self._stopped:
                return None
            at_links = bool(self._links) and not (self._at_links and self._others)
            job = (self._links if at_links else self._others).popleft()
            self._at_links += job.links
            self._begun += 1
            self._said(self._begun)
            return job

    def done(self, job: Job) -> None:
        """Whatever waited for this job alone can be taken."""
        with self._changed:
            self._at_links -= job.links
            for later in self._then[job]:
                self._waits[later] -= 1
            self._offer(later for later in self._then[job] if not self._waits[later])
            self._changed.notify_all()

    def stop(self) -> None:
        """Nothing more is begun."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


class Team:
    """Threads that may move between namespaces, one list of jobs after the other."""

    def __init__(self, name: str) -> None:
        self._members = [NamespaceWorker(f"{name}-{number}") for number in range(MEMBERS)]

    def __enter__(self) -> Team:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for member in self._members:
            member.close()

    def share(
        self, items: Sequence[Item], work: Callable[[Item], None], said: Callable[[int], None] = lambda _: None
    ) -> None:
        """Do `work` with every item, begun in their order; see `follow`."""
        self.follow([Job(partial(work, item)) for item in items], said)

    def follow(self, jobs: Sequence[Job], said: Callable[[int], None]) -> None:
        """Do all jobs, those that may be begun in their order, and return when all is done.

        `said` hears the number of jobs begun so far, never twice at once. After an error nothing more is begun.
        """
        line = _Line(jobs, said)

        def member() -> None:
            try:
                while job := line.take():
                    job.work()
                    line.done(job)
            except BaseException:
                line.stop()
                raise

        futures = [one.submit(None, member) for one in self._members]
        for future in futures:
            future.exception()
        for future in futures:
            future.result()
