"""The floor of a live migration: one cable's end goes from one namespace to another and comes up, and nothing else.

How long a workload must be away at least, for the kernel takes its time to move a link; printed as a list of seconds.
"""

from __future__ import annotations

import sys
import time

import msgspec

from sdn.errors import KernelError
from sdn.kernel import links, sandbox
from sdn.kernel.namespaces import NamespaceWorker, create, open_namespace
from sdn.kernel.rtnetlink import Netlink

_PORT, _BRIDGE = 7, 5


def measure(times: int) -> list[float]:
    """Seconds of each; KernelError if the kernel refuses."""
    done = sandbox.run([sys.executable, "-m", __name__, str(times)], timeout=300)
    if done.status:
        raise KernelError(f"the floor could not be measured: {done.stderr.strip()}")
    return msgspec.json.decode(done.stdout, type=list[float])


def _move(source: Netlink, target: Netlink, fd: int) -> float:
    start = time.monotonic()
    source.send([links.set_up(_PORT, False)])
    source.send([links.move_link(_PORT, fd)])
    target.send([links.set_link(_PORT, master=_BRIDGE, link_local=False), links.set_up(_PORT)])
    while not target.runs("port"):
        pass
    return time.monotonic() - start


def _measure(worker: NamespaceWorker, times: int) -> list[float]:
    worker.run(None, lambda: create(["here", "there", "workload"]))
    ends = [(worker.run(name, Netlink), open_namespace(name)) for name in ("here", "there")]
    for netlink, _ in ends:
        bridge = links.bridge(links.Device("bridge", _BRIDGE, "02:5d:00:00:00:01", 1500))
        netlink.send([bridge, links.set_up(_BRIDGE)])
    far = links.Device("eth0", 2, "02:5d:00:00:00:02", 1500, open_namespace("workload"))
    ends[0][0].send([links.veth(links.Device("port", _PORT, "", 1500), far), links.set_up(_PORT)])
    worker.run("workload", lambda: Netlink().send([links.set_up(2)]))
    found = []
    for _ in range(times):
        (source, _), (target, fd) = ends
        found.append(_move(source, target, fd))
        ends.reverse()
    return found


def main() -> None:
    """Inside the throw-away namespaces."""
    with NamespaceWorker("floor") as worker:
        print(msgspec.json.encode(_measure(worker, int(sys.argv[1]))).decode())


if __name__ == "__main__":
    main()
