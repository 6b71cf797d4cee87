"""What shall happen to a lab, when, and what must hold afterwards: a sequence of events as a repeatable test."""

from __future__ import annotations

from msgspec import Struct

from sdn.model.lifecycle import Move, Operation

ANY = "any"
"""In place of a name: the scenario's seed chooses, among what there is at that moment."""


class Act(Struct, frozen=True):
    """One step, `at` milliseconds. First the operation, if there is one, then what must hold.

    `expect` are lines as in a lab's `expect:`; `test` asks everything and reads the kernel back. An operation that is
    `refused`, or goes back, is what the step wants then; otherwise it is a failure. `place` is file:line.
    """

    at: int
    operation: Operation | None = None
    expect: tuple[str, ...] = ()
    test: bool = False
    refused: bool = False
    place: str = ""


class Scenario(Struct, frozen=True):
    """Steps in the order of their times; `seed` chooses for every `any`."""

    seed: int = 0
    steps: tuple[Act, ...] = ()


class Happened(Struct, frozen=True, omit_defaults=True):
    """One line of the event log: nothing in it depends on how fast it went, so equal events are equal bytes.

    `event` is lab, operation, expect, test or end; `at` milliseconds of the scenario's clock; `step` counts from 1.
    """

    at: int
    step: int
    event: str
    ok: bool
    operation: Operation | None = None
    moves: tuple[Move, ...] = ()
    hosts: tuple[str, ...] = ()
    changes: dict[str, tuple[int, int, int]] = {}
    line: str = ""
    rules: tuple[str, ...] = ()
    questions: int = 0
    placement: dict[str, str] = {}
    seed: int | None = None
    said: tuple[str, ...] = ()  # refusals, notes, what is wrong
