"""What a receiver's rules forbid, and then the sender's, never arrives in between, whichever Host changes first."""

from __future__ import annotations

import socket
import threading
from functools import partial

import pytest
from inside import in_lab
from msgspec.structs import replace

from sdn.kernel.apply import _Work, apply
from sdn.kernel.apply_rules import LIMIT, RuleChanges
from sdn.kernel.driver import Driver
from sdn.kernel.namespaces import NamespaceWorker
from sdn.kernel.readback import drift
from sdn.model import Application, LabelSelector, Model, PortRange, Protocol, Selector
from sdn.plan.desired import prepare
from sdn.plan.ids import namespace_of
from worlds_build import EGRESS, INGRESS, act, model, segment, tier, workload

PORT = 4009
UDP = PortRange(Protocol.UDP, PORT, PORT)
LAN = Application("a", (segment("lan", "10.1.1.0/24", "fd00:1::/64"),))


def lab_of(**roles: str) -> Model:
    known = {"x": "none", "z": "none", "red": "red", "blue": "blue", **roles}
    hosts = {"x": 1, "z": 2, "red": 3, "blue": 3}
    return model("closed", [LAN], [workload(f"a/{n}", hosts[n], "a/lan", role=role) for n, role in known.items()])


LAB = lab_of()
OPEN = prepare(LAB)
RECEIVED, SENT = (
    prepare(replace(LAB, policies=policies), OPEN.placed)
    for policies in (
        (tier("application/r", act("deny", INGRESS, Selector(name="x"), UDP)),),
        (tier("application/s", act("deny", EGRESS, UDP), to=[Selector(name="x")]),),
    )
)


def role(name: str) -> Selector:
    return Selector(labels=LabelSelector((("role", name),)))


OUT_TO_RED, IN_FROM_BLUE = (
    tier("application/s", act("deny", EGRESS, role("red"), UDP)),
    tier("application/r", act("deny", INGRESS, role("blue"), UDP)),
)
TO_RED, FROM_BLUE = (
    prepare(replace(lab, policies=(IN_FROM_BLUE, OUT_TO_RED)), OPEN.placed)
    for lab in (lab_of(z="red"), lab_of(x="blue"))
)
"""Two have other labels, so on both sides groups alone change."""


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind(("::", PORT))
    return sock


class Between:
    """Sends after each thing that is done to a Host, before any other Host has anything done."""

    def __init__(self, worker: NamespaceWorker) -> None:
        self.sender, self.receiver = (worker.run(namespace_of(key), bound) for key in ("a/x", "a/z"))
        four, six = OPEN.placed.endpoints["a/z"].addresses
        self._targets = (f"::ffff:{four}", PORT), (six, PORT)
        self._one = threading.Lock()
        self.asked = 0
        judge = _Work._judge_one  # between two Hosts nothing is told that others could hear

        def judged(work: _Work, name: str, changes: RuleChanges) -> None:
            with self._one:
                judge(work, name, changes)
                self.asked += 1
                assert not self.heard(), (name, changes.commands)

        setattr(_Work, "_judge_one", judged)  # noqa: B010

    def heard(self) -> bool:
        for target in self._targets:
            self.sender.sendto(b"x", target)
        self.receiver.settimeout(0.1)
        try:
            return bool(self.receiver.recv(9))
        except TimeoutError:
            return False


@pytest.mark.kernel
@in_lab
def test_either_forbids_and_nothing_arrives_in_between() -> None:
    driver = Driver()
    driver.build(OPEN.plan)
    with NamespaceWorker() as worker:
        become = partial(apply, driver=driver)
        become(OPEN.plan, RECEIVED.plan)
        between = Between(worker)
        for before, after, limit in ((RECEIVED, SENT, LIMIT), (SENT, RECEIVED, LIMIT), (RECEIVED, SENT, 500)):
            become(before.plan, after.plan, limit=limit)
            assert drift(after.plan) == []
        assert between.asked >= 4
        become(SENT.plan, TO_RED.plan)
        asked = between.asked
        for before, after, limit in ((TO_RED, FROM_BLUE, LIMIT), (FROM_BLUE, TO_RED, LIMIT), (TO_RED, FROM_BLUE, 100)):
            become(before.plan, after.plan, limit=limit)
            assert drift(after.plan) == []
        assert between.asked - asked >= 3 * len(("host-1", "host-2", "round before", "round after"))
        with pytest.raises(AssertionError):
            become(FROM_BLUE.plan, OPEN.plan)
