"""The route socket: sends batches of messages and reads the kernel's tables back.

A batch is a plain list of `Message`, made by `links`, `routing` and `qdisc` without touching anything. It goes out
in as few sends as the socket buffer allows, with one acknowledgement per send; failures come back by sequence number
with the kernel's own words.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from fcntl import ioctl
from struct import Struct
from types import TracebackType
from typing import Self

from msgspec import Struct as Value

from sdn.errors import KernelError
from sdn.kernel import dumps, links, routing
from sdn.kernel.messages import ABSENT, ACK, DUMP, NFTABLES, REQUEST, Message, attributes, text, u32
from sdn.kernel.refusal import refusal

_HEADER = Struct("=IHHII")
_ERRNO = Struct("=i")
_SOL_NETLINK, _ADD_MEMBERSHIP, _CAP_ACK, _EXT_ACK = 270, 1, 10, 11
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_ACK_TLVS, _DUMP_INTERRUPTED = 0x200, 0x10
_ERROR_TEXT = 1
_ROUTE_KIND = 7  # a byte of the message
_OPERATIONAL = b"\x06"  # IF_OPER_UP
_SIOCGIFINDEX, _IFREQ = 0x8933, Struct("=16si20x")
_SKIP_STATISTICS = u32(links.EXT_MASK, 1 << 3)

_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_BATCH = bytes([0, 0, 0, NFTABLES])

CHUNK = 120_000
"""Bytes of one send; the default socket buffer, which an ordinary user cannot raise, holds a little more."""

Failure = tuple[int, str]


class Batch(Value, frozen=True):
    """One transaction, ready to be sent to many Hosts; `last` is the number of the message that the kernel answers."""

    data: bytes
    last: int


def batch(messages: Sequence[Message]) -> Batch:
    """Numbered from 1, by each socket anew: all that it was answered before has been read. They fit one send."""
    parts: list[bytes] = []
    last = len(messages)
    for number, message in enumerate(messages, 1):
        flags = message.flags | ACK if number == last else message.flags
        parts += (_HEADER.pack(16 + len(message.body), message.type, flags, number, 0), message.body)
    return Batch(_framed(parts, 1, last), last)


def _framed(parts: Iterable[bytes], first: int, last: int) -> bytes:
    """As one transaction. What is wrong with itself is answered by the number of its first message."""
    begin = _HEADER.pack(20, _BATCH_BEGIN, REQUEST, first, 0)
    end = _HEADER.pack(20, _BATCH_END, REQUEST, last, 0)
    return b"".join((begin, _BATCH, *parts, end, _BATCH))


class Netlink:
    """A route socket of the namespace that its maker's thread was in; it stays there, whoever uses it from wherever.

    Not for use by two threads at once. Every method raises KernelError or one of its subclasses.
    """

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def send(self, messages: Sequence[Message]) -> None:
        """Do everything in `messages`, in order.

        The kernel goes on after a message that it refuses; the error raised is the first one's and counts the others.
        Chunks after the failing one are not sent.
        """
        for chunk, data in self._chunks(messages):
            self._socket.send(data)
            failures, done = self._replies()
            self._judge(chunk, failures, done)

    def _chunks(self, messages: Sequence[Message]) -> Iterator[tuple[dict[int, Message], bytes]]:
        pack = _HEADER.pack
        sequence, size = self._sequence, 0
        parts: list[bytes] = []
        chunk: dict[int, Message] = {}
        last = len(messages) - 1
        for position, message in enumerate(messages):
            body = message.body
            sequence += 1
            size += 16 + len(body)
            full = position == last or size + 16 + len(messages[position + 1].body) > CHUNK
            flags = message.flags | ACK if full else message.flags
            parts.append(pack(16 + len(body), message.type, flags, sequence, 0))
            parts.append(body)
            chunk[sequence] = message
            if full:
                self._sequence = sequence
                yield chunk, b"".join(parts)
                parts, chunk, size = [], {}, 0

    def transact(self, messages: Sequence[Message]) -> None:
        """Do everything in `messages` on a socket of netfilter, in as few transactions as the socket buffer allows.

        The kernel does all of a transaction or nothing of it; those before one that fails stay.
        """
        for chunk, data in self._chunks(messages):
            self._socket.send(_framed((data,), min(chunk), self._sequence))
            failures, done = self._replies()
            self._judge(chunk, failures, done)

    def commit(self, transaction: Batch) -> bool:
        """Whether the kernel took all of it; else it took nothing, and does not say here why.

        Whatever is wrong is answered before the last message is, and that is accepted in any case.
        """
        self._socket.send(transaction.data)
        first = self._answer()
        if not first:
            return False
        _, kind, _, number, _ = _HEADER.unpack_from(first)
        if kind == _NLMSG_ERROR and number == transaction.last and _ERRNO.unpack_from(first, _HEADER.size) == (0,):
            return True
        while self._answer():
            continue
        return False

    def _answer(self) -> bytes:
        """What the kernel has answered and nobody has read; nothing where there is no more."""
        while True:
            try:
                return self._socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return b""
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise refusal(error.errno or 0, "read the kernel's answer") from None
                # Too many answers for the buffer: what is left of them follows.

    def _replies(self) -> tuple[dict[int, Failure], bool]:
        """Failures by sequence number, and whether the last message was answered.

        The kernel answers before `send` returns, so nothing is ever waited for.
        """
        failures: dict[int, Failure] = {}
        done = False
        while not done:
            data = self._answer()
            if not data:
                break
            for kind, flags, sequence, payload in _split(data):
                if kind == _NLMSG_ERROR:
                    failure = _failure(flags, payload)
                    if failure:
                        failures[sequence] = failure
                    done = sequence == self._sequence
        return failures, done

    def _judge(self, chunk: dict[int, Message], failures: dict[int, Failure], done: bool) -> None:
        real = {number: (chunk[number], *why) for number, why in failures.items() if number in chunk}
        real = {number: why for number, why in real.items() if why[1] not in why[0].tolerate}
        if real:
            message, code, words = real[min(real)]
            others = f" (and {len(real) - 1} more of {len(chunk)} in this batch)" if len(real) > 1 else ""
            raise refusal(code, message.what + others, words)
        if not done and not failures:
            raise KernelError(f"cannot {chunk[max(chunk)].what}: the kernel did not answer; try again")

    def one(self, kind: int, body: bytes, what: str, absent: Sequence[int] = ABSENT) -> memoryview | None:
        """What the kernel says of one object, None if there is no such thing."""
        self._sequence += 1
        self._socket.send(_HEADER.pack(16 + len(body), kind, REQUEST, self._sequence, 0) + body)
        while True:
            for kind_, flags, sequence, payload in _split(self._socket.recv(65536)):
                if sequence != self._sequence:
                    continue
                if kind_ != _NLMSG_ERROR:
                    return payload
                code, *words = _reason(flags, payload, what)
                if code in absent:
                    return None
                raise refusal(code, *words)

    def dump(self, kind: int, body: bytes, what: str) -> list[memoryview]:
        """What the kernel lists for a request; once more where the list changed meanwhile."""
        for _ in range(5):
            found, whole = self._dump_once(kind, body, what)
            if whole:
                return found
        raise KernelError(f"cannot {what}: the table changed during each of 5 readings; try again when it is quieter")

    def _dump_once(self, kind: int, body: bytes, what: str) -> tuple[list[memoryview], bool]:
        self._sequence += 1
        self._socket.send(_HEADER.pack(16 + len(body), kind, REQUEST | DUMP, self._sequence, 0) + body)
        found: list[memoryview] = []
        whole = True
        while True:
            for kind_, flags, sequence, payload in _split(self._socket.recv(131072)):
                if sequence != self._sequence:
                    continue
                whole = whole and not flags & _DUMP_INTERRUPTED
                if kind_ == _NLMSG_DONE:
                    return found, whole
                if kind_ == _NLMSG_ERROR:
                    raise refusal(*_reason(flags, payload, what))
                found.append(payload)

    def links(self) -> list[dumps.Link]:
        """All links of the namespace."""
        body = bytes(16) + _SKIP_STATISTICS
        return [dumps.link(data) for data in self.dump(links.GETLINK, body, "list links")]

    def running(self) -> frozenset[str]:
        """The names of links that carry packets by now: a carrier alone is not enough, it has to be noticed.

        The flag IFF_RUNNING is no substitute, since it is also set while nothing has been noticed at all.
        """
        body = bytes(16) + _SKIP_STATISTICS
        found = (attributes(data[16:]) for data in self.dump(links.GETLINK, body, "list links"))
        names = (bytes(one[links.IFNAME]) for one in found if bytes(one[links.OPERSTATE]) == _OPERATIONAL)
        return frozenset(name.rstrip(b"\0").decode() for name in names)

    def runs(self, name: str) -> bool:
        """Whether one link carries packets by now, as `running` says of all."""
        data = self.one(links.GETLINK, bytes(16) + text(links.IFNAME, name) + _SKIP_STATISTICS, f"look at link {name}")
        return data is not None and bytes(attributes(data[16:])[links.OPERSTATE]) == _OPERATIONAL

    def is_own(self, address: str) -> bool:
        """Whether packets to this IPv6 address end in this namespace by now."""
        found = self.one(*routing.lookup(address), f"look up {address}", (*ABSENT, errno.ENETUNREACH))
        return found is not None and found[_ROUTE_KIND] == routing.ROUTE_KINDS["local"]

    def exists(self, name: str) -> bool:
        """Whether there is a link of this name."""
        body = bytes(16) + text(links.IFNAME, name) + _SKIP_STATISTICS
        return self.one(links.GETLINK, body, f"look for link {name}") is not None

    def index(self, name: str) -> int:
        """A link's index; NotFoundError if there is none of this name. A tenth of the work of asking by a message."""
        try:
            return int(_IFREQ.unpack(ioctl(self._socket, _SIOCGIFINDEX, _IFREQ.pack(name.encode(), 0)))[1])
        except OSError as error:
            raise refusal(error.errno or errno.ENODEV, f"find link {name}", os.strerror(errno.ENODEV)) from None

    def indexes(self) -> dict[str, int]:
        """Link name → index."""
        return {link.name: link.index for link in self.links()}

    def addresses(self) -> list[dumps.Address]:
        """All addresses of both families."""
        return [dumps.address(data) for data in self.dump(routing.GETADDR, bytes(8), "list addresses")]

    def routes(self) -> list[dumps.Route]:
        """All routes of both families and all tables."""
        return [dumps.route(data) for data in self.dump(routing.GETROUTE, bytes(12), "list routes")]

    def rules(self) -> list[dumps.Rule]:
        """All policy rules of both families."""
        found = self.dump(routing.GETRULE, bytes(12), "list rules")
        return [dumps.rule(data) for data in found if data[0] in (socket.AF_INET, socket.AF_INET6)]

    def neighbours(self) -> list[dumps.Neighbour]:
        """All neighbours of both families, permanent and learnt."""
        return [dumps.neighbour(data) for data in self.dump(routing.GETNEIGH, bytes(12), "list neighbours")]

    def fdb(self) -> list[dumps.FdbEntry]:
        """All forwarding entries of bridges and tunnel ends."""
        body = bytes([links.AF_BRIDGE]) + bytes(11)
        return [dumps.fdb(data) for data in self.dump(routing.GETNEIGH, body, "list forwarding entries")]


def _split(data: bytes) -> Iterable[tuple[int, int, int, memoryview]]:
    """Type, flags, sequence number and payload of every message in one datagram."""
    view = memoryview(data)
    at = 0
    while at + 16 <= len(data):
        size, kind, flags, sequence, _ = _HEADER.unpack_from(view, at)
        if size < 16:
            return
        yield kind, flags, sequence, view[at + 16 : at + size]
        at += size + 3 & ~3


def events(protocol: int, groups: Iterable[int]) -> socket.socket:
    """A socket on which the kernel tells what happens from now on in the namespace of the calling thread."""
    listening = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    listening.bind((0, 0))  # without an address of its own a socket counts as the kernel's, which tells itself nothing
    for group in groups:
        listening.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
    return listening


def split(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Type and payload of every message in one datagram of events."""
    return ((kind, payload) for kind, _, _, payload in _split(data))


def _failure(flags: int, payload: memoryview) -> Failure | None:
    (code,) = _ERRNO.unpack_from(payload)
    if not code:
        return None
    words = ""
    if flags & _ACK_TLVS:
        found = attributes(payload[20:]).get(_ERROR_TEXT)
        words = bytes(found).rstrip(b"\0").decode(errors="replace") if found is not None else ""
    return -code, words


def _reason(flags: int, payload: memoryview, what: str) -> tuple[int, str, str]:
    code, words = _failure(flags, payload) or (0, "")
    return code, what, words


def link_index(name: str) -> int:
    """A link's index in the namespace of the calling thread; NotFoundError if there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise refusal(error.errno or errno.ENODEV, f"find link {name}", os.strerror(errno.ENODEV)) from None
