"""The oracle: answer a flow straight from the policies as written, sharing no code with the compiler.

Slow and obvious on purpose. `plan.trace` and `probe` must agree with it; when they do not, suspect them first.
It knows Applications, labels and rules, and nothing of sets or chains; of a Host only who runs on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from sdn.model import (
    GATEWAY,
    HOST,
    NO_BACKEND,
    NO_PATH,
    OWN_ADDRESS,
    Action,
    Answer,
    Direction,
    Disposition,
    Endpoint,
    Flow,
    Model,
    Placed,
    Protocol,
    SegmentKind,
    Service,
    ServicePort,
    Verdict,
    Workload,
)
from sdn.policy.oracle_judge import Decision, Judge, Side
from sdn.policy.oracle_match import address, named_ports, network, service_selects

DISPOSITIONS = {
    Action.ALLOW: Disposition.ALLOW,
    Action.DENY: Disposition.DENY,
    Action.REJECT: Disposition.REJECT,
}


def evaluate(placed: Placed, flow: Flow) -> tuple[Answer, ...]:
    """One Answer for a flow to an address; for a flow to a Service one per Backend, sorted by (backend, port)."""
    return Oracle(placed).evaluate(flow)


class Oracle:
    """`evaluate` for many flows of one lab: it remembers who owns an address and which policies are about whom.

    A flow's `source` must have an Endpoint or be a Host, and its `destination` must be an address: KeyError and
    ValueError otherwise, for whoever asks has checked the user's words already.
    """

    def __init__(self, placed: Placed) -> None:
        model = placed.model
        self._endpoints = placed.endpoints
        self._workloads = {workload.key: workload for workload in model.workloads}
        self._visible = {application.name: _visible_from(application.name, model) for application in model.applications}
        self._owners = {(e.application, _spelt(text)): e for e in placed.endpoints.values() for text in e.addresses}
        self._services = {
            (service.application, _spelt(text), port.protocol, port.port): (service, port)
            for service in sorted(model.services, key=lambda service: service.key, reverse=True)
            for text in service.addresses
            for port in service.ports
        }
        self._applications = {application.name: application for application in model.applications}
        self._inhabited = {(e.application, e.segment) for e in placed.endpoints.values()}
        self._workload_addresses = {text for _, text in self._owners}
        self._joined = {name: _joined(name, self._visible) for name in self._visible}
        self._judge_hairpin = model.options.judge_hairpin
        self._hosts = {host.name for host in model.underlay.hosts}
        self.judge = Judge(model)

    def evaluate(self, flow: Flow) -> tuple[Answer, ...]:
        """The same as `evaluate(placed, flow)`."""
        if flow.source in self._hosts:
            return (self._from_host(flow),)
        source = self._endpoints[flow.source]
        if source.address(flow.family) is None:
            return (_nowhere(flow, Disposition.NO_ROUTE, NO_PATH),)
        if (found := self._service(source, flow)) is not None:
            return self._through_service(flow, *found)
        if (target := self._owner(source, flow)) is not None:
            return (self._to_workload(flow, target, flow.port),)
        if self._is_gateway(source, flow) and flow.protocol is Protocol.ICMP:
            return (_nowhere(flow, Disposition.ALLOW, GATEWAY),)
        return (Answer(self._to_nobody(source, flow), "", flow.port),)

    def _from_host(self, flow: Flow) -> Answer:
        """A Host reaches the workloads on itself, whatever policy says (kubelet's probes), and nothing else."""
        target = self._owners.get((flow.application, _spelt(flow.destination)))
        if target is None or target.host != flow.source:
            return _nowhere(flow, Disposition.NO_ROUTE, NO_PATH)
        return Answer(Verdict(Disposition.ALLOW, HOST), target.workload, flow.port)

    def _to_nobody(self, source: Endpoint, flow: Flow) -> Verdict:
        """No network leads there. Egress is judged all the same, for the packet leaves its workload before that shows.

        Except to the source's own neighbours: it asks for them by ARP or ND, and sends nothing where nobody answers.
        """
        if not self._is_gateway(source, flow) and not self._is_neighbour(source, flow):
            decision = self.judge.decide(self._egress_to_nobody(flow))
            if decision.action is not Action.ALLOW:
                return Verdict(DISPOSITIONS[decision.action], decision.origin)
        return Verdict(Disposition.NO_ROUTE, NO_PATH)

    def judge_egress(self, flow: Flow) -> Verdict:
        """What policy at the source alone says of a flow to an address that no path leads to."""
        return self._alone(self._egress_to_nobody(flow))

    def judge_ingress(self, source: str, destination: str, protocol: Protocol, port: int) -> Verdict:
        """What policy at the destination (a workload's key) alone says of a sender that is no workload, by its address.

        The destination must have an address of the same family: ValueError otherwise.
        """
        return self._alone(self.arrival(source, destination, protocol, port))

    def _alone(self, side: Side) -> Verdict:
        """One end without another; the answer counts, too, where what allows the packet does not remember it."""
        decision = self.judge.decide(side)
        if (stopped := self._stopped_reply(side, decision)) is not None:
            return Verdict(Disposition.DENY, stopped, decision.origin if _leaves(side) else "", reply=True)
        return Verdict(DISPOSITIONS[decision.action], decision.origin)

    def _stopped_reply(self, side: Side, decision: Decision) -> str | None:
        """The rule that stops the answer to what a stateless rule let pass at one end; None if nothing does."""
        if not decision.stateless:
            return None
        answer = self.judge.decide(side.reply)
        return None if answer.action is Action.ALLOW else answer.origin

    def arrival(self, source: str, destination: str, protocol: Protocol, port: int) -> Side:
        """A packet from an address that no workload has, as the destination's policy sees it; ValueError as above."""
        endpoint = self._endpoints[destination]
        own = endpoint.address(address(source).version)
        if own is None:
            raise ValueError(f"{destination} has no IPv{address(source).version} address")
        return Side(
            Direction.INGRESS,
            self._workloads[destination],
            own,
            None,
            source,
            protocol,
            port,
            is_workloads=_spelt(source) in self._workload_addresses,
        )

    def sides(self, flow: Flow, answer: Answer) -> tuple[Side, ...]:
        """Both ends of a flow as policy sees them for one of its answers: egress, and ingress if somebody is there.

        None where policy is not asked: gateways, neighbours that nobody is, and what a Host sends.
        """
        if flow.source in self._hosts:
            return ()
        source = self._endpoints[flow.source]
        if not answer.backend:
            unasked = source.address(flow.family) is None or self._is_gateway(source, flow)
            return () if unasked or self._is_neighbour(source, flow) else (self._egress_to_nobody(flow),)
        target = self._endpoints[answer.backend]
        return (
            self._side(Direction.EGRESS, flow, source, target, answer.port),
            self._side(Direction.INGRESS, flow, target, source, answer.port),
        )

    def replies(self, sides: tuple[Side, ...]) -> tuple[Side, ...]:
        """The answers that are judged if all of these ends let a packet pass, in the order in which they meet them."""
        decided = [self.judge.decide(side) for side in sides]
        if any(decision.action is not Action.ALLOW for decision in decided):
            return ()
        back = reversed([*zip(sides, decided, strict=True)])
        return tuple(side.reply for side, decision in back if decision.stateless)

    def _egress_to_nobody(self, flow: Flow) -> Side:
        subject = self._workloads[flow.source]
        wanted = _spelt(flow.destination)
        # Applications that connections join, also through others, share one set of addresses, so a peer is known there.
        joined = (self._owners.get((name, wanted)) for name in sorted(self._joined[subject.application]))
        peer = next((self._workloads[endpoint.workload] for endpoint in joined if endpoint is not None), None)
        return Side(
            Direction.EGRESS,
            subject,
            self._endpoints[flow.source].address(flow.family),
            peer,
            flow.destination,
            flow.protocol,
            flow.port,
            is_workloads=wanted in self._workload_addresses,
        )

    def _is_gateway(self, source: Endpoint, flow: Flow) -> bool:
        """Whether it is the first address of a subnet that the source has a path to and that somebody is in."""
        return any(
            address(flow.destination) == network(subnet).network_address + 1
            for name in self._visible[source.application]
            for segment in self._applications[name].segments
            if (name, segment.name) in self._inhabited
            for subnet in segment.subnets
            if network(subnet).version == flow.family
        )

    def _is_neighbour(self, source: Endpoint, flow: Flow) -> bool:
        """Whether the source would look for it on its own l2 segment."""
        return any(
            segment.kind is SegmentKind.L2 and address(flow.destination) in network(subnet)
            for segment in self._applications[source.application].segments
            if segment.name == source.segment
            for subnet in segment.subnets
            if network(subnet).version == flow.family
        )

    def _service(self, source: Endpoint, flow: Flow) -> tuple[Service, ServicePort] | None:
        """The Service port that this destination is, as a client of this Application sees it."""
        for application in self._visible[source.application]:
            wanted = (application, _spelt(flow.destination), flow.protocol, flow.port)
            if wanted in self._services:
                return self._services[wanted]
        return None

    def _owner(self, source: Endpoint, flow: Flow) -> Endpoint | None:
        """Whose address the destination is, in the source's own Application or one that it is connected to."""
        for application in self._visible[source.application]:
            if (application, _spelt(flow.destination)) in self._owners:
                return self._owners[application, _spelt(flow.destination)]
        return None

    def _through_service(self, flow: Flow, service: Service, port: ServicePort) -> tuple[Answer, ...]:
        answers = [self._to_workload(flow, *backend) for backend in self._backends(service, port, flow.family)]
        if not answers:
            return (_nowhere(flow, Disposition.NO_BACKEND, NO_BACKEND),)
        return tuple(sorted(answers, key=lambda answer: (answer.backend, answer.port)))

    def _backends(self, service: Service, port: ServicePort, family: int) -> Iterator[tuple[Endpoint, int]]:
        """Who stands behind a Service's port in one IP family, each with the number of its own port."""
        for key, endpoint in self._endpoints.items():
            number = _target_number(port, self._workloads[key])
            if (
                service_selects(service, self._workloads[key])
                and endpoint.address(family) is not None
                and number is not None
            ):
                yield endpoint, number

    def _to_workload(self, flow: Flow, target: Endpoint, port: int) -> Answer:
        """Egress at the source, then ingress at the destination; both must allow."""
        source = self._endpoints[flow.source]
        if source.workload == target.workload and not self._is_judged_hairpin(source, flow):
            return Answer(Verdict(Disposition.ALLOW, OWN_ADDRESS), target.workload, port)
        return Answer(self._there_and_back(flow, source, target, port), target.workload, port)

    def _there_and_back(self, flow: Flow, source: Endpoint, target: Endpoint, port: int) -> Verdict:
        """The answer meets the ends in the other order."""
        leaving = self._side(Direction.EGRESS, flow, source, target, port)
        arriving = self._side(Direction.INGRESS, flow, target, source, port)
        egress = self.judge.decide(leaving)
        if egress.action is not Action.ALLOW:
            return Verdict(DISPOSITIONS[egress.action], egress.origin)
        ingress = self.judge.decide(arriving)
        if ingress.action is Action.ALLOW:
            stopped = self._stopped_reply(arriving, ingress) or self._stopped_reply(leaving, egress)
            if stopped is not None:
                return Verdict(Disposition.DENY, stopped, egress.origin, reply=True)
        return Verdict(DISPOSITIONS[ingress.action], ingress.origin, egress.origin)

    def _is_judged_hairpin(self, source: Endpoint, flow: Flow) -> bool:
        """Whether a flow back to its own source left it at all, to a Service, and policy is asked about such ones."""
        own = {_spelt(text) for text in source.addresses}
        return self._judge_hairpin and _spelt(flow.destination) not in own

    def _side(self, direction: Direction, flow: Flow, subject: Endpoint, peer: Endpoint, port: int) -> Side:
        peer_address = peer.address(flow.family)
        assert peer_address is not None  # both ends were found by this family
        judged, other = self._workloads[subject.workload], self._workloads[peer.workload]
        own_address = subject.address(flow.family)
        return Side(direction, judged, own_address, other, peer_address, flow.protocol, port)


def _leaves(side: Side) -> bool:
    return side.direction is Direction.EGRESS


def _visible_from(application: str, model: Model) -> tuple[str, ...]:
    """The Application itself, and those that a connection joins to it, whichever of the two it is written at."""
    joined = {
        other.name
        for this in model.applications
        if this.name == application
        for other in model.applications
        if other.name in this.connects or application in other.connects
    }
    return (application, *sorted(joined - {application}))


def _target_number(port: ServicePort, workload: Workload) -> int | None:
    """The number of a Service's target port at one backend, None where the backend has no port of that name."""
    if isinstance(port.target, int):
        return port.target
    named = named_ports(workload, port.target, port.protocol)
    return named[0].number if named else None


def _joined(application: str, visible: dict[str, tuple[str, ...]]) -> set[str]:
    """All Applications that connections lead to, also through others."""
    found = {application}
    while more := {other for name in found for other in visible[name]} - found:
        found |= more
    return found


def _nowhere(flow: Flow, disposition: Disposition, rule: str) -> Answer:
    """An answer without a workload behind it."""
    return Answer(Verdict(disposition, rule), "", flow.port)


def _spelt(text: str) -> str:
    """The one spelling of an address, however it was written."""
    return str(address(text))
