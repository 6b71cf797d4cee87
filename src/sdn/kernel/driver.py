"""Build a Plan in the kernel, or what a lab that is there lacks of one: namespaces, then rules, then links.

A team of two threads shares the nodes; the order is fail closed: a Host has no link before it has all of its rules, and
those at the other ends of its cables have theirs. While one Host is wired, the next get rules and namespaces, for these
do not wait for the kernel's lock on links. When this process dies at any point, the kernel removes all of it, because
nothing outside of the lab's namespaces was touched.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from sdn.errors import KernelError, PrivilegeError
from sdn.kernel import node as messages
from sdn.kernel import qdisc, ruleset, skeleton, sysctl
from sdn.kernel.elements import Encoder
from sdn.kernel.leftovers import Leftovers
from sdn.kernel.libnft import Nft
from sdn.kernel.messages import Message
from sdn.kernel.namespaces import NamespaceWorker, create, enter, inside, opened
from sdn.kernel.node import Entries, Indexes
from sdn.kernel.processes import Process, spawn
from sdn.kernel.rounds import Whereabouts
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.settle import settle, settled
from sdn.kernel.sockets import Sockets
from sdn.kernel.team import Job, Team
from sdn.kernel.tracked import NETFILTER
from sdn.plan.state import NodeState, Plan, Port, Route, Veth

Progress = Callable[[str], None]
Item = TypeVar("Item")

OUTPUT = Path("/run/output")
"""What the commands of workloads print, one file each, in the lab's own /run."""

_STEPS = 8
"""How many progress messages a long stage is cut into."""


class Existing(Indexes):
    """The indexes of the links of the namespace that the calling thread is in; a new name gets a number beyond them."""

    @classmethod
    def here(cls) -> Existing:
        """As they are now."""
        return cls({name: index for index, name in socket.if_nameindex()})


class Named(Indexes):
    """The indexes of a few links, asked one by one of the namespace of a socket."""

    def __init__(self, netlink: Netlink) -> None:
        super().__init__()
        self._netlink = netlink

    def __missing__(self, name: str) -> int:
        self[name] = self._netlink.index(name)
        return self[name]


class Driver:
    """Builds one Plan, then whatever a later one adds.

    `notes` are sentences about what was asked for and this kernel cannot do; `messages` and `commands` count what was
    sent by netlink and to nft. `indexes` are those of links, by node; who adds to a lab reads them from the kernel.
    `entries` are messages for what is aimed at.
    `sockets`, `worker` and `team` are for those who change a lab: one change at a time, led by the worker. What it
    leaves behind `leftovers` cleans up, or the worker where it is None. `whereabouts` are those before the last change.
    """

    def __init__(self, progress: Progress = lambda _: None) -> None:
        self.indexes: dict[str, Indexes] = {}
        self.notes: list[str] = []
        self.messages = 0
        self.commands = 0
        self.sockets = Sockets()
        self.worker = NamespaceWorker("change")
        self.team = Team("change")
        self.leftovers: Leftovers | None = None
        self.whereabouts = Whereabouts()
        self._lock = threading.Lock()
        self._running: list[tuple[Port, Process]] = []
        self._progress = progress
        self._plan: Plan = {}
        self._encoder = Encoder()
        self.entries = Entries()
        self._far: dict[tuple[str, str], Veth] = {}

    def build(self, plan: Plan) -> None:
        """Everything, from nothing. KernelError at the first thing that the kernel refuses."""
        self.aim(plan)
        self.indexes = {name: Indexes() for name in plan}
        for name, state in plan.items():
            for uplink in state.uplinks:  # Now, because two threads make the cables of one Switch.
                _ = self.indexes[name][uplink.name]
        with Team("build") as team:
            self._build(plan, team)
        self._encoder = Encoder()

    def aim(self, plan: Plan) -> None:
        """What the lab shall be; nothing happens yet."""
        self._plan = plan
        self._encoder = Encoder()
        self.entries = Entries()
        self._far = {(node.name, uplink.name): uplink for node in plan.values() for uplink in node.uplinks}

    def connect(self, come: Plan) -> None:
        """Links and what lies on them: of nodes that have their rules, and of which `come` holds only what is missing.

        Call it in a worker thread, after `aim`, with the indexes of the links that are there in `indexes`.
        """
        nodes = come.values()
        for step in (self._cables, self._links, self._settle_cables, self._ports, self._settle):
            for state in nodes:
                step(state)

    def _settle_cables(self, state: NodeState) -> None:
        settle(state.name, [veth.name for veth in state.uplinks if self._carries(veth)])

    def _carries(self, veth: Veth) -> bool:
        """Whether both ends of a cable are up; an end alone never has a carrier."""
        return veth.up and self._far[veth.peer_node, veth.peer_name].up

    def send(self, wanted: Iterable[Message]) -> None:
        """Send messages in the namespace of the calling thread, if there are any."""
        batch = list(wanted)
        if batch:
            with Netlink() as netlink:
                netlink.send(batch)
            self.count(messages=len(batch))

    def tell(self, node: str, wanted: Iterable[Message]) -> None:
        """Send messages in the namespace of a node that stays, if there are any."""
        batch = list(wanted)
        if batch:
            with self.sockets.route(node) as netlink:
                netlink.send(batch)
            self.count(messages=len(batch))

    def count(self, messages: int = 0, commands: int = 0) -> None:
        """Add to what was sent; two threads may at once."""
        with self._lock:
            self.messages += messages
            self.commands += commands

    def _build(self, plan: Plan, team: Team) -> None:
        nodes = list(plan.values())
        switches = [state for state in nodes if state.role != "host"]
        peopled = [state for state in nodes if state.ports]
        self._stage(team, "switches", switches, lambda state: create([state.name], self.found))
        self._stage(team, "cables of switches", switches, lambda state: self._lay(state, self._first(state, "switch")))
        jobs = list(self._jobs([state for state in nodes if state.role == "host"]))
        team.follow(jobs, self._told("hosts", len(jobs)))
        self._stage(team, "routes of switches", switches, self._links)
        self._stage(team, "links in use", peopled, self._settle)
        commands = [port for state in peopled for port in state.ports if port.command]
        self._stage(team, "commands", commands, self.start)

    def _jobs(self, hosts: Sequence[NodeState]) -> Iterator[Job]:
        """A Host is wired when it has all rules, and so has each at the other end of a cable."""
        ruled = {state.name: Job(partial(create, [state.name], self.found)) for state in hosts}
        needed = {name: [job] for name, job in ruled.items()}
        for state in hosts:
            for veth in self._first(state, "host"):
                job = Job(partial(self._lay, state, [veth]), [ruled[state.name], ruled[veth.peer_node]], links=True)
                needed[state.name].append(job)
                needed[veth.peer_node].append(job)
                yield job
        for state in hosts:
            rooms = Job(partial(create, [port.namespace for port in state.ports], bare=True))
            yield from (ruled[state.name], rooms)
            yield Job(partial(self._wire, state), [*needed[state.name], rooms], links=True)

    def _first(self, state: NodeState, role: str) -> list[Veth]:
        """The cables that a node makes to others of a role; between two alike, the one whose name sorts first does."""
        alike = (state.role == "host") == (role == "host")
        return [
            veth
            for veth in state.uplinks
            if (self._plan[veth.peer_node].role == "host") == (role == "host")
            and (not alike or (state.name, veth.name) < (veth.peer_node, veth.peer_name))
        ]

    def _wire(self, state: NodeState) -> None:
        """Everything on a Host but rules."""
        self._lay(state, self._first(state, "switch"))
        self._links(state)
        if state.ports:
            self._ports(state)

    def _stage(self, team: Team, what: str, items: Sequence[Item], work: Callable[[Item], None]) -> None:
        team.share(items, work, self._told(what, len(items)))

    def _told(self, what: str, total: int) -> Callable[[int], None]:
        size = max(1, -(-total // _STEPS))

        def said(number: int) -> None:
            if number % size == 1 or size == 1:
                self._progress(f"{what} {number} of {total}")

        return said

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
        first, left, last = self._encoder.definitions(state)
        contents = [*last, *self._encoder.contents(state)]
        with Nft() as nft, Netlink(NETFILTER) as netlink:
            nft.run(skeleton.tables() + (skeleton.translation() if ruleset.translates(state) else ""))
            netlink.transact(first)
            nft.run_chunks(left)
            netlink.transact(contents)
        self.count(len(first) + len(contents), len(left) + 1)

    def _cables(self, state: NodeState) -> None:
        self._lay(state, [veth for veth in state.uplinks if (state.name, veth.name) < (veth.peer_node, veth.peer_name)])

    def _lay(self, state: NodeState, cables: Sequence[Veth]) -> None:
        with opened(veth.peer_node for veth in cables) as peers, inside(state.name):
            self.send(self._cable(state.name, veth, peers[veth.peer_node]) for veth in cables)

    def _cable(self, name: str, veth: Veth, netns: int) -> Message:
        far = self._far[veth.peer_node, veth.peer_name]
        return messages.cable(veth, far, self.indexes[name][veth.name], self.indexes[veth.peer_node][far.name], netns)

    def _links(self, state: NodeState) -> None:
        index = self.indexes[state.name]
        overlay, ports = _names(state)
        with inside(state.name):
            self.send(message for uplink in state.uplinks for message in messages.uplink(uplink, index[uplink.name]))
            self._qualities(state, index)
            self.send(messages.overlay_links(state, index))
            self.send(messages.rules(state))
            self.send(self.entries.neighbours((n for n in state.neighbours if n.dev not in overlay), index))
            self.send(self.entries.routes((r for r in state.routes if not _uses(r, ports)), index))

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

    def start(self, port: Port) -> None:
        """What the user runs in a workload; it ends with the lab."""
        OUTPUT.mkdir(exist_ok=True)
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

    def _settle(self, state: NodeState) -> None:
        settle(state.name, [port.name for port in state.ports], _plain(state.loopback))

    def _ports(self, state: NodeState) -> None:
        index = self.indexes[state.name]
        overlay, ports = _names(state)
        with opened(port.namespace for port in state.ports) as fds, inside(state.name):
            self.send(m for port in state.ports for m in messages.port_link(port, index, fds[port.namespace]))
            self.send(self.entries.neighbours((n for n in state.neighbours if n.dev in overlay), index))
            self.send(self.entries.fdb(state.fdb, self._plan[state.name], index))
            self.send(self.entries.routes((r for r in state.routes if _uses(r, ports)), index))
            self._workloads(state.ports)

    def _workloads(self, ports: Sequence[Port]) -> None:
        """Both stages by one socket each: to enter a namespace again and make another takes as long as either of them.

        The calling thread stays in the last.
        """
        with ExitStack() as sockets:
            opened_in = []
            for port in ports:
                enter(port.namespace)
                netlink = sockets.enter_context(Netlink())
                batch = list(messages.workload(port))
                netlink.send(batch)
                self.count(messages=len(batch))
                opened_in.append((netlink, port))
            for netlink, port in opened_in:
                settled(netlink, port.namespace, ["eth0"], port.plain)


def _last_words(port: Port) -> str:
    written = (OUTPUT / f"{port.namespace}.log").read_text(errors="replace").strip().splitlines()
    return f": {written[-1][:200]}" if written else " and said nothing"


def _plain(addresses: Iterable[str]) -> list[str]:
    """Without their lengths."""
    return [address.partition("/")[0] for address in addresses]


def _names(state: NodeState) -> tuple[frozenset[str], frozenset[str]]:
    """The devices of the overlay, and those among them that are workloads' ports."""
    ports = frozenset(port.name for port in state.ports)
    return ports.union(link.name for link in state.links), ports


def _uses(route: Route, devices: frozenset[str]) -> bool:
    return not devices.isdisjoint([hop.dev for hop in route.nexthops])
