"""The holder: the one process that a lab is. When it ends, however it ends, the kernel removes the lab.

It runs as pid 1 of the lab's own pid namespace, inside the lab's user (when not root), mount and network namespaces,
and answers on a Unix socket that was bound before it moved there. What touches the kernel is done one at a time.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from msgspec.structs import replace

from sdn.errors import LabError, SdnError
from sdn.kernel import sandbox
from sdn.kernel.driver import Driver
from sdn.kernel.ending import take_apart
from sdn.kernel.processes import start_reaper
from sdn.kernel.readback import drift
from sdn.kernel.syscalls import return_free, share_heaps
from sdn.lab.failures import fail, give_up, given_up
from sdn.lab.growth import rollout, scale
from sdn.lab.healing import heal
from sdn.lab.messages import (
    Applied,
    Apply,
    Ask,
    Build,
    Bye,
    Describe,
    Down,
    Failed,
    GetPlaced,
    Info,
    Noticed,
    Observations,
    Operate,
    Operated,
    PlacedReply,
    Progress,
    Reply,
    Request,
    receive_request,
    send,
)
from sdn.lab.operations import operate
from sdn.lab.reading import Reader
from sdn.lab.redescribed import redescribe, rewired
from sdn.lab.running import Running
from sdn.lab.undone import undone
from sdn.lab.vigil import Vigil, Watched
from sdn.lab.work import speakers
from sdn.model import Kind, Model, Placed, SegmentKind
from sdn.model.lifecycle import Fail, Heal, Operation, Rollout, Scale
from sdn.plan.desired import Prepared, prepare
from sdn.plan.ids import namespace_of
from sdn.plan.state import Plan
from sdn.policy import collector
from sdn.probe.engine import Engine
from sdn.scheduler.again import place_again, unhealed

Say = Callable[[str], None]

PATIENCE = 10.0
"""Seconds until a holder that nobody has asked to build anything ends; its client asks at once."""

REMEMBERED = 50
"""Things that nobody had asked for of which `sdn status` knows."""

FOLLOWED = 10_000
"""Workloads of the largest lab that is made ready for changes before anybody asks for one; it takes it a second."""

_RETRY = 0.1  # seconds
_REST = 0.3  # seconds in which nobody asks for anything; who has just built a lab mostly asks something at once

_HEAPS = 2  # as many as threads that work at a time

_FOREIGN = "this lab was started by another version of sdn and does not know the request; end it and start it again"


class Holder:
    """The state of one lab, and what it does for each request."""

    def __init__(self, name: str) -> None:
        self.info = Info(name=name, pid=0, since=time.time(), state="building")
        self.asked = False  # to build
        self._heard = time.monotonic()
        self._lock = threading.Lock()
        self._preparing = False  # for changes, which is of no use to a lab that ends
        self._running: Running | None = None
        self._asked: Model | None = None  # how somebody described the lab last
        self._reader = Reader()
        self._counted: Prepared | None = None  # for which `info.counts` is right
        self._vigil = Vigil(self._silent, self._notice)

    def handle(self, request: Request, say: Say) -> Reply:
        """Do one request; `say` reports stages of the long ones."""
        try:
            return self._handle(request, say)
        finally:
            self._heard = time.monotonic()

    def _handle(self, request: Request, say: Say) -> Reply:
        self._heard = time.monotonic()
        match request:
            case Describe(check):
                return self._describe(check, say)
            case GetPlaced():
                return PlacedReply(self._ready().prepared.placed)
            case Build():
                self.asked = True
                with self._lock:
                    return self._build(request, say)
            case Apply():
                with self._lock:
                    return self._apply(request, say)
            case Operate(operation, watch):
                with self._lock:
                    return self._operate(operation, watch, say)
            case Ask():
                with self._lock:
                    return self._ask(request, say)
            case Down():
                # Whoever has the lock is changing the lab, or only makes ready for that.
                if self.info.state == "up" and (self._lock.acquire(blocking=False) or self._preparing):
                    self.info = replace(self.info, state="ending")
                return Bye()

    def follow(self) -> None:
        """Have all ready that the first change would have to make, as soon as nobody asks for anything.

        What is asked for meanwhile waits for it.
        """
        while (left := self._heard + _REST - time.monotonic()) > 0:
            time.sleep(left)
        with self._lock:
            running = self._ready()
            if len(running.model.workloads) <= FOLLOWED:
                self._preparing = True
                running.follow()
                running.open_sockets()
                self._reader.learn(running.model)
                collector.rest()
                self._preparing = False

    def end(self) -> NoReturn:
        """End the lab, as `Down` has asked. Who was changing it, or what goes wrong, only makes this slower."""
        try:
            if self.info.state == "ending" and self._running is not None:
                take_apart(self._running.plan)
        finally:
            os._exit(0)

    def _ready(self) -> Running:
        if self.info.state == "ending":
            raise LabError(f"lab {self.info.name} is ending; start it again with `sdn up`")
        if self._running is None or self.info.state != "up":
            raise LabError(
                f"lab {self.info.name} is still {self.info.state}; try again when `sdn ls` says that it is up"
            )
        return self._running

    def _build(self, request: Build, say: Say) -> Info:
        if self._running is not None:
            raise LabError(f"lab {self.info.name} has been built already; end it with `sdn down {self.info.name}`")
        clock = _Clock(say)
        clock("place, compile, plan")
        prepared = prepare(request.model)
        self.info = replace(self.info, sources=request.sources, warnings=request.warnings)
        driver = Driver(clock)
        self._running = Running(self.info.name, prepared, driver)
        driver.build(prepared.plan)
        self._asked = request.model
        clock("")
        self.info = replace(
            self.info,
            state="up",
            warnings=(*self.info.warnings, *driver.notes),
            counts=counts(prepared.placed, prepared.plan),
            stages=tuple(clock.stages),
        )
        self._watch()
        return self.info

    def _apply(self, request: Apply, say: Say) -> Applied:
        running = self._ready()
        started = time.monotonic()
        running.require_whole()
        say("place")
        before = running.model
        model = unhealed(self._read(request), before)
        lost = undone(self._asked or before, before, model)
        placement = place_again(model, before, running.placement, running.kept)
        decided = time.monotonic() - started
        notes = len(running.driver.notes)
        with self._described(running), self._rewired():
            moved, done = redescribe(running, model, placement, say)
        self._asked = model
        new_notes = (*lost, *rewired(running, moved), *running.driver.notes[notes:])
        warnings = tuple(dict.fromkeys((*request.warnings, *running.driver.notes)))
        self.info = replace(self.info, sources=request.sources or self.info.sources, warnings=warnings)
        seconds = (round(decided + done.planned, 4), done.enforced)
        return Applied(done.changes, done.nodes, done.messages, done.commands, *seconds, new_notes, done.cut, moved)

    def _read(self, request: Apply) -> Model:
        try:
            return self._reader.read(request.model)
        except ValueError:
            raise LabError(_FOREIGN) from None

    def _operate(self, operation: Operation, watch: bool, say: Say) -> Operated:
        running = self._ready()
        with self._described(running):
            match operation:
                case Fail():
                    with self._rewired():
                        outcome = fail(running, operation, watch, say)
                case Heal():
                    with self._rewired():
                        outcome = heal(running, operation, watch, say)
                case Scale():
                    outcome = scale(running, operation, watch, say)
                case Rollout():
                    outcome = rollout(running, operation, watch, say)
                case _:
                    outcome = operate(running, operation, watch, say)
            self._reader.follow(running.model)
            return Operated(outcome)

    @contextmanager
    def _rewired(self) -> Iterator[None]:
        """Heartbeats stop while cables change or others beat; afterwards those are watched who should be heard."""
        with self._vigil.aside():
            yield
            self._watch()

    def _watch(self) -> None:
        running = self._ready()
        heartbeat = running.model.options.heartbeat
        there = speakers(running.model, running.plan) if heartbeat is not None else None
        self._vigil.watch(Watched(*there, heartbeat) if there and heartbeat else None)

    def _silent(self, hosts: frozenset[str]) -> None:
        """Hosts are not heard. Who changes the lab at this moment may be why, so it is asked again after that."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            running = self._ready()
            if running.torn:
                self._vigil.watch(None)
                raise LabError(running.torn)
            with self._described(running), self._rewired():
                outcome = give_up(running, hosts)
            self._notice(given_up(outcome))
        finally:
            self._lock.release()

    def _notice(self, text: str) -> None:
        self.info = replace(self.info, noticed=(*self.info.noticed[1 - REMEMBERED :], Noticed(time.time(), text)))

    @contextmanager
    def _described(self, running: Running) -> Iterator[None]:
        """Afterwards, and also where it fails, what is said of the lab is what it has become."""
        whole = not running.torn
        try:
            yield
        finally:
            self._counted = None
            self._warn(running, whole)

    def _warn(self, running: Running, whole: bool) -> None:
        """Where something has failed half-way since it was whole, whoever asks about the lab is told."""
        if whole and running.torn:
            self.info = replace(self.info, warnings=(*self.info.warnings, running.torn))

    def _describe(self, check: bool, say: Say) -> Info:
        """Counting what a lab is made of takes long in a large one, so it is done when somebody asks."""
        if self.info.state != "up" or not (check or self._lock.acquire(blocking=False)):
            return self.info
        if not check:
            try:
                return self._count()
            finally:
                self._lock.release()
        with self._lock:
            self._count()
            running = self._ready()
            return replace(self.info, drift=(*drift(running.prepared.plan, say), *running.driver.failures()))

    def _count(self) -> Info:
        """What the lab is made of, when nothing is left of earlier changes."""
        running = self._ready()
        whole = not running.torn
        running.finish()
        self._warn(running, whole)
        self.info = replace(self.info, cleaned=running.cleaned)
        prepared = running.prepared
        if self._counted is not prepared:
            self.info = replace(self.info, counts=counts(prepared.placed, prepared.plan))
            self._counted = prepared
        return self.info

    def _ask(self, request: Ask, say: Say) -> Observations:
        prepared = self._ready().prepared
        hosts = [name for name, node in prepared.plan.items() if node.role == "host"]
        say(f"{len(request.questions)} questions")
        engine = Engine(prepared.placed, lambda name: namespace_of(name) if "/" in name else name, hosts)
        try:
            engine.listen()
            observed = engine.ask(request.questions, request.answers, request.deadline)
        finally:
            engine.close()
        return Observations(observed)


class _Clock:
    """Says each stage and keeps how long it took, by its first words."""

    def __init__(self, say: Say) -> None:
        self.stages: list[tuple[str, float]] = []
        self._say = say
        self._name = ""
        self._since = time.monotonic()

    def __call__(self, stage: str) -> None:
        now = time.monotonic()
        if self._name:
            self.stages.append((self._name, round(now - self._since, 4)))
        self._name, self._since = stage, now
        if stage:
            self._say(stage)


def counts(placed: Placed, plan: Plan) -> dict[str, int]:
    """What a lab is made of."""
    model = placed.model
    used = {(endpoint.application, endpoint.segment) for endpoint in placed.endpoints.values()}
    segments = [(a.name, s) for a in model.applications for s in a.segments if (a.name, s.name) in used]
    firewalls = [node.firewall for node in plan.values() if node.firewall is not None]
    return {
        "hosts": sum(1 for node in plan.values() if node.role == "host"),
        "switches": sum(1 for node in plan.values() if node.role != "host"),
        "vms": sum(1 for workload in model.workloads if workload.kind is Kind.VM),
        "pods": sum(1 for workload in model.workloads if workload.kind is Kind.POD),
        "applications": len({name for name, _ in segments}),
        "segments": len(segments),
        "l2 segments": sum(1 for _, segment in segments if segment.kind is SegmentKind.L2),
        "services": len(model.services),
        "policies": len(model.network_policies) + len(model.policies),
        "rules": sum(len(chain.rules) for firewall in firewalls for chain in firewall.chains),
        "set elements": sum(len(s.elements) for firewall in firewalls for s in firewall.sets),
    }


def serve(listener: socket.socket, holder: Holder) -> None:
    """Answer clients until one of them ends the lab."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            # No descriptor or memory is left, as it may be while it probes: a client waits then, the lab does not end.
            time.sleep(_RETRY)
            continue
        _welcome(connection, holder)


def _welcome(connection: socket.socket, holder: Holder) -> None:
    """Strangers, and whoever comes when no thread can be started, are sent away."""
    if not sandbox.same_user(connection):
        connection.close()
        return
    try:
        threading.Thread(target=_session, args=(connection, holder), daemon=True).start()
    except RuntimeError:
        connection.close()


def _session(connection: socket.socket, holder: Holder) -> None:
    """One client. A build that fails, or whose client leaves meanwhile, ends the lab: nothing half built stays."""
    with connection:
        while True:
            try:
                request = receive_request(connection)
            except ValueError:
                with suppress(OSError):
                    send(connection, Failed(LabError.__name__, _FOREIGN))
                return
            except OSError:
                return
            if request is None:
                return
            reply = _reply(connection, request, holder)
            failed = isinstance(reply, Failed)
            unbuilt = isinstance(request, Build) and failed and holder.info.state != "up"
            try:
                send(connection, reply)
            except OSError:
                if unbuilt or (isinstance(request, Build) and not failed):
                    os._exit(1)
                return
            if isinstance(request, Down):
                holder.end()
            if unbuilt:
                os._exit(0)
            if isinstance(request, Ask):
                return_free()  # each suite would leave some more among what the lab itself keeps
            if isinstance(request, Build) and request.ephemeral and not failed:
                _wait_for_end(connection)
                os._exit(0)
            if isinstance(request, Build) and not failed:
                with suppress(SdnError, OSError):  # what is refused now is told to whoever asks for a change
                    holder.follow()  # not for a lab that only answers questions, and ends


def _wait_for_end(connection: socket.socket) -> None:
    try:
        connection.recv(1)
    except OSError:
        return


def _reply(connection: socket.socket, request: Request, holder: Holder) -> Reply:
    def say(stage: str) -> None:
        try:
            send(connection, Progress(stage))
        except OSError:
            if isinstance(request, Build):
                os._exit(1)
            if isinstance(request, Describe):
                raise  # nobody waits for what would be read back

    try:
        return holder.handle(request, say)
    except SdnError as error:
        return Failed(type(error).__name__, str(error))
    except Exception as error:
        return Failed(type(error).__name__, str(error), traceback.format_exc())


def _end_unless_asked(holder: Holder) -> None:
    """A client that was killed before it had asked for anything leaves a lab that nobody waits for."""
    if not holder.asked:
        os._exit(1)


def main() -> None:
    """Entry point of `python -m sdn.lab.holder NAME [PATIENCE]`, started by the launcher with its listening socket."""
    share_heaps(_HEAPS)
    listener = sandbox.inherited_listener()
    start_reaper()
    listener.listen(64)
    name, *patience = sys.argv[1:]
    holder = Holder(name)
    timer = threading.Timer(float(patience[0]) if patience else PATIENCE, _end_unless_asked, (holder,))
    timer.daemon = True
    timer.start()
    serve(listener, holder)


if __name__ == "__main__":
    main()
