"""What planning a change of places comes to: ordered moves and where all runs after them, or why not."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from sdn.model import Placement
from sdn.model.lifecycle import Move


class Proposal(Struct, frozen=True):
    """`moves` in an order that breaks no rule at any step, and the `placement` after all of them.

    A node VM has one Move; its Pods' Hosts follow it. `refused` holds reasons where the answer is no: nothing moves
    then. `notes` say what the moves cannot: what stays, what could not be restarted, and why.
    """

    moves: tuple[Move, ...]
    placement: Placement
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def refusal(placement: Placement, reasons: Iterable[str], notes: Iterable[str] = ()) -> Proposal:
    """The answer no: everything stays where it is."""
    return Proposal((), placement, tuple(reasons), tuple(notes))
