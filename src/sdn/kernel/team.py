"""Two threads that build together: what one encodes or tells a firewall does not wait for the kernel's lock on links.

More would only wait for that lock, and for Python's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import TypeVar

from sdn.kernel.namespaces import NamespaceWorker

MEMBERS = 2

Item = TypeVar("Item")


class Team:
    """Threads that may move between namespaces, one list of things after the other."""

    def __init__(self, name: str) -> None:
        self._members = [NamespaceWorker(f"{name}-{number}") for number in range(MEMBERS)]
        self._begun: list[Future[None]] = []

    def __enter__(self) -> Team:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for member in self._members:
            member.close()

    def begin(self, call: Callable[[], None]) -> None:
        """Have the last member do this first; the next `share` waits for it, and raises what it raises."""
        self._begun.append(self._members[-1].submit(None, call))

    def share(
        self, items: Sequence[Item], work: Callable[[Item], None], said: Callable[[int], None] = lambda _: None
    ) -> None:
        """Do `work` with every item, begun in their order, and return when all is done.

        `said` hears the number of items begun so far, never twice at once. After an error nothing more is begun.
        """
        left = iter(enumerate(items, 1))
        lock = threading.Lock()
        failed = threading.Event()

        def member() -> None:
            while not failed.is_set():
                with lock:
                    found = next(left, None)
                    if found is None:
                        return
                    said(found[0])
                try:
                    work(found[1])
                except BaseException:
                    failed.set()
                    raise

        begun, self._begun = self._begun, []
        futures = [*begun, *(one.submit(None, member) for one in self._members)]
        for future in futures:
            future.exception()
        for future in futures:
            future.result()
