"""Sockets into nodes that stay open from one change to the next: a socket stays in the namespace where it was made.

To enter a namespace and open one there takes as long as what an event changes in it. Workloads have none here, and
those of a node are closed before its namespace goes, so that nothing is held that a lab removes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sdn.kernel.conntrack import Conntrack
from sdn.kernel.libnft import Nft
from sdn.kernel.namespaces import inside
from sdn.kernel.rtnetlink import Netlink

KEPT = 512
"""Sockets of each kind that stay; most descriptors are for those who probe."""

_BRIEF = 200
"""Sockets beyond these that are closed together."""

S = TypeVar("S", bound=Netlink)


class Sockets:
    """By node. Any thread but the main one may ask, and one at a time for each node."""

    def __init__(self, kept: int = KEPT) -> None:
        self._most = kept
        self._lock = threading.Lock()
        self._route: dict[str, Netlink] = {}
        self._netfilter: dict[str, Conntrack] = {}
        self._brief: list[Netlink | Nft] = []

    def __len__(self) -> int:
        return len(self._route) + len(self._netfilter) + len(self._brief)

    @contextmanager
    def route(self, node: str) -> Iterator[Netlink]:
        """For links, addresses, routes and neighbours. NotFoundError if there is no such node."""
        with self._kept(self._route, node, Netlink) as found:
            yield found

    @contextmanager
    def netfilter(self, node: str) -> Iterator[Conntrack]:
        """For rules and connections. NotFoundError if there is no such node."""
        with self._kept(self._netfilter, node, Conntrack) as found:
            yield found

    @contextmanager
    def nft(self, node: str) -> Iterator[Nft]:
        """For rules that only nft can say; never kept. NotFoundError if there is no such node."""
        with inside(node):
            found = Nft()
        try:
            yield found
        finally:
            self._let_go(found)

    @contextmanager
    def _kept(self, known: dict[str, S], node: str, make: Callable[[], S]) -> Iterator[S]:
        found = known.get(node)
        if found is None:
            with inside(node):
                found = make()
            with self._lock:
                if len(known) < self._most:
                    known[node] = found
        try:
            yield found
        finally:
            if known.get(node) is not found:
                self._let_go(found)

    def _let_go(self, one: Netlink | Nft) -> None:
        with self._lock:
            self._brief.append(one)
            full = len(self._brief) >= _BRIEF
        if full:
            self.rest()

    def rest(self) -> None:
        """Close what is too many to stay. With one of netfilter that waits until the kernel has freed what it deleted,
        which takes longer than to change it, so it is done for many together."""
        with self._lock:
            brief, self._brief = self._brief, []
        for one in brief:
            one.close()

    def leave(self, nodes: Iterable[str]) -> None:
        """These nodes go: nothing here may hold their namespaces, or lead to them when their names come again."""
        with self._lock:
            gone = [known.pop(node) for node in nodes for known in (self._route, self._netfilter) if node in known]
        for one in gone:
            one.close()

    def close(self) -> None:
        """All of them."""
        self.leave([*{**self._route, **self._netfilter}])
        self.rest()
