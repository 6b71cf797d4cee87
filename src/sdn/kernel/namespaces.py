"""Network namespaces by name, under a lab's private `/run/netns`, where `ip netns` and every habit finds them.

A thread, never the whole process, moves between them: the main thread stays where it is, because `/proc/net` and
`/sys/class/net` show its namespace to everybody. `NamespaceWorker` is that thread. Sockets stay where they were opened.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sdn.errors import KernelError
from sdn.kernel import links
from sdn.kernel.owned import require_lab
from sdn.kernel.refusal import refusal
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.syscalls import CLONE_NEWNET, MS_BIND, mount, setns, unmount, unshare

RUN = Path("/run/netns")
LOOPBACK = 1
"""Index of `lo` in every namespace."""

_OWN = "/proc/thread-self/ns/net"

Result = TypeVar("Result")


def open_namespace(name: str) -> int:
    """An open descriptor of a namespace, for `Device.netns` and `move_link`; the caller closes it."""
    try:
        return os.open(f"{RUN}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise refusal(error.errno or 0, f"open network namespace {name}") from None


@contextmanager
def opened(all_names: Iterable[str]) -> Iterator[dict[str, int]]:
    """Descriptors of several namespaces by name, closed with the block; a name may come twice."""
    with ExitStack() as stack:
        found: dict[str, int] = {}
        for name in all_names:
            if name not in found:
                found[name] = open_namespace(name)
                stack.callback(os.close, found[name])
        yield found


def names() -> list[str]:
    """All namespaces that have a name, sorted."""
    return sorted(path.name for path in RUN.iterdir()) if RUN.is_dir() else []


def _refuse_main_thread() -> None:
    if threading.current_thread() is threading.main_thread():
        raise KernelError("the main thread never moves between namespaces; use a NamespaceWorker")


@contextmanager
def _home() -> Iterator[None]:
    _refuse_main_thread()
    home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        setns(home, CLONE_NEWNET)
        os.close(home)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Have the calling thread (not the main one) work inside a namespace, and go back afterwards."""
    with _home():
        enter(name)
        yield


def enter(name: str) -> None:
    """Move the calling thread (not the main one) into a namespace for good."""
    _refuse_main_thread()
    fd = open_namespace(name)
    try:
        setns(fd, CLONE_NEWNET)
    except OSError as error:
        raise refusal(error.errno or 0, f"enter network namespace {name}") from None
    finally:
        os.close(fd)


def create(all_names: Iterable[str], prepare: Callable[[str], None] | None = None, *, bare: bool = False) -> None:
    """Make namespaces, each with `lo` up. `prepare(name)` runs inside each of them right after it was made.

    `bare` leaves `lo` down, for whoever opens a socket there in any case: to open one is half of what is left.

    Call it in a worker thread, in a lab. ExistsError at the first name that is taken; those before it stay.
    """
    require_lab("create network namespaces")
    with _home():
        RUN.mkdir(mode=0o755, exist_ok=True)
        for name in all_names:
            _create_and_enter(name)
            if not bare:
                with Netlink() as netlink:
                    netlink.send([links.set_up(LOOPBACK)])
            if prepare is not None:
                prepare(name)


def _create_and_enter(name: str) -> None:
    path = f"{RUN}/{name}"
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
        unshare(CLONE_NEWNET)
        mount(_OWN, path, "none", MS_BIND)
    except OSError as error:
        if error.errno != errno.EEXIST:
            Path(path).unlink(missing_ok=True)
        raise refusal(error.errno or 0, f"create network namespace {name}") from None


def delete(all_names: Iterable[str]) -> None:
    """Take the names away; what is inside goes with the last socket or process that holds it, a little later.

    Already gone is success.
    """
    require_lab("delete network namespaces")
    for name in all_names:
        path = RUN / name
        if not path.exists():
            continue
        try:
            unmount(str(path))
        except OSError as error:
            if error.errno != errno.EINVAL:  # not a mount point: a name whose namespace was never bound
                raise refusal(error.errno or 0, f"delete network namespace {name}") from None
        path.unlink(missing_ok=True)


class NamespaceWorker:
    """One thread that enters namespaces and does what it is told there, one thing after the other."""

    def __init__(self, name: str = "namespaces") -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def __enter__(self) -> NamespaceWorker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def submit(self, namespace: str | None, call: Callable[[], Result]) -> Future[Result]:
        """Queue `call` to run inside a namespace (None: the one of the process)."""
        if namespace is None:
            return self._pool.submit(call)
        return self._pool.submit(_call_inside, namespace, call)

    def run(self, namespace: str | None, call: Callable[[], Result]) -> Result:
        """Run `call` inside a namespace and give back what it gives back or raises."""
        return self.submit(namespace, call).result()

    def close(self) -> None:
        """Wait for what is queued, and end the thread."""
        self._pool.shutdown()


def _call_inside(namespace: str, call: Callable[[], Result]) -> Result:
    with inside(namespace):
        return call()
