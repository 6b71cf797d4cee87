"""The third answer: real packets through the real kernel, thousands at once, from one process.

It never reads silence as a denial by itself: a silent destination must have been reached by somebody who may, and if
nobody asked may, by itself over its own address. If it does not even answer itself, the question has no answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from ipaddress import ip_address, ip_network

from sdn.errors import ProbeError
from sdn.model import Answer, Ask, Flow, Observation, Placed, Protocol, Question, connected
from sdn.policy.collector import without_gc
from sdn.probe.asked import Alive, Asked
from sdn.probe.attempt import Attempt, Numbers
from sdn.probe.compare import together, virtual_of
from sdn.probe.connect import CONNECTIONS
from sdn.probe.flight import Flight
from sdn.probe.listeners import Listeners
from sdn.probe.nflog import LogReader
from sdn.probe.questions import listening
from sdn.probe.sender import Senders
from sdn.probe.sockets import raise_descriptor_limit

_SPARE = 512  # descriptors for everything else in this process
_LOG_RETRIES = 2
_NUMBERS = Numbers()  # of all engines of this process: firewalls remember what an earlier one asked


class Engine:
    """Listens and asks in every workload of a lab that is up. `netns_of` is given workload keys and names of Hosts.

    `dead` names, after `ask`, the listeners that did not answer themselves. Every call may come from any thread; one
    asks at a time.
    """

    def __init__(self, placed: Placed, netns_of: Callable[[str], str], hosts: Sequence[str]) -> None:
        self.dead: frozenset[Alive] = frozenset()
        self._placed = placed
        self._senders = Senders(placed)
        self._netns_of = netns_of
        self._hosts = hosts
        self._listens = listening(placed)
        self._listeners = Listeners()
        self._logs: list[LogReader] = []
        self._answers_sctp = self._refuses = False
        # Threads that visit namespaces must not be the main one, whose place all of /proc shows.
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe")

    def listen(self) -> None:
        """Open a listener for each declared port, and the log of every Host."""
        self._pool.submit(self._listen).result()

    def ask(
        self,
        questions: Sequence[Question],
        answers: Sequence[tuple[Answer, ...]] = (),
        deadline: float = 1.0,
        tries: int = 20,
    ) -> tuple[tuple[Observation, ...], ...]:
        """One tuple of observations per question, in order; an empty one where its listener is dead.

        `answers` are what `evaluate` says to each question: of a Service's Backends they tell whom to look for, and a
        Service is asked up to `tries` times per Backend until all were met. `deadline`: seconds from the last packet.
        """
        with without_gc():
            return self._pool.submit(self._ask, questions, answers, deadline, tries).result()

    def close(self) -> None:
        """Give every port and descriptor back."""
        self._pool.shutdown()
        self._listeners.close()
        for reader in self._logs:
            reader.close()

    def _listen(self) -> None:
        limit = raise_descriptor_limit()
        ports: dict[str, list[tuple[Protocol, int]]] = defaultdict(list)
        for workload, protocol, number in sorted(self._listens):
            ports[workload].append((protocol, number))
        needed = len(self._listens) + len(self._hosts) + _SPARE + 2 * CONNECTIONS
        if needed > limit:
            raise ProbeError(
                f"probing needs {needed} open files and this process may have {limit}; raise it with `ulimit -n`"
            )
        for workload in self._placed.endpoints:
            self._listeners.open(workload, self._netns_of(workload), ports[workload])
        if any(protocol is Protocol.SCTP for _, protocol, _ in self._listens):
            self._answer_sctp()
        self._listeners.start()
        self._logs.extend(LogReader(host, self._netns_of(host)) for host in self._hosts)

    def _refuse_everything(self) -> None:
        """Lift the limit on what workloads say by ICMP, three files each; TCP is refused without."""
        if self._refuses:
            return
        self._refuses = True
        for workload in self._placed.endpoints:
            self._listeners.refuse_everything(self._netns_of(workload))

    def _answer_sctp(self) -> None:
        """Play the SCTP stack of every workload: an asker's raw socket would keep the kernel from refusing others."""
        if self._answers_sctp:
            return
        self._answers_sctp = True
        numbers: dict[str, set[int]] = defaultdict(set)
        for workload, protocol, number in self._listens:
            if protocol is Protocol.SCTP:
                numbers[workload].add(number)
        for workload in self._placed.endpoints:
            self._listeners.open_sctp(workload, self._netns_of(workload), frozenset(numbers[workload]))

    def _ask(
        self, questions: Sequence[Question], answers: Sequence[tuple[Answer, ...]], deadline: float, tries: int
    ) -> tuple[tuple[Observation, ...], ...]:
        asked_of = {question.flow.protocol for question in questions}
        if asked_of - {Protocol.TCP}:
            self._refuse_everything()
        if Protocol.SCTP in asked_of:
            self._answer_sctp()
        askers = together(questions, answers or [()] * len(questions), self._listens)
        asked = [
            Asked(question, answers[index] if answers else (), self._listens, is_service, askers[virtual_of(question)])
            if (is_service := self._is_service(question))
            else Asked(question, answers[index] if answers else (), self._listens, is_service=False)
            for index, question in enumerate(questions)
        ]
        for wave in self._waves(asked):
            for reader in self._logs:  # what others' packets left there
                reader.read()
            flight = Flight(self._placed, self._netns_of, _NUMBERS, self._logs)
            try:
                self._fly(flight, wave, deadline, tries)
            finally:
                flight.close()
        self._control(asked, deadline)
        return tuple(asked_one.observations(self.dead) for asked_one in asked)

    def _waves(self, asked: Sequence[Asked]) -> Iterator[list[Asked]]:
        """By source, so many at a time as there are descriptors for."""
        by_source: dict[str, list[Asked]] = defaultdict(list)
        for one in asked:
            by_source[one.question.flow.source].append(one)
        room = raise_descriptor_limit() - self._listeners.count() - len(self._hosts) - _SPARE - 2 * CONNECTIONS
        wave: list[Asked] = []
        used = 0
        for several in by_source.values():
            flows = (one.question.flow for one in several)
            needed = len({(flow.protocol, self._senders.of(flow)) for flow in flows})
            if wave and used + needed > room:
                yield wave
                wave, used = [], 0
            wave += several
            used += needed
        if wave:
            yield wave

    def _fly(self, flight: Flight, wave: Sequence[Asked], deadline: float, tries: int) -> None:
        lost = sum(reader.lost for reader in self._logs)
        flight.run(self._first(wave), deadline)
        self._identify(flight, wave, deadline)
        while more := [attempt for one in wave for attempt in one.more(tries)]:
            flight.run(more, deadline)
        for _ in range(_LOG_RETRIES):
            if sum(reader.lost for reader in self._logs) == lost:
                break
            lost = sum(reader.lost for reader in self._logs)
            flight.run([attempt for one in wave for attempt in one.unlogged()], deadline)

    def _first(self, wave: Sequence[Asked]) -> list[Attempt]:
        foreign = self._listeners.foreign
        return [attempt for one in wave for attempt in one.first(self._is_patient, foreign)]

    def _identify(self, flight: Flight, wave: Sequence[Asked], deadline: float) -> None:
        """Connect to every TCP port that a SYN found open, to hear who is there."""
        flight.run([attempt for one in wave for attempt in one.identify(self._listeners.foreign)], deadline)
        for one in wave:
            one.identified()

    def _control(self, asked: Sequence[Asked], deadline: float) -> None:
        alive = {key for one in asked for key in one.alive()}
        silent = sorted({key for one in asked for key in one.silent()} - alive)
        controls = [
            Asked(Question(Flow(workload, address, protocol, port), workload, Ask.LISTENING), (), (), False)
            for workload, protocol, port, family in silent
            if workload in self._placed.endpoints
            and (address := self._placed.endpoints[workload].address(family)) is not None
        ]
        for wave in self._waves(controls):
            flight = Flight(self._placed, self._netns_of, _NUMBERS, ())
            try:
                flight.run(self._first(wave), deadline)
                self._identify(flight, wave, deadline)
            finally:
                flight.close()
        self.dead = frozenset(one.key() for one in controls if not one.answers_itself(self._listens))

    def _is_service(self, question: Question) -> bool:
        return question.flow.destination in self._service_addresses

    @cached_property
    def _service_addresses(self) -> frozenset[str]:
        return frozenset(address for service in self._placed.model.services for address in service.addresses)

    @cached_property
    def _near(self) -> dict[str, tuple[tuple[str, ...], frozenset[str]]]:
        """Application → the subnets, and the addresses that somebody has, of itself and those connected to it."""
        owned: dict[str, set[str]] = defaultdict(set)
        for endpoint in self._placed.endpoints.values():
            owned[endpoint.application].update(endpoint.addresses)
        subnets = {
            application.name: [subnet for segment in application.segments for subnet in segment.subnets]
            for application in self._placed.model.applications
        }
        return {
            name: (
                tuple(subnet for other in sorted(others) for subnet in subnets[other]),
                frozenset(address for other in others for address in owned[other]),
            )
            for name, others in connected(self._placed.model.applications).items()
        }

    def _is_patient(self, question: Question) -> bool:
        """Whether the network would look for the destination where nobody is, which takes it three seconds."""
        flow = question.flow
        endpoint = self._placed.endpoints.get(flow.source)
        if endpoint is None:
            return False  # a Host, which knows its neighbours
        subnets, owned = self._near[endpoint.application]
        if flow.destination in owned or flow.destination in self._service_addresses:
            return False
        address = ip_address(flow.destination)
        return any(address in ip_network(subnet) for subnet in subnets)
