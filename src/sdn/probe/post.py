"""Raw packets leave by a thread of their own, batch by batch, while its owner makes the next and reads answers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic

from sdn.probe.attempt import Attempt
from sdn.probe.batch import Batch
from sdn.probe.scout import Scout


class Post:
    """One batch is under way at a time. Apart from the kernel's part, all is done by the thread that calls."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe-send")
        self._batches = {version: [Batch(version), Batch(version)] for version in (4, 6)}
        self._sending: tuple[Future[int], Scout, Sequence[Attempt]] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a batch is still being sent."""
        return self._sending is not None and not self._sending[0].done()

    def send(self, scout: Scout, attempts: Sequence[Attempt]) -> None:
        """At most `batch.MOST`; returns when the batch before has been sent, and this one has begun."""
        batches = self._batches[scout.version]
        batches.reverse()  # the other one may be under way
        batches[0].fill([(attempt.packed, attempt.packet) for attempt in attempts])
        self.wait()
        for attempt in attempts:
            scout.expect(attempt)
        future = self._thread.submit(batches[0].send, scout.fileno(), len(attempts))
        self._sending = future, scout, attempts

    def wait(self) -> None:
        """Until everything has been sent. What the kernel refused, perhaps for an earlier packet, is sent singly."""
        if self._sending is None:
            return
        future, scout, attempts = self._sending
        self._sending = None
        for attempt in attempts[future.result() :]:
            if attempt.outcome is None:
                scout.send(attempt)
        now = monotonic()
        for attempt in attempts:
            attempt.sent_at = now

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
