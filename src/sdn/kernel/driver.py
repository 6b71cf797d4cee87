"""Build a Plan in the kernel, or what a lab that is there lacks of one: namespaces, then rules, then links.

One worker thread walks through the nodes; the order is fail closed. A second one makes the workloads' namespaces while
the first fills the firewalls, for neither waits for the other: no link exists yet. When this process dies at any point,
the kernel removes all of it, because nothing outside of the lab's namespaces was touched.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

from sdn.errors import KernelError, PrivilegeError
from sdn.kernel import node as messages
from sdn.kernel import qdisc, ruleset, skeleton, sysctl
from sdn.kernel.elements import Encoder
from sdn.kernel.libnft import Nft
from sdn.kernel.messages import Message
from sdn.kernel.namespaces import NamespaceWorker, create, enter, inside, opened
from sdn.kernel.node import Indexes
from sdn.kernel.processes import Process, spawn
from sdn.kernel.rtnetlink import Netlink, link_index
from sdn.kernel.tracked import NETFILTER
from sdn.plan.state import NodeState, Plan, Port, Route, Veth

Progress = Callable[[str], None]
Item = TypeVar("Item")

OUTPUT = Path("/run/output")
"""What the commands of workloads print, one file each, in the lab's own /run."""

_POLL = 0.0005
_IPV6_ROUTES = Path("/proc/thread-self/net/ipv6_route")

_STEPS = 8
"""How many progress messages a long stage is cut into."""


class Existing(Indexes):
    """The indexes of the links of the namespace that the calling thread is in; a new name gets a number beyond them."""

    @classmethod
    def here(cls) -> Existing:
        """As they are now."""
        return cls({name: index for index, name in socket.if_nameindex()})


class Named(Indexes):
    """The indexes of a few links of the namespace that the calling thread is in, looked up one by one."""

    def __missing__(self, name: str) -> int:
        self[name] = link_index(name)
        return self[name]


class Driver:
    """Builds one Plan, then whatever a later one adds.

    `notes` are sentences about what was asked for and this kernel cannot do; `messages` and `commands` count what was
    sent by netlink and to nft. `indexes` are those of links, by node; who adds to a lab reads them from the kernel.
    """

    def __init__(self, progress: Progress = lambda _: None) -> None:
        self.indexes: dict[str, Indexes] = {}
        self.notes: list[str] = []
        self.messages = 0
        self.commands = 0
        self._running: list[tuple[Port, Process]] = []
        self._progress = progress
        self._plan: Plan = {}
        self._encoder = Encoder()
        self._far: dict[tuple[str, str], Veth] = {}

    def build(self, plan: Plan) -> None:
        """Everything, from nothing. KernelError at the first thing that the kernel refuses."""
        self.aim(plan)
        self.indexes = {name: Indexes() for name in plan}
        with NamespaceWorker("build") as worker:
            worker.run(None, lambda: self._build(plan))

    def aim(self, plan: Plan) -> None:
        """What the lab shall be; nothing happens yet."""
        self._plan = plan
        self._encoder = Encoder()
        self._far = {(node.name, uplink.name): uplink for node in plan.values() for uplink in node.uplinks}

    def connect(self, come: Plan) -> None:
        """Links and what lies on them: of nodes that have their rules, and of which `come` holds only what is missing.

        Call it in a worker thread, after `aim`, with the indexes of the links that are there in `indexes`.
        """
        nodes = list(come.values())
        self._cables(nodes)
        self._links(nodes)
        for state in nodes:
            settle(state.name, [veth.name for veth in state.uplinks if self._carries(veth)])
        self._workloads(nodes)

    def _carries(self, veth: Veth) -> bool:
        """Whether both ends of a cable are up; an end alone never has a carrier."""
        return veth.up and self._far[veth.peer_node, veth.peer_name].up

    def send(self, wanted: Iterable[Message]) -> None:
        """Send messages in the namespace of the calling thread, if there are any."""
        batch = list(wanted)
        if batch:
            with Netlink() as netlink:
                netlink.send(batch)
            self.messages += len(batch)

    def _build(self, plan: Plan) -> None:
        workloads = [port.namespace for state in plan.values() for port in state.ports]
        with NamespaceWorker("workloads") as helper:
            made = helper.submit(None, lambda: create(workloads))
            self._stage("nodes", list(plan), lambda names: create(names, self.found))
            self._stage("underlay cables", list(plan.values()), self._cables)
            self._stage("underlay and overlay", list(plan.values()), self._links)
            if workloads:
                self._progress(f"namespaces of {len(workloads)} workloads")
            made.result()
        self._stage("workloads", [n for n in plan.values() if n.ports], self._workloads)
        commands = [port for state in plan.values() for port in state.ports if port.command]
        if commands:
            self._stage("commands", commands, self.start)

    def _stage(self, what: str, items: Sequence[Item], work: Callable[[Sequence[Item]], None]) -> None:
        size = max(1, -(-len(items) // _STEPS))
        for start in range(0, len(items), size):
            part = items[start : start + size]
            self._progress(f"{what} {start + len(part)} of {len(items)}")
            work(part)

    def found(self, name: str) -> None:
        """In the node's new namespace: its switches, tables and, on a Host, all rules; no link exists yet."""
        state = self._plan[name]
        is_host = state.role == "host"
        self.send(messages.base(state))
        if is_host:
            self._fill(state)
        # After the rules, for they load the module that some of the switches are of.
        sysctl.write(sysctl.HOST if is_host else sysctl.SWITCH)

    def _fill(self, state: NodeState) -> None:
        """A Host's rules, and then what their sets and maps hold."""
        commands = [skeleton.tables(), *ruleset.definitions(state)]
        with Nft() as nft:
            nft.run_chunks(commands)
        contents = list(self._encoder.contents(state))
        with Netlink(NETFILTER) as netlink:
            netlink.transact(contents)
        self.commands += len(commands)
        self.messages += len(contents)

    def _cables(self, nodes: Sequence[NodeState]) -> None:
        for state in nodes:
            mine = [veth for veth in state.uplinks if (state.name, veth.name) < (veth.peer_node, veth.peer_name)]
            with opened(veth.peer_node for veth in mine) as peers, inside(state.name):
                self.send(self._cable(state.name, veth, peers[veth.peer_node]) for veth in mine)

    def _cable(self, name: str, veth: Veth, netns: int) -> Message:
        far = self._far[veth.peer_node, veth.peer_name]
        return messages.cable(veth, far, self.indexes[name][veth.name], self.indexes[veth.peer_node][far.name], netns)

    def _links(self, nodes: Sequence[NodeState]) -> None:
        for state in nodes:
            index = self.indexes[state.name]
            overlay, ports = _names(state)
            with inside(state.name):
                self.send(
                    message for uplink in state.uplinks for message in messages.uplink(uplink, index[uplink.name])
                )
                self._qualities(state, index)
                self.send(messages.overlay_links(state, index))
                self.send(messages.rules(state))
                self.send(messages.neighbours((n for n in state.neighbours if n.dev not in overlay), index))
                self.send(messages.routes((r for r in state.routes if not _uses(r, ports)), index))

    def _qualities(self, state: NodeState, index: Indexes) -> None:
        """Bandwidth, delay and loss of the cables, as far as this kernel can."""
        losing = [veth for veth in self._plan[state.name].uplinks if veth.loss]
        if losing and state.uplinks:
            with Nft() as nft:
                nft.run(skeleton.no_losses() + skeleton.losses(losing))
        for veth in state.uplinks:
            delayed = bool(veth.delay) and self._delay(state.name, veth, index[veth.name])
            if veth.bandwidth:
                self.send([qdisc.bandwidth(index[veth.name], veth.bandwidth, veth.mtu, delayed=delayed)])

    def _delay(self, node: str, veth: Veth, index: int) -> bool:
        try:
            self.send([qdisc.impairment(index, veth.delay)])
        except PrivilegeError:
            self.notes.append(
                f"link {node} {veth.name} to {veth.peer_node}: its delay of {veth.delay} ms is left out, "
                "netem is not in this kernel (`sdn doctor` says more)"
            )
            return False
        return True

    def start(self, ports: Sequence[Port]) -> None:
        """What the user runs in workloads; it ends with the lab."""
        OUTPUT.mkdir(exist_ok=True)
        for port in ports:
            with inside(port.namespace), (OUTPUT / f"{port.namespace}.log").open("wb") as log:
                try:
                    process = spawn(port.command, stdout=log.fileno(), stderr=log.fileno())
                except KernelError as error:
                    raise type(error)(f"{port.workload}: {error}") from None
                self._running.append((port, process))

    def forget(self, namespaces: Collection[str]) -> None:
        """The commands of these workloads are no longer the lab's."""
        self._running = [(port, process) for port, process in self._running if port.namespace not in namespaces]

    def failures(self) -> list[str]:
        """A sentence for each command that has ended with anything but 0, with its last words."""
        return [
            f"{port.workload}: its command {port.command[0]} ended with {status}{_last_words(port)}"
            for port, process in self._running
            if (status := process.wait(0))
        ]

    def _workloads(self, nodes: Sequence[NodeState]) -> None:
        for state in nodes:
            self._ports(state)
        for state in nodes:
            settle(state.name, [port.name for port in state.ports], _plain(state.loopback))
            for port in state.ports:
                settle(port.namespace, ["eth0"], _plain(port.addresses))

    def _ports(self, state: NodeState) -> None:
        index = self.indexes[state.name]
        overlay, ports = _names(state)
        with opened(port.namespace for port in state.ports) as fds, inside(state.name):
            self.send(m for port in state.ports for m in messages.port_link(port, index, fds[port.namespace]))
            self.send(messages.neighbours((n for n in state.neighbours if n.dev in overlay), index))
            self.send(messages.fdb(state.fdb, self._plan[state.name], index))
            self.send(messages.routes((r for r in state.routes if _uses(r, ports)), index))
            for port in state.ports:
                enter(port.namespace)
                self.send(messages.workload(port))


def _last_words(port: Port) -> str:
    written = (OUTPUT / f"{port.namespace}.log").read_text(errors="replace").strip().splitlines()
    return f": {written[-1][:200]}" if written else " and said nothing"


def settle(namespace: str, wanted: Collection[str], addresses: Iterable[str] = (), patience: float = 10.0) -> None:
    """Wait until links that were brought up really run, and IPv6 knows its own addresses; call it in a worker thread.

    The kernel notices a carrier a little after it is there (its linkwatch worker). Until then what is sent to the link
    is dropped, and a bridge does not forward to it. Another worker makes the route to each own IPv6 address.
    """
    deadline = time.monotonic() + patience
    own = {address: f"{ip_address(address).packed.hex()} 80 " for address in addresses if ":" in address}
    with inside(namespace), Netlink() as netlink:
        while missing := sorted(set(wanted) - netlink.running()) or _unrouted(own):
            if time.monotonic() > deadline:
                raise KernelError(f"{missing[0]} of {namespace} is not in use after {patience:g} s; try again")
            time.sleep(_POLL)


def _unrouted(own: dict[str, str]) -> list[str]:
    """The addresses to which the calling thread's namespace has no route of 128 bits yet."""
    routes = _IPV6_ROUTES.read_text() if own else ""
    return [address for address, line in own.items() if line not in routes]


def _plain(addresses: Iterable[str]) -> list[str]:
    """Without their lengths."""
    return [address.partition("/")[0] for address in addresses]


def _names(state: NodeState) -> tuple[frozenset[str], frozenset[str]]:
    """The devices of the overlay, and those among them that are workloads' ports."""
    ports = frozenset(port.name for port in state.ports)
    return ports.union(link.name for link in state.links), ports


def _uses(route: Route, devices: frozenset[str]) -> bool:
    return any(hop.dev in devices for hop in route.nexthops)
