"""A small holder for tests: namespaces, a workload's command and an orphan, then it answers whoever connects."""

from __future__ import annotations

import contextlib
import os
import sys

from sdn.kernel import processes, sandbox
from sdn.kernel.namespaces import NamespaceWorker, create


def main() -> None:
    listener = sandbox.inherited_listener()
    processes.start_reaper()
    with NamespaceWorker() as worker:
        worker.run(None, lambda: create(["web", "db"]))
        worker.run("web", lambda: processes.spawn(["sh", "-c", f"sleep {sys.argv[1]}; : {sys.argv[2]}"]))
    processes.run(["sh", "-c", "sleep 0 & sleep 0 &"])
    print(f"pid {os.getpid()} leader {os.getsid(0) == os.getpid()}", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            if sandbox.same_user(connection):
                with contextlib.suppress(OSError):  # `labs` connects and goes away at once
                    connection.sendall(b"hello")


if __name__ == "__main__":
    main()
