"""Inside a lab: fires frames from many workloads at many others, until told of new ones or of none.

`python -m benchmarks.birth_fire SEED` reads one JSON object a line and answers each with how many frames it has sent.
"""

from __future__ import annotations

import json
import select
import socket
import sys
from contextlib import suppress
from random import Random
from typing import Any

from benchmarks.birth_frames import Who, frames, go, sender

TARGETS = 2
"""How many each workload fires at."""

_AT_ONCE = 200  # frames between two looks at what is said

Shot = tuple[socket.socket, bytes]


class Fire:
    """A socket in each workload that has ever fired."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._sockets: dict[str, socket.socket] = {}

    def aim(self, sources: list[Who], targets: list[Who]) -> list[Shot]:
        """Everybody at some, and some at everybody, in any order."""
        shots: list[Shot] = []
        for number, source in enumerate(sources):
            sock = self._socket(source["namespace"])
            for step in range(max(TARGETS, -(-len(targets) // len(sources)))):
                target = targets[(number * TARGETS + step) % len(targets)]
                shots += [(sock, frame) for frame in frames(source, target, self._chance.choice(sources))]
        self._chance.shuffle(shots)
        return shots

    def _socket(self, namespace: str) -> socket.socket:
        if namespace not in self._sockets:
            go(namespace)
            self._sockets[namespace] = sender()
        return self._sockets[namespace]


def shoot(shots: list[Shot], start: int) -> int:
    """Some of them, round and round; how many left."""
    sent = 0
    for number in range(start, start + _AT_ONCE):
        sock, frame = shots[number % len(shots)]
        with suppress(OSError):  # the queue is full, or the link is about to be made anew
            sent += bool(sock.send(frame))
    return sent


def main() -> None:
    """Until nobody says anything any more."""
    fire = Fire(int(sys.argv[1]))
    shots: list[Shot] = []
    sent = start = 0
    print(json.dumps({"sent": 0}), flush=True)
    while True:
        if not shots or select.select([sys.stdin], [], [], 0)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            said: dict[str, Any] = json.loads(line)
            shots = fire.aim(said["from"], said["at"]) if said else []
            print(json.dumps({"sent": sent}), flush=True)
            sent = start = 0
        if shots:
            sent += shoot(shots, start)
            start += _AT_ONCE


if __name__ == "__main__":
    main()
