"""nftables through libnftables in the process: text in, text or JSON out, one transaction per run.

A context belongs to the namespace of the thread that made it, for good. Where the library is missing, an `nft` process
does the same, ten times slower. Text that an ordinary user's socket cannot hold in one transaction goes in chunks.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import TracebackType
from typing import Protocol

from sdn.errors import ExistsError, KernelError, NotFoundError, PrivilegeError
from sdn.kernel.syscalls import CLONE_NEWNET, setns

SONAME = "libnftables.so.1"
TOO_LONG = "Message too long"
MERGE = 64 * 1024
"""Bytes of text that `run_chunks` puts into one transaction where several small texts follow each other."""

_one_at_a_time = threading.Lock()
"""The library keeps the generation of the last ruleset that it saw in one variable for the whole process. With two
threads in two namespaces each finds the other's there, takes its own rules for changed, and reads them again and again.
"""

_HANDLES, _JSON, _STATELESS, _TERSE = 1 << 3, 1 << 4, 1 << 2, 1 << 11
_OPTIONS = ((_HANDLES, "-a"), (_JSON, "-j"), (_STATELESS, "-s"), (_TERSE, "-t"))
_ERROR_LIMIT = 800
_KINDS: tuple[tuple[str, type[KernelError], str], ...] = (
    ("No such file or directory", NotFoundError, "it is not there; list the ruleset to see what is"),
    ("does not exist", NotFoundError, "it is not there; list the ruleset to see what is"),
    ("File exists", ExistsError, "it is there already; list the ruleset to see it"),
    ("Operation not permitted", PrivilegeError, "`sdn doctor` says what this user lacks"),
    ("Operation not supported", PrivilegeError, "`sdn doctor` says what this kernel lacks"),
    (TOO_LONG, KernelError, "send it in smaller pieces"),
)


class _Engine(Protocol):
    def run(self, text: str, flags: int) -> tuple[bool, str, str]:
        """Whether it worked, output, and errors."""

    def close(self) -> None:
        """Give everything back."""


@cache
def library() -> ctypes.CDLL | None:
    """libnftables, None if this machine has none."""
    try:
        lib = ctypes.CDLL(SONAME)
    except OSError:
        return None
    lib.nft_ctx_new.restype = ctypes.c_void_p
    lib.nft_ctx_new.argtypes = (ctypes.c_uint32,)
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(lib, name).argtypes = (ctypes.c_void_p,)
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(lib, name).argtypes = (ctypes.c_void_p,)
        getattr(lib, name).restype = ctypes.c_char_p
    lib.nft_ctx_output_set_flags.argtypes = (ctypes.c_void_p, ctypes.c_uint)
    lib.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    return lib


class _Library:
    def __init__(self, lib: ctypes.CDLL) -> None:
        self._lib = lib
        self._context = lib.nft_ctx_new(0)
        if not self._context:
            raise PrivilegeError("libnftables gives no context; `sdn doctor` says what this kernel lacks")
        lib.nft_ctx_buffer_output(self._context)
        lib.nft_ctx_buffer_error(self._context)

    def run(self, text: str, flags: int) -> tuple[bool, str, str]:
        lib, context = self._lib, self._context
        lib.nft_ctx_output_set_flags(context, flags)
        with _one_at_a_time:
            failed = lib.nft_run_cmd_from_buffer(context, text.encode())
        output = lib.nft_ctx_get_output_buffer(context) or b""
        errors = lib.nft_ctx_get_error_buffer(context) or b""
        return not failed, output.decode(errors="replace"), errors.decode(errors="replace")

    def close(self) -> None:
        if self._context:
            self._lib.nft_ctx_free(self._context)
            self._context = None


class _Process:
    """`nft -f -`, always started from a thread that sits in the namespace where this was made."""

    def __init__(self) -> None:
        path = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
        if path is None:
            raise PrivilegeError("neither libnftables nor nft is here; install nftables (apt install nftables)")
        self._path = path
        self._namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._thread = ThreadPoolExecutor(1, "nft", initializer=setns, initargs=(self._namespace, CLONE_NEWNET))

    def run(self, text: str, flags: int) -> tuple[bool, str, str]:
        options = [name for bit, name in _OPTIONS if flags & bit]
        # With -j a file is expected to be JSON, too; commands as an argument are text in any case.
        source = [text] if flags & _JSON else ["-f", "-"]
        command = [self._path, *options, *source]
        call = self._thread.submit(subprocess.run, command, input=text, text=True, capture_output=True, check=False)
        done = call.result()
        return done.returncode == 0, done.stdout, done.stderr

    def close(self) -> None:
        self._thread.shutdown()
        os.close(self._namespace)


class Nft:
    """nftables of the namespace that the maker's thread is in. One thread at a time may use it, from wherever."""

    def __init__(self, use_library: bool = True) -> None:
        lib = library() if use_library else None
        self._engine: _Engine = _Library(lib) if lib is not None else _Process()
        self._lock = threading.Lock()

    def __enter__(self) -> Nft:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def run(
        self, text: str, *, json: bool = False, handles: bool = False, stateless: bool = False, terse: bool = False
    ) -> str:
        """One transaction: all of `text` takes effect, or none of it and a KernelError with nft's own words.

        What is listed `stateless` has no counters, what is listed `terse` no elements but those inside of rules.
        """
        wanted = ((json, _JSON), (handles, _HANDLES), (stateless, _STATELESS), (terse, _TERSE))
        flags = sum(flag for is_wanted, flag in wanted if is_wanted)
        with self._lock:
            worked, output, errors = self._engine.run(text, flags)
        if not worked:
            raise _error(errors)
        return output

    def run_chunks(self, texts: Sequence[str]) -> None:
        """Run complete texts in order, several in one transaction where they fit.

        Each text is atomic, the whole is not: stage what nothing refers to yet, and switch over in the last text. A
        text that alone is too long for the kernel raises KernelError.
        """
        batch: list[str] = []
        size = 0
        for text in texts:
            if batch and size + len(text) > MERGE:
                self._run_or_halve(batch)
                batch, size = [], 0
            batch.append(text)
            size += len(text)
        if batch:
            self._run_or_halve(batch)

    def _run_or_halve(self, texts: list[str]) -> None:
        try:
            self.run("\n".join(texts))
        except KernelError as error:
            if TOO_LONG not in str(error) or len(texts) == 1:
                raise
            middle = len(texts) // 2
            self._run_or_halve(texts[:middle])
            self._run_or_halve(texts[middle:])

    def close(self) -> None:
        """Free the context, which closes its netlink socket."""
        self._engine.close()


def _error(errors: str) -> KernelError:
    words = errors.strip() or "no reason given"
    short = words if len(words) <= _ERROR_LIMIT else words[:_ERROR_LIMIT] + " ..."
    for text, kind, hint in _KINDS:
        if text in words:
            return kind(f"nft refused: {short}\n{hint}")
    return KernelError(f"nft refused: {short}")
