"""Is a workload there for those who may reach it? A connection is made, or it is not healthy.

It is asked by a peer that policy allows, and where there is none by the workload itself, at its own address. Where no
command runs this process listens in its place, as probes do. Where one does, its port is its own: a refusal that comes
back says that the workload is reached, and only who asks for more (`serving`) waits until it listens.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import time
from collections.abc import Callable, Collection, Iterator

from msgspec import Struct

from sdn.kernel.namespaces import NamespaceWorker, enter
from sdn.model import Endpoint, Flow, Placed, Protocol, Workload, connected, family_of
from sdn.policy.evaluate import Oracle
from sdn.probe import sockets

PATIENCE = 3.0
"""Seconds until what does not answer is not healthy."""

_UNDECLARED = 4999
_LOOKED_AT = 12  # peers
_ROUND = 0.25  # seconds that one attempt may take
_PAUSE = 0.02


class Checked(Struct, frozen=True):
    """`how` says who asked what; `failure` is empty where it was answered, over each family, after `seconds`."""

    workload: str
    how: str
    seconds: float
    failure: str = ""


class _Target(Struct):
    """One connection that must come about."""

    workload: str
    source: str
    address: str
    port: int
    serving: bool
    failure: str = "nobody answers"
    seconds: float = 0.0

    @property
    def how(self) -> str:
        return f"{self.source} → {self.workload} {self.port}/tcp over IPv{family_of(self.address)}"


def check(
    placed: Placed,
    keys: Collection[str],
    netns_of: Callable[[str], str],
    *,
    serving: bool = False,
    patience: float = PATIENCE,
) -> dict[str, Checked]:
    """Workload key → what came of it, for those that run and have an endpoint; all are asked at the same time."""
    targets = list(_targets(placed, keys, serving))
    with NamespaceWorker("health") as worker:
        worker.run(None, lambda: _check(placed, targets, netns_of, patience))
    by_key: dict[str, list[_Target]] = {}
    for target in targets:
        by_key.setdefault(target.workload, []).append(target)
    return {key: _told(several) for key, several in by_key.items()}


def _check(placed: Placed, targets: list[_Target], netns_of: Callable[[str], str], patience: float) -> None:
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        _listen(placed, targets, netns_of, stack)
        waiting = targets
        while waiting:
            _round(waiting, netns_of, started)
            waiting = [target for target in waiting if target.failure]
            if time.monotonic() - started > patience:
                break
            if waiting:
                time.sleep(_PAUSE)


def _told(targets: list[_Target]) -> Checked:
    worst = max(targets, key=lambda target: (bool(target.failure), target.seconds))
    failure = f"{worst.how}: {worst.failure}" if worst.failure else ""
    return Checked(worst.workload, worst.how, worst.seconds, failure)


def _targets(placed: Placed, keys: Collection[str], serving: bool) -> Iterator[_Target]:
    """For each family of each workload somebody who may ask it, strangers to all this first."""
    oracle = Oracle(placed)
    near = connected(placed.model.applications)
    for workload in (one for one in placed.model.workloads if one.key in keys and one.key in placed.endpoints):
        own = placed.endpoints[workload.key]
        others = [e for e in placed.endpoints.values() if e.application in near[own.application] and e is not own]
        others = [*(e for e in others if e.workload not in keys), *(e for e in others if e.workload in keys)]
        for address in own.addresses:
            source, port = _asker(oracle, workload, address, others[:_LOOKED_AT])
            yield _Target(workload.key, source, address, port, serving)


def _asker(oracle: Oracle, workload: Workload, address: str, others: Collection[Endpoint]) -> tuple[str, int]:
    """Who asks by which port; the workload itself where nobody else may."""
    ports = _ports(workload)
    for other in others:
        if other.address(family_of(address)) is None:
            continue
        for port in ports:
            (answer, *_) = oracle.evaluate(Flow(other.workload, address, Protocol.TCP, port))
            if answer.verdict.allowed:
                return other.workload, port
    return workload.key, ports[0]


def _ports(workload: Workload) -> list[int]:
    return [port.number for port in workload.ports if port.protocol is Protocol.TCP] or [_UNDECLARED]


def _listen(
    placed: Placed, targets: list[_Target], netns_of: Callable[[str], str], stack: contextlib.ExitStack
) -> None:
    """In place of those who run nothing that would; who listens there already answers as well."""
    commands = {one.key for one in placed.model.workloads if one.command}
    for target in targets:
        if target.workload not in commands:
            enter(netns_of(target.workload))
            one = stack.enter_context(socket.socket(sockets.family_of(family_of(target.address)), socket.SOCK_STREAM))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                one.bind((target.address, target.port))
                one.listen(16)


def _round(waiting: list[_Target], netns_of: Callable[[str], str], started: float) -> None:
    """One attempt each, all under way at once."""
    poller = select.poll()
    open_sockets: dict[int, tuple[socket.socket, _Target]] = {}
    for target in waiting:
        enter(netns_of(target.source))
        one = socket.socket(sockets.family_of(family_of(target.address)), socket.SOCK_STREAM)
        one.setblocking(False)
        code = one.connect_ex((target.address, target.port))
        if code == errno.EINPROGRESS:
            open_sockets[one.fileno()] = (one, target)
            poller.register(one, select.POLLOUT)
        else:
            _note(target, code, started)
            one.close()
    until = time.monotonic() + _ROUND
    while open_sockets and (left := until - time.monotonic()) > 0:
        for fd, _ in poller.poll(left * 1000):
            one, target = open_sockets.pop(fd)
            poller.unregister(fd)
            _note(target, one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), started)
            one.close()
    for one, _ in open_sockets.values():
        one.close()


def _note(target: _Target, code: int, started: float) -> None:
    target.seconds = round(time.monotonic() - started, 4)
    target.failure = os.strerror(code) if code else ""
    if code == errno.ECONNREFUSED:
        target.failure = "nobody listens" if target.serving and target.port != _UNDECLARED else ""
