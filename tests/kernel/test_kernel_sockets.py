"""Sockets that stay open lead where their node is, hold nothing that goes, and are no more than was said."""

from __future__ import annotations

from pathlib import Path

import pytest
from inside import in_lab, namespaces

from sdn.errors import NotFoundError
from sdn.kernel import links
from sdn.kernel.namespaces import create, delete
from sdn.kernel.sockets import Sockets


def held() -> int:
    """How many sockets this process has open."""
    return sum(path.is_symlink() and "socket:" in str(path.readlink()) for path in Path("/proc/self/fd").iterdir())


@pytest.mark.kernel
@in_lab
def test_a_socket_stays_with_its_node_and_goes_with_it() -> None:
    with namespaces("one", "two") as worker:
        sockets = Sockets()

        def look() -> None:
            for node in ("one", "two"):
                with sockets.route(node) as netlink:
                    netlink.send([links.bridge(links.Device(f"br-{node}"))])
            for node, other in (("one", "two"), ("two", "one")):
                with sockets.route(node) as netlink, pytest.raises(NotFoundError, match=f"find link br-{other}"):
                    assert netlink.index(f"br-{node}") == netlink.indexes()[f"br-{node}"]
                    netlink.index(f"br-{other}")
                with sockets.netfilter(node) as known:
                    assert not known.any_known()
            assert len(sockets) == 4
            sockets.leave(["one"])
            delete(["one"])
            create(["one"])
            with sockets.route("one") as netlink:
                assert not netlink.exists("br-one")
            sockets.leave(["one", "two", "three"])
            assert len(sockets) == 0
            with pytest.raises(NotFoundError), sockets.route("three"):
                pass

        worker.run(None, look)


@pytest.mark.kernel
@in_lab
def test_what_is_too_much_to_stay_is_closed() -> None:
    with namespaces("one", "two", "three") as worker:
        sockets = Sockets(kept=1)
        before = held()

        def look() -> None:
            for _ in range(70):
                for node in ("one", "two", "three"):
                    with sockets.netfilter(node) as known:
                        assert not known.any_known()
                    assert held() - before == len(sockets) <= 201
            sockets.rest()
            assert held() - before == len(sockets) == 1
            with sockets.nft("one") as nft:
                assert not nft.run("list ruleset")
            assert len(sockets) == 2
            sockets.close()
            assert held() == before

        worker.run(None, look)
