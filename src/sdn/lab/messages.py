"""What a lab's holder and its clients say to each other: typed messages, one request, then progress, then one reply.

Each message is one frame on a stream socket: four bytes of length, then MessagePack. Nothing is ever unpickled, and
a frame that is not one of these messages ends the connection.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from sdn.errors import LabError
from sdn.model import Answer, Model, Observation, Placed, Question
from sdn.model.lifecycle import Moved, Operation, Outcome

MAX_FRAME = 1 << 30
GONE = "the lab ended before it answered; `sdn ls` shows what is left, `sdn up` builds it again"
_LENGTH = struct.Struct("!I")


class Build(Struct, frozen=True, tag="build"):
    """Build this lab. An ephemeral one ends with the connection that asked for it."""

    model: Model
    sources: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    ephemeral: bool = False


class Apply(Struct, frozen=True, tag="apply"):
    """Become this Model, without building anew what is in both; what runs stays where it runs as far as it fits.

    The Model is written already, for the holder reads only what is new in it (`lab/reading.py`).
    """

    model: dict[str, bytes]
    sources: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Operate(Struct, frozen=True, tag="operate"):
    """Have this happen to the lab; `watch` sends packets meanwhile and counts what is lost and what leaks."""

    operation: Operation
    watch: bool = False


class Describe(Struct, frozen=True, tag="describe"):
    """What is this lab, and is it still as planned? `check` reads the kernel back, which takes longer."""

    check: bool = False


class GetPlaced(Struct, frozen=True, tag="placed"):
    """The Model with its placement and addresses."""


class Ask(Struct, frozen=True, tag="ask"):
    """Send real packets. `answers` are what evaluate says to each question: whom to look for behind a Service."""

    questions: tuple[Question, ...]
    answers: tuple[tuple[Answer, ...], ...] = ()
    deadline: float = 1.0


class Down(Struct, frozen=True, tag="down"):
    """End the lab."""


Request = Build | Apply | Operate | Describe | GetPlaced | Ask | Down


class Progress(Struct, frozen=True, tag="progress"):
    """A stage that has begun; `seconds` is how long the one before took."""

    stage: str
    seconds: float = 0.0


class Noticed(Struct, frozen=True):
    """What the holder did by itself, or could not do; `at` is in seconds of the epoch."""

    at: float
    text: str


class Info(Struct, frozen=True, tag="info"):
    """One lab in a list. `state` is building, up or ending; `since` is in seconds of the epoch; `pid` as seen outside.

    `noticed` are the last things that nobody had asked for, such as Hosts that fell silent.
    `cleaned` is in how many seconds the last of what a change left behind was gone after it was enforced.
    """

    name: str
    pid: int
    since: float
    state: str
    sources: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    drift: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    stages: tuple[tuple[str, float], ...] = ()
    noticed: tuple[Noticed, ...] = ()
    cleaned: float = 0.0


class Applied(Struct, frozen=True, tag="applied"):
    """What has changed: `changes` by kind, as (added, changed, removed); what it took, and in how many seconds.

    `nodes` are those that were touched; `enforced` is until all of it held, as `lab.running.Done` says. `cut` counts
    the established connections that were ended because they are no longer allowed. `moved` are those that went to other
    places, in that order.
    """

    changes: dict[str, tuple[int, int, int]] = {}
    nodes: tuple[str, ...] = ()
    messages: int = 0  # of netlink
    commands: int = 0  # of nft
    planned: float = 0.0
    enforced: float = 0.0
    notes: tuple[str, ...] = ()
    cut: int = 0
    moved: tuple[Moved, ...] = ()


class Operated(Struct, frozen=True, tag="operated"):
    """What came of it."""

    outcome: Outcome


class PlacedReply(Struct, frozen=True, tag="placed-reply"):
    """Answer to GetPlaced."""

    placed: Placed


class Observations(Struct, frozen=True, tag="observations"):
    """One tuple per question, in order; an empty one where the listener does not even answer itself."""

    observations: tuple[tuple[Observation, ...], ...]


class Failed(Struct, frozen=True, tag="failed"):
    """The request could not be done; `kind` is the name of the error class, `bug` a traceback if it is ours."""

    kind: str
    message: str
    bug: str = ""


class Bye(Struct, frozen=True, tag="bye"):
    """The lab is ending."""


Reply = Progress | Info | Applied | Operated | PlacedReply | Observations | Failed | Bye

_requests = msgspec.msgpack.Decoder(Request)
_replies = msgspec.msgpack.Decoder(Reply)


def written(model: Model) -> dict[str, bytes]:
    """As it goes into an Apply: each field by itself, so that nobody looks through all of them to find one."""
    return {name: msgspec.msgpack.encode(getattr(model, name)) for name in Model.__struct_fields__}


def send(connection: socket.socket, message: Request | Reply) -> None:
    """Write one frame."""
    payload = msgspec.msgpack.encode(message)
    connection.sendall(_LENGTH.pack(len(payload)) + payload)


def receive_request(connection: socket.socket) -> Request | None:
    """The next request, None when the client has gone. ValueError for what is no message of ours."""
    frame = _frame(connection)
    return None if frame is None else _requests.decode(frame)


def receive_replies(connection: socket.socket) -> Iterator[Reply]:
    """Progress and, last, the reply. LabError when the holder went away first, or speaks another version's words."""
    while True:
        try:
            frame = _frame(connection)
            reply = None if frame is None else _replies.decode(frame)
        except ValueError:
            raise LabError(
                "this lab was started by another version of sdn; end it with `sdn down`, start it again"
            ) from None
        if reply is None:
            raise LabError(GONE)
        yield reply
        if not isinstance(reply, Progress):
            return


def _frame(connection: socket.socket) -> bytes | None:
    header = _exactly(connection, _LENGTH.size)
    if header is None:
        return None
    (length,) = _LENGTH.unpack(header)
    if length > MAX_FRAME:
        raise ValueError(f"a frame of {length} bytes")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    buffer = bytearray(count)
    view = memoryview(buffer)
    done = 0
    while done < count:
        try:
            got = connection.recv_into(view[done:])
        except ConnectionResetError:
            return None
        if not got:
            return None
        done += got
    return bytes(buffer)
