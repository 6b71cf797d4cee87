"""One question on its way through the engine: the packets sent for it so far, and what they showed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from math import ceil, log

from sdn.model import HOST, Answer, Disposition, Observation, Outcome, Protocol, Question
from sdn.probe.attempt import Attempt
from sdn.probe.compare import MANY, responders
from sdn.probe.questions import Listener

Alive = tuple[str, Protocol, int, int]
"""(workload, protocol, port, IP family) that answered."""


class Asked:
    """`answers` are evaluate's: whom to look for behind a Service, and whom to suspect of being dead."""

    def __init__(
        self,
        question: Question,
        answers: tuple[Answer, ...],
        listens: Collection[Listener],
        is_service: bool,
        askers: int = 1,
    ) -> None:
        self.question = question
        self._answers = answers
        self._listens = listens
        self._is_service = is_service
        self._wanted = responders(question, answers, listens) if is_service else frozenset()
        self._share = _share(len(self._wanted), askers) if len(self._wanted) > MANY else 0
        self._hopeful, self._told = _expected(answers)
        self._attempts: list[Attempt] = []
        self._whole: Attempt | None = None

    def _attempt(self, connects: bool = False, patient: bool = False) -> Attempt:
        question = self.question
        return Attempt(question.flow, question.target, connects=connects, patient=patient, hopeful=self._told)

    def _several(self, count: int) -> list[Attempt]:
        made = [self._attempt(self.question.flow.protocol is Protocol.TCP) for _ in range(count)]
        self._attempts += made
        return made

    def first(self, is_patient: Callable[[Question], bool], foreign: Collection[Listener]) -> list[Attempt]:
        """A Service is asked some times, and as a whole connection: only that can tell which Backend it met.

        So is a port that should be open, or of which nobody says that it should not; a SYN alone is for the many that
        should not.
        """
        if self._is_service:
            return self._several(self._round())
        listener = self.question.target, self.question.flow.protocol, self.question.flow.port
        if self._hopeful is not False and listener in self._listens and listener not in foreign:
            return self._several(1)
        self._attempts.append(self._attempt(patient=is_patient(self.question)))
        return self._attempts[-1:]

    def more(self, tries: int) -> list[Attempt]:
        """As long as a Backend that may be reached was not, and not for ever."""
        if self._share:
            return []
        missing = self._wanted - {(attempt.responder, attempt.port) for attempt in self._attempts}
        if not missing or len(self._attempts) >= tries * max(1, len(self._answers)):
            return []
        if self._hopeful and any(attempt.outcome is Outcome.TIMEOUT for attempt in self._attempts):
            return []  # that silence is certain, and wrong already
        return self._several(self._round())

    def _round(self) -> int:
        """How many tries at a time: where some Backends stay silent, a round takes a second, and one should do."""
        if self._share:
            return self._share
        silent = any(not answer.verdict.allowed for answer in self._answers)
        return max(2, 6 * len(self._answers) if silent and self._wanted else 2 * len(self._wanted))

    def identify(self, foreign: Collection[Listener]) -> list[Attempt]:
        """The connection that asks for a name, where a SYN found an open port.

        A workload's own process on the port (`foreign`) gives none, and is taken for who it should be.
        """
        first, flow, target = self._attempts[0], self.question.flow, self.question.target
        if self._is_service or first.outcome is not Outcome.CONNECTED or first.responder:
            return []
        if (target, flow.protocol, flow.port) in foreign:
            first.responder, first.port = target, flow.port
        elif flow.protocol is Protocol.TCP:
            self._whole = self._attempt(connects=True)
            self._whole.hopeful = True
            return [self._whole]
        return []

    def identified(self) -> None:
        """Take over the name."""
        if self._whole is not None:
            self._attempts[0].responder, self._attempts[0].port = self._whole.responder, self._whole.port

    def unlogged(self) -> list[Attempt]:
        """A direct question again, if it has no rules to show and a log was lost; their rules count for both."""
        if self._is_service:
            attempts = [attempt for attempt in self._attempts if _is_logged(attempt)]
            missing = len(self._attempts) - len(attempts)
            self._attempts = attempts
            return self._several(missing)
        first = self._attempts[0]
        if _is_logged(first):
            return []
        again = self._attempt()
        again.logs, again.answer_logs = first.logs, first.answer_logs
        return [again]

    def key(self) -> Alive:
        """What the question is about, as a listener."""
        flow = self.question.flow
        return self.question.target, flow.protocol, flow.port, flow.family

    def alive(self) -> Iterator[Alive]:
        """Whatever answered, as itself."""
        flow = self.question.flow
        for attempt in self._attempts:
            if attempt.outcome is Outcome.CONNECTED:
                yield attempt.responder, flow.protocol, attempt.port, flow.family
            elif attempt.outcome is Outcome.REFUSED and not self._is_service:
                yield self.key()

    def silent(self) -> Iterator[Alive]:
        """Whoever should have answered and did not; of a Service, all who may have been chosen."""
        if all(attempt.outcome is not Outcome.TIMEOUT for attempt in self._attempts):
            return
        flow = self.question.flow
        if not self._is_service:
            yield self.key()
        for answer in self._answers if self._is_service else ():
            if answer.backend:
                yield answer.backend, flow.protocol, answer.port, flow.family

    def answers_itself(self, listens: Collection[Listener]) -> bool:
        """For a question from a workload to itself: a declared port connects, any other refuses."""
        attempt, flow = self._attempts[0], self.question.flow
        if flow.protocol is Protocol.ICMP:
            return attempt.outcome is Outcome.CONNECTED
        if (flow.source, flow.protocol, flow.port) in listens:
            return attempt.outcome is Outcome.CONNECTED and attempt.responder == flow.source
        return attempt.outcome in (Outcome.REFUSED, Outcome.CONNECTED)

    def observations(self, dead: Collection[Alive]) -> tuple[Observation, ...]:
        """What was seen; nothing, where silence proves nothing."""
        if dead and any(key in dead for key in self.silent()):
            return ()
        return tuple(self._observation(attempt) for attempt in self._attempts)

    def _observation(self, attempt: Attempt) -> Observation:
        question, outcome = self.question, attempt.outcome or Outcome.TIMEOUT
        answered = attempt.responder and not self._is_service and question.target
        if outcome is Outcome.CONNECTED and answered and attempt.responder != question.target:
            outcome = Outcome.WRONG_BACKEND
        return Observation(question.flow, outcome, attempt.responder, attempt.port, _rules(attempt, self._is_service))


def _expected(answers: tuple[Answer, ...]) -> tuple[bool | None, bool | None]:
    """Whether all may reach somebody, and whether none is met by silence; None where nobody knows.

    Whoever is refused, rejected or has no route is told so; the kernel may lose such an error as any packet.
    """
    if not answers:
        return None, None
    if len(answers) == 1:  # all but Services
        disposition = answers[0].verdict.disposition
        return disposition is Disposition.ALLOW, disposition is not Disposition.DENY
    told = all(answer.verdict.disposition is not Disposition.DENY for answer in answers)
    return all(answer.verdict.allowed for answer in answers), told


def _share(backends: int, askers: int) -> int:
    """One client's part of the tries after which, but for one chance in a million, somebody met every Backend."""
    return max(2, ceil(backends * (log(backends) + 14) / askers))


def _is_logged(attempt: Attempt) -> bool:
    """Whether all the rules that must have decided were heard of; what a Host sends is decided by one alone."""
    if any(origin == HOST for _, origin in attempt.logs):
        return True
    if attempt.outcome in (Outcome.CONNECTED, Outcome.REFUSED):
        return len(attempt.sides()) > 1
    return bool(attempt.logs) or attempt.outcome is Outcome.UNREACHABLE


def _rules(attempt: Attempt, is_service: bool) -> tuple[str, ...]:
    """The origins that decided: egress, then ingress, then what is neither, and what decided about the answer.

    A packet to a Service that is sent again may be led to another Backend. What answered is then explained by the last
    rule of each direction (a connection that is known already is not logged again), and silence by the last send.
    """
    logs, answers = attempt.logs, attempt.answer_logs
    if is_service and attempt.outcome in (Outcome.CONNECTED, Outcome.REFUSED):
        logs = list({origin.partition(" ")[0]: (sent, origin) for sent, origin in logs}.values())
    elif is_service and logs:
        last = logs[-1][0]
        logs, answers = ([(sent, origin) for sent, origin in found if sent == last] for found in (logs, answers))
    return _in_order(tuple([origin for _, origin in logs]), tuple([origin for _, origin in answers]))


@lru_cache(maxsize=1 << 12)
def _in_order(there: tuple[str, ...], back: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*sorted(there, key=_rank), *back)))


def _rank(origin: str) -> int:
    return ("egress", "ingress").index(side) if (side := origin.partition(" ")[0]) in ("egress", "ingress") else 2
