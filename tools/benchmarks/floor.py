"""The floor: the same number of namespaces and cables, and nothing that makes a network of them.

Each pod gets `lo` up, one IPv4 address, its link up and a default route, by messages that were prepared before the
clock started, on as many Hosts. No IPv6, no bridge, no tunnel, no rule: no emulator can be faster.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.labs import SPINES, Size
from benchmarks.machine import kernel_memory
from sdn.errors import KernelError
from sdn.kernel import links, routing, sandbox
from sdn.kernel.messages import Message
from sdn.kernel.namespaces import RUN, NamespaceWorker, open_namespace
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.syscalls import CLONE_NEWNET, MS_BIND, mount, setns, unshare

TIMEOUT = 1800.0
_LO, _ETH0 = 1, 2
_FIRST_PORT = 10_000
_FIRST_CABLE = 10


class Floor(Struct, frozen=True):
    """`seconds` to build it, MiB of kernel memory that it took, and when (CLOCK_MONOTONIC) its process ended."""

    seconds: float
    memory: float
    ending: float


def measure(size: Size) -> Floor:
    """Build the floor in throw-away namespaces; KernelError if the kernel refuses."""
    done = sandbox.run([sys.executable, "-m", __name__, str(size.pods), str(size.hosts)], timeout=TIMEOUT)
    if done.status:
        raise KernelError(f"the floor could not be built: {done.stderr.strip()}")
    return msgspec.json.decode(done.stdout, type=Floor)


class _Pod(Struct, frozen=True):
    """Name of its namespace and what is sent inside it."""

    name: str
    messages: list[Message]


def _pods(size: Size) -> list[list[_Pod]]:
    """The pods of each Host, dealt out evenly."""
    hosts: list[list[_Pod]] = [[] for _ in range(size.hosts)]
    for number in range(size.pods):
        address = f"10.244.{number >> 8 & 255}.{number & 255}/32"
        inside = [
            links.set_up(_LO),
            routing.address(_ETH0, address),
            links.set_up(_ETH0),
            routing.route("0.0.0.0/0", [routing.Hop(_ETH0)]),
        ]
        hosts[number % size.hosts].append(_Pod(f"pod-{number}", inside))
    return hosts


def _create(name: str) -> None:
    """A namespace with a name; the calling thread is in it afterwards."""
    os.close(os.open(RUN / name, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    unshare(CLONE_NEWNET)
    mount("/proc/thread-self/ns/net", str(RUN / name), "none", MS_BIND)


def _send(messages: list[Message]) -> None:
    with Netlink() as netlink:
        netlink.send(messages)


def _fabric(size: Size) -> None:
    """Hosts, Switches and their cables, both ends up."""
    leaves = [f"leaf-{number}" for number in range(size.leaves)]
    spines = [f"spine-{number}" for number in range(SPINES)]
    hosts = [f"host-{number}" for number in range(size.hosts)]
    for name in (*spines, *leaves, *hosts):
        _create(name)
    cables = [(leaf, spine) for leaf in leaves for spine in spines]
    cables += [(host, leaves[number % size.leaves]) for number, host in enumerate(hosts)]
    for number, (near, far) in enumerate(cables):
        there, here = open_namespace(far), open_namespace(near)
        index = _FIRST_CABLE + number
        setns(here, CLONE_NEWNET)
        _send([links.veth(links.Device(f"c{number}", index), links.Device(f"c{number}", index, netns=there))])
        _send([links.set_up(index)])
        setns(there, CLONE_NEWNET)
        _send([links.set_up(index)])
        os.close(there)
        os.close(here)


def _host(name: str, pods: list[_Pod]) -> None:
    for pod in pods:
        _create(pod.name)
    fds = [open_namespace(pod.name) for pod in pods]
    host = open_namespace(name)
    setns(host, CLONE_NEWNET)
    messages = []
    for number, fd in enumerate(fds, _FIRST_PORT):
        peer = links.Device("eth0", _ETH0, netns=fd)
        messages += [links.veth(links.Device(f"p{number}", number), peer), links.set_up(number)]
    if messages:
        _send(messages)
    for pod, fd in zip(pods, fds, strict=True):
        setns(fd, CLONE_NEWNET)
        _send(pod.messages)
    for fd in (*fds, host):
        os.close(fd)


def _build(size: Size) -> Floor:
    Path(RUN).mkdir(exist_ok=True)
    prepared = _pods(size)
    memory, start = kernel_memory(), time.monotonic()
    _fabric(size)
    for number, pods in enumerate(prepared):
        _host(f"host-{number}", pods)
    seconds = time.monotonic() - start
    return Floor(seconds, kernel_memory() - memory, time.monotonic())


def main() -> None:
    """Inside the throw-away namespaces: build, and say how long it took."""
    with NamespaceWorker("floor") as worker:
        built = worker.run(None, lambda: _build(Size(int(sys.argv[1]), int(sys.argv[2]))))
    print(msgspec.json.encode(built).decode(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
