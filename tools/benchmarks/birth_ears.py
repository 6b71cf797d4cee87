"""Inside a lab: counts what arrives at workloads from before they have a link.

`python -m benchmarks.birth_ears` reads one JSON object a line: `listen` to namespaces that need not exist yet, `tell`
what has come so far, `end` with that and forget them.
"""

from __future__ import annotations

import json
import select
import socket
import sys
from collections import Counter
from contextlib import suppress
from typing import Any

from benchmarks.birth_frames import counted, counter, go, kind_of

_POLL = 0.0005  # seconds between two looks whether somebody is there


class Ears:
    """`early` is who had no link yet when everything was listened to."""

    def __init__(self) -> None:
        self._missing: list[str] = []
        self._sockets: dict[str, dict[str, socket.socket]] = {}
        self._came: Counter[tuple[str, str]] = Counter()
        self._kinds: Counter[str] = Counter()
        self.early = 0

    def listen(self, namespaces: list[str]) -> None:
        """From now on, or as soon as they are there."""
        self._missing = namespaces
        self.look()

    @property
    def waiting(self) -> bool:
        """Whether somebody is not there yet."""
        return bool(self._missing)

    def look(self) -> None:
        """Open what can be opened by now."""
        for namespace in list(self._missing):
            try:
                go(namespace)
            except OSError:  # it has no name yet, or the name has no namespace yet
                continue
            self._sockets[namespace] = {kind: counter(kind) for kind in ("forbidden", "4", "6")}
            self._missing.remove(namespace)
            self.early += "eth0" not in {name for _, name in socket.if_nameindex()}

    def told(self) -> dict[str, Any]:
        """What has come to all of them; `hearing` is who got what is permitted over both families."""
        for namespace, sockets in self._sockets.items():
            for kind, sock in sockets.items():
                self._came[namespace, kind] += (number := counted(sock))
                if kind == "forbidden" and number:
                    self._name(sock, number)
        hearing = sum(1 for one in self._sockets if self._came[one, "4"] and self._came[one, "6"])
        permitted = sum(number for (_, kind), number in self._came.items() if kind != "forbidden")
        return {
            "missing": len(self._missing),
            "hearing": hearing,
            "early": self.early,
            "permitted": permitted,
            "forbidden": dict(self._kinds),
        }

    def _name(self, sock: socket.socket, number: int) -> None:
        """What they are, as far as the socket holds them."""
        with suppress(BlockingIOError):
            while number:
                self._kinds[kind_of(sock.recv(2048))] += 1
                number -= 1
        self._kinds["unknown"] += number

    def close(self) -> None:
        """Nobody is listened to any more."""
        for sockets in self._sockets.values():
            for sock in sockets.values():
                sock.close()


def main() -> None:
    """Until nobody says anything any more."""
    ears = Ears()
    print(json.dumps({}), flush=True)
    while True:
        if select.select([sys.stdin], [], [], _POLL if ears.waiting else None)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            said: dict[str, Any] = json.loads(line)
            if "listen" in said:
                ears.listen(said["listen"])
            print(json.dumps(ears.told()), flush=True)
            if "end" in said:
                ears.close()
                ears = Ears()
        ears.look()


if __name__ == "__main__":
    main()
