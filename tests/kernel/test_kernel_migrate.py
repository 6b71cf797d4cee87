"""A live migration that is refused at any stage goes all the way back; where even that fails, the ports stay shut."""

from __future__ import annotations

import errno
import re
import socket

import pytest
from inside import in_lab
from msgspec.structs import replace

from sdn.errors import KernelError, RolledBackError
from sdn.kernel.apply_rules import rule_changes
from sdn.kernel.conntrack import Conntrack
from sdn.kernel.driver import Driver
from sdn.kernel.libnft import Nft
from sdn.kernel.migrate import Say, migrate
from sdn.kernel.migrate_parts import Parts, fenced, parts
from sdn.kernel.namespaces import NamespaceWorker, delete, names
from sdn.kernel.readback import drift
from sdn.kernel.rtnetlink import Netlink
from sdn.model import Application, Placement, SegmentKind, Service, ServicePort
from sdn.plan.allocate import allocate
from sdn.plan.desired import Prepared, plan_placed, prepare
from sdn.plan.ids import namespace_of, port_name
from worlds_build import EGRESS, act, model, segment, tcp, tier, workload

STAGES = (
    "program", "read back", "carry", "cut", "carry the rest", "open", "plug in", "tell the others", "settle"
)  # fmt: skip
NET = Application(
    "a",
    (
        segment("lan", "10.1.1.0/24", "fd00:1::/64"),
        segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),
    ),
)
WORKLOADS = [
    workload("a/m", 1, "a/lan", ":80"),
    workload("a/near", 1, "a/lan", ":80", app="near"),
    workload("a/there", 2, "a/lan", ":80", app="there"),
    workload("a/r", 1, "a/pods", ":80"),
    workload("a/off", 3, "a/pods", ":80"),
]
SERVICES = [
    Service("a", app, "a", {"app": app}, (ServicePort(90, 80),), (f"10.96.0.{number}", f"fd00:10:96::{number}"))
    for number, app in enumerate(("near", "there"), 10)
]
LAB = model("refused", [NET], WORKLOADS, tier("application/t", act("deny", EGRESS, tcp(99))), *SERVICES)
BEFORE = prepare(LAB)
CALLED = ("10.96.0.10", "10.96.0.11", "fd00:10:96::10", "fd00:10:96::11")


def moved(key: str, host: str) -> Prepared:
    """The lab with one workload elsewhere."""
    placement = Placement({**BEFORE.placed.placement.hosts, key: host})
    return plan_placed(allocate(LAB, placement, BEFORE.placed))


def taken_apart(after: Prepared) -> Parts:
    found = parts(BEFORE.plan, after.plan)
    assert found is not None
    return found


def test_what_moves_is_cut_out_and_nothing_else() -> None:
    after = moved("a/m", "host-2")
    found = taken_apart(after)
    assert (found.source, found.target) == ("host-1", "host-2")
    assert [port.workload for port in found.ports] == ["a/m"]
    assert next(iter(found.cuts)) == "host-2" and set(found.cuts) <= {"host-1", "host-2", "host-3"}
    closed = fenced(after.plan["host-2"], found.ports)
    address = BEFORE.placed.endpoints["a/m"].addresses[0]
    assert address not in str((closed.ports, closed.firewall and closed.firewall.egress))
    assert closed.firewall and closed.firewall.profiles == after.plan["host-2"].firewall.profiles  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(LAB, workloads=LAB.workloads[1:]), id="one-leaves"),
        pytest.param(replace(LAB, policies=()), id="policy"),
        pytest.param(LAB, id="nothing"),
    ],
)
def test_what_is_more_than_a_move_is_not_made_alive(other: object) -> None:
    assert parts(BEFORE.plan, prepare(other, BEFORE.placed).plan) is None  # type: ignore[arg-type]


class Talk:
    """Connections from a/m through Services, and one from a/r to a/off, held open in this process."""

    def __init__(self, worker: NamespaceWorker) -> None:
        self.worker = worker
        for key in ("a/near", "a/there", "a/off"):
            self.serve(key)
        self.open = [(one, *self.call("a/m", (one, 90))) for one in CALLED]
        self.open += [(one, *self.call("a/r", (one, 80))) for one in BEFORE.placed.endpoints["a/off"].addresses]

    def serve(self, key: str) -> None:
        listening = self.worker.run(
            namespace_of(key),
            lambda: socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64),
        )
        self.servers = [*getattr(self, "servers", []), listening]

    def call(self, key: str, target: tuple[str, int]) -> tuple[socket.socket, socket.socket]:
        client = self.worker.run(namespace_of(key), lambda: socket.create_connection(target, timeout=5))
        for server in self.servers:
            server.settimeout(0.3)
            try:
                taken, peer = server.accept()
            except TimeoutError:
                continue
            assert peer[1] == client.getsockname()[1]
            taken.settimeout(5)
            return client, taken
        raise AssertionError(f"nobody took the call of {key} to {target}")

    def works(self) -> None:
        for name, client, server in self.open:
            for sender, receiver in ((client, server), (server, client)):
                sender.sendall(b"x")
                assert receiver.recv(9) == b"x", name


def raising(at: str) -> Say:
    def say(stage: str) -> None:
        if stage == at:
            raise KernelError(f"refused at {at}")

    return say


def connections(worker: NamespaceWorker, host: str) -> set[object]:
    owned = frozenset(
        (port.zone, a.partition("/")[0]) for s in BEFORE.plan.values() for port in s.ports for a in port.addresses
    )

    def read() -> set[object]:
        with Conntrack() as known:
            return {(one.zone, one.original, one.reply) for one in known.of(owned) if one.original.protocol == 6}

    return worker.run(host, read)


@pytest.mark.kernel
@in_lab
def test_a_refusal_at_any_stage_takes_all_back() -> None:
    driver = Driver()
    driver.build(BEFORE.plan)
    with NamespaceWorker() as worker:
        talk = Talk(worker)
        talk.works()
        known = {host: connections(worker, host) for host in ("host-1", "host-2", "host-3")}
        for key, target in (("a/m", "host-2"), ("a/r", "host-3")):
            after = moved(key, target)
            for stage in STAGES:
                with pytest.raises(RolledBackError, match=f"{key} could not be moved .refused at {stage}"):
                    migrate(taken_apart(after), BEFORE.plan, after.plan, driver, raising(stage))
                assert drift(BEFORE.plan) == [], (key, target, stage)
                assert {host: connections(worker, host) for host in known} == known, (key, target, stage)
                talk.works()
        after = moved("a/m", "host-2")
        done = migrate(taken_apart(after), BEFORE.plan, after.plan, driver)
        assert drift(after.plan) == [] and done.connections == 4
        assert [name for name, _ in done.stages] == [*STAGES, "clean up"]
        talk.works()


@pytest.mark.kernel
@in_lab
def test_who_cannot_go_back_stays_shut() -> None:
    driver = Driver()
    driver.build(BEFORE.plan)
    after = moved("a/m", "host-2")

    def lose_the_source(stage: str) -> None:
        if stage == "settle":
            delete(["host-1"])
            raise KernelError("no more host-1")

    with NamespaceWorker() as worker:
        with pytest.raises(KernelError, match=r"nor all of it be taken back .* stays shut") as raised:
            migrate(taken_apart(after), BEFORE.plan, after.plan, driver, lose_the_source)
        assert not isinstance(raised.value, RolledBackError)

        def call() -> None:
            address = BEFORE.placed.endpoints["a/there"].addresses[0]
            socket.create_connection((address, 80), timeout=0.5)

        with pytest.raises(OSError):
            worker.run(namespace_of("a/m"), call)
        assert worker.run("host-2", lambda: Netlink().exists(port_name("a/m")))
        assert drift(after.plan)


def broken_back(at: str, step: int, said: list[str]) -> Say:
    """Refused at a stage, and again, by no error of ours, at one of the steps back."""

    def say(stage: str) -> None:
        said.append(stage)
        if stage == at:
            raise OSError(errno.ENOBUFS, f"no memory at {at}")
        if stage == "take back" and said.count(stage) == step:
            raise OSError(errno.ENOBUFS, f"no memory for step {step}")

    return say


@pytest.mark.kernel
@in_lab
def test_whatever_fails_on_the_way_back_is_told_with_where_the_workload_is() -> None:
    """At each step in turn, until there are no more; the lab is built anew for each."""
    after = moved("a/m", "host-2")
    address = BEFORE.placed.endpoints["a/there"].addresses[0]
    shut: list[bool] = []
    step = 0
    while True:
        step += 1
        driver, said = Driver(), list[str]()
        driver.build(BEFORE.plan)
        with NamespaceWorker() as worker:
            with pytest.raises(KernelError) as raised:
                migrate(taken_apart(after), BEFORE.plan, after.plan, driver, broken_back("settle", step, said))
            text = str(raised.value)
            if isinstance(raised.value, RolledBackError):
                assert said.count("take back") == step - 1 and drift(BEFORE.plan) == []
                break
            assert "no memory at settle" in text and f"taken back ([Errno 105] no memory for step {step})" in text
            shut.append("; it stays shut, and" in text)
            assert shut[-1] or "; it runs where it was, and" in text
            # What was sent before the cable was noticed again is sent once more after a second.
            assert reaches(worker, address, 0.5 if shut[-1] else 5.0) is not shut[-1], text
            assert drift(BEFORE.plan) or not shut[-1], "what a workload has learnt, or a connection, is no drift"
        delete(names())
    assert shut == sorted(shut, reverse=True) and {*shut} == {True, False} and len(shut) >= 5


def reaches(worker: NamespaceWorker, address: str, seconds: float = 0.5) -> bool:
    """Whether a/m can open a connection to a/there in this time."""

    def call() -> bool:
        try:
            socket.create_connection((address, 80), timeout=seconds).close()
        except OSError:
            return False
        return True

    with worker.run(namespace_of("a/there"), lambda: socket.create_server((address, 80))):
        return worker.run(namespace_of("a/m"), call)


@pytest.mark.kernel
@in_lab
def test_a_host_that_is_half_changed_is_not_said_to_be_as_it_was() -> None:
    """An element is there already, with something else behind it, so what leads to the new rules is refused."""
    driver = Driver()
    driver.build(BEFORE.plan)
    after = moved("a/r", "host-2")
    found = taken_apart(after)
    changes = rule_changes(fenced(after.plan["host-2"], found.ports), after.plan["host-2"])
    marks = next(line for line in changes.switch if line.startswith("add element inet sdn marks"))
    taken = re.sub(r" : 0x\w+", " : 0x99", marks)
    with NamespaceWorker() as worker:
        with worker.run("host-2", Nft) as nft:
            nft.run(taken)
        strange = drift(BEFORE.plan)
        with pytest.raises(RolledBackError):
            migrate(found, BEFORE.plan, after.plan, driver)  # one transaction: nothing of it was made
        assert drift(BEFORE.plan) == strange
        with pytest.raises(KernelError, match=r"(?s)could not be moved .* `sdn status` says what is left") as raised:
            migrate(found, BEFORE.plan, after.plan, driver, limit=0)
        assert not isinstance(raised.value, RolledBackError)
        assert any(": jump p_" in line and "missing" in line for line in drift(BEFORE.plan)), drift(BEFORE.plan)
