"""Until links that were brought up really run: the kernel's own workers finish what its answer has promised."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from sdn.errors import KernelError
from sdn.kernel.namespaces import inside
from sdn.kernel.rtnetlink import Netlink

_POLL = 0.0005


def settle(namespace: str, wanted: Collection[str], addresses: Iterable[str] = (), patience: float = 60.0) -> None:
    """Wait until links that are up really run, and IPv6 knows its own addresses; call it in a worker thread."""
    with inside(namespace), Netlink() as netlink:
        settled(netlink, namespace, wanted, addresses, patience)


def settled(
    netlink: Netlink, namespace: str, wanted: Collection[str], addresses: Iterable[str] = (), patience: float = 60.0
) -> None:
    """The same of a namespace in which somebody has a socket.

    The kernel notices a carrier a little after it is there (its linkwatch worker). Until then what is sent to the link
    is dropped, and a bridge does not forward to it. Another worker makes the route to each own IPv6 address.
    """
    deadline = time.monotonic() + patience
    own = [address for address in addresses if ":" in address]
    while missing := _missing(netlink, wanted) or [one for one in own if not netlink.is_own(one)]:
        if time.monotonic() > deadline:
            raise KernelError(f"{missing[0]} of {namespace} is not in use after {patience:g} s; try again")
        time.sleep(_POLL)


def _missing(netlink: Netlink, wanted: Collection[str]) -> list[str]:
    """The links that do not run yet; one is asked for by name, several are found in a list of all."""
    if len(wanted) == 1:
        return [name for name in wanted if not netlink.runs(name)]
    return sorted(set(wanted) - netlink.running()) if wanted else []
