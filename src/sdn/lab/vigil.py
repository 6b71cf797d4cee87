"""Heartbeats for as long as a lab asks for them: whoever is silent is told of, and the lab's holder deals with it.

One thread of the holder. It keeps its sockets open between two rounds, and closes them while somebody else sends
heartbeats, or changes cables: what it knew of the Hosts it still knows afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from msgspec import Struct

from sdn.model import Heartbeat
from sdn.probe.pulse import Pulse
from sdn.scheduler.heartbeat import Patience

Silent = frozenset[str]

SUSPECT = 2
"""Missing heartbeats; nothing is done about a suspicion."""


class Watched(Struct, frozen=True):
    """Whom to watch: the Hosts' loopbacks and racks, as `Pulse` wants them, and how closely."""

    loopbacks: Mapping[str, str]
    racks: Mapping[str, str]
    heartbeat: Heartbeat

    def pulse(self) -> Pulse:
        """Everybody counts as heard now."""
        patience = Patience(self.heartbeat.interval / 1000, SUSPECT, self.heartbeat.fail)
        return Pulse(self.loopbacks, self.racks, patience, careful=True)


class Vigil:
    """`noticed` is called with all who are silent, after every round in which there are any; `tell` with a sentence."""

    def __init__(self, noticed: Callable[[Silent], None], tell: Callable[[str], None]) -> None:
        self._noticed = noticed
        self._tell = tell
        self._gate = threading.Condition(threading.RLock())
        self._aside = 0
        self._watched: Watched | None = None
        self._pulse: Pulse | None = None
        self._open = False
        self._thread: threading.Thread | None = None
        self._alone = False  # whether it has been told that nobody hears anybody

    def watch(self, watched: Watched | None) -> None:
        """From now on these; None: nobody."""
        with self._gate:
            if watched == self._watched:
                return
            self._close()
            self._watched, self._pulse = watched, watched.pulse() if watched is not None else None
            self._alone = False
            self._gate.notify()
            if watched is not None and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="vigil", daemon=True)
                self._thread.start()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """No sockets, and no rounds, while the block lasts."""
        with self._gate:
            self._aside += 1
            self._close()
            self._gate.notify()
        try:
            yield
        finally:
            with self._gate:
                self._aside -= 1
                self._gate.notify()

    def _close(self) -> None:
        if self._pulse is not None and self._open:
            self._pulse.close()
        self._open = False

    def _run(self) -> None:
        while True:
            try:
                silent = self._round()
                if silent:
                    self._noticed(silent)
            except Exception as error:  # whoever counts on being watched has to hear of it
                self.watch(None)
                self._tell(f"nobody watches the hosts any more ({error}); `sdn apply` of the lab's file begins again")

    def _round(self) -> Silent:
        """Whom the best observer has not heard for too long; nobody where the round was cut short."""
        with self._gate:
            while self._pulse is None or self._aside:
                self._gate.wait()
            pulse = self._pulse
            if not self._open:
                pulse.open()
                self._open = True
            pulse.send()
            if self._gate.wait_for(lambda: not self._open or self._pulse is not pulse, pulse.patience.interval):
                return frozenset()
            pulse.listen()
            return self._believed(pulse.failed(), len(pulse.loopbacks))

    def _believed(self, silent: Silent, hosts: int) -> Silent:
        """Of two one may be silent; where all but the observer are, it is not they whom to doubt."""
        alone = hosts > 2 and len(silent) == hosts - 1
        if alone and not self._alone:
            self._tell(
                "no host hears any other: either the whole fabric is down, or this machine is too slow for the "
                "heartbeats; nothing is fenced, `sdn status` says whether links are down"
            )
        self._alone = alone
        return frozenset() if alone else silent
