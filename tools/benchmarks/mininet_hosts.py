"""Hosts on one Linux bridge in Mininet: run by Debian's Python, which is the one that has Mininet.

Prints JSON: seconds up and seconds down. Runs in namespaces of its own that its caller made.
"""

# mypy: disable-error-code="import-not-found, misc"
# Mininet belongs to another Python than the one that checks types here.

import json
import sys
import time

from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import Switch
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo


class Bridge(LinuxBridge):
    """Mininet's own needs brctl, which Debian's package does not bring; `ip` does the same."""

    @classmethod
    def setup(cls) -> None:
        """Nothing is needed beyond `ip`."""

    def start(self, _controllers: object) -> None:
        """A bridge with all interfaces in it."""
        self.cmd("ip link add", self, "type bridge")
        for interface in self.intfList():
            if self.name in interface.name:
                self.cmd("ip link set", interface, "master", self)
        self.cmd("ip link set", self, "up")

    def stop(self, deleteIntfs: bool = True) -> None:  # noqa: N803  Mininet's name
        """The bridge goes, then what every switch has."""
        self.cmd("ip link del", self)
        Switch.stop(self, deleteIntfs)


def main() -> None:
    """Up, one packet across to see that it is up, and down."""
    setLogLevel("error")
    start = time.monotonic()
    net = Mininet(SingleSwitchTopo(k=int(sys.argv[1])), switch=Bridge, controller=None)
    net.start()
    up = time.monotonic() - start
    lost = net.ping([net.hosts[0], net.hosts[-1]])
    start = time.monotonic()
    net.stop()
    print(json.dumps({"up": up, "down": time.monotonic() - start, "lost": lost}))


main()
