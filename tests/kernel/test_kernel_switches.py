"""Switches of many namespaces: each its own, however often the mount behind them is renewed, and no mount is left."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

from inside import in_lab

from sdn.kernel import switches
from sdn.kernel.namespaces import NamespaceWorker, create, inside

KEY = "net.ipv4.ip_default_ttl"


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@in_lab
def test_each_namespace_has_its_own() -> None:
    names = [f"n{number}" for number in range(8)]
    with NamespaceWorker() as worker:
        worker.run(None, lambda: create(names))
        switches.USES = 3
        for number, name in enumerate(names, 1):
            worker.run(name, lambda number=number: switches.put(KEY, str(number)))  # type: ignore[misc]
        assert [worker.run(name, lambda: switches.get(KEY)) for name in names] == [str(n) for n in range(1, 9)]
        for number, name in enumerate(names, 1):
            with_ip = worker.run(name, lambda: Path("/proc/sys", KEY.replace(".", "/")).read_text())
            assert with_ip.strip() == str(number), "what everybody sees under /proc is the same"


@in_lab
def test_no_mount_and_no_descriptor_is_left() -> None:
    def several() -> None:
        for _ in range(5):
            with inside("one"):
                assert switches.get(KEY)

    with NamespaceWorker() as worker:
        worker.run(None, lambda: create(["one"]))
        switches.USES = 1
        worker.run(None, several)
        before = open_files()
        worker.run(None, several)
        assert open_files() == before
        assert sorted(path.name for path in Path("/run").iterdir()) == ["netns", "sdn-lab"]
        assert worker.run(None, lambda: Path("/proc/thread-self/mounts").read_text()).count("proc-") == 0


def test_a_thread_that_ends_leaves_no_descriptor() -> None:
    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    before = descriptors()
    for _ in range(20):
        thread = Thread(target=switches.get, args=("net.ipv4.ip_forward",))
        thread.start()
        thread.join()
    assert descriptors() <= before + 1
