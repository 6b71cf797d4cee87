"""Threads of a holder share few heaps of the C library: each keeps what was freed, so a heap for each would add up."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

THREADS = 6

COUNT = """
import ctypes, sys, threading
from sdn.kernel.syscalls import share_heaps

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fopen.restype = ctypes.c_void_p
threads, heaps = int(sys.argv[1]), int(sys.argv[2])
if heaps:
    share_heaps(heaps)
together = threading.Barrier(threads)

def work():
    together.wait()
    libc.malloc(1000)
    together.wait()

several = [threading.Thread(target=work) for _ in range(threads)]
for one in several:
    one.start()
for one in several:
    one.join()
stream = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has one heap in any case")
@pytest.mark.parametrize(("asked", "least", "most"), [(0, 3, THREADS + 1), (2, 1, 2)], ids=["as it is", "two"])
def test_threads_share_heaps(asked: int, least: int, most: int) -> None:
    command = [sys.executable, "-c", COUNT, str(THREADS), str(asked)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert least <= said.count("<heap ") <= most


FREED = """
from pathlib import Path
from sdn.kernel.syscalls import return_free

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

before = resident()
kept, freed = [], []
for _ in range(2_000):
    freed.append(bytes(30_000))
    kept.append(bytes(600))
freed.clear()
held = resident()
return_free()
print(before, held, resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library gives back by itself")
def test_what_lies_free_among_what_stays_is_given_back() -> None:
    said = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True).stdout
    before, held, after = map(int, said.split())
    assert after - before < (held - before) / 2
