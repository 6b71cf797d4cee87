"""What a change leaves behind when it is enforced: what is shut already, and of which no rule speaks any more.

The kernel takes some 15 ms to free a link, and nobody needs to wait for it but who changes the lab next. Whatever is
left when the process dies goes with the lab, as all of it does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from sdn.kernel.namespaces import NamespaceWorker


class Leftovers:
    """Cleaned up by a thread that may enter namespaces. Who looks at the kernel, or changes it, calls `finish` first.

    `seconds` is how long after its change was enforced the last of it was gone.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()
        self._worker: NamespaceWorker | None = None
        self._begun: list[Future[None]] = []

    def add(self, clean_up: Callable[[], None]) -> None:
        """Begin to do this, after what was added before; the change to which it belongs is enforced by now."""
        since = time.monotonic()

        def timed() -> None:
            clean_up()
            self.seconds = round(time.monotonic() - since, 4)

        with self._lock:
            if self._worker is None:
                self._worker = NamespaceWorker("leftovers")
            self._begun.append(self._worker.submit(None, timed))

    def finish(self) -> None:
        """Wait until nothing is left. Raises what went wrong, once."""
        with self._lock:
            begun, self._begun = self._begun, []
        for future in begun:
            future.exception()
        for future in begun:
            future.result()
