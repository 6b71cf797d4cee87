"""What the firewalls say about our packets: each deciding rule logs its origin to NFLOG, and this reads it.

One netlink socket for each Host's namespace. Overlapping addresses make the 5-tuple ambiguous, and a Service changes
the destination on its way, so a packet is known by (protocol, source address, source port or ICMP id), which the probe
never gives out twice at a time.
"""

from __future__ import annotations

import socket
from struct import Struct, pack

from sdn.errors import ProbeError
from sdn.kernel.namespaces import enter
from sdn.plan.state import LOG_GROUP
from sdn.probe.logged import Logged, LogParser

_NETFILTER = 12
_CONFIG = 0x401
_ERROR = 2
_REQUEST_ACK = 5
_BIND, _CMD, _MODE, _BUFFER, _TIMEOUT, _THRESHOLD = 1, 1, 2, 3, 4, 5
_COPY_PACKET = 2
_COPY_BYTES = 64  # an IPv6 header and the first 24 bytes above it
_ENOBUFS, _EBUSY = 105, 16
_SO_RCVBUFFORCE = 33

_header = Struct("=IHHII")
_attribute = Struct("=HH")


class LogReader:
    """Every rule decision on one Host from now on. `lost` counts the times when the kernel had to drop some."""

    def __init__(self, host: str, namespace: str) -> None:
        """Moves the calling thread into the Host's namespace. ProbeError where somebody else reads the group."""
        self.host = host
        self.lost = 0
        self._parser = LogParser()
        enter(namespace)
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETFILTER)
        self._grow(8 << 20)
        try:
            self._configure(_CMD, pack("=B", _BIND))
            self._configure(_MODE, pack("!IBB", _COPY_BYTES, _COPY_PACKET, 0))
            # Small enough that a few dozen buffers fit an ordinary user's socket; delivered within 10 ms.
            self._configure(_BUFFER, pack("!I", 16384))
            self._configure(_TIMEOUT, pack("!I", 1))
            self._configure(_THRESHOLD, pack("!I", 40))
        except OSError as error:
            self._socket.close()
            why = "another reader has the group" if error.errno == _EBUSY else str(error.strerror)
            raise ProbeError(f"cannot read the firewall's log (NFLOG group {LOG_GROUP}) on {host}: {why}") from error

    def _grow(self, size: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
        except OSError:  # only the machine's root may exceed net.core.rmem_max
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def _configure(self, kind: int, value: bytes) -> None:
        body = pack("!BBH", 0, 0, LOG_GROUP) + _attribute.pack(4 + len(value), kind) + value
        body += b"\0" * (-len(body) % 4)
        self._socket.sendto(_header.pack(16 + len(body), _CONFIG, _REQUEST_ACK, 0, 0) + body, (0, 0))
        # Packets may be logged before the answer comes; nothing is asked yet, so they are of no interest.
        while True:
            data = self._socket.recv(65536)
            _, answer, _, _, _ = _header.unpack_from(data)
            if answer == _ERROR:
                code = -int.from_bytes(data[16:20], "little", signed=True)
                if code:
                    raise OSError(code, "the kernel refused")
                return

    def fileno(self) -> int:
        """For epoll."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop reading; logging costs nothing from here on."""
        self._socket.close()

    def read(self) -> list[Logged]:
        """Everything that waits, oldest first."""
        found: list[Logged] = []
        while True:
            try:
                data = self._socket.recv(1 << 17)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != _ENOBUFS:
                    raise
                self.lost += 1
                continue
            self._parser.parse(data, found)
