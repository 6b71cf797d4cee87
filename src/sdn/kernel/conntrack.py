"""The connections that a Host remembers, in the namespace of the calling thread: listed, watched, carried, forgotten.

A Host lets every packet of a known connection pass. Whoever gets an address after somebody else would inherit what the
other one's partners were allowed to do, a policy that changes says nothing of what began before it, and whoever moves
to a Host that does not know his connections loses them.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable

from sdn.kernel.messages import attributes, packed
from sdn.kernel.rtnetlink import Netlink, events, split
from sdn.kernel.tracked import (
    DELETE,
    GET,
    NETFILTER,
    SET,
    Tracked,
    asked,
    asked_by_answer,
    deletion,
    insertion,
    marking,
    read,
)
from sdn.plan.established import Connection

Owned = frozenset[tuple[int, str]]
"""(zone, address)."""

_GET_COUNT, _COUNT = GET & ~0xFF | 5, 1
_NEW, _UPDATE, _DESTROY = 1, 2, 3  # multicast groups


class Conntrack(Netlink):
    """The connections that a Host knows."""

    def __init__(self) -> None:
        super().__init__(NETFILTER)

    def any_known(self) -> bool:
        """Whether there may be any; so little work that it is worth asking before they are listed."""
        said = self.one(_GET_COUNT, bytes(4), "count connections", (errno.EOPNOTSUPP, errno.EINVAL))
        return said is None or int.from_bytes(attributes(said[4:])[_COUNT], "big") > 0

    def of(self, owned: Owned) -> list[Tracked]:
        """Every connection with one of these addresses at either end, before or after translation.

        The kernel looks through those of the whole machine for it, which takes about 10 ms.
        """
        needles = [packed(address) for _, address in owned]
        listed = self.dump(GET, bytes(4), "list connections")
        found = (read(data) for data in listed if any(needle in bytes(data) for needle in needles))
        return [one for one in found if touches(one, owned)]

    def now(self, one: Tracked) -> Tracked | None:
        """The same connection as it is by now, None if it is over."""
        data = self.one(GET, asked(one), "look at a connection")
        return read(data) if data is not None else None

    def answered(self, one: Tracked) -> Tracked | None:
        """What this Host knows of a connection whose answers are these, None if it knows none."""
        data = self.one(GET, asked_by_answer(one), "look at a connection")
        return read(data) if data is not None else None

    def mark(self, several: Iterable[tuple[Tracked, int]]) -> None:
        """Give each another mark."""
        self.send([marking(one, mark) for one, mark in several])

    def carry(self, several: Iterable[Tracked]) -> None:
        """Know these from now on; what is known already stays as it is."""
        self.send([insertion(one) for one in several])

    def exchange(self, several: Iterable[tuple[Tracked, Tracked]]) -> None:
        """Forget the first of each pair and know the second instead, at once."""
        self.send([message for old, new in several for message in (deletion(old), insertion(new))])

    def forget(self, gone: Owned) -> int:
        """Every connection of these addresses; how many it were."""
        found = self.of(gone)
        self.drop(found)
        return len(found)

    def cut(self, allows: Callable[[Connection], bool]) -> list[Connection]:
        """Every connection that is not allowed; those that it were."""
        found = [read(data) for data in self.dump(GET, bytes(4), "list connections")]
        ended = [one for one in found if not allows(one.judged)]
        self.drop(ended)
        return [one.judged for one in ended]

    def drop(self, several: Iterable[Tracked]) -> None:
        """Forget these; what is over already is success."""
        self.send([deletion(one) for one in several])


class Changes:
    """What becomes of a Host's connections from now on, until `close`."""

    def __init__(self) -> None:
        self._socket = events(NETFILTER, (_NEW, _UPDATE, _DESTROY))

    def drain(self) -> tuple[list[Tracked], bool]:
        """The connections that began, changed or ended since the last call; and whether none was missed."""
        found: list[Tracked] = []
        whole = True
        while True:
            try:
                data = self._socket.recv(131072, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found, whole
            except OSError:
                whole = False  # more than the socket holds: who asks must list them all
                continue
            found += [read(body) for kind, body in split(data) if kind in (SET, DELETE)]

    def close(self) -> None:
        """Stop watching."""
        self._socket.close()


def touches(one: Tracked, owned: Owned) -> bool:
    """Whether one of these addresses is at either end of it."""
    ends = {*(one.original.source, one.original.destination), *(one.reply.source, one.reply.destination)}
    return not owned.isdisjoint((one.zone, address) for address in ends)
