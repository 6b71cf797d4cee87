"""The floor of an event that all Hosts learn of: one element more in one set of each, one Host after the other.

The sockets are open and the message is encoded before the clock starts; nothing is planned, and no link changes.
"""

from __future__ import annotations

import sys
import time

import msgspec

from sdn.errors import KernelError
from sdn.kernel import sandbox
from sdn.kernel.element_changes import encoded
from sdn.kernel.libnft import Nft
from sdn.kernel.namespaces import NamespaceWorker, create
from sdn.kernel.owned import TABLE
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.tracked import NETFILTER

TIMES = 200
"""Elements that each Host gets, and times that are measured."""


def measure(hosts: int) -> list[float]:
    """Seconds of each; KernelError if the kernel refuses."""
    done = sandbox.run([sys.executable, "-m", __name__, str(hosts)], timeout=300)
    if done.status:
        raise KernelError(f"the floor of an event could not be measured: {done.stderr.strip()}")
    return msgspec.json.decode(done.stdout, type=list[float])


def _found(_name: str) -> None:
    with Nft() as nft:
        nft.run(f"add table inet {TABLE}\nadd set inet {TABLE} floor {{ typeof ct zone . ip saddr; }}\n")


def _measure(worker: NamespaceWorker, hosts: int) -> list[float]:
    names = [f"host-{number}" for number in range(hosts)]
    worker.run(None, lambda: create(names, _found))
    sockets = [worker.run(name, lambda: Netlink(NETFILTER)) for name in names]
    found = []
    for number in range(TIMES):
        messages = encoded([f"add element inet {TABLE} floor {{ 1 . 10.0.0.{number} }}"])
        assert messages is not None
        start = time.perf_counter()
        for netlink in sockets:
            netlink.transact(messages)
        found.append(time.perf_counter() - start)
    if any(worker.run(name, _held) != TIMES for name in names):
        raise KernelError("a Host of the floor does not hold what it was sent")
    return found


def _held() -> int:
    with Nft() as nft:
        return nft.run(f"list set inet {TABLE} floor").count("10.0.0.")


def main() -> None:
    """Inside the throw-away namespaces."""
    with NamespaceWorker("floor") as worker:
        print(msgspec.json.encode(_measure(worker, int(sys.argv[1]))).decode())


if __name__ == "__main__":
    main()
