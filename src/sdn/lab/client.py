"""The client's side of a lab: find it, start it, talk to it, enter it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from sdn import errors
from sdn.errors import LabError, SdnError
from sdn.kernel import sandbox
from sdn.lab.ahead import HOLDER
from sdn.lab.messages import (
    GONE,
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
    Observations,
    Operate,
    Operated,
    PlacedReply,
    Progress,
    Reply,
    Request,
    receive_replies,
    send,
    written,
)
from sdn.model import Answer, Model, Placed, Question, Report
from sdn.model.lifecycle import Operation, Outcome
from sdn.plan.allocate import allocate
from sdn.plan.delta import Changes, delta
from sdn.plan.desired import plan_placed
from sdn.plan.ids import namespace_of
from sdn.plan.state import Plan
from sdn.scheduler.again import place_again, unhealed

Say = Callable[[str], None]

PATIENCE = 5.0
"""Seconds for an answer that needs no work."""

ENDING = 300.0
"""Seconds in which a holder that has said it will end is not killed: it waits for the kernel, as its killer would."""

_serial = count()


def _silent(_: str) -> None:
    pass


class Lab:
    """A running lab. Each call is one connection, so that any number of clients may talk to it."""

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self.building: tuple[socket.socket, sandbox.Holder] | None = None
        self._placed: Placed | None = None

    def _ask(self, request: Request, progress: Say = _silent, patience: float | None = None) -> Reply:
        with _connect(self.name, patience) as connection:
            return _exchange(connection, request, progress)

    def status(self, check: bool = True, progress: Say = _silent) -> Info:
        """What the lab is, and with `check` whether the kernel still is as planned (`drift`)."""
        reply = self._ask(Describe(check), progress, patience=None if check else PATIENCE)
        assert isinstance(reply, Info)
        return replace(reply, pid=self.pid)

    def placed(self) -> Placed:
        """The Model with placement and addresses, as the holder has it."""
        if self._placed is None:
            reply = self._ask(GetPlaced())
            assert isinstance(reply, PlacedReply)
            self._placed = reply.placed
        return self._placed

    def plan(self) -> Plan:
        """The desired state of every Host: a pure function of what is placed, so it is worked out here."""
        return plan_placed(self.placed()).plan

    def changes(self, model: Model) -> Changes:
        """What `apply` would do, worked out here; the lab is not touched."""
        self._placed = None  # another client may have changed the lab since
        placed = self.placed()
        wanted = unhealed(model, placed.model)
        placement = place_again(wanted, placed.model, placed.placement)
        return delta(plan_placed(placed).plan, plan_placed(allocate(wanted, placement, placed)).plan)

    def apply(
        self, model: Model, paths: Sequence[Path] = (), warnings: Sequence[str] = (), progress: Say = _silent
    ) -> Applied:
        """Have the lab become another Model while it runs."""
        try:
            reply = self._ask(Apply(written(model), _texts(paths), _texts(warnings)), progress)
        finally:
            self._placed = None
        assert isinstance(reply, Applied)
        return reply

    def operate(self, operation: Operation, watch: bool = False, progress: Say = _silent) -> Outcome:
        """Have something happen to the lab; with `watch` a probe counts what is lost and what leaks meanwhile."""
        try:
            reply = self._ask(Operate(operation, watch), progress)
        finally:
            self._placed = None
        assert isinstance(reply, Operated)
        return reply.outcome

    def ask(
        self, questions: Sequence[Question], answers: Sequence[tuple[Answer, ...]] = (), progress: Say = _silent
    ) -> Observations:
        """Send real packets; `answers` are what evaluate says, which tells whom to look for behind a Service."""
        reply = self._ask(Ask(tuple(questions), tuple(answers)), progress)
        assert isinstance(reply, Observations)
        return reply

    def test(self, progress: Say = _silent) -> Report:
        """The whole suite in this lab."""
        from sdn.lab import suite  # noqa: PLC0415  the suite is a client of this module

        return suite.run_in(self, progress)

    def exec(self, workload: str, argv: Sequence[str]) -> int:
        """Run a command inside a workload, on this terminal; returns its exit status."""
        return sandbox.enter(self.pid, namespace_of(workload), list(argv))

    def exec_node(self, node: str, argv: Sequence[str]) -> int:
        """Run a command in the namespace of a Host or Switch."""
        return sandbox.enter(self.pid, node, list(argv))

    def built(self, progress: Say = _silent) -> Info:
        """Wait for the build that this client asked for."""
        assert self.building is not None
        connection, holder = self.building
        try:
            reply = _last(receive_replies(connection), progress)
        except LabError:
            _gone(self.pid)
            if words := holder.output().strip():
                raise LabError(f"the lab {self.name} ended while it was built; its last words:\n{words}") from None
            raise
        assert isinstance(reply, Info)
        return replace(reply, pid=self.pid)

    def down(self) -> None:
        """End the lab, and return when its last process has gone; the kernel is done a moment later."""
        with suppress(LabError):  # a holder that does not answer is ended all the same
            self._ask(Down(), patience=PATIENCE)
            sandbox.await_end(self.pid, ENDING)
        _gone(self.pid)


def up(
    paths: Sequence[Path],
    model: Model,
    name: str | None = None,
    progress: Say = _silent,
    warnings: Sequence[str] = (),
    begun: sandbox.Ahead | None = None,
) -> Info:
    """Build a lab that stays up. When the build fails, or this process is killed meanwhile, nothing of it stays.

    `begun` is what `ahead.ahead` gave.
    """
    request = Build(model, _texts(paths), _texts(warnings))
    with _start(name or model.name, request, begun) as lab:
        return lab.built(progress)


@contextmanager
def temporary(model: Model, begun: sandbox.Ahead | None = None) -> Iterator[Lab]:
    """A lab that ends with the block. `built` waits for it, so that other work can be done meanwhile.

    `begun` is what `ahead.ahead` gave.
    """
    request = Build(model, ephemeral=True)
    with _start(f"{model.name[:40]}.test-{os.getpid()}-{next(_serial)}", request, begun) as lab:
        yield lab
        _gone(lab.pid)


def _texts(several: Iterable[Path | str]) -> tuple[str, ...]:
    """As they can be sent: the name of a file need not be text."""
    return tuple(str(one).encode(errors="replace").decode() for one in several)


def labs() -> list[Info]:
    """All labs of this user that answer, by name; one may end while it is asked."""
    found = []
    for one in sandbox.labs():
        with suppress(LabError):
            found.append(Lab(one.name, one.pid).status(check=False))
    return found


def connect(name: str | None = None) -> Lab:
    """The lab of that name, or the only one there is."""
    running = {found.name: found.pid for found in sandbox.labs()}
    if name is None:
        if not running:
            raise LabError("no lab is running; start one with `sdn up FILE`")
        if len(running) > 1:
            names = ", ".join(sorted(running))
            raise LabError(f"several labs are running: {names}; say which: --lab NAME, or NAME for status and down")
        name = next(iter(running))
    if name not in running:
        there_are = f"there are: {', '.join(sorted(running))}" if running else "none is running"
        raise LabError(f"no lab is called {name!r}; {there_are}")
    return Lab(name, running[name])


@contextmanager
def _start(name: str, request: Build, begun: sandbox.Ahead | None) -> Iterator[Lab]:
    """A holder that has been asked to build; inside the block `built` may wait for it. An error there ends it."""
    known = [sys.executable, "-P", "-m", HOLDER, name]
    holder = sandbox.start(name, known) if begun is None else begun.start(name)
    lab = Lab(name, holder.pid)
    try:
        with _connect(name) as connection:
            lab.building = (connection, holder)
            with suppress(OSError):  # it has died already: `built` says why
                send(connection, request)
            yield lab
    except BaseException:
        _gone(lab.pid)
        raise
    finally:
        lab.building = None
        holder.close()


def _connect(name: str, patience: float | None = None) -> socket.socket:
    """A connection, mostly without a deadline: large labs take their time, and a holder that dies ends it."""
    connection = sandbox.connect(name)
    connection.settimeout(patience)
    return connection


def _gone(pid: int) -> None:
    """End what is left of a holder, and wait until the kernel has removed it."""
    if not sandbox.stop(pid):
        raise LabError(f"the holder with process id {pid} does not end; look at it with `ps {pid}`")


def _exchange(connection: socket.socket, request: Request, progress: Say) -> Reply:
    try:
        send(connection, request)
        return _last(receive_replies(connection), progress)
    except TimeoutError:
        raise LabError("the lab does not answer; look at its process with `ps`, end it with `sdn down NAME`") from None
    except OSError:
        raise LabError(GONE) from None


def _last(replies: Iterator[Reply], progress: Say) -> Reply:
    for reply in replies:
        if isinstance(reply, Progress):
            progress(reply.stage)
        elif isinstance(reply, Failed):
            raise _error(reply)
        else:
            return reply
    return Bye()


def _error(failed: Failed) -> Exception:
    """The holder's error as it was there; a bug keeps the traceback that only the holder saw."""
    if failed.bug:
        return RuntimeError(f"the holder of the lab failed:\n{failed.bug}")
    kind = getattr(errors, failed.kind, LabError)
    known = isinstance(kind, type) and issubclass(kind, SdnError)
    if known and kind not in (errors.SpecError, errors.UnschedulableError):
        return kind(failed.message)
    return LabError(failed.message)
