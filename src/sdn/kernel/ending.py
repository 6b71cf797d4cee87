"""The end of a large lab, made shorter: its tunnels close while the kernel removes its workloads' namespaces.

Nothing of this is needed for anything to go: when the process ends, at whatever line here, the kernel removes the rest.
But it does all of it in one thread, and 15 ms of that are spent asleep for each Host, under its lock on links, when the
Host's last tunnel closes its socket (`synchronize_rcu` in `udp_tunnel_sock_release`). It needs that lock for half of
what a workload costs it, and could do the other half meanwhile. So workloads go first, all at once, and with them every
process; their Hosts stay until their tunnels are down. No Host forgets a rule while a workload has a link to it.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import time
from collections.abc import Mapping, Sequence

from sdn.errors import NotFoundError
from sdn.kernel import links
from sdn.kernel.messages import NFTABLES, REQUEST, Message
from sdn.kernel.namespaces import RUN, NamespaceWorker, opened
from sdn.kernel.owned import require_lab
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.syscalls import CLONE_NEWNET, setns, unmount
from sdn.kernel.tracked import NETFILTER
from sdn.plan.state import NodeState, Plan, Vxlan

MANY = 300
"""Workloads from which on it is worth it: two rounds of the kernel take 0.1 s longer than one."""

PATIENCE = 1.0
"""Seconds from the last tunnel on in which the kernel must have come to the workloads."""

_LOOK = 0.005  # seconds between looks whether ports have gone
_ALL_TABLES = Message(NFTABLES << 8 | 2, REQUEST, bytes(4), "delete all rules")


def take_apart(plan: Plan, many: int = MANY) -> None:
    """Call it in a lab's process 1, which has to end afterwards, whatever this raises: its namespaces have lost their
    names, and whatever ran in them is dead. A lab of fewer than `many` workloads is left as it is."""
    hosts = [state for state in plan.values() if state.role == "host"]
    if sum(len(state.ports) for state in hosts) < many:
        return
    with opened(state.name for state in hosts) as held:
        _end_the_rest()
        _Hosts(hosts, held).take_apart()


def _end_the_rest() -> None:
    """Every other process, and every name of a namespace: what nobody holds goes."""
    require_lab("end every process")
    if os.getpid() == 1:  # else it would be everybody's on this machine
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
    unmount(str(RUN))


class _Hosts:
    """Hosts whose namespaces are held by open descriptors."""

    def __init__(self, hosts: Sequence[NodeState], held: Mapping[str, int]) -> None:
        self._hosts = hosts
        self._held = held
        self._until = math.inf  # when ports that are still there count as held

    def take_apart(self) -> None:
        """One thread sleeps for the tunnels, and the other forgets rules wherever the last port has gone."""
        with NamespaceWorker("tunnels") as tunnels, NamespaceWorker("rules") as rules:
            both = (tunnels.submit(None, self._close_tunnels), rules.submit(None, self._forget_rules))
        for one in both:
            one.result()

    def _close_tunnels(self) -> None:
        try:
            for state in self._hosts:
                with self._socket(state) as netlink:
                    netlink.send([links.shut(link.name) for link in state.links if isinstance(link, Vxlan)])
        finally:
            self._until = time.monotonic() + PATIENCE

    def _forget_rules(self) -> None:
        """A port that stays although its namespace has no name is shut: somebody outside holds a workload."""
        with contextlib.ExitStack() as deleted:
            for state in self._hosts:
                with self._socket(state) as netlink:
                    left = self._left(state, netlink)
                    netlink.send([links.shut(name) for name in left])
                if not left:
                    # Closing such a socket waits until the kernel has freed what it deleted.
                    deleted.enter_context(Netlink(NETFILTER)).transact([_ALL_TABLES])

    def _left(self, state: NodeState, netlink: Netlink) -> list[str]:
        """Ports that are still there a while after the last tunnel was shut."""
        left = [port.name for port in state.ports]
        while left := [name for name in left if _is_there(name, netlink)]:
            if time.monotonic() > self._until:
                break
            time.sleep(_LOOK)
        return left

    def _socket(self, state: NodeState) -> Netlink:
        """The calling thread stays in the Host's namespace."""
        setns(self._held[state.name], CLONE_NEWNET)
        return Netlink()


def _is_there(name: str, netlink: Netlink) -> bool:
    try:
        netlink.index(name)
    except NotFoundError:
        return False
    return True
